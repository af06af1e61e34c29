#include "oracle/native/child_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/memfd.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string>

#include "oracle/native/child_image.h"

namespace bhvm::oracle::native {
namespace {

#if !defined(MFD_EXEC)
constexpr unsigned MFD_EXEC = 0x10;  // Linux 6.3
#endif

Error refused(const char* what) {
  return Error{fmt::format("the host refused {} to the native runner: {}; run without native cases", what,
                           std::strerror(errno))};
}

/// Out of the way of the numbers that the child's descriptors get.
Descriptor moved_up(int number) {
  const Descriptor low(number);
  return Descriptor(fcntl(low.get(), F_DUPFD_CLOEXEC, kSocketDescriptor + 1));
}

Descriptor executable_memory(const char* name) {
  int number = memfd_create(name, MFD_CLOEXEC | MFD_EXEC);
  if (number < 0 && errno == EINVAL) number = memfd_create(name, MFD_CLOEXEC);
  return number < 0 ? Descriptor() : moved_up(number);
}

const char* failure(Hello hello) {
  switch (hello) {
    case Hello::kReady:
      break;
    case Hello::kMap:
      return "could not map the case region (are executable mappings forbidden?)";
    case Hello::kSignals:
      return "could not install its signal handlers";
    case Hello::kNoSystemCallNet:
      return "could not fence off system calls (needs Linux 5.11 or later)";
  }
  return "said something that it never says";
}

enum class Heard { kByte, kClosed, kNothing };
Heard listen(int socket, std::chrono::milliseconds patience, u8& byte) {
  pollfd waiting = {socket, POLLIN, 0};
  const int ready = poll(&waiting, 1, static_cast<int>(patience.count()));
  if (ready == 0 || (ready < 0 && errno == EINTR)) return Heard::kNothing;
  const ssize_t got = ready < 0 ? -1 : recv(socket, &byte, 1, 0);
  return got == 1 ? Heard::kByte : Heard::kClosed;
}

}  // namespace

Descriptor::~Descriptor() {
  if (number_ >= 0) close(number_);
}

Result<std::unique_ptr<ChildProcess>> ChildProcess::create() {
  std::unique_ptr<ChildProcess> child(new ChildProcess());
  child->memory_ = executable_memory("bhvm-native-arena");
  if (child->memory_.get() < 0 || ftruncate(child->memory_.get(), sizeof(Arena)) != 0) return refused("shared memory");
  void* const arena = mmap(nullptr, sizeof(Arena), PROT_READ | PROT_WRITE, MAP_SHARED, child->memory_.get(), 0);
  if (arena == MAP_FAILED) return refused("shared memory");
  child->arena_ = static_cast<Arena*>(arena);

  child->image_ = executable_memory("bhvm-native-child");
  std::span<const u8> rest = child_image();
  while (child->image_.get() >= 0 && !rest.empty()) {
    const ssize_t written = write(child->image_.get(), rest.data(), rest.size());
    if (written <= 0) break;
    rest = rest.subspan(static_cast<std::size_t>(written));
  }
  if (!rest.empty()) return refused("memory for a program");
  return child;
}

ChildProcess::~ChildProcess() {
  stop();
  if (arena_ != nullptr) munmap(arena_, sizeof(Arena));
}

Status ChildProcess::start() {
  stop();
  std::array<int, 2> pair{};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()) != 0) return refused("a socket");
  socket_ = moved_up(pair[0]);
  const Descriptor far_end = moved_up(pair[1]);
  if (socket_.get() < 0 || far_end.get() < 0) return refused("a socket");

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, memory_.get(), kArenaDescriptor);
  posix_spawn_file_actions_adddup2(&actions, far_end.get(), kSocketDescriptor);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  const std::string path = fmt::format("/proc/self/fd/{}", image_.get());
  std::string name = "bhvm-native-child";
  std::array<char*, 2> arguments = {name.data(), nullptr};
  std::array<char*, 1> environment = {nullptr};
  const int error = posix_spawn(&id_, path.c_str(), &actions, &attributes, arguments.data(), environment.data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    id_ = -1;
    errno = error;
    return refused("a child process");
  }
  return await_hello();
}

Status ChildProcess::await_hello() {
  constexpr std::chrono::seconds kPatience{10};
  u8 byte = 0;
  Heard heard = Heard::kNothing;
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (heard == Heard::kNothing && std::chrono::steady_clock::now() < end) {
    heard = listen(socket_.get(), kPatience, byte);
  }
  if (heard != Heard::kByte) {
    stop();
    return Error{"the native runner's child process did not come up; run without native cases"};
  }
  if (const Hello hello{byte}; hello != Hello::kReady) {
    stop();
    return Error{fmt::format("the native runner's child process {}; run without native cases", failure(hello))};
  }
  return success();
}

void ChildProcess::stop() {
  if (id_ < 0) return;
  socket_ = Descriptor();
  kill(id_, SIGKILL);
  while (waitpid(id_, nullptr, 0) < 0 && errno == EINTR) {
  }
  id_ = -1;
}

ChildProcess::End ChildProcess::run_chunk(std::chrono::milliseconds silence) {
  u8 byte = 0;
  if (send(socket_.get(), &byte, 1, MSG_NOSIGNAL) != 1) return End::kDied;
  u64 progress = __atomic_load_n(&arena_->output.progress, __ATOMIC_RELAXED);
  auto heard_at = std::chrono::steady_clock::now();
  for (;;) {
    switch (listen(socket_.get(), std::min(silence, std::chrono::milliseconds(100)), byte)) {
      case Heard::kByte:
        return End::kDone;
      case Heard::kClosed:
        return End::kDied;
      case Heard::kNothing:
        break;
    }
    const u64 now = __atomic_load_n(&arena_->output.progress, __ATOMIC_RELAXED);
    if (now != progress) {
      progress = now;
      heard_at = std::chrono::steady_clock::now();
    } else if (std::chrono::steady_clock::now() - heard_at >= silence) {
      return End::kSilent;
    }
  }
}

}  // namespace bhvm::oracle::native
