// The parts and rows of joined ops (cpu/joined_ops.h) with a vector instruction among them: for hosts that have the
// instructions, if the build knows such hosts.
#define BHVM_VECTOR template

#include "cpu/sse/row_parts.h"

namespace bhvm::sse {
inline namespace BHVM_SSE_HOST {
namespace {

constexpr JoinedPart kParts[] = {
#define BHVM_JOINED_PART(number, ...) part<__VA_ARGS__>(),
#include "cpu/sse/joined_parts.inc"
#undef BHVM_JOINED_PART
};
constexpr JoinedRow kRows[] = {
#define BHVM_JOINED_ROW(...) row<__VA_ARGS__>(),
#include "cpu/sse/joined_rows.inc"
#undef BHVM_JOINED_ROW
};

}  // namespace
}  // namespace BHVM_SSE_HOST

std::span<const JoinedPart> joined_parts() { return kParts; }
std::span<const JoinedRow> joined_rows() { return kRows; }

}  // namespace bhvm::sse
