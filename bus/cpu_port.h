// CpuPort: everything the CPU sees of the board it is plugged into.
//
// The CPU calls it only between instructions or from an instruction that runs alone (see cpu/engine.h), with its
// instruction count up to date; so the board may read the clock, move events and change the interrupt line in any of
// these calls.
#pragma once

#include "base/types.h"

namespace bhvm {

class CpuPort {
 public:
  /// Physical memory that is not RAM. `size` is 1, 2, 4 or 8; the access does not cross a page.
  virtual u64 read_physical(PhysicalAddress address, unsigned size) = 0;
  virtual void write_physical(PhysicalAddress address, unsigned size, u64 value) = 0;
  /// IN and OUT; `size` is 1, 2 or 4.
  virtual u32 read_port(u16 port, unsigned size) = 0;
  virtual void write_port(u16 port, unsigned size, u32 value) = 0;

  /// The interrupt acknowledge cycle: the vector of the highest-priority pending interrupt, or -1 when it has gone away
  /// (a spurious cycle is answered by the interrupt controller with its spurious vector, not with -1).
  virtual int acknowledge_interrupt() = 0;

  /// The time-stamp counter's raw value after `instructions` have retired, before IA32_TSC_ADJUST.
  virtual u64 tsc_at(u64 instructions) = 0;
  /// IA32_TSC written (or IA32_TSC_ADJUST): the deadline timer must follow. `adjust` is the new IA32_TSC_ADJUST.
  virtual void tsc_adjusted(u64 adjust) = 0;

  /// MSRs that belong to the interrupt controller (IA32_APIC_BASE, IA32_TSC_DEADLINE, x2APIC 800H-8FFH). Returns false
  /// for #GP(0).
  virtual bool read_msr(u32 index, u64& value) = 0;
  virtual bool write_msr(u32 index, u64 value) = 0;
  /// CR8: the task-priority register, bits 3:0.
  virtual u64 read_cr8() = 0;
  virtual void write_cr8(u64 value) = 0;

  /// RDRAND and RDSEED: the next 64 bits of the machine's entropy stream.
  virtual u64 random() = 0;

 protected:
  ~CpuPort() = default;
};

}  // namespace bhvm
