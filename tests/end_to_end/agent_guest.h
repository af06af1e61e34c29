// A machine whose guest runs the agent (guest/init/agent.c), and how a test talks to it.
//
// Node is a machine with its console and channel as text. A template is a snapshot of one that is `ready`; a node made
// of it takes on an identity and goes on from there.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/end_to_end/guest.h"

namespace bhvm::test {

inline constexpr u64 kMillisecond = 1'000'000;
inline constexpr u64 kSecond = 1'000'000'000;

/// A configuration that boots to the agent. `programs` are archives (cpio) laid over the small root file system.
inline MachineConfig agent_guest(const std::vector<u8>& programs = {}) {
  MachineConfig config = guest("");
  config.command_line = "console=hvc0 quiet bhvm.agent=1";
  config.agent = true;
  config.memory_bytes = u64{128} << 20;
  if (!programs.empty()) {
    std::vector<u8> initrd = *config.initrd;
    initrd.resize((initrd.size() + 3) / 4 * 4);
    initrd.insert(initrd.end(), programs.begin(), programs.end());
    config.initrd = std::make_shared<const std::vector<u8>>(std::move(initrd));
  }
  return config;
}

/// One executable file as a cpio archive in the form the kernel unpacks ("newc").
inline std::vector<u8> cpio_of(const std::string& name, const std::vector<u8>& contents) {
  std::string out;
  const auto pad = [&] { out.resize((out.size() + 3) / 4 * 4); };
  const auto entry = [&](const std::string& path, u32 mode, const std::vector<u8>& bytes) {
    char header[111];
    std::snprintf(header, sizeof header, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", 0, mode, 0, 0, 1,
                  0, static_cast<unsigned>(bytes.size()), 0, 0, 0, 0, static_cast<unsigned>(path.size() + 1), 0);
    out += header;
    out += path;
    out += '\0';
    pad();
    out.append(bytes.begin(), bytes.end());
    pad();
  };
  entry(name, 0100755, contents);
  entry("TRAILER!!!", 0, {});
  return {out.begin(), out.end()};
}

/// tests/end_to_end/guest_program.c as /guest-program in the guest.
inline std::vector<u8> guest_program() {
  return cpio_of("guest-program", read_file(BHVM_GUEST_PROGRAM, "guest program").value());
}

/// A new file with an empty ext4 file system, the same in every run.
inline std::string make_ext4(const Folder& folder, unsigned megabytes, const std::string& name = "disk.ext4") {
  const std::string path = folder.file(name);
  const std::string command =
      "PATH=$PATH:/usr/sbin:/sbin E2FSPROGS_FAKE_TIME=1700000000 mke2fs -qq -F -t ext4 -b 4096 "
      "-U 6268766d-0000-4000-8000-000000000003 "
      "-E hash_seed=6268766d-0000-4000-8000-000000000004,lazy_itable_init=0,lazy_journal_init=0 " +
      path + " " + std::to_string(megabytes) + "M 2>/dev/null >/dev/null";
  EXPECT_EQ(std::system(command.c_str()), 0) << command;
  return path;
}

class Node {
 public:
  explicit Node(std::unique_ptr<Machine> machine) : machine_(std::move(machine)) {
    machine_->set_console_output([this](std::span<const u8> bytes) { append(console, bytes); });
    machine_->set_agent_output([this](std::span<const u8> bytes) { append(channel, bytes); });
  }
  explicit Node(const MachineConfig& config) : Node(boot(config)) {}
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  Machine& machine() { return *machine_; }
  Machine* operator->() { return machine_.get(); }

  void say(const std::string& lines) {
    const std::span<const u8> bytes(reinterpret_cast<const u8*>(lines.data()), lines.size());
    EXPECT_EQ(machine_->agent_input(bytes), bytes.size());
  }
  Stop run_until_ns(u64 time_ns) {
    RunLimits limits;
    limits.time_ns = time_ns;
    return machine_->run_until(limits);
  }
  Stop run_for(u64 ns) { return run_until_ns(machine_->now_ns() + ns); }
  /// Runs until `text` (the console's or the channel's) has `what` in it, at most `ns`; false: it did not come.
  bool wait_for(const std::string& text, const std::string& what, u64 ns = 20 * kSecond) {
    const u64 end_ns = machine_->now_ns() + ns;
    while (text.find(what) == std::string::npos) {
      if (machine_->now_ns() >= end_ns) return false;
      const StopReason reason = run_for(kMillisecond / 4).reason;
      if (reason != StopReason::kTimeLimit) return text.find(what) != std::string::npos;
    }
    return true;
  }
  /// A command, its output (lines as the channel has them) and its status; -1 when it does not end in time.
  std::pair<std::string, int> command(const std::string& text, u64 ns = 60 * kSecond) {
    const std::string id = std::to_string(++commands_);
    const std::size_t before = channel.size();
    std::string escaped;
    for (const char c : text) escaped += c == '\\' ? "\\\\" : c == '\n' ? "\\n" : std::string(1, c);
    say("run " + id + " " + escaped + "\n");
    const std::string done = "\ndone " + id + " ";
    if (!wait_for(channel, done, ns)) return {"", -1};
    run_for(kMillisecond);
    std::string output;
    const std::string lead = "out " + id + " ";
    for (std::size_t at = before; at < channel.size();) {
      const std::size_t end = channel.find('\n', at);
      if (channel.compare(at, lead.size(), lead) == 0) {
        output += channel.substr(at + lead.size(), end - at - lead.size()) + "\n";
      }
      at = end + 1;
    }
    return {output, std::stoi(channel.substr(channel.find(done) + done.size()))};
  }

  std::string console;
  std::string channel = "\n";  // each line is enclosed by two newlines

 private:
  static void append(std::string& text, std::span<const u8> bytes) {
    for (const u8 byte : bytes) {
      if (byte != '\r') text += static_cast<char>(byte);
    }
  }

  std::unique_ptr<Machine> machine_;
  int commands_ = 0;
};

/// A snapshot of a machine that waits for its identity.
inline MachineSnapshot ready_snapshot(const MachineConfig& config) {
  Node node(config);
  EXPECT_TRUE(node.wait_for(node.channel, "\nready\n")) << node.console << node.channel;
  node.run_for(kMillisecond);
  return node->snapshot();
}

}  // namespace bhvm::test
