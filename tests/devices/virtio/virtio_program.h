// Bytes as a program against a virtio device: register accesses, writes to guest memory, time, host input. Used by the
// fuzz target and by tests that draw their programs at random. Ends by itself on every input.
#pragma once

#include <array>
#include <span>
#include <vector>

#include "devices/virtio/virtio_blk.h"
#include "devices/virtio/virtio_console.h"
#include "devices/virtio/virtio_mmio.h"
#include "devices/virtio/virtio_net.h"
#include "devices/virtio/virtio_rng.h"
#include "state/hash_state.h"

namespace bhvm::virtio_test {

/// Takes integers off a program, little-endian; zeros once it has ended.
class ProgramReader {
 public:
  explicit ProgramReader(std::span<const u8> bytes) : bytes_(bytes) {}
  bool ended() const { return bytes_.empty(); }
  u64 take(unsigned size) {
    u64 value = 0;
    for (unsigned i = 0; i < size && !bytes_.empty(); ++i, bytes_ = bytes_.subspan(1)) {
      value |= u64{bytes_.front()} << (8 * i);
    }
    return value;
  }

 private:
  std::span<const u8> bytes_;
};

/// One device of each type on a board of 1 MiB. Sinks only count: hostile output may be long.
class ProgramBoard final : private ByteSink, private FrameSink {
 public:
  static constexpr u64 kRamSize = u64{1} << 20;
  static constexpr u64 kDiskSize = 64 * 1024;

  /// Runs a program against the device of type `which` modulo 4 and returns the hash of all that it left behind.
  Hash128 run(u8 which, std::span<const u8> program) {
    VirtioDevice* const devices[] = {&rng_, &blk_, &console_, &net_};
    VirtioDevice& device = *devices[which % 4];
    VirtioMmio mmio(device, memory_, Line());
    ProgramReader reader(program);
    while (!reader.ended()) step(device, mmio, reader);
    fire_events(device, ~u64{0} >> 8);

    Writer writer;
    save(writer, mmio.state());
    save(writer, rng_.state());
    save(writer, blk_.state());
    save(writer, console_.state());
    save(writer, net_.state());
    writer.put(output_bytes_);
    return hash_bytes(writer.bytes().data(), writer.bytes().size()) + memory_.hash() + disk_.hash().value();
  }

 private:
  void write_bytes(std::span<const u8> bytes) override { output_bytes_ += bytes.size(); }
  void send_frame(std::span<const u8> frame) override {
    output_bytes_ += frame.size();
    net_.receive(frame);  // comes straight back, in the middle of the transmission
  }

  void fire_events(VirtioDevice& device, u64 until_ns) {
    for (int i = 0; i < 1000 && events_.next_time_ns() <= until_ns; ++i) {
      clock_.idle_until(events_.next_time_ns());
      const std::optional<Event> event = events_.pop_due(clock_.now_ns());
      if (event.has_value()) device.on_event(event->kind);
    }
    clock_.idle_until(until_ns);
  }

