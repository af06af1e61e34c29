#include "machine/file_io.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

namespace bhvm {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  bool close_now() { return close(std::exchange(fd_, -1)) == 0; }

 private:
  int fd_;
};

Error cannot(const char* verb, const std::string& purpose, const std::string& path, int error) {
  return Error{fmt::format("Cannot {} the {} {}: {}.", verb, purpose, path, std::strerror(error))};
}

bool write_all(int fd, std::span<const u8> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return true;
}

/// A large file is read in a third of the time when its memory comes in large pages. A wish: the host may ignore it.
void prefer_huge_pages(const std::vector<u8>& bytes) {
  constexpr std::uintptr_t kHugePage = std::uintptr_t{2} << 20;
  const auto begin = reinterpret_cast<std::uintptr_t>(bytes.data());
  const std::uintptr_t first = (begin + kHugePage - 1) & ~(kHugePage - 1);
  const std::uintptr_t end = (begin + bytes.capacity()) & ~(kHugePage - 1);
  if (first < end) madvise(reinterpret_cast<void*>(first), end - first, MADV_HUGEPAGE);
}

}  // namespace

Result<std::vector<u8>> read_file(const std::string& path, const std::string& purpose) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return cannot("open", purpose, path, errno);
  return read_descriptor(file.get(), path, purpose);
}

Result<std::vector<u8>> read_descriptor(int descriptor, const std::string& path, const std::string& purpose) {
  struct stat info{};
  if (fstat(descriptor, &info) != 0) return cannot("read", purpose, path, errno);
  if (S_ISDIR(info.st_mode)) return cannot("read", purpose, path, EISDIR);
  std::vector<u8> bytes;
  std::size_t size = 0;
  constexpr std::size_t kStep = std::size_t{1} << 20;
  bytes.reserve(static_cast<std::size_t>(std::max<off_t>(info.st_size, 0)) + 1);
  prefer_huge_pages(bytes);
  bytes.resize(bytes.capacity());
  for (;;) {
    if (size == bytes.size()) bytes.resize(size + kStep);
    const ssize_t got = read(descriptor, bytes.data() + size, bytes.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return cannot("read", purpose, path, errno);
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  bytes.resize(size);
  return bytes;
}

Status write_file(const std::string& path, std::span<const u8> bytes, const std::string& purpose) {
  struct stat info{};
  const bool special = stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode);
  if (special) {
    Descriptor file(open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (file.get() < 0) return cannot("open", purpose, path, errno);
    if (!write_all(file.get(), bytes) || !file.close_now()) return cannot("write", purpose, path, errno);
    return success();
  }
  const std::string temporary = fmt::format("{}.{}.tmp", path, getpid());
  Descriptor file(open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (file.get() < 0) return cannot("create", purpose, path, errno);
  if (!write_all(file.get(), bytes) || !file.close_now() || rename(temporary.c_str(), path.c_str()) != 0) {
    const int error = errno;
    unlink(temporary.c_str());
    return cannot("write", purpose, path, error);
  }
  return success();
}

}  // namespace bhvm
