// The software unit: what semantics compute on when an exception is unmasked, and on hosts without SSE.
//
// An instruction is one step or several (DPPS). In a step all lanes are computed; then their exceptions are looked at
// the way the processor does (SDM 1, 11.5.3): one found before the computation (IE, DE, ZE) that is unmasked leaves no
// flag about a result, and after an unmasked exception no later step takes place.
#pragma once

#include "cpu/cpu.h"
#include "cpu/sse/mxcsr.h"
#include "cpu/sse/soft_float.h"
#include "cpu/sse/vector.h"

namespace bhvm::sse {

/// The unsigned type of a number's bits.
template <class T>
using BitsOf = std::conditional_t<sizeof(T) == 4, u32, u64>;

/// f(lane bits) for each lane of V, or for the scalar V.
template <class V, class F>
inline V map_lanes(V a, F f) {
  if constexpr (std::is_floating_point_v<V>) {
    return as<V>(f(as<BitsOf<V>>(a)));
  } else {
    auto lanes = as_lanes<BitsOf<LaneType<V>>>(a);
    for (unsigned i = 0; i < kLanes<V>; ++i) lanes[i] = f(lanes[i]);
    return as<V>(lanes);
  }
}
/// The same for two operands; `f` is also given the lane's number.
template <class V, class F>
inline V map_lanes(V a, V b, F f) {
  if constexpr (std::is_floating_point_v<V>) {
    return as<V>(f(as<BitsOf<V>>(a), as<BitsOf<V>>(b), 0u));
  } else {
    using U = BitsOf<LaneType<V>>;
    auto x = as_lanes<U>(a);
    const auto y = as_lanes<U>(b);
    for (unsigned i = 0; i < kLanes<V>; ++i) x[i] = f(static_cast<U>(x[i]), static_cast<U>(y[i]), i);
    return as<V>(x);
  }
}

/// ZF, PF and CF as COMISx and UCOMISx set them.
struct Comparison {
  bool zf;
  bool pf;
  bool cf;
};

class SoftUnit {
 public:
  explicit SoftUnit(const Cpu& cpu) : context_{cpu.s.mxcsr, 0} {}

  /// The flags to be set, and whether one of them is unmasked.
  u32 flags() const { return flags_; }
  bool stopped() const { return (flags_ & mxcsr::unmasked(context_.mxcsr)) != 0; }

  template <class V>
  V add(V a, V b) {
    return step(map_lanes(a, b, [this](auto x, auto y, unsigned) { return soft::add(x, y, context_); }));
  }
  template <class V>
  V subtract(V a, V b) {
    return step(map_lanes(a, b, [this](auto x, auto y, unsigned) { return soft::subtract(x, y, context_); }));
  }
  template <class V>
  V add_subtract(V a, V b) {
    return step(map_lanes(a, b, [this](auto x, auto y, unsigned i) {
      return (i & 1) != 0 ? soft::add(x, y, context_) : soft::subtract(x, y, context_);
    }));
  }
  template <class V>
  V multiply(V a, V b) {
    return step(map_lanes(a, b, [this](auto x, auto y, unsigned) { return soft::multiply(x, y, context_); }));
  }
  template <class V>
  V divide(V a, V b) {
    return step(map_lanes(a, b, [this](auto x, auto y, unsigned) { return soft::divide(x, y, context_); }));
  }
  template <class V>
  V minimum(V a, V b) {
    return step(map_lanes(a, b, [this](auto x, auto y, unsigned) { return soft::minimum(x, y, context_); }));
  }
  template <class V>
  V maximum(V a, V b) {
    return step(map_lanes(a, b, [this](auto x, auto y, unsigned) { return soft::maximum(x, y, context_); }));
  }
  template <class V>
  V square_root(V a) {
    return step(map_lanes(a, [this](auto x) { return soft::square_root(x, context_); }));
  }
  template <class V>
  V round(V a, u8 imm) {
    return step(map_lanes(a, [this, imm](auto x) { return soft::round(x, imm, context_); }));
  }

