// MOVS STOS LODS CMPS SCAS with and without REP.
//
// With REP, runs inside one page of source and destination go at once on host memory; what does not (page crossings,
// devices, decoded code, DF set) goes element by element. RCX, RSI and RDI are up to date after every step, so a fault,
// an interrupt or a rerun finds the registers at the last element done (SDM 2, REP).
//
// One execution does at most kElementsAtOnce elements; then the instruction is left with its own address in RIP and
// goes on after whatever is due. It retires when it is finished; each such round counts one instruction, so time
// passes.
#include <algorithm>

#include "base/planted_fault.h"
#include "cpu/address_ops.h"
#include "cpu/control.h"
#include "cpu/integer/alu.h"
#include "cpu/integer/forms.h"
#include "cpu/integer/translate.h"
#include "cpu/sse/translate.h"
#include "cpu/string_rounds.h"

namespace bhvm::integer {
namespace {

constexpr u64 kElementsAtOnce = 1 << 16;

/// What Op::imm says about a string instruction.
struct Shape {
  static constexpr i64 kRep = 1;  // REP or REPE
  static constexpr i64 kRepNe = 2;
  static constexpr i64 kAddress32 = 4;  // address size; neither: 64
  static constexpr i64 kAddress16 = 8;
  static constexpr i64 kChecked = 16;  // segments are not flat: limits and rights matter
};

enum class Outcome : u8 { kDone, kAgain, kFault };

struct Walk {
  Cpu& cpu;
  const Op* op;
  u64 mask;

  Walk(Cpu& c, const Op* o)
      : cpu(c),
        op(o),
        mask((o->imm & Shape::kAddress32) != 0   ? 0xFFFFFFFF
             : (o->imm & Shape::kAddress16) != 0 ? 0xFFFF
                                                 : ~u64{0}) {}

  u64 get(unsigned index) const { return cpu.s.gpr[index] & mask; }
  void set(unsigned index, u64 value) const {
    u64& reg = cpu.s.gpr[index];
    reg = mask == 0xFFFF ? (reg & ~mask) | (value & mask) : value & mask;
  }
  void advance(unsigned index, u64 bytes, bool down) const { set(index, get(index) + (down ? 0 - bytes : bytes)); }

  /// Linear address of `offset` in the segment at `segment` (its offset in struct Cpu). False with a fault.
  bool place(u16 segment, u64 offset, unsigned size, bool write, u64& linear) const {
    const SegmentState& state = operand<SegmentState>(cpu, segment);
    if ((op->imm & Shape::kChecked) != 0) {
      if (!segment_allows(state, offset, size, write)) {
        const bool stack = (op->scale & Op::kStackSegment) != 0 && segment == op->src;
        return cpu.raise(stack ? vector::kStackFault : vector::kGeneralProtection);
      }
      linear = (offset + state.base) & 0xFFFFFFFF;
      return true;
    }
    // In 64-bit code only FS and GS have a base, and the translator gives the others the zero slot's segment.
    linear = offset + (segment != 0 ? state.base : 0);
    if (!cpu.code64()) linear &= 0xFFFFFFFF;
    return true;
  }

