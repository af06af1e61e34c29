// FNSTENV, FLDENV, FNSAVE, FRSTOR.
#include "cpu/x87/area.h"
#include "cpu/x87/images.h"
#include "cpu/x87/instructions.h"
#include "cpu/x87/operations.h"

namespace bhvm::x87 {
namespace {

constexpr u64 kCr0Pe = 1 << 0;

EnvironmentFormat format_of(const Cpu& cpu, const Op& op) {
  const bool protect = (cpu.s.cr0 & kCr0Pe) != 0 && (cpu.s.rflags & rflags::kVm) == 0;
  return {op.src != 0, protect};
}

/// Environments and states are aligned to their words (SDM 3, table 6-7).
bool check_words(Cpu& cpu, const EnvironmentFormat& format) {
  return cpu.check_alignment(cpu.scratch_address, format.wide ? 4 : 2);
}

}  // namespace

bool store_environment(Cpu& cpu, const Op& op) {
  X87State& x87 = cpu.s.x87;
  const EnvironmentFormat format = format_of(cpu, op);
  std::array<u8, 28> bytes;
  put_environment(x87, format, bytes);
  const u64 linear = cpu.scratch_address;
  if (!check_words(cpu, format) || !probe_area(cpu, linear, format.size())) return false;
  if (!write_area(cpu, linear, std::span(bytes).first(format.size()))) return false;
  load_control_word(x87, x87.control_word | x87_control::kMasks);  // all exceptions are masked now
  return true;
}

bool load_environment(Cpu& cpu, const Op& op) {
  if (cpu.s.x87.exception_pending()) return cpu.raise(vector::kX87);
  const EnvironmentFormat format = format_of(cpu, op);
  std::array<u8, 28> bytes{};
  if (!check_words(cpu, format)) return false;
  if (!read_area(cpu, cpu.scratch_address, std::span(bytes).first(format.size()))) return false;
  get_environment(cpu.s.x87, format, bytes);
  return true;
}

bool save_state(Cpu& cpu, const Op& op) {
  X87State& x87 = cpu.s.x87;
  const EnvironmentFormat format = format_of(cpu, op);
  std::array<u8, 28> environment;
  std::array<u8, kRegistersSize> registers;
  put_environment(x87, format, environment);
  put_registers(x87, registers);
  const u64 linear = cpu.scratch_address;
  if (!check_words(cpu, format) || !probe_area(cpu, linear, format.size() + kRegistersSize)) return false;
  if (!write_area(cpu, linear, std::span(environment).first(format.size()))) return false;
  if (!write_area(cpu, area_address(cpu, linear, format.size()), registers)) return false;
  initialize(x87);
  return true;
}

bool restore_state(Cpu& cpu, const Op& op) {
  if (cpu.s.x87.exception_pending()) return cpu.raise(vector::kX87);
  const EnvironmentFormat format = format_of(cpu, op);
  std::array<u8, 28> environment{};
  std::array<u8, kRegistersSize> registers;
  const u64 linear = cpu.scratch_address;
  if (!check_words(cpu, format)) return false;
  if (!read_area(cpu, linear, std::span(environment).first(format.size()))) return false;
  if (!read_area(cpu, area_address(cpu, linear, format.size()), registers)) return false;
  get_environment(cpu.s.x87, format, environment);
  get_registers(cpu.s.x87, registers);
  return true;
}

}  // namespace bhvm::x87
