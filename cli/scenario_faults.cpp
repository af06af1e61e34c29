#include "cli/scenario_faults.h"

#include <fmt/format.h>

#include <algorithm>
#include <regex>

#include "cli/scenario_keys.h"

namespace bhvm::cli {
namespace {

// Everything in fault_keys() and fault_mix_keys() that strength_keys() of some kind has.
constexpr std::string_view kAllStrengths[] = {"latency", "jitter", "probability", "reorder_delay", "bandwidth",
                                              "factor",  "change", "jump",        "survive",       "requests"};

bool is_disk_fault(FaultKind kind) {
  return kind == FaultKind::kDiskError || kind == FaultKind::kDiskLatency || kind == FaultKind::kDiskFull;
}

bool has(Keys keys, std::string_view key) { return std::ranges::find(keys, key) != keys.end(); }

}  // namespace

void FaultParser::run() {
  for (const toml::table* const raw : root_.tables("faults")) fault(*raw);
  for (const toml::table* const raw : root_.tables("fault_mix")) mix(*raw);
}

bool FaultParser::kind_of(const TomlTable& table, FaultKind& kind) const {
  table.require("kind", "give one, for example \"partition\".");
  std::size_t index = 0;
  if (!table.read_word("kind", fault_kind_words(), index)) return false;
  kind = static_cast<FaultKind>(index);
  return true;
}

void FaultParser::strength(const TomlTable& table, FaultKind kind, FaultStrength& strength) const {
  const Keys fitting = strength_keys(kind);
  for (const std::string_view key : kAllStrengths) {
    if (table.has(key) && !has(fitting, key)) {
      table.complain(key, fmt::format("\"{}\" is no key of a {} fault{}", key, to_string(kind), meant(key, fitting)));
    }
  }
  if (has(fitting, "latency")) table.read_duration("latency", strength.latency_ns);
  if (has(fitting, "jitter")) table.read_duration("jitter", strength.jitter_ns);
  if (has(fitting, "probability")) table.read_probability("probability", strength.probability_ppb);
  if (has(fitting, "reorder_delay")) table.read_duration("reorder_delay", strength.reorder_delay_ns);
  if (has(fitting, "bandwidth")) table.read_bandwidth("bandwidth", strength.bandwidth_bps);
  if (i64 factor = 0; has(fitting, "factor") && table.read_integer("factor", 1, 1000, factor)) {
    strength.slow_factor = static_cast<u32>(factor);
  }
  if (has(fitting, "change")) table.read_rate_change("change", strength.clock_rate_ppm);
  if (has(fitting, "jump")) table.read_signed_duration("jump", strength.clock_jump_ns);
  if (has(fitting, "survive")) table.read_probability("survive", strength.survive_ppb);
  if (std::vector<std::string> words; has(fitting, "requests") && table.read("requests", words)) {
    strength.on_read = strength.on_write = strength.on_flush = false;
    for (const std::string& word : words) {
      if (word == "read") {
        strength.on_read = true;
      } else if (word == "write") {
        strength.on_write = true;
      } else if (word == "flush") {
        strength.on_flush = true;
      } else {
        table.complain("requests",
                       fmt::format("\"requests\": there is no \"{}\"{}", word, meant(word, request_words())));
      }
    }
  }
}

void FaultParser::read_nodes(const TomlTable& table, std::vector<u32>& nodes) const {
  std::vector<std::string> words;
  if (!table.read("nodes", words)) return;
  for (const std::string& word : words) {
    const auto found = std::ranges::find(names_, word);
    if (found == names_.end()) {
      table.complain("nodes", fmt::format("there is no node \"{}\"{}", word, meant(word, names_)));
    } else {
      nodes.push_back(static_cast<u32>(found - names_.begin()));
    }
  }
}

void FaultParser::read_node_pattern(const TomlTable& table, FaultKind kind, std::string& pattern) const {
  if (!table.read("node_that_said", pattern)) return;
  if (table.has("nodes")) table.complain("node_that_said", "a fault has either \"nodes\" or \"node_that_said\".");
  (void)kind;
  try {
    const std::regex compiled(pattern, std::regex::ECMAScript);
  } catch (const std::regex_error& error) {
    table.complain("node_that_said", fmt::format("\"{}\" is no regular expression: {}.", pattern, error.what()));
  }
}

void FaultParser::read_links(const TomlTable& table, FaultKind kind, std::vector<std::pair<u32, u32>>& links) const {
  const toml::node* const node = table.find("links");
  if (node == nullptr) return;
  if (!is_link_fault(kind) || kind == FaultKind::kPartition) {
    table.complain("links", fmt::format("a {} fault is not of links; give \"nodes\".", to_string(kind)));
    return;
  }
  const toml::array* const array = node->as_array();
  for (std::size_t i = 0; array != nullptr && i < array->size(); ++i) {
    const toml::array* const pair = array->get(i)->as_array();
    std::vector<u32> ends;
    for (std::size_t j = 0; pair != nullptr && j < pair->size(); ++j) {
      const auto* const word = pair->get(j)->as_string();
      const auto found = word == nullptr ? names_.end() : std::ranges::find(names_, word->get());
      if (found != names_.end()) {
        ends.push_back(static_cast<u32>(found - names_.begin()));
      } else {
        const std::string name = word == nullptr ? "" : word->get();
        table.complaints().add(
            pair->source(), fmt::format("a link leads nowhere: there is no node \"{}\"{}", name, meant(name, names_)));
        return;
      }
    }
    if (ends.size() != 2 || ends[0] == ends[1]) {
      table.complaints().add(array->get(i)->source(), "a link must lead from one node to another: [\"a\", \"b\"].");
      return;
    }
    links.emplace_back(ends[0], ends[1]);
  }
  if (array == nullptr)
    table.complain("links", "\"links\" must be an array of pairs: [[\"a\", \"b\"], [\"b\", \"a\"]].");
}

void FaultParser::fault(const toml::table& raw) {
  TomlTable table(raw, "a fault", fault_keys(), root_.complaints());
  FaultScenario fault;
  if (!kind_of(table, fault.kind)) return;
  table.set_name(fmt::format("the {} fault", to_string(fault.kind)));
  table.require("at", "say when, for example at = \"10s\".");
  table.read_duration("at", fault.at_ns);
  table.read_duration("duration", fault.duration_ns);
  if (is_momentary(fault.kind) && table.has("duration")) {
    table.complain("duration", fmt::format("a {} fault happens at once and has no duration.", to_string(fault.kind)));
  }
  read_nodes(table, fault.nodes);
  read_node_pattern(table, fault.kind, fault.node_pattern);
  read_links(table, fault.kind, fault.links);
  if (std::size_t shape = 0; table.has("shape")) {
    if (fault.kind != FaultKind::kPartition) {
      table.complain("shape", "\"shape\" is for a partition.");
    } else if (table.read_word("shape", partition_shape_words(), shape)) {
      fault.shape = static_cast<PartitionShape>(shape);
    }
  }
  if (i64 disk = 0; table.has("disk")) {
    if (!is_disk_fault(fault.kind)) {
      table.complain("disk", "\"disk\" is for disk faults.");
    } else if (table.read_integer("disk", 0, 15, disk)) {
      fault.disk = static_cast<u32>(disk);
    }
  }
  strength(table, fault.kind, fault.strength);
  if (fault.at_ns >= scenario_.max_time_ns - std::min(scenario_.quiet_ns, scenario_.max_time_ns)) {
    table.complain("at",
                   fmt::format("the {} fault begins in the quiet period or behind the end; begin it earlier, or make "
                               "\"max_time\" longer.",
                               to_string(fault.kind)));
  }
  scenario_.faults.push_back(std::move(fault));
}

void FaultParser::mix(const toml::table& raw) {
  TomlTable table(raw, "a fault mix", fault_mix_keys(), root_.complaints());
  FaultMixScenario mix;
  if (!kind_of(table, mix.kind)) return;
  table.set_name(fmt::format("the {} fault mix", to_string(mix.kind)));
  table.read_duration_range("interval", mix.interval_min_ns, mix.interval_max_ns);
  table.read_duration_range("duration", mix.duration_min_ns, mix.duration_max_ns);
  read_nodes(table, mix.nodes);
  read_node_pattern(table, mix.kind, mix.node_pattern);
  if (std::vector<std::string> words; table.read("shapes", words)) {
    if (mix.kind != FaultKind::kPartition) table.complain("shapes", "\"shapes\" is for a partition.");
    const Keys known = partition_shape_words();
    for (const std::string& word : words) {
      const auto found = std::ranges::find(known, word);
      if (found == known.end()) {
        table.complain("shapes", fmt::format("\"shapes\": there is no \"{}\"{}", word, meant(word, known)));
      } else {
        mix.shapes.push_back(static_cast<PartitionShape>(found - known.begin()));
      }
    }
  }
  strength(table, mix.kind, mix.strength);
  scenario_.fault_mix.push_back(std::move(mix));
}

}  // namespace bhvm::cli
