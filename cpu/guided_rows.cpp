// The guided handlers (cpu/guided.h), made of the table of rows: each row's handler once more, with its own way on. For
// hosts that have the vector instructions (cpu/sse/vector.h).
#include "cpu/guided.h"
#include "cpu/integer/stack_runs.h"
#include "cpu/sse/row_parts.h"

namespace bhvm {
namespace {

/// The way on from a row, and from its conditional jump if that is taken.
template <unsigned row>
struct Guided;
template <unsigned row>
struct GuidedIfTaken;

/// A row's guided handler; of row 0, which is none, nullptr.
template <unsigned row>
constexpr Handler kGuided = nullptr;

}  // namespace

// Here the name of a row's handler has `Onward` in it, which is ByJump. These exist already.
#define BHVM_GUIDED_ROW(row, next, taken, ...) extern template BHVM_HANDLER(__VA_ARGS__);
#include "cpu/guided_rows.inc"
#undef BHVM_GUIDED_ROW

namespace {

#define BHVM_GUIDED_ROW(row, next, taken, ...) \
  template <>                                  \
  constexpr Handler kGuided<row> = [] {        \
    using Onward = Guided<row>;                \
    return static_cast<Handler>(__VA_ARGS__);  \
  }();
#include "cpu/guided_rows.inc"
#undef BHVM_GUIDED_ROW

/// To the first, second, third row of these, if they are not 0.
template <unsigned first = 0, unsigned second = 0, unsigned third = 0>
struct GuidedTo {
  static constexpr Handler kStraight = nullptr;
  static constexpr unsigned kGuesses = (first != 0 ? 1 : 0) + (second != 0 ? 1 : 0) + (third != 0 ? 1 : 0);
  static constexpr Handler kFirst = kGuided<first>, kSecond = kGuided<second>, kThird = kGuided<third>;
  static constexpr bool kTwoJumps = true;
};

#define BHVM_GUIDED_ROW(row, next, taken, ...)              \
  template <>                                               \
  struct GuidedIfTaken<row> : GuidedTo<BHVM_ROWS taken> {}; \
  template <>                                               \
  struct Guided<row> : GuidedTo<BHVM_ROWS next> {           \
    using IfTaken = GuidedIfTaken<row>;                     \
  };
#define BHVM_ROWS(...) __VA_ARGS__
#include "cpu/guided_rows.inc"
#undef BHVM_GUIDED_ROW
#undef BHVM_ROWS

constexpr GuidedRow kRows[] = {
#define BHVM_GUIDED_ROW(row, next, taken, ...) {__VA_ARGS__, kGuided<row>},
#include "cpu/guided_rows.inc"
#undef BHVM_GUIDED_ROW
};
static_assert(std::size(kRows) <= kMostGuidedRows);

}  // namespace

std::span<const GuidedRow> guided_rows() { return kRows; }

}  // namespace bhvm
