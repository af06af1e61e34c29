#include "cli/run_comparison.h"

#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "machine/file_io.h"

namespace bhvm::cli {
namespace {

using Json = nlohmann::ordered_json;

/// Which parts of two hash records differ: "node redis1, the network".
std::string parts_that_differ(const std::string& recorded, const std::string& now) {
  const Json a = Json::parse(recorded, nullptr, false);
  const Json b = Json::parse(now, nullptr, false);
  if (a.is_discarded() || b.is_discarded()) return "the record";
  if (a.value("time_ns", u64{0}) != b.value("time_ns", u64{0})) return "the moment";
  std::string parts;
  const auto add = [&parts](const std::string& part) { parts += (parts.empty() ? "" : ", ") + part; };
  const Json recorded_nodes = a.value("nodes", Json::object());
  const Json nodes = b.value("nodes", Json::object());
  for (const auto& [name, hash] : nodes.items()) {
    if (!recorded_nodes.contains(name) || recorded_nodes[name] != hash) add("node " + name);
  }
  if (a.value("network", "") != b.value("network", "")) add("the network");
  return parts.empty() ? "the cluster's own state" : parts;
}

std::string without_end(const std::string& line) {
  return line.ends_with('\n') ? line.substr(0, line.size() - 1) : line;
}

}  // namespace

Result<RunComparison::Log> RunComparison::read_log(const std::string& folder, const std::string& file,
                                                   std::string what) {
  Result<std::vector<u8>> bytes = read_file((std::filesystem::path(folder) / file).string(), what);
  if (!bytes) return bytes.error();
  Log log;
  log.what = std::move(what);
  std::string line;
  for (const u8 byte : bytes.value()) {
    line += static_cast<char>(byte);
    if (byte == '\n') log.lines.push_back(std::exchange(line, {}));
  }
  if (!line.empty()) log.lines.push_back(line);
  return log;
}

Result<RunComparison> RunComparison::open(const std::string& folder, const NodeNames& names, std::atomic<bool>& stop) {
  RunComparison comparison(names, stop);
  for (const std::string& name : names) {
    Result<Log> console = read_log(folder, name + ".console.log", "console of " + name);
    if (!console) return console.error();
    comparison.consoles_.push_back(std::move(console).value());
  }
  Result<Log> events = read_log(folder, "events.jsonl", "events");
  if (!events) return events.error();
  comparison.events_ = std::move(events).value();
  Result<Log> hashes = read_log(folder, "hashes.jsonl", "state hashes");
  if (!hashes) return hashes.error();
  comparison.hashes_ = std::move(hashes).value();
  return comparison;
}

void RunComparison::compare(Log& log, u64 time_ns, const std::string& line) {
  if (log_difference_) return;
  const std::string recorded = log.next < log.lines.size() ? log.lines[log.next] : "(nothing)";
  if (recorded != line) {
    log_difference_ = Difference{time_ns, log.what, without_end(recorded), without_end(line)};
    return;
  }
  ++log.next;
}

void RunComparison::console_line(u64 time_ns, u32 node, std::string_view line) {
  compare(consoles_[node], time_ns, console_log_line(time_ns, line));
}

void RunComparison::end_command_line(u64 time_ns, u32 node, std::string_view line) {
  console_line(time_ns, node, std::string("check: ").append(line));
}

void RunComparison::event(const ClusterEvent& event) { compare(events_, event.time_ns, event_log_line(event, names_)); }

void RunComparison::hashes(const HashRecord& record) {
  if (hash_difference_) return;
  const std::string now = hash_log_line(record, names_);
  const std::string recorded = hashes_.next < hashes_.lines.size() ? hashes_.lines[hashes_.next] : "(nothing)";
  if (recorded == now) {
    ++hashes_.next;
    same_until_ns_ = record.time_ns;
    return;
  }
  hash_difference_ =
      Difference{record.time_ns, parts_that_differ(recorded, now), without_end(recorded), without_end(now)};
  stop_->store(true);
}

bool RunComparison::incomplete() const {
  const auto short_of = [](const Log& log) { return log.next < log.lines.size(); };
  if (short_of(events_) || short_of(hashes_)) return true;
  for (const Log& console : consoles_) {
    if (short_of(console)) return true;
  }
  return false;
}

std::string RunComparison::report() const {
  std::string text;
  if (hash_difference_) {
    text += fmt::format("The state hashes are the same up to {} and differ at {}, in {}.\n",
                        precise_seconds(same_until_ns_), precise_seconds(hash_difference_->time_ns),
                        hash_difference_->what);
  }
  if (log_difference_) {
    text += fmt::format("The first line that differs is at {}, in the {}:\n  recorded: {}\n  now:      {}\n",
                        precise_seconds(log_difference_->time_ns), log_difference_->what, log_difference_->recorded,
                        log_difference_->now);
  }
  if (text.empty()) text = "The run ended before everything came that was recorded.\n";
  if (hash_difference_) {
    text += "Record both runs with a smaller --hash-every to narrow it down further.\n";
  }
  return text;
}

}  // namespace bhvm::cli
