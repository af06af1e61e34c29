#include "devices/virtio/virtio_device.h"

#include "base/check.h"

namespace bhvm {

void VirtioDevice::write_config(u64, u8) {}
void VirtioDevice::on_features(u64) {}
void VirtioDevice::on_event(u32) {}

VirtioTransport& VirtioDevice::transport() const {
  BHVM_CHECK(transport_ != nullptr, "a virtio device was used before a transport was made for it");
  return *transport_;
}

bool VirtioDevice::next_chain(u32 queue, Chain& chain) {
  if (!usable(queue)) return false;
  const PopResult result = transport().queue(queue).pop(chain);
  if (result == PopResult::kBroken) transport().fail();
  return result == PopResult::kChain;
}

void VirtioDevice::use_chain(u32 queue, u16 head, u64 written) {
  if (!usable(queue)) return;
  if (!transport().queue(queue).push_used(head, static_cast<u32>(written))) transport().fail();
}

}  // namespace bhvm
