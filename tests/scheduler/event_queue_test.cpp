#include "scheduler/event_queue.h"

#include <gtest/gtest.h>

#include <map>

#include "base/random_stream.h"

namespace bhvm {
namespace {

TEST(EventQueue, FiresByTimeThenByOrderOfScheduling) {
  EventQueue queue;
  queue.schedule(20, 1, 0);
  queue.schedule(10, 2, 0);
  queue.schedule(10, 1, 1);
  queue.schedule(10, 0, 9);
  EXPECT_EQ(queue.next_time_ns(), 10u);
  EXPECT_FALSE(queue.pop_due(9));
  EXPECT_EQ(queue.pop_due(10)->target, 2u);
  EXPECT_EQ(queue.pop_due(10)->target, 1u);
  EXPECT_EQ(queue.pop_due(10)->target, 0u);
  EXPECT_FALSE(queue.pop_due(10));
  EXPECT_EQ(queue.pop_due(EventQueue::kNever)->time_ns, 20u);
  EXPECT_EQ(queue.next_time_ns(), EventQueue::kNever);
}

TEST(EventQueue, SchedulingAgainMovesTheEventBehindOthersOfItsTime) {
  EventQueue queue;
  queue.schedule(10, 1, 0, 111);
  queue.schedule(10, 2, 0);
  queue.schedule(10, 1, 0, 222);
  EXPECT_EQ(queue.state().events.size(), 2u);
  EXPECT_EQ(queue.pop_due(10)->target, 2u);
  EXPECT_EQ(queue.pop_due(10)->argument, 222u);
}

TEST(EventQueue, CancelTakesOneKindCancelAllTheTarget) {
  EventQueue queue;
  queue.schedule(1, 1, 0);
  queue.schedule(2, 1, 1);
  queue.schedule(3, 2, 0);
  queue.cancel(1, 5);
  queue.cancel(1, 0);
  EXPECT_FALSE(queue.pending(1, 0));
  EXPECT_TRUE(queue.pending(1, 1));
  queue.cancel_all(1);
  EXPECT_FALSE(queue.pending(1, 1));
  EXPECT_TRUE(queue.pending(2, 0));
}

TEST(EventQueue, GoesOnTheSameFromItsState) {
  EventQueue queue;
  queue.schedule(10, 1, 0);
  queue.schedule(10, 2, 0);
  EventQueue copy;
  copy.set_state(queue.state());
  for (EventQueue* each : {&queue, &copy}) each->schedule(10, 3, 0);
  for (u32 target = 1; target <= 3; ++target) {
    const std::optional<Event> a = queue.pop_due(10);
    const std::optional<Event> b = copy.pop_due(10);
    EXPECT_EQ(a->target, target);
    EXPECT_EQ(a->sequence, b->sequence);
    EXPECT_EQ(a->target, b->target);
  }
}

TEST(EventQueue, PutsAForeignStateInOrder) {
  EventQueue queue;
  queue.set_state({.next_sequence = 1,
                   .events = {{.time_ns = 30, .sequence = 8, .target = 1, .kind = 0},
                              {.time_ns = 10, .sequence = 9, .target = 2, .kind = 0},
                              {.time_ns = 20, .sequence = 4, .target = 1, .kind = 0}}});
  EXPECT_EQ(queue.state().next_sequence, 10u);
  ASSERT_EQ(queue.state().events.size(), 2u);
  EXPECT_EQ(queue.state().events[0].time_ns, 10u);
  EXPECT_EQ(queue.state().events[1].time_ns, 20u);
}

TEST(EventQueue, AgreesWithAMapUnderRandomUse) {
  RandomStream random(3, 0, "event queue test");
  EventQueue queue;
  std::map<std::pair<u32, u32>, std::pair<u64, u64>> model;  // (target, kind) -> (time, order)
  u64 order = 0;
  u64 now_ns = 0;
  for (int round = 0; round < 20000; ++round) {
    const auto target = static_cast<u32>(random.below(4));
    const auto kind = static_cast<u32>(random.below(3));
    switch (random.below(4)) {
      case 0:
      case 1: {
        const u64 time_ns = now_ns + random.below(20);
        queue.schedule(time_ns, target, kind);
        model[{target, kind}] = {time_ns, order++};
        break;
      }
      case 2:
        queue.cancel(target, kind);
        model.erase({target, kind});
        break;
      default: {
        now_ns += random.below(4);
        auto first = model.end();
        for (auto it = model.begin(); it != model.end(); ++it) {
          if (it->second.first <= now_ns && (first == model.end() || it->second < first->second)) first = it;
        }
        const std::optional<Event> event = queue.pop_due(now_ns);
        ASSERT_EQ(event.has_value(), first != model.end());
        if (!event) break;
        ASSERT_EQ(std::pair(event->target, event->kind), first->first);
        model.erase(first);
      }
    }
    ASSERT_EQ(queue.state().events.size(), model.size());
  }
}

}  // namespace
}  // namespace bhvm
