// What differs between two states, field by field: for the message of a failed comparison.
#pragma once

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "state/field_name.h"
#include "state/shape.h"

namespace bhvm {

struct FieldDifference {
  std::string path;  // as C++ spells it: "gpr[3]", "events[0].time_ns"; "events.size()" for a vector's length
  std::string a;     // hexadecimal with the field's width; true or false for a bool
  std::string b;
};

namespace state_shape {

/// "0x" and two digits for each byte.
std::string hex_text(u64 value, unsigned bytes);

template <Scalar T>
std::string value_text(T value) {
  if constexpr (std::is_same_v<T, bool>) return value ? "true" : "false";
  return hex_text(to_bits(value), sizeof(T));
}

template <class S>
void diff_at(std::string& path, const S& a, const S& b, std::vector<FieldDifference>& out, std::size_t maximum);

template <Aggregate S, std::size_t kIndex>
void diff_field(std::string& path, const S& a, const S& b, std::vector<FieldDifference>& out, std::size_t maximum) {
  const std::size_t length = path.size();
  if (length != 0) path += '.';
  path += field_name<S, kIndex>();
  diff_at(path, boost::pfr::get<kIndex>(a), boost::pfr::get<kIndex>(b), out, maximum);
  path.resize(length);
}

template <class S>
void diff_at(std::string& path, const S& a, const S& b, std::vector<FieldDifference>& out, std::size_t maximum) {
  if (out.size() >= maximum) return;
  if constexpr (saves_in_bulk<S>()) {
    if (std::memcmp(&a, &b, sizeof(S)) == 0) return;
  }
  if constexpr (Scalar<S>) {
    if (a != b) out.push_back({path, value_text(a), value_text(b)});
  } else if constexpr (Array<S> || Vector<S>) {
    if (a.size() != b.size()) {
      out.push_back({path + ".size()", hex_text(a.size(), sizeof(u64)), hex_text(b.size(), sizeof(u64))});
    }
    const std::size_t length = path.size();
    for (std::size_t i = 0; i < std::min(a.size(), b.size()) && out.size() < maximum; ++i) {
      path += '[' + std::to_string(i) + ']';
      diff_at(path, a[i], b[i], out, maximum);
      path.resize(length);
    }
  } else {
    [&]<std::size_t... kIndex>(std::index_sequence<kIndex...>) {
      (diff_field<S, kIndex>(path, a, b, out, maximum), ...);
    }(std::make_index_sequence<boost::pfr::tuple_size_v<S>>{});
  }
}

}  // namespace state_shape

/// Appends the fields in which `a` and `b` differ, in order of declaration, until `out` holds `maximum`.
template <class S>
void diff(const S& a, const S& b, std::vector<FieldDifference>& out, std::size_t maximum = 64) {
  std::string path;
  state_shape::diff_at(path, a, b, out, maximum);
}

}  // namespace bhvm
