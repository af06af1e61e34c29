// The faults of a scenario file: [[faults]] at given times and [[fault_mix]] drawn from the seed.
#pragma once

#include <string>
#include <vector>

#include "cli/toml_table.h"
#include "cluster/scenario.h"

namespace bhvm::cli {

class FaultParser {
 public:
  FaultParser(const TomlTable& root, const std::vector<std::string>& node_names, Scenario& scenario)
      : root_(root), names_(node_names.begin(), node_names.end()), scenario_(scenario) {}

  void run();

 private:
  void fault(const toml::table& raw);
  void mix(const toml::table& raw);
  bool kind_of(const TomlTable& table, FaultKind& kind) const;
  void strength(const TomlTable& table, FaultKind kind, FaultStrength& strength) const;
  void read_nodes(const TomlTable& table, std::vector<u32>& nodes) const;
  void read_node_pattern(const TomlTable& table, FaultKind kind, std::string& pattern) const;
  void read_links(const TomlTable& table, FaultKind kind, std::vector<std::pair<u32, u32>>& links) const;

  const TomlTable& root_;
  std::vector<std::string_view> names_;
  Scenario& scenario_;
};

}  // namespace bhvm::cli
