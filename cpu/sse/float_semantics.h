// What the floating-point instructions compute, on whichever unit they run (cpu/sse/host_unit.h, cpu/sse/soft_unit.h).
//
// Each is a type with `apply(unit, destination, source)` or `apply(unit, source)`, with a trailing Imm where the
// instruction has one. A table row names it with the operand types.
#pragma once

#include "cpu/sse/vector.h"

namespace bhvm::sse::fp {

/// name::apply(unit, a, b) = unit.function(a, b)
#define BHVM_SSE_BINARY(name, function)                \
  struct name {                                        \
    template <class Unit, class V>                     \
    BHVM_INLINE static V apply(Unit& unit, V a, V b) { \
      return unit.function(a, b);                      \
    }                                                  \
  };
BHVM_SSE_BINARY(Add, add)
BHVM_SSE_BINARY(Subtract, subtract)
BHVM_SSE_BINARY(Multiply, multiply)
BHVM_SSE_BINARY(Divide, divide)
BHVM_SSE_BINARY(Minimum, minimum)
BHVM_SSE_BINARY(Maximum, maximum)
BHVM_SSE_BINARY(AddSubtract, add_subtract)
#undef BHVM_SSE_BINARY

/// name::apply(unit, a) = unit.function(a)
#define BHVM_SSE_UNARY(name, function)               \
  struct name {                                      \
    template <class Unit, class V>                   \
    BHVM_INLINE static auto apply(Unit& unit, V a) { \
      return unit.function(a);                       \
    }                                                \
  };
BHVM_SSE_UNARY(SquareRoot, square_root)
BHVM_SSE_UNARY(SingleToDouble, single_to_double)
BHVM_SSE_UNARY(DoubleToSingle, double_to_single)
BHVM_SSE_UNARY(DoublesToSingles, doubles_to_singles)
BHVM_SSE_UNARY(Int32x4ToSingles, int32x4_to_singles)
BHVM_SSE_UNARY(SinglesToInt32x4, singles_to_int32x4)
BHVM_SSE_UNARY(SinglesToInt32x4Truncate, singles_to_int32x4_truncate)
BHVM_SSE_UNARY(DoublesToInt32x2, doubles_to_int32x2)
BHVM_SSE_UNARY(DoublesToInt32x2Truncate, doubles_to_int32x2_truncate)
#undef BHVM_SSE_UNARY

// ---- conversions of half registers and MMX operands: the unused half is zero, which raises no flag ----

struct Int32x2ToDoubles {
  template <class Unit>
  BHVM_INLINE static f64x2 apply(Unit& unit, u64 a) {
    return unit.low_int32x2_to_doubles(u64x2{a, 0});
  }
};
struct SinglesToDoubles {
  template <class Unit>
  BHVM_INLINE static f64x2 apply(Unit& unit, u64 a) {
    return unit.low_singles_to_doubles(u64x2{a, 0});
  }
};
struct Int32x2ToSingles {
  template <class Unit>
  BHVM_INLINE static u64 apply(Unit& unit, u64 a) {
    return as<u64x2>(unit.int32x4_to_singles(as<i32x4>(u64x2{a, 0})))[0];
  }
};
template <bool truncate>
struct SinglesToInt32x2 {
  template <class Unit>
  BHVM_INLINE static u64 apply(Unit& unit, u64 a) {
    const f32x4 singles = as<f32x4>(u64x2{a, 0});
    return as<u64x2>(truncate ? unit.singles_to_int32x4_truncate(singles) : unit.singles_to_int32x4(singles))[0];
  }
};
template <bool truncate>
struct DoublesToMmx {
  template <class Unit>
  BHVM_INLINE static u64 apply(Unit& unit, f64x2 a) {
    return (truncate ? unit.doubles_to_int32x2_truncate(a) : unit.doubles_to_int32x2(a))[0];
  }
};

template <class T>
struct FromInteger {
  template <class Unit, class I>
  BHVM_INLINE static T apply(Unit& unit, I a) {
    return unit.template from_integer<T>(a);
  }
};
template <class I, bool truncate>
struct ToInteger {
  template <class Unit, class T>
  BHVM_INLINE static I apply(Unit& unit, T a) {
    return unit.template to_integer<I, truncate>(a);
  }
};

/// CMPxx: lanes of all ones where the predicate (0 to 7: EQ, LT, LE, UNORD, NEQ, NLT, NLE, ORD) holds.
template <unsigned predicate>
struct Compare {
  template <class Unit, class V>
  BHVM_INLINE static V apply(Unit& unit, V a, V b) {
    return unit.template compare<predicate>(a, b);
  }
};

/// ROUNDxx.
struct Round {
  template <class Unit, class V>
  BHVM_INLINE static V apply(Unit& unit, V a, Imm imm) {
    return unit.round(a, imm.value);
  }
};

BHVM_INLINE f32x4 even_lanes(f32x4 a, f32x4 b) { return __builtin_shufflevector(a, b, 0, 2, 4, 6); }
BHVM_INLINE f32x4 odd_lanes(f32x4 a, f32x4 b) { return __builtin_shufflevector(a, b, 1, 3, 5, 7); }
BHVM_INLINE f64x2 even_lanes(f64x2 a, f64x2 b) { return __builtin_shufflevector(a, b, 0, 2); }
BHVM_INLINE f64x2 odd_lanes(f64x2 a, f64x2 b) { return __builtin_shufflevector(a, b, 1, 3); }

/// HADDPS, HADDPD.
struct AddNeighbours {
  template <class Unit, class V>
  BHVM_INLINE static V apply(Unit& unit, V a, V b) {
    return unit.add(even_lanes(a, b), odd_lanes(a, b));
  }
};
/// HSUBPS, HSUBPD.
struct SubtractNeighbours {
  template <class Unit, class V>
  BHVM_INLINE static V apply(Unit& unit, V a, V b) {
    return unit.subtract(even_lanes(a, b), odd_lanes(a, b));
  }
};

/// Lanes of all ones where a bit of `bits` is set.
template <class U, unsigned n>
BHVM_INLINE Lanes<U, n> lanes_of_bits(unsigned bits) {
  Lanes<U, n> mask{};
  for (unsigned i = 0; i < n; ++i) mask[i] = ((bits >> i) & 1) != 0 ? static_cast<U>(~U{0}) : U{0};
  return mask;
}

/// DPPS and DPPD: products of the lanes in imm[7:4], added in pairs, then the pairs; the sum into the lanes in
/// imm[3:0]. Each step has flags of its own. Which product a lane adds first decides which of several NaNs it yields;
/// this is the order of Intel's processors.
struct DotProduct {
  template <class Unit>
  static f32x4 apply(Unit& unit, f32x4 a, f32x4 b, Imm imm) {
    const u32x4 used = lanes_of_bits<u32, 4>(imm.value >> 4);
    const u32x4 filled = lanes_of_bits<u32, 4>(imm.value);
    const f32x4 products = unit.multiply(as<f32x4>(as<u32x4>(a) & used), as<f32x4>(as<u32x4>(b) & used));
    const f32x4 pairs = unit.add(__builtin_shufflevector(products, products, 1, 0, 3, 2), products);
    const f32x4 sum = unit.add(pairs, __builtin_shufflevector(pairs, pairs, 2, 3, 0, 1));
    return as<f32x4>(as<u32x4>(sum) & filled);
  }
  template <class Unit>
  static f64x2 apply(Unit& unit, f64x2 a, f64x2 b, Imm imm) {
    const u64x2 used = lanes_of_bits<u64, 2>(imm.value >> 4);
    const u64x2 filled = lanes_of_bits<u64, 2>(imm.value);
    const f64x2 products = unit.multiply(as<f64x2>(as<u64x2>(a) & used), as<f64x2>(as<u64x2>(b) & used));
    const f64x2 sum = unit.add(products, __builtin_shufflevector(products, products, 1, 0));
    return as<f64x2>(as<u64x2>(sum) & filled);
  }
};

}  // namespace bhvm::sse::fp
