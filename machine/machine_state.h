// MachineState: all state of a machine but the contents of RAM and disks, which are shared and not copied.
//
// The aggregates of the parts, nested. It is saved, loaded, hashed and compared from this declaration alone.
#pragma once

#include "base/random_stream.h"
#include "cpu/cpu_state.h"
#include "machine/machine_config.h"
#include "machine/network_port.h"
#include "machine/platform.h"
#include "machine/virtio_slots.h"
#include "scheduler/event_queue.h"
#include "scheduler/oscillator.h"
#include "scheduler/virtual_clock.h"
#include "softmmu/tlb.h"

namespace bhvm {

/// How the machine ended, if it did.
struct MachineEnd {
  bool ended = false;
  StopReason reason = StopReason::kPowerOff;
  u32 status = 0;
};

struct MachineState {
  CpuState cpu;
  VirtualClockState clock;
  OscillatorState oscillator;
  EventQueueState events;
  PlatformState platform;
  VirtioSlotsState virtio;
  NetworkPortState network;
  RandomStreamState entropy;
  u64 paused_until_ns = 0;
  MachineEnd end;
  TlbState tlb;
};

}  // namespace bhvm
