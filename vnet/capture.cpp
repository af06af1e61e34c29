#include "vnet/capture.h"

#include <array>
#include <string_view>

namespace bhvm {
namespace {

void append(std::string& comment, std::string_view text) {
  if (!comment.empty()) comment += ", ";
  comment += text;
}

std::string_view to_string(FrameLoss reason) {
  static constexpr std::array<std::string_view, 5> kNames = {"delivered", "held", "blocked", "overflowed", "lost"};
  return kNames[static_cast<std::size_t>(reason)];
}

}  // namespace

Capture::Capture(std::vector<std::string> ports) : ports_(std::move(ports)), writer_("bhvm", ports_) {}

void Capture::frame_sent(u64 time_ns, u32 port, u64 packet_id, std::span<const u8> frame) {
  write_before(time_ns);  // frames are sent in the order of time and arrive later: nothing earlier can come
  last_sent_ = &add(time_ns, port, PacketDirection::kOutbound, packet_id, frame);
}

void Capture::frame_dropped(u64, u32, u32 to, u64 packet_id, FrameLoss reason) {
  // What is dropped at the end of a clog was sent long ago, and its packet is written.
  if (last_sent_ == nullptr || last_sent_->packet_id != packet_id) return;
  append(last_sent_->comment, to_string(reason));
  last_sent_->comment += " to " + ports_[to];
}

void Capture::frame_arrives(u32, u32 to, u64 packet_id, const Arrival& arrival) {
  Packet& packet = add(arrival.time_ns, to, PacketDirection::kInbound, packet_id, arrival.frame);
  if (arrival.corrupted) append(packet.comment, "corrupted");
  if (arrival.duplicate) append(packet.comment, "duplicate");
  if (arrival.reordered) append(packet.comment, "reordered");
}

Capture::Packet& Capture::add(u64 time_ns, u32 port, PacketDirection direction, u64 packet_id,
                              std::span<const u8> frame) {
  Packet packet{port, direction, packet_id, {}, {frame.begin(), frame.end()}};
  return waiting_.emplace(Order{time_ns, sequence_++}, std::move(packet)).first->second;
}

void Capture::write_before(u64 time_ns) {
  while (!waiting_.empty() && waiting_.begin()->first.first < time_ns) {
    const auto& [order, packet] = *waiting_.begin();
    writer_.write({packet.port, order.first, packet.direction, packet.packet_id, packet.comment, packet.frame});
    if (&packet == last_sent_) last_sent_ = nullptr;
    waiting_.erase(waiting_.begin());
  }
}

void Capture::finish() { write_before(~u64{0}); }

}  // namespace bhvm
