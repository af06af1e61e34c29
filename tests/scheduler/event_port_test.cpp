#include "scheduler/event_port.h"

#include <gtest/gtest.h>

namespace bhvm {
namespace {

TEST(EventPort, ActsForItsOwnTargetOnly) {
  EventQueue queue;
  VirtualClock clock;
  clock.set_instructions(50);
  EventPort a(queue, clock, 1);
  EventPort b(queue, clock, 2);
  a.arm(7, 100, 5);
  b.arm(7, 90);
  EXPECT_EQ(a.now_ns(), 50u);
  EXPECT_TRUE(a.armed(7));
  b.disarm(7);
  EXPECT_TRUE(a.armed(7));
  EXPECT_FALSE(b.armed(7));
  const std::optional<Event> event = queue.pop_due(100);
  ASSERT_TRUE(event.has_value());
  EXPECT_EQ(event->target, 1u);
  EXPECT_EQ(event->argument, 5u);
}

}  // namespace
}  // namespace bhvm
