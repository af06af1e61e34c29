// What generators make and runners run: one piece of code with its inputs.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "base/types.h"
#include "oracle/protocol.h"

namespace bhvm::oracle {

/// The region's contents before every case of a batch.
using Pristine = std::array<u8, kRegionBytes>;

/// What each step list belongs to, by case; empty lists for instruction cases.
using Steps = std::vector<Step>;

struct CaseGroup {
  Group group{};             // first_case and case_count are filled in by the batch
  std::vector<Case> cases;   // first_step and step_count are filled in by the batch
  std::vector<Steps> steps;  // empty, or as many as cases
  std::string form;          // what a report and --form name it by: "add r32, m32", "iret to outer level"
  std::string mnemonic;      // "add"; of a system case what it is about
  std::string family;        // the report's row: "integer", "sse", "x87", "strings", "gates", ...
  bool native = false;       // may it run as a host user process? (user mode, no steps, nothing a host kernel forbids)
};

}  // namespace bhvm::oracle
