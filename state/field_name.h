// The name of an aggregate's field, as its declaration spells it.
//
// Boost.PFR 1.81 counts fields but knows no names. The compiler does: a pointer to a subobject, given as a template
// argument, is spelled out in __PRETTY_FUNCTION__, and the last identifier there is the field's. The object pointed to
// is declared and never defined, nor needed. The aggregate must have a name with linkage: not a local class.
#pragma once

#include <boost/pfr/core.hpp>
#include <memory>
#include <string_view>

namespace bhvm::state_shape {

template <class S>
struct Nowhere {
  const S value;
};

#if defined(__clang__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wundefined-var-template"
#pragma clang diagnostic ignored "-Wundefined-internal"
#endif
template <class S>
extern const Nowhere<S> nowhere;

/// clang spells a pointer to a subobject in full only inside a class.
template <class P>
struct Spelled {
  P pointer;
};

template <Spelled kPointer>
consteval auto last_identifier() {  // auto: GCC would spell std::string_view out at the end
  constexpr auto in_identifier = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  };
  std::string_view text = __PRETTY_FUNCTION__;
  while (!text.empty() && !in_identifier(text.back())) text.remove_suffix(1);
  std::size_t begin = text.size();
  while (begin > 0 && in_identifier(text[begin - 1])) --begin;
  return text.substr(begin);
}

template <class S, std::size_t kIndex>
consteval std::string_view field_name() {
  return last_identifier<Spelled{std::addressof(boost::pfr::get<kIndex>(nowhere<S>.value))}>();
}
#if defined(__clang__)
#pragma clang diagnostic pop
#endif

}  // namespace bhvm::state_shape
