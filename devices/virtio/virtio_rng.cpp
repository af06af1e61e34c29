#include "devices/virtio/virtio_rng.h"

#include <algorithm>

#include "devices/virtio/virtio_ids.h"

namespace bhvm {

u32 VirtioRng::device_id() const { return virtio_id::kEntropy; }

void VirtioRng::on_notify(u32 queue) {
  for_each_chain(queue, chain_, [&] {
    ChainCursor writer = transport().queue(queue).writer(chain_);
    u64 left = std::min(chain_.writable_bytes, kFillMax);
    const u64 total = left;
    while (left != 0) {
      std::array<u64, 64> words;
      const u64 bytes = std::min<u64>(left, sizeof words);
      for (u64 i = 0; i * 8 < bytes; ++i) words[i] = stream_.next();
      writer.write(words.data(), bytes);
      left -= bytes;
    }
    use_chain(queue, chain_.head, total);
    return true;
  });
  transport().notify_used(queue);
}

}  // namespace bhvm
