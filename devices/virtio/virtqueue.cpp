#include "devices/virtio/virtqueue.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "devices/virtio/virtio_ids.h"

static_assert(std::endian::native == std::endian::little, "virtqueue structures are little-endian");

namespace bhvm {
namespace {

/// 2.7.5: a descriptor as it lies in memory.
struct Descriptor {
  u64 address;
  u32 length;
  u16 flags;
  u16 next;
};
static_assert(sizeof(Descriptor) == 16);

constexpr u16 kDescNext = 1;
constexpr u16 kDescWrite = 2;
constexpr u16 kDescIndirect = 4;
constexpr u16 kAvailNoInterrupt = 1;

/// 2.7.6 and 2.7.8: le16 flags, le16 idx, the ring, le16 used_event or avail_event.
constexpr u64 available_entry(const VirtqueueState& queue, u16 index) {
  return queue.driver + 4 + u64{2} * (index & (queue.size - 1));
}
constexpr u64 used_event_address(const VirtqueueState& queue) { return queue.driver + 4 + u64{2} * queue.size; }
constexpr u64 used_entry(const VirtqueueState& queue, u16 index) {
  return queue.device + 4 + u64{8} * (index & (queue.size - 1));
}
constexpr u64 available_event_address(const VirtqueueState& queue) { return queue.device + 4 + u64{8} * queue.size; }

/// Adds one buffer to a chain; false when the driver broke a rule of 2.7.4.2 or 2.7.5.
bool add_segment(const GuestMemory& memory, const Descriptor& descriptor, Chain& chain) {
  const bool writable = (descriptor.flags & kDescWrite) != 0;
  if (!writable && !chain.writable.empty()) return false;  // 2.7.4.2: readable buffers come first
  if (chain.readable_bytes + chain.writable_bytes + descriptor.length > Virtqueue::kChainBytesMax) return false;
  if (descriptor.length == 0) return true;
  if (!is_ram_range(memory, descriptor.address, descriptor.length)) return false;
  const ChainSegment segment{{descriptor.address}, descriptor.length};
  if (writable) {
    chain.writable.push_back(segment);
    chain.writable_bytes += descriptor.length;
  } else {
    chain.readable.push_back(segment);
    chain.readable_bytes += descriptor.length;
  }
  return true;
}

}  // namespace

bool is_ram_range(const GuestMemory& memory, u64 address, u64 size) {
  if (size == 0) return true;
  const u64 last = address + (size - 1);
  if (last < address) return false;
  if (address < GuestMemory::kLowLimit && last >= GuestMemory::kLowLimit) return false;
  return memory.is_ram({address}) && memory.is_ram({last});
}

template <class Copy>
u64 ChainCursor::advance(u64 size, const Copy& copy) {
  u64 done = 0;
  while (done < size && segment_ < segments_.size()) {
    const ChainSegment& segment = segments_[segment_];
    const u64 piece = std::min<u64>(size - done, segment.length - offset_);
    if (!copy(PhysicalAddress{segment.address.value + offset_}, done, piece)) break;
    done += piece;
    offset_ += piece;
    if (offset_ == segment.length) {
      offset_ = 0;
      ++segment_;
    }
  }
  remaining_ -= done;
  return done;
}

u64 ChainCursor::read(void* bytes, u64 size) {
  return advance(size, [&](PhysicalAddress address, u64 done, u64 piece) {
    return memory_->read(address, static_cast<u8*>(bytes) + done, piece);
  });
}

u64 ChainCursor::write(const void* bytes, u64 size) {
  return advance(size, [&](PhysicalAddress address, u64 done, u64 piece) {
    return memory_->write(address, static_cast<const u8*>(bytes) + done, piece);
  });
}

u64 ChainCursor::skip(u64 size) {
  return advance(size, [](PhysicalAddress, u64, u64) { return true; });
}

bool Virtqueue::sound(const GuestMemory& memory, const VirtqueueState& state, u32 size_max) {
  if (!std::has_single_bit(state.size) || state.size > std::min(size_max, kSizeMax)) return false;
  if (state.descriptor % 16 != 0 || state.driver % 2 != 0 || state.device % 4 != 0) return false;
  return is_ram_range(memory, state.descriptor, u64{16} * state.size) &&
         is_ram_range(memory, state.driver, 6 + u64{2} * state.size) &&
         is_ram_range(memory, state.device, 6 + u64{8} * state.size);
}

PopResult Virtqueue::pop_head(u16& head) {
  u16 available = 0;
  if (!memory_->read_value({state_->driver + 2}, available)) return PopResult::kBroken;
  const u16 waiting = static_cast<u16>(available - state_->next_available);
  if (waiting > state_->size) return PopResult::kBroken;
  if (waiting == 0) {
    if ((features_ & virtio_feature::kEventIdx) != 0 &&
        !memory_->write_value({available_event_address(*state_)}, state_->next_available)) {
      return PopResult::kBroken;
    }
    return PopResult::kEmpty;
  }
  if (!memory_->read_value({available_entry(*state_, state_->next_available)}, head)) return PopResult::kBroken;
  if (head >= state_->size) return PopResult::kBroken;
  ++state_->next_available;
  return PopResult::kChain;
}

bool Virtqueue::read_chain(u16 head, Chain& chain) const {
  chain.head = head;
  chain.readable.clear();
  chain.writable.clear();
  chain.readable_bytes = 0;
  chain.writable_bytes = 0;

  u64 table = state_->descriptor;
  u32 table_size = state_->size;
  u32 left_in_table = table_size;  // more steps than entries means a loop
  u32 left_in_chain = kChainMax;
  u32 index = head;
  bool indirect = false;
  while (true) {
    if (index >= table_size || left_in_table-- == 0 || left_in_chain-- == 0) return false;
    Descriptor descriptor;
    if (!memory_->read({table + u64{16} * index}, &descriptor, sizeof descriptor)) return false;
    if ((descriptor.flags & kDescIndirect) != 0) {
      // 2.7.5.3: one level only, not both INDIRECT and NEXT, a table of whole descriptors; WRITE is ignored here.
      if (indirect || (features_ & virtio_feature::kIndirectDesc) == 0) return false;
      if ((descriptor.flags & kDescNext) != 0) return false;
      if (descriptor.length == 0 || descriptor.length % sizeof(Descriptor) != 0) return false;
      if (!is_ram_range(*memory_, descriptor.address, descriptor.length)) return false;
      indirect = true;
      table = descriptor.address;
      table_size = descriptor.length / static_cast<u32>(sizeof(Descriptor));
      left_in_table = table_size;
      index = 0;
      continue;
    }
    if (!add_segment(*memory_, descriptor, chain)) return false;
    if ((descriptor.flags & kDescNext) == 0) return true;
    index = descriptor.next;
  }
}

PopResult Virtqueue::pop(Chain& chain) {
  u16 head = 0;
  const PopResult result = pop_head(head);
  if (result != PopResult::kChain) return result;
  return read_chain(head, chain) ? PopResult::kChain : PopResult::kBroken;
}

bool Virtqueue::push_used(u16 head, u32 written) {
  const std::array<u32, 2> element{head, written};
  if (!memory_->write({used_entry(*state_, state_->next_used)}, element.data(), sizeof element)) return false;
  ++state_->next_used;
  return memory_->write_value({state_->device + 2}, state_->next_used);
}

bool Virtqueue::wants_notification() {
  const u16 before = state_->signalled_used;
  const u16 now = state_->next_used;
  state_->signalled_used = now;
  if (now == before) return false;
  if ((features_ & virtio_feature::kEventIdx) != 0) {
    u16 used_event = 0;
    if (!memory_->read_value({used_event_address(*state_)}, used_event)) return false;
    // 2.7.7.2: has used.idx passed used_event since the last decision?
    return static_cast<u16>(now - used_event - 1) < static_cast<u16>(now - before);
  }
  u16 flags = 0;
  return memory_->read_value({state_->driver}, flags) && (flags & kAvailNoInterrupt) == 0;
}

}  // namespace bhvm
