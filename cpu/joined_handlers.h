// The handlers of joined ops, for the tables of rows (cpu/joined_ops.h).
#pragma once

#include <algorithm>
#include <array>

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

/// The way on inside a row, where `next` stands behind. What jumps away goes on as ever.
template <Handler next>
struct Straight : ByJump {
  static constexpr Handler kStraight = next;
};
using InRow = Straight<go_on_in_row>;

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
template <class Part, class OpType, class Onward = ByJump>
constexpr Handler alone() {
  if constexpr (IsJump<Part>) {
    return Part::template kBy<Onward, OpType>;
  } else {
    return plain<Part, Through::kTlb, Onward, OpType>;
  }
}

/// The number of a part: its place in the tables, from 1 on.
template <class Part>
inline constexpr u16 kPartNumber = [] {
  static_assert(sizeof(Part) == 0, "include cpu/integer/part_numbers.h or cpu/sse/row_parts.h before");
  return u16{0};
}();

/// A part may be a run of the same op, which is a part itself.
template <class Part>
concept IsRun = requires { typename Part::Single; };
template <class Part>
inline constexpr unsigned kOpsOf = 1;
template <IsRun Run>
inline constexpr unsigned kOpsOf<Run> = Run::kOps;
template <class Part>
inline constexpr u16 kNumberOfEach = kPartNumber<Part>;
template <IsRun Run>
inline constexpr u16 kNumberOfEach<Run> = kPartNumber<typename Run::Single>;

/// As Cpu::rest_of_row.
template <class... Parts>
inline constexpr auto kRestOfRow = [] {
  std::array<u16, (kOpsOf<Parts> + ... + 1)> numbers{};
  auto at = numbers.begin();
  ((at = std::fill_n(at, kOpsOf<Parts>, kNumberOfEach<Parts>)), ...);
  return numbers;
}();

template <class First, class... Rest>
constexpr Handler joined_handler();

/// Does `First`, a step or a run, and runs straight into what the rest of the row does.
template <class First, class... Rest>
BHVM_HANDLER(then) {
  using Kind = PartKind<First>;
  if (BHVM_UNLIKELY(!First::template run<Through::kTlb>(cpu, fast, as<Kind>(op)))) {
    cpu.rest_of_row = kRestOfRow<First, Rest...>.data();
    BHVM_BECOME(go_slowly_in_row);
  }
  op = reinterpret_cast<const Op*>(nth_in_row(as<Kind>(op), kOpsOf<First> - 1));
  if constexpr (sizeof...(Rest) == 0) {
    BHVM_CONTINUE(behind<Kind>(op));
  } else {
    op = behind_in_row<Kind>(op);
    BHVM_BECOME_INLINE(joined_handler<Rest...>());
  }
}

/// A handler that does all these parts.
template <class First, class... Rest>
constexpr Handler joined_handler() {
  using Kind = PartKind<First>;
  if constexpr (sizeof...(Rest) == 0 && !IsRun<First>) {
    return alone<First, Kind>();
  } else if constexpr (IsJump<First>) {
    return First::template kBy<Straight<joined_handler<Rest...>()>, Kind>;
  } else {
    return then<First, Rest...>;
  }
}

template <class Part>
constexpr JoinedPart part() {
  JoinedPart part;
  using Kind = PartKind<Part>;
  part.handler = joined_handler<Part>();
  part.ops = kOpsOf<Part>;
  part.of_each = kNumberOfEach<Part>;
  if constexpr (!IsRun<Part>) {
    part.translated = alone<Part, Op>();
    part.in_row = alone<Part, Kind, InRow>();
    if constexpr (!IsJump<Part>) part.slow_in_row = plain<Part, Through::kSlow, InRow, Kind>;
  }
  part.kind = kKindOf<Kind>;
  if constexpr (requires { Part::kImmediate; }) part.imm_size = Part::kImmediate;
  return part;
}

template <class... Parts>
constexpr JoinedRow row() {
  return {{kPartNumber<Parts>...}, sizeof...(Parts), joined_handler<Parts...>()};
}

}  // namespace bhvm
