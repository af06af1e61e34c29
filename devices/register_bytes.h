// Accesses that are not of a register's own width.
#pragma once

#include "base/types.h"
#include "bus/address_map.h"

namespace bhvm {

constexpr u64 low_bytes_mask(unsigned size) { return size >= 8 ? ~u64{0} : (u64{1} << (8 * size)) - 1; }

/// `size` bytes of a register from its byte `first` on; bytes beyond its eighth read as zeros.
constexpr u64 register_bytes(u64 value, u64 first, unsigned size) {
  return first >= 8 ? 0 : (value >> (8 * first)) & low_bytes_mask(size);
}

/// `value` with the bytes from `first` on replaced by `size` bytes of `bytes`; what passes the eighth is dropped.
constexpr u64 with_register_bytes(u64 value, u64 first, unsigned size, u64 bytes) {
  if (first >= 8) return value;
  const u64 mask = low_bytes_mask(size) << (8 * first);
  return (value & ~mask) | ((bytes << (8 * first)) & mask);
}

/// A chip of byte-wide registers: a wider access is one access to each byte, lowest offset first, as the ISA bus does
/// it.
class ByteChip : public Chip {
 public:
  u64 read(u64 offset, unsigned size) final {
    u64 value = 0;
    for (unsigned i = 0; i < size && i < 8; ++i) value |= u64{read_byte(offset + i)} << (8 * i);
    return value;
  }
  void write(u64 offset, unsigned size, u64 value) final {
    for (unsigned i = 0; i < size && i < 8; ++i) write_byte(offset + i, static_cast<u8>(value >> (8 * i)));
  }

 protected:
  ~ByteChip() = default;
  virtual u8 read_byte(u64 offset) = 0;
  virtual void write_byte(u64 offset, u8 value) = 0;
};

}  // namespace bhvm
