#include "oracle/system/system_generator.h"

#include <fmt/format.h>

#include <numeric>
#include <utility>

#include "base/check.h"

namespace bhvm::oracle {
namespace {

constexpr ScenarioFamily kFamilies[] = {
    {"segments", add_segment_loads},
    {"selector probes", add_selector_probes},
    {"segment limits", add_segment_limits},
    {"far transfers", add_far_transfers},
    {"gates", add_gates},
    {"iret", add_interrupt_returns},
    {"fast calls", add_fast_calls},
    {"table registers", add_table_registers},
    {"control registers", add_control_registers},
    {"msr", add_model_specific},
    {"paging", add_paging},
    {"unit controls", add_unit_controls},
    {"debug", add_debug},
    {"interrupts", add_interrupts},
    {"flags", add_flags},
    {"ports", add_ports},
    {"nested faults", add_nested_faults},
};

}  // namespace

SystemGenerator::SystemGenerator(u64 seed, const std::regex* form_filter)
    : seed_(seed), pristine_(make_system_region(seed)), order_dice_(seed, "order of system cases") {
  for (const ScenarioFamily& family : kFamilies) {
    Scenarios scenarios;
    family.add(scenarios);
    for (Scenario& scenario : scenarios) {
      if (form_filter != nullptr && !std::regex_search(scenario.name, *form_filter)) continue;
      forms_.push_back(scenario.name);
      scenarios_.push_back({std::move(scenario), family.name});
    }
  }
  order_.resize(scenarios_.size());
  std::iota(order_.begin(), order_.end(), std::size_t{0});
  shuffle();
}

void SystemGenerator::shuffle() {
  for (std::size_t i = order_.size(); i > 1; --i) {
    std::swap(order_[i - 1], order_[order_dice_.below(static_cast<u32>(i))]);
  }
  at_ = 0;
}

CaseGroup SystemGenerator::next() {
  BHVM_CHECK(!scenarios_.empty(), "there is no system scenario to generate");
  if (at_ == order_.size()) shuffle();
  Entry& entry = scenarios_[order_[at_++]];
  CaseGroup group;
  group.form = entry.scenario.name;
  group.mnemonic = entry.scenario.mnemonic;
  group.family = entry.family;
  Dice dice(seed_, fmt::format("{}, group {}", entry.scenario.name, entry.groups++));
  Scene scene(dice, *pristine_, group);
  entry.scenario.write(scene);
  return group;
}

}  // namespace bhvm::oracle
