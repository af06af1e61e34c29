#include "devices/reset_ports.h"

namespace bhvm {
namespace {

constexpr u8 kResetControlWritable = 0x0E;
constexpr u8 kResetCpu = 0x04;
constexpr u8 kPortAWritable = 0x03;
constexpr u8 kInitNow = 0x01;
constexpr u8 kPulseResetLine = 0xFE;

}  // namespace

void ResetControl::write_byte(u64 offset, u8 value) {
  if (offset != 0) return;
  const u8 rising = value & ~state_.value & kResetCpu;
  state_.value = value & kResetControlWritable;
  if (rising != 0) machine_->reset();
}

void SystemControlPortA::write_byte(u64 offset, u8 value) {
  if (offset != 0) return;
  const u8 rising = value & ~state_.value & kInitNow;
  state_.value = value & kPortAWritable;
  if (rising != 0) machine_->reset();
}

void KeyboardCommandPort::write_byte(u64 offset, u8 value) {
  if (offset == 0 && value == kPulseResetLine) machine_->reset();
}

}  // namespace bhvm
