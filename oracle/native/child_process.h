// The child process from the runner's side: starting it, asking it for a chunk, noticing its end.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <memory>
#include <utility>

#include "base/result.h"
#include "oracle/native/arena.h"

namespace bhvm::oracle::native {

/// A file descriptor that is closed with its owner.
class Descriptor {
 public:
  explicit Descriptor(int number = -1) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor();
  int get() const { return number_; }

 private:
  int number_;
};

class ChildProcess {
 public:
  /// Error: what the host refused. The arena's tick_us must be set before start().
  static Result<std::unique_ptr<ChildProcess>> create();
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  Arena& arena() { return *arena_; }
  pid_t id() const { return id_; }

  /// Starts the child, ending the one before.
  Status start();
  void stop();

  enum class End { kDone, kDied, kSilent };
  /// Has the child run what the arena's input holds. kSilent: it ended no case for `silence` and is still running.
  End run_chunk(std::chrono::milliseconds silence);

 private:
  ChildProcess() = default;
  Status await_hello();

  Descriptor memory_, image_, socket_;
  Arena* arena_ = nullptr;
  pid_t id_ = -1;
};

}  // namespace bhvm::oracle::native
