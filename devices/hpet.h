// The high precision event timer (IA-PC HPET 1.0a): a 64-bit counter of 100 MHz and three 64-bit timers.
//
// Timer 0 can be periodic, the others fire once at each match; each may be edge- or level-triggered, 32 or 64 bits
// wide, routed to an I/O APIC input that the board allows, or follow the legacy replacement route. There is no FSB
// delivery.
//
// Nothing is counted: the main counter is computed from virtual time, and what happened since the last look (status
// bits, periodic comparators) is made up for at the next one. Only a timer that can interrupt has an event armed, so an
// idle HPET costs nothing. A match is equality of counter and comparator (2.3.9.2), also with the count at which the
// comparator is written; one that has been passed comes again when the counter has gone round.
//
// The legacy replacement route takes the place of the RTC's interrupt (2.3.5), so the RTC's pin leads through this
// chip: it is the listener of line kRtcInput and drives the second legacy output with either. The board owns the lines.
#pragma once

#include <array>

#include "bus/address_map.h"
#include "bus/line.h"
#include "scheduler/event_port.h"

namespace bhvm {

inline constexpr u32 kHpetTimerCount = 3;

/// Offsets of the registers (IA-PC HPET 1.0a, 2.3.1); a timer's repeat every 20h.
enum class HpetRegister : u16 {
  kGeneralCapabilities = 0x000,
  kGeneralConfiguration = 0x010,
  kGeneralInterruptStatus = 0x020,
  kMainCounter = 0x0F0,
  kTimerConfiguration = 0x100,
  kTimerComparator = 0x108,
  kTimerFsbRoute = 0x110,
};

struct HpetTimerState {
  u64 configuration = 0;  // the writable bits of Tn_CONF_CAP
  u64 comparator = 0;
  u64 period = 0;  // the value last written to the comparator
};

struct HpetState {
  u64 configuration = 0;     // GEN_CONF
  u64 interrupt_status = 0;  // GINTR_STA
  u64 start_count = 0;       // the main counter at start_ns; while halted, the main counter
  u64 start_ns = 0;
  u64 synced_count = 0;  // matches up to this count have been dealt with
  std::array<HpetTimerState, kHpetTimerCount> timers{};
  bool rtc_input = false;
};

struct HpetWiring {
  Line legacy_timer0;             // I/O APIC input 2 (IRQ 0) under the legacy replacement route
  Line legacy_timer1;             // input 8 (IRQ 8): timer 1 under that route, the RTC otherwise
  u32 route_capability = 0;       // Tn_INT_ROUTE_CAP; none of the legacy outputs' inputs
  std::array<Line, 32> routes{};  // a line for each bit of route_capability
};

class Hpet final : public Chip, public LineListener {
 public:
  static constexpr u64 kSize = 0x400;
  static constexpr u64 kPeriodFs = 10'000'000;
  static constexpr u64 kTickNs = 10;
  static constexpr u32 kBlockId = 0x8086A201;  // low half of GCAP_ID, as the ACPI table repeats it
  static constexpr u32 kRtcInput = 0;          // line index

  Hpet(EventPort events, const HpetWiring& wiring);

  /// Registers are 64 bits wide. A read of any size yields their bytes; a write counts when it is 4 or 8 bytes and
  /// aligned, others are ignored (2.3.2 leaves them undefined).
  u64 read(u64 offset, unsigned size) override;
  void write(u64 offset, unsigned size, u64 value) override;
  void on_event(u32 kind, u64 argument);
  void set_line(u32 index, bool level) override;
  void reset();

  /// Around a change of the oscillator: what is due by the old time, then what the new time means.
  void clock_changing();
  void clock_changed();

  const HpetState& state() const { return state_; }
  /// Takes over a saved state: drives no line, arms no event.
  void set_state(const HpetState& state) { state_ = state; }

 private:
  bool running() const;
  u64 count() const;
  u64 match_distance(const HpetTimerState& timer, u64 from, bool& never) const;
  void synchronize();
  void match(u32 index);
  void arm();
  const Line* output(u32 index) const;
  bool interrupts(u32 index) const;
  void drive_lines() const;
  u64 read_register(u64 offset) const;
  void write_register(u64 offset, u64 mask, u64 value);
  void write_configuration(u64 value);
  void write_timer_configuration(u32 index, u64 value);
  void write_comparator(u32 index, u64 mask, u64 value);

  EventPort events_;
  HpetWiring wiring_;
  HpetState state_;
};

}  // namespace bhvm
