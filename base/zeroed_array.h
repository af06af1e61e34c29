// ZeroedArray: a large array that starts as zero and costs nothing until it is touched.
#pragma once

#include <cstdlib>
#include <memory>
#include <type_traits>

#include "base/check.h"

namespace bhvm {

/// `size` elements of T, all bytes zero. The host gives the memory page by page as it is used. Aborts with a sentence
/// when the host has no address space left.
template <class T>
class ZeroedArray {
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);

 public:
  explicit ZeroedArray(std::size_t size) : data_(static_cast<T*>(std::calloc(size, sizeof(T)))), size_(size) {
    BHVM_CHECK(data_ != nullptr || size == 0, "the host has no memory left for a table");
  }
  T& operator[](std::size_t i) { return data_.get()[i]; }
  const T& operator[](std::size_t i) const { return data_.get()[i]; }
  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  std::size_t size() const { return size_; }

 private:
  struct Free {
    void operator()(T* p) const { std::free(p); }
  };
  std::unique_ptr<T, Free> data_;
  std::size_t size_;
};

}  // namespace bhvm
