// Standard input as the guest's keyboard: a terminal in raw mode, a pipe or file, or nothing.
//
// In a terminal Ctrl-A is an escape: Ctrl-A X (or Ctrl-C) ends the run, Ctrl-A C types Ctrl-C, Ctrl-A A types Ctrl-A.
#pragma once

#include <termios.h>

#include <optional>
#include <string>
#include <vector>

#include "base/types.h"

namespace bhvm::cli {

class StandardInput {
 public:
  static constexpr std::size_t kReadMax = 512;

  /// `enabled` false: there is nothing to read, ever.
  explicit StandardInput(bool enabled);
  /// Gives the terminal back as it was.
  ~StandardInput();
  StandardInput(const StandardInput&) = delete;
  StandardInput& operator=(const StandardInput&) = delete;

  bool is_terminal() const { return saved_.has_value(); }
  /// May there still be input?
  bool open() const { return open_; }
  /// Did the user ask to end the run?
  bool stop_requested() const { return stop_requested_; }
  /// Waits up to `timeout_ns` of host time for input (a signal ends the wait) and returns what was typed: at most
  /// kReadMax bytes.
  std::vector<u8> read(u64 timeout_ns);

 private:
  void take_typed(u8 byte, std::vector<u8>& out);

  bool open_ = false;
  bool stop_requested_ = false;
  bool escaped_ = false;  // Ctrl-A was typed
  std::optional<termios> saved_;
};

}  // namespace bhvm::cli
