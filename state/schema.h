// The schema of a state: one line for each value that is saved, in saving order, as text that is the same with every
// compiler. A test holds its hash, so that the format cannot change unnoticed; a file holds it to refuse a stranger.
//
//   gpr[16]: u64
//   timers[3].mode: enum u8
//   events[].time_ns: u64        [] is a vector
#pragma once

#include <string>

#include "state/field_name.h"
#include "state/shape.h"

namespace bhvm {
namespace state_shape {

template <Scalar T>
std::string type_text() {
  if constexpr (std::is_enum_v<T>) {
    return "enum " + type_text<std::underlying_type_t<T>>();
  } else if constexpr (std::is_same_v<T, bool>) {
    return "bool";
  } else {
    return (std::is_signed_v<T> ? 'i' : 'u') + std::to_string(8 * sizeof(T));
  }
}

template <class S>
void describe(const std::string& path, std::string& out) {
  if constexpr (Scalar<S>) {
    out += path + ": " + type_text<S>() + '\n';
  } else if constexpr (Array<S>) {
    describe<typename S::value_type>(path + '[' + std::to_string(std::tuple_size_v<S>) + ']', out);
  } else if constexpr (Vector<S>) {
    describe<typename S::value_type>(path + "[]", out);
  } else {
    [&]<std::size_t... kIndex>(std::index_sequence<kIndex...>) {
      (describe<boost::pfr::tuple_element_t<kIndex, S>>(
           (path.empty() ? path : path + '.') + std::string(field_name<S, kIndex>()), out),
       ...);
    }(std::make_index_sequence<boost::pfr::tuple_size_v<S>>{});
  }
}

}  // namespace state_shape

template <state_shape::Aggregate S>
std::string schema() {
  std::string out;
  state_shape::describe<S>("", out);
  return out;
}

}  // namespace bhvm
