// The host's SSE unit, as the unit that semantics compute on.
//
// Each operation is the host's instruction of the same name in inline assembly with the guest's operand order: which of
// two NaNs survives depends on it, and the compiler may neither move, fold nor swap what it cannot see. V is float,
// double, f32x4 or f64x2; scalars stand for the low lane of a register whose other lanes stay. The mode is what
// cpu/sse/host_fp.h has loaded, all exceptions masked; flags gather in the host's MXCSR.
#pragma once

#include <bit>
#include <limits>
#include <type_traits>

#include "base/planted_fault.h"
#include "cpu/sse/host_fp.h"
#include "cpu/sse/soft_unit.h"
#include "cpu/sse/vector.h"

#if BHVM_HOST_SSE

namespace bhvm::sse {

class HostUnit {
 public:
  HostUnit() = default;
  explicit HostUnit(const Cpu&) {}

#define BHVM_SSE_BINARY(name, mnemonic)                        \
  template <class V>                                           \
  BHVM_INLINE V name(V a, V b) {                               \
    if constexpr (std::is_same_v<V, float>) {                  \
      asm volatile(mnemonic "ss %1, %0" : "+x"(a) : "x"(b));   \
    } else if constexpr (std::is_same_v<V, double>) {          \
      asm volatile(mnemonic "sd %1, %0" : "+x"(a) : "x"(b));   \
    } else if constexpr (std::is_same_v<LaneType<V>, float>) { \
      asm volatile(mnemonic "ps %1, %0" : "+x"(a) : "x"(b));   \
    } else {                                                   \
      asm volatile(mnemonic "pd %1, %0" : "+x"(a) : "x"(b));   \
    }                                                          \
    return a;                                                  \
  }
  BHVM_SSE_BINARY(add, "add")
  BHVM_SSE_BINARY(subtract, "sub")
  BHVM_SSE_BINARY(multiply, "mul")
  BHVM_SSE_BINARY(divide, "div")
  BHVM_SSE_BINARY(minimum, "min")
  BHVM_SSE_BINARY(maximum, "max")
#undef BHVM_SSE_BINARY

  template <class V>
  BHVM_INLINE V square_root(V a) {
    if constexpr (std::is_same_v<V, float>) {
      asm volatile("sqrtss %0, %0" : "+x"(a));
    } else if constexpr (std::is_same_v<V, double>) {
      asm volatile("sqrtsd %0, %0" : "+x"(a));
    } else if constexpr (std::is_same_v<LaneType<V>, float>) {
      asm volatile("sqrtps %0, %0" : "+x"(a));
    } else {
      asm volatile("sqrtpd %0, %0" : "+x"(a));
    }
    return a;
  }

  /// CMPxx: lanes of all ones where the predicate (0 to 7: EQ, LT, LE, UNORD, NEQ, NLT, NLE, ORD) holds.
  template <unsigned predicate, class V>
  BHVM_INLINE V compare(V a, V b) {
    if constexpr (std::is_same_v<V, float>) {
      asm volatile("cmpss %2, %1, %0" : "+x"(a) : "x"(b), "i"(predicate));
    } else if constexpr (std::is_same_v<V, double>) {
      asm volatile("cmpsd %2, %1, %0" : "+x"(a) : "x"(b), "i"(predicate));
    } else if constexpr (std::is_same_v<LaneType<V>, float>) {
      asm volatile("cmpps %2, %1, %0" : "+x"(a) : "x"(b), "i"(predicate));
    } else {
      asm volatile("cmppd %2, %1, %0" : "+x"(a) : "x"(b), "i"(predicate));
    }
    return a;
  }

  /// COMISx, and UCOMISx when `quiet`.
  template <bool quiet, class T>
  BHVM_INLINE Comparison compare_ordered(T a, T b) {
    Comparison result;
    if constexpr (std::is_same_v<T, float>) {
      if constexpr (quiet) {
        asm volatile("ucomiss %4, %3" : "=@ccz"(result.zf), "=@ccp"(result.pf), "=@ccc"(result.cf) : "x"(a), "x"(b));
      } else {
        asm volatile("comiss %4, %3" : "=@ccz"(result.zf), "=@ccp"(result.pf), "=@ccc"(result.cf) : "x"(a), "x"(b));
      }
    } else {
      if constexpr (quiet) {
        asm volatile("ucomisd %4, %3" : "=@ccz"(result.zf), "=@ccp"(result.pf), "=@ccc"(result.cf) : "x"(a), "x"(b));
      } else {
        asm volatile("comisd %4, %3" : "=@ccz"(result.zf), "=@ccp"(result.pf), "=@ccc"(result.cf) : "x"(a), "x"(b));
      }
    }
    return result;
  }

  // ---- conversions; an integer that does not fit is the integer indefinite, with IE ----

