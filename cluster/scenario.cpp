#include "cluster/scenario.h"

#include <fmt/format.h>

#include <algorithm>
#include <regex>
#include <set>

#include "base/check.h"

namespace bhvm {
namespace {

constexpr u64 kLongest_ns = 1'000'000'000'000'000;  // 11 days: no sum of times overflows
constexpr u32 kNodesMax = 64;
constexpr std::size_t kNameMax = 48;

/// RFC 1123, 2.1: letters, digits and hyphens; it becomes a host name.
bool is_host_name(const std::string& name) {
  const auto good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
  };
  return !name.empty() && name.size() <= kNameMax && name.front() != '-' && name.back() != '-' &&
         std::ranges::all_of(name, good);
}

Status check_pattern(const std::string& of, const std::string& pattern) {
  try {
    const std::regex compiled(pattern, std::regex::ECMAScript);
  } catch (const std::regex_error& error) {
    return Error{fmt::format("The pattern of {} is no regular expression: {} ({}).", of, pattern, error.what())};
  }
  return success();
}

class Validator {
 public:
  explicit Validator(const Scenario& scenario) : s_(scenario) {}

  Status run() const {
    for (const auto check : {&Validator::nodes, &Validator::network, &Validator::faults, &Validator::mix,
                             &Validator::properties, &Validator::times}) {
      if (Status status = (this->*check)(); !status) return status;
    }
    return success();
  }

 private:
  Status node_index(u32 node, const std::string& of) const {
    if (node < s_.nodes.size()) return success();
    return Error{fmt::format("{} names node number {}; there are {}.", of, node, s_.nodes.size())};
  }

  Status nodes() const {
    if (s_.nodes.empty()) return Error{"The scenario has no nodes; give at least one."};
    if (s_.nodes.size() > kNodesMax) {
      return Error{fmt::format("The scenario has {} nodes; give at most {}.", s_.nodes.size(), kNodesMax)};
    }
    std::set<std::string> names;
    std::set<u32> addresses;
    for (const NodeScenario& node : s_.nodes) {
      if (!is_host_name(node.name)) {
        return Error{fmt::format("The node name \"{}\" is no host name; use up to {} letters, digits and hyphens.",
                                 node.name, kNameMax)};
      }
      if (!names.insert(node.name).second) return Error{fmt::format("Two nodes have the name {}.", node.name)};
      if (node.address != 0 && !addresses.insert(node.address).second) {
        return Error{fmt::format("The address of node {} is that of another node too.", node.name)};
      }
      if (node.image >= s_.images.size())
        return Error{fmt::format("Node {} has an image that is not there.", node.name)};
      if (node.rate_numerator == 0 || node.rate_denominator == 0) {
        return Error{fmt::format("The speed of node {} has a zero in it.", node.name)};
      }
      for (const DiskScenario& disk : node.disks) {
        const auto good = [](u32 bytes) { return bytes == 512 || bytes == 4096; };
        if (!good(disk.logical_block_bytes) || !good(disk.physical_block_bytes) ||
            disk.logical_block_bytes > disk.physical_block_bytes) {
          return Error{fmt::format(
              "A disk of node {} has blocks of {} bytes (logical) and {} (physical); give 512 or 4096, and no logical "
              "one larger than the physical one.",
              node.name, disk.logical_block_bytes, disk.physical_block_bytes)};
        }
      }
      for (const auto& [key, value] : node.environment) {
        if (key.empty() || key.find('=') != std::string::npos) {
          return Error{
              fmt::format("Node {} has an environment variable without a proper name: \"{}\".", node.name, key)};
        }
      }
    }
    return success();
  }

  Status network() const {
    const NetworkScenario& network = s_.network;
    if (network.prefix_bits < 8 || network.prefix_bits > 30) {
      return Error{fmt::format("The network's prefix has {} bits; give 8 to 30.", network.prefix_bits)};
    }
    const u32 mask = ~u32{0} << (32 - network.prefix_bits);
    if ((~mask) - 1 < s_.nodes.size()) return Error{"The network has fewer addresses than there are nodes."};
    for (const NodeScenario& node : s_.nodes) {
      if (node.address == 0) continue;
      const u32 host = node.address & ~mask;
      if ((node.address & mask) != (network.subnet & mask) || host == 0 || host == ~mask) {
        return Error{fmt::format("The address of node {} is not one of the network's.", node.name)};
      }
    }
    if (Status status = bhvm::validate(network.link); !status) return status;
    for (const LinkScenario& link : network.links) {
      if (link.from >= s_.nodes.size() || link.to >= s_.nodes.size() || link.from == link.to) {
        return Error{"A link must lead from a node to another one."};
      }
      if (Status status = bhvm::validate(link.config); !status) {
        return Error{fmt::format("The link from {} to {}: {}", s_.nodes[link.from].name, s_.nodes[link.to].name,
                                 status.error().message)};
      }
    }
    return success();
  }

