// What a lockstep run found, as text for a person and as JSON.
#pragma once

#include <string>

#include "oracle/lockstep/lockstep_run.h"

namespace bhvm::lockstep {

/// The divergence, if there is one: where, the last instructions, both states with the differing fields marked.
std::string divergence_text(const RunReport& report);
/// The table of rules that were used, and the figures of the run.
std::string summary_text(const RunReport& report);
std::string report_json(const RunOptions& options, const RunReport& report, const std::string& error);

}  // namespace bhvm::lockstep
