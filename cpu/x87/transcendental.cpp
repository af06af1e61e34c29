#include "cpu/x87/transcendental.h"

#include <gmp.h>

#include <array>
// mpfr.h declares its uintmax_t functions only when <stdint.h>'s types are announced.
#define MPFR_USE_INTMAX_T 1
#include <mpfr.h>

namespace bhvm::x87 {
namespace {

using namespace x87_status;
using enum Float80Class;
using float80::classify;

constexpr mpfr_prec_t kResultBits = 72;  // more than any rounding looks at; what follows is one sticky bit

/// MPFR's exponent range is per-thread host state: this makes it the widest one for a computation, then puts it back.
class WideExponents {
 public:
  WideExponents() : emin_(mpfr_get_emin()), emax_(mpfr_get_emax()) {
    mpfr_set_emin(mpfr_get_emin_min());
    mpfr_set_emax(mpfr_get_emax_max());
  }
  ~WideExponents() {
    mpfr_set_emin(emin_);
    mpfr_set_emax(emax_);
  }
  WideExponents(const WideExponents&) = delete;
  WideExponents& operator=(const WideExponents&) = delete;

 private:
  mpfr_exp_t emin_;
  mpfr_exp_t emax_;
};

class Number {
 public:
  explicit Number(mpfr_prec_t bits) { mpfr_init2(value_, bits); }
  explicit Number(const Float80& value) {
    mpfr_init2(value_, 64);
    if (classify(value) == kInfinity) {
      mpfr_set_inf(value_, value.sign() ? -1 : 1);
      return;
    }
    const i32 biased = value.exponent() == 0 ? 1 : value.exponent();
    mpfr_set_uj_2exp(value_, value.significand, biased - float80::kBias - 63, MPFR_RNDN);
    mpfr_setsign(value_, value_, value.sign() ? 1 : 0, MPFR_RNDN);
  }
  ~Number() { mpfr_clear(value_); }
  Number(const Number&) = delete;
  Number& operator=(const Number&) = delete;

  operator mpfr_ptr() { return value_; }
  operator mpfr_srcptr() const { return value_; }

