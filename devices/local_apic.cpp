#include "devices/local_apic.h"

#include <bit>

#include "devices/register_bytes.h"

namespace bhvm {
namespace {

using Register = LocalApicRegister;

// IA32_APIC_BASE (11.4.4).
constexpr u64 kBaseBsp = u64{1} << 8;
constexpr u64 kBaseEnable = u64{1} << 11;

constexpr u32 kVersionValue = 0x0005'0014;  // integrated APIC, highest LVT entry 5
constexpr u32 kSvrEnable = 1 << 8;
constexpr u32 kSvrWritable = 0x1FF;
constexpr u32 kDfrOnes = 0x0FFF'FFFF;
constexpr u32 kLvtMasked = 1 << 16;
constexpr unsigned kVectorMin = 16;  // vectors below are illegal (11.5.2)

// Error status register (11.5.3).
constexpr u32 kSendIllegalVector = 1 << 5;
constexpr u32 kReceiveIllegalVector = 1 << 6;
constexpr u32 kIllegalRegisterAddress = 1 << 7;

// Interrupt command register, low half (11.6.1).
constexpr u32 kIcrWritable = 0x000C'CFFF;  // delivery status (bit 12) is always idle
enum Shorthand : u32 { kNoShorthand = 0, kSelf = 1, kAllIncludingSelf = 2, kAllExcludingSelf = 3 };

// Writable bits of the LVT registers, from the timer's on (figure 11-8).
constexpr std::array<u32, 6> kLvtWritable = {
    0x0007'00FF,  // timer: vector, mask, mode
    0x0001'07FF,  // thermal sensor: vector, delivery mode, mask
    0x0001'07FF,  // performance counters
    0x0001'A7FF,  // LINT0: and polarity, trigger mode
    0x0001'A7FF,  // LINT1
    0x0001'00FF,  // error: vector, mask
};

constexpr u64 offset_of(Register r) { return static_cast<u64>(r); }
constexpr u64 lvt_index(Register r) { return (offset_of(r) - offset_of(Register::kLvtTimer)) / 16; }

/// The highest bit of a 256-bit set, or -1.
int highest(const std::array<u32, 8>& set) {
  for (int word = 7; word >= 0; --word) {
    const u32 bits = set[static_cast<std::size_t>(word)];
    if (bits != 0) return 32 * word + 31 - std::countl_zero(bits);
  }
  return -1;
}

void assign(std::array<u32, 8>& set, unsigned bit, bool value) {
  const u32 mask = u32{1} << (bit % 32);
  set[bit / 32] = value ? set[bit / 32] | mask : set[bit / 32] & ~mask;
}

bool test(const std::array<u32, 8>& set, unsigned bit) { return (set[bit / 32] >> (bit % 32) & 1) != 0; }

/// Is `offset` one of the eight words that begin at `first`? Then `word` says which.
bool in_set(u64 offset, Register first, std::size_t& word) {
  word = static_cast<std::size_t>((offset - offset_of(first)) / 16);
  return offset >= offset_of(first) && word < 8;
}

}  // namespace

LocalApic::LocalApic(EventPort events, Line intr, Line nmi, const LocalApicConfig& config)
    : intr_(intr),
      nmi_(nmi),
      base_(config.base),
      timer_(events, ClockRate(config.timer_hz), ClockRate(config.tsc_hz), state_.timer, config.timer_jitter) {
  reset();
}

void LocalApic::reset() {
  state_.apic_base = base_ | kBaseEnable | kBaseBsp;
  reset_registers();
  state_.timer.tsc_adjust = 0;
  update_line();
}

/// The state after power-up (11.4.7.1); IA32_APIC_BASE and IA32_TSC_ADJUST stay.
void LocalApic::reset_registers() {
  timer_.reset();
  const LocalApicState old = state_;
  state_ = {};
  state_.apic_base = old.apic_base;
  state_.timer = old.timer;
  state_.dfr = ~u32{0};
  state_.svr = 0xFF;
  state_.lvt.fill(kLvtMasked);
}

bool LocalApic::enabled() const { return (state_.apic_base & kBaseEnable) != 0; }
bool LocalApic::software_enabled() const { return (state_.svr & kSvrEnable) != 0; }

// ---- Registers ----

u64 LocalApic::read(u64 offset, unsigned size) {
  if (!enabled()) return low_bytes_mask(size);
  u64 value = read_register(offset & ~u64{15});
  if (const u64 byte = offset & 15; byte < 4) return register_bytes(value, byte, size);
  return 0;
}

void LocalApic::write(u64 offset, unsigned size, u64 value) {
  if (!enabled() || (size != 4 && size != 8) || (offset & 15) != 0) return;
  write_register(offset, static_cast<u32>(value));
}

u32 LocalApic::read_register(u64 offset) {
  std::size_t word = 0;
  if (in_set(offset, Register::kIsr, word)) return state_.isr[word];
  if (in_set(offset, Register::kTmr, word)) return state_.tmr[word];
  if (in_set(offset, Register::kIrr, word)) return state_.irr[word];
  switch (static_cast<Register>(offset)) {
    case Register::kId:
      return u32{state_.id} << 24;
    case Register::kVersion:
      return kVersionValue;
    case Register::kTpr:
      return state_.tpr;
    case Register::kPpr:
      return processor_priority();
    case Register::kEoi:
      return 0;
    case Register::kLdr:
      return state_.ldr;
    case Register::kDfr:
      return state_.dfr;
    case Register::kSvr:
      return state_.svr;
    case Register::kEsr:
      return state_.esr;
    case Register::kIcrLow:
      return state_.icr_low;
    case Register::kIcrHigh:
      return state_.icr_high;
    case Register::kLvtTimer:
    case Register::kLvtThermal:
    case Register::kLvtPerformance:
    case Register::kLvtLint0:
    case Register::kLvtLint1:
    case Register::kLvtError:
      return state_.lvt[lvt_index(static_cast<Register>(offset))];
    case Register::kInitialCount:
      return timer_.initial_count();
    case Register::kCurrentCount:
      return timer_.current_count();
    case Register::kDivideConfiguration:
      return state_.timer.divide_configuration;
    default:
      report_error(kIllegalRegisterAddress);
      return 0;
  }
}

void LocalApic::write_register(u64 offset, u32 value) {
  std::size_t word = 0;
  if (in_set(offset, Register::kIsr, word) || in_set(offset, Register::kTmr, word) ||
      in_set(offset, Register::kIrr, word)) {
    return;
  }
  switch (static_cast<Register>(offset)) {
    case Register::kId:
      state_.id = static_cast<u8>(value >> 24);
      break;
    case Register::kVersion:
    case Register::kPpr:
    case Register::kCurrentCount:
      break;
    case Register::kTpr:
      state_.tpr = static_cast<u8>(value);
      update_line();
      break;
    case Register::kEoi:
      end_of_interrupt();
      break;
    case Register::kLdr:
      state_.ldr = value & 0xFF00'0000;
      break;
    case Register::kDfr:
      state_.dfr = value | kDfrOnes;
      break;
    case Register::kSvr:
      write_svr(value);
      break;
    case Register::kEsr:
      state_.esr = state_.esr_pending;
      state_.esr_pending = 0;
      break;
    case Register::kIcrLow:
      state_.icr_low = value & kIcrWritable;
      send_ipi();
      break;
    case Register::kIcrHigh:
      state_.icr_high = value & 0xFF00'0000;
      break;
    case Register::kLvtTimer:
    case Register::kLvtThermal:
    case Register::kLvtPerformance:
    case Register::kLvtLint0:
    case Register::kLvtLint1:
    case Register::kLvtError:
      write_lvt(lvt_index(static_cast<Register>(offset)), value);
      break;
    case Register::kInitialCount:
      timer_.set_initial_count(value);
      break;
    case Register::kDivideConfiguration:
      timer_.set_divide_configuration(value & 0xB);
      break;
    default:
      report_error(kIllegalRegisterAddress);
      break;
  }
}

void LocalApic::write_lvt(u64 index, u32 value) {
  state_.lvt[index] = (value & kLvtWritable[index]) | (software_enabled() ? 0 : kLvtMasked);
  if (index == lvt_index(Register::kLvtTimer)) timer_.set_mode(static_cast<ApicTimerMode>((value >> 17) & 3));
}

/// A software-disabled APIC keeps what is in IRR and ISR, and its LVT entries are masked (11.4.7.2).
void LocalApic::write_svr(u32 value) {
  state_.svr = value & kSvrWritable;
  if (software_enabled()) return;
  for (u32& lvt : state_.lvt) lvt |= kLvtMasked;
}

bool LocalApic::read_msr(u32 index, u64& value) const {
  switch (index) {
    case kMsrApicBase:
      value = state_.apic_base;
      return true;
    case kMsrTscDeadline:
      value = timer_.tsc_deadline();
      return true;
    default:
      return false;
  }
}

bool LocalApic::write_msr(u32 index, u64 value) {
  switch (index) {
    case kMsrApicBase: {
      if ((value & ~kBaseEnable & ~kBaseBsp) != base_) return false;  // relocation, EXTD, reserved bits
      const bool was_enabled = enabled();
      state_.apic_base = (value & ~kBaseBsp) | kBaseBsp;
      if (was_enabled && !enabled()) reset_registers();
      update_line();
      return true;
    }
    case kMsrTscDeadline:
      if (timer_.set_tsc_deadline(value)) fire_lvt(Register::kLvtTimer);
      return true;
    default:
      return false;
  }
}

void LocalApic::write_cr8(u64 value) {
  state_.tpr = static_cast<u8>((value & 0xF) << 4);
  update_line();
}

// ---- Priorities (11.8.3, 11.8.4) ----

u8 LocalApic::processor_priority() const {
  const int in_service = highest(state_.isr);
  const u8 isr_class = in_service < 0 ? 0 : static_cast<u8>(in_service & 0xF0);
  return (state_.tpr & 0xF0) >= isr_class ? state_.tpr : isr_class;
}

bool LocalApic::interrupt_pending() const {
  const int requested = highest(state_.irr);
  return requested >= 0 && (requested >> 4) > (processor_priority() >> 4);
}

int LocalApic::acknowledge() {
  if (!enabled()) return -1;
  if (!interrupt_pending()) return static_cast<int>(state_.svr & 0xFF);
  const int vector = highest(state_.irr);
  assign(state_.irr, static_cast<unsigned>(vector), false);
  assign(state_.isr, static_cast<unsigned>(vector), true);
  update_line();
  return vector;
}

void LocalApic::end_of_interrupt() {
  const int vector = highest(state_.isr);
  if (vector < 0) return;
  assign(state_.isr, static_cast<unsigned>(vector), false);
  const bool level = test(state_.tmr, static_cast<unsigned>(vector));
  update_line();
  if (level && eoi_listener_ != nullptr) eoi_listener_->end_of_interrupt(static_cast<u8>(vector));
}

// ---- Interrupts in ----

bool LocalApic::addressed(const InterruptMessage& message) const {
  constexpr u8 kBroadcast = 0xFF;
  if (!message.logical) return message.destination == state_.id || message.destination == kBroadcast;
  const u8 logical_id = static_cast<u8>(state_.ldr >> 24);
  if (state_.dfr >> 28 == 0xF) return (message.destination & logical_id) != 0;  // flat model (11.6.2.2)
  const u8 cluster = message.destination >> 4;
  return (cluster == 0xF || cluster == logical_id >> 4) && (message.destination & logical_id & 0xF) != 0;
}

bool LocalApic::deliver(const InterruptMessage& message) { return enabled() && addressed(message) && accept(message); }

bool LocalApic::accept(const InterruptMessage& message) {
  switch (message.mode) {
    case DeliveryMode::kFixed:
    case DeliveryMode::kLowestPriority:
      if (!software_enabled()) return false;
      if (message.vector < kVectorMin) {
        report_error(kReceiveIllegalVector);
      } else {
        request(message.vector, message.level);
      }
      return true;
    case DeliveryMode::kNmi:
      nmi_.set(true);
      nmi_.set(false);
      return true;
    default:
      return true;  // dropped
  }
}

/// Accepts a request into IRR; TMR remembers how it was triggered (11.8.4).
void LocalApic::request(u8 vector, bool level) {
  assign(state_.irr, vector, true);
  assign(state_.tmr, vector, level);
  update_line();
}

void LocalApic::send_ipi() {
  const u32 icr = state_.icr_low;
  InterruptMessage message;
  message.vector = static_cast<u8>(icr);
  message.mode = static_cast<DeliveryMode>((icr >> 8) & 7);
  message.destination = static_cast<u8>(state_.icr_high >> 24);
  message.logical = (icr & (1 << 11)) != 0;
  const bool has_vector = message.mode == DeliveryMode::kFixed || message.mode == DeliveryMode::kLowestPriority;
  if (has_vector && message.vector < kVectorMin) {
    report_error(kSendIllegalVector);
    return;
  }
  switch (static_cast<Shorthand>((icr >> 18) & 3)) {
    case kNoShorthand:
      deliver(message);
      break;
    case kSelf:
    case kAllIncludingSelf:
      accept(message);
      break;
    case kAllExcludingSelf:
      break;  // there is no other processor
  }
}

void LocalApic::fire_lvt(LocalApicRegister lvt) {
  const u32 entry = state_.lvt[lvt_index(lvt)];
  if ((entry & kLvtMasked) != 0) return;
  if ((entry & 0xFF) < kVectorMin) {
    report_error(kReceiveIllegalVector);
  } else {
    request(static_cast<u8>(entry), false);
  }
}

/// Logs an error; the error interrupt comes when the bit was clear (so an illegal vector in LVT error ends here).
void LocalApic::report_error(u32 bit) {
  if ((state_.esr_pending & bit) != 0) return;
  state_.esr_pending |= bit;
  fire_lvt(Register::kLvtError);
}

void LocalApic::on_event(u32 kind, u64) {
  if (kind == ApicTimer::kExpiry && timer_.on_expiry()) fire_lvt(Register::kLvtTimer);
}

void LocalApic::tsc_adjusted(u64 adjust) {
  if (timer_.set_tsc_adjust(adjust)) fire_lvt(Register::kLvtTimer);
}

void LocalApic::clock_changed() {
  if (timer_.clock_changed()) fire_lvt(Register::kLvtTimer);
}

}  // namespace bhvm
