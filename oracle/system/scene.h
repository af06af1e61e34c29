// Scene: one group of system cases while a scenario writes it. Draft: one case of it.
//
// Every draft starts as a case that works: the region's GDT loaded, a stack, flags without TF, AC and NT, pointers to
// data in RSI, RDI and RBX. A scenario then bends what it is about.
#pragma once

#include <initializer_list>
#include <span>

#include "cpu/cpu_state.h"
#include "cpu/flags.h"
#include "cpu/system/control_bits.h"
#include "oracle/case_group.h"
#include "oracle/generate/dice.h"
#include "oracle/system/descriptor_images.h"
#include "oracle/system/environment.h"
#include "oracle/system/layout.h"

namespace bhvm::oracle {

/// Bytes of instructions.
class Code {
 public:
  Code() = default;
  Code(std::initializer_list<u8> bytes) : bytes_(bytes) {}  // NOLINT(google-explicit-constructor)
  Code& add(std::initializer_list<u8> bytes) {
    bytes_.insert(bytes_.end(), bytes);
    return *this;
  }
  Code& add(const Code& other) {
    bytes_.insert(bytes_.end(), other.bytes_.begin(), other.bytes_.end());
    return *this;
  }
  Code& immediate(u64 value, unsigned bytes) {
    for (unsigned i = 0; i < bytes; ++i) bytes_.push_back(static_cast<u8>(value >> (8 * i)));
    return *this;
  }
  const std::vector<u8>& bytes() const { return bytes_; }

 private:
  std::vector<u8> bytes_;
};

class Draft {
 public:
  Draft(const Pristine& pristine, Case& case_input, Steps& case_steps, bool code64)
      : input(case_input), steps(case_steps), pristine_(pristine), code64_(code64) {}

  u64& reg(Gpr index) { return input.gpr[index]; }
  void flags(u64 bits) { input.rflags |= bits; }
  void clear_flags(u64 bits) { input.rflags &= ~bits; }

  void step(StepKind kind, u32 index, u64 value) { steps.push_back({kind, index, value}); }
  /// Writes bytes of the region before the case. Pokes of one qword become one.
  void poke(u64 linear, std::span<const u8> bytes);
  void poke(u64 linear, u64 value, unsigned bytes = 8);
  /// Values one behind the other, the first at the lowest address.
  void poke_values(u64 linear, std::initializer_list<u64> values, unsigned bytes);
  void descriptor(u16 selector, u64 raw) { poke(layout::descriptor_linear(selector), raw); }
  void descriptor(u16 selector, const GateImage& gate);
  void gate(unsigned vector, const GateImage& gate);

  /// The GDT of the case; without a call the region's with its usual limit.
  void gdt(u64 base, u16 limit);
  void idt(u64 base = layout::kIdt, u16 limit = layout::kIdtLimit) { step(StepKind::kIdtr, limit, base); }
  void ldt() { step(StepKind::kLdtr, 0, layout::kLocalTable); }
  void tss() { step(StepKind::kTr, 0, kTaskState); }
  void segment(u32 index, u16 selector) { step(StepKind::kSegment, index, selector); }
  void msr(u32 index, u64 value) { step(StepKind::kMsr, index, value); }
  void cr(u32 index, u64 value) { step(StepKind::kCr, index, value); }
  void dr(u32 index, u64 value) { step(StepKind::kDr, index, value); }
  void pte(unsigned page, u64 bits) { step(StepKind::kPte, page, bits); }

  /// Runs the case at this privilege level, in code of the group's size. Levels 1 and 2 need a group of a user mode,
  /// whose DS and ES are usable at every level.
  void level(u8 cpl);

  Case& input;
  Steps& steps;

 private:
  const Pristine& pristine_;
  bool code64_;
};

/// Entries without bit 63 for the pages of the stack and the tables, which must be usable with EFER.NXE off.
void forbid_execute_disable(Draft& d);

class Scene {
 public:
  static constexpr unsigned kCases = 16;

  Scene(Dice& group_dice, const Pristine& pristine, CaseGroup& group)
      : dice(group_dice), pristine_(pristine), group_(group) {
    group_.cases.reserve(kCases);  // drafts point into them
    group_.steps.reserve(kCases);
  }

  /// Mode and code. Without a place the code lies somewhere in the first half of page 4.
  void code(Mode mode, const Code& code, u64 linear = 0);
  Mode mode() const { return group_.group.mode; }
  bool code64() const { return mode() == Mode::kUser64 || mode() == Mode::kKernel64; }
  u64 code_linear() const { return kRegion + group_.group.code_offset; }
  u64 code_end() const { return code_linear() + group_.group.code_bytes; }

  /// Adds a case; the draft is valid until the scene ends.
  Draft add();
  template <class Write>
  void cases(Write write) {
    for (unsigned i = 0; i < kCases; ++i) {
      Draft draft = add();
      write(draft);
    }
  }

  const Pristine& pristine() const { return pristine_; }

  // ---- what scenarios draw ----

  /// Somewhere in a landing place of INT3 or (`undefined`) UD2.
  u64 landing(bool supervisor = false, bool undefined = false);
  /// An address that is not canonical, often just so.
  u64 non_canonical();
  u8 cpl() { return static_cast<u8>(dice.below(4)); }
  /// Code and data descriptors of every kind. `big_only`: never a 16-bit segment.
  SegmentImage any_segment(bool big_only);
  /// One that is often right for CS of this size at this level.
  SegmentImage likely_code(bool long_code, u8 dpl);
  /// One of the kGateFlaws flaws that every gate can have: its DPL, that it is absent, its type.
  static constexpr u32 kGateFlaws = 3;
  void spoil(GateImage& gate, u32 flaw);
  /// A bit set that is empty half of the time, then one bit of `bits`, rarely several.
  u64 few_of(u64 bits);

  Dice& dice;

 private:
  const Pristine& pristine_;
  CaseGroup& group_;
};

}  // namespace bhvm::oracle
