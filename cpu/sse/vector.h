// The vector types that SSE and MMX instructions work on.
//
// An XMM register is a 16-byte vector, an MMX register an 8-byte one, of whatever lane type an instruction sees in it.
// These are the compilers' generic vectors: arithmetic, comparison and ?: work lane by lane and become the host's
// vector instructions. Comparisons yield lanes of all ones or zero, as the guest's do.
#pragma once

#include <bit>
#include <cstring>
#include <type_traits>
#include <utility>

#include "base/types.h"
#include "cpu/op.h"

/// The host's instruction set that the meanings of vector instructions are compiled for. The files that hold them are
/// built for more than one (cpu/sse/CMakeLists.txt), each in a namespace of its own; register_sse() takes the best that
/// the host has. All of them compute the same.
#ifndef BHVM_SSE_HOST
#define BHVM_SSE_HOST any_host
#endif

namespace bhvm::sse {

template <class T, unsigned bytes>
struct VectorOf {
  typedef T type __attribute__((vector_size(bytes)));
};
/// `n` lanes of T.
template <class T, unsigned n>
using Lanes = typename VectorOf<T, sizeof(T) * n>::type;

using u8x16 = Lanes<u8, 16>;
using u16x8 = Lanes<u16, 8>;
using u32x4 = Lanes<u32, 4>;
using u64x2 = Lanes<u64, 2>;
using i8x16 = Lanes<i8, 16>;
using i16x8 = Lanes<i16, 8>;
using i32x4 = Lanes<i32, 4>;
using i64x2 = Lanes<i64, 2>;
using f32x4 = Lanes<float, 4>;
using f64x2 = Lanes<double, 2>;

using u8x8 = Lanes<u8, 8>;
using u16x4 = Lanes<u16, 4>;
using u32x2 = Lanes<u32, 2>;
using u64x1 = Lanes<u64, 1>;
using i8x8 = Lanes<i8, 8>;
using i16x4 = Lanes<i16, 4>;
using i32x2 = Lanes<i32, 2>;

template <class V>
using LaneType = std::remove_cvref_t<decltype(std::declval<V&>()[0])>;
template <class V>
inline constexpr unsigned kLanes = sizeof(V) / sizeof(LaneType<V>);

/// The same size in other lanes.
template <class T, class V>
using Recast = Lanes<T, sizeof(V) / sizeof(T)>;
/// The same number of lanes of another type.
template <class T, class V>
using Relane = Lanes<T, kLanes<V>>;

/// The same bits seen as another type.
template <class To, class From>
BHVM_INLINE To as(const From& from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(static_cast<void*>(&to), &from, sizeof(To));
  return to;
}
template <class T, class V>
BHVM_INLINE Recast<T, V> as_lanes(V v) {
  return as<Recast<T, V>>(v);
}

/// All lanes `value`.
template <class V>
BHVM_INLINE V splat(LaneType<V> value) {
  return value - V{};
}

/// Each lane converted as C++ converts it.
template <class T, class V>
BHVM_INLINE Relane<T, V> convert_lanes(V v) {
  return __builtin_convertvector(v, Relane<T, V>);
}

/// The low half of a vector.
template <class V>
BHVM_INLINE Lanes<LaneType<V>, kLanes<V> / 2> low_half(const V& v) {
  Lanes<LaneType<V>, kLanes<V> / 2> half;
  std::memcpy(&half, &v, sizeof(half));
  return half;
}

/// An immediate operand, and the implicit XMM0, as parameter types of a semantics.
struct Imm {
  u8 value = 0;
};
struct Xmm0 {
  u8x16 value;
};

}  // namespace bhvm::sse
