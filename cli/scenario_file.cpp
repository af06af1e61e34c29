#include "cli/scenario_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <optional>
#include <regex>
#include <set>

#include "cli/quantities.h"
#include "cli/scenario_faults.h"
#include "cli/scenario_keys.h"
#include "cli/toml_table.h"
#include "machine/file_io.h"

namespace bhvm::cli {
namespace {

namespace fs = std::filesystem;

constexpr i64 kMemoryMostBytes = i64{64} << 30;
constexpr u64 kMemoryLeastBytes = u64{32} << 20;
constexpr u64 kDiskLeastBytes = u64{1} << 20;
constexpr i64 kNodesMost = 64;

class Parser {
 public:
  Parser(const toml::table& root, ScenarioFile& file, Complaints& complaints, HostFiles host_files)
      : root_(root, "a scenario", scenario_keys(), complaints),
        file_(file),
        scenario_(file.scenario),
        complaints_(complaints),
        host_files_(host_files),
        folder_(fs::absolute(file.path).parent_path()) {}

  void run() {
    general();
    images();
    nodes();
    network();
    FaultParser faults(root_, node_names_, scenario_);
    faults.run();
    properties();
    checks();
    builtin();
    times();
  }

 private:
  std::string host_path(const std::string& path) const {
    return path.empty() ? path : fs::path(folder_ / path).lexically_normal().string();
  }

  bool is_missing_file(const std::string& path) const {
    return host_files_ == HostFiles::kCheck && !fs::is_regular_file(path);
  }
  bool is_missing_folder(const std::string& path) const {
    return host_files_ == HostFiles::kCheck && !fs::is_directory(path);
  }

  void general() {
    scenario_.name = fs::path(file_.path).stem().string();
    root_.read("name", scenario_.name);
    std::string description;
    root_.read("description", description);
    i64 seed = 0;
    if (root_.read_integer("seed", 0, std::numeric_limits<i64>::max(), seed)) scenario_.seed = static_cast<u64>(seed);
    root_.read_duration("max_time", scenario_.max_time_ns);
    root_.read_duration("quiet", scenario_.quiet_ns);
    root_.read_duration("timer_jitter", scenario_.timer_jitter_ns);
    root_.read_duration("hash_every", scenario_.hash_every_ns);
    root_.read("stop_at_failure", scenario_.stop_at_failure);
    root_.read("power_off_at_end", scenario_.power_off_at_end);
    root_.read("kernel", kernel_);
    if (const toml::node* const date = root_.find("date")) {
      if (const auto* const moment = date->as_date_time(); moment != nullptr && moment->get().offset) {
        scenario_.epoch_s = seconds_since_1970(moment->get());
      } else {
        root_.complain("date", "\"date\" must be a moment with its zone, for example 2026-01-31T12:00:00Z.");
      }
    }
  }

  u64 seconds_since_1970(const toml::date_time& moment) {
    const std::chrono::year_month_day day{std::chrono::year(moment.date.year), std::chrono::month(moment.date.month),
                                          std::chrono::day(moment.date.day)};
    const i64 days = std::chrono::sys_days(day).time_since_epoch().count();
    const i64 seconds = days * 86'400 + moment.time.hour * 3600 + moment.time.minute * 60 + moment.time.second -
                        i64{moment.offset->minutes} * 60;
    if (seconds < 0) root_.complain("date", "\"date\" lies before 1970.");
    return static_cast<u64>(std::max<i64>(0, seconds));
  }

  // -------------------------------------------------------------------------------------------------------------------
  void images() {
    const toml::table* const tables = root_.find_table("images");
    if (tables == nullptr) {
      root_.require("images", "write [images.NAME] with packages, folder or oci.");
      return;
    }
    // In the order of the file, not of their names.
    std::vector<std::pair<const toml::key*, const toml::node*>> ordered;
    for (const auto& [key, value] : *tables) ordered.emplace_back(&key, &value);
    std::ranges::sort(ordered, {}, [](const auto& entry) {
      const toml::source_position begin = entry.first->source().begin;
      return std::pair(begin.line, begin.column);
    });
    for (const auto& [key, value] : ordered) {
      if (const toml::table* const table = value->as_table()) {
        image(*table, std::string(key->str()));
      } else {
        complaints_.add(key->source(),
                        fmt::format("\"{}\" must be a table: write [images.{}].", key->str(), key->str()));
      }
    }
  }

