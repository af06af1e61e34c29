// Pushes behind each other, and pops: the beginnings and ends of functions.
#include <algorithm>

#include "cpu/integer/forms.h"
#include "cpu/integer/steps.h"
#include "cpu/joined_ops.h"

namespace bhvm::integer {
namespace {

bool pushes(const Op& op) { return op.handler == plain<Push64> && op.src != gpr(kRsp); }
bool pops(const Op& op) { return op.handler == plain<Pop64> && op.dst != gpr(kRsp); }

}  // namespace

std::size_t stack_run(std::span<const Op> ops) {
  const auto end = std::ranges::find_if_not(ops.first(std::min<std::size_t>(ops.size(), kLongestStackRun)),
                                            !ops.empty() && pushes(ops[0]) ? pushes : pops);
  return static_cast<std::size_t>(end - ops.begin());
}

}  // namespace bhvm::integer