  /// Registers, then one driver action after the other, most of them well-formed.
  void step(VirtioDevice& device, VirtioMmio& mmio, ProgramReader& reader) {
    switch (reader.take(1) % 12) {
      case 0:  // any access
        mmio.write(reader.take(2), 1u << reader.take(1) % 4, reader.take(8));
        break;
      case 1:
        mmio.read(reader.take(2), 1u << reader.take(1) % 4);
        break;
      case 2:  // a register
        mmio.write(reader.take(1) & 0xfc, 4, reader.take(4));
        break;
      case 3: {  // memory
        const u64 address = reader.take(3);
        const unsigned size = static_cast<unsigned>(1 + reader.take(1) % 8);
        const u64 value = reader.take(size);
        memory_.write({address % kRamSize}, &value, size);
        break;
      }
      case 4:  // a device that runs
        start(mmio, reader.take(8), static_cast<u32>(1u << reader.take(1) % 12));
        break;
      case 5: {  // a descriptor: address and length near something that matters
        const u64 index = reader.take(1);
        const u64 address = reader.take(3) | (reader.take(1) == 0xff ? ~u64{0xff'ffff} : 0);
        const u32 length = static_cast<u32>(reader.take(2)) | (reader.take(1) == 0xff ? 0xffff'0000 : 0);
        memory_.write_value({kQueueBase + 16 * index}, address);
        memory_.write_value({kQueueBase + 16 * index + 8}, length);
        memory_.write_value({kQueueBase + 16 * index + 12}, static_cast<u16>(reader.take(1) & 7));
        memory_.write_value({kQueueBase + 16 * index + 14}, static_cast<u16>(reader.take(1)));
        break;
      }
      case 6: {  // make a head available, on any of the queues
        const u64 available = kQueueBase + reader.take(1) % 2 * kQueueStride + kAvailableOffset;
        u16 index = 0;
        memory_.read_value({available + 2}, index);
        memory_.write_value({available + 4 + u64{2} * (index % 1024)}, static_cast<u16>(reader.take(1)));
        memory_.write_value({available + 2}, ++index);
        break;
      }
      case 7:
        mmio.write(0x050, 4, reader.take(1) % 3);
        break;
      case 8: {  // a block request's header
        const u64 address = reader.take(2);
        memory_.write_value({address}, BlkRequestHeader{static_cast<u32>(reader.take(1) % 16), 0, reader.take(1)});
        break;
      }
      case 9:
        fire_events(device, clock_.now_ns() + reader.take(3));
        break;
      case 10: {  // the host's side
        const std::array<u8, 64> bytes{1, 2, 3, 4, 5, 6, 7, 8};
        console_.push_input(std::span(bytes).first(reader.take(1) % 65));
        net_.receive(std::span(bytes).first(reader.take(1) % 65));
        console_.resize(static_cast<u16>(reader.take(1)), 25);
        net_.set_link(reader.take(1) % 4 != 0);
        break;
      }
      default:  // save and restore, power cut
        mmio.set_state(VirtioMmioState(mmio.state()));
        rng_.set_state(rng_.state());
        blk_.set_state(VirtioBlkState(blk_.state()));
        console_.set_state(VirtioConsoleState(console_.state()));
        net_.set_state(VirtioNetState(net_.state()));
        if (reader.take(1) % 4 == 0) disk_.lose_unsynced([](u64 sector) { return sector % 3 == 0; });
        break;
    }
  }

  static constexpr u64 kQueueBase = 0x4000;
  static constexpr u64 kQueueStride = 0x10000;
  static constexpr u64 kAvailableOffset = 0x8000;
  static constexpr u64 kUsedOffset = 0xa000;

  static void start(VirtioMmio& mmio, u64 features, u32 size) {
    mmio.write(0x070, 4, 0);
    mmio.write(0x070, 4, 3);
    for (u32 half = 0; half < 2; ++half) {
      mmio.write(0x014, 4, half);
      const u64 offered = mmio.read(0x010, 4);
      mmio.write(0x024, 4, half);
      mmio.write(0x020, 4, (offered & (features >> (32 * half))) | half);  // VERSION_1 is bit 32
    }
    mmio.write(0x070, 4, 11);
    for (u32 queue = 0; queue < 2; ++queue) {
      const u64 base = kQueueBase + queue * kQueueStride;
      mmio.write(0x030, 4, queue);
      mmio.write(0x038, 4, size);
      mmio.write(0x080, 4, kQueueBase);  // one descriptor table for both
      mmio.write(0x090, 4, base + kAvailableOffset);
      mmio.write(0x0a0, 4, base + kUsedOffset);
      mmio.write(0x044, 4, 1);
    }
    mmio.write(0x070, 4, 15);
  }

  GuestMemory memory_ = GuestMemory::create(kRamSize).value();
  EventQueue events_;
  VirtualClock clock_;
  DiskImage disk_ = DiskImage::create(kDiskSize).value();
  u64 output_bytes_ = 0;
  VirtioRng rng_{RandomStream(1, 0, "virtio-rng")};
  VirtioBlk blk_{disk_, EventPort(events_, clock_, 1), {.read_only = false, .id = "fuzz", .timing = {}}};
  VirtioConsole console_{*this};
  VirtioNet net_{*this, {.mac = {2, 0, 0, 0, 0, 1}, .mtu = 1500}};
};

}  // namespace bhvm::virtio_test
