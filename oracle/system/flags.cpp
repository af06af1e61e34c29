// CLI, STI, PUSHF, POPF, STAC and CLAC by level and IOPL; instructions that LOCK makes illegal.
#include <fmt/format.h>

#include "oracle/system/scenario.h"

namespace bhvm::oracle {
namespace {

struct Form {
  const char* name;
  std::initializer_list<u8> code;
};
constexpr Form kForms[] = {
    {"cli", {0xFA}},
    {"sti", {0xFB, 0x90}},
    {"pushf", {0x9C}},
    {"pushfw", {0x66, 0x9C}},
    {"popf", {0x9D, 0x9C}},
    {"popfw", {0x66, 0x9D, 0x9C}},
    {"stac", {0x0F, 0x01, 0xCB}},
    {"clac", {0x0F, 0x01, 0xCA}},
};

void write_form(Scene& scene, const Form& form, bool code64) {
  Dice& dice = scene.dice;
  scene.code(code64 ? Mode::kUser64 : Mode::kUser32, Code(form.code));
  scene.cases([&](Draft& d) {
    d.level(scene.cpl());
    d.flags(dice.bits() & (rflags::kIopl | rflags::kId));
    if (dice.one_in(4)) d.flags(rflags::kNt);
    if (dice.one_in(4)) d.flags(rflags::kAc);
    if (dice.one_in(8)) d.flags(dice.bits() & (rflags::kVif | rflags::kVip));
    u64 flags = dice.bits() & ~rflags::kTf;
    if (dice.one_in(8)) flags |= rflags::kTf;
    d.poke(d.reg(kRsp), flags);
    if (dice.one_in(3)) d.cr(4, kStandardCr4 | cr4::kSmap);
    if (dice.one_in(12)) d.reg(kRsp) = page_linear(dice.coin() ? 17 : kStackTopPage) + dice.below(4);
  });
}

/// AC decides over SMAP at once.
void write_smap(Scene& scene) {
  Dice& dice = scene.dice;
  const bool stac = dice.coin();
  scene.code(Mode::kKernel64, {0x0F, 0x01, static_cast<u8>(stac ? 0xCB : 0xCA), 0x8B, 0x0B, 0x89, 0x03},
             layout::kSupervisorCode + dice.below(0x400));
  scene.cases([&](Draft& d) {
    if (dice.coin()) d.flags(rflags::kAc);
    if (dice.percent(75)) d.cr(4, kStandardCr4 | cr4::kSmap);
    d.reg(kRbx) = page_linear(dice.coin() ? 7u : 13u) + dice.below(0x800);
  });
}

/// Only what does no harm where LOCK is ignored: QEMU does that at times.
void write_lock(Scene& scene, bool code64) {
  struct Illegal {
    u8 bytes[4];
    unsigned size;
  };
  static constexpr Illegal kIllegal[] = {
      {{0xF0, 0xFA}, 2},              // cli
      {{0xF0, 0x0F, 0x05}, 3},        // syscall
      {{0xF0, 0x0F, 0x06}, 3},        // clts
      {{0xF0, 0x8E, 0xD8}, 3},        // mov ds, ax
      {{0xF0, 0xCD, 0x03}, 3},        // int 3
      {{0xF0, 0x9D}, 2},              // popf
      {{0xF0, 0xEE}, 2},              // out
      {{0xF0, 0x0F, 0x01, 0x3B}, 4},  // invlpg
      {{0xF0, 0x0F, 0x23, 0xC0}, 4},  // mov dr0, eax
  };
  const Illegal& illegal = scene.dice.pick(kIllegal);
  Code code;
  for (unsigned i = 0; i < illegal.size; ++i) code.add({illegal.bytes[i]});
  scene.code(code64 ? Mode::kUser64 : Mode::kUser32, code);
  scene.cases([&](Draft& d) { d.level(scene.cpl()); });
}

}  // namespace

void add_flags(Scenarios& list) {
  for (const bool code64 : {true, false}) {
    const char* suffix = code64 ? "" : " [32]";
    for (const Form& form : kForms) {
      list.push_back({fmt::format("{} by level and iopl{}", form.name, suffix), form.name,
                      [&form, code64](Scene& s) { write_form(s, form, code64); }});
    }
    list.push_back(
        {fmt::format("lock before a system instruction{}", suffix), "lock", [=](Scene& s) { write_lock(s, code64); }});
  }
  list.push_back({"stac and clac under smap", "stac", write_smap});
}

}  // namespace bhvm::oracle
