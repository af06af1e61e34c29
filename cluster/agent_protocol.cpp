#include "cluster/agent_protocol.h"

#include <fmt/format.h>

#include <charconv>

namespace bhvm {
namespace {

/// Takes the first word and the blank behind it.
std::string_view take_word(std::string_view& line) {
  const std::size_t end = line.find(' ');
  const std::string_view word = line.substr(0, end);
  line = end == std::string_view::npos ? std::string_view{} : line.substr(end + 1);
  return word;
}

template <class Number>
bool take_number(std::string_view& line, Number& number) {
  const std::string_view word = take_word(line);
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  return error == std::errc{} && end == word.data() + word.size();
}

}  // namespace

std::string escape(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\\') {
      escaped += "\\\\";
    } else if (c == '\n') {
      escaped += "\\n";
    } else if (c == '\r') {
      escaped += "\\r";
    } else {
      escaped += c;
    }
  }
  return escaped;
}

std::string unescape(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      plain += text[i];
      continue;
    }
    ++i;
    plain += text[i] == 'n' ? '\n' : text[i] == 'r' ? '\r' : text[i];
  }
  return plain;
}

std::string ip_text(u32 address) {
  return fmt::format("{}.{}.{}.{}", address >> 24, (address >> 16) & 0xFF, (address >> 8) & 0xFF, address & 0xFF);
}

std::string identity_lines(const AgentIdentity& identity) {
  std::string lines = fmt::format("hostname {}\n", identity.host_name);
  const std::array<u8, 6>& mac = identity.mac;
  lines +=
      fmt::format("mac {:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}\n", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
  lines += fmt::format("address {}/{}\n", ip_text(identity.address), identity.prefix_bits);
  for (const auto& [address, name] : identity.hosts) lines += fmt::format("host {} {}\n", ip_text(address), name);
  for (const auto& [name, value] : identity.environment) lines += fmt::format("env {}={}\n", name, escape(value));
  for (const AgentMount& mount : identity.mounts) {
    lines += fmt::format("mount {} {} {}\n", mount.device, mount.directory, mount.filesystem);
  }
  if (identity.date_ns != 0) {
    lines += fmt::format("date {}.{:09}\n", identity.date_ns / 1'000'000'000, identity.date_ns % 1'000'000'000);
  }
  const std::array<u64, 4>& seed = identity.seed;
  lines += fmt::format("seed {:016x}{:016x}{:016x}{:016x}\n", seed[0], seed[1], seed[2], seed[3]);
  if (!identity.command.empty()) lines += fmt::format("command {}\n", escape(identity.command));
  return lines + "go\n";
}

std::string run_line(u64 id, const std::string& command) { return fmt::format("run {} {}\n", id, escape(command)); }

std::string fill_line(u64 id, const std::string& path, bool full) {
  return fmt::format("{} {} {}\n", full ? "fill" : "unfill", id, escape(path));
}

std::string wall_clock_line(u64 id, i64 delta_ns) { return fmt::format("clock {} {}\n", id, delta_ns); }

AgentMessage parse_agent_line(std::string_view line) {
  const AgentMessage unknown{AgentMessageKind::kUnknown, 0, 0, std::string(line)};
  AgentMessage message;
  const std::string_view word = take_word(line);
  if (word == "ready") {
    message.kind = AgentMessageKind::kReady;
  } else if (word == "started") {
    message.kind = AgentMessageKind::kStarted;
  } else if (word == "exited" || word == "killed") {
    message.kind = word == "exited" ? AgentMessageKind::kExited : AgentMessageKind::kKilled;
    if (!take_number(line, message.number)) return unknown;
  } else if (word == "out") {
    message.kind = AgentMessageKind::kOutput;
    if (!take_number(line, message.id)) return unknown;
    message.text = unescape(line);
  } else if (word == "done") {
    message.kind = AgentMessageKind::kDone;
    if (!take_number(line, message.id) || !take_number(line, message.number)) return unknown;
  } else if (word == "error") {
    message.kind = AgentMessageKind::kError;
    message.text = unescape(line);
  } else {
    return unknown;
  }
  return message;
}

std::string signal_name(int signal) {
  // Linux, x86-64: signal(7).
  static constexpr std::array<std::string_view, 16> kNames = {
      "signal 0", "SIGHUP",  "SIGINT",  "SIGQUIT", "SIGILL",  "SIGTRAP", "SIGABRT", "SIGBUS",
      "SIGFPE",   "SIGKILL", "SIGUSR1", "SIGSEGV", "SIGUSR2", "SIGPIPE", "SIGALRM", "SIGTERM"};
  if (signal >= 0 && static_cast<std::size_t>(signal) < kNames.size()) {
    return std::string(kNames[static_cast<std::size_t>(signal)]);
  }
  return fmt::format("signal {}", signal);
}

}  // namespace bhvm
