// LineSplitter: lines out of a stream of bytes. Line ends are LF or CR LF; other control characters but TAB are taken
// out, so that a line is fit for a log. A line longer than kLongest comes in pieces.
#pragma once

#include <span>
#include <string>

#include "base/types.h"

namespace bhvm {

class LineSplitter {
 public:
  static constexpr std::size_t kLongest = 8192;

  /// Calls line(const std::string&) for each line that the bytes complete.
  template <class Line>
  void feed(std::span<const u8> bytes, const Line& line) {
    for (const u8 byte : bytes) {
      if (byte == '\n' || text_.size() == kLongest) flush(line);
      if (byte == '\t' || (byte >= 0x20 && byte != 0x7F)) text_.push_back(static_cast<char>(byte));
    }
  }

  /// The line ends here, whatever it holds.
  template <class Line>
  void flush(const Line& line) {
    const std::string complete = std::move(text_);
    text_.clear();
    line(complete);
  }

  bool pending() const { return !text_.empty(); }

 private:
  std::string text_;
};

}  // namespace bhvm