  Status faults() const {
    for (const FaultScenario& fault : s_.faults) {
      const std::string of = fmt::format("The fault \"{}\"", to_string(fault.kind));
      for (const u32 node : fault.nodes) {
        if (Status status = node_index(node, of); !status) return status;
      }
      for (const auto& [from, to] : fault.links) {
        if (from >= s_.nodes.size() || to >= s_.nodes.size() || from == to) {
          return Error{of + " names a link that does not lead from a node to another one."};
        }
      }
      if (Status status = check_pattern(of, fault.node_pattern); !status) return status;
      if (is_link_fault(fault.kind) && s_.nodes.size() < 2) return Error{of + " needs two nodes at least."};
      if (Status status = strength(fault.strength, of); !status) return status;
    }
    return success();
  }

  static Status strength(const FaultStrength& strength, const std::string& of) {
    if (strength.probability_ppb > LinkConfig::kCertain || strength.survive_ppb > LinkConfig::kCertain) {
      return Error{of + " has a probability of more than 1."};
    }
    if (strength.slow_factor == 0) return Error{of + " slows the processor down by a factor of 0; give at least 1."};
    if (strength.clock_rate_ppm <= -1'000'000 || strength.clock_rate_ppm > 100'000'000) {
      return Error{of + " makes a clock stand still or run more than a hundred times faster."};
    }
    return success();
  }

  Status mix() const {
    for (const FaultMixScenario& mix : s_.fault_mix) {
      const std::string of = fmt::format("The fault mix \"{}\"", to_string(mix.kind));
      if (mix.interval_min_ns > mix.interval_max_ns || mix.duration_min_ns > mix.duration_max_ns) {
        return Error{of + " has a range whose end is before its beginning."};
      }
      if (mix.interval_max_ns == 0) return Error{of + " has no time between two faults."};
      for (const u32 node : mix.nodes) {
        if (Status status = node_index(node, of); !status) return status;
      }
      if (Status status = check_pattern(of, mix.node_pattern); !status) return status;
      if (is_link_fault(mix.kind) && s_.nodes.size() < 2) return Error{of + " needs two nodes at least."};
      if (Status status = strength(mix.strength, of); !status) return status;
    }
    return success();
  }

  Status properties() const {
    for (const LinePropertyScenario& property : s_.properties) {
      const std::string of = fmt::format("The property \"{}\"", property.name);
      if (property.node != kNoNode) {
        if (Status status = node_index(property.node, of); !status) return status;
      }
      if (Status status = check_pattern(of, property.pattern); !status) return status;
    }
    for (const EndCommandScenario& command : s_.end_commands) {
      const std::string of = fmt::format("The end command \"{}\"", command.name);
      if (Status status = node_index(command.node, of); !status) return status;
      if (Status status = check_pattern(of, command.output_pattern); !status) return status;
    }
    return success();
  }

  Status times() const {
    if (s_.max_time_ns == 0) return Error{"The scenario's longest time is 0."};
    if (s_.max_time_ns > kLongest_ns) return Error{"The scenario's longest time is more than eleven days."};
    if (s_.quiet_ns > s_.max_time_ns) return Error{"The quiet period is longer than the scenario's longest time."};
    for (const FaultScenario& fault : s_.faults) {
      if (fault.at_ns > s_.max_time_ns || fault.duration_ns > kLongest_ns) {
        return Error{fmt::format("The fault \"{}\" lies beyond the scenario's longest time.", to_string(fault.kind))};
      }
    }
    return success();
  }

  const Scenario& s_;
};

}  // namespace

std::string_view to_string(FaultKind kind) {
  static constexpr std::array<std::string_view, kFaultKinds> kNames = {
      "partition",  "latency",    "loss",         "duplicate",  "reorder",   "corrupt",
      "bandwidth",  "clog",       "kill",         "pause",      "slow-cpu",  "clock-rate",
      "clock-jump", "disk-error", "disk-latency", "torn-write", "disk-full", "wall-clock"};
  BHVM_CHECK(kind < FaultKind::kCount, "a fault kind without a name");
  return kNames[static_cast<std::size_t>(kind)];
}

std::string_view to_string(PartitionShape shape) {
  static constexpr std::array<std::string_view, static_cast<std::size_t>(PartitionShape::kCount)> kNames = {
      "halves", "node", "direction", "bridge", "ring"};
  BHVM_CHECK(shape < PartitionShape::kCount, "a partition shape without a name");
  return kNames[static_cast<std::size_t>(shape)];
}

Status validate(const Scenario& scenario) { return Validator(scenario).run(); }

}  // namespace bhvm