  bool repeats() const { return (op->imm & (Shape::kRep | Shape::kRepNe)) != 0; }
  bool down() const { return (cpu.s.rflags & rflags::kDf) != 0; }
};

/// Elements of T from `linear` on that stay in its page (0 when the first one crosses), going up.
template <class T>
u64 elements_in_page(u64 linear) {
  return (kPageSize - (linear & kPageOffsetMask)) / sizeof(T);
}

u8* fast_write(Cpu& cpu, u64 linear) {
  const FastEntry& entry = cpu.fast[data_tlb_index(linear)];
  return data_tag(linear) == entry.write_tag ? reinterpret_cast<u8*>(linear + entry.addend) : nullptr;
}
const u8* fast_read(Cpu& cpu, u64 linear) {
  const FastEntry& entry = cpu.fast[data_tlb_index(linear)];
  return data_tag(linear) == entry.read_tag ? reinterpret_cast<const u8*>(linear + entry.addend) : nullptr;
}

/// How many of `count` elements can go at once: up, without wrapping an address of the walk's size.
template <class T>
u64 at_once(const Walk& walk, u64 offset, u64 linear, u64 count) {
  const u64 before_wrap = walk.mask == ~u64{0} ? count : (walk.mask - offset + 1) / sizeof(T);
  return std::min({count, elements_in_page<T>(linear), before_wrap});
}

// Each step does between 1 and `count` elements and returns how many, or 0 with a fault; `stop` ends the repetition.

struct Movs {
  template <class T>
  static u64 step(const Walk& walk, u64 count, bool&) {
    Cpu& cpu = walk.cpu;
    u64 from = 0, to = 0;
    if (!walk.place(walk.op->src, walk.get(kRsi), sizeof(T), false, from) ||
        !walk.place(walk.op->dst, walk.get(kRdi), sizeof(T), true, to)) {
      return 0;
    }
    if (count > 1 && !walk.down()) {
      const u64 n =
          std::min(at_once<T>(walk, walk.get(kRsi), from, count), at_once<T>(walk, walk.get(kRdi), to, count));
      const u8* source = fast_read(cpu, from);
      u8* target = fast_write(cpu, to);
      if (n > 1 && source != nullptr && target != nullptr) {
        const u64 bytes = n * sizeof(T);
        // A destination that starts inside the source repeats a pattern: element order shows.
        if (target + bytes <= source || source + bytes <= target) {
          std::memcpy(target, source, bytes);
        } else {
          for (u64 i = 0; i < bytes; i += sizeof(T)) {
            T value;
            std::memcpy(&value, source + i, sizeof(T));
            std::memcpy(target + i, &value, sizeof(T));
          }
        }
        walk.advance(kRsi, bytes, false);
        walk.advance(kRdi, bytes, false);
        return n;
      }
    }
    T value;
    if (!load<T>(cpu, from, value) || !store<T>(cpu, to, value)) return 0;
    walk.advance(kRsi, sizeof(T), walk.down());
    walk.advance(kRdi, sizeof(T), walk.down());
    return 1;
  }
};

struct Stos {
  template <class T>
  static u64 step(const Walk& walk, u64 count, bool&) {
    Cpu& cpu = walk.cpu;
    const T value = static_cast<T>(cpu.s.gpr[kRax]);
    u64 to = 0;
    if (!walk.place(walk.op->dst, walk.get(kRdi), sizeof(T), true, to)) return 0;
    if (count > 1 && !walk.down()) {
      const u64 n = at_once<T>(walk, walk.get(kRdi), to, count);
      u8* target = fast_write(cpu, to);
      if (n > 1 && target != nullptr) {
        for (u64 i = 0; i < n; ++i) std::memcpy(target + i * sizeof(T), &value, sizeof(T));
        walk.advance(kRdi, n * sizeof(T), false);
        return n;
      }
    }
    if (!store<T>(cpu, to, value)) return 0;
    walk.advance(kRdi, sizeof(T), walk.down());
    return 1;
  }
};

struct Lods {
  template <class T>
  static u64 step(const Walk& walk, u64, bool&) {
    u64 from = 0;
    T value;
    if (!walk.place(walk.op->src, walk.get(kRsi), sizeof(T), false, from) || !load<T>(walk.cpu, from, value)) return 0;
    write_gpr<T>(walk.cpu, gpr(kRax), value);
    walk.advance(kRsi, sizeof(T), walk.down());
    return 1;
  }
};

template <class T>
void compare(const Walk& walk, T a, T b, bool& stop) {
  Cmp::apply<T, true>(a, b, walk.cpu.flags);
  if ((walk.op->imm & Shape::kRep) != 0) stop = a != b;
  if ((walk.op->imm & Shape::kRepNe) != 0) stop = a == b;
}

struct Cmps {
  template <class T>
  static u64 step(const Walk& walk, u64, bool& stop) {
    u64 first = 0, second = 0;
    T a, b;
    // Processors read the second operand first, which shows in what faults and in A bits.
    if (!walk.place(walk.op->dst, walk.get(kRdi), sizeof(T), false, second) || !load<T>(walk.cpu, second, b) ||
        !walk.place(walk.op->src, walk.get(kRsi), sizeof(T), false, first) || !load<T>(walk.cpu, first, a)) {
      return 0;
    }
    compare<T>(walk, a, b, stop);
    walk.advance(kRsi, sizeof(T), walk.down());
    walk.advance(kRdi, sizeof(T), walk.down());
    return 1;
  }
};

struct Scas {
  template <class T>
  static u64 step(const Walk& walk, u64, bool& stop) {
    u64 at = 0;
    T b;
    if (!walk.place(walk.op->dst, walk.get(kRdi), sizeof(T), false, at) || !load<T>(walk.cpu, at, b)) return 0;
    compare<T>(walk, static_cast<T>(walk.cpu.s.gpr[kRax]), b, stop);
    walk.advance(kRdi, sizeof(T), walk.down());
    return 1;
  }
};

template <class Operation, class T>
[[gnu::noinline]] Outcome execute(Cpu& cpu, const Op* op) {
  const Walk walk(cpu, op);
  bool stop = false;
  if (!walk.repeats()) return Operation::template step<T>(walk, 1, stop) != 0 ? Outcome::kDone : Outcome::kFault;
  const LazyFlags before = cpu.flags;
  u64 allowed = kElementsAtOnce;
  // Single-stepped, a repeated instruction traps after every element.
  if ((cpu.s.rflags & rflags::kTf) != 0) allowed = 1;
  while (!stop && walk.get(kRcx) != 0) {
    if (allowed == 0) return Outcome::kAgain;
    const u64 done = Operation::template step<T>(walk, std::min(walk.get(kRcx), allowed), stop);
    if (done == 0) {
      if (planted(PlantedFault::kRepCountAfterFault) && allowed != kElementsAtOnce) walk.set(kRcx, walk.get(kRcx) + 1);
      if (planted(PlantedFault::kCmpsFlagsAfterFault)) return Outcome::kFault;
      cpu.flags = before;  // a fault in the middle of REPE CMPS or SCAS takes the flags back (SDM 2, REP)
      return Outcome::kFault;
    }
    walk.set(kRcx, walk.get(kRcx) - done);
    cpu.s.rep_iterations += done;
    allowed -= done;
  }
  return Outcome::kDone;
}

template <class Operation, class T>
BHVM_HANDLER(string_op) {
  const Outcome outcome = execute<Operation, T>(cpu, op);
  if (BHVM_UNLIKELY(outcome == Outcome::kFault)) BHVM_FAULT;
  if (BHVM_UNLIKELY(outcome == Outcome::kAgain)) BHVM_BECOME(leave_for_another_round);
  BHVM_NEXT;
}

template <class Operation, bool reads_source, bool writes_flags, unsigned width>
bool translate_string(BlockBuilder& block, const Instruction& insn) {
  static constexpr ByWidth kForms = {string_op<Operation, u8>, string_op<Operation, u16>, string_op<Operation, u32>,
                                     string_op<Operation, u64>};
  Op& op = block.emit(kForms[width]);
  if (insn.has(ZYDIS_ATTRIB_HAS_REPNE)) op.imm |= Shape::kRepNe;
  if (insn.has(ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE)) op.imm |= Shape::kRep;
  if (insn.z.address_width == 32) op.imm |= Shape::kAddress32;
  if (insn.z.address_width == 16) op.imm |= Shape::kAddress16;
  const bool checked = !insn.code64() && (insn.mode & mode::kFlat) == 0;
  ZydisRegister source = ZYDIS_REGISTER_DS;
  for (unsigned i = 0; i < insn.z.operand_count; ++i) {
    if (!insn.is_memory(i)) continue;
    const ZydisRegister base = insn.operand(i).mem.base;
    if (base == ZYDIS_REGISTER_RSI || base == ZYDIS_REGISTER_ESI || base == ZYDIS_REGISTER_SI) {
      source = insn.operand(i).mem.segment;
    }
  }
  const bool based = source == ZYDIS_REGISTER_FS || source == ZYDIS_REGISTER_GS;
  const bool odd_source = !insn.code64() && (based || source == ZYDIS_REGISTER_CS);
  if (checked || odd_source) op.imm |= Shape::kChecked;
  const bool segments = (op.imm & Shape::kChecked) != 0;
  op.src = segments || (insn.code64() && based && reads_source) ? segment_offset(source) : u16{0};
  op.dst = segments ? segment_offset(ZYDIS_REGISTER_ES) : u16{0};
  if (source == ZYDIS_REGISTER_SS) op.scale = Op::kStackSegment;
  if (writes_flags) block.flags({.reads = kAllFlags, .writes = kAllFlags});
  return true;
}

template <Translator string_instruction, Translator sse_instruction>
bool translate_shared_name(BlockBuilder& block, const Instruction& insn) {
  const bool is_string = insn.z.meta.category == ZYDIS_CATEGORY_STRINGOP;
  return is_string ? string_instruction(block, insn) : sse_instruction(block, insn);
}

template <class Operation, bool reads_source, bool writes_flags>
void add(TranslatorTable& table, ZydisMnemonic b, ZydisMnemonic w, ZydisMnemonic d, ZydisMnemonic q) {
  table.add(b, translate_string<Operation, reads_source, writes_flags, 0>);
  table.add(w, translate_string<Operation, reads_source, writes_flags, 1>);
  table.add(d, translate_string<Operation, reads_source, writes_flags, 2>);
  table.add(q, translate_string<Operation, reads_source, writes_flags, 3>);
}

}  // namespace

void register_strings(TranslatorTable& table) {
  add<Movs, true, false>(table, ZYDIS_MNEMONIC_MOVSB, ZYDIS_MNEMONIC_MOVSW, ZYDIS_MNEMONIC_MOVSD, ZYDIS_MNEMONIC_MOVSQ);
  add<Stos, false, false>(table, ZYDIS_MNEMONIC_STOSB, ZYDIS_MNEMONIC_STOSW, ZYDIS_MNEMONIC_STOSD,
                          ZYDIS_MNEMONIC_STOSQ);
  add<Lods, true, false>(table, ZYDIS_MNEMONIC_LODSB, ZYDIS_MNEMONIC_LODSW, ZYDIS_MNEMONIC_LODSD, ZYDIS_MNEMONIC_LODSQ);
  add<Cmps, true, true>(table, ZYDIS_MNEMONIC_CMPSB, ZYDIS_MNEMONIC_CMPSW, ZYDIS_MNEMONIC_CMPSD, ZYDIS_MNEMONIC_CMPSQ);
  add<Scas, false, true>(table, ZYDIS_MNEMONIC_SCASB, ZYDIS_MNEMONIC_SCASW, ZYDIS_MNEMONIC_SCASD, ZYDIS_MNEMONIC_SCASQ);
  // Two of the names are also SSE2 instructions.
  table.add(ZYDIS_MNEMONIC_MOVSD, translate_shared_name<translate_string<Movs, true, false, 2>, translate_sse_movsd>);
  table.add(ZYDIS_MNEMONIC_CMPSD, translate_shared_name<translate_string<Cmps, true, true, 2>, translate_sse_cmpsd>);
}

}  // namespace bhvm::integer
