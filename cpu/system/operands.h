// How the translators of system instructions describe operands to their functions.
//
// A system instruction has at most one register-or-memory operand and one further register; Op::imm holds the rest.
// A memory operand's linear address is in cpu.scratch_address.
#pragma once

#include "cpu/handler.h"
#include "cpu/memory.h"
#include "cpu/system_op.h"

namespace bhvm {

/// Op::imm of a system instruction.
struct Params {
  u8 size = 0;          // operand size in bytes
  bool memory = false;  // the r/m operand is in memory, else it is the register at Op::src
  u8 number = 0;        // of a segment, control or debug register
  u32 value = 0;        // immediate

  constexpr i64 pack() const { return size | (memory ? 0x100 : 0) | (number << 16) | (static_cast<i64>(value) << 32); }
  static constexpr Params of(const Op& op) {
    const u64 bits = static_cast<u64>(op.imm);
    return {static_cast<u8>(bits), (bits & 0x100) != 0, static_cast<u8>(bits >> 16), static_cast<u32>(bits >> 32)};
  }
};

/// Reads a 16-bit r/m operand.
inline bool read_rm16(Cpu& cpu, const Op& op, const Params& p, u16& value) {
  if (p.memory) return load<u16>(cpu, cpu.scratch_address, value);
  value = operand<u16>(cpu, op.src);
  return true;
}

/// Writes a general register of 2, 4 or 8 bytes.
inline void write_register(Cpu& cpu, u16 offset, unsigned size, u64 value) {
  if (size == 2) {
    write_gpr<u16>(cpu, offset, static_cast<u16>(value));
  } else if (size == 4) {
    write_gpr<u32>(cpu, offset, static_cast<u32>(value));
  } else {
    write_gpr<u64>(cpu, offset, value);
  }
}

/// Stores a selector-like result: 16 bits to memory, or zero-extended to a register of the operand size.
inline bool write_rm16(Cpu& cpu, const Op& op, const Params& p, u64 value) {
  if (p.memory) return store<u16>(cpu, cpu.scratch_address, static_cast<u16>(value));
  write_register(cpu, op.src, p.size, value);
  return true;
}

/// #GP(0) unless CPL is 0.
inline bool require_cpl0(Cpu& cpu) { return cpu.s.cpl == 0 || cpu.raise(vector::kGeneralProtection); }

/// SGDT, SIDT, SLDT, STR, SMSW: #GP(0) for CPL > 0 under CR4.UMIP (SDM 3, 2.5).
bool umip_allows(Cpu& cpu);

/// The shadow of STI, MOV SS and POP SS: nothing interrupts before the next instruction is done (SDM 3, 6.8.1
/// and 6.8.3).
inline void inhibit_interrupts(Cpu& cpu, bool debug_too) {
  cpu.s.shadow_at = cpu.s.instructions + 1;
  cpu.s.shadow_blocks_debug = debug_too;
}

}  // namespace bhvm
