// Pushes behind each other, and pops: the beginnings and ends of functions.
#include <algorithm>

#include "cpu/integer/forms.h"
#include "cpu/integer/steps.h"
#include "cpu/joined_ops.h"

namespace bhvm::integer {
std::size_t stack_run(std::span<const Op> ops) {
  const bool push = ops[0].handler == static_cast<Handler>(plain<Push64>);
  if (!push && ops[0].handler != static_cast<Handler>(plain<Pop64>)) return 0;
  const std::size_t most = std::min(ops.size(), kLongestStackRun);
  std::size_t length = 0;
  while (length < most && ops[length].handler == ops[0].handler &&
         (push ? ops[length].src : ops[length].dst) != gpr(kRsp)) {
    length += 1;
  }
  return length;
}

}  // namespace bhvm::integer
