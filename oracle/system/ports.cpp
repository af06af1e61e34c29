// IN, OUT, INS and OUTS under IOPL and the I/O permission bitmap. Nothing answers at these ports in either machine.
#include <fmt/format.h>

#include "oracle/system/scenario.h"

namespace bhvm::oracle {
namespace {

constexpr u16 kFirstPort = 0x120;  // 32 of them: the last ones of the bitmap

struct Form {
  const char* name;
  std::initializer_list<u8> code;
  bool string;
};
constexpr Form kForms[] = {
    {"in al, dx", {0xEC}, false},
    {"in ax, dx", {0x66, 0xED}, false},
    {"in eax, dx", {0xED}, false},
    {"out dx, al", {0xEE}, false},
    {"out dx, ax", {0x66, 0xEF}, false},
    {"out dx, eax", {0xEF}, false},
    {"in al, imm8", {0xE4, 0x28}, false},
    {"in eax, imm8", {0xE5, 0x3E}, false},
    {"out imm8, al", {0xE6, 0x29}, false},
    {"out imm8, eax", {0xE7, 0x3C}, false},
    {"insb", {0x6C}, true},
    {"insd", {0x6D}, true},
    {"rep insw", {0xF3, 0x66, 0x6D}, true},
    {"outsb", {0x6E}, true},
    {"outsd", {0x6F}, true},
    {"rep outsw", {0xF3, 0x66, 0x6F}, true},
};

void write_form(Scene& scene, const Form& form, bool code64) {
  Dice& dice = scene.dice;
  scene.code(code64 ? Mode::kUser64 : Mode::kUser32, Code(form.code));
  scene.cases([&](Draft& d) {
    d.level(scene.cpl());
    d.flags(dice.bits() & rflags::kIopl & dice.bits());
    d.reg(kRdx) = dice.one_in(8) ? 0x1200 + dice.below(0x100) : kFirstPort + dice.below(0x22);
    d.reg(kRcx) = dice.below(4);
    // Ports 20H to 3FH, of the forms with an immediate, and those of DX.
    for (const u64 port : {u64{0x20}, u64{kFirstPort}}) {
      const u64 bits = dice.one_in(3) ? 0 : dice.bits() & dice.bits() & dice.bits();
      d.poke(layout::kTss + layout::kIoMapBase + port / 8, bits, 4);
    }
    if (dice.one_in(8))
      d.poke(layout::kTssIoMapBase, dice.coin() ? layout::kTssLimit + 1 - dice.below(4) : dice.bits(), 2);
    if (dice.one_in(3)) {
      SegmentImage image{.type = kTypeTss,
                         .non_system = false,
                         .big = false,
                         .granularity = false,
                         .base = static_cast<u32>(layout::kTss),
                         .limit = layout::kTssLimit - dice.below(8)};
      if (dice.one_in(4)) image.limit = 101 + dice.below(4);
      d.descriptor(kTaskState, image.raw());
    }
    d.tss();
    if (form.string && dice.one_in(4)) {
      d.reg(kRdi) = page_linear(dice.coin() ? 9 : 11) - dice.below(4);
      d.reg(kRsi) = page_linear(dice.coin() ? 13 : 11) - dice.below(4);
    }
    if (form.string && dice.one_in(4)) d.flags(rflags::kDf);
  });
}

}  // namespace

void add_ports(Scenarios& list) {
  for (const bool code64 : {true, false}) {
    for (const Form& form : kForms) {
      list.push_back({fmt::format("{} by iopl and bitmap{}", form.name, code64 ? "" : " [32]"), form.name,
                      [&form, code64](Scene& s) { write_form(s, form, code64); }});
    }
  }
}

}  // namespace bhvm::oracle
