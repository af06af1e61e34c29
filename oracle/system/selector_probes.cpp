// LAR, LSL, VERR, VERW, ARPL: instructions that look at a descriptor and change nothing.
#include <fmt/format.h>

#include "oracle/system/scenario.h"

namespace bhvm::oracle {
namespace {

struct Probe {
  const char* name;
  u8 opcode[2];
  u8 modrm_register;  // with rax as r/m
  u8 modrm_memory;    // with [rbx]
  bool sized;         // has a destination whose size matters
};
constexpr Probe kProbes[] = {
    {"lar", {0x0F, 0x02}, 0xC8, 0x0B, true},
    {"lsl", {0x0F, 0x03}, 0xC8, 0x0B, true},
    {"verr", {0x0F, 0x00}, 0xE0, 0x23, false},
    {"verw", {0x0F, 0x00}, 0xE8, 0x2B, false},
};

u16 draw_selector(Scene& scene, Draft& d) {
  Dice& dice = scene.dice;
  const u16 rpl = static_cast<u16>(dice.below(4));
  switch (dice.below(12)) {
    case 0:
      return rpl;
    case 10:
      // Behind the page's end: nothing is there to be read.
      d.gdt(layout::kEdgeBeforeUnmapped - layout::kEdgeGdtBytes, layout::kEdgeGdtBytes + 0x17);
      return static_cast<u16>((layout::kEdgeGdtBytes + 8 * dice.below(3)) | rpl);
    case 1:
      return static_cast<u16>(layout::kGdtLimit + 1 + dice.below(0xFD00));
    case 2: {
      const u16 selector = layout::local_slot(dice.below(layout::kLocalSlots));
      if (dice.coin()) d.ldt();
      d.descriptor(selector, scene.any_segment(false).raw());
      return static_cast<u16>(selector | rpl);
    }
    case 3:
      return static_cast<u16>(dice.below(layout::kLocalTable / 8 + 4) << 3 | rpl);
    case 4:
    case 5: {
      // System descriptors: 16 bytes in IA-32e mode, the upper type field sometimes not 0.
      const u16 selector = layout::slot(dice.below(layout::kSlots));
      SegmentImage image = scene.any_segment(false);
      image.non_system = false;
      d.descriptor(selector, image.raw());
      d.poke(layout::descriptor_linear(selector) + 8, dice.one_in(4) ? dice.bits() : 0);
      if (dice.one_in(4)) d.gdt(layout::kGdt, static_cast<u16>(selector + 7 + 8 * dice.below(2)));
      return static_cast<u16>(selector | rpl);
    }
    default: {
      const u16 selector = layout::slot(dice.below(layout::kSlots));
      d.descriptor(selector, scene.any_segment(false).raw());
      return static_cast<u16>(selector | rpl);
    }
  }
}

void write_probe(Scene& scene, const Probe& probe, bool code64) {
  const bool memory = scene.dice.one_in(3);
  Code code;
  if (probe.sized && scene.dice.one_in(3)) {
    code.add({0x66});
  } else if (probe.sized && code64 && scene.dice.coin()) {
    code.add({0x48});
  }
  code.add({probe.opcode[0], probe.opcode[1], memory ? probe.modrm_memory : probe.modrm_register});
  scene.code(code64 ? Mode::kUser64 : Mode::kUser32, code);
  scene.cases([&](Draft& d) {
    d.level(scene.cpl());
    const u16 selector = draw_selector(scene, d);
    if (memory) {
      d.poke(d.reg(kRbx), selector, 2);
    } else {
      d.reg(kRax) = (d.reg(kRax) & ~u64{0xFFFF}) | selector;
    }
  });
}

void write_arpl(Scene& scene) {
  const bool memory = scene.dice.coin();
  scene.code(Mode::kUser32, {0x63, static_cast<u8>(memory ? 0x0B : 0xC8)});
  scene.cases([&](Draft& d) {
    d.level(scene.cpl());
    if (memory) d.poke(d.reg(kRbx), scene.dice.bits(), 2);
  });
}

}  // namespace

void add_selector_probes(Scenarios& list) {
  for (const bool code64 : {true, false}) {
    for (const Probe& probe : kProbes) {
      list.push_back({fmt::format("{}{}", probe.name, code64 ? "" : " [32]"), probe.name,
                      [&probe, code64](Scene& s) { write_probe(s, probe, code64); }});
    }
  }
  list.push_back({"arpl [32]", "arpl", write_arpl});
}

}  // namespace bhvm::oracle
