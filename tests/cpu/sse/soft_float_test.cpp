// The software unit against the host's SSE unit, all exceptions masked: results and flags. (With exceptions unmasked
// instructions_test.cpp compares the two through the interpreter.)
#include "cpu/sse/soft_float.h"

#include <gtest/gtest.h>

#include "cpu/sse/host_unit.h"
#include "operand_values.h"

#if BHVM_HOST_SSE

namespace bhvm::sse {
namespace {

/// Modes: every rounding with and without FZ and DAZ.
u32 random_mode(RandomStream& random) { return 0x1F80 | static_cast<u32>(random.next() & 0xE040); }

template <class T>
T random_value(RandomStream& random) {
  if constexpr (sizeof(T) == 4) return as<T>(sse_test::random_single(random));
  if constexpr (sizeof(T) == 8) return as<T>(sse_test::random_double(random));
}

class SoftFloat : public testing::Test {
 protected:
  /// Compares host(unit) with soft(context), both yielding bits, in random modes.
  template <class Host, class Soft>
  void compare(const char* name, RandomStream& random, Host host, Soft soft_function) {
    const u32 mode = random_mode(random);
    const u32 own = host_mxcsr();
    set_host_mxcsr(mode);
    const u64 expected = host();
    const u32 flags = host_mxcsr() & mxcsr::kFlags;
    set_host_mxcsr(own);
    soft::Context context{mode, 0};
    const u64 actual = soft_function(context);
    ASSERT_EQ(sse_test::hex(expected), sse_test::hex(actual)) << name << " in mode " << std::hex << mode;
    ASSERT_EQ(flags, context.flags) << name << " in mode " << std::hex << mode;
  }

  template <class T>
  void compare_arithmetic() {
    using U = BitsOf<T>;
    RandomStream random(1, sizeof(T), "soft float");
    for (unsigned i = 0; i < 40000 && !HasFatalFailure(); ++i) {
      const T a = random_value<T>(random);
      const T b = random_value<T>(random);
      const U x = as<U>(a);
      const U y = as<U>(b);
      const auto binary = [&](const char* name, auto host, auto soft_function) {
        compare(
            name, random, [&] { return u64{as<U>(host(unit_, a, b))}; },
            [&](soft::Context& c) { return u64{soft_function(x, y, c)}; });
      };
      binary("add", [](HostUnit& u, T p, T q) { return u.add(p, q); }, soft::add<U>);
      binary("subtract", [](HostUnit& u, T p, T q) { return u.subtract(p, q); }, soft::subtract<U>);
      binary("multiply", [](HostUnit& u, T p, T q) { return u.multiply(p, q); }, soft::multiply<U>);
      binary("divide", [](HostUnit& u, T p, T q) { return u.divide(p, q); }, soft::divide<U>);
      binary("minimum", [](HostUnit& u, T p, T q) { return u.minimum(p, q); }, soft::minimum<U>);
      binary("maximum", [](HostUnit& u, T p, T q) { return u.maximum(p, q); }, soft::maximum<U>);
      compare(
          "square root", random, [&] { return u64{as<U>(unit_.square_root(a))}; },
          [&](soft::Context& c) { return u64{soft::square_root(x, c)}; });
      compare(
          "to 32-bit integer", random, [&] { return u64{unit_.template to_integer<u32, false>(a)}; },
          [&](soft::Context& c) { return soft::to_integer(x, 32, false, c); });
      compare(
          "to 64-bit integer, truncated", random, [&] { return u64{unit_.template to_integer<u64, true>(a)}; },
          [&](soft::Context& c) { return soft::to_integer(x, 64, true, c); });
      const i64 integer = static_cast<i64>(random.next() >> random.below(64));
      compare(
          "from integer", random, [&] { return u64{as<U>(unit_.template from_integer<T>(integer))}; },
          [&](soft::Context& c) { return u64{soft::from_integer<U>(integer, c)}; });
    }
  }

  HostUnit unit_;
};

TEST_F(SoftFloat, SinglesAgreeWithTheHost) { compare_arithmetic<float>(); }
TEST_F(SoftFloat, DoublesAgreeWithTheHost) { compare_arithmetic<double>(); }

TEST_F(SoftFloat, ConversionsAgreeWithTheHost) {
  RandomStream random(1, 0, "soft float conversions");
  for (unsigned i = 0; i < 40000 && !HasFatalFailure(); ++i) {
    const float single = random_value<float>(random);
    const double twice = random_value<double>(random);
    compare(
        "to double", random, [&] { return as<u64>(unit_.single_to_double(single)); },
        [&](soft::Context& c) { return soft::single_to_double(as<u32>(single), c); });
    compare(
        "to single", random, [&] { return u64{as<u32>(unit_.double_to_single(twice))}; },
        [&](soft::Context& c) { return u64{soft::double_to_single(as<u64>(twice), c)}; });
  }
}

}  // namespace
}  // namespace bhvm::sse

#endif
