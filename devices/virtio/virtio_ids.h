// Numbers that all of virtio shares (virtio 1.2, sections 2.1, 5 and 6).
#pragma once

#include "base/types.h"

namespace bhvm {

/// Section 5: device types.
namespace virtio_id {
inline constexpr u32 kNetwork = 1;
inline constexpr u32 kBlock = 2;
inline constexpr u32 kConsole = 3;
inline constexpr u32 kEntropy = 4;
}  // namespace virtio_id

/// 2.1: device status bits.
namespace virtio_status {
inline constexpr u32 kAcknowledge = 1;
inline constexpr u32 kDriver = 2;
inline constexpr u32 kDriverOk = 4;
inline constexpr u32 kFeaturesOk = 8;
inline constexpr u32 kDeviceNeedsReset = 64;
inline constexpr u32 kFailed = 128;
}  // namespace virtio_status

/// Section 6: reserved feature bits that the transport offers for every device.
namespace virtio_feature {
inline constexpr u64 kIndirectDesc = u64{1} << 28;
inline constexpr u64 kEventIdx = u64{1} << 29;
inline constexpr u64 kVersion1 = u64{1} << 32;
inline constexpr u64 kTransport = kIndirectDesc | kEventIdx | kVersion1;
}  // namespace virtio_feature

/// 4.2.2: bits of InterruptStatus.
namespace virtio_interrupt {
inline constexpr u32 kUsedBuffer = 1;
inline constexpr u32 kConfigChange = 2;
}  // namespace virtio_interrupt

}  // namespace bhvm
