// IRET in its three sizes, from every level to every level.
#include <fmt/format.h>

#include "oracle/system/scenario.h"

namespace bhvm::oracle {
namespace {

struct Frame {
  u64 rip = 0;
  u64 cs = 0;
  u64 flags = 0;
  u64 rsp = 0;
  u64 ss = 0;
};

Frame draw_frame(Scene& scene, Draft& d, u8 level, unsigned size) {
  Dice& dice = scene.dice;
  Frame f;
  const u8 target = dice.percent(80) ? static_cast<u8>(level + dice.below(4u - level)) : scene.cpl();
  const u16 code_slot = layout::slot(dice.below(8));
  const u16 stack_slot = layout::slot(8 + dice.below(8));
  SegmentImage code{.type = kTypeCode, .dpl = target};
  code.long_code = dice.coin();
  code.big = !code.long_code;
  if (dice.one_in(3)) code = scene.likely_code(dice.coin(), target);
  SegmentImage stack{.type = kTypeData, .dpl = target};
  f.cs = static_cast<u16>(code_slot | target);
  f.ss = static_cast<u16>(stack_slot | target);
  f.rip = scene.landing();
  f.rsp = layout::kUserStack - 0x200 + dice.below(64);
  switch (dice.below(24)) {
    case 0:
      f.cs ^= dice.below(4);
      break;
    case 1:
      f.cs = dice.below(4);
      break;
    case 2:
      f.cs = dice.below(layout::kGdtLimit + 32);
      break;
    case 3:
      f.ss ^= dice.below(4);
      break;
    case 4:
    case 5:
      f.ss = dice.below(4);
      break;
    case 6:
      f.ss = dice.below(layout::kGdtLimit + 32);
      break;
    case 7:
      stack = scene.any_segment(true);
      break;
    case 8:
      stack.present = false;
      break;
    case 9:
      if (size == 8) f.rip = scene.non_canonical();
      break;
    case 10:
      if (size == 8) f.rsp = scene.non_canonical();
      break;
    case 11:
      stack.type = static_cast<u8>(stack.type & ~kTypeAccessed);
      code.type = static_cast<u8>(code.type & ~kTypeAccessed);
      break;
    case 12:
      if (!code.long_code) {
        code.granularity = false;
        code.limit = static_cast<u32>(dice.bits() & 0xFFFFF);
      }
      break;
    default:
      break;
  }
  if (size == 2) {
    // A 16-bit rip: the segment begins where the code is, or the address lies in the void.
    if (!code.long_code) code.base = static_cast<u32>(layout::kUserCode);
    f.rip = layout::kLandingFrom + dice.below(64);
  }
  d.descriptor(code_slot, code.raw());
  d.descriptor(stack_slot, stack.raw());
  // IRETD with VM would put QEMU into virtual-8086 mode, which IA-32e mode does not have: it comes back broken.
  const u64 unusual = rflags::kTf | rflags::kRf | rflags::kVif | rflags::kVip | (size == 8 ? rflags::kVm : 0);
  f.flags = dice.bits() & 0x3F7FD7 & ~(unusual | rflags::kVm | rflags::kAc | rflags::kNt);
  f.flags |= scene.few_of(unusual | rflags::kNt);
  if (size == 8 && dice.one_in(8)) f.flags |= dice.bits() & 0xFFFFFFFFFFC00000;
  return f;
}

void write_iret(Scene& scene, unsigned size, bool code64) {
  Dice& dice = scene.dice;
  Code code;
  if (size == 8) code.add({0x48});
  if (size == 2) code.add({0x66});
  code.add({0xCF});
  scene.code(code64 ? Mode::kUser64 : Mode::kUser32, code);
  scene.cases([&](Draft& d) {
    const u8 level = scene.cpl();
    d.level(level);
    const Frame f = draw_frame(scene, d, level, size);
    const u64 noise = dice.bits() << 16;
    d.poke_values(d.reg(kRsp), {f.rip, f.cs | noise, f.flags, f.rsp, f.ss | noise}, size);
    if (dice.one_in(4)) d.flags(dice.bits() & rflags::kIopl);
    if (dice.one_in(24)) d.flags(rflags::kNt);
    if (dice.one_in(16)) {
      const u64 at = page_linear(kStackTopPage) - size * dice.below(5);
      d.reg(kRsp) = at;
    }
    if (dice.one_in(4)) {
      // Data segments that an outer level may not keep.
      const u16 data_slot = layout::slot(16);
      SegmentImage data{.type = kTypeData, .dpl = scene.cpl()};
      if (dice.one_in(3)) data.type = kTypeConforming;
      d.descriptor(data_slot, data.raw());
      for (const u32 index : {0u, 3u, 4u, 5u}) {
        if (dice.coin()) d.segment(index, static_cast<u16>(dice.one_in(4) ? dice.below(4) : data_slot));
      }
    }
  });
}

/// Returns from a page that holds the frame's end only, or a stack that cannot be read.
void write_bad_stack(Scene& scene) {
  Dice& dice = scene.dice;
  scene.code(Mode::kUser64, {0x48, 0xCF});
  scene.cases([&](Draft& d) {
    d.level(scene.cpl());
    d.reg(kRsp) =
        dice.one_in(3) ? scene.non_canonical() : page_linear(kStackTopPage) - 8 * dice.below(6) - dice.below(8);
  });
}

}  // namespace

void add_interrupt_returns(Scenarios& list) {
  constexpr const char* kNames[] = {"", "", "iret", "", "iretd", "", "", "", "iretq"};
  for (const bool code64 : {true, false}) {
    for (const unsigned size : {8u, 4u, 2u}) {
      if (size == 8 && !code64) continue;
      list.push_back({fmt::format("{}{}", kNames[size], code64 ? "" : " [32]"), kNames[size],
                      [=](Scene& s) { write_iret(s, size, code64); }});
    }
  }
  list.push_back({"iretq from a stack that ends", "iretq", write_bad_stack});
}

}  // namespace bhvm::oracle
