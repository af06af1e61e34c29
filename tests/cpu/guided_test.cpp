// The table of guided handlers, and who gets them. That they do what the others do, every test of this program says: it
// runs once with each (CMakeLists.txt), and so do whole machines (tests/end_to_end/determinism_test.py).
#include "cpu/guided.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <set>
#include <string_view>
#include <vector>

#include "tests/cpu/harness.h"

namespace bhvm::test {
namespace {

TEST(Guided, EachHandlerHasOneOfItsOwn) {
  if (guided_rows().empty()) GTEST_SKIP() << "this build has no guided handlers";
  EXPECT_GT(guided_rows().size(), 1000u);
  std::set<Handler> seen;
  for (const GuidedRow& row : guided_rows()) {
    EXPECT_TRUE(seen.insert(row.handler).second);
    EXPECT_TRUE(seen.insert(row.guided).second);
  }
}

TEST(Guided, OpsOfTheTableAreGivenTheirsAndOthersKept) {
  if (guided_rows().empty()) GTEST_SKIP() << "this build has no guided handlers";
  const Handler stranger = guided_rows().front().guided;  // is itself in no row
  std::vector<Op> ops(guided_rows().size() + 2);
  for (std::size_t i = 0; i < guided_rows().size(); ++i) ops[i].handler = guided_rows()[i].handler;
  ops.end()[-2].handler = stranger;
  guide_ops(ops);
  for (std::size_t i = 0; i < guided_rows().size(); ++i) EXPECT_EQ(ops[i].handler, guided_rows()[i].guided) << i;
  EXPECT_EQ(ops.end()[-2].handler, stranger);
  EXPECT_EQ(ops.end()[-1].handler, nullptr);  // data
}

TEST(Guided, TheEnvironmentDecides) {
  const char* const said = std::getenv("BHVM_DISPATCH");
  if (said == nullptr) GTEST_SKIP() << "the environment leaves it to the host";
  if (std::string_view(said) == "jump") EXPECT_EQ(dispatch(), Dispatch::kByJump);
  if (std::string_view(said) == "guided" && !guided_rows().empty()) EXPECT_EQ(dispatch(), Dispatch::kGuided);
}

TEST(Guided, BlocksAreBuiltOfTheHandlersThatWereChosen) {
  if (guided_rows().empty()) GTEST_SKIP() << "this build has no guided handlers";
  Harness h;
  h.place(kCode,
          {0x89, 0xD8, 0x31, 0xC8, 0x48, 0x83, 0xC2, 0x10, 0xF4});  // mov eax, ebx; xor eax, ecx; add rdx, 16; hlt
  ASSERT_EQ(h.cpu.run(100), RunExit::kHalted);
  std::set<Handler> guided;
  for (const GuidedRow& row : guided_rows()) guided.insert(row.guided);
  const Block* const block = h.cpu.code->find(PhysicalAddress{kCode}, h.cpu.mode);
  ASSERT_NE(block, nullptr);
  EXPECT_EQ(guided.contains(block->ops()->handler), dispatch() == Dispatch::kGuided);
}

}  // namespace
}  // namespace bhvm::test