  template <unsigned predicate, class V>
  V compare(V a, V b) {
    return step(map_lanes(a, b, [this]<class U>(U x, U y, unsigned) -> U {
      constexpr unsigned kind = predicate & 3;  // EQ, LT, LE, UNORD; the upper four are their negations
      const soft::Order order = soft::compare(x, y, kind == 0 || kind == 3, context_);
      bool holds = order == soft::Order::kUnordered;
      if (kind == 0) holds = order == soft::Order::kEqual;
      if (kind == 1) holds = order == soft::Order::kLess;
      if (kind == 2) holds = order == soft::Order::kLess || order == soft::Order::kEqual;
      return holds != (predicate >= 4) ? static_cast<U>(~U{0}) : U{0};
    }));
  }
  template <bool quiet, class T>
  Comparison compare_ordered(T a, T b) {
    const soft::Order order = step(soft::compare(as<BitsOf<T>>(a), as<BitsOf<T>>(b), quiet, context_));
    const bool unordered = order == soft::Order::kUnordered;
    return {unordered || order == soft::Order::kEqual, unordered, unordered || order == soft::Order::kLess};
  }

  f32x4 int32x4_to_singles(i32x4 a) {
    u32x4 result{};
    for (unsigned i = 0; i < 4; ++i) result[i] = soft::from_integer<u32>(a[i], context_);
    return step(as<f32x4>(result));
  }
  i32x4 singles_to_int32x4(f32x4 a) { return singles_to_int32x4_by(a, false); }
  i32x4 singles_to_int32x4_truncate(f32x4 a) { return singles_to_int32x4_by(a, true); }
  f64x2 low_int32x2_to_doubles(u64x2 a) {
    const u64x2 result{soft::from_integer<u64>(static_cast<i32>(a[0]), context_),
                       soft::from_integer<u64>(static_cast<i32>(a[0] >> 32), context_)};
    return step(as<f64x2>(result));
  }
  u64x2 doubles_to_int32x2(f64x2 a) { return doubles_to_int32x2_by(a, false); }
  u64x2 doubles_to_int32x2_truncate(f64x2 a) { return doubles_to_int32x2_by(a, true); }
  f64x2 low_singles_to_doubles(u64x2 a) {
    const u64x2 result{soft::single_to_double(static_cast<u32>(a[0]), context_),
                       soft::single_to_double(static_cast<u32>(a[0] >> 32), context_)};
    return step(as<f64x2>(result));
  }
  f32x4 doubles_to_singles(f64x2 a) {
    const auto bits = as<u64x2>(a);
    const u32 low = soft::double_to_single(bits[0], context_);
    const u32 high = soft::double_to_single(bits[1], context_);
    return step(as<f32x4>(u32x4{low, high, 0, 0}));
  }
  double single_to_double(float a) { return step(as<double>(soft::single_to_double(as<u32>(a), context_))); }
  float double_to_single(double a) { return step(as<float>(soft::double_to_single(as<u64>(a), context_))); }
  template <class T, class I>
  T from_integer(I a) {
    return step(as<T>(soft::from_integer<BitsOf<T>>(a, context_)));
  }
  template <class I, bool truncate, class T>
  I to_integer(T a) {
    return step(static_cast<I>(soft::to_integer(as<BitsOf<T>>(a), 8 * sizeof(I), truncate, context_)));
  }

 private:
  /// Looks at the exceptions of the step that yielded `result`.
  template <class R>
  R step(R result) {
    if (!stopped()) {
      u32 raised = context_.flags;
      if ((raised & mxcsr::unmasked(context_.mxcsr) & mxcsr::kPreComputation) != 0) raised &= mxcsr::kPreComputation;
      flags_ |= raised;
    }
    context_.flags = 0;
    return result;
  }
  i32x4 singles_to_int32x4_by(f32x4 a, bool truncate) {
    const auto bits = as<u32x4>(a);
    u32x4 result{};
    for (unsigned i = 0; i < 4; ++i) {
      result[i] = static_cast<u32>(soft::to_integer<u32>(bits[i], 32, truncate, context_));
    }
    return step(as<i32x4>(result));
  }
  u64x2 doubles_to_int32x2_by(f64x2 a, bool truncate) {
    const auto bits = as<u64x2>(a);
    const u64 low = soft::to_integer<u64>(bits[0], 32, truncate, context_);
    const u64 high = soft::to_integer<u64>(bits[1], 32, truncate, context_);
    return step(u64x2{low | high << 32, 0});
  }

  soft::Context context_;
  u32 flags_ = 0;
};

}  // namespace bhvm::sse
