// The rows of joined ops (cpu/joined_ops.h) without vector instructions.
#include "cpu/integer/jump_handlers.h"
#include "cpu/integer/steps.h"
#include "cpu/joined_handlers.h"

namespace bhvm::integer {
namespace {

constexpr JoinedRow kRows[] = {
#define BHVM_JOINED_ROW(...) row<__VA_ARGS__>(),
#include "cpu/integer/joined_rows.inc"
#undef BHVM_JOINED_ROW
};

}  // namespace

std::span<const JoinedRow> joined_rows() { return kRows; }

}  // namespace bhvm::integer
