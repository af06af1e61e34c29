// Far JMP, CALL and RET: direct, through call gates, with stacks from the TSS.
#include <fmt/format.h>

#include "oracle/system/scenario.h"

namespace bhvm::oracle {
namespace {

enum class Branch : u8 { kJump, kCall };

/// Where a far branch goes and what can be wrong about it. Returns the selector.
struct Target {
  u16 selector = 0;
  u64 offset = 0;
};

u16 any_selector(Scene& scene) {
  const u16 index = static_cast<u16>(scene.dice.below(layout::kLocalTable / 8 + 4) << 3);
  return static_cast<u16>(index | scene.dice.below(4));
}

u64 draw_offset(Scene& scene, bool long_code) {
  if (long_code && scene.dice.one_in(8)) return scene.non_canonical();
  return scene.landing();
}

/// A code segment in a slot, direct.
Target direct_target(Scene& scene, Draft& d, u8 level) {
  Dice& dice = scene.dice;
  const u16 slot = layout::slot(dice.below(layout::kSlots));
  const bool long_code = dice.coin();
  SegmentImage image = scene.likely_code(long_code, level);
  u64 offset = draw_offset(scene, image.long_code);
  if (!image.long_code && dice.one_in(4)) {
    image.granularity = false;
    image.base = static_cast<u32>(layout::kUserCode);
    image.limit = 0xFFF;
    offset = dice.coin() ? 0xFFF + dice.below(3) : layout::kLandingFrom + dice.below(layout::kLandingBytes / 2);
  }
  d.descriptor(slot, image.raw());
  const u16 rpl = dice.percent(80) ? level : static_cast<u16>(dice.below(4));
  return {static_cast<u16>(slot | rpl), offset};
}

/// A call gate in a slot to a code segment in another.
Target gate_target(Scene& scene, Draft& d, u8 level) {
  Dice& dice = scene.dice;
  const u16 gate_slot = layout::slot(dice.below(8));
  const u16 code_slot = layout::slot(8 + dice.below(8));
  const u8 inner = static_cast<u8>(dice.below(level + 1u));
  SegmentImage code = scene.likely_code(true, inner);
  GateImage gate{.type = kTypeCallGate, .dpl = 3, .offset = scene.landing()};
  gate.selector = static_cast<u16>(code_slot | dice.below(4));
  const u32 flaw = dice.below(14);
  if (flaw < Scene::kGateFlaws) scene.spoil(gate, flaw);
  switch (flaw) {
    case 3:
      gate.upper_reserved = static_cast<u32>(dice.bits());
      break;
    case 4:
      gate.upper_reserved = dice.below(32) << 8;
      break;
    case 5:
      gate.offset = scene.non_canonical();
      break;
    case 6:
      gate.selector = static_cast<u16>(dice.below(4));
      break;
    case 7:
      gate.selector = any_selector(scene);
      break;
    case 8:
      code.long_code = false;
      code.big = true;
      break;
    case 9:
      gate.ist = static_cast<u8>(dice.bits());
      break;
    default:
      break;
  }
  d.descriptor(code_slot, code.raw());
  d.descriptor(gate_slot, gate);
  if (dice.one_in(10)) d.gdt(layout::kGdt, static_cast<u16>(gate_slot + 15 - dice.below(9)));
  const u16 rpl = dice.percent(80) ? level : static_cast<u16>(dice.below(4));
  return {static_cast<u16>(gate_slot | rpl), dice.bits()};
}

Target draw_target(Scene& scene, Draft& d, u8 level, bool gate) {
  Dice& dice = scene.dice;
  switch (dice.below(12)) {
    case 0:
      return {static_cast<u16>(dice.below(4)), scene.landing()};
    case 1:
      return {static_cast<u16>(layout::kGdtLimit + 1 + dice.below(0xFD00)), scene.landing()};
    case 2:
      return {any_selector(scene), scene.landing()};
    default:
      return gate ? gate_target(scene, d, level) : direct_target(scene, d, level);
  }
}

/// What can be wrong about the stack that a gate to an inner level takes from the TSS.
void bend_tss(Scene& scene, Draft& d) {
  Dice& dice = scene.dice;
  const unsigned level = dice.below(3);
  switch (dice.below(8)) {
    case 0:
      d.poke(layout::tss_rsp(level), scene.non_canonical());
      break;
    case 1:
      d.poke(layout::tss_rsp(level), page_linear(24) + dice.below(48));  // runs into page 23, or not
      d.pte(23, dice.coin() ? 0 : pte_bits(PageKind::kReadOnly));
      break;
    case 2:
      d.poke(layout::tss_rsp(level), layout::kStack0 - dice.below(64));
      break;
    case 3:
      d.poke(layout::tss_rsp(level), layout::kUserStack);
      break;
    case 4: {
      // RSP1 or RSP2 beyond the limit. So is IST 1: what ends the case comes through RSP0.
      const SegmentImage image{.type = kTypeTss,
                               .non_system = false,
                               .big = false,
                               .granularity = false,
                               .base = static_cast<u32>(layout::kTss),
                               .limit = 11 + dice.below(17)};
      d.descriptor(kTaskState, image.raw());
      for (const unsigned vector : {3u, 8u, 10u, 11u, 12u, 13u, 14u}) {
        const u8 dpl = vector == 3 ? 3 : 0;
        d.gate(vector, {.dpl = dpl, .selector = kKernelCode64, .offset = guest_addresses().stub(vector)});
      }
      d.idt();
      break;
    }
    default:
      break;
  }
}

void write_branch(Scene& scene, Branch branch, bool code64, bool gate) {
  Dice& dice = scene.dice;
  const u8 by_memory = branch == Branch::kJump ? 0x2B : 0x1B;  // [rbx]
  const bool immediate = !code64 && dice.coin();
  unsigned size = 4;
  Code code;
  const u16 fixed_slot = layout::slot(20);
  u64 fixed_offset = 0;
  if (immediate) {
    fixed_offset = scene.landing();
    code.add({static_cast<u8>(branch == Branch::kJump ? 0xEA : 0x9A)})
        .immediate(fixed_offset, 4)
        .immediate(fixed_slot | 3, 2);
  } else {
    if (code64 && dice.one_in(3)) {
      code.add({0x48});
      size = 8;
    } else if (gate && dice.one_in(3)) {
      code.add({0x66});  // a 16-bit offset, of no matter where a gate says where to go
      size = 2;
    }
    code.add({0xFF, by_memory});
  }
  scene.code(code64 ? Mode::kUser64 : Mode::kUser32, code);
  scene.cases([&](Draft& d) {
    const u8 level = scene.cpl();
    d.level(level);
    Target target;
    if (immediate) {
      SegmentImage image = scene.likely_code(dice.coin(), level);
      GateImage to{.type = kTypeCallGate, .dpl = 3, .selector = kKernelCode64, .offset = scene.landing()};
      if (gate) {
        d.descriptor(fixed_slot, to);
      } else {
        d.descriptor(fixed_slot, image.raw());
      }
    } else {
      target = draw_target(scene, d, level, gate);
      d.poke(d.reg(kRbx), target.offset, size);
      d.poke(d.reg(kRbx) + size, target.selector, 2);
    }
    if (gate) {
      bend_tss(scene, d);
      d.tss();
    }
    if (branch == Branch::kCall && dice.one_in(8)) {
      // The push of the return address fails, wholly or in its second half.
      d.reg(kRsp) = page_linear(17) + dice.below(3) * 4;
    }
    if (code64 && branch == Branch::kCall && dice.one_in(12)) d.reg(kRsp) = scene.non_canonical();
  });
}

/// RET far: same level, outer level; bad CS, bad SS, data segments that the outer level may not keep.
void write_return(Scene& scene, bool code64, bool drops) {
  Dice& dice = scene.dice;
  unsigned size = 4;
  Code code;
  if (code64 && dice.coin()) {
    code.add({0x48});
    size = 8;
  }
  const u16 dropped = static_cast<u16>(dice.coin() ? 8 * dice.below(8) : dice.below(64));
  if (drops) {
    code.add({0xCA}).immediate(dropped, 2);
  } else {
    code.add({0xCB});
  }
  scene.code(code64 ? Mode::kUser64 : Mode::kUser32, code);
  scene.cases([&](Draft& d) {
    const u8 level = scene.cpl();
    d.level(level);
    const u8 target_level = dice.percent(75) ? static_cast<u8>(level + dice.below(4u - level)) : scene.cpl();
    const u16 code_slot = layout::slot(dice.below(8));
    const u16 stack_slot = layout::slot(8 + dice.below(8));
    const SegmentImage image = scene.likely_code(dice.coin(), target_level);
    d.descriptor(code_slot, image.raw());
    u16 cs = static_cast<u16>(code_slot | target_level);
    if (dice.one_in(10)) cs = static_cast<u16>(cs ^ dice.below(4));
    if (dice.one_in(12)) cs = dice.coin() ? static_cast<u16>(dice.below(4)) : any_selector(scene);
    SegmentImage stack{.type = kTypeData, .dpl = target_level};
    u16 ss = static_cast<u16>(stack_slot | target_level);
    switch (dice.below(10)) {
      case 0:
        ss = static_cast<u16>(dice.below(4));
        break;
      case 1:
        ss = any_selector(scene);
        break;
      case 2:
        stack.present = false;
        break;
      case 3:
        stack = scene.any_segment(true);
        break;
      case 4:
        ss = static_cast<u16>(ss ^ dice.below(4));
        break;
      default:
        break;
    }
    d.descriptor(stack_slot, stack.raw());
    // Data segments that may have to go.
    if (dice.one_in(3)) {
      const u16 data_slot = layout::slot(16);
      SegmentImage data = scene.any_segment(true);
      data.non_system = data.present = true;
      data.type = dice.coin() ? kTypeData : dice.coin() ? kTypeCode : kTypeConforming;
      d.descriptor(data_slot, data.raw());
      for (const u32 index : {0u, 3u, 4u, 5u}) {
        if (dice.coin()) d.segment(index, data_slot);
      }
    }
    const u64 rip = size == 8 && dice.one_in(8) ? scene.non_canonical() : scene.landing();
    u64 rsp = layout::kUserStack - 0x200 + dice.below(64);
    if (size == 8 && dice.one_in(12)) rsp = scene.non_canonical();
    const u64 at = d.reg(kRsp);
    const u64 noise = dice.bits() << 16;
    d.poke_values(at, {rip, cs | noise}, size);
    d.poke_values(at + 2 * size + (drops ? dropped : 0), {rsp, ss | noise}, size);
    if (dice.one_in(16)) d.reg(kRsp) = page_linear(kStackTopPage) - size * dice.below(4);
  });
}

/// A call gate or far branch in LDT.
void write_local(Scene& scene) {
  Dice& dice = scene.dice;
  const bool jump = dice.coin();
  scene.code(Mode::kUser64, {0x48, 0xFF, static_cast<u8>(jump ? 0x2B : 0x1B)});
  scene.cases([&](Draft& d) {
    const u8 level = scene.cpl();
    d.level(level);
    const u16 code_slot = layout::local_slot(dice.below(8));
    const u16 gate_slot = layout::local_slot(8 + dice.below(8));
    d.descriptor(code_slot, scene.likely_code(true, level).raw());
    GateImage gate{.type = kTypeCallGate, .dpl = 3, .selector = code_slot, .offset = scene.landing()};
    d.descriptor(gate_slot, gate);
    if (dice.percent(75)) d.ldt();
    d.tss();
    const u16 selector = static_cast<u16>((dice.coin() ? code_slot : gate_slot) | level);
    d.poke(d.reg(kRbx), scene.landing());
    d.poke(d.reg(kRbx) + 8, selector, 2);
  });
}

}  // namespace

void add_far_transfers(Scenarios& list) {
  for (const bool code64 : {true, false}) {
    const char* suffix = code64 ? "" : " [32]";
    for (const Branch branch : {Branch::kJump, Branch::kCall}) {
      const char* name = branch == Branch::kJump ? "jmp far" : "call far";
      for (const bool gate : {false, true}) {
        list.push_back({fmt::format("{}{}{}", name, gate ? " through a gate" : "", suffix), name,
                        [=](Scene& s) { write_branch(s, branch, code64, gate); }});
      }
    }
    list.push_back({fmt::format("ret far{}", suffix), "ret far", [=](Scene& s) { write_return(s, code64, false); }});
    list.push_back(
        {fmt::format("ret far imm16{}", suffix), "ret far", [=](Scene& s) { write_return(s, code64, true); }});
  }
  list.push_back({"far branches into the ldt", "far ldt", write_local});
}

}  // namespace bhvm::oracle
