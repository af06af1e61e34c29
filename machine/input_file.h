// InputFile: a file that is read in pieces when they are wanted, or bytes that stand for one.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/types.h"

namespace bhvm {

class InputFile {
 public:
  /// `purpose` says what it is for in messages. A regular file stays open, and what is read later is what it holds
  /// then; anything else (a pipe) is read as a whole now.
  static Result<InputFile> open(const std::string& path, const std::string& purpose);
  explicit InputFile(std::vector<u8> bytes) : size_bytes_(bytes.size()), bytes_(std::move(bytes)) {}

  u64 size_bytes() const { return size_bytes_; }
  /// Fills `to` from `offset` on. False when the file does not have that much (any more) or cannot be read. May be
  /// called by several threads at once.
  bool read_at(u64 offset, std::span<u8> to) const;

  /// The descriptor of a file that stays open; -1 for bytes().
  int descriptor() const { return descriptor_ == nullptr ? -1 : *descriptor_; }
  std::span<const u8> bytes() const { return bytes_; }

 private:
  struct Close {
    void operator()(const int* descriptor) const;
  };
  InputFile(int descriptor, u64 size_bytes) : descriptor_(new int(descriptor)), size_bytes_(size_bytes) {}

  std::unique_ptr<const int, Close> descriptor_;
  u64 size_bytes_ = 0;
  std::vector<u8> bytes_;
};

}  // namespace bhvm
