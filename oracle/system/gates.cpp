// Interrupt and trap gates: INT n, INT3, INTO, INT1 and exceptions through gates of every kind.
#include <fmt/format.h>

#include <cstring>

#include "oracle/system/scenario.h"

namespace bhvm::oracle {
namespace {

struct Way {
  const char* name;
  std::initializer_list<u8> code;
  u8 vector;
  bool only32;
};
constexpr Way kWays[] = {
    {"int n", {0xCD, 0x60}, 0x60, false},
    {"int 13", {0xCD, 0x0D}, 0x0D, false},  // no error code is pushed
    {"int3", {0xCC}, 3, false},
    {"int 3", {0xCD, 0x03}, 3, false},
    {"into", {0xCE}, 4, true},
    {"int1", {0xF1}, 1, false},
    {"ud2", {0x0F, 0x0B}, 6, false},
    {"div by 0", {0x31, 0xC9, 0xF7, 0xF1}, 0, false},                  // xor ecx, ecx; div ecx
    {"hlt or page fault", {0x8B, 0x04, 0x25, 0, 0, 0, 0}, 14, false},  // mov eax, [0]
    {"#gp", {0xF4}, 13, false},                                        // hlt at CPL > 0
};

/// Draws a gate to a code segment, with at most one or two things wrong.
GateImage draw_gate(Scene& scene, Draft& d, u8 level, u8 vector) {
  Dice& dice = scene.dice;
  const u16 code_slot = layout::slot(dice.below(layout::kSlots));
  const u8 inner = static_cast<u8>(dice.below(level + 1u));
  SegmentImage code{.type = kTypeCode, .dpl = inner, .long_code = true, .big = false};
  GateImage gate{.type = static_cast<u8>(dice.coin() ? kTypeInterruptGate : kTypeTrapGate),
                 .dpl = 3,
                 .selector = static_cast<u16>(code_slot | dice.below(4)),
                 // INT3 as the way in: the handler must not be INT3 too.
                 .offset = scene.landing(false, vector == 3)};
  if (dice.one_in(3)) gate.ist = static_cast<u8>(1 + dice.below(7));
  const u32 flaw = dice.below(20);
  if (flaw < Scene::kGateFlaws) scene.spoil(gate, flaw);
  switch (flaw) {
    case 3:
      gate.non_system = true;
      break;
    case 4:
      // QEMU goes there and faults; with the gate of that fault itself, for ever.
      if (vector != 13) gate.offset = scene.non_canonical();
      break;
    case 5:
      gate.selector = static_cast<u16>(dice.below(4));
      break;
    case 6:
      gate.selector = static_cast<u16>(layout::kGdtLimit + 1 + dice.below(0xFD00));
      break;
    case 7:
      gate.upper_reserved = static_cast<u32>(dice.bits());
      break;
    case 8:
      gate.ist = static_cast<u8>(dice.bits());
      break;
    case 9:
      code.big = true;
      break;
    case 10:
      code.long_code = false;
      code.big = true;
      break;
    case 11:
      code = scene.likely_code(true, inner);
      break;
    case 12:
      code.type = kTypeConforming;
      code.dpl = scene.cpl();
      break;
    case 13:
      gate.selector = static_cast<u16>(layout::local_slot(2) | dice.below(4));
      d.descriptor(gate.selector, code.raw());
      if (dice.coin()) d.ldt();
      break;
    default:
      break;
  }
  d.descriptor(code_slot, code.raw());
  return gate;
}

/// What can be wrong about the stack that the delivery takes.
void bend_stack(Scene& scene, Draft& d) {
  Dice& dice = scene.dice;
  const unsigned ist = 2 + dice.below(6);
  const unsigned level = dice.below(3);
  switch (dice.below(12)) {
    case 0:
      d.poke(layout::tss_rsp(level), scene.non_canonical());
      d.poke(layout::tss_ist(ist), scene.non_canonical());
      break;
    case 1:
      d.poke(layout::tss_rsp(level), page_linear(24) + dice.below(64));
      d.pte(23, dice.coin() ? 0 : pte_bits(PageKind::kReadOnly));
      break;
    case 2:
      d.poke(layout::tss_rsp(level), layout::kStack0 - dice.below(64));
      d.poke(layout::tss_ist(ist), layout::ist_stack(ist) - dice.below(64));
      break;
    case 3: {
      constexpr u32 kIstEnd = 36 + 7 * 8 - 1;
      const SegmentImage image{.type = kTypeTss,
                               .non_system = false,
                               .big = false,
                               .granularity = false,
                               .base = static_cast<u32>(layout::kTss),
                               // IST 1 and RSP0 stay reachable: the handler of what fails needs them
                               .limit = 43 + dice.below(kIstEnd - 42)};
      d.descriptor(kTaskState, image.raw());
      break;
    }
    case 4:
      d.reg(kRsp) = layout::kUserStack + dice.below(16);
      break;
    case 5:
      d.poke(layout::tss_rsp(level), layout::kUserStack);
      break;
    default:
      break;
  }
}

void write_gate(Scene& scene, const Way& way, bool code64) {
  Dice& dice = scene.dice;
  Code code(way.code);
  if (way.vector == 6 || way.vector == 3) code.add({0x90});
  scene.code(code64 ? Mode::kUser64 : Mode::kUser32, code);
  scene.cases([&](Draft& d) {
    const bool needs_user = way.vector == 13 && way.code.size() == 1;
    const u8 level = needs_user ? static_cast<u8>(1 + dice.below(3)) : scene.cpl();
    d.level(level);
    if (way.vector == 4 && dice.percent(80)) d.flags(rflags::kOf);
    d.gate(way.vector, draw_gate(scene, d, level, way.vector));
    bend_stack(scene, d);
    if (dice.one_in(4)) d.flags(dice.coin() ? rflags::kNt : rflags::kDf);
    if (dice.one_in(4)) d.flags(dice.bits() & rflags::kIopl);
    d.tss();
    d.idt();
  });
}

/// Vectors beyond the IDT's limit, and gates across a page that cannot be read.
void write_idt_limit(Scene& scene, bool code64) {
  Dice& dice = scene.dice;
  const u8 vector = static_cast<u8>(0x40 + dice.below(0x50));
  scene.code(code64 ? Mode::kUser64 : Mode::kUser32, {0xCD, vector});
  scene.cases([&](Draft& d) {
    d.level(scene.cpl());
    if (dice.coin()) {
      const GateImage gate{.dpl = 3, .ist = 1, .selector = kKernelCode64, .offset = scene.landing()};
      d.gate(vector, gate);
      d.idt(layout::kIdt, static_cast<u16>(16 * vector + dice.below(18)));
    } else {
      // The table ends with page 23, or some bytes later.
      const u64 into = dice.below(16);
      constexpr unsigned kNeeded = 32;
      const u64 base = page_linear(24) - 16 * vector - into;
      for (unsigned i = 0; i < kNeeded; ++i) {
        const GateImage gate{.dpl = static_cast<u8>(i == 3 ? 3 : 0),
                             .ist = 1,
                             .selector = kKernelCode64,
                             .offset = guest_addresses().stub(i)};
        if (i != 3 && i != 8 && (i < 10 || i > 14)) continue;
        d.poke(base + 16 * i, gate.low());
        d.poke(base + 16 * i + 8, gate.high());
      }
      const GateImage tested{.dpl = 3, .ist = 1, .selector = kKernelCode64, .offset = scene.landing()};
      const u64 halves[2] = {tested.low(), tested.high()};
      u8 bytes[16];
      std::memcpy(bytes, halves, 16);
      d.poke(page_linear(24) - into, std::span<const u8>(bytes, into));
      d.pte(24, dice.one_in(4) ? pte_bits(PageKind::kReserved) : 0);
      d.idt(base, 0xFFF);
    }
  });
}

}  // namespace

void add_gates(Scenarios& list) {
  for (const bool code64 : {true, false}) {
    const char* suffix = code64 ? "" : " [32]";
    for (const Way& way : kWays) {
      if (way.only32 && code64) continue;
      list.push_back({fmt::format("{} through gates{}", way.name, suffix), way.name,
                      [&way, code64](Scene& s) { write_gate(s, way, code64); }});
    }
    list.push_back({fmt::format("int n at the idt's limit{}", suffix), "int n",
                    [code64](Scene& s) { write_idt_limit(s, code64); }});
  }
}

}  // namespace bhvm::oracle
