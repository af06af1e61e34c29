// Faults in the delivery of faults: what becomes a double fault, what a shutdown (SDM 3, tables 6-4 and 6-5).
#include <fmt/format.h>

#include "oracle/system/scenario.h"

namespace bhvm::oracle {
namespace {

struct First {
  const char* name;
  std::initializer_list<u8> code;
  u8 vector;
};
constexpr First kFirst[] = {
    {"#de", {0x31, 0xC9, 0xF7, 0xF1}, 0},         // xor ecx, ecx; div ecx
    {"#ud", {0x0F, 0x0B}, 6},                     // ud2
    {"#gp", {0xCD, 0x70}, 13},                    // int 70h: DPL 0
    {"#pf", {0x8B, 0x04, 0x25, 0, 0, 0, 0}, 14},  // mov eax, [0]
    {"#np", {0x8E, 0xE0}, 11},                    // mov fs, eax
    {"#bp", {0xCC}, 3},
};

/// A gate that cannot be used, and the fault that this is.
GateImage broken_gate(Scene& scene, unsigned vector) {
  Dice& dice = scene.dice;
  GateImage gate{.ist = 1, .selector = kKernelCode64, .offset = guest_addresses().stub(vector)};
  if (vector == 3) gate.dpl = 3;
  switch (dice.below(6)) {
    case 0:
      gate.present = false;  // #NP
      break;
    case 1:
      gate.type = 0;  // #GP
      break;
    case 2:
      gate.selector = 0;  // #GP
      break;
    case 3:
      gate.selector = layout::slot(0);  // an absent code segment: #NP
      break;
    case 4:
      gate.ist = 2;  // a stack that is no address: #SS; or none: #PF
      break;
    default:
      gate.ist = 3;
      break;
  }
  return gate;
}

void write_nested(Scene& scene, const First& first) {
  Dice& dice = scene.dice;
  scene.code(dice.coin() ? Mode::kUser64 : Mode::kUser32, Code(first.code));
  scene.cases([&](Draft& d) {
    d.level(first.vector == 13 ? static_cast<u8>(1 + dice.below(3)) : scene.cpl());
    d.descriptor(layout::slot(0),
                 SegmentImage{.type = kTypeCode, .present = false, .long_code = true, .big = false}.raw());
    d.descriptor(layout::slot(1), SegmentImage{.type = kTypeData, .dpl = 3, .present = false}.raw());
    d.reg(kRax) = layout::slot(1) | 3;
    d.poke(layout::tss_ist(2), scene.non_canonical());
    d.poke(layout::tss_ist(3), page_linear(dice.coin() ? 30 : 10) + dice.below(16));
    constexpr u8 kSecond[] = {10, 11, 12, 13, 14};
    d.gate(first.vector, broken_gate(scene, first.vector));
    for (const u8 vector : kSecond) {
      if (vector != first.vector && dice.one_in(5)) d.gate(vector, broken_gate(scene, vector));
    }
    // A broken gate of #DF is a shutdown, which costs QEMU a reset.
    if (dice.one_in(64)) d.gate(8, broken_gate(scene, 8));
    d.tss();
    d.idt();
  });
}

/// No way out: shutdown.
void write_shutdown(Scene& scene) {
  Dice& dice = scene.dice;
  scene.code(Mode::kUser64, {0x0F, 0x0B});
  Draft d = scene.add();
  d.level(scene.cpl());
  switch (dice.below(3)) {
    case 0:
      d.idt(layout::kIdt, static_cast<u16>(dice.below(6 * 16)));
      break;
    case 1:
      d.idt(page_linear(30), layout::kIdtLimit);
      break;
    default:
      // Only up to #UD: its gate works, unless it is broken and #DF lies beyond.
      d.gate(6, broken_gate(scene, 6));
      d.poke(layout::tss_ist(2), scene.non_canonical());
      d.poke(layout::tss_ist(3), page_linear(30));
      d.tss();
      d.idt(layout::kIdt, 7 * 16 - 1);
      break;
  }
}

}  // namespace

void add_nested_faults(Scenarios& list) {
  for (const First& first : kFirst) {
    list.push_back({fmt::format("{} through broken gates", first.name), first.name,
                    [&first](Scene& s) { write_nested(s, first); }});
  }
  list.push_back({"shutdown", "shutdown", write_shutdown});
}

}  // namespace bhvm::oracle
