// The transcendentals: bit for bit against MPFR's own rounding of a more precise value, and near the host's FPU.
#include "cpu/x87/transcendental.h"

#include <gtest/gtest.h>
#define MPFR_USE_INTMAX_T 1
#include <stdint.h>
// after stdint.h
#include <mpfr.h>

#include "cpu/x87/instructions.h"
#include "host_x87.h"
#include "samples.h"

namespace bhvm::test {
namespace {

using namespace bhvm::x87;

constexpr Control kMasked{0x037F};
Control rounding(RoundingMode mode) { return {static_cast<u16>(0x037F | static_cast<unsigned>(mode) << 10)}; }
constexpr RoundingMode kModes[] = {RoundingMode::kNearestEven, RoundingMode::kDown, RoundingMode::kUp,
                                   RoundingMode::kTowardZero};
mpfr_rnd_t mpfr_mode(RoundingMode mode) {
  constexpr mpfr_rnd_t kByMode[] = {MPFR_RNDN, MPFR_RNDD, MPFR_RNDU, MPFR_RNDZ};
  return kByMode[static_cast<unsigned>(mode)];
}

class Big {
 public:
  explicit Big(mpfr_prec_t bits = 800) { mpfr_init2(v, bits); }
  explicit Big(const Float80& value) : Big(64) {
    const int biased = value.exponent() == 0 ? 1 : value.exponent();
    mpfr_set_uj_2exp(v, value.significand, biased - 16383 - 63, MPFR_RNDN);
    if (value.sign()) mpfr_neg(v, v, MPFR_RNDN);
  }
  ~Big() { mpfr_clear(v); }
  Big(const Big&) = delete;
  Big& operator=(const Big&) = delete;
  mpfr_t v;
};

/// Rounds to the 80-bit format by mpfr_subnormalize() rather than by the code under test.
Float80 rounded(mpfr_srcptr precise, RoundingMode mode) {
  const mpfr_exp_t emin = mpfr_get_emin();
  const mpfr_exp_t emax = mpfr_get_emax();
  mpfr_set_emin(-16444);
  mpfr_set_emax(16384);
  Big value(64);
  int ternary = mpfr_set(value.v, precise, mpfr_mode(mode));
  ternary = mpfr_check_range(value.v, ternary, mpfr_mode(mode));
  mpfr_subnormalize(value.v, ternary, mpfr_mode(mode));
  Float80 result;
  const u16 sign = mpfr_signbit(value.v) != 0 ? 0x8000 : 0;
  if (mpfr_zero_p(value.v) != 0) {
    result = {0, sign};
  } else if (mpfr_inf_p(value.v) != 0) {
    result = float80::infinity(sign != 0);
  } else {
    mpz_t z;
    mpz_init(z);
    const mpfr_exp_t exponent = mpfr_get_z_2exp(z, value.v);
    const u64 significand = mpz_get_ui(z);
    mpz_clear(z);
    const long biased = exponent + 63 + 16383;
    result = biased >= 1 ? Float80{significand, static_cast<u16>(sign | biased)}
                         : Float80{significand >> (1 - biased), sign};
  }
  mpfr_set_emin(emin);
  mpfr_set_emax(emax);
  return result;
}

Float80 finite_value(RandomStream& random, int exponent_low, int exponent_high, bool positive = false) {
  const u64 span = static_cast<u64>(exponent_high - exponent_low + 1);
  const int exponent = exponent_low + static_cast<int>(random.below(span));
  u64 significand = random.next() | float80::kIntegerBit;
  if (random.below(4) == 0) significand &= ~u64{0} << random.below(64);
  if (random.below(8) == 0) significand |= ~u64{0} >> (1 + random.below(40));
  const u16 sign = !positive && (random.next() & 1) != 0 ? 0x8000 : 0;
  if (exponent <= -16383) return {significand >> (1 + random.below(20)), sign};
  return {significand, static_cast<u16>(sign | (exponent + 16383))};
}

/// Half a unit in the last place more: stands for the digits that truncating an irrational value cut off.
void add_sticky(Big& value) {
  const mpfr_prec_t bits = mpfr_get_prec(value.v);
  const mpfr_exp_t exponent = mpfr_get_exp(value.v);
  Big half(64);
  mpfr_set_si_2exp(half.v, mpfr_signbit(value.v) != 0 ? -1 : 1, exponent - bits - 1, MPFR_RNDN);
  mpfr_prec_round(value.v, bits + 1, MPFR_RNDN);
  mpfr_add(value.v, value.v, half.v, MPFR_RNDN);
}

enum class Precise : u8 { kNearby, kTruncated };

template <Precise precise_is, class Compute, class Reference>
void check_exact(const char* name, const Float80& y, const Float80& x, Compute compute, Reference reference) {
  Big precise;
  const Big by(y);
  const Big bx(x);
  reference(precise.v, by.v, bx.v);
  if (precise_is == Precise::kTruncated) add_sticky(precise);
  for (const RoundingMode mode : kModes) {
    const Result result = compute(Operand::from_register(y), Operand::from_register(x), rounding(mode));
    const Float80 expected = rounded(precise.v, mode);
    EXPECT_EQ(result.value, expected) << name << " mode " << static_cast<int>(mode) << std::hex << " y "
                                      << y.sign_exponent << ":" << y.significand << " x " << x.sign_exponent << ":"
                                      << x.significand << " got " << result.value.sign_exponent << ":"
                                      << result.value.significand << " expected " << expected.sign_exponent << ":"
                                      << expected.significand;
    EXPECT_NE(result.exceptions & x87_status::kPe, 0);
  }
}

constexpr int kCases = 400;

/// The function of an angle after the processor's pi of 66 bits has been replaced by the true one: quarter turns are
/// counted by the former and added again by the latter.
template <auto function>
void of_reduced(mpfr_ptr result, mpfr_srcptr, mpfr_srcptr angle) {
  Big quarter;
  Big turns;
  Big reduced;
  mpfr_set_str(quarter.v, "0x1.921FB54442D184698", 16, MPFR_RNDN);
  mpfr_div(turns.v, angle, quarter.v, MPFR_RNDN);
  mpfr_rint(turns.v, turns.v, MPFR_RNDN);
  mpfr_mul(quarter.v, quarter.v, turns.v, MPFR_RNDN);
  mpfr_sub(reduced.v, angle, quarter.v, MPFR_RNDN);
  mpfr_const_pi(quarter.v, MPFR_RNDN);
  mpfr_mul(quarter.v, quarter.v, turns.v, MPFR_RNDN);
  mpfr_div_2ui(quarter.v, quarter.v, 1, MPFR_RNDN);
  mpfr_add(reduced.v, reduced.v, quarter.v, MPFR_RNDN);
  function(result, reduced.v, MPFR_RNDZ);
}

TEST(X87Transcendental, SineCosineTangentAreCorrectlyRounded) {
  RandomStream random(1, 0, "trigonometric");
  for (int i = 0; i < kCases; ++i) {
    const Float80 x = i % 8 == 0 ? finite_value(random, -16400, -16000) : finite_value(random, -40, 62);
    check_exact<Precise::kTruncated>(
        "sin", x, x, [](auto, auto a, auto c) { return sine(a, c); }, of_reduced<mpfr_sin>);
    check_exact<Precise::kTruncated>(
        "cos", x, x, [](auto, auto a, auto c) { return cosine(a, c); }, of_reduced<mpfr_cos>);
    check_exact<Precise::kTruncated>(
        "tan", x, x, [](auto, auto a, auto c) { return tangent(a, c); }, of_reduced<mpfr_tan>);
  }
}

TEST(X87Transcendental, ArctangentIsCorrectlyRounded) {
  RandomStream random(1, 0, "arctangent");
  for (int i = 0; i < kCases; ++i) {
    const bool wide = i % 4 == 0;
    const Float80 y = wide ? finite_value(random, -16400, 16383) : finite_value(random, -20, 20);
    const Float80 x = wide ? finite_value(random, -16400, 16383) : finite_value(random, -20, 20);
    check_exact<Precise::kTruncated>(
        "atan", y, x, [](auto a, auto b, auto c) { return arctangent(a, b, c); },
        [](mpfr_ptr r, mpfr_srcptr a, mpfr_srcptr b) { mpfr_atan2(r, a, b, MPFR_RNDZ); });
  }
}

TEST(X87Transcendental, PowerMinusOneIsCorrectlyRounded) {
  RandomStream random(1, 0, "power");
  for (int i = 0; i < kCases; ++i) {
    const Float80 x = i % 8 == 0 ? finite_value(random, -16400, -16370) : finite_value(random, -120, -1);
    check_exact<Precise::kNearby>(
        "2xm1", x, x, [](auto, auto a, auto c) { return power_minus_one(a, c); },
        [](mpfr_ptr r, mpfr_srcptr, mpfr_srcptr a) {
          Big product(900);
          mpfr_const_log2(product.v, MPFR_RNDN);
          mpfr_mul(product.v, product.v, a, MPFR_RNDN);
          mpfr_expm1(r, product.v, MPFR_RNDZ);
        });
  }
}

TEST(X87Transcendental, LogarithmsAreCorrectlyRounded) {
  RandomStream random(1, 0, "logarithm");
  for (int i = 0; i < kCases; ++i) {
    const Float80 y = i % 8 == 0 ? finite_value(random, -16400, 16383) : finite_value(random, -20, 20);
    const Float80 x = i % 4 == 0 ? finite_value(random, -16400, 16383, true) : finite_value(random, -2, 2, true);
    if (x != float80::kOne) {
      check_exact<Precise::kNearby>(
          "yl2x", y, x, [](auto a, auto b, auto c) { return logarithm(a, b, c); },
          [](mpfr_ptr r, mpfr_srcptr a, mpfr_srcptr b) {
            mpfr_log2(r, b, MPFR_RNDN);
            mpfr_mul(r, r, a, MPFR_RNDZ);
          });
    }
    const Float80 small = i % 8 == 1 ? finite_value(random, -16400, -16300) : finite_value(random, -80, -2);
    check_exact<Precise::kNearby>(
        "yl2xp1", y, small, [](auto a, auto b, auto c) { return logarithm_plus_one(a, b, c); },
        [](mpfr_ptr r, mpfr_srcptr a, mpfr_srcptr b) {
          Big two(900);
          mpfr_const_log2(two.v, MPFR_RNDN);
          mpfr_log1p(r, b, MPFR_RNDN);
          mpfr_div(r, r, two.v, MPFR_RNDN);
          mpfr_mul(r, r, a, MPFR_RNDZ);
        });
  }
}

TEST(X87Transcendental, ExactValuesStayExactInEveryMode) {
  constexpr Float80 kFour{float80::kIntegerBit, 16383 + 2};
  constexpr Float80 kTwo{float80::kIntegerBit, 16383 + 1};
  constexpr Float80 kMinusHalf{float80::kIntegerBit, 0x8000 | (16383 - 1)};
  for (const RoundingMode mode : kModes) {
    const Control c = rounding(mode);
    EXPECT_EQ(logarithm({float80::kOne}, {kFour}, c).value, kTwo);
    EXPECT_EQ(power_minus_one({float80::kOne}, c).value, float80::kOne);
    EXPECT_EQ(power_minus_one({float80::one(true)}, c).value, kMinusHalf);
    EXPECT_EQ(logarithm_plus_one({float80::kOne}, {float80::kOne}, c).value, float80::kOne);
  }
}

TEST(X87Transcendental, AnglesAreReducedByA66BitPi) {
  // FLDPI; FSIN: the difference between pi of 66 and of 64 bits, where the true sine is BFBE:ECE675D1FC8F8CBB.
  EXPECT_EQ(sine({{0xC90FDAA22168C235, 0x4000}}, kMasked).value, (Float80{float80::kIntegerBit, 0xBFBF}));
}

TEST(X87Transcendental, LargeAnglesAreRefused) {
  EXPECT_FALSE(out_of_trigonometric_range({~u64{0}, 16383 + 62}));
  EXPECT_TRUE(out_of_trigonometric_range({float80::kIntegerBit, 16383 + 63}));
  EXPECT_TRUE(out_of_trigonometric_range({float80::kIntegerBit, 0x8000 | (16383 + 63)}));
  EXPECT_FALSE(out_of_trigonometric_range(float80::infinity(false)));
}

TEST(X87Transcendental, LeavesTheLibrarysExponentRangeAlone) {
  const mpfr_exp_t emin = mpfr_get_emin();
  const mpfr_exp_t emax = mpfr_get_emax();
  mpfr_set_emin(-100);
  mpfr_set_emax(100);
  const Result narrow = sine({{float80::kIntegerBit, 16383 - 8000}}, kMasked);
  EXPECT_EQ(mpfr_get_emin(), -100);
  EXPECT_EQ(mpfr_get_emax(), 100);
  mpfr_set_emin(emin);
  mpfr_set_emax(emax);
  EXPECT_EQ(narrow.value, (Float80{float80::kIntegerBit, 16383 - 8000}));
}

#if BHVM_HOST_HAS_X87

struct HostRow {
  const char* name;
  std::vector<u8> bytes;
  void (*model)(X87State&);
  int low, high;  // exponents of ST(0)
  bool positive;  // sign of ST(0)
};

/// Distance in units of the last place; large for values of another kind.
u64 distance(const Float80& a, const Float80& b) {
  if (a == b) return 0;
  if (a.sign() != b.sign() || a.exponent() == 0x7FFF || b.exponent() == 0x7FFF) return ~u64{0};
  const auto ordinal = [](const Float80& v) {
    return (i128{v.exponent()} << 63) + (v.significand & ~float80::kIntegerBit);
  };
  const i128 difference = ordinal(a) - ordinal(b);
  const i128 magnitude = difference < 0 ? -difference : difference;
  return magnitude > 1000 ? ~u64{0} : static_cast<u64>(magnitude);
}

const std::vector<HostRow>& host_rows() {
  static const std::vector<HostRow> rows = {
      {"fsin", {0xD9, 0xFE}, [](X87State& s) { unary(s, Unary::kSine); }, -16400, 62, false},
      {"fcos", {0xD9, 0xFF}, [](X87State& s) { unary(s, Unary::kCosine); }, -16400, 62, false},
      {"fsincos", {0xD9, 0xFB}, sine_and_cosine, -16400, 62, false},
      {"fptan", {0xD9, 0xF2}, partial_tangent, -16400, 62, false},
      {"fpatan", {0xD9, 0xF3}, [](X87State& s) { two_operand(s, TwoOperand::kArctangent); }, -16400, 16383, false},
      {"f2xm1", {0xD9, 0xF0}, [](X87State& s) { unary(s, Unary::kPowerMinusOne); }, -16400, -1, false},
      {"fyl2x", {0xD9, 0xF1}, [](X87State& s) { two_operand(s, TwoOperand::kLogarithm); }, -16400, 16383, true},
      {"fyl2xp1", {0xD9, 0xF9}, [](X87State& s) { two_operand(s, TwoOperand::kLogarithmPlusOne); }, -16400, -2, false},
  };
  return rows;
}

void compare_with_host(const HostRow& row, HostX87& host, const X87State& before, u64 tolerance) {
  X87State model = before;
  row.model(model);
  X87State reference = before;
  HostMemory memory{};
  host.run(reference, memory);
  constexpr u16 kRoundUp = x87_status::kC1;  // tells the direction of the host's own error
  const auto text = [](const X87State& s) {
    char line[160];
    std::snprintf(line, sizeof line, "cw=%04x sw=%04x valid=%02x st0=%04x:%016llx st1=%04x:%016llx", s.control_word,
                  s.status_word, s.valid_mask, s.st(0).sign_exponent,
                  static_cast<unsigned long long>(s.st(0).significand), s.st(1).sign_exponent,
                  static_cast<unsigned long long>(s.st(1).significand));
    return std::string(line);
  };
  bool near = true;
  for (unsigned i = 0; i < 8; ++i) near = near && distance(model.regs[i], reference.regs[i]) <= tolerance;
  const bool stack_fault = ((model.status_word & ~before.status_word) & x87_status::kStackFault) != 0;
  const u16 mask = static_cast<u16>(stack_fault ? 0xFFFF : ~kRoundUp);
  EXPECT_TRUE(near && ((model.status_word ^ reference.status_word) & mask) == 0 &&
              model.valid_mask == reference.valid_mask)
      << row.name << "\n  before " << text(before) << "\n  bhvm   " << text(model) << "\n  host   " << text(reference);
}

TEST(X87Transcendental, IsWithinOneUnitOfTheHost) {
  BHVM_NEEDS_REFERENCE_X87();
  for (const HostRow& row : host_rows()) {
    HostX87 host(row.bytes);
    RandomStream random(1, 0, row.name);
    for (int i = 0; i < 2000 && !HasFailure(); ++i) {
      X87State before;
      before.valid_mask = 0x7F;
      before.control_word = 0x037F;
      const int low = i % 3 == 0 ? row.low : std::max(row.low, -30);
      const int high = i % 3 == 0 ? row.high : std::min(row.high, 30);
      before.st(0) = finite_value(random, low, high, row.positive);
      before.st(1) = i % 3 == 0 ? finite_value(random, -16400, 16383) : finite_value(random, -30, 30);
      compare_with_host(row, host, before, 1);
    }
  }
}

TEST(X87Transcendental, SpecialOperandsAgreeWithTheHost) {
  BHVM_NEEDS_REFERENCE_X87();
  const std::vector<Float80> values = {
      {0, 0},
      {0, 0x8000},
      float80::kOne,
      float80::one(true),
      float80::infinity(false),
      float80::infinity(true),
      float80::kIndefinite,
      {0xA000000000000001, 0x7FFF},
      {0xC000000000000001, 0x7FFF},
      {0xC000000000000002, 0xFFFF},
      {0x4000000000000000, 0x3FFF},
      {1, 0},
      {float80::kIntegerBit, 0},
      {0x8000000000000001, 0x8000},
      {float80::kIntegerBit, 16383 - 2},
      {float80::kIntegerBit, 0x8000 | (16383 - 2)},
  };
  for (const HostRow& row : host_rows()) {
    HostX87 host(row.bytes);
    for (const Float80& a : values) {
      for (const Float80& b : values) {
        for (const u16 masks : {u16{0x3F}, u16{0x3E}, u16{0x3D}, u16{0x3B}, u16{0x2F}}) {
          for (const u8 valid : {u8{0x7F}, u8{0xFF}, u8{0x7D}, u8{0x7E}}) {
            const bool out_of_range = row.name == std::string("fyl2xp1") && a.sign() && a.exponent() == 16383;
            if (out_of_range) continue;  // undefined, and no two processors need agree
            X87State before;
            before.valid_mask = valid;
            before.control_word = static_cast<u16>(0x0340 | masks);
            before.status_word = x87_status::kC1 | x87_status::kC2;
            before.st(0) = a;
            before.st(1) = b;
            compare_with_host(row, host, before, 1);
            if (HasFailure()) return;
          }
        }
      }
    }
  }
}

#endif

}  // namespace
}  // namespace bhvm::test
