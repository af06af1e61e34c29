// pvpanic: the port through which a guest's kernel tells that it panicked (QEMU, docs/specs/pvpanic).
//
// Reading yields the events that the port knows; a byte written reports those whose bits are set. It holds no state.
#pragma once

#include "devices/machine_control.h"
#include "devices/register_bytes.h"

namespace bhvm {

class PvPanic final : public ByteChip {
 public:
  static constexpr u64 kSize = 1;
  static constexpr u8 kPanicked = 1 << 0;
  static constexpr u8 kCrashLoaded = 1 << 1;

  explicit PvPanic(MachineControl& machine) : machine_(&machine) {}

 private:
  u8 read_byte(u64 offset) override { return offset == 0 ? kPanicked | kCrashLoaded : u8{0xFF}; }
  void write_byte(u64 offset, u8 value) override {
    const u8 events = value & (kPanicked | kCrashLoaded);
    if (offset == 0 && events != 0) machine_->panicked(events);
  }

  MachineControl* machine_;
};

}  // namespace bhvm
