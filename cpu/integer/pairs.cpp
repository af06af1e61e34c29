#include "cpu/integer/pairs.h"

#include <array>
#include <tuple>

#include "cpu/integer/steps.h"

namespace bhvm::integer {
namespace {

/// Two ops that stand one behind the other.
template <class First, class Second>
BHVM_HANDLER(both) {
  if (BHVM_UNLIKELY(!First::template run<Through::kTlb>(cpu, fast, op))) BHVM_BECOME((plain<First, Through::kSlow>));
  op += 1;
  if (BHVM_UNLIKELY(!Second::template run<Through::kTlb>(cpu, fast, op))) BHVM_BECOME((plain<Second, Through::kSlow>));
  BHVM_NEXT;
}

/// What takes part, by how often it stands beside another of these in a mix of programs (docs/PERFORMANCE.md).
using Steps =
    std::tuple<MovRegReg<u64>, MovRegMem<u64, true>, MovRegReg<u32>, Push64, MovMemReg<u64, true>, Pop64, LeaBase,
               AluRegReg<Xor, u32, false>, ShiftRegImm<Ror, u32, false>, AluRegReg<Add, u32, false>,
               MovRegMem<u32, true>, AluRegReg<Add, u64, true>, AluRegReg<Add, u64, false>, WidenMem<u32, u8>,
               WidenMem<u32, u16>, AluRegImm<And, u32, true>, AluRegImm<Add, u64, true>, AluRegImm<Add, u64, false>,
               MovMemReg<u32, true>, Lea<u64>, WidenReg<u64, i32>, AluRegReg<Xor, u32, true>, Lea<u32>, MovRegImm<u32>,
               AluRegImm<Sub, u64, true>, MovRegMem<u64, false>, WidenMem<u64, i32>, WidenReg<u32, u8>>;
constexpr std::size_t kSteps = std::tuple_size_v<Steps>;

template <class First, std::size_t... second>
constexpr std::array<Handler, kSteps> row(std::index_sequence<second...>) {
  return {both<First, std::tuple_element_t<second, Steps>>...};
}
template <std::size_t... first>
constexpr std::array<std::array<Handler, kSteps>, kSteps> table(std::index_sequence<first...>) {
  return {row<std::tuple_element_t<first, Steps>>(std::make_index_sequence<kSteps>())...};
}
constexpr auto kBoth = table(std::make_index_sequence<kSteps>());

template <std::size_t... step>
constexpr std::array<Handler, kSteps> singles(std::index_sequence<step...>) {
  return {plain<std::tuple_element_t<step, Steps>>...};
}
constexpr auto kSingle = singles(std::make_index_sequence<kSteps>());

/// Place of a handler among the steps; kSteps if it is none.
class StepIndex {
 public:
  StepIndex() {
    slots_.fill(kSteps);
    for (std::size_t step = 0; step < kSteps; ++step) {
      std::size_t slot = hash(kSingle[step]);
      while (slots_[slot] != kSteps) slot = (slot + 1) % kSlots;
      slots_[slot] = step;
    }
  }
  std::size_t of(Handler handler) const {
    std::size_t slot = hash(handler);
    while (slots_[slot] != kSteps && kSingle[slots_[slot]] != handler) slot = (slot + 1) % kSlots;
    return slots_[slot];
  }

 private:
  static constexpr std::size_t kSlots = 256;
  static std::size_t hash(Handler handler) { return (reinterpret_cast<std::uintptr_t>(handler) >> 4) % kSlots; }
  std::array<std::size_t, kSlots> slots_{};
};

}  // namespace

void pair_ops(std::span<Op> ops) {
  static const StepIndex index;
  for (std::size_t i = 0; i + 1 < ops.size(); ++i) {
    const std::size_t first = index.of(ops[i].handler);
    if (first == kSteps) continue;
    const std::size_t second = index.of(ops[i + 1].handler);
    if (second == kSteps) {
      i += 1;  // neither may be the first of a pair now
      continue;
    }
    ops[i].handler = kBoth[first][second];
    i += 1;
  }
}

}  // namespace bhvm::integer
