#include "oracle/lockstep/lockstep_run.h"

#include <fmt/format.h>

#include <chrono>

namespace bhvm::lockstep {
namespace {

using Clock = std::chrono::steady_clock;

constexpr u64 kToldEvery = 100'000;  // instructions

/// The rule by which an instruction's register results are QEMU's whatever bhvm computed.
std::optional<Rule> adopted_result(ZydisMnemonic mnemonic) {
  switch (mnemonic) {
    case ZYDIS_MNEMONIC_CPUID:
      return Rule::kCpuid;
    case ZYDIS_MNEMONIC_RDTSC:
    case ZYDIS_MNEMONIC_RDTSCP:
      return Rule::kTimeStamp;
    case ZYDIS_MNEMONIC_RDRAND:
    case ZYDIS_MNEMONIC_RDSEED:
      return Rule::kRandom;
    default:
      return std::nullopt;
  }
}

}  // namespace

void LockstepRun::adopt(const QemuState& after) {
  CpuState& s = bhvm_->cpu().s;
  unsigned registers = info_.registers_written;
  if (info_.mnemonic == ZYDIS_MNEMONIC_RDTSCP) registers &= ~(1u << kRcx);  // IA32_TSC_AUX is no time
  for (unsigned i = 0; i < (after.code64 ? 16u : 8u); ++i) {
    if ((registers >> i & 1) != 0) s.gpr[i] = after.gpr[i];
  }
  if (info_.flags_written) bhvm_->adopt_flags((s.rflags & ~rflags::kArithmetic) | (after.rflags & rflags::kArithmetic));
}

void LockstepRun::remember() {
  if (history_.size() < kHistory) {
    history_.push_back({report_.instructions, bhvm_->state()});
    return;
  }
  history_[history_next_] = {report_.instructions, bhvm_->state()};
  history_next_ = (history_next_ + 1) % kHistory;
}

LockstepRun::Verdict LockstepRun::diverge(std::string what, const QemuState* theirs) {
  Divergence d;
  d.what = std::move(what);
  for (std::size_t i = 0; i < history_.size(); ++i) {
    const Past& past = history_[(history_next_ + i) % history_.size()];
    d.history.push_back({past.instruction, disassemble(bhvm_->memory(), past.state), kernel_.symbolise(past.state.rip),
                         past.state.rip});
    d.instruction = past.instruction;
  }
  if (!history_.empty() && pending_) {
    const Past& last = history_[(history_next_ + history_.size() - 1) % history_.size()];
    d.before = fields(last.state, last.state.shadow_at == last.state.instructions, *pending_);
  }
  if (theirs != nullptr) d.fields = fields(bhvm_->state(), bhvm_->shadow(), *theirs);
  report_.divergence = std::move(d);
  return Verdict::kDiverged;
}

LockstepRun::Verdict LockstepRun::bhvm_stopped(BhvmSide::Step how) {
  if (how == BhvmSide::Step::kDone) return Verdict::kGoOn;
  return diverge(how == BhvmSide::Step::kShutdown ? "bhvm shuts down (a triple fault); QEMU goes on"
                                                  : fmt::format("bhvm stops: {}", bhvm_->cpu().stop_message),
                 nullptr);
}

UndefinedFlags LockstepRun::pending_undefined() const {
  const u64 count = info_.shift_by_cl ? pending_->gpr[kRcx] & 0xFF : info_.shift_immediate;
  return undefined_flags(info_.mnemonic, {count, info_.shift_width});
}

LockstepRun::Verdict LockstepRun::settle_with(const QemuState& after) {
  const CpuState& s = bhvm_->state();
  if (equal(s, bhvm_->shadow(), after)) return Verdict::kGoOn;
  if (pending_ && s.rip == after.rip) {
    const UndefinedFlags undefined = pending_undefined();
    const u64 different = s.rflags ^ after.rflags;
    if ((different & undefined.flags) != 0) {
      report_.rules.count(undefined.rule);
      bhvm_->adopt_flags(s.rflags ^ (different & undefined.flags));
    }
  }
  CpuState& ours = bhvm_->cpu().s;
  const u16 cs = after.segments[kCs].attributes();
  if ((ours.segments[kCs].attributes ^ cs) == descriptor::kAccessed && (cs & descriptor::kAccessed) == 0) {
    report_.rules.count(Rule::kCodeAccessed);
    ours.segments[kCs].attributes = cs;
  }
  if (equal(s, bhvm_->shadow(), after)) return Verdict::kGoOn;
  return diverge("the states differ after the instruction", &after);
}

LockstepRun::Verdict LockstepRun::execute_msr(const QemuState* after, const LogEvent* raised) {
  const bool read = info_.mnemonic == ZYDIS_MNEMONIC_RDMSR;
  report_.rules.count(read ? Rule::kMsrRead : Rule::kMsrWrite);
  if (raised != nullptr) {
    if (!bhvm_->raise(raised->vector, raised->error_code)) return bhvm_stopped(BhvmSide::Step::kShutdown);
    return Verdict::kGoOn;
  }
  bhvm_->skip(info_.length);
  if (read && after != nullptr) adopt(*after);
  return Verdict::kGoOn;
}

LockstepRun::Verdict LockstepRun::execute(const QemuState* after, const LogEvent* raised) {
  remember();
  ++report_.instructions;
  const bool msr = info_.mnemonic == ZYDIS_MNEMONIC_RDMSR || info_.mnemonic == ZYDIS_MNEMONIC_WRMSR;
  if (msr && !msr_is_compared(static_cast<u32>(pending_->gpr[kRcx]))) return execute_msr(after, raised);
  if (const Verdict stopped = bhvm_stopped(bhvm_->step()); stopped == Verdict::kDiverged) return stopped;
  const std::optional<Rule> rule = bhvm_->outside_read() ? bhvm_->outside_read() : adopted_result(info_.mnemonic);
  if (!rule) return Verdict::kGoOn;
  if (bhvm_->outside_read() && info_.device_data_to_memory) {
    return diverge("the instruction moves a device's value to memory, where it cannot be followed", after);
  }
  if (after == nullptr || bhvm_->state().rip != after->rip) return Verdict::kGoOn;
  report_.rules.count(*rule);
  adopt(*after);
  return Verdict::kGoOn;
}

LockstepRun::Verdict LockstepRun::part_of_repeat(const QemuState& interrupted) {
  CpuState& s = bhvm_->cpu().s;
  const u64 mask = info_.count_mask;
  const u64 left = interrupted.gpr[kRcx] & mask;
  const u64 done = (s.gpr[kRcx] & mask) - left;
  report_.rules.count(Rule::kRepInterrupted);
  remember();
  s.gpr[kRcx] = (s.gpr[kRcx] & ~mask) | done;
  if (const Verdict stopped = bhvm_stopped(bhvm_->step()); stopped == Verdict::kDiverged) return stopped;
  s.gpr[kRcx] = (s.gpr[kRcx] & ~mask) | left;
  s.rip = interrupted.rip;
  return Verdict::kGoOn;
}

bool LockstepRun::repeats_in_place(const QemuState& state) const {
  return info_.repeated && state.rip == pending_->rip && state.code64 == pending_->code64;
}

LockstepRun::Verdict LockstepRun::take_exception(const LogEvent& event) {
  const QemuState& state = event.state;
  if (!event.hardware) {
    // The fault, or the INT, of the pending instruction; without one, a fault of a delivery: bhvm has done both.
    if (!pending_) return Verdict::kGoOn;
    ++report_.exceptions;
    const Verdict verdict = execute(nullptr, &event);
    pending_.reset();
    return verdict;
  }
  if (pending_ && !same_point(*pending_, state)) {
    const Verdict verdict = repeats_in_place(state) ? part_of_repeat(state) : execute(&state, nullptr);
    if (verdict == Verdict::kDiverged) return verdict;
    if (settle_with(state) == Verdict::kDiverged) return Verdict::kDiverged;
  } else if (!pending_ && settle_with(state) == Verdict::kDiverged) {
    return Verdict::kDiverged;
  }
  pending_.reset();
  if (!bhvm_->interrupt(event.vector)) {
    return diverge(fmt::format("QEMU takes interrupt {:#04x} where bhvm has interrupts blocked", event.vector), &state);
  }
  report_.rules.count(Rule::kInterrupt);
  return Verdict::kGoOn;
}

LockstepRun::Verdict LockstepRun::take(const LogEvent& event) {
  ++report_.events;
  if (event.kind == EventKind::kException) return take_exception(event);
  const QemuState& state = event.state;
  if (!started_) {
    bhvm_->start(qemu_->initial_ram(), state);
    qemu_->forget_initial_ram();
    started_ = true;
  } else if (pending_ && same_point(*pending_, state)) {
    report_.rules.count(Rule::kPrintedTwice);
    return Verdict::kGoOn;
  } else if (pending_ && repeats_in_place(state)) {
    report_.rules.count(Rule::kRepIteration);
    return Verdict::kGoOn;
  } else {
    if (pending_ && execute(&state, nullptr) == Verdict::kDiverged) return Verdict::kDiverged;
    if (settle_with(state) == Verdict::kDiverged) return Verdict::kDiverged;
    count_tolerated(bhvm_->state(), state, report_.rules);
  }
  pending_ = state;
  info_ = reader_.at(bhvm_->memory(), bhvm_->state());
  return Verdict::kGoOn;
}

void LockstepRun::order_ram_comparison() {
  const bool last = report_.instructions >= options_.instructions;
  if (last) ++ram_last_tries_;
  while (ram_next_ <= report_.instructions) ram_next_ += options_.compare_ram_every;
  if (!qemu_->settled()) return;
  ram_copy_.assign(qemu_->ram().begin(), qemu_->ram().end());
  ram_due_ = {log_->written(), last};
}

LockstepRun::Verdict LockstepRun::compare_ram() {
  auto found = ram_differences(bhvm_->memory(), ram_copy_, 64);
  std::erase_if(found, [&](const RamDifference& d) {
    constexpr u64 kAccessedBit = u64{descriptor::kAccessed} << 40;
    const bool code_descriptor = (d.ours >> 43 & 3) == 3;  // S and code
    const bool explained = d.ours == (d.theirs | kAccessedBit) && code_descriptor;
    if (explained) report_.rules.count(Rule::kCodeAccessed);
    return explained;
  });
  ++report_.ram_comparisons;
  report_.rules.count(Rule::kFirmware);
  if (found.empty()) return Verdict::kGoOn;
  diverge("RAM differs; the store that made the difference is one since the last comparison of RAM", nullptr);
  report_.divergence->ram = std::move(found);
  return Verdict::kDiverged;
}

LockstepRun::Verdict LockstepRun::look_at_ram(const LogEvent& event, u64 event_start) {
  if (options_.compare_ram_every == 0) return Verdict::kGoOn;
  if (ram_due_ && log_->position() > ram_due_->position) {
    // The copy is right for this event alone, and only if bhvm stands where QEMU stands; else another copy is made.
    const bool right = event_start <= ram_due_->position && event.kind == EventKind::kState && pending_ &&
                       same_point(*pending_, event.state);
    const bool last = ram_due_->last;
    ram_due_.reset();
    if (right) {
      ram_done_ = last;
      return compare_ram();
    }
  }
  const bool at_end = report_.instructions >= options_.instructions;
  if (!ram_due_ && (at_end || report_.instructions >= ram_next_)) order_ram_comparison();
  return Verdict::kGoOn;
}

bool LockstepRun::complete() const {
  constexpr unsigned kMostTries = 20;  // QEMU may be idle, or inside a REP instruction
  return report_.instructions >= options_.instructions &&
         (options_.compare_ram_every == 0 || ram_done_ || (ram_last_tries_ >= kMostTries && !ram_due_));
}

Status LockstepRun::run(const std::function<void(const RunReport&)>& progress) {
  const auto start = Clock::now();
  auto side = BhvmSide::create(options_.qemu.memory_bytes);
  if (!side) return side.error();
  bhvm_ = std::move(side).value();
  auto session = QemuSession::start(options_.qemu);
  if (!session) return session.error();
  qemu_ = std::move(session).value();
  log_ = std::make_unique<LogStream>(qemu_->log_fd(), options_.qemu.fpu);
  ram_next_ = options_.compare_ram_every;
  LogEvent event;
  u64 told = 0;
  while (!complete()) {
    const u64 event_start = log_->position();
    auto more = log_->next(event);
    if (!more) return Error{fmt::format("{} {}", more.error().message, qemu_->epitaph())};
    if (!more.value()) {
      report_.ended_early = qemu_->epitaph();
      break;
    }
    const Verdict verdict = take(event);
    report_.bytes = log_->position();
    report_.seconds = std::chrono::duration<double>(Clock::now() - start).count();
    if (verdict == Verdict::kDiverged || look_at_ram(event, event_start) == Verdict::kDiverged) break;
    if (report_.instructions / kToldEvery != told) {
      told = report_.instructions / kToldEvery;
      progress(report_);
    }
  }
  return success();
}

}  // namespace bhvm::lockstep
