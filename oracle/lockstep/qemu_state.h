// What QEMU's log tells of its processor before an instruction, an exception or an interrupt.
//
// In 32-bit code QEMU prints eight registers of 32 bits, and eight XMM registers; the others are unknown then and stand
// as 0 here.
#pragma once

#include <array>

#include "base/types.h"
#include "cpu/cpu_state.h"

namespace bhvm::lockstep {

struct QemuSegment {
  u16 selector = 0;
  u64 base = 0;
  u32 limit = 0;  // in bytes
  u32 flags = 0;  // the high word of the descriptor, without its base
  /// In bhvm's form (SegmentState::attributes).
  u16 attributes() const { return static_cast<u16>((flags >> 8) & 0xF0FF); }
};

struct QemuTable {
  u64 base = 0;
  u32 limit = 0;
};

/// The lines that `-d fpu` adds.
struct QemuFpu {
  u16 control_word = 0;
  u16 status_word = 0;  // TOP is in it
  u8 valid_mask = 0;    // bit i: Ri is not empty
  u32 mxcsr = 0;
  struct Register {
    u64 significand = 0;
    u16 exponent = 0;
  };
  std::array<Register, 8> registers{};  // R0 to R7
  std::array<Xmm, 16> xmm{};
};

struct QemuState {
  bool code64 = false;     // 64-bit code: the registers are complete
  bool long_mode = false;  // IA32_EFER.LMA: table bases and CRs have 64 bits
  std::array<u64, 16> gpr{};
  u64 rip = 0;
  u64 rflags = 0;
  u8 cpl = 0;
  bool shadow = false;  // QEMU's II: interrupts are inhibited for this instruction
  bool halted = false;
  std::array<QemuSegment, kSegmentCount> segments{};
  QemuSegment ldtr{};
  QemuSegment tr{};
  QemuTable gdtr{};
  QemuTable idtr{};
  u64 cr0 = 0, cr2 = 0, cr3 = 0, cr4 = 0;
  std::array<u64, 4> dr{};
  u64 dr6 = 0, dr7 = 0;
  u64 efer = 0;
  bool has_fpu = false;
  QemuFpu fpu{};
};

/// Do two states agree in all that an instruction changes? So they do when QEMU printed one of them twice.
bool same_point(const QemuState& a, const QemuState& b);

}  // namespace bhvm::lockstep
