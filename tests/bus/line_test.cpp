#include "bus/line.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace bhvm {
namespace {

class Recorder final : public LineListener {
 public:
  void set_line(u32 index, bool level) override { seen.emplace_back(index, level); }
  std::vector<std::pair<u32, bool>> seen;
};

TEST(Line, DrivesItsIndexOrNothing) {
  Recorder recorder;
  const Line line(recorder, 4);
  line.set(true);
  line.set(false);
  Line().set(true);
  EXPECT_EQ(recorder.seen, (std::vector<std::pair<u32, bool>>{{4, true}, {4, false}}));
}

}  // namespace
}  // namespace bhvm
