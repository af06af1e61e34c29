// Page tables: every combination of entry bits with CR0.WP, SMEP, SMAP, NXE and AC, for data and for code.
#include <fmt/format.h>

#include "oracle/system/scenario.h"

namespace bhvm::oracle {
namespace {

constexpr u64 kPresent = 1, kWritable = 2, kUser = 4, kWriteThrough = 8, kCacheDisable = 16, kGlobal = 0x100;
constexpr u64 kIgnored = 0xE00 | (u64{0x7F} << 52);
constexpr u64 kReserved = u64{0x3F} << 46;  // physical addresses have 46 bits
constexpr u64 kExecuteDisable = u64{1} << 63;

u64 draw_entry(Scene& scene) {
  Dice& dice = scene.dice;
  u64 entry = dice.bits() & (kPresent | kWritable | kUser | kExecuteDisable | kPteAccessed | kPteDirty);
  if (dice.percent(75)) entry |= kPresent;
  if (dice.one_in(4)) entry |= dice.bits() & (kWriteThrough | kCacheDisable | kGlobal);
  if (dice.one_in(4)) entry |= dice.bits() & kIgnored;
  if (dice.one_in(8)) entry |= u64{1} << (46 + dice.below(6));
  if (dice.one_in(8)) entry |= dice.bits() & kReserved;
  return entry;
}

/// SMEP, SMAP, WP, NXE, AC at random.
void draw_controls(Scene& scene, Draft& d, bool smep) {
  Dice& dice = scene.dice;
  u64 cr4_value = kStandardCr4;
  if (smep && dice.one_in(3)) cr4_value |= cr4::kSmep;
  if (dice.one_in(3)) cr4_value |= cr4::kSmap;
  if (cr4_value != kStandardCr4) d.cr(4, cr4_value);
  if (dice.one_in(3)) d.cr(0, kStandardCr0 & ~cr0::kWp);
}
/// EFER.NXE off makes bit 63 a reserved bit everywhere: the case's stack and tables must do without.
void draw_nxe(Scene& scene, Draft& d) {
  if (!scene.dice.one_in(6)) return;
  forbid_execute_disable(d);
  d.msr(0xC0000080, kStandardEfer & ~efer::kNxe);
}

struct Access {
  const char* name;
  std::initializer_list<u8> code64;
  std::initializer_list<u8> code32;
  unsigned size;
};
constexpr Access kAccesses[] = {
    {"read", {0x8B, 0x03}, {0x8B, 0x03}, 4},
    {"write", {0x89, 0x03}, {0x89, 0x03}, 4},
    {"read-modify-write", {0x48, 0x01, 0x03}, {0x01, 0x03}, 8},
    {"lock cmpxchg", {0xF0, 0x0F, 0xB1, 0x0B}, {0xF0, 0x0F, 0xB1, 0x0B}, 4},
    {"read of 16 bytes", {0x0F, 0x10, 0x03}, {0x0F, 0x10, 0x03}, 16},
    {"write of 16 bytes", {0x0F, 0x11, 0x03}, {0x0F, 0x11, 0x03}, 16},
    {"movsb", {0xA4}, {0xA4}, 1},
    {"prefetch", {0x0F, 0x18, 0x0B}, {0x0F, 0x18, 0x0B}, 1},
    {"clflush", {0x0F, 0xAE, 0x3B}, {0x0F, 0xAE, 0x3B}, 1},
    {"push", {0x50}, {0x50}, 8},
    {"pop", {0x58}, {0x58}, 8},
    {"fxsave", {0x0F, 0xAE, 0x03}, {0x0F, 0xAE, 0x03}, 512},
};

/// An access in or across pages 7 and 8, whose entries are whatever they are.
void write_data(Scene& scene, const Access& access, bool code64) {
  Dice& dice = scene.dice;
  const bool supervisor = dice.coin();
  scene.code(code64 ? Mode::kUser64 : Mode::kUser32, Code(code64 ? access.code64 : access.code32),
             (supervisor ? layout::kSupervisorCode : layout::kUserCode) + dice.below(0x400));
  scene.cases([&](Draft& d) {
    d.level(supervisor ? static_cast<u8>(dice.percent(80) ? 0 : dice.below(3)) : u8{3});
    if (!supervisor && dice.one_in(4)) d.level(scene.cpl());
    const bool across = access.size > 1 && access.size < 512 && dice.one_in(3);
    u64 at = page_linear(7) + (across ? kPageBytes - 1 - dice.below(access.size - 1) : 16 * dice.below(128));
    if (access.size == 512) at = page_linear(7) + (dice.coin() ? 0x600 : 0xF00);
    d.reg(kRbx) = at;
    d.reg(kRdi) = at;
    d.reg(kRsi) = page_linear(12) + dice.below(0x800);
    if (access.size == 8 && (access.name[0] == 'p')) d.reg(kRsp) = at;
    d.pte(7, draw_entry(scene));
    if (across || access.size == 512) d.pte(8, draw_entry(scene));
    draw_controls(scene, d, supervisor);
    if (dice.one_in(3) && (d.input.cs & 3) != 3) d.flags(rflags::kAc);
    draw_nxe(scene, d);
  });
}

/// Code in pages 27 and 28, whose entries are whatever they are.
void write_fetch(Scene& scene, bool code64) {
  Dice& dice = scene.dice;
  // jmp rax, call rax, ret
  Code code = dice.coin() ? Code{0xFF, 0xE0} : dice.coin() ? Code{0xFF, 0xD0} : Code{0xC3};
  const bool supervisor = dice.coin();
  scene.code(code64 ? Mode::kUser64 : Mode::kUser32, code,
             (supervisor ? layout::kSupervisorCode : layout::kUserCode) + dice.below(0x400));
  scene.cases([&](Draft& d) {
    d.level(supervisor ? static_cast<u8>(dice.below(3)) : u8{3});
    const bool across = dice.one_in(3);
    const u64 at = page_linear(28) - (across ? 1 + dice.below(4) : 0x100);
    // mov ecx, imm32: five bytes, then INT3
    const u64 instruction = 0xB9 | (dice.bits() & 0xFFFFFFFF) << 8;
    d.poke(at, instruction, 5);
    d.reg(kRax) = at;
    d.poke(d.reg(kRsp), at);
    d.pte(27, draw_entry(scene));
    if (across) d.pte(28, draw_entry(scene));
    draw_controls(scene, d, supervisor);
    draw_nxe(scene, d);
  });
}

/// Implicit supervisor accesses to tables in user pages under SMAP, and to read-only ones under WP.
void write_implicit(Scene& scene) {
  Dice& dice = scene.dice;
  scene.code(Mode::kUser64, {0x8E, 0xE0});  // mov fs, eax
  scene.cases([&](Draft& d) {
    const u8 level = scene.cpl();
    d.level(level);
    const u16 selector = layout::slot(dice.below(layout::kSlots));
    d.descriptor(selector, SegmentImage{.type = static_cast<u8>(2 + dice.below(2)), .dpl = 3}.raw());
    d.reg(kRax) = selector | 3;
    const u64 writable = dice.coin() ? kWritable : 0;
    d.pte(20, kPresent | writable | kExecuteDisable | (dice.coin() ? kUser : 0) |
                  (dice.bits() & (kPteAccessed | kPteDirty)));
    if (dice.one_in(3)) d.cr(0, kStandardCr0 & ~cr0::kWp);
    if (dice.one_in(4)) d.flags(level != 3 ? rflags::kAc : 0);
  });
}

/// What an INVLPG, a reload of CR3 or a write of CR4.PGE lets the processor see. The entry is changed by the code
/// itself, through the direct map.
void write_stale(Scene& scene) {
  Dice& dice = scene.dice;
  enum : u8 { kInvlpg, kCr3, kPge, kUpgrade };
  const u8 how = static_cast<u8>(dice.below(4));
  Code code;
  code.add({0x8B, 0x0B});        // mov ecx, [rbx]: the translation is known now
  code.add({0x48, 0x89, 0x07});  // mov [rdi], rax: the entry
  switch (how) {
    case kInvlpg:
      code.add({0x0F, 0x01, 0x3B});  // invlpg [rbx]
      break;
    case kCr3:
      code.add({0x0F, 0x20, 0xDA, 0x0F, 0x22, 0xDA});  // mov rdx, cr3; mov cr3, rdx
      break;
    case kPge:
      code.add({0x0F, 0x22, 0xE6, 0x0F, 0x22, 0xE5});  // mov cr4, rsi; mov cr4, rbp
      break;
    default:
      break;
  }
  const bool write = dice.coin();
  code.add({static_cast<u8>(write ? 0x89 : 0x8B), 0x13});  // mov [rbx], edx or mov edx, [rbx]
  scene.code(Mode::kKernel64, code, layout::kSupervisorCode + dice.below(0x400));
  scene.cases([&](Draft& d) {
    const unsigned page = 7;
    d.reg(kRbx) = page_linear(page) + 4 * dice.below(0x3FF);
    d.reg(kRdi) = kDirectMap + guest_addresses().region_table + 8 * page;
    d.reg(kRsi) = kStandardCr4 & ~cr4::kPge;
    d.reg(kRbp) = kStandardCr4;
    // Another page behind the entry, for reads alone: what is written must be found again.
    const u64 place = kRegionPhysical + kPageBytes * (write || dice.coin() ? page : page + 1u);
    u64 before = kPresent | kUser | kExecuteDisable | kPteAccessed | (how == kCr3 ? 0 : kGlobal & dice.bits());
    u64 after = before;
    if (how == kUpgrade) {
      // More rights at the same place: seen at once, or after one fault that the processor may not raise (SDM 3,
      // 4.10.4.3 lets it): a read-only page stays read-only for reads.
      after |= kWritable | kPteDirty;
      if (write) before |= kWritable | kPteDirty;
      d.reg(kRax) = after | (kRegionPhysical + kPageBytes * page);
    } else {
      before |= kWritable;
      after = draw_entry(scene);
      d.reg(kRax) = after | place;
    }
    d.pte(page, before);
  });
}

}  // namespace

void add_paging(Scenarios& list) {
  for (const bool code64 : {true, false}) {
    const char* suffix = code64 ? "" : " [32]";
    for (const Access& access : kAccesses) {
      list.push_back({fmt::format("page entries under a {}{}", access.name, suffix), access.name,
                      [&access, code64](Scene& s) { write_data(s, access, code64); }});
    }
    list.push_back(
        {fmt::format("page entries under a fetch{}", suffix), "fetch", [code64](Scene& s) { write_fetch(s, code64); }});
  }
  list.push_back({"page entries under the gdt", "implicit access", write_implicit});
  list.push_back({"page entries changed and invalidated", "invlpg", write_stale});
}

}  // namespace bhvm::oracle
