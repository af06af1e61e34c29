// SYSCALL, SYSRET, SYSENTER, SYSEXIT and SWAPGS, with odd contents of their MSRs.
#include <fmt/format.h>

#include "oracle/system/scenario.h"

namespace bhvm::oracle {
namespace {

constexpr u32 kStar = 0xC0000081, kLstar = 0xC0000082, kCstar = 0xC0000083, kFmask = 0xC0000084, kEferMsr = 0xC0000080;
constexpr u32 kSysenterCs = 0x174, kSysenterEsp = 0x175, kSysenterEip = 0x176;

u64 draw_star(Scene& scene) {
  Dice& dice = scene.dice;
  const u64 call = dice.coin() ? kKernelCode64 : static_cast<u64>(dice.bits() & 0xFFFF);
  const u64 ret = dice.coin() ? kUserCode32 : static_cast<u64>(dice.bits() & 0xFFFF);
  // RPL bits are for the processor to put right.
  return (call << 32) | (ret << 48) | static_cast<u32>(dice.bits());
}

void write_syscall(Scene& scene, bool code64) {
  Dice& dice = scene.dice;
  scene.code(code64 ? Mode::kUser64 : Mode::kUser32, {0x0F, 0x05});
  scene.cases([&](Draft& d) {
    d.level(scene.cpl());
    d.msr(kStar, draw_star(scene));
    d.msr(kLstar, scene.landing(dice.coin()));
    d.msr(kCstar, scene.landing());
    d.msr(kFmask, dice.coin() ? dice.bits() & 0xFFFFFFFF : 0x47700);
    if (dice.one_in(6)) d.msr(kEferMsr, kStandardEfer & ~efer::kSce);
    if (dice.one_in(4)) d.flags(dice.bits() & (rflags::kIopl | rflags::kNt | rflags::kDf | rflags::kId));
    if (dice.one_in(8)) d.flags(rflags::kAc);
  });
}

void write_sysret(Scene& scene, bool code64, bool wide) {
  Dice& dice = scene.dice;
  scene.code(code64 ? Mode::kUser64 : Mode::kUser32, wide ? Code{0x48, 0x0F, 0x07} : Code{0x0F, 0x07});
  scene.cases([&](Draft& d) {
    d.level(dice.percent(80) ? u8{0} : scene.cpl());
    d.msr(kStar, draw_star(scene));
    if (dice.one_in(6)) d.msr(kEferMsr, kStandardEfer & ~efer::kSce);
    d.reg(kRcx) = dice.one_in(6) ? scene.non_canonical() : scene.landing();
    if (!wide && dice.coin()) d.reg(kRcx) |= dice.bits() << 32;
    // TF: the trap follows the first instruction at CPL 3.
    d.reg(kR11) = dice.bits() & ~(rflags::kTf | rflags::kAc | rflags::kRf);
    if (dice.one_in(8)) d.reg(kR11) |= rflags::kRf;
    if (dice.one_in(8)) d.reg(kR11) |= rflags::kTf;
    if (!code64) {
      d.reg(kR11) = 0;
      d.reg(kRcx) = static_cast<u32>(d.reg(kRcx));
    }
  });
}

u64 draw_sysenter_cs(Scene& scene) {
  Dice& dice = scene.dice;
  if (dice.one_in(6)) return dice.below(4);
  return dice.coin() ? kKernelCode64 : dice.bits() & 0xFFFF;
}

void write_sysenter(Scene& scene, bool code64) {
  Dice& dice = scene.dice;
  scene.code(code64 ? Mode::kUser64 : Mode::kUser32, {0x0F, 0x34});
  scene.cases([&](Draft& d) {
    d.level(scene.cpl());
    d.msr(kSysenterCs, draw_sysenter_cs(scene));
    d.msr(kSysenterEip, scene.landing(dice.coin()));
    d.msr(kSysenterEsp, dice.coin() ? layout::kStack0 : dice.bits() & 0x7FFFFFFFFFFF);
    if (dice.one_in(4)) d.flags(dice.bits() & (rflags::kIopl | rflags::kNt | rflags::kDf));
  });
}

void write_sysexit(Scene& scene, bool code64, bool wide) {
  Dice& dice = scene.dice;
  scene.code(code64 ? Mode::kUser64 : Mode::kUser32, wide ? Code{0x48, 0x0F, 0x35} : Code{0x0F, 0x35});
  scene.cases([&](Draft& d) {
    d.level(dice.percent(80) ? u8{0} : scene.cpl());
    d.msr(kSysenterCs, draw_sysenter_cs(scene));
    d.reg(kRcx) = dice.one_in(6) ? scene.non_canonical() : layout::kUserStack - dice.below(64);
    d.reg(kRdx) = dice.one_in(6) ? scene.non_canonical() : scene.landing();
    if (!wide && dice.coin()) d.reg(kRdx) = scene.landing() | (dice.bits() << 32);
    if (!code64) {
      d.reg(kRcx) = static_cast<u32>(d.reg(kRcx));
      d.reg(kRdx) = static_cast<u32>(d.reg(kRdx));
    }
  });
}

void write_swapgs(Scene& scene) {
  Dice& dice = scene.dice;
  const bool code64 = dice.percent(85);
  scene.code(code64 ? Mode::kUser64 : Mode::kUser32, {0x0F, 0x01, 0xF8});
  scene.cases([&](Draft& d) {
    d.level(dice.coin() ? u8{0} : scene.cpl());
    d.step(StepKind::kKernelGsBase, 0, dice.bits() & 0x7FFFFFFFFFFF);
  });
}

/// SYSCALL and back with SYSRET: what the round keeps.
void write_round(Scene& scene) {
  Dice& dice = scene.dice;
  scene.code(Mode::kUser64, {0x0F, 0x05});
  scene.cases([&](Draft& d) {
    d.msr(kStar, (u64{kKernelCode64} << 32) | (u64{kUserCode32} << 48));
    const u64 entry = layout::kSupervisorCode + 0x100 + dice.below(0x100);
    d.msr(kLstar, entry);
    d.msr(kFmask, dice.bits() & 0xFFFFFFFF);
    d.poke(entry, 0x070F48, 3);
    if (dice.one_in(4)) d.flags(rflags::kTf);
    if (dice.one_in(4)) d.flags(rflags::kIopl & dice.bits());
  });
}

}  // namespace

void add_fast_calls(Scenarios& list) {
  for (const bool code64 : {true, false}) {
    const char* suffix = code64 ? "" : " [32]";
    list.push_back({fmt::format("syscall{}", suffix), "syscall", [=](Scene& s) { write_syscall(s, code64); }});
    list.push_back({fmt::format("sysenter{}", suffix), "sysenter", [=](Scene& s) { write_sysenter(s, code64); }});
    list.push_back({fmt::format("sysret{}", suffix), "sysret", [=](Scene& s) { write_sysret(s, code64, false); }});
    list.push_back({fmt::format("sysexit{}", suffix), "sysexit", [=](Scene& s) { write_sysexit(s, code64, false); }});
    if (!code64) continue;
    list.push_back({"sysretq", "sysretq", [](Scene& s) { write_sysret(s, true, true); }});
    list.push_back({"sysexitq", "sysexitq", [](Scene& s) { write_sysexit(s, true, true); }});
  }
  list.push_back({"swapgs", "swapgs", write_swapgs});
  list.push_back({"syscall and sysretq", "syscall", write_round});
}

}  // namespace bhvm::oracle