  void image(const toml::table& raw, const std::string& name) {
    const TomlTable table(raw, fmt::format("image {}", name), image_keys(), complaints_);
    ImageRecipe recipe;
    ImageScenario image;
    recipe.name = image.name = name;
    table.read("packages", recipe.packages);
    table.read("folder", recipe.folder);
    table.read("oci", recipe.oci);
    table.read("tag", recipe.tag);
    table.read_size("size", recipe.size_bytes);
    table.read("append", image.append);
    recipe.kernel = kernel_;
    table.read("kernel", recipe.kernel);
    const int sources = table.has("packages") + table.has("folder") + table.has("oci");
    if (sources != 1) {
      complaints_.add(raw.source(),
                      fmt::format("image {} must have one of \"packages\", \"folder\" and \"oci\"; it has {}.", name,
                                  sources == 0 ? "none" : "several"));
    }
    if (table.has("packages") && recipe.packages.empty())
      table.complain("packages", fmt::format("image {} names no package.", name));
    if (table.has("tag") && !table.has("oci"))
      table.complain("tag", fmt::format("\"tag\" of image {} is for \"oci\" alone.", name));
    table.read("programs", recipe.programs);
    for (std::string* path : {&recipe.folder, &recipe.oci, &recipe.kernel}) *path = host_path(*path);
    for (std::string& program : recipe.programs) {
      program = host_path(program);
      if (!program.ends_with(".c") || is_missing_file(program)) {
        table.complain("programs", fmt::format("\"programs\" of image {}: {} is no C file.", name, program));
      }
    }
    if (!recipe.folder.empty() && is_missing_folder(recipe.folder)) {
      table.complain("folder", fmt::format("\"folder\" of image {}: {} is no folder.", name, recipe.folder));
    }
    if (!recipe.oci.empty() && is_missing_file(recipe.oci) && is_missing_folder(recipe.oci)) {
      table.complain("oci", fmt::format("\"oci\" of image {}: there is no {}.", name, recipe.oci));
    }
    if (!recipe.kernel.empty() && is_missing_file(recipe.kernel)) {
      (table.has("kernel") ? table : root_)
          .complain("kernel", fmt::format("\"kernel\": there is no file {}.", recipe.kernel));
    }
    added_folders(table, recipe);
    image_names_.push_back(name);
    scenario_.images.push_back(std::move(image));
    file_.images.push_back(std::move(recipe));
  }

  void added_folders(const TomlTable& table, ImageRecipe& recipe) {
    for (const toml::table* const raw : table.tables("add")) {
      const TomlTable added(*raw, fmt::format("\"add\" of {}", table.name()), added_folder_keys(), complaints_);
      std::string from;
      std::string to = "/";
      added.require("from", "give a folder.");
      added.read("from", from);
      added.read("to", to);
      if (!to.starts_with('/')) added.complain("to", fmt::format("\"{}\" is no absolute path in the guest.", to));
      from = host_path(from);
      if (added.has("from") && is_missing_folder(from)) added.complain("from", fmt::format("{} is no folder.", from));
      recipe.added.emplace_back(from, to);
    }
  }

  // -------------------------------------------------------------------------------------------------------------------
  void nodes() {
    if (!root_.has("nodes")) root_.require("nodes", "write [[nodes]], once for each.");
    for (const toml::table* const raw : root_.tables("nodes")) {
      const TomlTable table(*raw, "a node", node_keys(), complaints_);
      std::string name;
      table.require("name", "give it one.");
      if (!table.read("name", name)) continue;
      i64 count = 1;
      if (!table.read_integer("count", 1, kNodesMost, count) || !table.has("count")) {
        node(table, name, 0);
        continue;
      }
      if (table.has("address")) {
        table.complain("address", fmt::format("\"address\" of node {}: with \"count\" addresses are assigned.", name));
      }
      for (i64 i = 1; i <= count; ++i) node(table, fmt::format("{}{}", name, i), static_cast<u64>(i));
    }
  }

