// Save areas in guest memory: blocks of bytes larger than one access, for system instructions.
#pragma once

#include <algorithm>
#include <span>

#include "cpu/cpu.h"
#include "cpu/mode.h"

namespace bhvm::x87 {

inline constexpr unsigned kAreaChunk = 16;

/// Outside 64-bit mode linear addresses wrap at 4 GiB.
inline u64 area_address(const Cpu& cpu, u64 linear, u64 offset) {
  const u64 address = linear + offset;
  return (cpu.mode & mode::kCode64) != 0 ? address : address & 0xFFFFFFFF;
}

/// Will [linear, linear + size) take a write? An area is smaller than a page, so its ends tell.
inline bool probe_area(Cpu& cpu, u64 linear, unsigned size) {
  return cpu.probe_write(linear, 1) && cpu.probe_write(area_address(cpu, linear, size - 1), 1);
}

/// After probe_area(). False only where the instruction must run again by itself; writing twice does no harm.
inline bool write_area(Cpu& cpu, u64 linear, std::span<const u8> bytes) {
  for (std::size_t done = 0; done < bytes.size(); done += kAreaChunk) {
    const unsigned size = static_cast<unsigned>(std::min<std::size_t>(kAreaChunk, bytes.size() - done));
    if (!cpu.write_linear(area_address(cpu, linear, done), bytes.data() + done, size)) return false;
  }
  return true;
}

inline bool read_area(Cpu& cpu, u64 linear, std::span<u8> bytes) {
  for (std::size_t done = 0; done < bytes.size(); done += kAreaChunk) {
    const unsigned size = static_cast<unsigned>(std::min<std::size_t>(kAreaChunk, bytes.size() - done));
    if (!cpu.read_linear(area_address(cpu, linear, done), bytes.data() + done, size)) return false;
  }
  return true;
}

}  // namespace bhvm::x87
