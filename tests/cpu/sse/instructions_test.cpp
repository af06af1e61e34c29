// Every instruction against the host's processor: registers, memory, flags, MXCSR, x87 tags.
#include <gtest/gtest.h>

#include <memory>

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

class Instructions : public testing::TestWithParam<Encoding> {
 protected:
  static void SetUpTestSuite() {
    guest_ = std::make_unique<GuestExecutor>();
    host_ = std::make_unique<HostExecutor>();
  }
  static void TearDownTestSuite() {
    guest_.reset();
    host_.reset();
  }
  void SetUp() override {
    if (!host_->ok()) GTEST_SKIP() << "the data page's address is taken";
    if (!host_has(GetParam().needs)) GTEST_SKIP() << "the host lacks the instruction";
  }

  /// Runs `trials` random states through one encoded instruction.
  void compare(const std::vector<u8>& bytes, RandomStream& random, unsigned trials, bool unmasked) {
    host_->load(bytes);
    guest_->load(bytes);
    for (unsigned i = 0; i < trials && !HasFailure(); ++i) {
      const MachineState before = random_state(random, GetParam().values, unmasked);
      const MachineState expected = host_->run(before);
      const MachineState actual = guest_->run(before);
      if (expected == actual) continue;
      std::string text;
      for (const u8 byte : bytes) text += hex(byte).substr(14) + " ";
      ADD_FAILURE() << GetParam().name << ": " << text << "\n"
                    << difference(expected, actual) << " from mxcsr " << hex(before.mxcsr) << "\n"
                    << describe(before);
    }
  }

  /// All operand forms; immediates at random.
  void compare_forms(unsigned trials, bool unmasked) {
    const Encoding& e = GetParam();
    RandomStream random(1, 0, e.name);
    const unsigned immediates = e.immediate ? 24 : 1;
    for (unsigned k = 0; k < immediates; ++k) {
      const u8 immediate = static_cast<u8>(k < 16 ? k : random.next());
      if (e.registers) {
        const unsigned reg = static_cast<unsigned>(random.below(4));
        const unsigned rm = static_cast<unsigned>(random.below(4));
        compare(encode(e, reg, rm, false, 0, immediate), random, trials, unmasked);
        compare(encode(e, 2, 2, false, 0, immediate), random, trials / 4, unmasked);
      }
      if (e.memory) {
        const unsigned reg = static_cast<unsigned>(random.below(4));
        compare(encode(e, reg, 0, true, 0x20, immediate), random, trials, unmasked);
        compare(encode(e, reg, 0, true, 0x33, immediate), random, trials / 4, unmasked);  // misaligned
      }
    }
  }

  static std::unique_ptr<GuestExecutor> guest_;
  static std::unique_ptr<HostExecutor> host_;
};
std::unique_ptr<GuestExecutor> Instructions::guest_;
std::unique_ptr<HostExecutor> Instructions::host_;

TEST_P(Instructions, AgreeWithTheHost) {
  const bool floating = GetParam().values == Values::kSingles || GetParam().values == Values::kDoubles;
  compare_forms(GetParam().immediate ? 60 : floating ? 1500 : 400, false);
}

TEST_P(Instructions, AgreeWithTheHostWhenExceptionsAreUnmasked) {
  compare_forms(GetParam().immediate ? 20 : 400, true);
}

std::string test_name(const testing::TestParamInfo<Encoding>& info) {
  std::string name = info.param.name;
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  }
  return name;
}
INSTANTIATE_TEST_SUITE_P(All, Instructions, testing::ValuesIn(encodings()), test_name);

}  // namespace
}  // namespace bhvm::sse_test
