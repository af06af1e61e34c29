#include "cluster/properties.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"

namespace bhvm {
namespace {

constexpr u64 kNever = ~u64{0};

std::string shortened(std::string_view line) {
  constexpr std::size_t kLongest = 300;
  return line.size() <= kLongest ? std::string(line) : std::string(line.substr(0, kLongest)) + "...";
}

std::string seconds(u64 time_ns) {
  return fmt::format("{}.{:03} s", time_ns / 1'000'000'000, time_ns / 1'000'000 % 1000);
}

bool found(const std::regex& expression, std::string_view text) {
  return std::regex_search(text.begin(), text.end(), expression);
}

}  // namespace

Properties::Properties(const Scenario& scenario, Verdict verdict) : scenario_(scenario), verdict_(std::move(verdict)) {
  const auto add = [&](std::string name, bool checked) {
    PropertyResult result;
    result.name = std::move(name);
    results_.push_back(std::move(result));
    checked_.push_back(checked);
  };
  add("kernel", scenario.builtin.kernel);
  add("crash", scenario.builtin.crash);
  add("command", scenario.builtin.command_end);
  add("live-lock", scenario.builtin.live_lock_ns != 0);
  for (const LinePropertyScenario& property : scenario.properties) {
    add(property.name, true);
    expressions_.emplace_back(property.pattern, std::regex::ECMAScript);
  }
  for (const EndCommandScenario& command : scenario.end_commands) add(command.name, true);
  for (const FaultScenario& fault : scenario.faults) watch_speaker(fault.node_pattern);
  for (const FaultMixScenario& mix : scenario.fault_mix) watch_speaker(mix.node_pattern);
}

void Properties::watch_speaker(const std::string& pattern) {
  if (pattern.empty() || std::ranges::find(speakers_, pattern, &Speaker::pattern) != speakers_.end()) return;
  speakers_.push_back({pattern, std::regex(pattern, std::regex::ECMAScript), kNoNode});
}

u32 Properties::who_said(const std::string& pattern) const {
  const auto speaker = std::ranges::find(speakers_, pattern, &Speaker::pattern);
  return speaker == speakers_.end() ? kNoNode : speaker->last;
}

void Properties::fail(std::size_t property, u64 time_ns, u32 node, std::string detail) {
  PropertyResult& result = results_[property];
  if (!checked_[property]) return;
  ++result.count;
  if (result.failed) return;
  result.failed = true;
  result.time_ns = time_ns;
  result.node = node;
  result.detail = std::move(detail);
  ++failures_;
  verdict_(result);
}

void Properties::console_line(u64 time_ns, u32 node, std::string_view line) {
  const KernelTrouble trouble = find_kernel_trouble(line);
  if (trouble.kind != KernelTrouble::Kind::kNone) {
    const bool kernel = trouble.kind == KernelTrouble::Kind::kKernel;
    fail(kernel ? kKernel : kCrash, time_ns, node, fmt::format("{}: {}", trouble.what, shortened(line)));
  }
  for (Speaker& speaker : speakers_) {
    if (found(speaker.expression, line)) speaker.last = node;
  }
  for (std::size_t i = 0; i < expressions_.size(); ++i) {
    const LinePropertyScenario& property = scenario_.properties[i];
    if (property.node != kNoNode && property.node != node) continue;
    if (time_ns < property.after_ns) continue;
    PropertyResult& result = results_[of_line(i)];
    if (result.failed && property.kind != PropertyKind::kNever) continue;
    if (!found(expressions_[i], line)) continue;
    if (property.kind == PropertyKind::kNever) {
      fail(of_line(i), time_ns, node, shortened(line));
      continue;
    }
    ++result.count;
    if (result.met) continue;
    result.met = true;
    result.time_ns = time_ns;
    result.node = node;
    result.detail = shortened(line);
    verdict_(result);
  }
}

void Properties::command_ended(u64 time_ns, u32 node, bool exited, int number, const std::string& how) {
  const NodeScenario& config = scenario_.nodes[node];
  if (config.role == CommandRole::kService) {
    fail(kCommand, time_ns, node, fmt::format("the command of {} ended unexpectedly: {}", config.name, how));
  } else if (config.role == CommandRole::kWorkload && (!exited || number != config.expected_status)) {
    fail(
        kCommand, time_ns, node,
        fmt::format("the workload of {} ended with {}; expected: exited {}", config.name, how, config.expected_status));
  }
}

void Properties::node_ended(u64 time_ns, u32 node, bool powered_off, const std::string& how) {
  // A node that goes down takes its command with it; dying of anything but a power-off is the kernel's failure.
  fail(powered_off ? kCommand : kKernel, time_ns, node, fmt::format("{} stopped: {}", scenario_.nodes[node].name, how));
}

void Properties::live_lock(u64 time_ns, u32 node, const std::string& what) { fail(kLiveLock, time_ns, node, what); }

void Properties::workload_unfinished(u64 now_ns, u32 node) {
  fail(kCommand, now_ns, node,
       fmt::format("the workload of {} had not ended when the quiet period was over", scenario_.nodes[node].name));
}

void Properties::end_command(u64 time_ns, std::size_t command, bool done, int status, const std::string& output) {
  const EndCommandScenario& config = scenario_.end_commands[command];
  PropertyResult& result = results_[of_end_command(command)];
  const std::size_t last_line = output.empty() ? 0 : output.rfind('\n', output.size() - 2) + 1;
  const std::string last = shortened(output.substr(last_line, output.find_last_not_of('\n') + 1 - last_line));
  if (!done) {
    fail(of_end_command(command), time_ns, config.node,
         fmt::format("\"{}\" did not end within {}", shortened(config.command), seconds(config.timeout_ns)));
  } else if (status != config.expected_status) {
    fail(of_end_command(command), time_ns, config.node,
         fmt::format("exit status {} where {} was expected; last line: {}", status, config.expected_status, last));
  } else if (!config.output_pattern.empty() &&
             !found(std::regex(config.output_pattern, std::regex::ECMAScript | std::regex::multiline), output)) {
    fail(of_end_command(command), time_ns, config.node,
         fmt::format("the output does not match \"{}\"; last line: {}", config.output_pattern, last));
  } else {
    result.met = true;
    result.count = 1;
    result.time_ns = time_ns;
    result.node = config.node;
    result.detail = last;
  }
}

u64 Properties::next_deadline_ns() const {
  u64 next = kNever;
  for (std::size_t i = 0; i < scenario_.properties.size(); ++i) {
    const LinePropertyScenario& property = scenario_.properties[i];
    const PropertyResult& result = results_[of_line(i)];
    if (property.kind != PropertyKind::kEventually || property.within_ns == 0 || result.met || result.failed) continue;
    next = std::min(next, property.within_ns);
  }
  return next;
}

void Properties::check_deadlines(u64 now_ns) {
  for (std::size_t i = 0; i < scenario_.properties.size(); ++i) {
    const LinePropertyScenario& property = scenario_.properties[i];
    const PropertyResult& result = results_[of_line(i)];
    if (property.kind != PropertyKind::kEventually || result.met || result.failed) continue;
    if (property.within_ns == 0 || property.within_ns > now_ns) continue;
    fail(of_line(i), property.within_ns, property.node,
         fmt::format("no line matched \"{}\" within {}", property.pattern, seconds(property.within_ns)));
  }
}

void Properties::finish(u64 now_ns) {
  for (std::size_t i = 0; i < scenario_.properties.size(); ++i) {
    const LinePropertyScenario& property = scenario_.properties[i];
    if (property.kind != PropertyKind::kEventually || results_[of_line(i)].met) continue;
    fail(of_line(i), now_ns, property.node, fmt::format("no line matched \"{}\" in the whole run", property.pattern));
  }
}

std::vector<PropertyState> Properties::state() const {
  std::vector<PropertyState> states;
  for (const PropertyResult& result : results_) {
    states.push_back({result.failed, result.met, result.count, result.time_ns, result.node});
  }
  return states;
}

}  // namespace bhvm
