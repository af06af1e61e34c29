// A run's report: a table on the terminal, a JSON file, a page to read.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "oracle/tool/diff_run.h"
#include "oracle/tool/minimise.h"

namespace bhvm::oracle {

struct ReportInput {
  const RunOptions& options;
  const RunReport& report;
  const std::vector<MinimisedCase>& minimised;
  std::string error;  // what ended the run early; empty: nothing
};

/// By family: forms, cases, differences, masked.
std::string table(const RunReport& report);
std::string report_json(const ReportInput& input);
std::string report_html(const ReportInput& input);
/// One minimised case for a person: instruction, input, every outcome's differing words.
std::string explain_case(const MinimisedCase& minimised);
/// The code of a group, disassembled, one instruction a line.
std::string disassemble(const CaseGroup& group);

Status write_file(const std::string& path, const std::string& text);

}  // namespace bhvm::oracle
