// Events out of the pipe, with the place in the stream where each one ends.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "oracle/lockstep/log_parser.h"

namespace bhvm::lockstep {

class LogStream {
 public:
  /// Reads from `fd`, which stays its owner's.
  LogStream(int fd, bool fpu);

  /// The next event; false when the log has ended. An error when QEMU says nothing for `kPatienceMs` or something that
  /// is not understood.
  Result<bool> next(LogEvent& event);

  /// Bytes of the stream up to the end of the last event.
  u64 position() const { return position_; }
  /// Bytes of the stream that QEMU has written by now.
  u64 written() const;

  static constexpr int kPatienceMs = 30'000;

 private:
  enum class Fill : u8 { kMore, kEnd, kSilence };
  Fill fill();

  int fd_;
  bool fpu_;
  std::vector<char> buffer_;
  std::size_t start_ = 0;  // of what is not parsed yet
  std::size_t end_ = 0;
  u64 position_ = 0;
};

}  // namespace bhvm::lockstep
