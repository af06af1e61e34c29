#include "devices/virtio/virtio_console.h"

#include <algorithm>

#include "devices/virtio/virtio_ids.h"

namespace bhvm {
namespace {

constexpr u64 kFeatureSize = u64{1} << 0;  // VIRTIO_CONSOLE_F_SIZE

}  // namespace

u32 VirtioConsole::device_id() const { return virtio_id::kConsole; }

u64 VirtioConsole::device_features() const { return kFeatureSize; }

u8 VirtioConsole::read_config(u64 offset) const {
  // 5.3.4: le16 cols, le16 rows; max_nr_ports and emerg_wr need features that are not offered.
  const std::array<u8, 4> config{static_cast<u8>(state_.columns), static_cast<u8>(state_.columns >> 8),
                                 static_cast<u8>(state_.rows), static_cast<u8>(state_.rows >> 8)};
  return config_byte(config, offset);
}

void VirtioConsole::resize(u16 columns, u16 rows) {
  if (columns == state_.columns && rows == state_.rows) return;
  state_.columns = columns;
  state_.rows = rows;
  if (attached()) transport().notify_config_change();
}

void VirtioConsole::set_state(const VirtioConsoleState& state) {
  state_ = state;
  if (state_.input.size() > kInputMax) state_.input.resize(kInputMax);
}

std::size_t VirtioConsole::push_input(std::span<const u8> bytes) {
  const std::size_t taken = std::min(bytes.size(), input_room());
  state_.input.insert(state_.input.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(taken));
  deliver_input();
  return taken;
}

void VirtioConsole::on_notify(u32 queue) {
  if (queue == kReceive) {
    deliver_input();
  } else {
    transmit();
  }
}

void VirtioConsole::deliver_input() {
  if (state_.input.empty()) return;
  std::size_t delivered = 0;
  for_each_chain(kReceive, chain_, [&] {
    ChainCursor writer = transport().queue(kReceive).writer(chain_);
    const u64 written = writer.write(state_.input.data() + delivered,
                                     std::min<u64>(chain_.writable_bytes, state_.input.size() - delivered));
    use_chain(kReceive, chain_.head, written);
    delivered += written;
    return delivered < state_.input.size();
  });
  state_.input.erase(state_.input.begin(), state_.input.begin() + static_cast<std::ptrdiff_t>(delivered));
  if (usable(kReceive)) transport().notify_used(kReceive);
}

void VirtioConsole::transmit() {
  for_each_chain(kTransmit, chain_, [&] {
    if (chain_.readable_bytes > kOutputMax) {
      transport().fail();
      return false;
    }
    std::array<u8, 4096> bytes;
    ChainCursor reader = transport().queue(kTransmit).reader(chain_);
    while (const u64 got = reader.read(bytes.data(), bytes.size())) output_->write_bytes(std::span(bytes).first(got));
    use_chain(kTransmit, chain_.head, 0);
    return true;
  });
  transport().notify_used(kTransmit);
}

}  // namespace bhvm
