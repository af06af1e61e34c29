#include "bus/address_map.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <utility>

namespace bhvm {
namespace {

constexpr u64 kEmptyBus = ~u64{0};

constexpr u64 low_bytes(unsigned size) { return size >= 8 ? ~u64{0} : (u64{1} << (8 * size)) - 1; }

}  // namespace

Status AddressMap::attach(u64 base, u64 size, Chip& chip, std::string name) {
  if (size == 0 || base + (size - 1) < base) {
    return Error{
        fmt::format("{} cannot be attached at {:#x} with {:#x} bytes: the range is empty or passes the end of "
                    "the address space; choose another base or size",
                    name, base, size)};
  }
  const u64 last = base + (size - 1);
  const auto next = std::upper_bound(ranges_.begin(), ranges_.end(), base,
                                     [](u64 address, const AddressRange& range) { return address < range.base; });
  const AddressRange* taken = nullptr;
  if (next != ranges_.end() && next->base <= last) taken = &*next;
  if (next != ranges_.begin() && base - std::prev(next)->base < std::prev(next)->size) taken = &*std::prev(next);
  if (taken != nullptr) {
    return Error{fmt::format("{} cannot be attached at {:#x}..{:#x}: {} is already at {:#x}..{:#x}; move one of them",
                             name, base, last, taken->name, taken->base, taken->base + (taken->size - 1))};
  }
  ranges_.insert(next, AddressRange{base, size, &chip, std::move(name)});
  return success();
}

const AddressRange* AddressMap::find(u64 address) const {
  const auto next = std::upper_bound(ranges_.begin(), ranges_.end(), address,
                                     [](u64 a, const AddressRange& range) { return a < range.base; });
  if (next == ranges_.begin()) return nullptr;
  const AddressRange& range = *std::prev(next);
  return address - range.base < range.size ? &range : nullptr;
}

// An access over the end of a range is cut into the largest pieces of 4, 2 and 1 bytes that stay inside.
u64 AddressMap::read(u64 address, unsigned size) const {
  const AddressRange* range = find(address);
  if (range == nullptr) return kEmptyBus & low_bytes(size);
  const u64 offset = address - range->base;
  const u64 inside = range->size - offset;
  if (size <= inside) return range->chip->read(offset, size) & low_bytes(size);
  u64 value = kEmptyBus & low_bytes(size);
  for (unsigned done = 0; done < inside;) {
    const unsigned piece = std::bit_floor(static_cast<unsigned>(inside) - done);
    const u64 mask = low_bytes(piece) << (8 * done);
    value = (value & ~mask) | ((range->chip->read(offset + done, piece) << (8 * done)) & mask);
    done += piece;
  }
  return value;
}

void AddressMap::write(u64 address, unsigned size, u64 value) const {
  const AddressRange* range = find(address);
  if (range == nullptr) return;
  const u64 offset = address - range->base;
  const u64 inside = range->size - offset;
  if (size <= inside) return range->chip->write(offset, size, value & low_bytes(size));
  for (unsigned done = 0; done < inside;) {
    const unsigned piece = std::bit_floor(static_cast<unsigned>(inside) - done);
    range->chip->write(offset + done, piece, (value >> (8 * done)) & low_bytes(piece));
    done += piece;
  }
}

}  // namespace bhvm
