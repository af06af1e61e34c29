#include "cli/run_progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>

#include "cli/host_clock.h"

namespace bhvm::cli {
namespace {

constexpr double kInterval_s = 0.2;

unsigned terminal_width() {
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 10 ? size.ws_col : 80;
}

}  // namespace

RunProgress::RunProgress(const NodeNames& names, u32 properties, bool status_lines)
    : names_(names),
      properties_(properties),
      status_lines_(status_lines),
      start_s_(wall_clock_s()),
      start_cpu_s_(processor_clock_s()) {}

void RunProgress::clear() {
  if (lines_shown_ == 0) return;
  fmt::print(stderr, "\r\x1b[{}A\x1b[J", lines_shown_);
  lines_shown_ = 0;
}

void RunProgress::event(const ClusterEvent& event) {
  if (event.kind == ClusterEventKind::kPropertyMet) ++met_;
  clear();
  fmt::print(stderr, "{:>14}  {}\n",
             fmt::format("{}.{:06} s", event.time_ns / 1'000'000'000, event.time_ns % 1'000'000'000 / 1000),
             describe(event, names_));
  std::fflush(stderr);
}

void RunProgress::progress(const ClusterProgress& progress) {
  if (!status_lines_) return;
  const double now_s = wall_clock_s();
  if (now_s - shown_at_s_ < kInterval_s) return;
  shown_at_s_ = now_s;
  clear();
  show(progress, now_s);
}

void RunProgress::show(const ClusterProgress& progress, double now_s) {
  const double wall_s = now_s - start_s_;
  const double cpu_s = processor_clock_s() - start_cpu_s_;
  const double virtual_s = static_cast<double>(progress.time_ns) * 1e-9;
  std::string text = fmt::format("{:.3f} s virtual, {:.1f} s wall", virtual_s, wall_s);
  if (wall_s > 0.1) text += fmt::format(" ({:.1f}x)", virtual_s / wall_s);
  if (cpu_s > 0.1) text += fmt::format(", {:.0f} MIPS", static_cast<double>(progress.instructions) / cpu_s * 1e-6);
  text += fmt::format(", {} frames, {} faults on, properties: {} met, {} failed of {}\n", progress.frames,
                      progress.faults_active, met_, progress.properties_failed, properties_);
  std::string nodes;
  for (std::size_t i = 0; i < progress.nodes.size() && i < names_.size(); ++i) {
    nodes += fmt::format("{}{} {}", i == 0 ? "" : "  ", names_[i], to_string(progress.nodes[i].status));
  }
  nodes += "\n";
  // A line that wraps would take more rows than clear() knows of.
  const unsigned width = terminal_width();
  for (std::string* const line : {&text, &nodes}) {
    if (line->size() > width) *line = line->substr(0, width - 4) + "...\n";
    fmt::print(stderr, "{}", *line);
  }
  std::fflush(stderr);
  lines_shown_ = 2;
}

}  // namespace bhvm::cli
