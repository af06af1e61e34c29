// What the guest kernel says when something is badly wrong: the strings of Linux 6.1.
#include <array>
#include <charconv>

#include "cluster/agent_protocol.h"
#include "cluster/properties.h"

namespace bhvm {
namespace {

struct Rule {
  std::string_view text;
  std::string_view what;
};

constexpr std::array kRules = {
    Rule{"Kernel panic - not syncing", "kernel panic"},
    Rule{"Oops: ", "kernel oops"},
    Rule{"kernel BUG at ", "kernel BUG"},
    Rule{"BUG: ", "kernel BUG"},
    Rule{"general protection fault, ", "kernel oops"},
    Rule{"blocked for more than ", "hung task"},
    Rule{"self-detected stall", "RCU stall"},
    Rule{"Out of memory: Killed process", "OOM kill"},
    Rule{"Memory cgroup out of memory: Killed process", "OOM kill"},
};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// What stands behind a printk time stamp, "[   12.345678] ", anywhere in the line: a program may have left a line
/// unfinished in front of it. Empty when there is none.
std::string_view kernel_message(std::string_view line) {
  for (std::size_t open = line.find('['); open != std::string_view::npos; open = line.find('[', open + 1)) {
    std::size_t at = open + 1;
    while (at < line.size() && line[at] == ' ') ++at;
    const std::size_t seconds = at;
    while (at < line.size() && is_digit(line[at])) ++at;
    if (at == seconds || at >= line.size() || line[at] != '.') continue;
    const std::size_t fraction = ++at;
    while (at < line.size() && is_digit(line[at])) ++at;
    if (at - fraction != 6 || at >= line.size() || line[at] != ']') continue;
    return line.substr(at + 1);
  }
  return {};
}

}  // namespace

KernelTrouble find_kernel_trouble(std::string_view line) {
  const std::string_view message = kernel_message(line);
  if (message.empty()) return {};
  for (const Rule& rule : kRules) {
    if (message.find(rule.text) != std::string_view::npos)
      return {KernelTrouble::Kind::kKernel, std::string(rule.what)};
  }
  // kernel/signal.c, print_fatal_signal(): on with the kernel parameter print-fatal-signals=1.
  static constexpr std::string_view kSignal = "potentially unexpected fatal signal ";
  if (const std::size_t at = message.find(kSignal); at != std::string_view::npos) {
    const std::string_view number = message.substr(at + kSignal.size());
    int signal = 0;
    std::from_chars(number.data(), number.data() + number.size(), signal);
    constexpr std::array kCrashes = {4, 6, 7, 8, 11};  // ILL, ABRT, BUS, FPE, SEGV
    for (const int crash : kCrashes) {
      if (signal == crash) return {KernelTrouble::Kind::kCrash, signal_name(signal)};
    }
    return {};
  }
  // arch/x86/mm/fault.c and kernel/traps.c: show_unhandled_signals.
  if (message.find("]: segfault at ") != std::string_view::npos) return {KernelTrouble::Kind::kCrash, "SIGSEGV"};
  if (message.find("traps: ") != std::string_view::npos &&
      message.find(" trap invalid opcode") != std::string_view::npos) {
    return {KernelTrouble::Kind::kCrash, "SIGILL"};
  }
  return {};
}

}  // namespace bhvm
