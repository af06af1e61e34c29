// What the host and the agent in a node (guest/init) say to each other: lines of text over the agent channel.
//
// to the agent:    identity lines ending with `go`; later `run ID COMMAND`, `fill`, `unfill`, `clock`, `stop`
// from the agent:  `ready`, `started`, `exited N`, `killed N`, `out ID TEXT`, `done ID N`, `error TEXT`
//
// Free text is escaped: `\\` is a backslash, `\n` a line feed, `\r` a carriage return. docs/CLUSTER.md has the whole
// list.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/types.h"

namespace bhvm {

struct AgentMount {
  std::string device;  // "/dev/vdb"
  std::string directory;
  std::string filesystem;
};

/// Who a node is.
struct AgentIdentity {
  std::string host_name;
  std::array<u8, 6> mac{};
  u32 address = 0;  // IPv4, host order
  u32 prefix_bits = 24;
  std::vector<std::pair<u32, std::string>> hosts;  // address and name of every node
  std::vector<std::pair<std::string, std::string>> environment;
  std::vector<AgentMount> mounts;
  u64 date_ns = 0;            // since 1970; 0: what the clock of the machine says
  std::array<u64, 4> seed{};  // for the guest's random numbers
  std::string command;        // for /bin/sh -c; empty: none
};

std::string identity_lines(const AgentIdentity& identity);
std::string run_line(u64 id, const std::string& command);
/// Takes all free space of the file system at `path`, or gives it back.
std::string fill_line(u64 id, const std::string& path, bool full);
/// Sets the wall clock (CLOCK_REALTIME) alone forward, or back.
std::string wall_clock_line(u64 id, i64 delta_ns);
inline constexpr std::string_view kAgentStop = "stop\n";

enum class AgentMessageKind : u8 { kReady, kStarted, kExited, kKilled, kOutput, kDone, kError, kUnknown };

struct AgentMessage {
  AgentMessageKind kind = AgentMessageKind::kUnknown;
  u64 id = 0;        // of kOutput and kDone
  int number = 0;    // status of kExited and kDone, signal of kKilled
  std::string text;  // of kOutput, kError; the line of kUnknown
};

AgentMessage parse_agent_line(std::string_view line);

std::string escape(std::string_view text);
std::string unescape(std::string_view text);

/// "10.0.0.1"
std::string ip_text(u32 address);
/// "SIGSEGV", or "signal 99".
std::string signal_name(int signal);

}  // namespace bhvm
