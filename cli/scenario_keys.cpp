#include "cli/scenario_keys.h"

#include <array>

#include "base/check.h"

namespace bhvm::cli {
namespace {

constexpr std::string_view kScenario[] = {
    "name",       "description", "seed",   "max_time",  "quiet",           "timer_jitter",     "hash_every",
    "date",       "kernel",      "images", "nodes",     "stop_at_failure", "power_off_at_end", "network",
    "properties", "checks",      "faults", "fault_mix", "builtin"};
constexpr std::string_view kImage[] = {"packages", "folder", "oci",    "tag",   "add",
                                       "programs", "size",   "kernel", "append"};
constexpr std::string_view kAddedFolder[] = {"from", "to"};
constexpr std::string_view kNode[] = {"name",        "count", "image",   "memory", "command", "role", "expected_status",
                                      "environment", "disks", "address", "start",  "rate"};
constexpr std::string_view kDisk[] = {"size", "image", "mount", "filesystem", "logical_block", "physical_block"};
constexpr std::string_view kNetwork[] = {"subnet",  "mtu",     "latency",       "jitter",    "loss",  "duplicate",
                                         "reorder", "corrupt", "reorder_delay", "bandwidth", "queue", "links"};
constexpr std::string_view kLink[] = {"from",      "to",      "both_ways", "latency",       "jitter",    "loss",
                                      "duplicate", "reorder", "corrupt",   "reorder_delay", "bandwidth", "queue"};
constexpr std::string_view kFault[] = {"kind",      "at",     "duration", "nodes",  "node_that_said", "links",
                                       "shape",     "disk",   "latency",  "jitter", "probability",    "reorder_delay",
                                       "bandwidth", "factor", "change",   "jump",   "survive",        "requests"};
constexpr std::string_view kFaultMix[] = {
    "kind",        "interval",      "duration",  "nodes",  "node_that_said", "shapes", "latency", "jitter",
    "probability", "reorder_delay", "bandwidth", "factor", "change",         "jump",   "survive", "requests"};
constexpr std::string_view kProperty[] = {"name", "never", "eventually", "sometimes", "node", "after", "within"};
constexpr std::string_view kCheck[] = {"name", "node", "command", "expected_status", "output", "timeout"};
constexpr std::string_view kBuiltin[] = {"kernel", "crash", "command_end", "live_lock"};

constexpr TableKeys kTables[] = {{"scenario", kScenario}, {"image", kImage}, {"added_folder", kAddedFolder},
                                 {"node", kNode},         {"disk", kDisk},   {"network", kNetwork},
                                 {"link", kLink},         {"fault", kFault}, {"fault_mix", kFaultMix},
                                 {"property", kProperty}, {"check", kCheck}, {"builtin", kBuiltin}};

constexpr std::string_view kRoles[] = {"service", "workload", "free"};  // in the order of CommandRole
constexpr std::string_view kRequests[] = {"read", "write", "flush"};

// The words of an enumeration, from its to_string().
template <class E>
Keys words_of() {
  static const auto words = [] {
    std::array<std::string_view, static_cast<std::size_t>(E::kCount)> all;
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = to_string(static_cast<E>(i));
    return all;
  }();
  return words;
}

}  // namespace

Keys scenario_keys() { return kScenario; }
Keys image_keys() { return kImage; }
Keys added_folder_keys() { return kAddedFolder; }
Keys node_keys() { return kNode; }
Keys disk_keys() { return kDisk; }
Keys network_keys() { return kNetwork; }
Keys link_keys() { return kLink; }
Keys fault_keys() { return kFault; }
Keys fault_mix_keys() { return kFaultMix; }
Keys property_keys() { return kProperty; }
Keys check_keys() { return kCheck; }
Keys builtin_keys() { return kBuiltin; }
std::span<const TableKeys> scenario_tables() { return kTables; }

Keys strength_keys(FaultKind kind) {
  static constexpr std::string_view kLatency[] = {"latency", "jitter"};
  static constexpr std::string_view kProbability[] = {"probability"};
  static constexpr std::string_view kReorder[] = {"probability", "reorder_delay"};
  static constexpr std::string_view kBandwidth[] = {"bandwidth"};
  static constexpr std::string_view kSurvive[] = {"survive"};
  static constexpr std::string_view kSlowCpu[] = {"factor"};
  static constexpr std::string_view kClockRate[] = {"change"};
  static constexpr std::string_view kClockJump[] = {"jump"};
  static constexpr std::string_view kDiskError[] = {"probability", "requests"};
  static constexpr std::string_view kDiskLatency[] = {"latency"};
  switch (kind) {
    case FaultKind::kPartition:
    case FaultKind::kClog:
    case FaultKind::kPause:
    case FaultKind::kDiskFull:
      return {};
    case FaultKind::kLatency:
      return kLatency;
    case FaultKind::kLoss:
    case FaultKind::kDuplicate:
    case FaultKind::kCorrupt:
      return kProbability;
    case FaultKind::kReorder:
      return kReorder;
    case FaultKind::kBandwidth:
      return kBandwidth;
    case FaultKind::kKill:
    case FaultKind::kTornWrite:
      return kSurvive;
    case FaultKind::kSlowCpu:
      return kSlowCpu;
    case FaultKind::kClockRate:
      return kClockRate;
    case FaultKind::kClockJump:
    case FaultKind::kWallClock:
      return kClockJump;
    case FaultKind::kDiskError:
      return kDiskError;
    case FaultKind::kDiskLatency:
      return kDiskLatency;
    case FaultKind::kCount:
      break;
  }
  BHVM_UNREACHABLE("a fault of no kind");
}

Keys fault_kind_words() { return words_of<FaultKind>(); }
Keys partition_shape_words() { return words_of<PartitionShape>(); }
Keys role_words() { return kRoles; }
Keys request_words() { return kRequests; }

}  // namespace bhvm::cli
