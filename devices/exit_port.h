// The exit port: a byte written to it asks the machine to stop with that exit status.
//
// It holds no state. A wider write counts with its low byte; reads yield zero.
#pragma once

#include "bus/address_map.h"
#include "devices/machine_control.h"

namespace bhvm {

class ExitPort final : public Chip {
 public:
  static constexpr u64 kSize = 4;

  explicit ExitPort(MachineControl& machine) : machine_(&machine) {}

  u64 read(u64, unsigned) override { return 0; }
  void write(u64 offset, unsigned, u64 value) override {
    if (offset == 0) machine_->exit(static_cast<u8>(value));
  }

 private:
  MachineControl* machine_;
};

}  // namespace bhvm
