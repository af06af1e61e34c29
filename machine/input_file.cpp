#include "machine/input_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "machine/file_io.h"

namespace bhvm {

void InputFile::Close::operator()(const int* descriptor) const {
  close(*descriptor);
  delete descriptor;
}

Result<InputFile> InputFile::open(const std::string& path, const std::string& purpose) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return Error{fmt::format("Cannot open the {} {}: {}.", purpose, path, std::strerror(errno))};
  InputFile file(descriptor, 0);
  struct stat info{};
  if (fstat(descriptor, &info) != 0) {
    return Error{fmt::format("Cannot read the {} {}: {}.", purpose, path, std::strerror(errno))};
  }
  if (S_ISREG(info.st_mode)) {
    file.size_bytes_ = static_cast<u64>(info.st_size);
    return file;
  }
  Result<std::vector<u8>> bytes = read_descriptor(descriptor, path, purpose);
  if (!bytes) return bytes.error();
  return InputFile(std::move(bytes).value());
}

bool InputFile::read_at(u64 offset, std::span<u8> to) const {
  if (offset > size_bytes_ || to.size() > size_bytes_ - offset) return false;
  if (descriptor_ == nullptr) {
    std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(offset), to.size(), to.begin());
    return true;
  }
  while (!to.empty()) {
    const ssize_t got = pread(*descriptor_, to.data(), to.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    to = to.subspan(static_cast<std::size_t>(got));
    offset += static_cast<u64>(got);
  }
  return true;
}

}  // namespace bhvm