 private:
  mpfr_t value_;
};

/// A non-zero number of at most kResultBits, rounded toward zero; `inexact` when something was cut off.
Exact to_exact(mpfr_srcptr number, bool inexact) {
  Number scaled(kResultBits);
  mpfr_exp_t exponent = 0;
  mpz_t integer;
  mpz_init(integer);
  mpfr_set(scaled, number, MPFR_RNDZ);
  exponent = mpfr_get_z_2exp(integer, scaled);  // kResultBits long, trailing zeros included
  u64 words[2] = {};
  mpz_abs(integer, integer);
  mpz_export(words, nullptr, -1, sizeof(u64), 0, 0, integer);
  mpz_clear(integer);
  const u128 significand = ((u128{words[1]} << 64) | words[0]) << (128 - kResultBits);
  return {mpfr_signbit(number) != 0, static_cast<i32>(exponent + kResultBits - 1), significand | (inexact ? 1 : 0)};
}

Result finish(mpfr_srcptr number, bool inexact, Control control, u16 flags) {
  Result result = round_to_register(to_exact(number, inexact), 64, control, flags);
  result.exceptions |= kPe;
  if (result.value.exponent() == 0) result.exceptions |= kUe;
  return result;
}

u16 denormal_flag(const Operand& a) { return a.denormal ? kDe : u16{0}; }
u16 denormal_flag(const Operand& a, const Operand& b) { return a.denormal || b.denormal ? kDe : u16{0}; }
bool stops(u16 exceptions, Control control) { return !control.masked(exceptions); }

/// What a trigonometric function of an angle is, by the quadrant that the angle was reduced out of.
struct Quadrant {
  int (*function)(mpfr_ptr, mpfr_srcptr, mpfr_rnd_t);
  bool negated;
};
using Quadrants = std::array<Quadrant, 4>;

/// The processor's pi, of 66 bits: angles are reduced by it, exactly (SDM 1, 8.3.8).
void set_half_pi(Number& half_pi) {
  constexpr u64 kLeading = 0xC90FDAA22168C234;
  constexpr u64 kLast = 0xC;  // another hexadecimal digit
  mpfr_set_uj(half_pi, kLeading, MPFR_RNDN);
  mpfr_mul_2ui(half_pi, half_pi, 4, MPFR_RNDN);
  mpfr_add_ui(half_pi, half_pi, kLast, MPFR_RNDN);
  mpfr_div_2ui(half_pi, half_pi, 67, MPFR_RNDN);
}

/// A trigonometric function of a finite, non-zero angle below 2^63, correctly rounded after the reduction. That leaves
/// nothing but multiples of 2^-67 below 1, or an angle that needed none; never zero, since no multiple of half of the
/// 66-bit pi fits 64 bits.
Result of_angle(const Operand& a, Control control, const Quadrants& quadrants) {
  const u16 flags = denormal_flag(a);
  if (stops(flags, control)) return {a.value, flags};
  const WideExponents wide;
  Number half_pi(72);
  set_half_pi(half_pi);
  const Number angle(a.value);
  Number reduced(72);
  long turns = 0;
  mpfr_remquo(reduced, &turns, angle, half_pi, MPFR_RNDN);
  const Quadrant& quadrant = quadrants[static_cast<unsigned long>(turns) & 3];
  Number y(kResultBits);
  const int ternary = quadrant.function(y, reduced, MPFR_RNDZ);
  if (quadrant.negated) mpfr_neg(y, y, MPFR_RNDZ);
  return finish(y, ternary != 0, control, flags);
}

/// Computes a number to more and more bits until its first kResultBits are certain. `approximate(y, bits)` fills y with
/// an error of less than 8 units in its last place and returns true, or returns false for a number that is exact.
template <class Approximate>
Result refined(Control control, u16 flags, Approximate approximate) {
  constexpr mpfr_prec_t kStep = 56;  // the first attempt fits two 64-bit limbs
  for (mpfr_prec_t bits = kResultBits + kStep;; bits += kStep) {
    Number y(bits);
    if (!approximate(y, bits)) return finish(y, false, control, flags);
    if (mpfr_can_round(y, bits - 4, MPFR_RNDN, MPFR_RNDZ, kResultBits) == 0) continue;
    return finish(y, true, control, flags);
  }
}

/// y * f(x), where f is an MPFR logarithm: exact (a whole number of at most 15 bits, so that the product fits) or
/// irrational.
template <auto function>
Result scaled_logarithm(const Float80& y, const Float80& x, Control control, u16 flags) {
  const WideExponents wide;
  const Number factor(y);
  const Number argument(x);
  return refined(control, flags, [&](Number& result, mpfr_prec_t bits) {
    Number logarithm(bits);
    const bool exact = function(logarithm, argument, MPFR_RNDN) == 0;
    const int ternary = mpfr_mul(result, factor, logarithm, MPFR_RNDN);
    return !exact || ternary != 0;
  });
}

}  // namespace

bool out_of_trigonometric_range(const Float80& a) {
  return classify(a) == kNormal && a.exponent() >= float80::kBias + 63;
}

Result sine(const Operand& a, Control control) {
  const Float80Class c = classify(a.value);
  if (needs_nan_rules(c)) return propagate_nan(a.value);
  if (c == kInfinity) return invalid();
  if (c == kZero) return {a.value};
  constexpr Quadrants kQuadrants = {{{mpfr_sin, false}, {mpfr_cos, false}, {mpfr_sin, true}, {mpfr_cos, true}}};
  return of_angle(a, control, kQuadrants);
}

Result cosine(const Operand& a, Control control) {
  const Float80Class c = classify(a.value);
  if (needs_nan_rules(c)) return propagate_nan(a.value);
  if (c == kInfinity) return invalid();
  if (c == kZero) return {float80::kOne};
  constexpr Quadrants kQuadrants = {{{mpfr_cos, false}, {mpfr_sin, true}, {mpfr_cos, true}, {mpfr_sin, false}}};
  return of_angle(a, control, kQuadrants);
}

Result tangent(const Operand& a, Control control) {
  const Float80Class c = classify(a.value);
  if (needs_nan_rules(c)) return propagate_nan(a.value);
  if (c == kInfinity) return invalid();
  if (c == kZero) return {a.value};
  constexpr Quadrants kQuadrants = {{{mpfr_tan, false}, {mpfr_cot, true}, {mpfr_tan, false}, {mpfr_cot, true}}};
  return of_angle(a, control, kQuadrants);
}

Result arctangent(const Operand& y, const Operand& x, Control control) {
  const Float80Class cy = classify(y.value);
  const Float80Class cx = classify(x.value);
  if (needs_nan_rules(cy) || needs_nan_rules(cx)) return propagate_nan(y.value, x.value);
  const u16 flags = denormal_flag(y, x);
  if (stops(flags, control)) return {y.value, flags};
  const bool exact_zero = (cy == kZero || (cx == kInfinity && cy != kInfinity)) && !x.value.sign();
  if (exact_zero) return {float80::zero(y.value.sign()), flags};
  const WideExponents wide;
  const Number ordinate(y.value);
  const Number abscissa(x.value);
  Number angle(kResultBits);
  const int ternary = mpfr_atan2(angle, ordinate, abscissa, MPFR_RNDZ);
  return finish(angle, ternary != 0, control, flags);
}

Result power_minus_one(const Operand& a, Control control) {
  const Float80Class c = classify(a.value);
  if (needs_nan_rules(c)) return propagate_nan(a.value);
  if (c == kInfinity) return {a.value.sign() ? float80::one(true) : a.value};
  if (c == kZero) return {a.value};
  const u16 flags = denormal_flag(a);
  if (stops(flags, control)) return {a.value, flags};
  if (a.value.exponent() >= float80::kBias) {
    constexpr Float80 kMinusHalf{float80::kIntegerBit, float80::kSignBit | (float80::kBias - 1)};
    return {a.value == float80::one(true) ? kMinusHalf : a.value, static_cast<u16>(flags | kPe)};
  }
  // Irrational from here on: 2^x is rational only for whole x. Errors: ln 2 and the product one half unit each, which
  // expm1 carries on at most one and a half times, and its own half unit.
  const WideExponents wide;
  const Number x(a.value);
  return refined(control, flags, [&](Number& result, mpfr_prec_t bits) {
    Number product(bits);
    mpfr_const_log2(product, MPFR_RNDN);
    mpfr_mul(product, product, x, MPFR_RNDN);
    mpfr_expm1(result, product, MPFR_RNDN);
    return true;
  });
}

Result logarithm(const Operand& y, const Operand& x, Control control) {
  const Float80Class cy = classify(y.value);
  const Float80Class cx = classify(x.value);
  if (needs_nan_rules(cy) || needs_nan_rules(cx)) return propagate_nan(y.value, x.value);
  const u16 flags = denormal_flag(y, x);
  if (cx == kZero) {
    if (cy == kZero) return invalid();
    const Float80 value = float80::infinity(!y.value.sign());
    return {value, cy == kInfinity ? u16{0} : kZe};
  }
  if (x.value.sign()) return invalid();
  const bool is_one = x.value == float80::kOne;
  const bool below_one = x.value.exponent() < float80::kBias;
  const bool sign = y.value.sign() != below_one;
  if (cx == kInfinity) return cy == kZero ? invalid() : Result{float80::infinity(sign), flags};
  if (cy == kInfinity) return is_one ? invalid() : Result{float80::infinity(sign), flags};
  if (cy == kZero || is_one) return {float80::zero(sign), flags};
  if (stops(flags, control)) return {y.value, flags};
  return scaled_logarithm<&mpfr_log2>(y.value, x.value, control, flags);
}

Result logarithm_plus_one(const Operand& y, const Operand& x, Control control) {
  const Float80Class cy = classify(y.value);
  const Float80Class cx = classify(x.value);
  if (needs_nan_rules(cy) || needs_nan_rules(cx)) return propagate_nan(y.value, x.value);
  const u16 flags = denormal_flag(y, x);
  const bool sign = y.value.sign() != x.value.sign();
  if (cx == kInfinity) {
    return x.value.sign() || cy == kZero ? invalid() : Result{float80::infinity(sign), flags};
  }
  if (cx == kZero) return cy == kInfinity ? invalid() : Result{float80::zero(sign), flags};
  if (cy == kInfinity) return {float80::infinity(sign), flags};
  if (cy == kZero) return {float80::zero(sign), flags};
  if (stops(flags, control)) return {y.value, flags};
  if (x.value.sign() && x.value.exponent() >= float80::kBias) return {x.value, static_cast<u16>(flags | kPe)};
  return scaled_logarithm<&mpfr_log2p1>(y.value, x.value, control, flags);
}

}  // namespace bhvm::x87
