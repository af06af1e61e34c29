#include "oracle/lockstep/report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace bhvm::lockstep {

std::string divergence_text(const RunReport& report) {
  if (!report.divergence) return {};
  const Divergence& d = *report.divergence;
  std::string text =
      fmt::format("Divergence after {} instructions: {}.\n\nThe last instructions:\n", d.instruction, d.what);
  for (const Step& step : d.history) {
    text += fmt::format("{:>10}  {:016x}  {:<60} {}\n", step.instruction, step.rip, step.text, step.place);
  }
  if (!d.fields.empty()) {
    text += fmt::format("\n{:<20} {:>18} {:>18} {:>18}\n", "", "before", "bhvm", "QEMU");
    for (const FieldPair& field : d.fields) {
      std::string before;
      for (const FieldPair& old : d.before) {
        if (old.name == field.name) before = fmt::format("{:x}", old.ours);
      }
      text += fmt::format("{:<20} {:>18} {:>18x} {:>18x}{}\n", field.name, before, field.ours, field.theirs,
                          field.differs() ? "  <-- differs" : "");
    }
  }
  if (!d.ram.empty()) text += fmt::format("\n{:<20} {:>18} {:>18}\n", "physical address", "bhvm", "QEMU");
  for (const RamDifference& r : d.ram) text += fmt::format("{:<20x} {:>18x} {:>18x}\n", r.address, r.ours, r.theirs);
  return text;
}

std::string summary_text(const RunReport& report) {
  std::string text = fmt::format("{:<18} {:>12}  {}\n", "rule", "times", "what");
  for (const RuleRow& row : rule_table()) {
    if (report.rules.of(row.rule) == 0) continue;
    text += fmt::format("{:<18} {:>12}  {}\n", row.name, report.rules.of(row.rule), row.what);
  }
  text += fmt::format(
      "{} instructions, {} exceptions, {} comparisons of all RAM; {} events in {:.1f} GB of log; {:.1f} s.\n",
      report.instructions, report.exceptions, report.ram_comparisons, report.events,
      static_cast<double>(report.bytes) / 1e9, report.seconds);
  return text;
}

std::string report_json(const RunOptions& options, const RunReport& report, const std::string& error) {
  using nlohmann::json;
  json rules = json::array();
  for (const RuleRow& row : rule_table()) {
    rules.push_back(
        {{"name", row.name}, {"times", report.rules.of(row.rule)}, {"what", row.what}, {"reason", row.reason}});
  }
  json divergence;
  if (report.divergence) {
    const Divergence& d = *report.divergence;
    json history = json::array();
    for (const Step& step : d.history) {
      history.push_back(
          {{"instruction", step.instruction}, {"rip", step.rip}, {"text", step.text}, {"place", step.place}});
    }
    json fields = json::array();
    for (const FieldPair& field : d.fields) {
      if (field.differs()) fields.push_back({{"name", field.name}, {"bhvm", field.ours}, {"qemu", field.theirs}});
    }
    json ram = json::array();
    for (const RamDifference& r : d.ram) ram.push_back({{"address", r.address}, {"bhvm", r.ours}, {"qemu", r.theirs}});
    divergence = {
        {"what", d.what}, {"instruction", d.instruction}, {"history", history}, {"fields", fields}, {"ram", ram}};
  }
  const json whole = {
      {"kernel", options.qemu.kernel},
      {"initrd", options.qemu.initrd},
      {"append", options.qemu.append},
      {"memory_bytes", options.qemu.memory_bytes},
      {"fpu", options.qemu.fpu},
      {"instructions_wanted", options.instructions},
      {"instructions", report.instructions},
      {"events", report.events},
      {"log_bytes", report.bytes},
      {"exceptions", report.exceptions},
      {"ram_comparisons", report.ram_comparisons},
      {"seconds", report.seconds},
      {"rules", rules},
      {"divergence", divergence},
      {"ended_early", report.ended_early},
      {"error", error},
  };
  return whole.dump(2) + "\n";
}

}  // namespace bhvm::lockstep
