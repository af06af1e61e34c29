// What every chip promises: a saved and restored chip is the same chip and behaves the same; reset makes it as new; a
// hostile guest cannot break it; looking more often changes nothing.
#include <gtest/gtest.h>

#include "base/random_stream.h"
#include "devices/acpi_pm.h"
#include "devices/cmos_rtc.h"
#include "devices/hpet.h"
#include "devices/io_apic.h"
#include "devices/local_apic.h"
#include "devices/reset_ports.h"
#include "devices/uart_16550.h"
#include "state/archive.h"
#include "state/hash_state.h"
#include "tests/devices/bench_board.h"

namespace bhvm {
namespace {

/// A chip on a board of its own, with what a board adds to its ports: input, lines, messages.
struct Bench : BenchBoard, InterruptDestination {
  bool deliver(const InterruptMessage& message) override { return message.vector % 4 != 0; }
  MachineLog machine;
  TextSink sink;
};

struct LocalApicBench : Bench {
  using State = LocalApicState;
  LocalApic chip{events(), lines.line(0), lines.line(1), {.timer_hz = 25'000'000, .tsc_hz = 1'000'000'000}};
  void stimulate(RandomStream& r) {
    const u64 choice = r.below(8);
    if (choice == 0) chip.write(0xF0, 4, 0x1FF);
    if (choice == 1) chip.acknowledge();
    if (choice == 2) chip.write_msr(LocalApic::kMsrTscDeadline, now_ns() + r.below(5000));
    if (choice == 3) chip.write_msr(static_cast<u32>(r.below(0x900)), r.next());
    if (choice == 4) chip.write(0xB0, 4, 0);
    if (choice == 5) chip.write_cr8(r.next());
    if (choice == 6) chip.tsc_adjusted(r.below(2000));
    if (choice == 7) {
      const u64 bits = r.next();
      chip.deliver({.vector = static_cast<u8>(bits),
                    .mode = static_cast<DeliveryMode>(bits >> 8 & 7),
                    .destination = static_cast<u8>(bits >> 16),
                    .logical = (bits >> 24 & 1) != 0,
                    .level = (bits >> 25 & 1) != 0});
    }
  }
};

struct IoApicBench : Bench {
  using State = IoApicState;
  IoApic chip{*this};
  void stimulate(RandomStream& r) {
    chip.set_line(static_cast<u32>(r.below(26)), r.below(2) != 0);
    if (r.below(4) == 0) chip.end_of_interrupt(static_cast<u8>(r.next()));
    chip.write(0, 4, 0x10 + r.below(48));
    chip.write(0x10, 4, r.next() & ~(r.below(2) << 16));
  }
};

struct HpetBench : Bench {
  using State = HpetState;
  HpetWiring wiring() {
    HpetWiring w;
    w.legacy_timer0 = lines.line(2);
    w.legacy_timer1 = lines.line(8);
    w.route_capability = 0xFF002000;
    for (u32 i = 9; i < 32; ++i) w.routes[i] = lines.line(i);
    return w;
  }
  Hpet chip{events(), wiring()};
  void stimulate(RandomStream& r) {
    chip.set_line(Hpet::kRtcInput, r.below(2) != 0);
    chip.write(0x10, 4, r.below(8) | 1);
    const u64 timer = 0x100 + 0x20 * r.below(3);
    chip.write(timer, 4, r.next());
    chip.write(timer + 8, 8, chip.read(0xF0, 8) + r.below(500));
  }
};

struct CmosRtcBench : Bench {
  using State = CmosRtcState;
  CmosRtc chip{events(), lines.line(8), 1'700'000'000};
  void stimulate(RandomStream& r) {
    const u64 index = r.below(4) == 0 ? r.below(256) : r.below(14);
    chip.write(0, 2, index | r.next() << 8);
    if (r.below(2) == 0) chip.write(0, 2, 0x0B | (r.next() & 0x77) << 8);
    if (r.below(4) == 0) chip.write(0, 2, 0x0A | 0x2600);
    if (r.below(4) == 0) advance(r.below(3'000'000'000), chip);
  }
};

struct AcpiPmBench : Bench {
  using State = AcpiPmState;
  AcpiPm chip{events(), lines.line(9), machine};
  void stimulate(RandomStream& r) {
    if (r.below(4) == 0) chip.press_power_button();
    if (r.below(8) == 0) advance(r.below(700'000'000'000), chip);
  }
};

struct UartBench : Bench {
  using State = Uart16550State;
  Uart16550 chip{events(), lines.line(4), sink};
  void stimulate(RandomStream& r) {
    const std::vector<u8> bytes(r.below(40), static_cast<u8>(r.next()));
    chip.receive(bytes);
    if (r.below(4) == 0) chip.write(1, 1, r.next());
    if (r.below(4) == 0) chip.write(3, 1, 3);
    if (r.below(4) == 0) advance(r.below(1'000'000), chip);
  }
};

template <class C, class S>
struct PortBench : Bench {
  using State = S;
  C chip{machine};
  void stimulate(RandomStream&) {}
};
using ResetControlBench = PortBench<ResetControl, ResetControlState>;
using SystemControlPortABench = PortBench<SystemControlPortA, SystemControlPortAState>;

/// One step of a hostile guest; returns what it read.
template <class B>
u64 step(B& bench, RandomStream& r) {
  const unsigned size = 1u << r.below(4);
  const u64 offset = r.below(16) == 0 ? r.next() : r.below(2) == 0 ? r.below(32) : r.below(0x400) & ~u64{r.below(16)};
  u64 read = 0;
  switch (r.below(4)) {
    case 0:
      read = bench.chip.read(offset, size);
      break;
    case 1:
      bench.chip.write(offset, size, r.next());
      break;
    case 2:
      bench.stimulate(r);
      break;
    default:
      bench.advance(r.below(2000), bench.chip);
      break;
  }
  return read;
}

template <class B>
void run(B& bench, RandomStream& r, unsigned steps) {
  for (unsigned i = 0; i < steps; ++i) step(bench, r);
}

template <class S>
S saved_and_loaded(const S& state) {
  Writer writer;
  save(writer, state);
  Reader reader(writer.bytes());
  S loaded;
  EXPECT_TRUE(load(reader, loaded));
  EXPECT_TRUE(reader.finished());
  return loaded;
}

template <class B>
class ChipContract : public testing::Test {};

using Benches = testing::Types<LocalApicBench, IoApicBench, HpetBench, CmosRtcBench, AcpiPmBench, UartBench,
                               ResetControlBench, SystemControlPortABench>;
TYPED_TEST_SUITE(ChipContract, Benches);

TYPED_TEST(ChipContract, ARestoredChipIsTheSameAndBehavesTheSame) {
  for (u64 seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    RandomStream stream(seed, 0, "contract");
    TypeParam original;
    run(original, stream, 300);

    TypeParam restored;
    restored.clock.set_state(original.clock.state());
    restored.chip.set_state(saved_and_loaded(original.chip.state()));
    EXPECT_EQ(restored.queue.next_time_ns(), EventQueue::kNever) << "restoring armed an event";
    restored.queue.set_state(original.queue.state());
    ASSERT_EQ(hash_state(restored.chip.state()), hash_state(original.chip.state()));

    RandomStream again = stream;
    for (unsigned i = 0; i < 200; ++i) {
      ASSERT_EQ(step(original, stream), step(restored, again)) << i;
      ASSERT_EQ(hash_state(restored.chip.state()), hash_state(original.chip.state())) << i;
      ASSERT_EQ(hash_state(restored.queue.state()), hash_state(original.queue.state())) << i;
    }
  }
}

TYPED_TEST(ChipContract, RestoringDrivesNoLine) {
  RandomStream stream(1, 0, "lines");
  TypeParam original;
  run(original, stream, 300);
  TypeParam restored;
  const LineProbe before = restored.lines;
  restored.chip.set_state(original.chip.state());
  EXPECT_TRUE(before == restored.lines);
}

TYPED_TEST(ChipContract, ResetMakesItAsNew) {
  for (u64 seed = 0; seed < 20; ++seed) {
    RandomStream stream(seed, 0, "reset");
    TypeParam used;
    run(used, stream, 300);
    TypeParam fresh;
    fresh.clock.set_state(used.clock.state());
    fresh.chip.reset();  // as if made now
    auto expected = fresh.chip.state();
    used.chip.reset();
    auto actual = used.chip.state();
    if constexpr (requires { actual.input; }) actual.input.clear();  // the host's, not the chip's
    if constexpr (requires { actual.levels; }) actual.levels = 0;    // other chips' pins
    if constexpr (requires { actual.rtc_input; }) actual.rtc_input = false;
    EXPECT_EQ(hash_state(actual), hash_state(expected)) << seed;
    EXPECT_EQ(used.queue.next_time_ns(), EventQueue::kNever) << seed;
  }
}

TYPED_TEST(ChipContract, AHostileGuestBreaksNothing) {
  for (u64 seed = 0; seed < 50; ++seed) {
    RandomStream stream(seed, 0, "hostile");
    TypeParam bench;
    run(bench, stream, 3000);
    EXPECT_LE(bench.queue.state().events.size(), 4u);
  }
}

/// A state from a file may be anything that loads.
TYPED_TEST(ChipContract, AnyStateThatLoadsIsSafe) {
  for (u64 seed = 0; seed < 200; ++seed) {
    RandomStream stream(seed, 0, "garbage");
    TypeParam bench;
    run(bench, stream, 50);
    Writer writer;
    save(writer, bench.chip.state());
    std::vector<u8> bytes = writer.take();
    for (u64 i = stream.below(bytes.size()) + 1; i > 0; --i) {
      bytes[stream.below(bytes.size())] = static_cast<u8>(stream.next());
    }
    Reader reader(bytes);
    auto state = bench.chip.state();
    if (!load(reader, state)) continue;
    bench.chip.set_state(state);
    run(bench, stream, 100);
  }
}

}  // namespace
}  // namespace bhvm
