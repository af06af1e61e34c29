#include "cpu/system/segments.h"

#include <algorithm>
#include <array>

#include "base/planted_fault.h"
#include "cpu/system/control_bits.h"
#include "cpu/system/stack.h"

namespace bhvm {

namespace {

/// In 64-bit code the mode key knows nothing of ES, SS, DS, FS and GS.
void set_segment(Cpu& cpu, SegmentIndex index, const SegmentState& state) {
  cpu.s.segments[index] = state;
  if (!cpu.code64()) cpu.update_mode();
}

bool load_stack_segment(Cpu& cpu, u16 selector) {
  const u8 cpl = cpu.s.cpl;
  if (is_null(selector)) {
    if (!cpu.code64() || cpl == 3 || rpl_of(selector) != cpl) return cpu.raise(vector::kGeneralProtection);
    set_segment(cpu, kSs, {.selector = selector});
    return true;
  }
  Descriptor d;
  if (!fetch_or_raise(cpu, selector, d, vector::kGeneralProtection)) return false;
  const u32 error = selector_error(selector);
  if (rpl_of(selector) != cpl || d.dpl() != cpl || !d.writable_data()) {
    return cpu.raise(vector::kGeneralProtection, error);
  }
  if (!d.present()) return cpu.raise(vector::kStackFault, error);
  if (!set_accessed(cpu, d)) return false;
  set_segment(cpu, kSs, d.segment(selector));
  return true;
}

bool load_data_segment(Cpu& cpu, SegmentIndex index, u16 selector) {
  if (is_null(selector)) {
    set_segment(cpu, index, {.selector = selector});
    return true;
  }
  Descriptor d;
  if (!fetch_or_raise(cpu, selector, d, vector::kGeneralProtection)) return false;
  const u32 error = selector_error(selector);
  if (!d.readable()) return cpu.raise(vector::kGeneralProtection, error);
  const bool privileged = !(d.code() && d.conforming());
  if (privileged && std::max(rpl_of(selector), cpu.s.cpl) > d.dpl()) {
    return cpu.raise(vector::kGeneralProtection, error);
  }
  if (!d.present()) return cpu.raise(vector::kSegmentNotPresent, error);
  if (!set_accessed(cpu, d)) return false;
  set_segment(cpu, index, d.segment(selector));
  return true;
}

void set_zf(Cpu& cpu, bool zf) { cpu.s.rflags = (cpu.s.rflags & ~rflags::kZf) | (zf ? rflags::kZf : 0); }

/// The descriptor that LAR, LSL, VERR and VERW look at; `visible` is false where they clear ZF.
bool probe_descriptor(Cpu& cpu, u16 selector, Descriptor& d, bool& visible) {
  visible = false;
  if (is_null(selector)) return true;
  switch (fetch_descriptor(cpu, selector, d)) {
    case Fetch::kFault:
      return false;
    case Fetch::kOutside:
      return true;
    case Fetch::kOk:
      break;
  }
  const bool conforming = d.code() && d.conforming();
  visible = conforming || std::max(rpl_of(selector), cpu.s.cpl) <= d.dpl();
  return true;
}

constexpr u16 bit(u8 type) { return static_cast<u16>(1u << type); }

/// System descriptor types that LAR and LSL accept (SDM 2, tables 3-50 and 3-53), outside and in IA-32e mode.
constexpr u16 kLslTypes[2] = {bit(system_type::kTss16) | bit(system_type::kLdt) | bit(system_type::kTss16Busy) |
                                  bit(system_type::kTss) | bit(system_type::kTssBusy),
                              bit(system_type::kLdt) | bit(system_type::kTss) | bit(system_type::kTssBusy)};
constexpr u16 kLarTypes[2] = {
    kLslTypes[0] | bit(system_type::kCallGate16) | bit(system_type::kTaskGate) | bit(system_type::kCallGate),
    kLslTypes[1] | bit(system_type::kCallGate)};

/// What LAR and LSL have in common: the descriptor of an acceptable type, else ZF = 0.
bool probe_typed(Cpu& cpu, const Op& op, const u16 (&types)[2], Descriptor& d, bool& found) {
  u16 selector = 0;
  if (!read_rm16(cpu, op, Params::of(op), selector)) return false;
  if (!probe_descriptor(cpu, selector, d, found)) return false;
  if (found && d.system()) found = ((types[cpu.long_mode() ? 1 : 0] >> d.type()) & 1) != 0;
  return true;
}

bool verify(Cpu& cpu, const Op& op, bool write) {
  u16 selector = 0;
  if (!read_rm16(cpu, op, Params::of(op), selector)) return false;
  Descriptor d;
  bool visible = false;
  if (!probe_descriptor(cpu, selector, d, visible)) return false;
  set_zf(cpu, visible && (write ? d.writable_data() : d.readable()));
  return true;
}

/// A system segment for LDTR or TR: `types` is the one descriptor type, or two.
bool fetch_system_segment(Cpu& cpu, u16 selector, u16 types, Descriptor& d, u64& base) {
  const u32 error = selector_error(selector);
  constexpr u16 kTableIndicator = 4;
  if ((selector & kTableIndicator) != 0) return cpu.raise(vector::kGeneralProtection, error);
  if (!fetch_or_raise(cpu, selector, d, vector::kGeneralProtection)) return false;
  if (!d.system() || ((types >> d.type()) & 1) == 0) return cpu.raise(vector::kGeneralProtection, error);
  base = d.base();
  if (cpu.long_mode()) {
    u64 upper = 0;
    if (!fetch_upper(cpu, selector, d, upper)) return false;
    base |= upper << 32;
    constexpr u64 kUpperType = u64{0x1F} << 40;
    if ((upper & kUpperType) != 0 || !cpu.is_canonical(base)) return cpu.raise(vector::kGeneralProtection, error);
  }
  return d.present() || cpu.raise(vector::kSegmentNotPresent, error);
}

/// The memory image of GDTR and IDTR.
struct [[gnu::packed]] TableImage {
  u16 limit;
  u64 base;
};

bool load_table(Cpu& cpu, const Op& op, TableRegister& table) {
  if (!require_cpl0(cpu)) return false;
  const Params p = Params::of(op);
  u16 limit = 0;
  u64 base = 0;
  if (!load<u16>(cpu, cpu.scratch_address, limit)) return false;
  const u64 at = cpu.code64() ? cpu.scratch_address + 2 : static_cast<u32>(cpu.scratch_address + 2);
  if (p.size == 8) {
    if (!load<u64>(cpu, at, base)) return false;
    if (!cpu.is_canonical(base)) return cpu.raise(vector::kGeneralProtection);
  } else {
    u32 base32 = 0;
    if (!load<u32>(cpu, at, base32)) return false;
    base = p.size == 2 ? base32 & 0xFFFFFF : base32;
  }
  table = {base, limit};
  return true;
}

/// Stores all ten (six) bytes or none.
bool store_table(Cpu& cpu, const Op& op, const TableRegister& table) {
  if (!umip_allows(cpu)) return false;
  const TableImage image{table.limit, table.base};
  const unsigned size = Params::of(op).size == 8 ? 10 : 6;
  return cpu.write_linear(cpu.scratch_address, &image, size);
}

}  // namespace

bool umip_allows(Cpu& cpu) {
  return cpu.s.cpl == 0 || (cpu.s.cr4 & cr4::kUmip) == 0 || cpu.raise(vector::kGeneralProtection);
}

bool load_segment(Cpu& cpu, SegmentIndex index, u16 selector) {
  return index == kSs ? load_stack_segment(cpu, selector) : load_data_segment(cpu, index, selector);
}

bool mov_to_segment(Cpu& cpu, const Op& op) {
  const Params p = Params::of(op);
  u16 selector = 0;
  if (!read_rm16(cpu, op, p, selector)) return false;
  if (!load_segment(cpu, static_cast<SegmentIndex>(p.number), selector)) return false;
  if (p.number == kSs && !planted(PlantedFault::kMovSsShadow)) inhibit_interrupts(cpu, true);
  return true;
}

bool mov_from_segment(Cpu& cpu, const Op& op) {
  const Params p = Params::of(op);
  return write_rm16(cpu, op, p, cpu.s.segments[p.number].selector);
}

bool push_segment(Cpu& cpu, const Op& op) {
  const Params p = Params::of(op);
  const std::array<u64, 1> value{cpu.s.segments[p.number].selector};
  Stack stack = current_stack(cpu);
  if (!push_values(cpu, stack, value, p.size)) return false;
  commit_stack_pointer(cpu, stack);
  return true;
}

bool pop_segment(Cpu& cpu, const Op& op) {
  const Params p = Params::of(op);
  Stack stack = current_stack(cpu);
  u64 value = 0;
  if (!pop_value(cpu, stack, p.size, value)) return false;
  if (!load_segment(cpu, static_cast<SegmentIndex>(p.number), static_cast<u16>(value))) return false;
  commit_stack_pointer(cpu, stack);  // with the old SS's size
  if (p.number == kSs && !planted(PlantedFault::kMovSsShadow)) inhibit_interrupts(cpu, true);
  return true;
}

bool load_far_pointer(Cpu& cpu, const Op& op) {
  const Params p = Params::of(op);
  u64 offset = 0;
  u16 selector = 0;
  if (!cpu.read_linear(cpu.scratch_address, &offset, p.size)) return false;
  const u64 behind = cpu.scratch_address + p.size;
  if (!load<u16>(cpu, cpu.code64() ? behind : static_cast<u32>(behind), selector)) return false;
  if (!load_segment(cpu, static_cast<SegmentIndex>(p.number), selector)) return false;
  write_register(cpu, op.dst, p.size, offset);
  return true;
}

bool lar(Cpu& cpu, const Op& op) {
  Descriptor d;
  bool found = false;
  if (!probe_typed(cpu, op, kLarTypes, d, found)) return false;
  set_zf(cpu, found);
  if (found) write_register(cpu, op.dst, Params::of(op).size, (d.raw >> 32) & 0x00F0FF00);
  return true;
}

bool lsl(Cpu& cpu, const Op& op) {
  Descriptor d;
  bool found = false;
  if (!probe_typed(cpu, op, kLslTypes, d, found)) return false;
  set_zf(cpu, found);
  const u32 lost = planted(PlantedFault::kSegmentLimitGranularity) && d.has(descriptor::kGranularity) ? 0xFFF : 0;
  if (found) write_register(cpu, op.dst, Params::of(op).size, d.limit() & ~lost);
  return true;
}

bool verr(Cpu& cpu, const Op& op) { return verify(cpu, op, false); }
bool verw(Cpu& cpu, const Op& op) { return verify(cpu, op, true); }

bool arpl(Cpu& cpu, const Op& op) {
  const Params p = Params::of(op);
  const u8 rpl = rpl_of(operand<u16>(cpu, op.dst));
  u16 selector = 0;
  if (!p.memory) {
    selector = operand<u16>(cpu, op.src);
    if (rpl_of(selector) < rpl) operand<u16>(cpu, op.src) = with_rpl(selector, rpl);
  } else {
    Update<u16> update;
    if (!update.load(cpu, cpu.fast, cpu.scratch_address)) return false;
    selector = update.value;
    if (rpl_of(selector) < rpl) update.store(cpu, cpu.scratch_address, with_rpl(selector, rpl));
  }
  set_zf(cpu, rpl_of(selector) < rpl);
  return true;
}

bool lldt(Cpu& cpu, const Op& op) {
  if (!require_cpl0(cpu)) return false;
  u16 selector = 0;
  if (!read_rm16(cpu, op, Params::of(op), selector)) return false;
  if (is_null(selector)) {
    cpu.s.ldtr = {.selector = selector};
    return true;
  }
  Descriptor d;
  u64 base = 0;
  if (!fetch_system_segment(cpu, selector, bit(system_type::kLdt), d, base)) return false;
  cpu.s.ldtr = {selector, d.attributes(), d.limit(), base};
  return true;
}

bool ltr(Cpu& cpu, const Op& op) {
  if (!require_cpl0(cpu)) return false;
  u16 selector = 0;
  if (!read_rm16(cpu, op, Params::of(op), selector)) return false;
  if (is_null(selector)) return cpu.raise(vector::kGeneralProtection);
  const u16 types = static_cast<u16>(bit(system_type::kTss) | (cpu.long_mode() ? 0 : bit(system_type::kTss16)));
  Descriptor d;
  u64 base = 0;
  if (!fetch_system_segment(cpu, selector, types, d, base)) return false;
  constexpr u16 kBusy = 2;
  const u8 busy = static_cast<u8>((d.raw >> 40) | kBusy);
  if (!cpu.write_linear(d.linear + 5, &busy, 1, Privilege::kSupervisor)) return false;
  cpu.s.tr = {selector, static_cast<u16>(d.attributes() | kBusy), d.limit(), base};
  return true;
}

bool sldt(Cpu& cpu, const Op& op) {
  return umip_allows(cpu) && write_rm16(cpu, op, Params::of(op), cpu.s.ldtr.selector);
}

bool str(Cpu& cpu, const Op& op) { return umip_allows(cpu) && write_rm16(cpu, op, Params::of(op), cpu.s.tr.selector); }

bool lgdt(Cpu& cpu, const Op& op) { return load_table(cpu, op, cpu.s.gdtr); }
bool lidt(Cpu& cpu, const Op& op) { return load_table(cpu, op, cpu.s.idtr); }
bool sgdt(Cpu& cpu, const Op& op) { return store_table(cpu, op, cpu.s.gdtr); }
bool sidt(Cpu& cpu, const Op& op) { return store_table(cpu, op, cpu.s.idtr); }

}  // namespace bhvm
