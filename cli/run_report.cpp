#include "cli/run_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace bhvm::cli {
namespace {

using Json = nlohmann::ordered_json;

Json counters_json(const LinkCounters& counters) {
  Json json;
  json["frames"] = counters.frames;
  json["bytes"] = counters.bytes;
  json["delivered_frames"] = counters.delivered_frames;
  json["delivered_bytes"] = counters.delivered_bytes;
  json["blocked"] = counters.blocked;
  json["clogged"] = counters.clogged;
  json["overflowed"] = counters.overflowed;
  json["lost"] = counters.lost;
  json["corrupted"] = counters.corrupted;
  json["duplicated"] = counters.duplicated;
  json["reordered"] = counters.reordered;
  return json;
}

/// Of the frames that came to a node's card; none is left out (docs/NETWORK.md).
Json card_json(const NodeFrames& frames) {
  const NetCounters& card = frames.card;
  return {{"delivered", card.delivered}, {"queue_full", card.queue_full},
          {"not_ready", card.not_ready}, {"wrong_size", card.wrong_size},
          {"no_room", card.no_room},     {"reset", card.reset},
          {"down", frames.down},         {"under_way", frames.under_way},
          {"waiting", frames.waiting},   {"send_refused", card.send_refused}};
}

u64 instructions_of(const ClusterResult& result) {
  u64 sum = 0;
  for (const NodeStatistics& node : result.nodes) sum += node.instructions;
  return sum;
}

double mips(const ClusterResult& result, const RunCost& cost) {
  return cost.cpu_s > 0 ? static_cast<double>(instructions_of(result)) / cost.cpu_s * 1e-6 : 0;
}

}  // namespace

std::string to_json(const Scenario& scenario, const ClusterResult& result, const RunCost& cost, u64 boot_ns,
                    std::size_t templates, const NodeNames& names) {
  Json json;
  json["bhvm"] = BHVM_VERSION;
  json["scenario"] = scenario.name;
  json["seed"] = scenario.seed;
  json["end"] = std::string(to_string(result.end));
  json["ok"] = result.ok;
  json["virtual_ns"] = result.end_ns;
  json["state_hash"] = to_string(result.final_hash.cluster);
  json["properties"] = Json::array();
  for (const PropertyResult& property : result.properties) {
    Json one;
    one["name"] = property.name;
    one["failed"] = property.failed;
    one["met"] = property.met;
    one["count"] = property.count;
    if (property.failed || property.met) one["time_ns"] = property.time_ns;
    if (property.node != kNoNode) one["node"] = names.at(property.node);
    if (!property.detail.empty()) one["detail"] = property.detail;
    json["properties"].push_back(std::move(one));
  }
  json["nodes"] = Json::object();
  for (std::size_t i = 0; i < result.nodes.size(); ++i) {
    const NodeStatistics& node = result.nodes[i];
    Json one;
    one["status"] = std::string(to_string(node.status));
    one["instructions"] = node.instructions;
    one["idle_ns"] = node.idle_ns;
    one["boots"] = node.boots;
    one["frames_sent"] = node.frames_sent;
    one["frames_received"] = node.frames_received;
    one["card"] = card_json(node.frames);
    one["console_lines"] = node.console_lines;
    one["memory_bytes_own"] = node.memory_pages * 4096;
    one["disks"] = Json::array();
    for (const DiskCounters& disk : node.disks) {
      one["disks"].push_back({{"reads", disk.reads},
                              {"writes", disk.writes},
                              {"flushes", disk.flushes},
                              {"read_bytes", disk.read_bytes},
                              {"written_bytes", disk.written_bytes},
                              {"errors", disk.errors},
                              {"delayed", disk.delayed}});
    }
    json["nodes"][names.at(i)] = std::move(one);
  }
  json["links"] = Json::array();
  for (const LinkStatistics& link : result.links) {
    Json one;
    one["from"] = names.at(link.from);
    one["to"] = names.at(link.to);
    one.update(counters_json(link.counters));
    one["waiting"] = link.waiting;
    json["links"].push_back(std::move(one));
  }
  json["switch"] = {{"unicast", result.switch_counters.unicast},
                    {"flooded", result.switch_counters.flooded},
                    {"filtered", result.switch_counters.filtered}};
  json["faults"] = Json::object();
  for (std::size_t i = 0; i < kFaultKinds; ++i) {
    if (result.faults[i] != 0) json["faults"][std::string(to_string(static_cast<FaultKind>(i)))] = result.faults[i];
  }
  json["instructions"] = instructions_of(result);
  json["epochs"] = result.epochs;
  json["parallel_epochs"] = result.parallel_epochs;
  Json host;
  host["jobs"] = cost.jobs;
  host["images_s"] = cost.image_s;
  host["boot_s"] = cost.boot_s;
  host["run_s"] = cost.run_s;
  host["cpu_s"] = cost.cpu_s;
  host["mips"] = mips(result, cost);
  host["peak_memory_bytes"] = cost.peak_memory_bytes;
  json["boot"] = {{"templates", templates}, {"virtual_ns", boot_ns}};
  json["host"] = std::move(host);
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string closing_lines(const Scenario& scenario, const ClusterResult& result, const RunCost& cost,
                          const NodeNames& names, const std::string& repeat) {
  std::string text;
  const auto is_failed = [](const PropertyResult& property) { return property.failed; };
  const auto failed = std::ranges::count_if(result.properties, is_failed);
  text +=
      fmt::format("{}, seed {}: {}; {} virtual, {:.1f} s wall after {:.1f} s of boot, {} instructions, {:.0f} MIPS\n",
                  scenario.name, scenario.seed,
                  result.end == ClusterEnd::kStopped ? "stopped by the user"
                  : failed == 0                      ? fmt::format("all {} properties held", result.properties.size())
                                : fmt::format("{} of {} properties failed", failed, result.properties.size()),
                  precise_seconds(result.end_ns), cost.run_s, cost.boot_s, instructions_of(result), mips(result, cost));
  text += fmt::format("state hash {}\n", to_string(result.final_hash.cluster));
  for (const PropertyResult& property : result.properties) {
    if (!property.failed) continue;
    text += fmt::format("FAILED: {}\n  at {}{}: {}\n", property.name, precise_seconds(property.time_ns),
                        property.node == kNoNode ? "" : " on " + names.at(property.node), property.detail);
  }
  text += fmt::format("repeat it: {}\n", repeat);
  return text;
}

}  // namespace bhvm::cli
