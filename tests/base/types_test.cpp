#include "base/types.h"

#include <gtest/gtest.h>

#include <type_traits>

namespace bhvm {
namespace {

static_assert(!std::is_convertible_v<LinearAddress, PhysicalAddress>);
static_assert(!std::is_convertible_v<u64, LinearAddress>);

TEST(Types, AddressesSplitIntoPageAndOffset) {
  const PhysicalAddress physical{0x12345678};
  EXPECT_EQ(physical.page().value, 0x12345000u);
  EXPECT_EQ(physical.page_number(), 0x12345u);
  EXPECT_EQ(physical.page_offset(), 0x678u);
  const LinearAddress linear{0xffff'8000'0000'1fff};
  EXPECT_EQ(linear.page().value, 0xffff'8000'0000'1000u);
  EXPECT_EQ(linear.page_offset(), 0xfffu);
}

}  // namespace
}  // namespace bhvm
