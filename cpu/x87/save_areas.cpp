#include "cpu/x87/save_areas.h"

#include <cstring>

#include "cpu/mode.h"
#include "cpu/sse/host_fp.h"
#include "cpu/x87/area.h"
#include "cpu/x87/images.h"

namespace bhvm::x87 {
namespace {

// Offsets in the area (SDM 1, tables 10-2 and 13-1).
constexpr unsigned kMxcsrOffset = 24;
constexpr unsigned kXmmOffset = 160;
constexpr unsigned kHeaderOffset = 512;
constexpr unsigned kHeaderSize = 64;
constexpr u64 kFxAlignment = 16;
constexpr u64 kXsaveAlignment = 64;

unsigned xmm_count(const Cpu& cpu) { return (cpu.mode & mode::kCode64) != 0 ? 16 : 8; }

bool aligned(Cpu& cpu, u64 linear, u64 alignment) {
  return (linear & (alignment - 1)) == 0 || cpu.raise(vector::kGeneralProtection);
}

bool write_x87(Cpu& cpu, u64 linear, bool wide) {
  const FxImage image = to_fx_image(cpu.s.x87, wide);
  return write_area(cpu, linear, image.header) &&
         write_area(cpu, area_address(cpu, linear, kFxRegistersOffset), image.registers);
}

bool write_mxcsr(Cpu& cpu, u64 linear) {
  const std::array<u32, 2> words = {cpu.s.mxcsr, mxcsr::kWritable};
  return cpu.write_linear(area_address(cpu, linear, kMxcsrOffset), words.data(), sizeof words);
}

bool write_xmm(Cpu& cpu, u64 linear) {
  for (unsigned i = 0; i < xmm_count(cpu); ++i) {
    if (!cpu.write_linear(area_address(cpu, linear, kXmmOffset + 16 * i), &cpu.s.xmm[i], 16)) return false;
  }
  return true;
}

/// What an area holds, as far as it is asked for; nothing of it is in the CPU yet.
struct Restored {
  X87State x87;
  u32 mxcsr = 0;
  std::array<Xmm, 16> xmm{};
};

bool read_x87(Cpu& cpu, u64 linear, bool wide, Restored& restored) {
  FxImage image;
  if (!read_area(cpu, linear, image.header)) return false;
  if (!read_area(cpu, area_address(cpu, linear, kFxRegistersOffset), image.registers)) return false;
  restored.x87 = from_fx_image(image, wide);
  return true;
}

bool read_mxcsr(Cpu& cpu, u64 linear, Restored& restored) {
  if (!cpu.read_linear(area_address(cpu, linear, kMxcsrOffset), &restored.mxcsr, sizeof(u32))) return false;
  return (restored.mxcsr & ~mxcsr::kWritable) == 0 || cpu.raise(vector::kGeneralProtection);
}

bool read_xmm(Cpu& cpu, u64 linear, Restored& restored) {
  for (unsigned i = 0; i < xmm_count(cpu); ++i) {
    if (!cpu.read_linear(area_address(cpu, linear, kXmmOffset + 16 * i), &restored.xmm[i], 16)) return false;
  }
  return true;
}

void commit_xmm(Cpu& cpu, const Restored& restored) {
  std::copy_n(restored.xmm.begin(), xmm_count(cpu), cpu.s.xmm.begin());
}

/// MXCSR's masks are part of the mode key.
void commit_mxcsr(Cpu& cpu, u32 value) {
  cpu.s.mxcsr = value;
  cpu.update_mode();
}

/// EDX:EAX, restricted to what XCR0 enables: the requested-feature bitmap.
u64 requested(const Cpu& cpu) {
  const u64 mask = (cpu.s.gpr[kRdx] << 32) | static_cast<u32>(cpu.s.gpr[kRax]);
  return mask & cpu.s.xcr0;
}

/// XINUSE (SDM 1, 13.6).
u64 components_in_use(const Cpu& cpu) {
  u64 in_use = 0;
  if (!(cpu.s.x87 == X87State{})) in_use |= xcr0::kX87;
  for (unsigned i = 0; i < xmm_count(cpu); ++i) {
    if (cpu.s.xmm[i].q != Xmm{}.q) in_use |= xcr0::kSse;
  }
  return in_use;
}

/// XSAVE and XSAVEOPT: the latter leaves components in their initial configuration out (SDM 1, 13.7 and 13.9).
bool save_components(Cpu& cpu, const Op& op, bool skip_initial) {
  const u64 linear = cpu.scratch_address;
  if (!aligned(cpu, linear, kXsaveAlignment) || !probe_area(cpu, linear, kXsaveAreaSize)) return false;
  const u64 mask = requested(cpu);
  const u64 in_use = components_in_use(cpu);
  const u64 saved = skip_initial ? mask & in_use : mask;
  u64 xstate_bv = 0;
  if (!cpu.read_linear(area_address(cpu, linear, kHeaderOffset), &xstate_bv, sizeof xstate_bv)) return false;
  if ((saved & xcr0::kX87) != 0 && !write_x87(cpu, linear, op.src != 0)) return false;
  if ((mask & xcr0::kSse) != 0 && !write_mxcsr(cpu, linear)) return false;
  if ((saved & xcr0::kSse) != 0 && !write_xmm(cpu, linear)) return false;
  xstate_bv = (xstate_bv & ~mask) | (in_use & mask);
  return cpu.write_linear(area_address(cpu, linear, kHeaderOffset), &xstate_bv, sizeof xstate_bv);
}

}  // namespace

bool fxsave(Cpu& cpu, const Op& op) {
  const u64 linear = cpu.scratch_address;
  return aligned(cpu, linear, kFxAlignment) && probe_area(cpu, linear, kFxAreaSize) &&
         write_x87(cpu, linear, op.src != 0) && write_mxcsr(cpu, linear) && write_xmm(cpu, linear);
}

bool fxrstor(Cpu& cpu, const Op& op) {
  const u64 linear = cpu.scratch_address;
  Restored restored;
  std::array<u8, kAreaChunk> last;
  if (!aligned(cpu, linear, kFxAlignment) || !read_x87(cpu, linear, op.src != 0, restored)) return false;
  if (!read_mxcsr(cpu, linear, restored) || !read_xmm(cpu, linear, restored)) return false;
  if (!read_area(cpu, area_address(cpu, linear, kFxAreaSize - kAreaChunk), last))
    return false;  // all 512 bytes must be there
  cpu.s.x87 = restored.x87;
  commit_xmm(cpu, restored);
  commit_mxcsr(cpu, restored.mxcsr);
  return true;
}

bool xsave(Cpu& cpu, const Op& op) { return save_components(cpu, op, false); }
bool xsaveopt(Cpu& cpu, const Op& op) { return save_components(cpu, op, true); }

bool xrstor(Cpu& cpu, const Op& op) {
  const u64 linear = cpu.scratch_address;
  if (!aligned(cpu, linear, kXsaveAlignment)) return false;
  std::array<u8, kHeaderSize> header;
  if (!read_area(cpu, area_address(cpu, linear, kHeaderOffset), header)) return false;
  std::array<u64, 3> words;  // XSTATE_BV, XCOMP_BV and 8 bytes that must be zero in the standard format
  std::memcpy(words.data(), header.data(), sizeof words);
  const u64 xstate_bv = words[0];
  if ((xstate_bv & ~cpu.s.xcr0) != 0 || words[1] != 0 || words[2] != 0) {
    return cpu.raise(vector::kGeneralProtection);
  }
  const u64 mask = requested(cpu);
  Restored restored;  // initial configurations
  if ((mask & xstate_bv & xcr0::kX87) != 0 && !read_x87(cpu, linear, op.src != 0, restored)) return false;
  // MXCSR is loaded whether or not XSTATE_BV has the SSE bit (SDM 1, 13.8.1).
  if ((mask & xcr0::kSse) != 0 && !read_mxcsr(cpu, linear, restored)) return false;
  if ((mask & xstate_bv & xcr0::kSse) != 0 && !read_xmm(cpu, linear, restored)) return false;
  if ((mask & xcr0::kX87) != 0) cpu.s.x87 = restored.x87;
  if ((mask & xcr0::kSse) != 0) {
    commit_xmm(cpu, restored);
    commit_mxcsr(cpu, restored.mxcsr);
  }
  return true;
}

bool xgetbv(Cpu& cpu, const Op&) {
  if (static_cast<u32>(cpu.s.gpr[kRcx]) != 0) return cpu.raise(vector::kGeneralProtection);
  cpu.s.gpr[kRax] = static_cast<u32>(cpu.s.xcr0);
  cpu.s.gpr[kRdx] = cpu.s.xcr0 >> 32;
  return true;
}

bool xsetbv(Cpu& cpu, const Op&) {
  const u64 value = (cpu.s.gpr[kRdx] << 32) | static_cast<u32>(cpu.s.gpr[kRax]);
  const bool valid = (value & ~xcr0::kSupported) == 0 && (value & xcr0::kX87) != 0;
  if (cpu.s.cpl != 0 || static_cast<u32>(cpu.s.gpr[kRcx]) != 0 || !valid) {
    return cpu.raise(vector::kGeneralProtection);
  }
  cpu.s.xcr0 = value;
  return true;
}

}  // namespace bhvm::x87
