// The platform: the chips every board has, and the lines between them.
//
//   UART, virtio ---------------------> I/O APIC --messages--> local APIC --INTR--> processor
//   ACPI PM (SCI), HPET routes -------> I/O APIC <---EOI-----/
//   RTC --> HPET (legacy replacement) -> I/O APIC
//
// The platform owns the chips; the machine owns everything named in the wiring.
#pragma once

#include <array>
#include <span>

#include "bus/address_map.h"
#include "bus/line.h"
#include "devices/acpi_pm.h"
#include "devices/byte_sink.h"
#include "devices/cmos_rtc.h"
#include "devices/exit_port.h"
#include "devices/hpet.h"
#include "devices/io_apic.h"
#include "devices/local_apic.h"
#include "devices/machine_control.h"
#include "devices/pvpanic.h"
#include "devices/reset_ports.h"
#include "devices/timer_jitter.h"
#include "devices/uart_16550.h"
#include "scheduler/event_port.h"

namespace bhvm {

struct PlatformState {
  LocalApicState local_apic;
  IoApicState io_apic;
  HpetState hpet;
  AcpiPmState acpi_pm;
  CmosRtcState rtc;
  Uart16550State uart;
  ResetControlState reset_control;
  SystemControlPortAState system_control;
  TimerJitterState timer_jitter;
};

class Platform {
 public:
  enum EventTarget : u32 { kLocalApicTarget, kHpetTarget, kAcpiPmTarget, kRtcTarget, kUartTarget, kEventTargets };

  struct Wiring {
    Line intr;  // to the processor
    EventQueue* queue = nullptr;
    const VirtualClock* clock = nullptr;
    const Oscillator* oscillator = nullptr;  // of the clock chips
    ByteSink* console_output = nullptr;
    MachineControl* control = nullptr;
    u32 first_event_target = 0;  // the chips' targets follow in the order of EventTarget
    u64 rtc_epoch_s = 0;
    TimerJitter timer_jitter{0, RandomStream()};
  };

  explicit Platform(const Wiring& wiring);
  Platform(const Platform&) = delete;
  Platform& operator=(const Platform&) = delete;

  void attach(AddressMap& memory, AddressMap& ports);
  /// The I/O APIC's pins.
  LineListener& interrupts() { return io_apic_; }
  LocalApic& local_apic() { return local_apic_; }
  Uart16550& uart() { return uart_; }
  const Uart16550& uart() const { return uart_; }
  void on_event(u32 target, u32 kind, u64 argument);
  TimerJitter& timer_jitter() { return timer_jitter_; }
  void advance_date(u64 seconds) { rtc_.advance_date(seconds); }
  /// Around a change of the oscillator.
  void clock_changing();
  void clock_changed();

  PlatformState state() const;
  /// Drives no line and arms no event.
  void set_state(const PlatformState& state);

 private:
  HpetWiring hpet_wiring();

  TimerJitter timer_jitter_;
  LocalApic local_apic_;
  IoApic io_apic_;
  Hpet hpet_;
  AcpiPm acpi_pm_;
  CmosRtc rtc_;
  Uart16550 uart_;
  ResetControl reset_control_;
  SystemControlPortA system_control_;
  KeyboardCommandPort keyboard_command_;
  ExitPort exit_;
  PvPanic pvpanic_;
};

}  // namespace bhvm
