// A CPU with RAM and nothing else, for tests of the interpreter.
//
// 64-bit mode at CPL 0, the first GiB identity-mapped with 2 MiB pages, code at kCode, a stack below kStack. Physical
// addresses above the RAM belong to a device that records what it is asked.
#pragma once

#include <cstring>
#include <initializer_list>
#include <memory>
#include <span>
#include <vector>

#include "cpu/code_cache.h"
#include "cpu/cpu.h"
#include "softmmu/guest_memory.h"
#include "softmmu/mmu.h"

namespace bhvm::test {

inline constexpr u64 kCode = 0x10000;
inline constexpr u64 kStack = 0x80000;
inline constexpr u64 kData = 0x100000;
inline constexpr u64 kPageTables = 0x1000;  // PML4, PDPT, PD
inline constexpr u64 kRamSize = u64{16} << 20;
inline constexpr u64 kDevice = u64{0x20000000};  // inside the identity map, not RAM

struct DeviceAccess {
  u64 address = 0;
  unsigned size = 0;
  u64 value = 0;
  bool write = false;
  u64 instructions = 0;  // retired before
};

class Harness : public CpuPort {
 public:
  Harness() : memory(GuestMemory::create(kRamSize).value()), mmu(memory), cpu(mmu, *this) { reset(); }

  /// 64-bit state as described above; registers zero but RSP and RIP.
  void reset() {
    write64(kPageTables, (kPageTables + 0x1000) | 7);
    write64(kPageTables + 0x1000, (kPageTables + 0x2000) | 7);
    for (u64 i = 0; i < 512; ++i) write64(kPageTables + 0x2000 + 8 * i, (i << 21) | 0x87);
    CpuState s;
    s.cr0 = 0x80050033;  // PG AM WP NE ET MP PE
    s.cr3 = kPageTables;
    s.cr4 = 0x6A0;       // PAE PGE OSFXSR OSXMMEXCPT
    s.msr.efer = 0xD01;  // NXE LMA LME SCE
    s.segments[kCs] = {0x10, 0xA09B, 0xFFFFFFFF, 0};
    for (const SegmentIndex i : {kSs, kDs, kEs}) s.segments[i] = {0x18, 0xC093, 0xFFFFFFFF, 0};
    s.rip = kCode;
    s.gpr[kRsp] = kStack;
    cpu.set_state(s);
    cpu.flush_tlb_all();
  }

  void write64(u64 address, u64 value) { memory.write_value(PhysicalAddress{address}, value); }
  u64 read64(u64 address) {
    u64 value = 0;
    memory.read_value(PhysicalAddress{address}, value);
    return value;
  }
  void place(u64 address, std::span<const u8> bytes) { memory.write({address}, bytes.data(), bytes.size()); }
  void place(u64 address, std::initializer_list<u8> bytes) { memory.write({address}, bytes.begin(), bytes.size()); }
  u64& reg(Gpr index) { return cpu.s.gpr[index]; }

  u64 read_physical(PhysicalAddress address, unsigned size) override {
    accesses.push_back({address.value, size, 0, false, cpu.s.instructions});
    return device_value;
  }
  void write_physical(PhysicalAddress address, unsigned size, u64 value) override {
    accesses.push_back({address.value, size, value, true, cpu.s.instructions});
  }
  u32 read_port(u16, unsigned) override { return 0xFFFFFFFF; }
  void write_port(u16, unsigned, u32) override {}
  int acknowledge_interrupt() override { return pending_vector; }
  u64 tsc_at(u64 instructions) override { return instructions; }
  void tsc_adjusted(u64) override {}
  bool read_msr(u32, u64&) override { return false; }
  bool write_msr(u32, u64) override { return false; }
  u64 read_cr8() override { return 0; }
  void write_cr8(u64) override {}
  u64 random() override { return ++random_value; }

  GuestMemory memory;
  Mmu mmu;
  Cpu cpu;
  std::vector<DeviceAccess> accesses;
  u64 device_value = 0x1122334455667788;
  u64 random_value = 0;
  int pending_vector = -1;
};

}  // namespace bhvm::test
