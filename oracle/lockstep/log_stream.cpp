#include "oracle/lockstep/log_stream.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace bhvm::lockstep {

LogStream::LogStream(int fd, bool fpu) : fd_(fd), fpu_(fpu), buffer_(std::size_t{2} << 20) {}

LogStream::Fill LogStream::fill() {
  std::memmove(buffer_.data(), buffer_.data() + start_, end_ - start_);
  end_ -= start_;
  start_ = 0;
  pollfd wait{fd_, POLLIN, 0};
  if (poll(&wait, 1, kPatienceMs) <= 0) return Fill::kSilence;
  const ssize_t size = read(fd_, buffer_.data() + end_, buffer_.size() - end_);
  if (size <= 0) return Fill::kEnd;
  end_ += static_cast<std::size_t>(size);
  return Fill::kMore;
}

Result<bool> LogStream::next(LogEvent& event) {
  for (;;) {
    const ParseResult parsed = parse_event({buffer_.data() + start_, end_ - start_}, fpu_, event);
    switch (parsed.outcome) {
      case ParseOutcome::kEvent:
        start_ += parsed.used;
        position_ += parsed.used;
        return true;
      case ParseOutcome::kMalformed:
        return Error{fmt::format("QEMU's log has a line that is not understood (its layout is that of QEMU 7.2): {}",
                                 parsed.bad_line)};
      case ParseOutcome::kNeedMore:
        break;
    }
    switch (fill()) {
      case Fill::kMore:
        break;
      case Fill::kEnd:
        return false;
      case Fill::kSilence:
        return Error{fmt::format("QEMU has written nothing for {} s; it hangs, or its guest waits for ever.",
                                 kPatienceMs / 1000)};
    }
  }
}

u64 LogStream::written() const {
  int waiting = 0;
  ioctl(fd_, FIONREAD, &waiting);
  return position_ + (end_ - start_) + static_cast<u64>(waiting);
}

}  // namespace bhvm::lockstep
