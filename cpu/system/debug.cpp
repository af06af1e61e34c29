#include "cpu/system/debug.h"

namespace bhvm {

namespace {

/// The R/W field of DR7 (SDM 3, 17.2.4).
enum class Condition : u8 { kExecute = 0, kWrite = 1, kIo = 2, kReadOrWrite = 3 };

struct Breakpoint {
  bool enabled;
  Condition condition;
  u64 length;  // in bytes
};

Breakpoint breakpoint(u64 dr7_value, unsigned i) {
  constexpr u8 kLengths[] = {1, 2, 8, 4};
  const unsigned field = static_cast<unsigned>(dr7_value >> (16 + 4 * i)) & 15;
  return {((dr7_value >> (2 * i)) & 3) != 0, static_cast<Condition>(field & 3), kLengths[field >> 2]};
}

/// DR6 bits of the enabled breakpoints for which `hit(breakpoint, address)` holds.
template <class Hit>
u64 hits(const CpuState& s, Hit hit) {
  u64 bits = 0;
  for (unsigned i = 0; i < 4; ++i) {
    const Breakpoint b = breakpoint(s.dr7, i);
    if (b.enabled && hit(b, s.dr[i])) bits |= dr6::kB0 << i;
  }
  return bits;
}

bool overlaps(u64 address, u64 length, u64 first, u64 size) {
  const u64 start = address & ~(length - 1);
  return start <= first + size - 1 && first <= start + length - 1;
}

}  // namespace

bool instruction_breakpoint(Cpu& cpu) {
  CpuState& s = cpu.s;
  if ((s.rflags & rflags::kRf) != 0) {
    s.rflags &= ~rflags::kRf;
    return true;
  }
  if ((s.dr7 & dr7::kEnables) == 0) return true;
  if (s.shadow_at == s.instructions && s.shadow_blocks_debug) return true;
  const u64 linear = cpu.code64() ? s.rip : static_cast<u32>(s.rip + s.segments[kCs].base);
  const u64 bits = hits(
      s, [&](const Breakpoint& b, u64 address) { return b.condition == Condition::kExecute && address == linear; });
  return bits == 0 || cpu.raise(vector::kDebug, static_cast<u32>(bits));
}

void after_instruction(Cpu& cpu, bool trap_flag) {
  CpuState& s = cpu.s;
  if (s.shadow_at == s.instructions && s.shadow_blocks_debug)
    return;  // MOV SS: single-step traps are lost, others wait
  if (trap_flag) s.pending_debug |= dr6::kBs;
  if (s.pending_debug == 0) return;
  cpu.raise(vector::kDebug);
  cpu.leave = Leave::kFault;
}

void check_data_breakpoints(Cpu& cpu, u64 linear, unsigned size, bool write) {
  CpuState& s = cpu.s;
  if ((s.dr7 & dr7::kEnables) == 0) return;
  s.pending_debug |= hits(s, [&](const Breakpoint& b, u64 address) {
    const bool kind = b.condition == Condition::kReadOrWrite || (write && b.condition == Condition::kWrite);
    return kind && overlaps(address, b.length, linear, size);
  });
}

void check_io_breakpoints(Cpu& cpu, u16 port, unsigned size) {
  CpuState& s = cpu.s;
  if ((s.cr4 & cr4::kDe) == 0 || (s.dr7 & dr7::kEnables) == 0) return;
  s.pending_debug |= hits(s, [&](const Breakpoint& b, u64 address) {
    return b.condition == Condition::kIo && overlaps(address, b.length, port, size);
  });
}

}  // namespace bhvm
