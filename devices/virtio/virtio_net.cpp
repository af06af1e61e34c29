#include "devices/virtio/virtio_net.h"

#include <algorithm>
#include <boost/pfr.hpp>
#include <tuple>

#include "base/check.h"
#include "devices/virtio/virtio_ids.h"

namespace bhvm {
namespace {

/// 5.1.3: feature bits.
constexpr u64 kFeatureMtu = u64{1} << 3;
constexpr u64 kFeatureMac = u64{1} << 5;
constexpr u64 kFeatureMrgRxbuf = u64{1} << 15;
constexpr u64 kFeatureStatus = u64{1} << 16;

constexpr u16 kLinkUp = 1;  // VIRTIO_NET_S_LINK_UP

/// 5.1.6: struct virtio_net_hdr, in its version 1 form.
struct NetHeader {
  u8 flags = 0;
  u8 gso_type = 0;
  u16 hdr_len = 0;
  u16 gso_size = 0;
  u16 csum_start = 0;
  u16 csum_offset = 0;
  u16 num_buffers = 0;
};
static_assert(sizeof(NetHeader) == 12);

constexpr u8 kNeedsCsum = 1;  // VIRTIO_NET_HDR_F_NEEDS_CSUM

}  // namespace

NetCounters& NetCounters::operator+=(const NetCounters& other) {
  const auto all = boost::pfr::structure_tie(*this);
  boost::pfr::for_each_field(other, [&]<class I>(const u64& more, I) { std::get<I::value>(all) += more; });
  return *this;
}

VirtioNet::VirtioNet(FrameSink& output, const VirtioNetOptions& options) : output_(&output), options_(options) {
  BHVM_CHECK(options.mtu >= kMtuMin, "the MTU of a virtio network device is at least 68 (virtio 1.2, 5.1.4.1)");
}

u32 VirtioNet::device_id() const { return virtio_id::kNetwork; }

u64 VirtioNet::device_features() const { return kFeatureMac | kFeatureStatus | kFeatureMtu | kFeatureMrgRxbuf; }

u8 VirtioNet::read_config(u64 offset) const {
  // 5.1.4: mac, le16 status, le16 max_virtqueue_pairs (without VIRTIO_NET_F_MQ), le16 mtu.
  std::array<u8, 12> config{};
  std::ranges::copy(options_.mac, config.begin());
  config[6] = state_.link_up ? kLinkUp : 0;
  config[10] = static_cast<u8>(options_.mtu);
  config[11] = static_cast<u8>(options_.mtu >> 8);
  return config_byte(config, offset);
}

void VirtioNet::reset() {
  counters_.reset += state_.received.size();
  const bool link_up = state_.link_up;  // the cable stays where it is
  state_ = VirtioNetState{.link_up = link_up};
}

void VirtioNet::set_state(const VirtioNetState& state) {
  state_ = state;
  std::erase_if(state_.received, [this](const VirtioNetFrame& frame) { return !frame_fits(frame.bytes.size()); });
  if (state_.received.size() > kReceivedMax) state_.received.resize(kReceivedMax);
}

void VirtioNet::set_link(bool up) {
  if (up == state_.link_up) return;
  state_.link_up = up;
  if (attached()) transport().notify_config_change();
}

bool VirtioNet::receive(std::span<const u8> frame) {
  u64* loss = nullptr;
  if (!usable(kReceive) || !state_.link_up) {
    loss = &counters_.not_ready;
  } else if (!frame_fits(frame.size())) {
    loss = &counters_.wrong_size;
  } else if (state_.received.size() == kReceivedMax) {
    loss = &counters_.queue_full;
  }
  if (loss != nullptr) {
    ++*loss;
    ++state_.dropped_frames;
    return false;
  }
  state_.received.push_back({{frame.begin(), frame.end()}});
  deliver();
  return true;
}

void VirtioNet::on_notify(u32 queue) {
  if (queue == kReceive) {
    deliver();
  } else {
    transmit();
  }
}

void VirtioNet::deliver() {
  std::size_t done = 0;
  while (done < state_.received.size()) {
    const Delivery delivery = deliver_frame(state_.received[done].bytes);
    if (delivery == Delivery::kNoBuffers || delivery == Delivery::kFailed) break;
    if (delivery == Delivery::kDropped) {
      ++counters_.no_room;
      ++state_.dropped_frames;
    } else {
      ++counters_.delivered;
    }
    ++done;
  }
  if (done == 0) return;
  state_.received.erase(state_.received.begin(), state_.received.begin() + static_cast<std::ptrdiff_t>(done));
  if (usable(kReceive)) transport().notify_used(kReceive);
}

VirtioNet::Delivery VirtioNet::deliver_frame(std::span<const u8> frame) {
  const bool mergeable = usable(kReceive) && (transport().negotiated_features() & kFeatureMrgRxbuf) != 0;
  const u64 needed = sizeof(NetHeader) + frame.size();
  u16 taken = 0;
  u64 room = 0;
  while (room < needed) {
    if (taken == kQueueSizesMax[kReceive]) {  // more than a queue can hold: they were all without room
      transport().fail();
      return Delivery::kFailed;
    }
    if (receive_chains_.size() == taken) receive_chains_.emplace_back();
    Chain& chain = receive_chains_[taken];
    if (!next_chain(kReceive, chain)) {
      if (!usable(kReceive)) return Delivery::kFailed;
      transport().queue(kReceive).unpop(taken);
      return Delivery::kNoBuffers;
    }
    ++taken;
    // 5.1.6.4: the header is whole in the first buffer.
    if (taken == 1 && chain.writable_bytes < sizeof(NetHeader)) {
      transport().fail();
      return Delivery::kFailed;
    }
    room += chain.writable_bytes;
    if (!mergeable) break;
  }
  Virtqueue queue = transport().queue(kReceive);
  if (room < needed) {
    queue.unpop(taken);
    return Delivery::kDropped;
  }
  const NetHeader header{.num_buffers = taken};
  for (u16 i = 0; i < taken; ++i) {
    const Chain& chain = receive_chains_[i];
    ChainCursor writer = queue.writer(chain);
    u64 written = i == 0 ? writer.write(&header, sizeof header) : 0;
    const u64 piece = std::min<u64>(writer.remaining(), frame.size());
    written += writer.write(frame.data(), piece);
    frame = frame.subspan(piece);
    use_chain(kReceive, chain.head, written);
  }
  return Delivery::kDone;
}

void VirtioNet::transmit() {
  std::vector<u8> frame;
  for_each_chain(kTransmit, transmit_chain_, [&] {
    ChainCursor reader = transport().queue(kTransmit).reader(transmit_chain_);
    NetHeader header;
    if (reader.read(&header, sizeof header) != sizeof header) {
      transport().fail();
      return false;
    }
    const bool plain = header.gso_type == 0 && (header.flags & kNeedsCsum) == 0;
    if (plain && state_.link_up && frame_fits(reader.remaining())) {
      frame.resize(reader.remaining());
      reader.read(frame.data(), frame.size());
      output_->send_frame(frame);
      ++counters_.sent;
    } else {
      ++counters_.send_refused;
    }
    use_chain(kTransmit, transmit_chain_.head, 0);
    return true;
  });
  transport().notify_used(kTransmit);
}

}  // namespace bhvm
