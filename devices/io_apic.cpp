#include "devices/io_apic.h"

#include "devices/register_bytes.h"

namespace bhvm {
namespace {

// The directly addressed registers.
enum Offset : u64 { kIoRegSel = 0x00, kIoWin = 0x10, kEoi = 0x40 };
// Those behind IOREGSEL.
enum Index : u8 { kIoApicId = 0x00, kIoApicVer = 0x01, kIoApicArb = 0x02, kIoRedTbl = 0x10 };

constexpr u32 kVersionValue = (kIoApicPinCount - 1) << 16 | 0x20;

// An entry of the redirection table (82093AA, 3.2.4).
constexpr u64 kActiveLow = 1 << 13;
constexpr u64 kRemoteIrr = 1 << 14;
constexpr u64 kLevelTriggered = 1 << 15;
constexpr u64 kMasked = 1 << 16;
constexpr u64 kWritable = 0xFF00'0000'0001'AFFF;  // without delivery status (always idle) and remote IRR

bool has(u64 entry, u64 bit) { return (entry & bit) != 0; }

DeliveryMode mode_of(u64 entry) { return static_cast<DeliveryMode>((entry >> 8) & 7); }

/// Only interrupts with a vector come to an end that clears remote IRR.
bool has_end(u64 entry) {
  return mode_of(entry) == DeliveryMode::kFixed || mode_of(entry) == DeliveryMode::kLowestPriority;
}

}  // namespace

IoApic::IoApic(InterruptDestination& destination) : destination_(&destination) { reset(); }

void IoApic::reset() {
  state_.ioregsel = 0;
  state_.id = 0;
  state_.redirection.fill(kMasked);
}

u64 IoApic::read(u64 offset, unsigned size) {
  const u64 byte = offset & 15;
  switch (offset - byte) {
    case kIoRegSel:
      return register_bytes(state_.ioregsel, byte, size);
    case kIoWin:
      return register_bytes(read_register(), byte, size);
    default:
      return 0;
  }
}

void IoApic::write(u64 offset, unsigned size, u64 value) {
  if (offset == kIoRegSel) {
    state_.ioregsel = static_cast<u8>(value);
  } else if (size != 4 && size != 8) {
    return;
  } else if (offset == kIoWin) {
    write_register(static_cast<u32>(value));
  } else if (offset == kEoi) {
    end_of_interrupt(static_cast<u8>(value));
  }
}

u32 IoApic::read_register() const {
  const u8 index = state_.ioregsel;
  switch (index) {
    case kIoApicId:
    case kIoApicArb:
      return u32{state_.id} << 24;
    case kIoApicVer:
      return kVersionValue;
    default:
      break;
  }
  const u32 pin = (u32{index} - kIoRedTbl) / 2;
  if (index < kIoRedTbl || pin >= kIoApicPinCount) return 0;
  return static_cast<u32>(state_.redirection[pin] >> (index % 2 == 0 ? 0 : 32));
}

void IoApic::write_register(u32 value) {
  const u8 index = state_.ioregsel;
  if (index == kIoApicId) state_.id = (value >> 24) & 0xF;
  const u32 pin = (u32{index} - kIoRedTbl) / 2;
  if (index < kIoRedTbl || pin >= kIoApicPinCount) return;
  write_redirection(pin, index % 2 != 0, value);
}

void IoApic::write_redirection(u32 pin, bool high_half, u32 value) {
  u64& entry = state_.redirection[pin];
  const u64 mask = kWritable & (high_half ? ~u64{0} << 32 : ~u32{0});
  entry = (entry & ~mask) | ((high_half ? u64{value} << 32 : value) & mask);
  if (!has(entry, kLevelTriggered)) entry &= ~kRemoteIrr;
  send_level(pin);
}

bool IoApic::active(u32 pin) const {
  return ((state_.levels >> pin) & 1) != (has(state_.redirection[pin], kActiveLow) ? 1u : 0u);
}

void IoApic::set_line(u32 pin, bool level) {
  if (pin >= kIoApicPinCount) return;
  const bool was_active = active(pin);
  const u32 bit = u32{1} << pin;
  state_.levels = level ? state_.levels | bit : state_.levels & ~bit;
  const u64 entry = state_.redirection[pin];
  if (has(entry, kLevelTriggered)) {
    send_level(pin);
  } else if (!was_active && active(pin) && !has(entry, kMasked)) {
    send(pin);
  }
}

void IoApic::send_level(u32 pin) {
  u64& entry = state_.redirection[pin];
  if (!has(entry, kLevelTriggered) || has(entry, kMasked | kRemoteIrr) || !active(pin)) return;
  if (send(pin) && has_end(entry)) entry |= kRemoteIrr;
}

bool IoApic::send(u32 pin) {
  const u64 entry = state_.redirection[pin];
  InterruptMessage message;
  message.vector = static_cast<u8>(entry);
  message.mode = mode_of(entry);
  message.logical = has(entry, 1 << 11);
  message.level = has(entry, kLevelTriggered);
  message.destination = static_cast<u8>(entry >> 56);
  return destination_->deliver(message);
}

void IoApic::end_of_interrupt(u8 vector) {
  for (u32 pin = 0; pin < kIoApicPinCount; ++pin) {
    u64& entry = state_.redirection[pin];
    if (static_cast<u8>(entry) != vector || !has(entry, kRemoteIrr)) continue;
    entry &= ~kRemoteIrr;
    send_level(pin);
  }
}

}  // namespace bhvm
