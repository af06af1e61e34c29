// The x87 state in memory: the environments of FNSTENV and FNSAVE and the x87 part of FXSAVE and XSAVE images (SDM 1,
// 8.1.10, 10.5.1 and 13.5.1).
//
// Pure functions between an X87State and bytes. FCS and FDS are kept (CPUID leaf 7 does not claim their deprecation),
// FOP is that of the last instruction with an unmasked exception, FDP that of the last with a memory operand.
#pragma once

#include <array>
#include <span>

#include "base/types.h"
#include "cpu/x87/x87_state.h"

namespace bhvm::x87 {

/// The four layouts of FNSTENV: by operand size and by whether addresses are segmented (protected mode) or linear
/// (real-address and virtual-8086 mode).
struct EnvironmentFormat {
  bool wide = true;     // 32-bit operand size
  bool protect = true;  // protected mode, 64-bit mode included
  constexpr unsigned size() const { return wide ? 28 : 14; }
};
inline constexpr unsigned kRegistersSize = 80;  // ST(0) to ST(7) behind an environment
inline constexpr unsigned kSaveAreaSize = 28 + kRegistersSize;

void put_environment(const X87State& x87, EnvironmentFormat format, std::span<u8, 28> bytes);
/// Leaves the registers' contents alone.
void get_environment(X87State& x87, EnvironmentFormat format, std::span<const u8, 28> bytes);

void put_registers(const X87State& x87, std::span<u8, kRegistersSize> bytes);
/// Needs TOP to be in place.
void get_registers(X87State& x87, std::span<const u8, kRegistersSize> bytes);

/// The x87 parts of an FXSAVE or XSAVE image: bytes 0 to 23 and 32 to 159. `wide`: REX.W, 64-bit pointers without
/// selectors.
inline constexpr unsigned kFxHeaderSize = 24;
inline constexpr unsigned kFxRegistersOffset = 32;
inline constexpr unsigned kFxRegistersSize = 128;
struct FxImage {
  std::array<u8, kFxHeaderSize> header{};
  std::array<u8, kFxRegistersSize> registers{};
};
FxImage to_fx_image(const X87State& x87, bool wide);
X87State from_fx_image(const FxImage& image, bool wide);

}  // namespace bhvm::x87
