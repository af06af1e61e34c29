// The I/O APIC (82093AA, with the EOI register of version 20h): 24 pins, each with an entry in the redirection table.
//
// Pins are levels. An edge-triggered entry sends a message when its pin goes from inactive to active; on a masked
// pin that edge is lost (82093AA, 3.2.4). A level-triggered entry sends one while the pin is active, it is not masked
// and remote IRR is clear; remote IRR is set when the message is accepted and cleared by the EOI of its vector. Active
// is high or low by the entry's polarity.
//
// It refers to the destination of its messages, which the board owns.
#pragma once

#include <array>

#include "bus/address_map.h"
#include "bus/line.h"
#include "devices/interrupt_message.h"

namespace bhvm {

inline constexpr u32 kIoApicPinCount = 24;

struct IoApicState {
  u8 ioregsel = 0;
  u8 id = 0;       // bits 27:24 of IOAPICID
  u32 levels = 0;  // of the pins, bit by bit
  std::array<u64, kIoApicPinCount> redirection{};
};

class IoApic final : public Chip, public LineListener, public EoiListener {
 public:
  static constexpr u64 kSize = 0x1000;

  explicit IoApic(InterruptDestination& destination);

  /// IOREGSEL (0), IOWIN (10h) and EOI (40h). IOWIN and EOI take 4- and 8-byte writes at their own offset, IOREGSEL any
  /// size; reads yield the register's bytes. What is elsewhere reads as zero and ignores writes.
  u64 read(u64 offset, unsigned size) override;
  void write(u64 offset, unsigned size, u64 value) override;
  void set_line(u32 pin, bool level) override;
  void end_of_interrupt(u8 vector) override;
  /// The registers; pins keep their levels, which are their drivers'.
  void reset();

  const IoApicState& state() const { return state_; }
  /// Takes over a saved state: sends nothing.
  void set_state(const IoApicState& state) { state_ = state; }

 private:
  u32 read_register() const;
  void write_register(u32 value);
  void write_redirection(u32 pin, bool high_half, u32 value);
  bool active(u32 pin) const;
  void send_level(u32 pin);
  bool send(u32 pin);

  InterruptDestination* destination_;
  IoApicState state_;
};

}  // namespace bhvm
