#include "devices/uart_16550.h"

#include <algorithm>

#include "devices/clock_rate.h"

namespace bhvm {
namespace {

using Register = UartRegister;

constexpr u32 kReceiveTimeOut = 0;  // event kind

// IER.
constexpr u8 kErbfi = 0x01;  // received data available
constexpr u8 kEtbei = 0x02;  // transmitter holding register empty
constexpr u8 kElsi = 0x04;   // line status
constexpr u8 kEdssi = 0x08;  // modem status
// IIR.
constexpr u8 kNoInterrupt = 0x01;
constexpr u8 kModemStatusInterrupt = 0x00;
constexpr u8 kTransmitterEmpty = 0x02;
constexpr u8 kReceivedData = 0x04;
constexpr u8 kLineStatus = 0x06;
constexpr u8 kCharacterTimeOut = 0x0C;
constexpr u8 kFifosEnabled = 0xC0;
// FCR.
constexpr u8 kFifoEnable = 0x01;
constexpr u8 kClearReceiver = 0x02;
constexpr u8 kTriggerMask = 0xC0;
// LCR.
constexpr u8 kTwoStopBits = 0x04;
constexpr u8 kParity = 0x08;
constexpr u8 kDlab = 0x80;
// MCR.
constexpr u8 kDtr = 0x01;
constexpr u8 kRts = 0x02;
constexpr u8 kOut1 = 0x04;
constexpr u8 kOut2 = 0x08;
constexpr u8 kLoop = 0x10;
// LSR.
constexpr u8 kDataReady = 0x01;
constexpr u8 kOverrun = 0x02;
constexpr u8 kThreAndTemt = 0x60;
// MSR, upper half; each has a delta bit four places lower.
constexpr u8 kCts = 0x10;
constexpr u8 kDsr = 0x20;
constexpr u8 kRi = 0x40;
constexpr u8 kDcd = 0x80;

constexpr u8 kTriggerLevels[] = {1, 4, 8, 14};
constexpr u64 kTimeOutCharacters = 4;
constexpr u64 kClocksPerBit = 16;

}  // namespace

Uart16550::Uart16550(EventPort events, Line irq, ByteSink& sink) : events_(events), irq_(irq), sink_(&sink) { reset(); }

void Uart16550::reset() {
  Uart16550State fresh;
  fresh.divisor = 1;
  fresh.transmitter_empty_interrupt = true;
  fresh.input = std::move(state_.input);
  state_ = std::move(fresh);
  events_.disarm(kReceiveTimeOut);
  refresh();
}

void Uart16550::set_state(const Uart16550State& state) {
  state_ = state;
  state_.fifo_count = std::min(state.fifo_count, kUartFifoSize);
  if (state_.input.size() > kInputMax) state_.input.resize(kInputMax);
}

bool Uart16550::divisor_latched() const { return (state_.lcr & kDlab) != 0; }
bool Uart16550::loopback() const { return (state_.mcr & kLoop) != 0; }
bool Uart16550::listening() const { return !loopback() && (state_.mcr & kRts) != 0; }
u8 Uart16550::fifo_capacity() const { return (state_.fcr & kFifoEnable) != 0 ? kUartFifoSize : u8{1}; }
u8 Uart16550::trigger_level() const {
  return (state_.fcr & kFifoEnable) != 0 ? kTriggerLevels[state_.fcr >> 6] : u8{1};
}

// ---- Status and interrupts ----

/// The modem's lines: a ready peer, or in loopback mode the UART's own outputs.
u8 Uart16550::modem_status() const {
  if (!loopback()) return kCts | kDsr | kDcd;
  u8 lines = 0;
  if ((state_.mcr & kRts) != 0) lines |= kCts;
  if ((state_.mcr & kDtr) != 0) lines |= kDsr;
  if ((state_.mcr & kOut1) != 0) lines |= kRi;
  if ((state_.mcr & kOut2) != 0) lines |= kDcd;
  return lines;
}

u8 Uart16550::line_status() const {
  return static_cast<u8>(kThreAndTemt | (state_.fifo_count != 0 ? kDataReady : 0) | (state_.overrun ? kOverrun : 0));
}

/// The pending interrupt of the highest priority (PC16550D, table 4).
u8 Uart16550::interrupt_identification() const {
  const auto enabled = [&](u8 bit) { return (state_.ier & bit) != 0; };
  if (enabled(kElsi) && state_.overrun) return kLineStatus;
  if (enabled(kErbfi) && state_.fifo_count >= trigger_level()) return kReceivedData;
  if (enabled(kErbfi) && state_.receive_time_out) return kCharacterTimeOut;
  if (enabled(kEtbei) && state_.transmitter_empty_interrupt) return kTransmitterEmpty;
  if (enabled(kEdssi) && state_.msr_delta != 0) return kModemStatusInterrupt;
  return kNoInterrupt;
}

void Uart16550::refresh() {
  const bool connected = (state_.mcr & kOut2) != 0 && !loopback();
  irq_.set(connected && interrupt_identification() != kNoInterrupt);
}

// ---- Reception ----

std::size_t Uart16550::receive(std::span<const u8> bytes) {
  const std::size_t taken = std::min(bytes.size(), input_room());
  state_.input.insert(state_.input.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(taken));
  fill_fifo();
  refresh();
  return taken;
}

/// Moves waiting input into the FIFO.
void Uart16550::fill_fifo() {
  if (!listening() || state_.input.empty() || state_.fifo_count >= fifo_capacity()) return;
  const std::size_t room = fifo_capacity() - state_.fifo_count;
  const std::size_t moved = std::min(room, state_.input.size());
  for (std::size_t i = 0; i < moved; ++i) push(state_.input[i]);
  state_.input.erase(state_.input.begin(), state_.input.begin() + static_cast<std::ptrdiff_t>(moved));
}

/// A character arrives. Without room it overruns: a FIFO keeps what it has, the single buffer is overwritten.
void Uart16550::push(u8 byte) {
  if (state_.fifo_count < fifo_capacity()) {
    state_.fifo[state_.fifo_count++] = byte;
  } else {
    state_.overrun = true;
    if (fifo_capacity() == 1) state_.fifo[0] = byte;
  }
  restart_time_out();
}

void Uart16550::clear_fifo() {
  state_.fifo.fill(0);
  state_.fifo_count = 0;
  restart_time_out();
}

/// Four characters' time at the programmed speed and format.
u64 Uart16550::time_out_ns() const {
  const u64 bits =
      1 + 5 + (state_.lcr & 3u) + ((state_.lcr & kParity) != 0 ? 1 : 0) + ((state_.lcr & kTwoStopBits) != 0 ? 2 : 1);
  const u64 divisor = state_.divisor == 0 ? 0x10000 : state_.divisor;
  return ClockRate(kClockHz).ns_until(kTimeOutCharacters * bits * kClocksPerBit * divisor);
}

/// The time-out counts from the last character that came or was read, while the FIFO is below its trigger level.
void Uart16550::restart_time_out() {
  state_.receive_time_out = false;
  events_.disarm(kReceiveTimeOut);
  if (state_.fifo_count == 0 || state_.fifo_count >= trigger_level()) return;
  const u64 time_ns = add_ns(events_.now_ns(), time_out_ns());
  if (time_ns != ClockRate::kNever) events_.arm(kReceiveTimeOut, time_ns);
}

void Uart16550::on_event(u32, u64) {
  state_.receive_time_out = state_.fifo_count != 0;
  refresh();
}

// ---- Registers ----

u8 Uart16550::read_byte(u64 offset) {
  if (offset >= kSize) return 0xFF;
  switch (static_cast<Register>(offset)) {
    case Register::kRbrThr:
      return divisor_latched() ? static_cast<u8>(state_.divisor) : read_receiver();
    case Register::kIer:
      return divisor_latched() ? static_cast<u8>(state_.divisor >> 8) : state_.ier;
    case Register::kIirFcr:
      return read_interrupt_identification();
    case Register::kLcr:
      return state_.lcr;
    case Register::kMcr:
      return state_.mcr;
    case Register::kLsr: {
      const u8 status = line_status();
      state_.overrun = false;
      refresh();
      return status;
    }
    case Register::kMsr: {
      const u8 status = modem_status() | state_.msr_delta;
      state_.msr_delta = 0;
      refresh();
      return status;
    }
    case Register::kScr:
      return state_.scr;
  }
  return 0xFF;
}

void Uart16550::write_byte(u64 offset, u8 value) {
  if (offset >= kSize) return;
  switch (static_cast<Register>(offset)) {
    case Register::kRbrThr:
      if (divisor_latched()) {
        state_.divisor = static_cast<u16>((state_.divisor & 0xFF00) | value);
      } else {
        write_transmitter(value);
      }
      break;
    case Register::kIer:
      if (divisor_latched()) {
        state_.divisor = static_cast<u16>((state_.divisor & 0x00FF) | value << 8);
      } else {
        write_interrupt_enable(value);
      }
      break;
    case Register::kIirFcr:
      write_fifo_control(value);
      break;
    case Register::kLcr:
      state_.lcr = value;
      break;
    case Register::kMcr:
      write_modem_control(value);
      break;
    case Register::kLsr:  // for factory tests only
    case Register::kMsr:
      break;
    case Register::kScr:
      state_.scr = value;
      break;
  }
  fill_fifo();
  refresh();
}

u8 Uart16550::read_receiver() {
  if (state_.fifo_count == 0) return 0;
  const u8 byte = state_.fifo[0];
  std::copy(state_.fifo.begin() + 1, state_.fifo.end(), state_.fifo.begin());
  state_.fifo.back() = 0;
  --state_.fifo_count;
  restart_time_out();
  fill_fifo();
  refresh();
  return byte;
}

/// Reading the "transmitter empty" identification is what clears it (table 4).
u8 Uart16550::read_interrupt_identification() {
  const u8 identification = interrupt_identification();
  if (identification == kTransmitterEmpty) state_.transmitter_empty_interrupt = false;
  refresh();
  return identification | ((state_.fcr & kFifoEnable) != 0 ? kFifosEnabled : u8{0});
}

void Uart16550::write_transmitter(u8 value) {
  state_.transmitter_empty_interrupt = false;
  refresh();
  if (loopback()) {
    push(value);
  } else {
    sink_->write_bytes({&value, 1});
  }
  state_.transmitter_empty_interrupt = true;
}

void Uart16550::write_interrupt_enable(u8 value) {
  const u8 old = state_.ier;
  state_.ier = value & 0x0F;
  if ((state_.ier & ~old & kEtbei) != 0) state_.transmitter_empty_interrupt = true;  // the transmitter is empty
}

void Uart16550::write_fifo_control(u8 value) {
  const bool enable = (value & kFifoEnable) != 0;
  if (enable != ((state_.fcr & kFifoEnable) != 0)) {  // changing the mode clears the FIFOs
    state_.fcr = enable ? kFifoEnable : u8{0};
    clear_fifo();
  }
  if (!enable) return;  // the other bits are programmed only along with FIFO enable
  state_.fcr = value & (kFifoEnable | kTriggerMask);
  if ((value & kClearReceiver) != 0) {
    clear_fifo();
  } else {
    restart_time_out();
  }
}

void Uart16550::write_modem_control(u8 value) {
  const u8 before = modem_status();
  state_.mcr = value & 0x1F;
  const u8 after = modem_status();
  u8 changed = before ^ after;
  if ((before & kRi) == 0) changed &= static_cast<u8>(~kRi);  // TERI tells of the trailing edge only
  state_.msr_delta |= changed >> 4;
}

}  // namespace bhvm
