// MOV to and from CR0, CR2, CR3, CR4 and CR8, XSETBV and XGETBV: what must fault and what must not.
//
// Left out is what QEMU 7.2 does not come back from: reserved bits of CR3 and CR4, on which it leaves for a hypervisor
// that is not there; CR0.PE, CR0.PG and CR4.PAE cleared in IA-32e mode, which it lets pass. Unit tests cover these
// (tests/cpu/system/control_registers_test.cpp).
#include <fmt/format.h>

#include "oracle/system/scenario.h"

namespace bhvm::oracle {
namespace {

u8 mostly_supervisor(Scene& scene) { return scene.dice.percent(85) ? u8{0} : scene.cpl(); }

Code to_control(Scene& scene, unsigned number, bool code64) {
  Code code;
  if (number == 8)
    code.add({0x44});
  else if (code64 && scene.dice.one_in(4))
    code.add({0x48});
  const u8 low = static_cast<u8>(number & 7);
  return code.add({0x0F, 0x22, static_cast<u8>(0xC0 | low << 3)});  // from rax
}
Code from_control(unsigned number) {
  Code code;
  if (number >= 8) code.add({0x44});
  return code.add({0x0F, 0x20, static_cast<u8>(0xC1 | (number & 7) << 3)});  // to rcx
}

Mode mode_of(bool code64) { return code64 ? Mode::kUser64 : Mode::kUser32; }

void write_cr0(Scene& scene, bool code64) {
  Dice& dice = scene.dice;
  scene.code(mode_of(code64), to_control(scene, 0, code64));
  scene.cases([&](Draft& d) {
    d.level(mostly_supervisor(scene));
    u64 value = kStandardCr0 ^ scene.few_of(cr0::kMp | cr0::kEm | cr0::kTs | cr0::kNe | cr0::kWp | cr0::kAm);
    switch (dice.below(10)) {
      case 0:
        value |= cr0::kCd;
        break;
      case 1:
        value |= cr0::kNw;  // without CD: #GP
        break;
      case 2:
        value |= cr0::kCd | cr0::kNw;
        break;
      case 5:
        if (code64) value |= u64{1} << (32 + dice.below(32));
        break;
      case 6:
        value ^= u64{1} << (6 + dice.below(10));  // reserved, ignored
        break;
      case 7:
        value ^= cr0::kEt;
        break;
      default:
        break;
    }
    d.reg(kRax) = code64 ? value : static_cast<u32>(value);
  });
}

void write_cr3(Scene& scene, bool code64) {
  Dice& dice = scene.dice;
  scene.code(mode_of(code64), to_control(scene, 3, code64).add(from_control(3)));
  scene.cases([&](Draft& d) {
    d.level(mostly_supervisor(scene));
    u64 value = guest_addresses().page_tables | (dice.bits() & 0xFFF);
    d.reg(kRax) = value;
  });
}

void write_cr4(Scene& scene, bool code64) {
  Dice& dice = scene.dice;
  scene.code(mode_of(code64), to_control(scene, 4, code64), layout::kSupervisorCode + dice.below(0x400));
  scene.cases([&](Draft& d) {
    d.level(dice.percent(85) ? u8{0} : static_cast<u8>(dice.below(3)));
    u64 value = kStandardCr4 ^ scene.few_of(cr4::kSupported & ~cr4::kPae);
    // Bits that CPUID does not claim here, and that QEMU knows.
    if (dice.one_in(4)) value |= scene.few_of(cr4::kVme | cr4::kPvi | cr4::kMce);
    d.reg(kRax) = code64 ? value : static_cast<u32>(value);
  });
}

void write_cr8(Scene& scene) {
  Dice& dice = scene.dice;
  scene.code(Mode::kUser64, to_control(scene, 8, true).add(from_control(8)));
  scene.cases([&](Draft& d) {
    d.level(mostly_supervisor(scene));
    d.reg(kRax) = dice.percent(70) ? dice.below(17) : dice.bits();
  });
}

void write_cr2(Scene& scene) {
  scene.code(Mode::kUser64, to_control(scene, 2, true).add(from_control(2)));
  scene.cases([&](Draft& d) { d.level(mostly_supervisor(scene)); });
}

/// All sixteen numbers: those that do not exist are #UD whatever the level.
void write_from(Scene& scene, bool code64) {
  const unsigned number = scene.dice.below(code64 ? 16 : 8);
  scene.code(mode_of(code64), from_control(number));
  scene.cases([&](Draft& d) { d.level(scene.cpl()); });
}
void write_missing(Scene& scene, bool code64) {
  constexpr u8 kMissing[] = {1, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15};
  const unsigned number = scene.dice.pick(std::span(kMissing).first(code64 ? std::size(kMissing) : 4));
  Code code;
  if (number >= 8) code.add({0x44});
  code.add({0x0F, static_cast<u8>(scene.dice.coin() ? 0x20 : 0x22), static_cast<u8>(0xC0 | (number & 7) << 3)});
  scene.code(mode_of(code64), code);
  scene.cases([&](Draft& d) { d.level(scene.cpl()); });
}

/// The mod field is ignored: no memory operand exists.
void write_mod_ignored(Scene& scene) {
  const u8 mod = static_cast<u8>(scene.dice.below(3) << 6);
  scene.code(Mode::kUser64, {0x0F, 0x20, static_cast<u8>(mod | scene.dice.below(5) << 3 | 1)});
  scene.cases([&](Draft& d) { d.level(mostly_supervisor(scene)); });
}

/// LOCK MOV CR0 is CR8 with AMD only.
void write_lock(Scene& scene) {
  scene.code(Mode::kUser64, {0xF0, 0x0F, static_cast<u8>(scene.dice.coin() ? 0x20 : 0x22), 0xC1});
  scene.cases([&](Draft& d) {
    d.level(mostly_supervisor(scene));
    d.reg(kRcx) = kStandardCr0;
  });
}

void write_xsetbv(Scene& scene, bool code64) {
  Dice& dice = scene.dice;
  scene.code(mode_of(code64), {0x0F, 0x01, 0xD1});
  scene.cases([&](Draft& d) {
    d.level(mostly_supervisor(scene));
    d.reg(kRcx) = dice.percent(80) ? 0 : dice.below(4);
    if (code64 && dice.coin()) d.reg(kRcx) |= dice.bits() << 32;
    d.reg(kRax) = dice.percent(70) ? dice.below(4) : dice.bits();
    d.reg(kRdx) = dice.percent(80) ? 0 : dice.bits();
    if (!code64) {
      d.reg(kRax) = static_cast<u32>(d.reg(kRax));
      d.reg(kRdx) = static_cast<u32>(d.reg(kRdx));
    }
    if (dice.one_in(5)) d.cr(4, kStandardCr4 & ~cr4::kOsxsave);
  });
}

void write_xgetbv(Scene& scene, bool code64) {
  Dice& dice = scene.dice;
  scene.code(mode_of(code64), {0x0F, 0x01, 0xD0});
  scene.cases([&](Draft& d) {
    d.level(scene.cpl());
    d.reg(kRcx) = dice.percent(80) ? 0 : dice.below(4);
    if (dice.coin()) d.step(StepKind::kXcr0, 0, 1 + 2 * dice.below(2));
    if (dice.one_in(5)) d.cr(4, kStandardCr4 & ~cr4::kOsxsave);
  });
}

}  // namespace

void add_control_registers(Scenarios& list) {
  for (const bool code64 : {true, false}) {
    const char* suffix = code64 ? "" : " [32]";
    const auto add = [&](const char* name, std::function<void(Scene&)> write) {
      list.push_back({fmt::format("{}{}", name, suffix), name, std::move(write)});
    };
    add("mov cr0, r", [=](Scene& s) { write_cr0(s, code64); });
    add("mov cr3, r", [=](Scene& s) { write_cr3(s, code64); });
    add("mov cr4, r", [=](Scene& s) { write_cr4(s, code64); });
    add("mov r, cr", [=](Scene& s) { write_from(s, code64); });
    add("mov of a control register that is not there", [=](Scene& s) { write_missing(s, code64); });
    add("xsetbv", [=](Scene& s) { write_xsetbv(s, code64); });
    add("xgetbv", [=](Scene& s) { write_xgetbv(s, code64); });
  }
  list.push_back({"mov cr8, r", "mov cr8", write_cr8});
  list.push_back({"mov cr2, r", "mov cr2", write_cr2});
  list.push_back({"mov r, cr with any mod", "mov r, cr", write_mod_ignored});
  list.push_back({"lock mov cr0", "lock mov cr", write_lock});
}

}  // namespace bhvm::oracle
