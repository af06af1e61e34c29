#include "cpu/system/descriptors.h"

#include "cpu/system/implicit_access.h"

namespace bhvm {

namespace {
constexpr u16 kTableIndicator = 1 << 2;  // of a selector: the LDT

u64 table_linear(const Cpu& cpu, u64 base, u32 offset) {
  const u64 linear = base + offset;
  return cpu.long_mode() ? linear : static_cast<u32>(linear);
}
}  // namespace

Fetch fetch_descriptor(Cpu& cpu, u16 selector, Descriptor& out) {
  const u32 offset = selector & 0xFFF8u;
  u64 base = cpu.s.gdtr.base;
  u32 limit = cpu.s.gdtr.limit;
  if ((selector & kTableIndicator) != 0) {
    if ((cpu.s.ldtr.attributes & descriptor::kPresent) == 0) return Fetch::kOutside;
    base = cpu.s.ldtr.base;
    limit = cpu.s.ldtr.limit;
  }
  if (u64{offset} + 7 > limit) return Fetch::kOutside;
  out.linear = table_linear(cpu, base, offset);
  return read_implicit(cpu, out.linear, out.raw) ? Fetch::kOk : Fetch::kFault;
}

bool fetch_or_raise(Cpu& cpu, u16 selector, Descriptor& out, u8 vector, u32 ext) {
  switch (fetch_descriptor(cpu, selector, out)) {
    case Fetch::kOk:
      return true;
    case Fetch::kOutside:
      return cpu.raise(vector, selector_error(selector) | ext);
    case Fetch::kFault:
      break;
  }
  return false;
}

bool fetch_upper(Cpu& cpu, u16 selector, const Descriptor& lower, u64& upper) {
  const u32 limit = (selector & kTableIndicator) != 0 ? cpu.s.ldtr.limit : cpu.s.gdtr.limit;
  if ((selector & 0xFFF8u) + u64{15} > limit) return cpu.raise(vector::kGeneralProtection, selector_error(selector));
  return read_implicit(cpu, table_linear(cpu, lower.linear, 8), upper);
}

bool set_accessed(Cpu& cpu, Descriptor& d) {
  constexpr u64 kAccessedBit = u64{descriptor::kAccessed} << 40;
  if ((d.raw & kAccessedBit) != 0) return true;
  const u8 byte = static_cast<u8>((d.raw | kAccessedBit) >> 40);
  if (!cpu.write_linear(table_linear(cpu, d.linear, 5), &byte, 1, Privilege::kSupervisor)) return false;
  d.raw |= kAccessedBit;
  return true;
}

bool code_size_valid(const Cpu& cpu, const Descriptor& code) {
  return !(cpu.long_mode() && code.long_code() && code.big());
}

}  // namespace bhvm
