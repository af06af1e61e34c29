// A pending interrupt and the instructions that let it in.
#include <fmt/format.h>

#include "oracle/system/scenario.h"

namespace bhvm::oracle {
namespace {

struct Opening {
  const char* name;
  std::initializer_list<u8> code;
  bool starts_open;  // IF is 1 and the task priority keeps the interrupt out
};
constexpr Opening kOpenings[] = {
    {"sti", {0xFB, 0x90, 0x90, 0x90}, false},
    {"sti, cli", {0xFB, 0xFA, 0x90, 0x90}, false},
    {"sti, sti", {0xFB, 0xFB, 0x90, 0x90}, false},
    {"sti, hlt", {0xFB, 0xF4, 0x90}, false},
    {"sti, ud2", {0xFB, 0x0F, 0x0B}, false},
    {"sti, int3", {0xFB, 0xCC}, false},
    {"sti, popf", {0xFB, 0x9D, 0x90}, false},
    {"sti, read of nothing", {0xFB, 0x8B, 0x04, 0x25, 0, 0, 0, 0, 0x90}, false},
    {"sti, pushf", {0xFB, 0x9C, 0x90}, false},
    {"sti, mov ss", {0xFB, 0x8E, 0xD2, 0x90, 0x90}, false},
    {"popf", {0x9D, 0x90, 0x90}, false},
    {"popf, cli", {0x9D, 0xFA, 0x90}, false},
    {"mov cr8", {0x44, 0x0F, 0x22, 0xC0, 0x90, 0x90}, true},
    {"nop", {0x90, 0x90}, true},
    {"nop, rep stosb", {0x90, 0xF3, 0xAA, 0x90}, false},
};

void write_opening(Scene& scene, const Opening& opening) {
  Dice& dice = scene.dice;
  scene.code(Mode::kUser64, Code(opening.code));
  const std::string_view name = opening.name;
  const bool halts = name == "sti, hlt";
  scene.cases([&](Draft& d) {
    const u8 level = halts || opening.starts_open ? u8{0} : dice.coin() ? u8{0} : scene.cpl();
    d.level(level);
    if (level != 0) d.flags(rflags::kIopl);
    d.clear_flags(rflags::kIf);
    const unsigned vector = 0x20 + dice.below(0xE0);
    const unsigned other = 0x20 + dice.below(0xE0);
    if (opening.starts_open) d.flags(rflags::kIf);
    d.reg(kRdx) = d.input.ss;
    d.reg(kRcx) = dice.below(8);
    const u64 flags = rflags::kFixed | (dice.bits() & rflags::kArithmetic) | (dice.percent(75) ? rflags::kIf : 0);
    d.poke(d.reg(kRsp), flags | (level != 0 ? rflags::kIopl : 0));
    d.reg(kRax) = dice.below(16);
    if (opening.starts_open) {
      d.cr(8, 15);
    } else if (!halts && dice.one_in(3)) {
      d.cr(8, dice.below(16));
    }
    d.step(StepKind::kSelfIpi, vector, 0);
    if (dice.one_in(3)) d.step(StepKind::kSelfIpi, other, 0);
  });
}

/// IRET and SYSRET that open IF: the interrupt comes before the target's first instruction.
void write_return(Scene& scene, bool sysret) {
  Dice& dice = scene.dice;
  scene.code(Mode::kUser64, sysret ? Code{0x48, 0x0F, 0x07} : Code{0x48, 0xCF});
  scene.cases([&](Draft& d) {
    d.level(0);
    d.clear_flags(rflags::kIf);
    const bool user = dice.coin();
    const u64 flags = rflags::kFixed | (dice.percent(75) ? rflags::kIf : 0);
    d.poke_values(d.reg(kRsp),
                  {scene.landing(), user ? kUserCode64 : kKernelCode64, flags, layout::kUserStack,
                   user ? kUserData : kKernelData},
                  8);
    d.msr(0xC0000081, u64{kUserCode32} << 48);
    d.reg(kRcx) = scene.landing();
    d.reg(kR11) = flags;
    if (dice.one_in(4)) d.cr(8, dice.below(16));
    d.step(StepKind::kSelfIpi, 0x20 + dice.below(0xE0), 0);
  });
}

/// Already open: the interrupt comes before the first instruction, through a gate with or without IST.
void write_at_entry(Scene& scene) {
  Dice& dice = scene.dice;
  const bool code64 = dice.coin();
  scene.code(code64 ? Mode::kUser64 : Mode::kUser32, {0x90, 0x90});
  scene.cases([&](Draft& d) {
    d.level(scene.cpl());
    d.flags(rflags::kIf);
    if (dice.one_in(3)) d.flags(dice.bits() & (rflags::kTf | rflags::kNt | rflags::kRf | rflags::kDf));
    const unsigned vector = 0x20 + dice.below(0xE0);
    GateImage gate{.type = static_cast<u8>(dice.coin() ? kTypeInterruptGate : kTypeTrapGate),
                   .selector = kKernelCode64,
                   .offset = scene.landing(dice.coin())};
    if (dice.coin()) gate.ist = static_cast<u8>(1 + dice.below(7));
    if (dice.one_in(12)) gate.present = false;
    d.gate(vector, gate);
    d.tss();
    d.idt();
    if (dice.one_in(4)) d.cr(8, dice.below(16));
    d.step(StepKind::kSelfIpi, vector, 0);
  });
}

void write_halt(Scene& scene) {
  scene.code(scene.dice.coin() ? Mode::kUser64 : Mode::kUser32, {0xF4});
  scene.cases([&](Draft& d) { d.level(static_cast<u8>(1 + scene.dice.below(3))); });
}

}  // namespace

void add_interrupts(Scenarios& list) {
  for (const Opening& opening : kOpenings) {
    list.push_back({fmt::format("interrupt after {}", opening.name), opening.name,
                    [&opening](Scene& s) { write_opening(s, opening); }});
  }
  list.push_back({"interrupt after iretq", "iretq", [](Scene& s) { write_return(s, false); }});
  list.push_back({"interrupt after sysretq", "sysretq", [](Scene& s) { write_return(s, true); }});
  list.push_back({"interrupt at entry", "interrupt", write_at_entry});
  list.push_back({"hlt above level 0", "hlt", write_halt});
}

}  // namespace bhvm::oracle
