#include "cli/sim_command.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <memory>

#include "cli/host_clock.h"
#include "cli/image_builder.h"
#include "cli/manifest.h"
#include "cli/observers.h"
#include "cli/run_files.h"
#include "cli/run_progress.h"
#include "cli/run_report.h"
#include "cli/scenario_file.h"
#include "cli/stop_signal.h"
#include "machine/file_io.h"

namespace bhvm::cli {
namespace {

namespace fs = std::filesystem;

Status write_text(const fs::path& path, const std::string& text, const std::string& purpose) {
  return write_file(path.string(), {reinterpret_cast<const u8*>(text.data()), text.size()}, purpose);
}

/// A folder that is new, empty or holds an earlier run: nothing of anybody else's is overwritten.
Status prepare_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return Error{fmt::format("--out: {} cannot be made: {}.", folder.string(), error.message())};
  if (!fs::is_empty(folder) && !fs::exists(folder / "manifest.json")) {
    return Error{fmt::format("--out: {} is neither empty nor the folder of an earlier run.", folder.string())};
  }
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    if (entry.path().string().ends_with(".console.log")) fs::remove(entry.path(), error);
  }
  return success();
}

std::string shell_word(const std::string& word) {
  const std::string_view plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:=,+@%-";
  if (!word.empty() && word.find_first_not_of(plain) == std::string::npos) return word;
  std::string result = "'";
  for (const char c : word) result += c == '\'' ? "'\\''" : std::string(1, c);
  return result + "'";
}

class Sim {
 public:
  explicit Sim(const SimOptions& options) : options_(options) {}

  Status run(int& exit_status) {
    const double start_s = wall_clock_s();
    if (Status status = read(); !status) return status;
    if (!options_.out.empty()) {
      if (Status status = prepare_folder(options_.out); !status) return status;
    }
    if (Status status = build_images(file_); !status) return status;
    if (!options_.out.empty()) {
      if (Status status = open_files(); !status) return status;
    }
    cost_.image_s = wall_clock_s() - start_s;
    cost_.jobs = options_.jobs;
    if (Status status = create(); !status) return status;
    const double booting_s = wall_clock_s();
    if (Status status = cluster_->boot(); !status) return status;
    const double running_s = wall_clock_s();
    const double cpu_s = processor_clock_s();
    cost_.boot_s = running_s - booting_s;
    Result<ClusterResult> result = cluster_->run();
    if (!result) return result.error();
    cost_.run_s = wall_clock_s() - running_s;
    cost_.cpu_s = processor_clock_s() - cpu_s;
    struct rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    cost_.peak_memory_bytes = static_cast<u64>(usage.ru_maxrss) * 1024;
    return finish(result.value(), exit_status);
  }

 private:
  Status read() {
    Result<ScenarioFile> file = read_scenario(options_.scenario);
    if (!file) return file.error();
    file_ = std::move(file).value();
    Scenario& scenario = file_.scenario;
    if (options_.seed) scenario.seed = *options_.seed;
    if (options_.max_time_ns) scenario.max_time_ns = *options_.max_time_ns;
    if (options_.hash_every_ns) scenario.hash_every_ns = *options_.hash_every_ns;
    if (options_.no_faults) remove_faults(scenario);
    if (scenario.quiet_ns >= scenario.max_time_ns) {
      return Error{"--max-time: the scenario's quiet period leaves nothing of that; give more."};
    }
    for (const NodeScenario& node : scenario.nodes) names_.push_back(node.name);
    return success();
  }

  Status open_files() {
    Result<std::vector<ManifestFile>> inputs = files_of(file_);
    if (!inputs) return inputs.error();
    Result<std::string> self = own_hash();
    if (!self) return self.error();
    manifest_.version = BHVM_VERSION;
    manifest_.binary_hash = self.value();
    manifest_.scenario_path = fs::absolute(file_.path).lexically_normal().string();
    manifest_.seed = file_.scenario.seed;
    manifest_.max_time_ns = file_.scenario.max_time_ns;
    manifest_.hash_every_ns = file_.scenario.hash_every_ns;
    manifest_.no_faults = options_.no_faults;
    manifest_.files = std::move(inputs).value();
    Result<std::unique_ptr<RunFiles>> files = RunFiles::create(options_.out, names_);
    if (!files) return files.error();
    files_ = std::move(files).value();
    return write_text(fs::path(options_.out) / "scenario.toml", file_.text, "scenario");
  }

  Status create() {
    const Scenario& scenario = file_.scenario;
    if (!options_.quiet) {
      progress_ = std::make_unique<RunProgress>(
          names_, static_cast<u32>(scenario.properties.size() + scenario.end_commands.size()),
          isatty(STDERR_FILENO) != 0);
    }
    observers_.add(progress_.get());
    observers_.add(files_.get());
    ClusterOptions options;
    options.jobs = options_.jobs;
    options.observer = &observers_;
    options.network_observer = files_.get();
    options.stop_request = &stop_requested();
    Result<std::unique_ptr<Cluster>> cluster = Cluster::create(scenario, options);
    if (!cluster) return cluster.error();
    cluster_ = std::move(cluster).value();
    return success();
  }

  std::string repeat() const {
    std::string text = fmt::format("bhvm sim {} --seed {}", shell_word(options_.scenario), file_.scenario.seed);
    if (options_.max_time_ns) text += fmt::format(" --max-time {}ns", *options_.max_time_ns);
    if (options_.no_faults) text += " --no-faults";
    return text;
  }

  Status finish(const ClusterResult& result, int& exit_status) {
    if (progress_ != nullptr) progress_->clear();
    if (files_ != nullptr) {
      if (Status status = files_->finish(result.end_ns); !status) return status;
      const fs::path folder(options_.out);
      const std::string hash = to_string(result.final_hash.cluster);
      manifest_.end = std::string(to_string(result.end));
      manifest_.end_ns = result.end_ns;
      manifest_.ok = result.ok;
      manifest_.state_hash = hash;
      const std::string stats =
          to_json(file_.scenario, result, cost_, cluster_->boot_ns(), cluster_->templates(), names_);
      if (Status status = write_text(folder / "stats.json", stats, "statistics"); !status) return status;
      if (Status status = write_text(folder / "state_hash", hash + "\n", "state hash"); !status) return status;
      const std::string manifest = to_json(manifest_, file_.scenario, *cluster_, repeat());
      if (Status status = write_text(folder / "manifest.json", manifest, "manifest"); !status) return status;
    }
    fmt::print("{}", closing_lines(file_.scenario, result, cost_, names_, repeat()));
    exit_status = result.end == ClusterEnd::kStopped ? 130 : result.ok ? 0 : 1;
    return success();
  }

  const SimOptions& options_;
  ScenarioFile file_;
  NodeNames names_;
  Manifest manifest_;
  RunCost cost_;
  std::unique_ptr<RunProgress> progress_;
  std::unique_ptr<RunFiles> files_;
  Observers observers_;
  std::unique_ptr<Cluster> cluster_;
};

}  // namespace

int sim_command(const SimOptions& options) {
  catch_stop_signals();
  int exit_status = 2;
  // Before a complaint is printed, the status lines must be gone.
  const Status status = Sim(options).run(exit_status);
  if (status) return exit_status;
  if (stop_requested()) {
    fmt::print(stderr, "bhvm: Stopped before the run began.\n");
    return 130;
  }
  fmt::print(stderr, "bhvm: {}\n", status.error().message);
  return 2;
}

}  // namespace bhvm::cli
