// What travels between the I/O APIC and the local APIC: interrupt messages one way, ends of interrupts the other.
#pragma once

#include "base/types.h"

namespace bhvm {

/// Delivery modes (SDM volume 3, 11.6.1; 82093AA, 3.2.4). Mode 3 is reserved.
enum class DeliveryMode : u8 {
  kFixed = 0,
  kLowestPriority = 1,
  kSmi = 2,
  kReserved = 3,
  kNmi = 4,
  kInit = 5,
  kStartUp = 6,
  kExtInt = 7,
};

struct InterruptMessage {
  u8 vector = 0;
  DeliveryMode mode = DeliveryMode::kFixed;
  u8 destination = 0;  // an APIC ID, or a logical destination
  bool logical = false;
  bool level = false;
};

class InterruptDestination {
 public:
  /// False when nobody accepts the message: no APIC is addressed, or the one that is, is disabled.
  virtual bool deliver(const InterruptMessage& message) = 0;

 protected:
  ~InterruptDestination() = default;
};

/// Who hears of the end of a level-triggered interrupt.
class EoiListener {
 public:
  virtual void end_of_interrupt(u8 vector) = 0;

 protected:
  ~EoiListener() = default;
};

}  // namespace bhvm
