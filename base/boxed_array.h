// BoxedArray: a std::array on the heap, for the large tables of a state.
//
// It is a value like an array, and as small as a pointer: a state that holds one is cheap to move and to put on a
// stack, and does not make the compiler look for a field in each of its bits (Boost.PFR counts an aggregate's fields
// by halving that number; of a table of 128 KiB it takes half a minute).
#pragma once

#include <array>
#include <cstddef>
#include <memory>

namespace bhvm {

/// kSize elements of T, all value-initialised. Copying copies the elements. One that was moved from may be assigned to
/// or destroyed, nothing else.
template <class T, std::size_t kSize>
class BoxedArray {
 public:
  using value_type = T;

  BoxedArray() : elements_(std::make_unique<Elements>()) {}
  BoxedArray(const BoxedArray& other) : elements_(std::make_unique<Elements>(*other.elements_)) {}
  BoxedArray(BoxedArray&&) noexcept = default;
  BoxedArray& operator=(const BoxedArray& other) {
    if (elements_ == nullptr) elements_ = std::make_unique<Elements>();
    *elements_ = *other.elements_;
    return *this;
  }
  BoxedArray& operator=(BoxedArray&&) noexcept = default;
  ~BoxedArray() = default;

  T& operator[](std::size_t i) { return (*elements_)[i]; }
  const T& operator[](std::size_t i) const { return (*elements_)[i]; }
  T* data() { return elements_->data(); }
  const T* data() const { return elements_->data(); }
  static constexpr std::size_t size() { return kSize; }
  auto begin() { return elements_->begin(); }
  auto end() { return elements_->end(); }
  auto begin() const { return elements_->cbegin(); }
  auto end() const { return elements_->cend(); }

 private:
  using Elements = std::array<T, kSize>;
  std::unique_ptr<Elements> elements_;
};

}  // namespace bhvm

template <class T, std::size_t kSize>
struct std::tuple_size<bhvm::BoxedArray<T, kSize>> : std::integral_constant<std::size_t, kSize> {};
