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
  BHVM_BECOME(next);
}

/// The way on from a conditional jump that is not taken, where `next` stands behind it. If it is taken it goes on as
/// `Behind` would.
template <Handler next, class Behind = ByJump>
struct Straight : ByJump {
  using IfTaken = typename Behind::IfTaken;
  static constexpr Handler kStraight = next;
};

// What a row is made of: steps, these two, and what is last.

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
template <Handler handler>
struct Last {
  template <class Onward>
  static constexpr Handler kBy = handler;
};

template <class Part>
concept IsHandler = requires { Part::template kBy<ByJump>; };

/// The handler of a part when it stands alone.
template <class Part>
constexpr Handler handler_alone() {
  if constexpr (IsHandler<Part>) {
    return Part::template kBy<ByJump>;
  } else {
    return plain<Part>;
  }
}

/// A handler that does all these parts.
template <class First, class... Rest>
constexpr Handler joined_handler() {
  if constexpr (sizeof...(Rest) == 0) {
    return First::template kBy<ByJump>;
  } else if constexpr (IsHandler<First>) {
    return First::template kBy<Straight<joined_handler<Rest...>()>>;
  } else {
    return then<First, joined_handler<Rest...>()>;
  }
}

template <class... Parts>
constexpr JoinedRow row() {
  return {{handler_alone<Parts>()...}, sizeof...(Parts), joined_handler<Parts...>()};
}

}  // namespace bhvm
