// Result<T>: a value, or an error that a person can act on.
//
// An Error is one sentence: what is wrong, and what to do. It is for bad input and a failing host (a file that is not
// there, no memory, an impossible option). It is never used for guest faults (those are guest state) nor for our own
// bugs (those are checks).
#pragma once

#include <string>
#include <utility>
#include <variant>

#include "base/check.h"

namespace bhvm {

struct Error {
  std::string message;
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::in_place_index<0>, std::move(value)) {}      // NOLINT: implicit by design
  Result(Error error) : value_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: implicit by design

  bool ok() const { return value_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& value() & {
    BHVM_CHECK(ok(), "the value of a failed Result was read");
    return std::get<0>(value_);
  }
  const T& value() const& {
    BHVM_CHECK(ok(), "the value of a failed Result was read");
    return std::get<0>(value_);
  }
  T&& value() && {
    BHVM_CHECK(ok(), "the value of a failed Result was read");
    return std::get<0>(std::move(value_));
  }
  const Error& error() const {
    BHVM_CHECK(!ok(), "the error of a successful Result was read");
    return std::get<1>(value_);
  }

 private:
  std::variant<T, Error> value_;
};

struct Nothing {};
using Status = Result<Nothing>;
inline Status success() { return Status(Nothing{}); }

}  // namespace bhvm
