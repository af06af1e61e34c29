// The PC's three ways to pull the reset line: the reset control register at CF9h, system control port A at 92h, and
// the keyboard controller's command FEh at 64h (without a keyboard controller).
#pragma once

#include "devices/machine_control.h"
#include "devices/register_bytes.h"

namespace bhvm {

struct ResetControlState {
  u8 value = 0;
};

/// CF9h: bit 1 SYS_RST, bit 2 RST_CPU, bit 3 FULL_RST. RST_CPU going from 0 to 1 resets (ICH9 datasheet, 13.7.5).
class ResetControl final : public ByteChip {
 public:
  static constexpr u64 kSize = 1;

  explicit ResetControl(MachineControl& machine) : machine_(&machine) {}

  void reset() { state_ = {}; }
  const ResetControlState& state() const { return state_; }
  void set_state(const ResetControlState& state) { state_ = state; }

 private:
  u8 read_byte(u64 offset) override { return offset == 0 ? state_.value : u8{0xFF}; }
  void write_byte(u64 offset, u8 value) override;

  MachineControl* machine_;
  ResetControlState state_;
};

struct SystemControlPortAState {
  u8 value = 0x02;  // the A20 gate is open
};

/// 92h: bit 0 INIT_NOW, whose going from 0 to 1 resets; bit 1 the A20 gate, which is remembered and does nothing.
class SystemControlPortA final : public ByteChip {
 public:
  static constexpr u64 kSize = 1;

  explicit SystemControlPortA(MachineControl& machine) : machine_(&machine) {}

  void reset() { state_ = {}; }
  const SystemControlPortAState& state() const { return state_; }
  void set_state(const SystemControlPortAState& state) { state_ = state; }

 private:
  u8 read_byte(u64 offset) override { return offset == 0 ? state_.value : u8{0xFF}; }
  void write_byte(u64 offset, u8 value) override;

  MachineControl* machine_;
  SystemControlPortAState state_;
};

/// 64h: a write of FEh resets; all else is an empty bus. It holds no state.
class KeyboardCommandPort final : public ByteChip {
 public:
  static constexpr u64 kSize = 1;

  explicit KeyboardCommandPort(MachineControl& machine) : machine_(&machine) {}

 private:
  u8 read_byte(u64) override { return 0xFF; }
  void write_byte(u64 offset, u8 value) override;

  MachineControl* machine_;
};

}  // namespace bhvm
