// Text that a run writes as it goes: the console, the hashes, the record. The first failure is kept as a sentence.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/types.h"

namespace bhvm::cli {

class OutputStream {
 public:
  /// Writes to a file descriptor that stays open; `purpose` is for messages ("standard output").
  OutputStream(int fd, std::string purpose) : fd_(fd), purpose_(std::move(purpose)) {}
  /// Creates or truncates a file.
  static Result<OutputStream> create(const std::string& path, const std::string& purpose);
  OutputStream(OutputStream&& other) noexcept;
  OutputStream& operator=(OutputStream&&) = delete;
  ~OutputStream();

  /// Buffered until flush().
  void put(std::string_view text) { buffer_ += text; }
  void put(std::span<const u8> bytes) { buffer_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size()); }
  void flush();
  const std::optional<Error>& error() const { return error_; }

 private:
  int fd_;
  bool owned_ = false;
  std::string purpose_;
  std::string buffer_;
  std::optional<Error> error_;
};

}  // namespace bhvm::cli
