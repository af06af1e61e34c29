// A split virtqueue as the device sees it (virtio 1.2, 2.7): take chains from the available ring, put heads on the used
// ring, know when the driver wants to hear of it.
//
// Virtqueue is a short-lived view: it joins a queue's state, which belongs to the transport, to guest memory. Whatever
// the driver wrote there is hostile. A ring index that jumps, a descriptor index out of range, a loop, a bad indirect
// table, a buffer outside RAM or a chain of more than 2^32 bytes makes the call fail with kBroken before a byte of a
// buffer is touched; the transport then sets DEVICE_NEEDS_RESET. Rings are checked once, when the queue is made ready,
// and RAM never moves.
//
// Limits: a chain has at most kChainMax descriptors, and no more direct ones than the queue is long, which also ends
// every loop. A descriptor of length zero is allowed and adds nothing.
#pragma once

#include <span>
#include <vector>

#include "base/types.h"
#include "softmmu/guest_memory.h"

namespace bhvm {

struct VirtqueueState {
  u32 size = 0;            // QueueNum
  bool ready = false;      // QueueReady
  u64 descriptor = 0;      // QueueDesc: guest physical addresses of the three areas
  u64 driver = 0;          // QueueDriver: the available ring
  u64 device = 0;          // QueueDevice: the used ring
  u16 next_available = 0;  // the available ring's entries below this index were taken
  u16 next_used = 0;       // used.idx
  u16 signalled_used = 0;  // used.idx when signalling was last decided (VIRTIO_F_EVENT_IDX)
};

/// A piece of guest memory of one descriptor; all of it is RAM.
struct ChainSegment {
  PhysicalAddress address;
  u32 length = 0;
};

/// A descriptor chain: what the device may read, then what it may write. Meant to be reused, so that its vectors keep
/// their room.
struct Chain {
  u16 head = 0;
  std::vector<ChainSegment> readable;
  std::vector<ChainSegment> writable;
  u64 readable_bytes = 0;
  u64 writable_bytes = 0;
};

/// Walks over the bytes of a chain's segments, however the driver cut them.
class ChainCursor {
 public:
  ChainCursor(GuestMemory& memory, std::span<const ChainSegment> segments, u64 total_bytes)
      : memory_(&memory), segments_(segments), remaining_(total_bytes) {}

  u64 remaining() const { return remaining_; }
  /// Copies up to `size` bytes out of guest memory and moves on; returns how many.
  u64 read(void* bytes, u64 size);
  /// Copies up to `size` bytes into guest memory and moves on; returns how many.
  u64 write(const void* bytes, u64 size);
  /// Moves on without copying; returns how many bytes.
  u64 skip(u64 size);

 private:
  template <class Copy>
  u64 advance(u64 size, const Copy& copy);

  GuestMemory* memory_;
  std::span<const ChainSegment> segments_;
  std::size_t segment_ = 0;
  u64 offset_ = 0;  // in the segment
  u64 remaining_;
};

enum class PopResult : u8 { kChain, kEmpty, kBroken };

class Virtqueue {
 public:
  static constexpr u32 kSizeMax = 1024;
  static constexpr u32 kChainMax = 1024;
  static constexpr u64 kChainBytesMax = u64{1} << 32;  // 2.7.5: the total length of a chain

  /// `features`: what the driver accepted (INDIRECT_DESC and EVENT_IDX matter here).
  Virtqueue(GuestMemory& memory, VirtqueueState& state, u64 features)
      : memory_(&memory), state_(&state), features_(features) {}

  /// Can this queue be made ready: a power of two up to `size_max`, areas aligned (2.7) and wholly in RAM?
  static bool sound(const GuestMemory& memory, const VirtqueueState& state, u32 size_max);

  /// Takes the next head off the available ring. kEmpty also asks the driver to notify of the next one (EVENT_IDX).
  PopResult pop_head(u16& head);
  /// Collects the chain that starts at `head`; false when it is malformed.
  bool read_chain(u16 head, Chain& chain) const;
  /// Both in one.
  PopResult pop(Chain& chain);
  /// Gives back the last `count` chains popped, to be popped again.
  void unpop(u16 count) { state_->next_available = static_cast<u16>(state_->next_available - count); }

  /// Puts a head on the used ring, `written` being the bytes written to the chain from its first writable byte on.
  /// False when the ring is not RAM.
  bool push_used(u16 head, u32 written);
  /// Asks whether the driver wants a notification for what was used since the last call (2.7.7.2).
  bool wants_notification();

  GuestMemory& memory() const { return *memory_; }
  ChainCursor reader(const Chain& chain) const { return {*memory_, chain.readable, chain.readable_bytes}; }
  ChainCursor writer(const Chain& chain) const { return {*memory_, chain.writable, chain.writable_bytes}; }

 private:
  GuestMemory* memory_;
  VirtqueueState* state_;
  u64 features_;
};

/// Is [address, address + size) RAM, without a hole and without wrapping?
bool is_ram_range(const GuestMemory& memory, u64 address, u64 size);

}  // namespace bhvm
