// The handlers of joined ops, for the tables of rows (cpu/joined_ops.h).
#pragma once

#include "cpu/integer/jump_handlers.h"
#include "cpu/joined_ops.h"
#include "cpu/step.h"

namespace bhvm {

/// Does `First`, and runs straight into the handler of the next op.
template <class First, Handler next>
BHVM_HANDLER(then) {
  if (BHVM_UNLIKELY(!First::template run<Through::kTlb>(cpu, fast, op))) BHVM_BECOME((plain<First, Through::kSlow>));
  op += 1;
  BHVM_BECOME_INLINE(next);
}

/// The way on from a conditional jump that is not taken, where `next` stands behind it. If it is taken it goes on as
/// `Behind` would.
template <Handler next, class Behind = ByJump>
struct Straight : ByJump {
  using IfTaken = typename Behind::IfTaken;
  static constexpr Handler kStraight = next;
};

// What a row is made of: steps, and jumps. None but conditional ones have something behind them in a row.

template <Condition condition, JumpKind kind, bool wide>
struct JumpIf {
  template <class Onward>
  static constexpr Handler kBy = integer::jump_if<condition, kind, wide, Onward>;
};
template <Condition condition, class Fuse, class T, bool immediate_operand, bool flags_behind, JumpKind kind>
struct Fused {
  template <class Onward>
  static constexpr Handler kBy = integer::fused<condition, Fuse, T, immediate_operand, flags_behind, kind, Onward>;
};
template <JumpKind kind, bool wide>
struct Jump {
  template <class Onward>
  static constexpr Handler kBy = integer::jump<kind, wide, Onward>;
};
template <bool wide, bool memory, bool alone>
struct JumpIndirect {
  template <class Onward>
  static constexpr Handler kBy = integer::jump_indirect<wide, memory, alone, Through::kTlb, Onward>;
};
template <class Stack, JumpKind kind>
struct Call {
  template <class Onward>
  static constexpr Handler kBy = integer::call<Stack, kind, Through::kTlb, Onward>;
};
template <class Stack, bool memory, bool alone>
struct CallIndirect {
  template <class Onward>
  static constexpr Handler kBy = integer::call_indirect<Stack, memory, alone, Through::kTlb, Onward>;
};
template <class Stack, bool alone>
struct Ret {
  template <class Onward>
  static constexpr Handler kBy = integer::ret<Stack, alone, Through::kTlb, Onward>;
};
struct GoInPage {
  template <class Onward>
  static constexpr Handler kBy = go_in_page_by<Onward>;
};
struct GoAcross {
  template <class Onward>
  static constexpr Handler kBy = go_across_by<Onward>;
};

template <class Part>
concept IsJump = requires { Part::template kBy<ByJump>; };

/// A handler that does all these parts, and goes on as `Onward` says.
template <class Onward, class First, class... Rest>
constexpr Handler joined_handler() {
  if constexpr (sizeof...(Rest) == 0) {
    if constexpr (IsJump<First>) {
      return First::template kBy<Onward>;
    } else {
      return plain<First, Through::kTlb, Onward>;
    }
  } else if constexpr (IsJump<First>) {
    return First::template kBy<Straight<joined_handler<Onward, Rest...>(), Onward>>;
  } else {
    return then<First, joined_handler<Onward, Rest...>()>;
  }
}

/// The number of a part: its place in the tables, from 1 on.
template <class Part>
inline constexpr u16 kPartNumber = 0;

template <class... Parts>
constexpr JoinedRow row() {
  static_assert(((kPartNumber<Parts> != 0) && ...));
  return {{kPartNumber<Parts>...}, sizeof...(Parts), joined_handler<ByJump, Parts...>()};
}

}  // namespace bhvm
