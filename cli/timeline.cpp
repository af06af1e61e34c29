#include "cli/timeline.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace bhvm::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr u64 kCluster = 1;  // the cluster's process; nodes follow

// Tracks of a process. A fault has one of its own, because faults may overlap in every way.
constexpr u64 kState = 1;
constexpr u64 kConsole = 2;
constexpr u64 kProperties = 3;
constexpr u64 kFaults = 100;

u64 process_of(u32 node) { return node == kNoNode ? kCluster : kCluster + 1 + node; }

/// Microseconds, as the format wants them, with nanoseconds behind the point.
std::string microseconds(u64 ns) { return fmt::format("{}.{:03}", ns / 1000, ns % 1000); }

std::string json_text(std::string_view text) {
  return Json(std::string(text)).dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

Timeline::Timeline(const NodeNames& names) : names_(names) {
  text_ = "{\"displayTimeUnit\": \"ns\", \"traceEvents\": [\n";
  const auto process = [this](u64 pid, std::string_view name) {
    put(fmt::format(R"({{"ph":"M","name":"process_name","pid":{},"args":{{"name":{}}}}})", pid, json_text(name)));
    put(fmt::format(R"({{"ph":"M","name":"process_sort_index","pid":{},"args":{{"sort_index":{}}}}})", pid, pid));
  };
  process(kCluster, "cluster");
  for (u32 node = 0; node < names_.size(); ++node) process(process_of(node), names_[node]);
}

void Timeline::put(const std::string& json) {
  if (!first_) text_ += ",\n";
  first_ = false;
  text_ += json;
}

std::string Timeline::take() { return std::exchange(text_, {}); }

void Timeline::name_track(Track track, std::string_view name) {
  if (std::exchange(named_[track], true)) return;
  put(fmt::format(R"({{"ph":"M","name":"thread_name","pid":{},"tid":{},"args":{{"name":{}}}}})", track.first,
                  track.second, json_text(name)));
}

void Timeline::slice(Track track, const Open& open, u64 end_ns) {
  put(fmt::format(R"({{"ph":"X","name":{},"pid":{},"tid":{},"ts":{},"dur":{},"args":{{"detail":{}}}}})",
                  json_text(open.name), track.first, track.second, microseconds(open.since_ns),
                  microseconds(end_ns - open.since_ns), json_text(open.detail)));
}

void Timeline::begin(Track track, u64 time_ns, std::string name, std::string detail) {
  end(track, time_ns);
  open_[track] = {time_ns, std::move(name), std::move(detail)};
}

void Timeline::end(Track track, u64 time_ns) {
  const auto found = open_.find(track);
  if (found == open_.end()) return;
  slice(track, found->second, time_ns);
  open_.erase(found);
}

void Timeline::instant(Track track, u64 time_ns, std::string_view name, std::string_view detail) {
  put(fmt::format(R"({{"ph":"i","s":"t","name":{},"pid":{},"tid":{},"ts":{},"args":{{"detail":{}}}}})", json_text(name),
                  track.first, track.second, microseconds(time_ns), json_text(detail)));
}

void Timeline::console_line(u64 time_ns, u32 node, std::string_view line) {
  const Track track{process_of(node), kConsole};
  name_track(track, "console");
  instant(track, time_ns, line, "");
}

void Timeline::frames(u64 time_ns, u32 node, u64 sent, u64 received) {
  put(fmt::format(R"({{"ph":"C","name":"frames","pid":{},"ts":{},"args":{{"sent":{},"received":{}}}}})",
                  process_of(node), microseconds(time_ns), sent, received));
}

void Timeline::event(const ClusterEvent& event) {
  const Track state{process_of(event.node), kState};
  const Track properties{process_of(event.node), kProperties};
  const std::string text = describe(event, names_);
  switch (event.kind) {
    case ClusterEventKind::kRunBegins:
      name_track({kCluster, kState}, "phase");
      begin({kCluster, kState}, event.time_ns, "run");
      return;
    case ClusterEventKind::kQuietBegins:
      begin({kCluster, kState}, event.time_ns, "quiet");
      return;
    case ClusterEventKind::kNodeStarted:
      name_track(state, "state");
      begin(state, event.time_ns, "running");
      return;
    case ClusterEventKind::kNodeRestarted:
      begin(state, event.time_ns, "booting");
      return;
    case ClusterEventKind::kNodeEnded:
      begin(state, event.time_ns, "ended", event.detail);
      return;
    case ClusterEventKind::kFaultBegins:
    case ClusterEventKind::kFaultEnds: {
      // A fault is shown with the cluster, and with each node that it concerns.
      std::vector<u64> processes{kCluster};
      for (const u32 node : event.nodes) processes.push_back(process_of(node));
      for (const u64 process : processes) {
        const Track track{process, kFaults + event.fault_id};
        if (event.kind == ClusterEventKind::kFaultEnds) {
          end(track, event.time_ns);
          continue;
        }
        name_track(track, fmt::format("fault {}", event.fault_id));
        if (is_momentary(event.fault)) {
          instant(track, event.time_ns, to_string(event.fault), text);
          continue;
        }
        begin(track, event.time_ns, std::string(to_string(event.fault)), text);
        const bool down = event.fault == FaultKind::kKill || event.fault == FaultKind::kTornWrite;
        if (down && process != kCluster) begin({process, kState}, event.time_ns, "down");
      }
      if (event.kind == ClusterEventKind::kFaultEnds) {
        std::erase_if(open_, [&](const auto& entry) {
          if (entry.first.second != kFaults + event.fault_id) return false;
          slice(entry.first, entry.second, event.time_ns);
          return true;
        });
      }
      return;
    }
    case ClusterEventKind::kCommandEnded:
    case ClusterEventKind::kEndCommand:
    case ClusterEventKind::kEndCommandEnded:
    case ClusterEventKind::kPropertyFailed:
    case ClusterEventKind::kPropertyMet:
    case ClusterEventKind::kRunEnds:
    case ClusterEventKind::kCount:
      name_track(properties, "properties and commands");
      instant(properties, event.time_ns, text, event.detail);
      return;
  }
}

void Timeline::finish(u64 end_ns) {
  for (const auto& [track, open] : open_) slice(track, open, std::max(end_ns, open.since_ns));
  open_.clear();
  text_ += "\n]}\n";
}

}  // namespace bhvm::cli
