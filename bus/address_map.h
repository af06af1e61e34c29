// The bus: which chip answers at which physical address or I/O port.
//
// A chip knows offsets, never addresses: the map subtracts the base. An address that nobody claims reads as all ones
// and ignores writes, as an empty bus does. An access is 1, 2, 4 or 8 bytes and never crosses out of the range it
// starts in: the part beyond is treated as empty bus, and the part inside comes to the chip in pieces of 4, 2 and 1.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "base/types.h"

namespace bhvm {

/// What a chip offers to a bus. `offset` is from the start of the chip's range, `size` is 1, 2, 4 or 8; the value is in
/// the low `size` bytes. Accesses of any size at any offset may come: the guest is hostile.
class Chip {
 public:
  virtual u64 read(u64 offset, unsigned size) = 0;
  virtual void write(u64 offset, unsigned size, u64 value) = 0;

 protected:
  ~Chip() = default;
};

struct AddressRange {
  u64 base = 0;
  u64 size = 0;
  Chip* chip = nullptr;
  std::string name;  // for `bhvm info` and messages
};

class AddressMap {
 public:
  /// Attaches a chip; an overlap with an attached range is an error.
  Status attach(u64 base, u64 size, Chip& chip, std::string name);
  u64 read(u64 address, unsigned size) const;
  void write(u64 address, unsigned size, u64 value) const;
  const std::vector<AddressRange>& ranges() const { return ranges_; }

 private:
  const AddressRange* find(u64 address) const;
  std::vector<AddressRange> ranges_;  // ascending by base
};

}  // namespace bhvm
