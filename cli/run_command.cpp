#include "cli/run_command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "cli/host_clock.h"
#include "cli/input_record.h"
#include "cli/output_stream.h"
#include "cli/statistics.h"
#include "cli/stop_signal.h"
#include "cli/terminal.h"
#include "machine/file_io.h"
#include "machine/machine.h"

namespace bhvm::cli {
namespace {

// How often the run comes back to look at standard input and to pass the console on. Where a run is cut changes nothing
// in the machine; only input does, and that is recorded with its moment.
constexpr u64 kSliceInstructions = 10'000'000;
constexpr u64 kInputSliceNs = 1'000'000;
constexpr double kProgressInterval_s = 0.5;

int complain(const Error& error) {
  fmt::print(stderr, "bhvm: {}\n", error.message);
  return 2;
}

class Session {
 public:
  explicit Session(const RunOptions& options) : options_(options) {}

  Status open();
  Status run();
  Status finish(int& exit_status);

 private:
  Status open_machine();
  Status open_outputs();
  RunLimits next_limits() const;
  Status after_slice();
  Status replay_due_input();
  std::size_t type(const std::vector<u8>& bytes);
  void take_live_input();
  void wait_for_input_or_event();
  bool wake_by_input();
  bool at_end();
  void show_progress();

  const RunOptions& options_;
  std::unique_ptr<Machine> machine_;
  std::optional<OutputStream> console_;
  std::optional<OutputStream> hashes_;
  std::optional<OutputStream> record_;
  std::vector<InputRecord> replay_;
  std::size_t replayed_ = 0;
  std::unique_ptr<StandardInput> input_;
  Stop stop_;
  u64 instructions_at_start_ = 0;
  u64 hashed_at_ = 0;
  u64 console_bytes_ = 0;
  double wall_start_s_ = 0;
  double cpu_start_s_ = 0;
  double progress_at_s_ = 0;
  bool show_progress_ = false;
  bool progress_shown_ = false;
};

Status Session::open() {
  if (Status status = open_machine(); !status) return status;
  if (Status status = open_outputs(); !status) return status;
  if (!options_.input.empty()) {
    Result<std::vector<u8>> file = read_file(options_.input, "recorded input");
    if (!file) return file.error();
    const std::string_view text(reinterpret_cast<const char*>(file.value().data()), file.value().size());
    Result<std::vector<InputRecord>> records = parse_input_file(text, options_.input);
    if (!records) return records.error();
    replay_ = std::move(records).value();
  }
  machine_->set_console_output([this](std::span<const u8> bytes) {
    console_->put(bytes);
    console_bytes_ += bytes.size();
  });
  input_ = std::make_unique<StandardInput>(options_.input.empty() && !options_.no_stdin);
  return success();
}

Status Session::open_machine() {
  MachineConfig config;
  config.memory_bytes = options_.memory_bytes;
  config.seed = options_.seed;
  config.machine_id = options_.machine_id;
  config.rate_numerator = options_.rate.numerator;
  config.rate_denominator = options_.rate.denominator;
  config.rtc_epoch_s = options_.rtc_epoch_s;
  config.command_line = options_.append;
  config.disks.assign(options_.disks.begin(), options_.disks.end());
  if (!options_.kernel.empty()) {
    Result<ElfImage> image = ElfImage::open(options_.kernel);
    if (!image) return image.error();
    config.kernel = std::make_shared<const ElfImage>(std::move(image).value());
  }
  if (!options_.initrd.empty()) {
    Result<std::vector<u8>> file = read_file(options_.initrd, "initrd");
    if (!file) return file.error();
    config.initrd = std::make_shared<const std::vector<u8>>(std::move(file).value());
  }
  Result<std::unique_ptr<Machine>> machine =
      options_.load.empty() ? Machine::create(config) : Machine::load(options_.load, config);
  if (!machine) return machine.error();
  machine_ = std::move(machine).value();
  instructions_at_start_ = machine_->instructions();
  hashed_at_ = instructions_at_start_;
  return success();
}

Status Session::open_outputs() {
  const auto create = [](std::optional<OutputStream>& out, const std::string& path, const char* purpose) -> Status {
    Result<OutputStream> file = OutputStream::create(path, purpose);
    if (!file) return file.error();
    out.emplace(std::move(file).value());
    return success();
  };
  if (options_.console.empty()) {
    console_.emplace(STDOUT_FILENO, "standard output");
  } else if (Status status = create(console_, options_.console, "console file"); !status) {
    return status;
  }
  if (options_.hashes.empty()) {
    hashes_.emplace(STDERR_FILENO, "standard error");
  } else if (Status status = create(hashes_, options_.hashes, "hash file"); !status) {
    return status;
  }
  if (!options_.record.empty()) {
    if (Status status = create(record_, options_.record, "input record"); !status) return status;
    record_->put(input_file_header());
  }
  // On one terminal the progress line would stand in the middle of the guest's console.
  const bool console_elsewhere = !options_.console.empty() || isatty(STDOUT_FILENO) == 0;
  show_progress_ = !options_.quiet && console_elsewhere && isatty(STDERR_FILENO) != 0;
  return success();
}

RunLimits Session::next_limits() const {
  const u64 instructions = machine_->instructions();
  RunLimits limits;
  limits.instructions = std::min(options_.instruction_limit, instructions + kSliceInstructions);
  limits.time_ns = options_.time_limit_ns;
  limits.stop_request = &stop_requested();
  limits.stop_when_idle = input_->is_terminal();
  if (const u64 every = options_.hash_every; every != 0) {
    limits.instructions = std::min(limits.instructions, (instructions / every + 1) * every);
  }
  if (replayed_ < replay_.size()) {
    const InputRecord& next = replay_[replayed_];
    if (instructions < next.instructions) {
      limits.instructions = std::min(limits.instructions, next.instructions);
    } else {
      limits.time_ns = std::min(limits.time_ns, next.time_ns);
    }
  }
  if (input_->open()) {
    limits.time_ns = std::min(limits.time_ns, (machine_->now_ns() / kInputSliceNs + 1) * kInputSliceNs);
  }
  return limits;
}

std::size_t Session::type(const std::vector<u8>& bytes) {
  if (bytes.empty()) return 0;
  if (record_) record_->put(format_input_record(machine_->instructions(), machine_->now_ns(), bytes));
  return machine_->console_input(bytes);
}

Status Session::replay_due_input() {
  for (; replayed_ < replay_.size(); ++replayed_) {
    const InputRecord& next = replay_[replayed_];
    if (machine_->instructions() < next.instructions || machine_->now_ns() < next.time_ns) break;
    if (type(next.bytes) < next.bytes.size()) {
      return Error{
          fmt::format("{}: the guest has not taken what was typed before, so the line for instruction {} finds "
                      "no room; type it later.",
                      options_.input, next.instructions)};
    }
  }
  return success();
}

void Session::take_live_input() {
  if (machine_->console_input_room() < StandardInput::kReadMax) return;  // the guest is behind with what it has
  type(input_->read(0));
  if (input_->stop_requested()) stop_requested() = true;
}

// The guest of a terminal idles as long as a real one would: the next event is not due before that time has passed on
// the wall, and what is typed meanwhile arrives at the moment it was typed.
void Session::wait_for_input_or_event() {
  const u64 start_ns = machine_->now_ns();
  const u64 next_ns = machine_->next_event_ns();
  const double wall_s = clock_s(CLOCK_MONOTONIC);
  const bool room = machine_->console_input_room() >= StandardInput::kReadMax;
  const std::vector<u8> bytes = room ? input_->read(next_ns - start_ns) : std::vector<u8>();
  const u64 waited_ns = static_cast<u64>((clock_s(CLOCK_MONOTONIC) - wall_s) * 1e9);
  const bool interrupted = !bytes.empty() || !input_->open() || input_->stop_requested() || stop_requested();
  RunLimits limits;
  // At least a nanosecond on: what is due at this one has been dispatched, and a moment is before that.
  limits.time_ns = interrupted ? std::min(next_ns, start_ns + std::max<u64>(1, waited_ns)) : next_ns;
  limits.time_ns = std::min(limits.time_ns, options_.time_limit_ns);
  stop_ = machine_->run_until(limits);
  type(bytes);
  if (input_->stop_requested()) stop_requested() = true;
}

// Halted with no event to come: only input can wake the guest. False when there is none.
bool Session::wake_by_input() {
  if (!machine_->interrupts_enabled()) return false;
  const u64 instructions = machine_->instructions();
  if (replayed_ < replay_.size() && replay_[replayed_].instructions <= instructions) {
    machine_->idle_until(replay_[replayed_].time_ns);
    return true;
  }
  constexpr u64 kForever = ~u64{0};
  while (input_->open() && !stop_requested()) {
    const std::vector<u8> bytes = input_->read(kForever);
    if (input_->stop_requested()) stop_requested() = true;
    if (bytes.empty()) continue;
    machine_->idle_until(machine_->now_ns() + 1);
    type(bytes);
    return true;
  }
  if (stop_requested()) stop_ = {StopReason::kStopRequest, 0, {}};
  return false;
}

Status Session::after_slice() {
  if (const u64 every = options_.hash_every;
      every != 0 && machine_->instructions() % every == 0 && machine_->instructions() != hashed_at_) {
    hashed_at_ = machine_->instructions();
    hashes_->put(fmt::format("{} {}\n", hashed_at_, to_string(machine_->state_hash())));
  }
  for (std::optional<OutputStream>* out : {&console_, &hashes_, &record_}) {
    if (!*out) continue;
    (*out)->flush();
    if ((*out)->error()) return *(*out)->error();
  }
  if (show_progress_) show_progress();
  return success();
}

void Session::show_progress() {
  const double now_s = clock_s(CLOCK_MONOTONIC);
  if (now_s - progress_at_s_ < kProgressInterval_s) return;
  progress_at_s_ = now_s;
  progress_shown_ = true;
  const u64 done = machine_->instructions() - instructions_at_start_;
  const double cpu_s = clock_s(CLOCK_PROCESS_CPUTIME_ID) - cpu_start_s_;
  fmt::print(stderr, "\r\x1b[Kbhvm: {} virtual, {} instructions, {:.0f} MIPS", format_seconds(machine_->now_ns()),
             machine_->instructions(), cpu_s > 0 ? static_cast<double>(done) / cpu_s / 1e6 : 0.0);
}

/// Is the run over, for the reason in stop_?
bool Session::at_end() {
  switch (stop_.reason) {
    case StopReason::kInstructionLimit:
      return machine_->instructions() >= options_.instruction_limit;
    case StopReason::kTimeLimit:
      return machine_->now_ns() >= options_.time_limit_ns;
    case StopReason::kIdle:
      return false;
    default:
      return true;
  }
}

Status Session::run() {
  wall_start_s_ = progress_at_s_ = clock_s(CLOCK_MONOTONIC);
  cpu_start_s_ = clock_s(CLOCK_PROCESS_CPUTIME_ID);
  for (;;) {
    if (Status status = replay_due_input(); !status) return status;
    stop_ = machine_->run_until(next_limits());
    if (Status status = after_slice(); !status) return status;
    if (stop_.reason == StopReason::kHaltedForever) {
      if (!wake_by_input()) break;
      continue;
    }
    if (at_end()) break;
    if (stop_.reason == StopReason::kIdle) {
      wait_for_input_or_event();
      if (at_end()) break;
    } else if (input_->open()) {
      take_live_input();
    }
  }
  return after_slice();
}

Status Session::finish(int& exit_status) {
  RunReport report;
  report.wall_s = clock_s(CLOCK_MONOTONIC) - wall_start_s_;
  report.cpu_s = clock_s(CLOCK_PROCESS_CPUTIME_ID) - cpu_start_s_;
  input_.reset();  // the terminal as it was, before anything is printed
  report.stop = stop_;
  report.exit_status = exit_status = exit_status_of(stop_);
  report.machine = machine_->statistics();
  const GuestMemory::Usage memory = machine_->memory().usage();
  report.memory_touched_bytes = (memory.own_pages + memory.shared_pages) * kPageSize;
  report.instructions_at_start = instructions_at_start_;
  report.state_hash = to_string(machine_->state_hash());
  report.command_line = machine_->config().command_line;
  report.memory_bytes = machine_->config().memory_bytes;
  report.seed = machine_->config().seed;
  report.machine_id = machine_->config().machine_id;
  report.console_bytes = console_bytes_;
  if (progress_shown_) fmt::print(stderr, "\r\x1b[K");
  if (stop_.reason == StopReason::kTripleFault || stop_.reason == StopReason::kUnsupported) {
    fmt::print(stderr, "{}", machine_->describe_cpu());
  }
  if (!options_.quiet) fmt::print(stderr, "{}\n", closing_line(report));
  if (stop_.reason == StopReason::kHostError) return Error{stop_.message};
  if (!options_.save.empty()) {
    if (Status status = machine_->save(options_.save); !status) return status;
  }
  if (options_.stats.empty()) return success();
  const std::string json = to_json(report);
  return write_file(options_.stats, {reinterpret_cast<const u8*>(json.data()), json.size()}, "statistics file");
}

}  // namespace

int run_command(const RunOptions& options) {
  catch_stop_signals();
  Session session(options);
  int exit_status = 2;
  if (Status status = session.open(); !status) return complain(status.error());
  if (Status status = session.run(); !status) return complain(status.error());
  if (Status status = session.finish(exit_status); !status) return complain(status.error());
  return exit_status;
}

}  // namespace bhvm::cli
