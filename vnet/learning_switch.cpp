#include "vnet/learning_switch.h"

#include <algorithm>

namespace bhvm {
namespace {

using Mac = std::array<u8, 6>;

Mac mac_at(std::span<const u8> frame, std::size_t offset) {
  Mac mac;
  std::copy_n(frame.begin() + static_cast<std::ptrdiff_t>(offset), mac.size(), mac.begin());
  return mac;
}

/// The I/G bit (IEEE 802, 8.2.2): the address of a group, or of all.
bool is_group(const Mac& mac) { return (mac[0] & 1) != 0; }

bool before(const LearnedAddress& entry, const Mac& mac) { return entry.mac < mac; }

}  // namespace

std::span<const u32> LearningSwitch::forward(u32 port, std::span<const u8> frame) {
  destinations_.clear();
  if (frame.size() < kHeaderSize) {
    ++state_.counters.filtered;
    return destinations_;
  }
  const Mac destination = mac_at(frame, 0);
  learn(mac_at(frame, 6), port);
  const LearnedAddress* known = is_group(destination) ? nullptr : find(destination);
  if (known == nullptr) {
    ++state_.counters.flooded;
    for (u32 other = 0; other < ports_; ++other) {
      if (other != port) destinations_.push_back(other);
    }
  } else if (known->port == port) {
    ++state_.counters.filtered;
  } else {
    ++state_.counters.unicast;
    destinations_.push_back(known->port);
  }
  return destinations_;
}

void LearningSwitch::learn(const Mac& mac, u32 port) {
  if (is_group(mac)) return;  // no station sends from one
  std::vector<LearnedAddress>& all = state_.addresses;
  const auto at = std::lower_bound(all.begin(), all.end(), mac, before);
  const bool known = at != all.end() && at->mac == mac;
  if (known && at->port == port) return;
  const auto learned = std::ranges::count(all, port, &LearnedAddress::port);
  if (static_cast<u64>(learned) >= kAddressesMax) return;
  if (known) {
    at->port = port;
  } else {
    all.insert(at, {mac, port});
  }
}

const LearnedAddress* LearningSwitch::find(const Mac& mac) const {
  const auto at = std::lower_bound(state_.addresses.begin(), state_.addresses.end(), mac, before);
  return at != state_.addresses.end() && at->mac == mac ? &*at : nullptr;
}

}  // namespace bhvm
