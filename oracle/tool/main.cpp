// bhvm-diff: differential testing of bhvm against QEMU and the host's processor.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "base/planted_fault.h"
#include "oracle/qemu/cpu_model.h"
#include "oracle/tool/report.h"

namespace bhvm::oracle {
namespace {

constexpr int kSame = 0;
constexpr int kDifferent = 1;
constexpr int kUsage = 2;

std::atomic<bool> stop_requested = false;
void request_stop(int) { stop_requested = true; }

struct Options {
  RunOptions run;
  std::string kinds = "all";
  std::string form;
  std::string replay;
  std::string json;
  std::string html;
  std::string save;
  std::string witnesses;
  bool no_native = false;
  bool cpu_model = false;
  bool list_forms = false;
  bool list_plants = false;
  std::optional<unsigned> plant;
  bool record = false;
  bool check_masks = false;
  unsigned most_minimised = 40;
};

int fail(const std::string& message) {
  fmt::print(stderr, "bhvm-diff: {}\n", message);
  return kUsage;
}

void show_progress(const RunReport& report, u64 count) {
  const double rate = report.seconds > 0 ? static_cast<double>(report.cases) / report.seconds : 0;
  const double left = rate > 0 ? static_cast<double>(count - std::min(count, report.cases)) / rate : 0;
  if (isatty(STDERR_FILENO) != 0) {
    fmt::print(stderr, "\r{} of {} cases, {:.0f} a second, {} different, {:.0f} s left \x1b[K", report.cases, count,
               rate, report.differences, left);
  } else if (static_cast<u64>(report.seconds) % 30 == 0) {
    fmt::print(stderr, "{} of {} cases, {:.0f} a second, {} different\n", report.cases, count, rate,
               report.differences);
  }
}

#if BHVM_HAS_PLANTED_FAULTS
Status plant(unsigned number) {
  if (number == 0 || number > kPlantedFaults.size()) {
    return Error{fmt::format("There is no fault {} to plant; --list-plants prints them all.", number)};
  }
  selected_planted_fault = kPlantedFaults[number - 1].fault;
  return success();
}

Status list_plants() {
  for (const PlantedFaultInfo& each : kPlantedFaults) {
    fmt::print("{:>3}  {:<22} {}\n", static_cast<unsigned>(each.fault), each.name, each.what);
  }
  return success();
}
#else
Status no_plants() {
  return Error{"This build has no faults to plant; build bhvm-diff with the CMake option BHVM_PLANTED_FAULTS."};
}
Status plant(unsigned) { return no_plants(); }
Status list_plants() { return no_plants(); }
#endif

int replay(const Options& options) {
  auto stored = read_case(options.replay);
  if (!stored) return fail(stored.error().message);
  auto bench = Bench::create(options.run.qemu, !options.no_native);
  if (!bench) return fail(bench.error().message);
  auto trial = bench.value()->run(stored.value().group, stored.value().pristine);
  if (!trial) return fail(trial.error().message);
  const MinimisedCase shown{true, stored.value(), trial.value()};
  fmt::print("{}", explain_case(shown));
  const auto ours = expected_words(trial.value().ours, *stored.value().pristine);
  bool as_expected = true;
  for (const auto* map : {&ours, &std::as_const(stored.value().expected)}) {
    for (const auto& [word, ignored] : *map) {
      const auto a = ours.find(word);
      const auto b = stored.value().expected.find(word);
      const u64 now = a == ours.end() ? 0 : a->second;
      const u64 then = b == stored.value().expected.end() ? 0 : b->second;
      if (now == then || (map != &ours && a != ours.end())) continue;
      fmt::print("  {:<20} bhvm {:#018x}  expected {:#018x}\n", word, now, then);
      as_expected = false;
    }
  }
  if (options.record) {
    StoredCase updated = stored.value();
    updated.expected = ours;
    if (Status status = write_file(options.replay, to_json(updated)); !status) return fail(status.error().message);
    fmt::print("Recorded what bhvm does as what is expected.\n");
    as_expected = true;
  }
  if (trial.value().findings.empty()) fmt::print("No unexplained difference.\n");
  return trial.value().findings.empty() && as_expected ? kSame : kDifferent;
}

/// Rows of the table that explained nothing, though their oracle was there.
std::vector<std::string> unused_rows(const RunReport& report) {
  std::vector<std::string> names;
  const std::span<const MaskRow> rows = mask_table();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const bool oracle_ran = rows[i].oracle == Oracle::kQemu || report.native_cases != 0;
    if (oracle_ran && holds_on(rows[i], this_host()) && report.row_used[i] == 0) names.emplace_back(rows[i].name);
  }
  return names;
}

/// Rows of the table without a witness in the folder.
std::set<std::size_t> rows_without_witness(const std::string& folder) {
  std::set<std::size_t> rows;
  for (std::size_t i = 0; i < mask_table().size(); ++i) {
    if (!std::filesystem::exists(folder + "/" + witness_file(mask_table()[i].name))) rows.insert(i);
  }
  return rows;
}

/// Minimises and stores what the run kept for these rows, and names the rows that it has nothing for.
Status store_witnesses(const Options& options, const RunReport& report) {
  auto bench = Bench::create(options.run.qemu, !options.no_native);
  if (!bench) return bench.error();
  for (const std::size_t row : options.run.wanted_rows) {
    const std::string_view name = mask_table()[row].name;
    bool stored = false;
    const auto kept = report.row_cases.find(row);
    for (std::size_t i = 0; kept != report.row_cases.end() && i < kept->second.size() && !stored; ++i) {
      auto witness = minimise_witness(*bench.value(), kept->second[i], row);
      if (!witness) return witness.error();
      if (!witness.value()) continue;
      const std::string path = options.witnesses + "/" + witness_file(name);
      if (Status written = write_file(path, to_json(*witness.value())); !written) return written;
      stored = true;
    }
    fmt::print("The row '{}' {}.\n", name, stored ? "has a witness now" : "got no witness");
  }
  return success();
}

/// A report that cannot be written must say so before the work is done.
Status check_writable(const std::string& path) {
  if (path.empty()) return success();
  const bool existed = std::filesystem::exists(path);
  std::FILE* file = std::fopen(path.c_str(), "a");
  if (file == nullptr) {
    return Error{
        fmt::format("The report {} cannot be written ({}); choose another place.", path, std::strerror(errno))};
  }
  std::fclose(file);
  if (!existed) std::filesystem::remove(path);
  return success();
}

int run(Options& options) {
  for (const std::string& path : {options.json, options.html}) {
    if (Status writable = check_writable(path); !writable) return fail(writable.error().message);
  }
  options.run.stop = &stop_requested;
  if (!options.witnesses.empty()) options.run.wanted_rows = rows_without_witness(options.witnesses);
  std::signal(SIGINT, request_stop);
  std::signal(SIGTERM, request_stop);
  DiffRun diff(options.run);
  const Status status = diff.run([&](const RunReport& report) { show_progress(report, options.run.source.count); });
  if (isatty(STDERR_FILENO) != 0) fmt::print(stderr, "\r\x1b[K");
  const RunReport& report = diff.report();
  if (!status && report.cases == 0) return fail(status.error().message);

  std::vector<MinimisedCase> minimised;
  if (!report.caught.empty()) {
    auto bench = Bench::create(options.run.qemu, !options.no_native);
    if (!bench) return fail(bench.error().message);
    for (const CaughtCase& caught : report.caught) {
      if (minimised.size() >= options.most_minimised) break;
      auto small = minimise(*bench.value(), caught);
      if (!small) return fail(small.error().message);
      fmt::print("{}\n", explain_case(small.value()));
      minimised.push_back(std::move(small.value()));
    }
    for (std::size_t i = 0; i < minimised.size() && !options.save.empty(); ++i) {
      const std::string path = fmt::format("{}/case-{}-{}.json", options.save, options.run.source.seed, i);
      if (Status saved = write_file(path, to_json(minimised[i].stored)); !saved) return fail(saved.error().message);
    }
    for (const auto& [kind, count] : report.kinds) fmt::print("{:>8} {}\n", count, kind);
  }
  fmt::print("{}", table(report));
  fmt::print("{} cases ({} also on the host's processor) in {:.1f} s; {} forms; QEMU was started again {} times.\n",
             report.cases, report.native_cases, report.seconds, diff.forms().size(), report.qemu_restarts);
  if (report.unrepeated != 0) {
    fmt::print("{} cases differed only from a QEMU that had run others before: a new one agrees with bhvm.\n",
               report.unrepeated);
  }
  if (!report.native_missing.empty()) fmt::print("{}\n", report.native_missing);

  const ReportInput input{options.run, report, minimised, status ? "" : status.error().message};
  if (!options.json.empty()) {
    if (Status written = write_file(options.json, report_json(input)); !written) return fail(written.error().message);
  }
  if (!options.html.empty()) {
    if (Status written = write_file(options.html, report_html(input)); !written) return fail(written.error().message);
  }
  if (!status) return fail(status.error().message);
  if (!options.run.wanted_rows.empty()) {
    if (Status stored = store_witnesses(options, report); !stored) return fail(stored.error().message);
  }
  const std::vector<std::string> unused = options.check_masks ? unused_rows(report) : std::vector<std::string>{};
  for (const std::string& name : unused) fmt::print("The row '{}' of the mask table explained nothing.\n", name);
  return report.differences == 0 && unused.empty() ? kSame : kDifferent;
}

int main_(int argc, char** argv) {
  Options options;
  CLI::App app{
      "Runs random instructions in bhvm, in QEMU and on the host's own processor, and shows where they differ.",
      "bhvm-diff"};
  app.add_option("--count", options.run.source.count, "Cases to run")->default_val(100'000);
  app.add_option("--seed", options.run.source.seed, "What the cases are drawn from")->default_val(1);
  app.add_option("--form", options.form, "Only forms whose name matches this regular expression");
  app.add_option("--kind", options.kinds, "instruction, system or all")
      ->check(CLI::IsMember({"instruction", "system", "all"}))
      ->default_val("all");
  app.add_option("--jobs", options.run.jobs, "Threads, each with a QEMU of its own")
      ->check(CLI::Range(1, 256))
      ->default_val(2);
  app.add_option("--replay", options.replay, "Run this case file alone");
  app.add_flag("--record", options.record, "With --replay: write bhvm's outcome into the file as the expected one");
  app.add_option("--save", options.save, "Folder for the minimised cases")->check(CLI::ExistingDirectory);
  app.add_option("--witnesses", options.witnesses,
                 "Folder of witnesses: a minimised case for each row of the mask table that has none there yet")
      ->check(CLI::ExistingDirectory);
  app.add_option("--json", options.json, "Write the report here");
  app.add_option("--html", options.html, "Write the report here as a page");
  app.add_option("--minimise", options.most_minimised, "Minimise at most so many differences")->default_val(40);
  app.add_option("--qemu", options.run.qemu, "QEMU's program")->default_val("qemu-system-x86_64");
  app.add_flag("--no-native", options.no_native, "Without the host's processor");
  app.add_flag("--check-masks", options.check_masks, "Fail, too, when a row of the mask table explained nothing");
  app.add_flag("--cpu-model", options.cpu_model, "Print what QEMU's -cpu is given: what bhvm claims by CPUID, no more");
  app.add_flag("--list-forms", options.list_forms, "Print the names of all forms");
  app.add_option("--plant", options.plant, "Switch this planted fault on (by its number)");
  app.add_flag("--list-plants", options.list_plants, "Print the faults that can be planted");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? kSame : kUsage;
  }
  if (options.cpu_model) {
    fmt::print("{}\n", qemu_cpu_model());
    return kSame;
  }
  if (options.list_plants) {
    const Status listed = list_plants();
    return listed ? kSame : fail(listed.error().message);
  }
  if (options.plant) {
    if (Status planting = plant(*options.plant); !planting) return fail(planting.error().message);
  }
  options.run.native = !options.no_native;
  options.run.source.kinds = options.kinds == "instruction" ? Kinds::kInstruction
                             : options.kinds == "system"    ? Kinds::kSystem
                                                            : Kinds::kAll;
  if (!options.form.empty()) options.run.source.form = options.form;
  if (!options.replay.empty()) return replay(options);
  if (options.list_forms) {
    auto source = CaseSource::create(options.run.source);
    if (!source) return fail(source.error().message);
    for (const std::string& form : source.value()->forms()) fmt::print("{}\n", form);
    return kSame;
  }
  return run(options);
}

}  // namespace
}  // namespace bhvm::oracle

int main(int argc, char** argv) { return bhvm::oracle::main_(argc, argv); }