  /// name(a) = the instruction, from and to whole registers.
#define BHVM_SSE_CONVERT(name, mnemonic, To, From)            \
  BHVM_INLINE To name(From a) {                               \
    To result{};                                              \
    asm volatile(mnemonic " %1, %0" : "+x"(result) : "x"(a)); \
    return result;                                            \
  }
  BHVM_SSE_CONVERT(int32x4_to_singles, "cvtdq2ps", f32x4, i32x4)
  BHVM_SSE_CONVERT(singles_to_int32x4, "cvtps2dq", i32x4, f32x4)
  BHVM_SSE_CONVERT(singles_to_int32x4_truncate, "cvttps2dq", i32x4, f32x4)
  BHVM_SSE_CONVERT(low_int32x2_to_doubles, "cvtdq2pd", f64x2, u64x2)
  BHVM_SSE_CONVERT(doubles_to_int32x2, "cvtpd2dq", u64x2, f64x2)
  BHVM_SSE_CONVERT(doubles_to_int32x2_truncate, "cvttpd2dq", u64x2, f64x2)
  BHVM_SSE_CONVERT(low_singles_to_doubles, "cvtps2pd", f64x2, u64x2)
  BHVM_SSE_CONVERT(doubles_to_singles, "cvtpd2ps", f32x4, f64x2)
  BHVM_SSE_CONVERT(single_to_double, "cvtss2sd", double, float)
  BHVM_SSE_CONVERT(double_to_single, "cvtsd2ss", float, double)
#undef BHVM_SSE_CONVERT

  template <class T, class I>
  BHVM_INLINE T from_integer(I a) {
    T result{};
    if constexpr (std::is_same_v<T, float>) {
      if constexpr (sizeof(I) == 4) {
        asm volatile("cvtsi2ssl %1, %0" : "+x"(result) : "r"(a));
      } else {
        asm volatile("cvtsi2ssq %1, %0" : "+x"(result) : "r"(a));
      }
    } else {
      if constexpr (sizeof(I) == 4) {
        asm volatile("cvtsi2sdl %1, %0" : "+x"(result) : "r"(a));
      } else {
        asm volatile("cvtsi2sdq %1, %0" : "+x"(result) : "r"(a));
      }
    }
    return result;
  }
  template <class I, bool truncate, class T>
  BHVM_INLINE I to_integer(T a) {
    I result;
    // By its bits: a comparison would raise flags of its own.
    using Bits = std::conditional_t<sizeof(T) == 4, u32, u64>;
    constexpr Bits kLeast = std::bit_cast<Bits>(static_cast<T>(std::numeric_limits<std::make_signed_t<I>>::min()));
    if (planted(PlantedFault::kTruncationEdge) && truncate && std::bit_cast<Bits>(a) == kLeast) {
      set_host_mxcsr(host_mxcsr() | mxcsr::kIe);
    }
    if constexpr (std::is_same_v<T, float>) {
      if constexpr (truncate) {
        asm volatile("cvttss2si %1, %0" : "=r"(result) : "x"(a));
      } else {
        asm volatile("cvtss2si %1, %0" : "=r"(result) : "x"(a));
      }
    } else {
      if constexpr (truncate) {
        asm volatile("cvttsd2si %1, %0" : "=r"(result) : "x"(a));
      } else {
        asm volatile("cvtsd2si %1, %0" : "=r"(result) : "x"(a));
      }
    }
    return result;
  }

  /// ADDSUBPS, ADDSUBPD: even lanes subtract, odd lanes add. A lane that takes no part is zero and raises no flag.
  template <class V>
  BHVM_INLINE V add_subtract(V a, V b) {
    using U = std::conditional_t<sizeof(LaneType<V>) == 4, u32, u64>;
    Recast<U, V> odd{};
    for (unsigned i = 1; i < kLanes<V>; i += 2) odd[i] = static_cast<U>(~U{0});
    const auto only = [](V v, Recast<U, V> mask) { return as<V>(as<Recast<U, V>>(v) & mask); };
    const V differences = subtract(only(a, ~odd), only(b, ~odd));
    const V sums = add(only(a, odd), only(b, odd));
    return as<V>((as<Recast<U, V>>(differences) & ~odd) | (as<Recast<U, V>>(sums) & odd));
  }

  /// ROUNDxx, in software: the instruction is not in every host.
  template <class V>
  V round(V a, u8 imm) {
    const u32 before = host_mxcsr();
    soft::Context context{before, 0};
    const V result = map_lanes(a, [&context, imm](auto x) { return soft::round(x, imm, context); });
    if ((context.flags & ~before) != 0) set_host_mxcsr(before | context.flags);
    return result;
  }
};

}  // namespace bhvm::sse

#endif