  void node(const TomlTable& described, const std::string& name, u64 number) {
    TomlTable table = described;
    table.set_name(fmt::format("node {}", name));
    if (std::ranges::find(node_names_, name) != node_names_.end()) {
      table.complain("name",
                     fmt::format("a node named \"{}\" stands further up already; give each its own name.", name));
      return;
    }
    node_names_.push_back(name);
    NodeScenario node;
    node.name = name;
    const u32 index = static_cast<u32>(scenario_.nodes.size());
    if (std::size_t image = 0; table.read_word("image", views(image_names_), image)) {
      node.image = static_cast<u32>(image);
    } else if (!table.has("image") && image_names_.size() > 1) {
      table.require("image", "there is more than one.");
    }
    if (table.read_size("memory", node.memory_bytes) &&
        (node.memory_bytes < kMemoryLeastBytes || node.memory_bytes > static_cast<u64>(kMemoryMostBytes))) {
      table.complain("memory", fmt::format("\"memory\" of node {} must be 32M to 64G.", name));
    }
    table.read("command", node.command);
    if (std::size_t role = 0; table.read_word("role", role_words(), role)) node.role = static_cast<CommandRole>(role);
    if (i64 status = 0; table.read_integer("expected_status", 0, 255, status)) {
      node.expected_status = static_cast<int>(status);
      if (node.role != CommandRole::kWorkload) {
        table.complain("expected_status",
                       fmt::format("\"expected_status\" of node {} is for role = \"workload\".", name));
      }
    }
    table.read_address("address", node.address);
    table.read_duration("start", node.start_ns);
    if (std::string rate; table.read("rate", rate)) {
      if (const Result<Rate> parsed = parse_rate(rate)) {
        node.rate_numerator = parsed.value().numerator;
        node.rate_denominator = parsed.value().denominator;
      } else {
        table.complain("rate", fmt::format("\"rate\" of node {}: {}", name, parsed.error().message));
      }
    }
    if (number != 0) node.environment.emplace_back("NODE_NUMBER", std::to_string(number));
    environment(table, node);
    disks(table, node, index);
    scenario_.nodes.push_back(std::move(node));
  }

  void environment(const TomlTable& table, NodeScenario& node) {
    const toml::table* const variables = table.find_table("environment");
    if (variables == nullptr) return;
    for (const auto& [key, value] : *variables) {
      if (const auto* const text = value.as_string()) {
        node.environment.emplace_back(std::string(key.str()), text->get());
      } else if (const auto* const integer = value.as_integer()) {
        node.environment.emplace_back(std::string(key.str()), std::to_string(integer->get()));
      } else {
        complaints_.add(key.source(), fmt::format("\"{}\" in the environment of node {} must be a text or an integer.",
                                                  key.str(), node.name));
      }
    }
  }

  void block_size(const TomlTable& table, std::string_view key, u32& bytes) {
    const toml::node* const node = table.find(key);
    if (node == nullptr) return;
    const auto* const integer = node->as_integer();
    if (integer != nullptr && (integer->get() == 512 || integer->get() == 4096)) {
      bytes = static_cast<u32>(integer->get());
    } else {
      table.complain(key, fmt::format("\"{}\" of {} must be 512 or 4096.", key, table.name()));
    }
  }

  void disks(const TomlTable& table, NodeScenario& node, u32 node_index) {
    for (const toml::table* const raw : table.tables("disks")) {
      const TomlTable described(*raw, fmt::format("a disk of node {}", node.name), disk_keys(), complaints_);
      DiskScenario disk;
      described.read("image", disk.image);
      disk.image = host_path(disk.image);
      described.read("mount", disk.mount_point);
      described.read("filesystem", disk.filesystem);
      if (!disk.mount_point.empty() && !disk.mount_point.starts_with('/')) {
        described.complain("mount", fmt::format("\"{}\" is no absolute path.", disk.mount_point));
      }
      block_size(described, "logical_block", disk.logical_block_bytes);
      block_size(described, "physical_block", disk.physical_block_bytes);
      if (disk.logical_block_bytes > disk.physical_block_bytes) {
        described.complain("physical_block", "a disk's physical block is not smaller than its logical one.");
      }
      u64 size_bytes = 0;
      described.read_size("size", size_bytes);
      if (described.has("size") == described.has("image")) {
        complaints_.add(raw->source(),
                        fmt::format("a disk of node {} must have either \"size\" or \"image\".", node.name));
      } else if (described.has("size")) {
        if (size_bytes < kDiskLeastBytes) described.complain("size", "a disk is at least 1M large.");
        if (disk.filesystem != "ext4") described.complain("filesystem", "a new disk is formatted as ext4.");
        file_.disks.push_back({node_index, static_cast<u32>(node.disks.size()), size_bytes});
        if (size_bytes % disk.logical_block_bytes != 0) {
          described.complain("size", fmt::format("a disk is a whole number of its logical blocks of {} bytes.",
                                                 disk.logical_block_bytes));
        }
      } else if (is_missing_file(disk.image)) {
        described.complain("image", fmt::format("there is no file {}.", disk.image));
      }
      node.disks.push_back(std::move(disk));
    }
  }

