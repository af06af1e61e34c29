// The handlers of joined ops, for the tables of rows (cpu/joined_ops.h).
#pragma once

#include "cpu/integer/jump_handlers.h"
#include "cpu/joined_ops.h"
#include "cpu/step.h"

namespace bhvm {

/// The kind of op that a step has as a part: the small one, if there is one.
template <class Step>
struct KindOf {
  using Kind = Op;
};
template <class Step>
  requires requires { typename Step::Small; }
struct KindOf<Step> {
  using Kind = Step::Small;
};

/// Does `First`, and runs straight into the handler of the next op.
template <class First, Handler next, class OpType = KindOf<First>::Kind>
BHVM_HANDLER(then) {
  if (BHVM_UNLIKELY(!First::template run<Through::kTlb>(cpu, fast, as<OpType>(op)))) {
    BHVM_BECOME((plain<First, Through::kSlow, ByJump, OpType>));
  }
  op = behind<OpType>(op);
  BHVM_BECOME_INLINE(next);
}

/// The way on from a conditional jump that is not taken, where `next` stands behind it. If it is taken it goes on as
/// `Behind` would.
template <Handler next, class Behind = ByJump>
struct Straight : ByJump {
  using IfTaken = typename Behind::IfTaken;
  static constexpr Handler kStraight = next;
};

// What a row is made of: steps, and jumps. None but conditional ones have something behind them in a row. A jump has
//   Kind                 of its op as a part
//   kBy<Onward, OpType>  the handler of an op of that kind, or of an Op

template <Condition condition, JumpKind kind, bool wide>
struct JumpIf {
  using Across = std::conditional_t<kind == JumpKind::kAcross && wide, AcrossOp, Op>;
  using Kind = std::conditional_t<kind == JumpKind::kInPage, CompareOp, Across>;
  template <class Onward, class OpType>
  static constexpr Handler kBy = integer::jump_if<condition, kind, wide, Onward, OpType>;
};
template <Condition condition, class Fuse, class T, bool immediate_operand, bool flags_behind, JumpKind kind>
struct Fused {
  using InPage = std::conditional_t<immediate_operand, CompareNumberOp, CompareOp>;
  using Across = std::conditional_t<kind == JumpKind::kAcross, AcrossOp, Op>;
  using Kind = std::conditional_t<kind == JumpKind::kInPage, InPage, Across>;
  template <class Onward, class OpType>
  static constexpr Handler kBy =
      integer::fused<condition, Fuse, T, immediate_operand, flags_behind, kind, Onward, OpType>;
};
template <JumpKind kind, bool wide>
struct Jump {
  using Across = std::conditional_t<kind == JumpKind::kAcross && wide, AcrossOp, Op>;
  using Kind = std::conditional_t<kind == JumpKind::kInPage, JumpOp, Across>;
  template <class Onward, class OpType>
  static constexpr Handler kBy = integer::jump<kind, wide, Onward, OpType>;
};
template <bool wide, bool memory, bool alone>
struct JumpIndirect {
  using Kind = Op;
  template <class Onward, class>
  static constexpr Handler kBy = integer::jump_indirect<wide, memory, alone, Through::kTlb, Onward>;
};
template <class Stack, JumpKind kind>
struct Call {
  using Kind = std::conditional_t<kind != JumpKind::kAlone && Stack::kWide, CallOp, Op>;
  template <class Onward, class OpType>
  static constexpr Handler kBy = integer::call<Stack, kind, Through::kTlb, Onward, OpType>;
};
template <class Stack, bool memory, bool alone>
struct CallIndirect {
  using Kind = Op;
  template <class Onward, class>
  static constexpr Handler kBy = integer::call_indirect<Stack, memory, alone, Through::kTlb, Onward>;
};
template <class Stack, bool alone>
struct Ret {
  using Kind = ReturnOp;
  template <class Onward, class OpType>
  static constexpr Handler kBy = integer::ret<Stack, alone, Through::kTlb, Onward, OpType>;
};
struct GoInPage {
  using Kind = JumpOp;
  template <class Onward, class OpType>
  static constexpr Handler kBy = go_in_page_by<Onward, OpType>;
};
struct GoAcross {
  using Kind = AcrossOp;
  template <class Onward, class OpType>
  static constexpr Handler kBy = go_across_by<Onward, OpType>;
};

template <class Part>
concept IsJump = requires { Part::template kBy<ByJump, Op>; };
template <IsJump Part>
struct KindOf<Part> {
  using Kind = Part::Kind;
};

template <class Part>
using PartKind = KindOf<Part>::Kind;

/// The handler of a part alone, of an op of this kind.
template <class Onward, class Part, class OpType>
constexpr Handler alone() {
  if constexpr (IsJump<Part>) {
    return Part::template kBy<Onward, OpType>;
  } else {
    return plain<Part, Through::kTlb, Onward, OpType>;
  }
}

/// A handler that does all these parts, and goes on as `Onward` says.
template <class Onward, class First, class... Rest>
constexpr Handler joined_handler() {
  using Kind = PartKind<First>;
  if constexpr (sizeof...(Rest) == 0) {
    return alone<Onward, First, Kind>();
  } else if constexpr (IsJump<First>) {
    return First::template kBy<Straight<joined_handler<Onward, Rest...>(), Onward>, Kind>;
  } else {
    return then<First, joined_handler<Onward, Rest...>()>;
  }
}

/// The number of a part: its place in the tables, from 1 on.
template <class Part>
inline constexpr u16 kPartNumber = 0;

template <class Part>
constexpr JoinedPart part() {
  JoinedPart part;
  using Kind = PartKind<Part>;
  part.translated = alone<ByJump, Part, Op>();
  part.handler = alone<ByJump, Part, Kind>();
  part.kind = kKindOf<Kind>;
  if constexpr (requires { Part::kImmediate; }) part.imm_size = Part::kImmediate;
  return part;
}

template <class... Parts>
constexpr JoinedRow row() {
  static_assert(((kPartNumber<Parts> != 0) && ...));
  return {{kPartNumber<Parts>...}, sizeof...(Parts), joined_handler<ByJump, Parts...>()};
}

}  // namespace bhvm
