// What a state may be made of, and what is known of it at compile time.
//
// A state is an aggregate of integers of at most 64 bits, bool, enumerations, std::array, BoxedArray, std::vector and
// further aggregates of these. Boost.PFR visits the fields in order of declaration, so the declaration is the only list
// there is. Anything else (pointers, floats, C arrays, classes) does not compile.
#pragma once

#include <array>
#include <bit>
#include <boost/pfr/core.hpp>
#include <cstddef>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/boxed_array.h"
#include "base/types.h"

namespace bhvm::state_shape {

template <class T>
struct IsArray : std::false_type {};
template <class T, std::size_t kSize>
struct IsArray<std::array<T, kSize>> : std::true_type {};
template <class T, std::size_t kSize>
struct IsArray<BoxedArray<T, kSize>> : std::true_type {};
template <class T>
struct IsVector : std::false_type {};
template <class T>
struct IsVector<std::vector<T>> : std::true_type {};

/// One value: an integer, bool or enumeration.
template <class T>
concept Scalar = (std::is_integral_v<T> || std::is_enum_v<T>) && sizeof(T) <= 8;
template <class T>
concept Array = IsArray<T>::value;
template <class T>
concept Vector = IsVector<T>::value && !std::is_same_v<T, std::vector<bool>>;
template <class T>
concept Aggregate = std::is_aggregate_v<T> && std::is_class_v<T> && !Array<T> && !Vector<T>;

/// The unsigned integer of a scalar's width.
template <std::size_t kBytes>
using UnsignedOf = std::conditional_t<kBytes == 1, u8,
                                      std::conditional_t<kBytes == 2, u16, std::conditional_t<kBytes == 4, u32, u64>>>;

template <Scalar T>
constexpr UnsignedOf<sizeof(T)> to_bits(T value) {
  return static_cast<UnsignedOf<sizeof(T)>>(value);
}

/// Tests `predicate.template operator()<Field>()` on the types of all fields of S.
template <Aggregate S, class Predicate>
consteval bool all_fields(Predicate predicate) {
  return [&]<std::size_t... kIndex>(std::index_sequence<kIndex...>) {
    return (predicate.template operator()<boost::pfr::tuple_element_t<kIndex, S>>() && ...);
  }(std::make_index_sequence<boost::pfr::tuple_size_v<S>>{});
}

/// Is the value's memory its saved form: little-endian, no padding, no vector? Then it is copied and hashed in bulk.
template <class T>
consteval bool saves_in_bulk() {
  if constexpr (Scalar<T>) {
    return std::endian::native == std::endian::little;
  } else if constexpr (Array<T>) {
    return std::is_trivially_copyable_v<T> && saves_in_bulk<typename T::value_type>();
  } else if constexpr (Aggregate<T>) {
    return std::is_trivially_copyable_v<T> && std::has_unique_object_representations_v<T> &&
           all_fields<T>([]<class Field>() { return saves_in_bulk<Field>(); });
  } else {
    static_assert(Vector<T>, "a state holds integers, bool, enums, std::array, std::vector and aggregates of these");
    return false;
  }
}

/// May any bytes be loaded into it in bulk? Not into a bool: only 0 and 1 are values.
template <class T>
consteval bool loads_in_bulk() {
  if constexpr (std::is_same_v<T, bool>) {
    return false;
  } else if constexpr (Array<T>) {
    return std::is_trivially_copyable_v<T> && loads_in_bulk<typename T::value_type>();
  } else if constexpr (Aggregate<T>) {
    return saves_in_bulk<T>() && all_fields<T>([]<class Field>() { return loads_in_bulk<Field>(); });
  } else {
    return saves_in_bulk<T>();
  }
}

/// The fewest bytes that a saved value takes.
template <class T>
consteval std::size_t saved_size_min() {
  if constexpr (Scalar<T>) {
    return sizeof(T);
  } else if constexpr (Array<T>) {
    return std::tuple_size_v<T> * saved_size_min<typename T::value_type>();
  } else if constexpr (Vector<T>) {
    return sizeof(u64);
  } else {
    return []<std::size_t... kIndex>(std::index_sequence<kIndex...>) {
      return (std::size_t{0} + ... + saved_size_min<boost::pfr::tuple_element_t<kIndex, T>>());
    }(std::make_index_sequence<boost::pfr::tuple_size_v<T>>{});
  }
}

}  // namespace bhvm::state_shape
