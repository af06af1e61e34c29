#include "cli/statistics.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/check.h"

namespace bhvm::cli {

double RunReport::mips() const {
  return cpu_s > 0 ? static_cast<double>(machine.instructions - instructions_at_start) / cpu_s / 1e6 : 0;
}

int exit_status_of(const Stop& stop) {
  switch (stop.reason) {
    case StopReason::kGuestExit:
      return static_cast<int>(stop.status & 0xFF);
    case StopReason::kPowerOff:
      return 0;
    case StopReason::kPanic:
      return 120;
    case StopReason::kTripleFault:
      return 121;
    case StopReason::kUnsupported:
      return 122;
    case StopReason::kInstructionLimit:
    case StopReason::kTimeLimit:
      return 123;
    case StopReason::kHaltedForever:
    case StopReason::kIdle:
    case StopReason::kPowerCut:
      return 124;
    case StopReason::kReset:
      return 125;
    case StopReason::kStopRequest:
      return 130;
    case StopReason::kHostError:
      return 2;
  }
  BHVM_UNREACHABLE("a stop without an exit status");
}

std::string to_json(const RunReport& report) {
  nlohmann::ordered_json json;
  json["bhvm"] = BHVM_VERSION;
  json["exit"] = std::string(to_string(report.stop.reason));
  json["exit_status"] = report.exit_status;
  if (!report.stop.message.empty()) json["message"] = report.stop.message;
  json["instructions"] = report.machine.instructions;
  json["instructions_at_start"] = report.instructions_at_start;
  json["rep_iterations"] = report.machine.rep_iterations;
  json["idle_ns"] = report.machine.idle_ns;
  json["virtual_ns"] = report.machine.virtual_ns;
  json["wall_s"] = report.wall_s;
  json["cpu_s"] = report.cpu_s;
  json["mips"] = report.mips();
  json["state_hash"] = report.state_hash;
  json["seed"] = report.seed;
  json["machine_id"] = report.machine_id;
  json["memory_bytes"] = report.memory_bytes;
  json["memory_touched_bytes"] = report.memory_touched_bytes;
  json["command_line"] = report.command_line;
  json["console_bytes"] = report.console_bytes;
  json["events"] = report.machine.events;
  json["interrupts"] = report.machine.interrupts;
  json["page_walks"] = report.machine.page_walks;
  // A guest or a user may have put bytes into the texts that are no UTF-8.
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

std::string closing_line(const RunReport& report) {
  std::string end(to_string(report.stop.reason));
  if (report.stop.reason == StopReason::kGuestExit) end += fmt::format(" with status {}", report.stop.status);
  if (!report.stop.message.empty()) end += fmt::format(" ({})", report.stop.message);
  return fmt::format("bhvm: {}; {} virtual, {} instructions, {:.2f} s, {:.0f} MIPS", end,
                     format_seconds(report.machine.virtual_ns), report.machine.instructions, report.wall_s,
                     report.mips());
}

}  // namespace bhvm::cli
