// Scenario: what one kind of system case is about, and the function that writes a group of them.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "oracle/system/scene.h"

namespace bhvm::oracle {

struct Scenario {
  std::string name;      // "mov ds, r16 [32]"; unique
  std::string mnemonic;  // "mov ds"
  std::function<void(Scene&)> write;
};

using Scenarios = std::vector<Scenario>;

/// A family of scenarios: the report's row.
struct ScenarioFamily {
  const char* name;
  void (*add)(Scenarios&);
};

void add_segment_loads(Scenarios&);      // segments.cpp
void add_selector_probes(Scenarios&);    // selector_probes.cpp
void add_segment_limits(Scenarios&);     // limits.cpp
void add_far_transfers(Scenarios&);      // far_transfers.cpp
void add_gates(Scenarios&);              // gates.cpp
void add_interrupt_returns(Scenarios&);  // interrupt_returns.cpp
void add_fast_calls(Scenarios&);         // fast_calls.cpp
void add_table_registers(Scenarios&);    // table_registers.cpp
void add_control_registers(Scenarios&);  // control_registers.cpp
void add_model_specific(Scenarios&);     // model_specific.cpp
void add_paging(Scenarios&);             // paging.cpp
void add_unit_controls(Scenarios&);      // unit_controls.cpp
void add_debug(Scenarios&);              // debug.cpp
void add_interrupts(Scenarios&);         // interrupts.cpp
void add_flags(Scenarios&);              // flags.cpp
void add_ports(Scenarios&);              // ports.cpp
void add_nested_faults(Scenarios&);      // nested_faults.cpp

}  // namespace bhvm::oracle
