#include "cli/terminal.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <ctime>

namespace bhvm::cli {
namespace {

constexpr u8 kCtrlA = 0x01;
constexpr u8 kCtrlC = 0x03;

}  // namespace

StandardInput::StandardInput(bool enabled) {
  // A closed standard input would make the next opened file descriptor 0: never read that one.
  struct stat info{};
  if (!enabled || fstat(STDIN_FILENO, &info) != 0 || (fcntl(STDIN_FILENO, F_GETFL) & O_ACCMODE) == O_WRONLY) return;
  const bool terminal = isatty(STDIN_FILENO) != 0;
  if (terminal && tcgetpgrp(STDIN_FILENO) != getpgrp()) return;  // in the background: the keyboard is another's
  open_ = true;
  termios now{};
  if (!terminal || tcgetattr(STDIN_FILENO, &now) != 0) return;
  saved_ = now;
  termios raw = now;
  raw.c_iflag &= ~static_cast<tcflag_t>(BRKINT | ICRNL | INLCR | IGNCR | INPCK | ISTRIP | IXON);
  raw.c_lflag &= ~static_cast<tcflag_t>(ECHO | ECHONL | ICANON | IEXTEN | ISIG);
  raw.c_cc[VMIN] = 1;
  raw.c_cc[VTIME] = 0;
  tcsetattr(STDIN_FILENO, TCSANOW, &raw);
}

StandardInput::~StandardInput() {
  if (saved_) tcsetattr(STDIN_FILENO, TCSANOW, &*saved_);
}

std::vector<u8> StandardInput::read(u64 timeout_ns) {
  std::vector<u8> out;
  if (!open_) return out;
  pollfd wait{STDIN_FILENO, POLLIN, 0};
  constexpr u64 kSecond = 1'000'000'000;
  constexpr u64 kLongest = 3600;
  const u64 seconds = timeout_ns / kSecond;
  timespec timeout{static_cast<time_t>(seconds < kLongest ? seconds : kLongest),
                   static_cast<long>(timeout_ns % kSecond)};
  if (ppoll(&wait, 1, &timeout, nullptr) <= 0) return out;
  std::array<u8, kReadMax / 2> bytes{};  // an escape may become two bytes
  const ssize_t got = ::read(STDIN_FILENO, bytes.data(), bytes.size());
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return out;
  if (got <= 0) {
    open_ = false;
    return out;
  }
  for (std::size_t i = 0; i < static_cast<std::size_t>(got); ++i) {
    if (is_terminal()) {
      take_typed(bytes[i], out);
    } else {
      out.push_back(bytes[i]);
    }
  }
  return out;
}

void StandardInput::take_typed(u8 byte, std::vector<u8>& out) {
  if (!escaped_) {
    if (byte == kCtrlA) {
      escaped_ = true;
    } else if (byte == kCtrlC) {
      stop_requested_ = true;
    } else {
      out.push_back(byte);
    }
    return;
  }
  escaped_ = false;
  switch (byte) {
    case 'x':
    case 'X':
      stop_requested_ = true;
      break;
    case 'c':
    case 'C':
      out.push_back(kCtrlC);
      break;
    case 'a':
    case 'A':
    case kCtrlA:
      out.push_back(kCtrlA);
      break;
    default:
      out.push_back(kCtrlA);
      out.push_back(byte);
  }
}

}  // namespace bhvm::cli
