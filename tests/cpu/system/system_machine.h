// A CPU with a GDT, an IDT and a TSS, for tests of system instructions: 64-bit mode, or 32-bit protected mode without
// paging. Every vector has a handler that is one HLT, so that a program ends where it was sent.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "cpu/system/control_bits.h"
#include "cpu/system/descriptors.h"
#include "tests/cpu/harness.h"

namespace bhvm::test {

inline constexpr u64 kGdt = 0x20000;
inline constexpr u64 kIdt = 0x21000;
inline constexpr u64 kTss = 0x22000;
inline constexpr u64 kLdt = 0x23000;
inline constexpr u64 kHandlers = 0x30000;  // 16 bytes for each vector
inline constexpr u64 kTarget = 0x40000;    // where far transfers of the tests go
inline constexpr u64 kRsp0 = 0x90000;
inline constexpr u64 kIst1 = 0xA0000;
inline constexpr u64 kUserStack = 0xB0000;
inline constexpr u16 kTssLimit = 0x88;  // 104 bytes, an I/O bitmap of 32 bytes, its last byte all ones

/// Selectors of the GDT.
namespace selector {
inline constexpr u16 kKernelCode = 0x10;  // 64-bit; in the 32-bit machine 32-bit
inline constexpr u16 kKernelData = 0x18;
inline constexpr u16 kUserCode32 = 0x20 | 3;
inline constexpr u16 kUserData = 0x28 | 3;
inline constexpr u16 kUserCode = 0x30 | 3;  // 64-bit; in the 32-bit machine 32-bit
inline constexpr u16 kKernelCode32 = 0x38;
inline constexpr u16 kAbsentCode = 0x40;
inline constexpr u16 kConforming = 0x48;
inline constexpr u16 kTask = 0x50;      // 16 bytes
inline constexpr u16 kGate = 0x60 | 3;  // call gate, DPL 3, 16 bytes
inline constexpr u16 kLocal = 0x70;     // LDT, 16 bytes
inline constexpr u16 kAbsentData = 0x80;
inline constexpr u16 kExecuteOnly = 0x88;
inline constexpr u16 kData16 = 0x90;  // 64 KiB
inline constexpr u16 kReadOnly = 0x98;
inline constexpr u16 kBadCode = 0xA0;  // L and D
inline constexpr u16 kCode16 = 0xA8;
inline constexpr u16 kOutside = 0x100;  // beyond the GDT
inline constexpr u16 kGdtLimit = 0xFF;
}  // namespace selector

/// A code or data descriptor: attributes as in SegmentState, limit in its own unit.
constexpr u64 segment_descriptor(u16 attributes, u32 base, u32 limit) {
  return (limit & 0xFFFF) | (u64{base & 0xFFFFFF} << 16) | (u64{attributes} << 40) | (u64{limit & 0xF0000} << 32) |
         (u64{base >> 24} << 56);
}
/// The low (in protected mode, only) half of a gate; `type` includes P and DPL.
constexpr u64 gate_descriptor(u8 type, u16 code, u32 offset, u8 ist = 0) {
  return (offset & 0xFFFF) | (u64{code} << 16) | (u64{ist} << 32) | (u64{type} << 40) |
         (u64{offset & 0xFFFF0000} << 32);
}
constexpr u64 handler_of(u8 vector) { return kHandlers + 16u * vector; }

class SystemMachine : public Harness {
 public:
  static constexpr u8 kInterrupt = 0x8E;  // present, DPL 0
  static constexpr u8 kTrap = 0x8F;
  static constexpr u8 kUserInterrupt = 0xEE;  // DPL 3

  explicit SystemMachine(bool protected32 = false) : is32_(protected32) {
    constexpr u32 kAll = 0xFFFFF;
    const u16 code = protected32 ? 0xC09B : 0xA09B;
    descriptor(selector::kKernelCode, segment_descriptor(code, 0, kAll));
    descriptor(selector::kKernelData, segment_descriptor(0xC093, 0, kAll));
    descriptor(selector::kUserCode32, segment_descriptor(0xC0FB, 0, kAll));
    descriptor(selector::kUserData, segment_descriptor(0xC0F3, 0, kAll));
    descriptor(selector::kUserCode, segment_descriptor(static_cast<u16>(code | 0x60), 0, kAll));
    descriptor(selector::kKernelCode32, segment_descriptor(0xC09B, 0, kAll));
    descriptor(selector::kAbsentCode, segment_descriptor(static_cast<u16>(code & ~0x80), 0, kAll));
    descriptor(selector::kConforming, segment_descriptor(static_cast<u16>(code | 4), 0, kAll));
    descriptor(selector::kTask, segment_descriptor(0x008B, kTss, kTssLimit));
    descriptor(selector::kLocal, segment_descriptor(0x0082, kLdt, 0x1F));
    descriptor(selector::kAbsentData, segment_descriptor(0xC013, 0, kAll));
    descriptor(selector::kExecuteOnly, segment_descriptor(0xC099, 0, kAll));
    descriptor(selector::kData16, segment_descriptor(0x0093, 0, 0xFFFF));
    descriptor(selector::kReadOnly, segment_descriptor(0xC091, 0, kAll));
    descriptor(selector::kBadCode, segment_descriptor(0xE09B, 0, kAll));
    descriptor(selector::kCode16, segment_descriptor(0x009B, 0, 0xFFFF));
    for (unsigned v = 0; v < 256; ++v) {
      gate(static_cast<u8>(v), v == 0x80 ? kUserInterrupt : kInterrupt);
      place(handler_of(static_cast<u8>(v)), {0xF4});
    }
    if (protected32) {
      write_bytes(kTss + 4, kRsp0, 4);
      write_bytes(kTss + 8, selector::kKernelData, 2);
    } else {
      write64(kTss + 4, kRsp0);
      write64(kTss + 36, kIst1);
    }
    write_bytes(kTss + 102, 104, 2);
    memory.write_value(PhysicalAddress{kTss + kTssLimit}, u8{0xFF});

    CpuState s = cpu.s;
    if (protected32) {
      s.cr0 = cr0::kPe | cr0::kEt | cr0::kNe;
      s.cr4 = cr4::kDe;
      s.msr.efer = 0;
      s.segments[kCs].attributes = 0xC09B;
    } else {
      s.cr4 |= cr4::kDe;
    }
    s.gdtr = {kGdt, selector::kGdtLimit};
    s.idtr = {kIdt, static_cast<u16>(protected32 ? 0x7FF : 0xFFF)};
    s.tr = {selector::kTask, 0x008B, kTssLimit, kTss};
    cpu.set_state(s);
    cpu.flush_tlb_all();
  }

