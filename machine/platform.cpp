#include "machine/platform.h"

#include "base/check.h"
#include "cpu/system/cpuid.h"
#include "machine/memory_map.h"

namespace bhvm {
namespace {

namespace map = memory_map;

EventPort event_port(const Platform::Wiring& wiring, Platform::EventTarget target) {
  return {*wiring.queue, *wiring.clock, wiring.first_event_target + target};
}

EventPort clock_port(const Platform::Wiring& wiring, Platform::EventTarget target) {
  return {*wiring.queue, *wiring.clock, *wiring.oscillator, wiring.first_event_target + target};
}

}  // namespace

Platform::Platform(const Wiring& wiring)
    : timer_jitter_(wiring.timer_jitter),
      local_apic_(clock_port(wiring, kLocalApicTarget), wiring.intr, Line(),
                  {.base = map::kLapicBase, .timer_hz = kCrystalHz, .tsc_hz = kTscHz, .timer_jitter = &timer_jitter_}),
      io_apic_(local_apic_),
      hpet_(clock_port(wiring, kHpetTarget), hpet_wiring()),
      acpi_pm_(clock_port(wiring, kAcpiPmTarget), Line(io_apic_, map::kSciPin), *wiring.control),
      rtc_(clock_port(wiring, kRtcTarget), Line(hpet_, Hpet::kRtcInput), wiring.rtc_epoch_s),
      uart_(event_port(wiring, kUartTarget), Line(io_apic_, map::kUartPin), *wiring.console_output),
      reset_control_(*wiring.control),
      system_control_(*wiring.control),
      keyboard_command_(*wiring.control),
      exit_(*wiring.control),
      pvpanic_(*wiring.control) {
  local_apic_.connect(io_apic_);
}

HpetWiring Platform::hpet_wiring() {
  HpetWiring wiring;
  wiring.legacy_timer0 = Line(io_apic_, map::kHpetTimer0Pin);
  wiring.legacy_timer1 = Line(io_apic_, map::kRtcPin);
  for (const u32 pin : map::kHpetRoutePins) {
    wiring.route_capability |= u32{1} << pin;
    wiring.routes[pin] = Line(io_apic_, pin);
  }
  return wiring;
}

void Platform::attach(AddressMap& memory, AddressMap& ports) {
  struct Place {
    AddressMap& map;
    u64 base;
    u64 size;
    Chip& chip;
    const char* name;
  };
  const Place places[] = {
      {memory, map::kIoApicBase, IoApic::kSize, io_apic_, "I/O APIC"},
      {memory, map::kHpetBase, Hpet::kSize, hpet_, "HPET"},
      {memory, map::kLapicBase, LocalApic::kSize, local_apic_, "local APIC"},
      {ports, map::kKeyboardCommandPort, KeyboardCommandPort::kSize, keyboard_command_, "keyboard command port"},
      {ports, map::kRtcPort, CmosRtc::kSize, rtc_, "RTC"},
      {ports, map::kSystemControlPortA, SystemControlPortA::kSize, system_control_, "system control port A"},
      {ports, map::kExitPort, ExitPort::kSize, exit_, "exit port"},
      {ports, map::kUartPort, Uart16550::kSize, uart_, "UART"},
      {ports, map::kPvPanicPort, PvPanic::kSize, pvpanic_, "pvpanic"},
      {ports, map::kPmPort, AcpiPm::kSize, acpi_pm_, "ACPI PM"},
      {ports, map::kResetPort, ResetControl::kSize, reset_control_, "reset control"},
  };
  for (const Place& place : places) {
    const Status status = place.map.attach(place.base, place.size, place.chip, place.name);
    BHVM_CHECK(status.ok(), "the memory map has an overlap");
  }
}

void Platform::on_event(u32 target, u32 kind, u64 argument) {
  switch (target) {
    case kLocalApicTarget:
      local_apic_.on_event(kind, argument);
      break;
    case kHpetTarget:
      hpet_.on_event(kind, argument);
      break;
    case kAcpiPmTarget:
      acpi_pm_.on_event(kind, argument);
      break;
    case kRtcTarget:
      rtc_.on_event(kind, argument);
      break;
    case kUartTarget:
      uart_.on_event(kind, argument);
      break;
    default:
      break;  // of a snapshot that was tampered with
  }
}

void Platform::clock_changing() {
  hpet_.clock_changing();
  acpi_pm_.clock_changing();
  rtc_.clock_changing();
}

void Platform::clock_changed() {
  local_apic_.clock_changed();
  hpet_.clock_changed();
  acpi_pm_.clock_changed();
  rtc_.clock_changed();
}

PlatformState Platform::state() const {
  return {local_apic_.state(), io_apic_.state(),       hpet_.state(),           acpi_pm_.state(),     rtc_.state(),
          uart_.state(),       reset_control_.state(), system_control_.state(), timer_jitter_.state()};
}

void Platform::set_state(const PlatformState& state) {
  local_apic_.set_state(state.local_apic);
  io_apic_.set_state(state.io_apic);
  hpet_.set_state(state.hpet);
  acpi_pm_.set_state(state.acpi_pm);
  rtc_.set_state(state.rtc);
  uart_.set_state(state.uart);
  reset_control_.set_state(state.reset_control);
  system_control_.set_state(state.system_control);
  timer_jitter_.set_state(state.timer_jitter);
}

}  // namespace bhvm
