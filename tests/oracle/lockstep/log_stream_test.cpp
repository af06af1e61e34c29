#include "oracle/lockstep/log_stream.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <thread>

#include "log_text.h"

namespace bhvm::lockstep {
namespace {

TEST(LogStream, KnowsWhereEveryEventEnds) {
  int ends[2];
  ASSERT_EQ(0, pipe(ends));
  const std::string text = state32() + page_fault() + state64() + state64("ffffffff81000000");
  std::thread writer([&] {
    // In pieces that respect nothing.
    for (std::size_t at = 0; at < text.size(); at += 777) {
      const std::string piece = text.substr(at, 777);
      EXPECT_EQ(static_cast<ssize_t>(piece.size()), write(ends[1], piece.data(), piece.size()));
    }
    close(ends[1]);
  });
  LogStream stream(ends[0], false);
  LogEvent event;
  u64 position = 0;
  for (const std::string& expected : {state32(), page_fault() + state64(), state64()}) {
    ASSERT_TRUE(stream.next(event).value());
    position += expected.size();
    EXPECT_EQ(position, stream.position());
  }
  EXPECT_EQ(0xFFFFFFFF81000000u, event.state.rip);
  writer.join();
  EXPECT_EQ(text.size(), stream.written());
  EXPECT_FALSE(stream.next(event).value());
  close(ends[0]);
}

}  // namespace
}  // namespace bhvm::lockstep
