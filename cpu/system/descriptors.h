// Segment and gate descriptors: fetching them from the GDT or LDT, and taking them apart (SDM 3, 3.4.5 and 3.5).
#pragma once

#include "cpu/cpu.h"

namespace bhvm {

namespace system_type {
// The type field of system descriptors, S = 0 (SDM 3, table 3-2).
inline constexpr u8 kTss16 = 0x1;
inline constexpr u8 kLdt = 0x2;
inline constexpr u8 kTss16Busy = 0x3;
inline constexpr u8 kCallGate16 = 0x4;
inline constexpr u8 kTaskGate = 0x5;
inline constexpr u8 kInterruptGate16 = 0x6;
inline constexpr u8 kTrapGate16 = 0x7;
inline constexpr u8 kTss = 0x9;  // 32-bit, in IA-32e mode 64-bit
inline constexpr u8 kTssBusy = 0xB;
inline constexpr u8 kCallGate = 0xC;
inline constexpr u8 kInterruptGate = 0xE;
inline constexpr u8 kTrapGate = 0xF;
}  // namespace system_type

/// Eight bytes of a descriptor table.
struct Descriptor {
  u64 raw = 0;
  u64 linear = 0;  // where it stands

  u16 attributes() const { return static_cast<u16>((raw >> 40) & 0xF0FF); }
  u8 type() const { return static_cast<u8>((raw >> 40) & 0xF); }
  u8 dpl() const { return static_cast<u8>((raw >> 45) & 3); }
  bool has(u16 attribute) const { return (attributes() & attribute) != 0; }
  bool present() const { return has(descriptor::kPresent); }
  bool system() const { return !has(descriptor::kNonSystem); }
  bool code() const {
    return (attributes() & (descriptor::kNonSystem | descriptor::kCode)) ==
           (descriptor::kNonSystem | descriptor::kCode);
  }
  bool conforming() const { return has(descriptor::kExpandDown); }
  bool writable_data() const {
    constexpr u16 kMask = descriptor::kNonSystem | descriptor::kCode | descriptor::kWritable;
    return (attributes() & kMask) == (descriptor::kNonSystem | descriptor::kWritable);
  }
  /// A data segment, or a code segment that may be read.
  bool readable() const {
    return !system() && ((attributes() & descriptor::kCode) == 0 || (attributes() & descriptor::kWritable) != 0);
  }
  bool long_code() const { return has(descriptor::kLong); }
  bool big() const { return has(descriptor::kBig); }
  u32 base() const { return static_cast<u32>(((raw >> 16) & 0xFFFFFF) | ((raw >> 32) & 0xFF000000)); }
  /// In bytes: the last valid offset.
  u32 limit() const {
    const u32 field = static_cast<u32>((raw & 0xFFFF) | ((raw >> 32) & 0xF0000));
    return has(descriptor::kGranularity) ? (field << 12) | 0xFFF : field;
  }
  /// Of a gate: its code segment, and its offset's low 32 bits.
  u16 gate_selector() const { return static_cast<u16>(raw >> 16); }
  u32 gate_offset() const { return static_cast<u32>((raw & 0xFFFF) | ((raw >> 32) & 0xFFFF0000)); }

  SegmentState segment(u16 selector) const { return {selector, attributes(), limit(), base()}; }
};

constexpr bool is_null(u16 selector) { return (selector & 0xFFFC) == 0; }
constexpr u8 rpl_of(u16 selector) { return selector & 3; }
constexpr u16 with_rpl(u16 selector, u8 rpl) { return static_cast<u16>((selector & 0xFFFC) | rpl); }
/// The error code that names a selector.
constexpr u32 selector_error(u16 selector) { return selector & 0xFFFCu; }

enum class Fetch : u8 {
  kOk,
  kOutside,  // beyond the table's limit, or an LDT that is not there: the caller knows which exception that is
  kFault,    // cpu.fault is set
};

/// Reads the descriptor of a selector that is not null.
Fetch fetch_descriptor(Cpu& cpu, u16 selector, Descriptor& out);

/// fetch_descriptor() where a selector outside its table is `vector` with the selector and `ext` as error code.
bool fetch_or_raise(Cpu& cpu, u16 selector, Descriptor& out, u8 vector, u32 ext = 0);

/// Reads the upper eight bytes of a 16-byte system descriptor; outside the table is #GP(selector).
bool fetch_upper(Cpu& cpu, u16 selector, const Descriptor& lower, u64& upper);

/// Sets the accessed bit of a code or data descriptor, in memory and in `d`.
bool set_accessed(Cpu& cpu, Descriptor& d);

/// May a code segment be returned or jumped to in this mode? In IA-32e mode L and D together are reserved.
bool code_size_valid(const Cpu& cpu, const Descriptor& code);

}  // namespace bhvm
