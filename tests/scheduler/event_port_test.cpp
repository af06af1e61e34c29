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

TEST(EventPort, OfAClockChipLivesInWhatTheOscillatorShows) {
  EventQueue queue;
  VirtualClock clock;
  Oscillator oscillator;
  EventPort port(queue, clock, oscillator, 1);
  clock.idle_until(1000);
  oscillator.set_rate(1000, 2, 1);
  clock.idle_until(1100);
  EXPECT_EQ(port.now_ns(), 1200u);
  port.arm(3, 1301);
  EXPECT_EQ(queue.next_time_ns(), 1151u) << "the first moment at which 1301 or more is shown";
  port.arm(3, EventQueue::kNever);
  EXPECT_EQ(queue.next_time_ns(), EventQueue::kNever);
}

}  // namespace
}  // namespace bhvm
