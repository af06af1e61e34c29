// The parts and rows of joined ops (cpu/joined_ops.h) without vector instructions.
#include "cpu/integer/part_numbers.h"

namespace bhvm::integer {
namespace {

constexpr JoinedPart kParts[] = {
#define BHVM_JOINED_PART(number, ...) part<__VA_ARGS__>(),
#include "cpu/integer/joined_parts.inc"
#undef BHVM_JOINED_PART
};
constexpr JoinedRow kRows[] = {
#define BHVM_JOINED_ROW(...) row<__VA_ARGS__>(),
#include "cpu/integer/joined_rows.inc"
#undef BHVM_JOINED_ROW
};

}  // namespace

std::span<const JoinedPart> joined_parts() { return kParts; }
std::span<const JoinedRow> joined_rows() { return kRows; }

}  // namespace bhvm::integer
