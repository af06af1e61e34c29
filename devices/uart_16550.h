// The serial port: a PC16550D UART at its eight ports.
//
// Transmission takes no time: a byte written to THR is at the sink when the instruction completes, THRE and TEMT are
// always set, and the "transmitter empty" interrupt drops at the write and rises again, an edge for every byte while
// it is enabled. The divisor only sets the length of the receive time-out.
//
// Reception loses nothing: bytes from the host wait in a queue and enter the FIFO as it has room, while the guest
// asserts RTS, as over a cable with hardware flow control. (A guest that never does polls in vain; before it does, it
// may enable interrupts and clear FIFOs as drivers do when they look for the chip.) Only a guest can lose bytes: by
// clearing the FIFO while it asserts RTS, or by overrunning it in loopback mode.
//
// The interrupt pin is a level; OUT2 gates it, as on every PC, and loopback mode disconnects OUT2. The board owns the
// line and the sink.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <vector>

#include "bus/line.h"
#include "devices/byte_sink.h"
#include "devices/register_bytes.h"
#include "scheduler/event_port.h"

namespace bhvm {

/// Port offsets (PC16550D, table 2): read / write; DLL and DLM with LCR.DLAB set.
enum class UartRegister : u8 { kRbrThr = 0, kIer = 1, kIirFcr = 2, kLcr = 3, kMcr = 4, kLsr = 5, kMsr = 6, kScr = 7 };

inline constexpr u8 kUartFifoSize = 16;

struct Uart16550State {
  u8 ier = 0;
  u8 fcr = 0;  // FIFO enable and trigger level
  u8 lcr = 0;
  u8 mcr = 0;
  u8 msr_delta = 0;  // low half of MSR
  u8 scr = 0;
  u16 divisor = 0;
  bool overrun = false;                      // LSR.OE
  bool transmitter_empty_interrupt = false;  // pending, enabled or not
  bool receive_time_out = false;
  u8 fifo_count = 0;
  std::array<u8, kUartFifoSize> fifo{};  // oldest first; zeros beyond fifo_count
  std::vector<u8> input;                 // from the host, not yet in the FIFO
};

class Uart16550 final : public ByteChip {
 public:
  static constexpr u64 kSize = 8;
  static constexpr std::size_t kInputMax = 4096;
  static constexpr u64 kClockHz = 1'843'200;

  Uart16550(EventPort events, Line irq, ByteSink& sink);

  /// Bytes from the host; returns how many were taken, the rest must be offered again when input_room() says so.
  std::size_t receive(std::span<const u8> bytes);
  std::size_t input_room() const { return kInputMax - state_.input.size(); }

  void on_event(u32 kind, u64 argument);
  /// The guest's side of the chip; the host's waiting input stays.
  void reset();

  const Uart16550State& state() const { return state_; }
  /// Takes over a saved state: drives no line, arms no event. Counts beyond their arrays are cut.
  void set_state(const Uart16550State& state);

 private:
  u8 read_byte(u64 offset) override;
  void write_byte(u64 offset, u8 value) override;

  bool divisor_latched() const;
  bool loopback() const;
  bool listening() const;
  u8 fifo_capacity() const;
  u8 trigger_level() const;
  u8 modem_status() const;
  u8 line_status() const;
  u8 interrupt_identification() const;
  u64 time_out_ns() const;
  u8 read_receiver();
  u8 read_interrupt_identification();
  void write_transmitter(u8 value);
  void write_interrupt_enable(u8 value);
  void write_fifo_control(u8 value);
  void write_modem_control(u8 value);
  void push(u8 byte);
  void clear_fifo();
  void fill_fifo();
  void restart_time_out();
  void refresh();

  EventPort events_;
  Line irq_;
  ByteSink* sink_;
  Uart16550State state_;
};

}  // namespace bhvm
