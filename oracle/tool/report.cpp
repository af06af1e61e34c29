#include "oracle/tool/report.h"

#include <Zydis/Zydis.h>
#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>

namespace bhvm::oracle {

std::string disassemble(const CaseGroup& group) {
  const bool code64 = group.group.mode == Mode::kUser64 || group.group.mode == Mode::kKernel64;
  std::string text;
  for (unsigned at = 0; at < group.group.code_bytes;) {
    ZydisDisassembledInstruction insn;
    const u64 address = kRegion + group.group.code_offset + at;
    if (!ZYAN_SUCCESS(ZydisDisassembleIntel(code64 ? ZYDIS_MACHINE_MODE_LONG_64 : ZYDIS_MACHINE_MODE_LONG_COMPAT_32,
                                            address, group.group.code + at, group.group.code_bytes - at, &insn))) {
      text += fmt::format("{:#x}: (no instruction)", address);
      for (unsigned i = at; i < group.group.code_bytes; ++i) text += fmt::format(" {:02x}", group.group.code[i]);
      return text + "\n";
    }
    text += fmt::format("{:#x}:", address);
    for (unsigned i = 0; i < insn.info.length; ++i) text += fmt::format(" {:02x}", group.group.code[at + i]);
    text += fmt::format("  {}\n", insn.text);
    at += insn.info.length;
  }
  return text;
}

std::string explain_case(const MinimisedCase& minimised) {
  const CaseGroup& group = minimised.stored.group;
  const Trial& trial = minimised.trial;
  std::string text = fmt::format("{} ({})\n{}", group.form, minimised.confirmed ? "confirmed alone" : "not seen alone",
                                 disassemble(group));
  text += fmt::format("  bhvm:   {}\n  QEMU:   {}\n", describe(trial.ours), describe(trial.theirs));
  if (trial.native) text += fmt::format("  native: {}\n", describe(*trial.native));
  for (const Finding& finding : trial.findings) {
    for (const Difference& d : finding.differences) {
      const Outcome& other = finding.oracle == Oracle::kQemu ? trial.theirs : *trial.native;
      text += fmt::format("  {:<20} bhvm {:#018x}  {} {:#018x}", name_of(d.field, d.index), d.ours,
                          to_string(finding.oracle), word_of(other, *minimised.stored.pristine, d.field, d.index));
      if (finding.oracle == Oracle::kQemu && trial.native && was_run(*trial.native) && native_knows(d.field)) {
        text += fmt::format("  native {:#018x}", word_of(*trial.native, *minimised.stored.pristine, d.field, d.index));
      }
      text += "\n";
    }
  }
  return text;
}

std::string table(const RunReport& report) {
  std::string text =
      fmt::format("{:<22} {:>7} {:>12} {:>12} {:>12}\n", "group", "forms", "cases", "differences", "masked");
  u64 forms = 0;
  for (const auto& [name, family] : report.families) {
    text += fmt::format("{:<22} {:>7} {:>12} {:>12} {:>12}\n", name, family.forms.size(), family.cases,
                        family.differences, family.masked);
    forms += family.forms.size();
  }
  return text + fmt::format("{:<22} {:>7} {:>12} {:>12} {:>12}\n", "all", forms, report.cases, report.differences,
                            report.masked);
}

Status write_file(const std::string& path, const std::string& text) {
  const std::string partial = path + ".part";
  std::ofstream file(partial, std::ios::binary);
  file << text;
  file.close();
  if (!file || std::rename(partial.c_str(), path.c_str()) != 0) {
    return Error{fmt::format("'{}' cannot be written ({}); give a path in a folder that can be written to.", path,
                             std::strerror(errno))};
  }
  return success();
}

}  // namespace bhvm::oracle
