// X87State: the x87 FPU's registers (SDM 1, 8.1), with the MMX registers inside.
//
// The state is that of FXSAVE: a register's tag is one bit, empty or not; the two-bit tags of FNSTENV are computed from
// the contents, as processors do. Registers stand in physical order: ST(i) is regs[(TOP + i) & 7], MMi is
// regs[i].significand. The summary bits ES and B of the status word always agree with the exception flags and masks;
// whoever writes either word calls update_summary().
//
// The defaults are those of FNINIT, which is also the initial configuration of XRSTOR (SDM 1, 13.6).
#pragma once

#include <array>

#include "base/types.h"
#include "cpu/x87/float80.h"

namespace bhvm {

namespace x87_status {
inline constexpr u16 kIe = 1 << 0;  // invalid operation
inline constexpr u16 kDe = 1 << 1;  // denormal operand
inline constexpr u16 kZe = 1 << 2;  // zero divide
inline constexpr u16 kOe = 1 << 3;  // overflow
inline constexpr u16 kUe = 1 << 4;  // underflow
inline constexpr u16 kPe = 1 << 5;  // precision
inline constexpr u16 kExceptions = 0x3F;
inline constexpr u16 kStackFault = 1 << 6;
inline constexpr u16 kErrorSummary = 1 << 7;
inline constexpr u16 kC0 = 1 << 8;
inline constexpr u16 kC1 = 1 << 9;
inline constexpr u16 kC2 = 1 << 10;
inline constexpr unsigned kTopShift = 11;
inline constexpr u16 kTopMask = 7 << kTopShift;
inline constexpr u16 kC3 = 1 << 14;
inline constexpr u16 kBusy = 1 << 15;
inline constexpr u16 kConditions = kC0 | kC1 | kC2 | kC3;
}  // namespace x87_status

namespace x87_control {
inline constexpr u16 kMasks = 0x3F;  // one bit for each exception flag of the status word
inline constexpr u16 kReservedOne = 1 << 6;
inline constexpr unsigned kPrecisionShift = 8;
inline constexpr unsigned kRoundingShift = 10;
inline constexpr u16 kWritable = 0x1F3F;  // with the infinity control bit, which does nothing
inline constexpr u16 kInitial = 0x037F;
}  // namespace x87_control

struct X87State {
  std::array<Float80, 8> regs{};  // R0 to R7
  u16 control_word = x87_control::kInitial;
  u16 status_word = 0;
  u8 valid_mask = 0;  // bit i: Ri is not empty; the abridged tag byte of FXSAVE
  u16 fop = 0;        // low 11 opcode bits of the last instruction that raised an unmasked exception
  u64 fip = 0;        // offset of the last non-control instruction
  u16 fcs = 0;
  u64 fdp = 0;  // offset of its memory operand
  u16 fds = 0;

  friend constexpr bool operator==(const X87State&, const X87State&) = default;

  constexpr unsigned top() const { return (status_word & x87_status::kTopMask) >> x87_status::kTopShift; }
  constexpr void set_top(unsigned top) {
    status_word = static_cast<u16>((status_word & ~x87_status::kTopMask) | ((top & 7) << x87_status::kTopShift));
  }
  constexpr unsigned physical(unsigned i) const { return (top() + i) & 7; }
  constexpr Float80& st(unsigned i) { return regs[physical(i)]; }
  constexpr const Float80& st(unsigned i) const { return regs[physical(i)]; }
  constexpr bool empty(unsigned i) const { return ((valid_mask >> physical(i)) & 1) == 0; }

  /// An unmasked exception is pending: the next waiting instruction raises #MF.
  constexpr bool exception_pending() const { return (status_word & x87_status::kErrorSummary) != 0; }

  /// Brings ES and B in line with the flags and masks.
  constexpr void update_summary() {
    using namespace x87_status;
    const bool pending = (status_word & ~control_word & kExceptions) != 0;
    status_word = static_cast<u16>((status_word & ~(kErrorSummary | kBusy)) | (pending ? kErrorSummary | kBusy : 0));
  }

  /// What every MMX instruction but EMMS does to the x87 state (SDM 1, 9.5.1): TOP = 0, all tags valid.
  constexpr void enter_mmx() {
    set_top(0);
    valid_mask = 0xFF;
  }
  /// An MMX instruction writes MMi: the exponent field becomes all ones.
  constexpr void write_mmx(unsigned i, u64 value) { regs[i & 7] = {value, 0xFFFF}; }

  /// The 16-bit tag word of FNSTENV and FNSAVE: 00 valid, 01 zero, 10 special, 11 empty (SDM 1, 8.1.7).
  constexpr u16 tag_word() const {
    unsigned tags = 0;
    for (unsigned i = 0; i < 8; ++i) {
      unsigned tag = 3;
      if (((valid_mask >> i) & 1) != 0) {
        const Float80Class c = float80::classify(regs[i]);
        tag = c == Float80Class::kNormal ? 0 : c == Float80Class::kZero ? 1 : 2;
      }
      tags |= tag << (2 * i);
    }
    return static_cast<u16>(tags);
  }
  /// Takes a 16-bit tag word: only empty or not is kept.
  constexpr void set_tag_word(u16 tags) {
    valid_mask = 0;
    for (unsigned i = 0; i < 8; ++i) {
      if (((tags >> (2 * i)) & 3) != 3) valid_mask = static_cast<u8>(valid_mask | (1u << i));
    }
  }
};

}  // namespace bhvm
