// Implicit supervisor-mode accesses: descriptor tables and the TSS, whatever the CPL (SDM 3, 4.6.1).
//
// The inline path reads and writes through the fast TLB of the supervisor mode that SMAP selects; everything else goes
// through Cpu::read_linear() and write_linear(). A hit in a fast entry is exactly what the slow path would do.
#pragma once

#include <cstring>

#include "cpu/cpu.h"
#include "cpu/system/control_bits.h"

namespace bhvm {

/// The fast entry for an implicit access: EFLAGS.AC does not open user pages to it.
BHVM_INLINE const FastEntry& implicit_entry(Cpu& cpu, u64 linear) {
  const DataMode mode = (cpu.s.cr4 & cr4::kSmap) != 0 ? DataMode::kSupervisor : DataMode::kSupervisorOverUser;
  return cpu.mmu.fast(mode)[data_tlb_index(linear)];
}

/// Reads a T of at most 16 bytes.
template <class T>
BHVM_INLINE bool read_implicit(Cpu& cpu, u64 linear, T& value) {
  const FastEntry& entry = implicit_entry(cpu, linear);
  if (BHVM_LIKELY(data_tag(linear + (sizeof(T) - 1)) == entry.read_tag && data_tag(linear) == entry.read_tag)) {
    std::memcpy(&value, reinterpret_cast<const void*>(linear + entry.addend), sizeof(T));
    return true;
  }
  return cpu.read_linear(linear, &value, sizeof(T), Privilege::kSupervisor);
}

}  // namespace bhvm
