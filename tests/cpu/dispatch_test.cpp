// Who dispatches how. That all ways do the same, every test of this program says: it runs once with each
// (CMakeLists.txt), and so do whole machines (tests/end_to_end/determinism_test.py).
#include "cpu/dispatch.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <set>
#include <string_view>

#include "cpu/joined_ops.h"
#include "tests/cpu/harness.h"

namespace bhvm::test {
namespace {

TEST(Dispatch, TheEnvironmentDecides) {
  const char* const said = std::getenv("BHVM_DISPATCH");
  if (said == nullptr) GTEST_SKIP() << "the environment leaves it to the host";
  if (std::string_view(said) == "jump") EXPECT_EQ(dispatch(), Dispatch::kByJump);
  if (std::string_view(said) == "two-jumps" && has_two_jumps()) EXPECT_EQ(dispatch(), Dispatch::kByTwoJumps);
}

TEST(Dispatch, BlocksAreBuiltOfTheHandlersThatWereChosen) {
  Harness h;
  h.place(kCode,
          {0x89, 0xD8, 0x31, 0xC8, 0x48, 0x83, 0xC2, 0x10, 0xF4});  // mov eax, ebx; xor eax, ecx; add rdx, 16; hlt
  ASSERT_EQ(h.cpu.run(100), RunExit::kHalted);
  std::set<Handler> by_jump, by_two_jumps;
  for (const JoinedRow& row : integer::joined_rows()) by_jump.insert(row.joined);
  for (const JoinedPart& part : integer::joined_parts()) by_jump.insert(part.handler);
  by_two_jumps.insert(two_jumps::joined_rows().begin(), two_jumps::joined_rows().end());
  by_two_jumps.insert(two_jumps::joined_parts().begin(), two_jumps::joined_parts().end());
  const Block* const block = h.cpu.code->find(PhysicalAddress{kCode}, h.cpu.mode);
  ASSERT_NE(block, nullptr);
  const std::set<Handler>& chosen = dispatch() == Dispatch::kByTwoJumps ? by_two_jumps : by_jump;
  for (unsigned i = 0; i < 3; ++i) {  // none with a memory operand
    EXPECT_TRUE(chosen.contains(reinterpret_cast<const RegisterOp*>(block->ops())[i].handler)) << i;
  }
}

}  // namespace
}  // namespace bhvm::test