  void descriptor(u16 selector, u64 raw, u64 upper = 0, bool wide = false) {
    write64(kGdt + (selector & 0xFFF8u), raw);
    if (wide) write64(kGdt + (selector & 0xFFF8u) + 8, upper);
  }
  void gate(u8 vector, u8 type, u16 code = selector::kKernelCode, u8 ist = 0) {
    gate_to(vector, type, code, handler_of(vector), ist);
  }
  void gate_to(u8 vector, u8 type, u16 code, u64 offset, u8 ist = 0) {
    const u64 low = gate_descriptor(type, code, static_cast<u32>(offset), ist);
    if (is32_) {
      write64(kIdt + 8u * vector, low);
    } else {
      write64(kIdt + 16u * vector, low);
      write64(kIdt + 16u * vector + 8, offset >> 32);
    }
  }

  /// Continues at CPL 3 with user segments, at kCode.
  void to_user(bool compat = false) {
    CpuState s = cpu.s;
    s.cpl = 3;
    s.segments[kCs] = {compat ? selector::kUserCode32 : selector::kUserCode,
                       static_cast<u16>(compat || is32_ ? 0xC0FB : 0xA0FB), 0xFFFFFFFF, 0};
    for (const SegmentIndex i : {kSs, kDs, kEs}) s.segments[i] = {selector::kUserData, 0xC0F3, 0xFFFFFFFF, 0};
    s.gpr[kRsp] = kUserStack;
    cpu.set_state(s);
    cpu.forget_fetch_page();
  }

  /// Runs the bytes at kCode until HLT; the exit must be one.
  void run_program(std::initializer_list<u8> bytes, u64 limit = 100) {
    place(kCode, bytes);
    cpu.s.rip = kCode;
    cpu.s.halted = false;
    cpu.forget_fetch_page();
    exit = run(limit);
  }
  RunExit run(u64 limit = 100) {
    RunExit e = cpu.run(limit);
    while (e == RunExit::kAttention) e = cpu.run(limit);
    return e;
  }
  /// Did the last program end in the handler of `vector`?
  bool ended_in(u8 vector) const { return exit == RunExit::kHalted && cpu.s.rip == handler_of(vector) + 1; }

  /// Value `i` of the current stack, in units of `size`.
  u64 stack(unsigned i, unsigned size = 8) {
    u64 value = 0;
    memory.read({cpu.s.gpr[kRsp] + i * size}, &value, size);
    return value;
  }
  void write_bytes(u64 address, u64 value, unsigned size) { memory.write({address}, &value, size); }

  u32 read_port(u16 port, unsigned size) override {
    port_reads.push_back({port, size});
    return 0xA1B2C3D4;
  }
  void write_port(u16 port, unsigned size, u32 value) override { port_writes.push_back({port, size, value}); }
  int acknowledge_interrupt() override {
    cpu.set_interrupt_line(false);
    return pending_vector;
  }
  void tsc_adjusted(u64 adjust) override { last_adjust = adjust; }
  bool read_msr(u32 index, u64& value) override {
    if (!board_msrs.contains(index)) return false;
    value = board_msrs[index];
    return true;
  }
  bool write_msr(u32 index, u64 value) override {
    if (!board_msrs.contains(index)) return false;
    board_msrs[index] = value;
    return true;
  }
  u64 read_cr8() override { return cr8; }
  void write_cr8(u64 value) override { cr8 = value; }

  struct PortAccess {
    u16 port = 0;
    unsigned size = 0;
    u32 value = 0;
    bool operator==(const PortAccess&) const = default;
  };
  std::vector<PortAccess> port_reads;
  std::vector<PortAccess> port_writes;
  std::map<u32, u64> board_msrs{{0x1B, 0xFEE00900}, {0x6E0, 0}};
  u64 last_adjust = 0;
  u64 cr8 = 0;
  RunExit exit = RunExit::kLimit;

 private:
  bool is32_;
};

}  // namespace bhvm::test
