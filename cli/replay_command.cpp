#include "cli/replay_command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <memory>

#include "cli/host_clock.h"
#include "cli/image_builder.h"
#include "cli/manifest.h"
#include "cli/observers.h"
#include "cli/run_comparison.h"
#include "cli/run_progress.h"
#include "cli/scenario_file.h"
#include "cli/stop_signal.h"
#include "machine/file_io.h"

namespace bhvm::cli {
namespace {

namespace fs = std::filesystem;

Result<std::string> read_text(const fs::path& path, const std::string& purpose) {
  Result<std::vector<u8>> bytes = read_file(path.string(), purpose);
  if (!bytes) return bytes.error();
  return std::string(bytes.value().begin(), bytes.value().end());
}

class Replay {
 public:
  explicit Replay(const ReplayOptions& options) : options_(options) {}

  Status run(int& exit_status) {
    if (Status status = read(); !status) return status;
    if (Status status = find_files(); !status) return status;
    NodeNames names;
    for (const NodeScenario& node : file_.scenario.nodes) names.push_back(node.name);
    Result<RunComparison> comparison = RunComparison::open(options_.folder, names, stop_requested());
    if (!comparison) return comparison.error();
    Observers observers;
    observers.add(&comparison.value());
    const Scenario& scenario = file_.scenario;
    std::unique_ptr<RunProgress> progress;
    if (!options_.quiet) {
      progress = std::make_unique<RunProgress>(
          names, static_cast<u32>(scenario.properties.size() + scenario.end_commands.size()),
          isatty(STDERR_FILENO) != 0);
    }
    observers.add(progress.get());
    ClusterOptions how;
    how.jobs = options_.jobs;
    how.observer = &observers;
    how.stop_request = &stop_requested();
    Result<std::unique_ptr<Cluster>> cluster = Cluster::create(scenario, how);
    if (!cluster) return cluster.error();
    if (Status status = cluster.value()->boot(); !status) return status;
    Result<ClusterResult> result = cluster.value()->run();
    if (!result) return result.error();
    progress.reset();
    exit_status = judge(comparison.value(), result.value());
    return success();
  }

 private:
  Status read() {
    const fs::path folder(options_.folder);
    if (!fs::is_directory(folder)) return Error{fmt::format("There is no folder {}.", options_.folder)};
    const fs::path path = folder / "manifest.json";
    if (!fs::exists(path)) {
      return Error{fmt::format("{} has no manifest.json: it is not the folder of a run that ended.", options_.folder)};
    }
    Result<std::string> text = read_text(path, "manifest");
    if (!text) return text.error();
    Result<Manifest> manifest = parse_manifest(text.value(), path.string());
    if (!manifest) return manifest.error();
    manifest_ = std::move(manifest).value();
    if (manifest_.end == to_string(ClusterEnd::kStopped)) {
      return Error{
          fmt::format("The run in {} was stopped by the user at {}; only a run that ended by itself can be "
                      "compared.",
                      options_.folder, precise_seconds(manifest_.end_ns))};
    }
    Result<std::string> scenario = read_text(folder / "scenario.toml", "scenario");
    if (!scenario) return scenario.error();
    Result<ScenarioFile> file = parse_scenario(scenario.value(), manifest_.scenario_path, HostFiles::kIgnore);
    if (!file) return file.error();
    file_ = std::move(file).value();
    file_.scenario.seed = manifest_.seed;
    file_.scenario.max_time_ns = manifest_.max_time_ns;
    file_.scenario.hash_every_ns = manifest_.hash_every_ns;
    if (manifest_.no_faults) remove_faults(file_.scenario);
    return success();
  }

  /// The files of the recorded run, made anew if they are gone from the cache. A run with other bytes would be another
  /// run, so that is an error.
  Status find_files() {
    bool there = use_files(manifest_.files, file_);
    for (const ManifestFile& file : manifest_.files) there = there && fs::is_regular_file(file.path);
    if (!there) {
      Result<ScenarioFile> file = parse_scenario(file_.text, manifest_.scenario_path);
      if (!file) return file.error();
      file_.images = file.value().images;
      file_.disks = file.value().disks;
      if (Status status = build_images(file_); !status) return status;
    }
    Result<std::vector<ManifestFile>> now = files_of(file_);
    if (!now) return now.error();
    for (const ManifestFile& file : now.value()) {
      for (const ManifestFile& recorded : manifest_.files) {
        if (recorded.role != file.role || recorded.hash == file.hash) continue;
        return Error{
            fmt::format("{} is not what it was: {} has the hash {}, the recorded run had {}. Its packages, "
                        "folders or programs have changed since.",
                        file.role, file.path, file.hash, recorded.hash)};
      }
    }
    return success();
  }

  int judge(const RunComparison& comparison, const ClusterResult& result) const {
    const bool differs = comparison.differs();
    if (!differs && result.end == ClusterEnd::kStopped) {
      fmt::print("Stopped at {}; the same up to there: {} state hashes.\n", precise_seconds(result.end_ns),
                 comparison.same());
      return 130;
    }
    const std::string hash = to_string(result.final_hash.cluster);
    if (!differs && !comparison.incomplete() && hash == manifest_.state_hash && result.end_ns == manifest_.end_ns) {
      fmt::print("The same run: {} state hashes, all events and all console lines agree.\nstate hash {} at {}\n",
                 comparison.same(), hash, precise_seconds(result.end_ns));
      return 0;
    }
    fmt::print("ANOTHER RUN than the one in {}, seed {}.\n", options_.folder, manifest_.seed);
    if (differs || comparison.incomplete()) fmt::print("{}", comparison.report());
    if (!differs) {
      fmt::print("It ended at {} with state hash {}; recorded: {}, {}.\n", precise_seconds(result.end_ns), hash,
                 precise_seconds(manifest_.end_ns), manifest_.state_hash);
    }
    const Result<std::string> self = own_hash();
    if (self && self.value() != manifest_.binary_hash) {
      fmt::print("It was recorded by another build of bhvm (version {}, hash {}).\n", manifest_.version,
                 manifest_.binary_hash);
    }
    return 1;
  }

  const ReplayOptions& options_;
  Manifest manifest_;
  ScenarioFile file_;
};

}  // namespace

int replay_command(const ReplayOptions& options) {
  catch_stop_signals();
  int exit_status = 2;
  const Status status = Replay(options).run(exit_status);
  if (status) return exit_status;
  fmt::print(stderr, "bhvm: {}\n", status.error().message);
  return stop_requested() ? 130 : 2;
}

}  // namespace bhvm::cli
