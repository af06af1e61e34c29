#include "cli/output_stream.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace bhvm::cli {

Result<OutputStream> OutputStream::create(const std::string& path, const std::string& purpose) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) return Error{fmt::format("Cannot create the {} {}: {}.", purpose, path, std::strerror(errno))};
  OutputStream out(fd, fmt::format("the {} {}", purpose, path));
  out.owned_ = true;
  return out;
}

OutputStream::OutputStream(OutputStream&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      owned_(std::exchange(other.owned_, false)),
      purpose_(std::move(other.purpose_)),
      buffer_(std::move(other.buffer_)),
      error_(std::move(other.error_)) {}

OutputStream::~OutputStream() {
  if (owned_) close(fd_);
}

void OutputStream::flush() {
  std::string_view rest = buffer_;
  while (!rest.empty() && !error_) {
    const ssize_t written = write(fd_, rest.data(), rest.size());
    if (written > 0) {
      rest.remove_prefix(static_cast<std::size_t>(written));
    } else if (written < 0 && errno == EAGAIN) {  // a terminal that shares a non-blocking standard input
      pollfd wait{fd_, POLLOUT, 0};
      poll(&wait, 1, -1);
    } else if (written == 0 || errno != EINTR) {
      error_ = Error{fmt::format("Cannot write to {}: {}.", purpose_, std::strerror(errno))};
    }
  }
  buffer_.clear();
}

}  // namespace bhvm::cli
