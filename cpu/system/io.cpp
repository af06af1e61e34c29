#include "cpu/system/io.h"

#include "cpu/address_ops.h"
#include "cpu/system/debug.h"
#include "cpu/system/descriptors.h"
#include "cpu/system/implicit_access.h"
#include "cpu/system/operands.h"

namespace bhvm {

namespace {

/// #GP(0) unless IOPL or the TSS's permission bitmap allows the access (SDM 1, 19.5).
bool io_allowed(Cpu& cpu, u16 port, unsigned size) {
  const CpuState& s = cpu.s;
  if (s.cpl <= ((s.rflags >> 12) & 3)) return true;
  constexpr u32 kMapBaseOffset = 102;
  const bool tss = (s.tr.attributes & descriptor::kPresent) != 0 &&
                   (s.tr.attributes & descriptor::kTypeMask) == system_type::kTssBusy;
  if (!tss || s.tr.limit < kMapBaseOffset + 1) return cpu.raise(vector::kGeneralProtection);
  u16 map_base = 0;
  if (!read_implicit(cpu, s.tr.base + kMapBaseOffset, map_base)) return false;
  const u32 offset = u32{map_base} + port / 8u;
  if (offset + 1 > s.tr.limit) return cpu.raise(vector::kGeneralProtection);
  u16 bits = 0;
  if (!read_implicit(cpu, s.tr.base + offset, bits)) return false;
  const u32 mask = ((1u << size) - 1) << (port & 7);
  return (bits & mask) == 0 || cpu.raise(vector::kGeneralProtection);
}

u16 port_of(const Cpu& cpu, const Params& p) { return p.memory ? static_cast<u16>(cpu.s.gpr[kRdx]) : p.number; }

u32 read_port(Cpu& cpu, u16 port, unsigned size) {
  cpu.touched_board = true;
  check_io_breakpoints(cpu, port, size);
  return cpu.port.read_port(port, size);
}

void write_port(Cpu& cpu, u16 port, unsigned size, u32 value) {
  cpu.touched_board = true;
  check_io_breakpoints(cpu, port, size);
  cpu.port.write_port(port, size, value);
}

u64 address_mask(unsigned address_size) {
  return address_size == 8 ? ~u64{0} : address_size == 4 ? 0xFFFFFFFF : 0xFFFF;
}

/// The linear address of a string element, checked against its segment.
bool element_address(Cpu& cpu, const StringIo& io, u8 segment, Gpr pointer, bool write, u64& linear) {
  const u64 offset = cpu.s.gpr[pointer] & address_mask(io.address_size);
  const SegmentState& state = cpu.s.segments[segment];
  if (cpu.code64()) {
    linear = segment == kFs || segment == kGs ? offset + state.base : offset;
    return true;
  }
  if (!segment_allows(state, offset, io.size, write)) {
    return cpu.raise(segment == kSs ? vector::kStackFault : vector::kGeneralProtection);
  }
  linear = static_cast<u32>(offset + state.base);
  return true;
}

/// Writes the part of a register that the address size names.
void write_sized(Cpu& cpu, Gpr reg, unsigned address_size, u64 value) {
  u64& r = cpu.s.gpr[reg];
  r = address_size == 8 ? value : address_size == 4 ? static_cast<u32>(value) : (r & ~u64{0xFFFF}) | (value & 0xFFFF);
}

bool repeat_done(const Cpu& cpu, const StringIo& io) {
  return io.repeat && (cpu.s.gpr[kRcx] & address_mask(io.address_size)) == 0;
}

/// One element is done: pointer, counter, and whether the instruction comes again.
void advance(Cpu& cpu, const StringIo& io, Gpr pointer) {
  const u64 step = (cpu.s.rflags & rflags::kDf) != 0 ? ~u64{0} - io.size + 1 : io.size;
  write_sized(cpu, pointer, io.address_size, cpu.s.gpr[pointer] + step);
  if (!io.repeat) return;
  write_sized(cpu, kRcx, io.address_size, cpu.s.gpr[kRcx] - 1);
  cpu.s.rep_iterations += 1;
  if (!repeat_done(cpu, io)) cpu.s.rip = cpu.instruction_rip;
}

}  // namespace

bool port_in(Cpu& cpu, const Op& op) {
  const Params p = Params::of(op);
  const u16 port = port_of(cpu, p);
  if (!io_allowed(cpu, port, p.size)) return false;
  const u32 value = read_port(cpu, port, p.size);
  u64& rax = cpu.s.gpr[kRax];
  rax = p.size == 1   ? (rax & ~u64{0xFF}) | (value & 0xFF)
        : p.size == 2 ? (rax & ~u64{0xFFFF}) | (value & 0xFFFF)
                      : value;
  return true;
}

bool port_out(Cpu& cpu, const Op& op) {
  const Params p = Params::of(op);
  const u16 port = port_of(cpu, p);
  if (!io_allowed(cpu, port, p.size)) return false;
  const u32 mask = p.size == 4 ? 0xFFFFFFFF : (1u << (8 * p.size)) - 1;
  write_port(cpu, port, p.size, static_cast<u32>(cpu.s.gpr[kRax]) & mask);
  return true;
}

bool string_in(Cpu& cpu, const Op& op) {
  const StringIo io = StringIo::of(op);
  const u16 port = static_cast<u16>(cpu.s.gpr[kRdx]);
  if (!io_allowed(cpu, port, io.size)) return false;
  if (repeat_done(cpu, io)) return true;
  u64 linear = 0;
  if (!element_address(cpu, io, kEs, kRdi, true, linear)) return false;
  if (!cpu.probe_write(linear, io.size)) return false;
  const u32 value = read_port(cpu, port, io.size);
  if (!cpu.write_linear(linear, &value, io.size)) return false;
  advance(cpu, io, kRdi);
  return true;
}

bool string_out(Cpu& cpu, const Op& op) {
  const StringIo io = StringIo::of(op);
  const u16 port = static_cast<u16>(cpu.s.gpr[kRdx]);
  if (!io_allowed(cpu, port, io.size)) return false;
  if (repeat_done(cpu, io)) return true;
  u64 linear = 0;
  if (!element_address(cpu, io, io.segment, kRsi, false, linear)) return false;
  u32 value = 0;
  if (!cpu.read_linear(linear, &value, io.size)) return false;
  write_port(cpu, port, io.size, value);
  advance(cpu, io, kRsi);
  return true;
}

}  // namespace bhvm
