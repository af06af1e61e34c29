#include "cli/run_log.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace bhvm::cli {
namespace {

using Json = nlohmann::ordered_json;

// A guest may have written bytes that are no UTF-8.
std::string line_of(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"; }

std::string list_of(const std::vector<u32>& nodes, const NodeNames& names) {
  std::string text;
  for (const u32 node : nodes) text += (text.empty() ? "" : ", ") + names.at(node);
  return text;
}

}  // namespace

std::string precise_seconds(u64 ns) { return fmt::format("{}.{:09} s", ns / 1'000'000'000, ns % 1'000'000'000); }

std::string console_log_line(u64 time_ns, std::string_view text) {
  return fmt::format("[{:5}.{:09}] {}\n", time_ns / 1'000'000'000, time_ns % 1'000'000'000, text);
}

std::string event_log_line(const ClusterEvent& event, const NodeNames& names) {
  Json json;
  json["id"] = event.id;
  json["time_ns"] = event.time_ns;
  json["event"] = std::string(to_string(event.kind));
  if (event.node != kNoNode) json["node"] = names.at(event.node);
  if (event.fault_id != 0) {
    json["fault_id"] = event.fault_id;
    json["fault"] = std::string(to_string(event.fault));
  }
  if (!event.nodes.empty()) {
    json["nodes"] = Json::array();
    for (const u32 node : event.nodes) json["nodes"].push_back(names.at(node));
  }
  if (!event.name.empty()) json["name"] = event.name;
  if (!event.detail.empty()) json["detail"] = event.detail;
  return line_of(json);
}

std::string hash_log_line(const HashRecord& record, const NodeNames& names) {
  Json json;
  json["time_ns"] = record.time_ns;
  json["cluster"] = to_string(record.cluster);
  json["network"] = to_string(record.network);
  json["nodes"] = Json::object();
  for (std::size_t i = 0; i < record.nodes.size(); ++i) json["nodes"][names.at(i)] = to_string(record.nodes[i]);
  return line_of(json);
}

std::string describe(const ClusterEvent& event, const NodeNames& names) {
  const std::string node = event.node == kNoNode ? "" : names.at(event.node);
  const std::string detail = event.detail.empty() ? "" : fmt::format(" ({})", event.detail);
  const std::string whom = list_of(event.nodes, names);
  std::string fault(event.fault == FaultKind::kCount ? "fault" : to_string(event.fault));
  if (!event.name.empty()) fault += fmt::format(" ({})", event.name);
  switch (event.kind) {
    case ClusterEventKind::kRunBegins:
      return "the run begins";
    case ClusterEventKind::kNodeStarted:
      return fmt::format("{} starts{}", node, detail);
    case ClusterEventKind::kNodeRestarted:
      return fmt::format("{} is powered on again{}", node, detail);
    case ClusterEventKind::kNodeEnded:
      return fmt::format("{} ended{}", node, detail);
    case ClusterEventKind::kCommandEnded:
      return fmt::format("the command of {} ended{}", node, detail);
    case ClusterEventKind::kFaultBegins:
      return fmt::format("fault {}: {}{}{}", event.fault_id, fault, whom.empty() ? "" : " of " + whom, detail);
    case ClusterEventKind::kFaultEnds:
      return fmt::format("fault {} ends: {}", event.fault_id, fault);
    case ClusterEventKind::kQuietBegins:
      return "quiet: no more faults";
    case ClusterEventKind::kEndCommand:
      return fmt::format("check \"{}\" on {}", event.name, node);
    case ClusterEventKind::kEndCommandEnded:
      return fmt::format("check \"{}\" on {} ended{}", event.name, node, detail);
    case ClusterEventKind::kPropertyFailed:
      return fmt::format("FAILED {}{}{}", event.name, node.empty() ? "" : " on " + node, detail);
    case ClusterEventKind::kPropertyMet:
      return fmt::format("met: {}{}{}", event.name, node.empty() ? "" : " on " + node, detail);
    case ClusterEventKind::kRunEnds:
      return fmt::format("the run ends{}", detail);
    case ClusterEventKind::kCount:
      break;
  }
  return std::string(to_string(event.kind));
}

}  // namespace bhvm::cli
