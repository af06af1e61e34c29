// Instances: one random encoding of a form, laid out at an address.
//
// It is made in two steps, because displacements of branches and of RIP-relative operands depend on the place: shape()
// chooses everything else and so the length, settle() chooses what the place decides.
#pragma once

#include "oracle/generate/dice.h"
#include "oracle/generate/forms.h"
#include "oracle/generate/targets.h"

namespace bhvm::oracle {

struct Instance {
  const Form* form = nullptr;
  Bytes bytes;       // exactly the instruction's
  Instruction insn;  // decoded; of undefined forms not valid
};

class InstanceMaker {
 public:
  explicit InstanceMaker(Dice& dice) : dice_(dice) {}

  /// `plain`: no redundant prefixes.
  Instance shape(const Form& form, bool plain = false);
  /// Chooses displacements and immediates for the place the instruction stands at, and decodes again.
  void settle(Instance& instance, u64 address, const CodePlace& place, bool kernel);

 private:
  bool belongs(const Form& form, const Bytes& bytes, Instruction& insn);
  void choose_modrm(const Encoding& e, bool code64, Choices& c);
  void choose_redundant(const Form& form, Choices& c);
  Instance shape_undefined(const Form& form, const Encoding& e, const Choices& c);
  void put(Instance& instance, unsigned offset, unsigned bits, u64 value) const;
  void settle_memory(Instance& instance, u64 next, const CodePlace& place, bool kernel);
  void settle_branch(Instance& instance, u64 next, const CodePlace& place);
  void settle_immediates(Instance& instance, const CodePlace& place);
  u64 immediate(const Instruction& insn, unsigned nth);

  Dice& dice_;
  Decoder decoder_;
  BlockBuilder builder_;
};

/// A count as shifts and rotates take it: often around a width.
u8 shift_count(Dice& dice);
/// A selector: of the guest program's table, null, or any.
u16 selector_value(Dice& dice);

}  // namespace bhvm::oracle
