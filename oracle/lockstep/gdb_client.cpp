#include "oracle/lockstep/gdb_client.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <charconv>
#include <numeric>

namespace bhvm::lockstep {
namespace {

constexpr int kPatienceMs = 30'000;
constexpr u64 kBytesAtOnce = 1024;

Error silent() { return Error{"QEMU does not answer on its gdb connection."}; }

}  // namespace

Status GdbClient::send(std::string_view body) {
  const unsigned sum = std::accumulate(body.begin(), body.end(), 0u,
                                       [](unsigned total, char c) { return (total + static_cast<u8>(c)) & 0xFF; });
  const std::string packet = fmt::format("${}#{:02x}", body, sum);
  if (::send(fd_, packet.data(), packet.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(packet.size())) return silent();
  return success();
}

Result<std::string> GdbClient::receive() {
  for (;;) {
    const std::size_t start = unread_.find('$');
    const std::size_t end = start == std::string::npos ? start : unread_.find('#', start);
    if (end != std::string::npos && unread_.size() >= end + 3) {
      std::string body = unread_.substr(start + 1, end - start - 1);
      unread_.erase(0, end + 3);
      if (::send(fd_, "+", 1, MSG_NOSIGNAL) != 1) return silent();
      return body;
    }
    pollfd wait{fd_, POLLIN, 0};
    if (poll(&wait, 1, kPatienceMs) <= 0) return silent();
    std::array<char, 4096> bytes{};
    const ssize_t size = recv(fd_, bytes.data(), bytes.size(), 0);
    if (size <= 0) return silent();
    unread_.append(bytes.data(), static_cast<std::size_t>(size));
  }
}

Status GdbClient::command(std::string_view body, std::string_view wanted) {
  if (Status sent = send(body); !sent) return sent;
  auto answer = receive();
  if (!answer) return answer.error();
  if (!answer.value().starts_with(wanted)) {
    return Error{fmt::format("QEMU's gdb connection answers '{}' to '{}', not '{}'.", answer.value(), body, wanted)};
  }
  return success();
}

Status GdbClient::run_to(u64 address) {
  if (Status set = command(fmt::format("Z1,{:x},1", address), "OK"); !set) return set;
  if (Status run = command("c", "T05"); !run) return run;
  return command(fmt::format("z1,{:x},1", address), "OK");
}

Result<std::vector<u8>> GdbClient::read_memory(u64 address, u64 size) {
  std::vector<u8> bytes;
  while (bytes.size() < size) {
    const u64 count = std::min(kBytesAtOnce, size - bytes.size());
    if (Status sent = send(fmt::format("m{:x},{:x}", address + bytes.size(), count)); !sent) return sent.error();
    auto answer = receive();
    if (!answer) return answer.error();
    const std::string& text = answer.value();
    if (text.size() != 2 * count) {
      return Error{fmt::format("QEMU's gdb connection does not give memory at {:#x}.", address + bytes.size())};
    }
    for (std::size_t i = 0; i < text.size(); i += 2) {
      u8 value = 0;
      std::from_chars(text.data() + i, text.data() + i + 2, value, 16);
      bytes.push_back(value);
    }
  }
  return bytes;
}

Status GdbClient::monitor(std::string_view command) {
  std::string body = "qRcmd,";
  for (const char c : command) body += fmt::format("{:02x}", static_cast<u8>(c));
  if (Status sent = send(body); !sent) return sent;
  for (;;) {
    auto answer = receive();
    if (!answer) return answer.error();
    if (answer.value() == "OK") return success();
    if (!answer.value().starts_with('O')) {
      return Error{fmt::format("QEMU's monitor refuses '{}': {}.", command, answer.value())};
    }
  }
}

Status GdbClient::resume() { return send("c"); }

}  // namespace bhvm::lockstep
