// RDMSR and WRMSR: registers that exist in both machines, and those that exist in none.
#include <fmt/format.h>

#include "oracle/system/scenario.h"

namespace bhvm::oracle {
namespace {

enum class Values : u8 {
  kAny,       // every value is good
  kAddress,   // a canonical address
  kLow32,     // the upper half is reserved
  kPat,       // eight memory types
  kEfer,      // SCE, NXE; LME fixed while paging; the rest reserved
  kMtrrBase,  // a type and a physical page
  kMtrrMask,
  kMtrrTypes,
  kMtrrDefault,
};

struct Register {
  const char* name;
  u32 index;
  Values values;
};
constexpr Register kRegisters[] = {
    {"ia32_sysenter_cs", 0x174, Values::kLow32},
    {"ia32_sysenter_esp", 0x175, Values::kAddress},
    {"ia32_sysenter_eip", 0x176, Values::kAddress},
    {"ia32_mtrr_physbase0", 0x200, Values::kMtrrBase},
    {"ia32_mtrr_physmask0", 0x201, Values::kMtrrMask},
    {"ia32_mtrr_physbase7", 0x20E, Values::kMtrrBase},
    {"ia32_mtrr_physmask7", 0x20F, Values::kMtrrMask},
    {"ia32_mtrr_fix64k_00000", 0x250, Values::kMtrrTypes},
    {"ia32_mtrr_fix16k_80000", 0x258, Values::kMtrrTypes},
    {"ia32_mtrr_fix16k_a0000", 0x259, Values::kMtrrTypes},
    {"ia32_mtrr_fix4k_c0000", 0x268, Values::kMtrrTypes},
    {"ia32_mtrr_fix4k_f8000", 0x26F, Values::kMtrrTypes},
    {"ia32_pat", 0x277, Values::kPat},
    {"ia32_mtrr_def_type", 0x2FF, Values::kMtrrDefault},
    {"ia32_efer", 0xC0000080, Values::kEfer},
    {"ia32_star", 0xC0000081, Values::kAny},
    {"ia32_lstar", 0xC0000082, Values::kAddress},
    {"ia32_cstar", 0xC0000083, Values::kAddress},
    {"ia32_fmask", 0xC0000084, Values::kLow32},
    {"ia32_fs_base", 0xC0000100, Values::kAddress},
    {"ia32_gs_base", 0xC0000101, Values::kAddress},
    {"ia32_kernel_gs_base", 0xC0000102, Values::kAddress},
    {"ia32_tsc_aux", 0xC0000103, Values::kLow32},
};

u64 draw_types(Scene& scene, std::span<const u8> types) {
  u64 value = 0;
  for (unsigned i = 0; i < 8; ++i) value |= u64{scene.dice.pick(types)} << (8 * i);
  if (scene.dice.one_in(3)) value ^= u64{1} << scene.dice.below(64);
  return value;
}

u64 draw_value(Scene& scene, Values values) {
  Dice& dice = scene.dice;
  constexpr u8 kPatTypes[] = {0, 1, 4, 5, 6, 7};
  constexpr u8 kMtrrTypes[] = {0, 1, 4, 5, 6};
  constexpr u64 kPhysicalPages = 0x3FFFFFFFF000;
  switch (values) {
    case Values::kAny:
      return dice.bits();
    case Values::kAddress:
      if (dice.one_in(3)) return scene.non_canonical();
      return static_cast<u64>(static_cast<i64>(dice.bits()) >> 17);
    case Values::kLow32:
      return dice.one_in(4) ? dice.bits() : static_cast<u32>(dice.bits());
    case Values::kPat:
      return draw_types(scene, kPatTypes);
    case Values::kMtrrTypes:
      return draw_types(scene, kMtrrTypes);
    case Values::kEfer:
      switch (dice.below(4)) {
        case 0:
          return kStandardEfer ^ efer::kLme;
        case 1:
          return kStandardEfer ^ (u64{1} << dice.below(64));
        default:
          return kStandardEfer ^ (dice.bits() & (efer::kSce | efer::kNxe | efer::kLma));
      }
    case Values::kMtrrBase:
      return (dice.bits() & kPhysicalPages) | (dice.one_in(3) ? dice.below(0x1000) : u64{dice.pick(kMtrrTypes)}) |
             (dice.one_in(4) ? u64{1} << (46 + dice.below(18)) : 0);
    case Values::kMtrrMask:
      return (dice.bits() & kPhysicalPages) | (dice.coin() ? 0x800 : 0) |
             (dice.one_in(4) ? u64{1} << dice.below(64) : 0);
    case Values::kMtrrDefault:
      return (dice.bits() & 0xC00) | dice.pick(kMtrrTypes) | (dice.one_in(4) ? u64{1} << dice.below(64) : 0);
  }
  return 0;
}

/// Writes and reads back, so that nothing is read that this case did not write.
void write_register(Scene& scene, const Register& msr, bool code64) {
  Dice& dice = scene.dice;
  scene.code(code64 ? Mode::kUser64 : Mode::kUser32, {0x0F, 0x30, 0x31, 0xC0, 0x31, 0xD2, 0x0F, 0x32});
  scene.cases([&](Draft& d) {
    d.level(dice.one_in(10) ? scene.cpl() : u8{0});
    const u64 value = draw_value(scene, msr.values);
    // Without NXE, bit 63 of a page's entry is reserved.
    if (msr.values == Values::kEfer) forbid_execute_disable(d);
    d.reg(kRcx) = msr.index;
    d.reg(kRax) = static_cast<u32>(value);
    d.reg(kRdx) = value >> 32;
    if (code64) {
      // The upper halves do not matter.
      d.reg(kRcx) |= dice.bits() << 32;
      d.reg(kRax) |= dice.bits() << 32;
      d.reg(kRdx) |= dice.bits() << 32;
    }
  });
}

void write_read(Scene& scene, bool code64) {
  constexpr u32 kRead[] = {0x174,      0x175,      0x176,      0x277,      0xC0000080, 0xC0000081,
                           0xC0000082, 0xC0000084, 0xC0000100, 0xC0000101, 0xC0000102};
  scene.code(code64 ? Mode::kUser64 : Mode::kUser32, {0x0F, 0x32});
  scene.cases([&](Draft& d) {
    d.level(scene.dice.one_in(4) ? scene.cpl() : u8{0});
    const u32 index = scene.dice.pick(kRead);
    d.reg(kRcx) = index | (code64 ? scene.dice.bits() << 32 : 0);
    if (index == 0x174) d.msr(index, scene.dice.bits() & 0xFFFF);
    if (index == 0xC0000081) d.msr(index, scene.dice.bits());
    if (index == 0xC0000082) d.msr(index, scene.dice.bits() & 0x7FFFFFFFFFFF);
  });
}

/// Registers that no such processor has: #GP(0).
void write_missing(Scene& scene, bool write) {
  constexpr u32 kMissing[] = {0x2,        0x80,       0x5FF,      0x1FF,      0x210,      0x7FF,      0x900,
                              0xFFF,      0x1000,     0x12345678, 0x7FFFFFFF, 0x80000000, 0xBFFFFFFF, 0xC0000085,
                              0xC000007F, 0xC0000105, 0xC00000FF, 0xDEADBEEF, 0xFFFFFFFF};
  scene.code(scene.dice.coin() ? Mode::kUser64 : Mode::kUser32, {0x0F, static_cast<u8>(write ? 0x30 : 0x32)});
  scene.cases([&](Draft& d) {
    d.level(scene.dice.one_in(8) ? scene.cpl() : u8{0});
    d.reg(kRcx) = scene.dice.pick(kMissing);
    d.reg(kRax) = static_cast<u32>(d.reg(kRax));
    d.reg(kRdx) = static_cast<u32>(d.reg(kRdx));
  });
}

void write_bases(Scene& scene) {
  Dice& dice = scene.dice;
  constexpr u8 kModrm[] = {0xC0, 0xC8, 0xD0, 0xD8};  // rdfsbase, rdgsbase, wrfsbase, wrgsbase: rax
  Code code{0xF3};
  const bool code64 = dice.percent(85);
  if (code64 && dice.percent(70)) code.add({0x48});
  code.add({0x0F, 0xAE, dice.pick(kModrm)});
  scene.code(code64 ? Mode::kUser64 : Mode::kUser32, code);
  scene.cases([&](Draft& d) {
    d.level(scene.cpl());
    if (dice.one_in(4)) d.cr(4, kStandardCr4 & ~cr4::kFsgsbase);
    if (code64) d.reg(kRax) = dice.one_in(3) ? scene.non_canonical() : d.reg(kRax) & 0x7FFFFFFFFFFF;
  });
}

}  // namespace

void add_model_specific(Scenarios& list) {
  for (const Register& msr : kRegisters) {
    list.push_back({fmt::format("wrmsr {}", msr.name), msr.name, [&msr](Scene& s) { write_register(s, msr, true); }});
  }
  for (const bool code64 : {true, false}) {
    list.push_back({fmt::format("rdmsr{}", code64 ? "" : " [32]"), "rdmsr", [=](Scene& s) { write_read(s, code64); }});
  }
  list.push_back({"wrmsr ia32_efer [32]", "ia32_efer", [](Scene& s) {
                    constexpr Register kEfer{"ia32_efer", 0xC0000080, Values::kEfer};
                    write_register(s, kEfer, false);
                  }});
  list.push_back({"rdmsr of a register that is not there", "rdmsr", [](Scene& s) { write_missing(s, false); }});
  list.push_back({"wrmsr of a register that is not there", "wrmsr", [](Scene& s) { write_missing(s, true); }});
  list.push_back({"rdfsbase and its kin", "fsgsbase", write_bases});
}

}  // namespace bhvm::oracle