  // -------------------------------------------------------------------------------------------------------------------
  void network() {
    const toml::table* const raw = root_.find_table("network");
    if (raw == nullptr) return;
    NetworkScenario& network = scenario_.network;
    const TomlTable table(*raw, "[network]", network_keys(), complaints_);
    if (std::string text; table.read("subnet", text)) {
      if (const Result<Subnet> subnet = parse_subnet(text)) {
        network.subnet = subnet.value().address;
        network.prefix_bits = subnet.value().prefix_bits;
      } else {
        table.complain("subnet", fmt::format("\"subnet\": {}", subnet.error().message));
      }
    }
    if (i64 mtu = 0; table.read_integer("mtu", 576, 9000, mtu)) network.mtu = static_cast<u32>(mtu);
    link_settings(table, network.link);
    for (const toml::table* const link : table.tables("links")) link_between(*link);
  }

  void link_settings(const TomlTable& table, LinkConfig& link) {
    table.read_duration("latency", link.latency_ns);
    table.read_duration("jitter", link.jitter_ns);
    table.read_probability("loss", link.loss_ppb);
    table.read_probability("duplicate", link.duplicate_ppb);
    table.read_probability("reorder", link.reorder_ppb);
    table.read_probability("corrupt", link.corrupt_ppb);
    table.read_duration("reorder_delay", link.reorder_delay_ns);
    table.read_bandwidth("bandwidth", link.bandwidth_bps);
    table.read_size("queue", link.queue_bytes);
    if (const Status status = validate(link); !status) complaints_.add(table.raw().source(), status.error().message);
  }

  void link_between(const toml::table& raw) {
    const TomlTable table(raw, "a link", link_keys(), complaints_);
    std::size_t from = 0;
    std::size_t to = 0;
    table.require("from", "name the node it leads from.");
    table.require("to", "name the node it leads to.");
    const bool from_known = table.read_word("from", views(node_names_), from);
    const bool to_known = table.read_word("to", views(node_names_), to);
    bool both_ways = true;
    table.read("both_ways", both_ways);
    LinkScenario link{static_cast<u32>(from), static_cast<u32>(to), scenario_.network.link};
    link_settings(table, link.config);
    if (!from_known || !to_known) return;
    if (from == to) {
      table.complain("to", fmt::format("a link from {} to itself leads nowhere.", node_names_[from]));
      return;
    }
    scenario_.network.links.push_back(link);
    if (!both_ways) return;
    std::swap(link.from, link.to);
    scenario_.network.links.push_back(link);
  }

  // -------------------------------------------------------------------------------------------------------------------
  bool good_pattern(const TomlTable& table, std::string_view key, const std::string& pattern) {
    try {
      const std::regex compiled(pattern, std::regex::ECMAScript);
      return true;
    } catch (const std::regex_error& error) {
      table.complain(key, fmt::format("\"{}\" is no regular expression: {}.", pattern, error.what()));
      return false;
    }
  }

