#include "cpu/sse/string_compare.h"

#include <bit>

#include "base/planted_fault.h"
#include "cpu/sse/shuffles.h"

namespace bhvm::sse {
namespace {

// The control byte's fields (SDM 1, 12.10.1).
constexpr u8 kWords = 1 << 0;
constexpr u8 kSigned = 1 << 1;
constexpr unsigned kAggregationShift = 2;
enum class Aggregation : u8 { kEqualAny, kRanges, kEqualEach, kEqualOrdered };
constexpr u8 kNegative = 1 << 4;
constexpr u8 kMasked = 1 << 5;
constexpr u8 kMostSignificant = 1 << 6;  // for PCMPxSTRM: element mask

constexpr u32 low_bits(unsigned n) { return (u32{1} << n) - 1; }

/// A bit for each lane that is all ones or zero.
template <class V>
u32 lane_bits(V mask) {
  return top_bits(as<Recast<std::make_unsigned_t<LaneType<V>>, V>>(mask));
}

/// IntRes1 for lanes of V; comparisons with invalid elements are overridden by SDM 1, table 12-7.
template <class V>
u32 aggregate(V a, V b, StringLengths lengths, Aggregation aggregation) {
  constexpr unsigned n = kLanes<V>;
  const u32 valid_a = low_bits(lengths.a);
  const u32 valid_b = low_bits(lengths.b);
  u32 bits = 0;
  switch (aggregation) {
    case Aggregation::kEqualAny:
      for (unsigned i = 0; i < lengths.a; ++i) bits |= lane_bits(b == splat<V>(a[i]));
      return bits & valid_b;
    case Aggregation::kRanges:
      for (unsigned i = 0; i + 1 < lengths.a; i += 2) {
        bits |= lane_bits((b >= splat<V>(a[i])) & (b <= splat<V>(a[i + 1])));
      }
      return bits & valid_b;
    case Aggregation::kEqualEach:
      // Both valid and equal, or both invalid.
      return (lane_bits(a == b) & valid_a & valid_b) | (~(valid_a | valid_b) & low_bits(n));
    case Aggregation::kEqualOrdered:
      // Bit j: a[i] equals b[j + i] for every valid a[i] for which b has an element j + i.
      bits = low_bits(n);
      for (unsigned i = 0; i < lengths.a; ++i) {
        const u32 equal = lane_bits(b == splat<V>(a[i])) & valid_b;
        bits &= (equal >> i) | ~low_bits(n - i);
      }
      return bits & low_bits(n);
  }
  return 0;
}

template <class V>
unsigned length_of(V string) {
  const u32 zeros = lane_bits(string == 0);
  return zeros == 0 ? kLanes<V> : static_cast<unsigned>(std::countr_zero(zeros));
}

}  // namespace

StringLengths implicit_lengths(u8x16 a, u8x16 b, Imm control) {
  if ((control.value & kWords) != 0) return {length_of(as<u16x8>(a)), length_of(as<u16x8>(b))};
  return {length_of(a), length_of(b)};
}

unsigned explicit_length(i64 value, Imm control) {
  const u64 limit = (control.value & kWords) != 0 ? 8 : 16;
  const u64 magnitude = value < 0 ? 0 - static_cast<u64>(value) : static_cast<u64>(value);
  return static_cast<unsigned>(magnitude < limit ? magnitude : limit);
}

StringComparison compare_strings(u8x16 a, u8x16 b, StringLengths lengths, Imm control) {
  const bool words = (control.value & kWords) != 0;
  const bool is_signed = (control.value & kSigned) != 0;
  const auto aggregation = static_cast<Aggregation>((control.value >> kAggregationShift) & 3);
  StringComparison result;
  result.elements = words ? 8 : 16;
  u32 bits;
  if (words) {
    bits = is_signed ? aggregate(as<i16x8>(a), as<i16x8>(b), lengths, aggregation)
                     : aggregate(as<u16x8>(a), as<u16x8>(b), lengths, aggregation);
  } else {
    bits =
        is_signed ? aggregate(as<i8x16>(a), as<i8x16>(b), lengths, aggregation) : aggregate(a, b, lengths, aggregation);
  }
  // Polarity: masked, it leaves the bits of invalid elements alone.
  if ((control.value & kNegative) != 0) {
    bits ^= (control.value & kMasked) != 0 ? low_bits(lengths.b) : low_bits(result.elements);
  }
  result.bits = bits;
  result.cf = bits != 0;
  result.zf = lengths.b < result.elements;
  result.sf = lengths.a < result.elements;
  result.of = (bits & 1) != 0;
  return result;
}

u32 string_index(const StringComparison& comparison, Imm control) {
  if (comparison.bits == 0) return planted(PlantedFault::kStringIndexOfWords) ? 16 : comparison.elements;
  if ((control.value & kMostSignificant) != 0) return static_cast<u32>(std::bit_width(comparison.bits)) - 1;
  return static_cast<u32>(std::countr_zero(comparison.bits));
}

u64x2 string_mask(const StringComparison& comparison, Imm control) {
  if ((control.value & kMostSignificant) == 0) return u64x2{comparison.bits, 0};
  if (comparison.elements == 8) {
    u16x8 mask{};
    for (unsigned i = 0; i < 8; ++i) mask[i] = ((comparison.bits >> i) & 1) != 0 ? u16{0xFFFF} : u16{0};
    return as<u64x2>(mask);
  }
  u8x16 mask{};
  for (unsigned i = 0; i < 16; ++i) mask[i] = ((comparison.bits >> i) & 1) != 0 ? u8{0xFF} : u8{0};
  return as<u64x2>(mask);
}

}  // namespace bhvm::sse
