// MachineControl: what a chip may ask of the machine it sits in. The board decides what comes of it; a chip goes on
// as if nothing had happened, so the instruction that asked completes.
#pragma once

#include "base/types.h"

namespace bhvm {

class MachineControl {
 public:
  /// Soft-off (ACPI state S5).
  virtual void power_off() = 0;
  /// The platform's reset line.
  virtual void reset() = 0;
  /// The guest ends its run with an exit status.
  virtual void exit(u8 status) = 0;
  /// The guest's kernel reports through pvpanic: bit 0 it panicked, bit 1 it goes on into a crash kernel.
  virtual void panicked(u8 events) = 0;

 protected:
  ~MachineControl() = default;
};

}  // namespace bhvm
