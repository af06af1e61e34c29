// Every instruction against the host's processor: registers, memory, flags, MXCSR, x87 tags, exceptions.
#include <gtest/gtest.h>

#include <limits>

#include "base/random_stream.h"
#include "encodings.h"
#include "guest_executor.h"
#include "host_executor.h"
#include "operand_values.h"

namespace bhvm::sse_test {
namespace {

bool host_has(Needs needs) {
  switch (needs) {
    case Needs::kBaseline:
      return __builtin_cpu_supports("sse3");
    case Needs::kSsse3:
      return __builtin_cpu_supports("ssse3");
    case Needs::kSse41:
      return __builtin_cpu_supports("sse4.1");
    case Needs::kSse42:
      return __builtin_cpu_supports("sse4.2");
    case Needs::kAes:
      return __builtin_cpu_supports("aes");
    case Needs::kPclmul:
      return __builtin_cpu_supports("pclmul");
  }
  return false;
}

/// Which of several NaNs DPPS and DPPD propagate is implementation dependent (SDM 2, DPPS): bhvm's choice is that of
/// Intel's processors, on others any NaN will do.
bool host_chooses_another_nan(const Encoding& e) {
  return std::string_view(e.name).starts_with("DPP") && !__builtin_cpu_is("intel");
}

template <class Float>
bool is_nan(u64 bits) {
  constexpr unsigned kWidth = 8 * sizeof(Float), kFraction = std::numeric_limits<Float>::digits - 1;
  const u64 magnitude = bits << (64 - kWidth) << 1;
  return magnitude > ~u64{0} << (65 - kWidth + kFraction);
}

/// Takes the host's NaN where both have one.
template <class Float>
void take_nans(const MachineState& host, MachineState& guest) {
  constexpr unsigned kWidth = 8 * sizeof(Float);
  constexpr u64 kLane = ~u64{0} >> (64 - kWidth);
  for (std::size_t i = 0; i < 2 * guest.xmm.size(); ++i) {
    const u64 from = host.xmm[i / 2][i % 2];
    u64& to = guest.xmm[i / 2][i % 2];
    for (unsigned at = 0; at < 64; at += kWidth) {
      if (is_nan<Float>(from >> at & kLane) && is_nan<Float>(to >> at & kLane)) {
        to = (to & ~(kLane << at)) | (from & kLane << at);
      }
    }
  }
}

class Instructions : public testing::Test {
 protected:
  void SetUp() override {
    if (!host_.ok()) GTEST_SKIP() << "the data page's address is taken";
  }

  /// Runs `trials` random states through one encoded instruction. False after a difference.
  bool compare(const Encoding& e, const std::vector<u8>& bytes, RandomStream& random, unsigned trials, bool unmasked) {
    host_.load(bytes);
    guest_.load(bytes);
    for (unsigned i = 0; i < trials; ++i) {
      const MachineState before = random_state(random, e.values, unmasked);
      const MachineState expected = host_.run(before);
      MachineState actual = guest_.run(before);
      compared_ += 1;
      if (host_chooses_another_nan(e)) {
        e.values == Values::kSingles ? take_nans<float>(expected, actual) : take_nans<double>(expected, actual);
      }
      if (expected == actual) continue;
      std::string text;
      for (const u8 byte : bytes) text += hex(byte).substr(14) + " ";
      ADD_FAILURE() << e.name << ": " << text << "\n"
                    << difference(expected, actual) << " from mxcsr " << hex(before.mxcsr) << "\n"
                    << describe(before);
      return false;
    }
    return true;
  }

  /// All operand forms of an instruction.
  void compare_forms(const Encoding& e, unsigned trials, unsigned immediates, bool unmasked) {
    RandomStream random(1, unmasked ? 1 : 0, e.name);
    if (!e.immediate) immediates = 1;
    for (unsigned k = 0; k < immediates; ++k) {
      const u8 immediate = static_cast<u8>(k < 16 || immediates >= 128 ? k : random.next());
      const unsigned reg = static_cast<unsigned>(random.below(4));
      const unsigned rm = static_cast<unsigned>(random.below(4));
      const unsigned few = trials / 4 + 1;
      if (e.registers) {
        if (!compare(e, encode(e, reg, rm, false, 0, immediate), random, trials, unmasked)) return;
        if (!compare(e, encode(e, 2, 2, false, 0, immediate), random, few, unmasked)) return;
      }
      if (e.memory) {
        if (!compare(e, encode(e, reg, 0, true, 0x20, immediate), random, trials, unmasked)) return;
        if (!compare(e, encode(e, reg, 0, true, 0x33, immediate), random, few, unmasked)) return;  // misaligned
      }
    }
  }

  GuestExecutor guest_;
  HostExecutor host_;
  u64 compared_ = 0;
};

TEST_F(Instructions, IntegersAndMovesAgreeWithTheHost) {
  for (const Encoding& e : encodings()) {
    if (e.values == Values::kIntegers && host_has(e.needs)) compare_forms(e, e.immediate ? 15 : 80, 24, false);
  }
  EXPECT_GT(compared_, 1000u);
}

TEST_F(Instructions, FloatingPointAgreesWithTheHost) {
  for (const Encoding& e : encodings()) {
    const bool floating = e.values == Values::kSingles || e.values == Values::kDoubles;
    if (floating && host_has(e.needs)) compare_forms(e, e.immediate ? 40 : 500, 24, false);
  }
  EXPECT_GT(compared_, 1000u);
}

TEST_F(Instructions, UnmaskedExceptionsAreRaisedAsOnTheHost) {
  for (const Encoding& e : encodings()) {
    const bool converts = std::string_view(e.name).starts_with("CVT");
    if (e.values == Values::kStrings || (e.values == Values::kIntegers && !converts)) continue;
    if (host_has(e.needs)) compare_forms(e, e.immediate ? 20 : 200, 24, true);
  }
  EXPECT_GT(compared_, 1000u);
}

TEST_F(Instructions, StringComparisonsAgreeWithTheHostForEveryControlByte) {
  if (!host_has(Needs::kSse42)) GTEST_SKIP() << "the host lacks SSE4.2";
  for (const Encoding& e : encodings()) {
    if (e.values == Values::kStrings) compare_forms(e, 10, 256, false);
  }
  EXPECT_GT(compared_, 1000u);
}

}  // namespace
}  // namespace bhvm::sse_test