  void properties() {
    static constexpr std::string_view kKinds[] = {"never", "eventually", "sometimes"};  // in the order of PropertyKind
    for (const toml::table* const raw : root_.tables("properties")) {
      const TomlTable table(*raw, "a property", property_keys(), complaints_);
      LinePropertyScenario property;
      int kinds = 0;
      for (std::size_t i = 0; i < std::size(kKinds); ++i) {
        if (!table.has(kKinds[i])) continue;
        ++kinds;
        property.kind = static_cast<PropertyKind>(i);
        if (table.read(kKinds[i], property.pattern)) good_pattern(table, kKinds[i], property.pattern);
      }
      if (kinds != 1) {
        complaints_.add(raw->source(), fmt::format("a property must have one of \"never\", \"eventually\" and "
                                                   "\"sometimes\"; this one has {}.",
                                                   kinds == 0 ? "none" : "several"));
      }
      property.name = fmt::format("{} \"{}\"", kKinds[static_cast<std::size_t>(property.kind)], property.pattern);
      table.read("name", property.name);
      if (std::size_t node = 0; table.read_word("node", views(node_names_), node))
        property.node = static_cast<u32>(node);
      table.read_duration("after", property.after_ns);
      table.read_duration("within", property.within_ns);
      if (table.has("within") && property.kind != PropertyKind::kEventually) {
        table.complain("within", "\"within\" is for \"eventually\".");
      }
      scenario_.properties.push_back(std::move(property));
    }
  }

  void checks() {
    for (const toml::table* const raw : root_.tables("checks")) {
      const TomlTable table(*raw, "a check", check_keys(), complaints_);
      EndCommandScenario check;
      table.require("node", "name the node it runs on.");
      table.require("command", "give one.");
      table.read("command", check.command);
      check.name = check.command;
      table.read("name", check.name);
      if (std::size_t node = 0; table.read_word("node", views(node_names_), node)) check.node = static_cast<u32>(node);
      if (i64 status = 0; table.read_integer("expected_status", 0, 255, status)) {
        check.expected_status = static_cast<int>(status);
      }
      if (table.read("output", check.output_pattern)) good_pattern(table, "output", check.output_pattern);
      table.read_duration("timeout", check.timeout_ns);
      scenario_.end_commands.push_back(std::move(check));
    }
  }

  void builtin() {
    const toml::table* const raw = root_.find_table("builtin");
    if (raw == nullptr) return;
    const TomlTable table(*raw, "[builtin]", builtin_keys(), complaints_);
    table.read("kernel", scenario_.builtin.kernel);
    table.read("crash", scenario_.builtin.crash);
    table.read("command_end", scenario_.builtin.command_end);
    if (const toml::node* const node = table.find("live_lock"); node != nullptr && node->is_boolean()) {
      if (!node->as_boolean()->get()) scenario_.builtin.live_lock_ns = 0;
    } else {
      table.read_duration("live_lock", scenario_.builtin.live_lock_ns);
    }
  }

  void times() {
    if (scenario_.quiet_ns >= scenario_.max_time_ns) {
      root_.complain(root_.has("quiet") ? "quiet" : "max_time",
                     fmt::format("the quiet period ({}) leaves nothing of the run ({}).",
                                 format_seconds(scenario_.quiet_ns), format_seconds(scenario_.max_time_ns)));
    }
  }

  static std::vector<std::string_view> views(const std::vector<std::string>& names) {
    return {names.begin(), names.end()};
  }

  TomlTable root_;
  ScenarioFile& file_;
  Scenario& scenario_;
  Complaints& complaints_;
  HostFiles host_files_;
  fs::path folder_;
  std::string kernel_;
  std::vector<std::string> image_names_;
  std::vector<std::string> node_names_;
};

}  // namespace

Result<ScenarioFile> parse_scenario(const std::string& text, const std::string& path, HostFiles host_files) {
  ScenarioFile file;
  file.path = path;
  file.text = text;
  Complaints complaints(path);
  try {
    const toml::table root = toml::parse(text, path);
    Parser(root, file, complaints, host_files).run();
  } catch (const toml::parse_error& error) {
    complaints.add(error.source(), fmt::format("this is no TOML: {}.", error.description()));
  }
  if (!complaints.empty()) return complaints.error();
  if (Status status = validate(file.scenario); !status)
    return Error{fmt::format("{}: {}", path, status.error().message)};
  return file;
}

void remove_faults(Scenario& scenario) {
  scenario.faults.clear();
  scenario.fault_mix.clear();
}

Result<ScenarioFile> read_scenario(const std::string& path) {
  Result<std::vector<u8>> bytes = read_file(path, "scenario");
  if (!bytes) return bytes.error();
  return parse_scenario(std::string(bytes.value().begin(), bytes.value().end()), path);
}

}  // namespace bhvm::cli
