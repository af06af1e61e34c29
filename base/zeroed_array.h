// ZeroedArray: a large array that starts as zero and costs nothing until it is touched.
#pragma once

#include <algorithm>
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
  explicit ZeroedArray(std::size_t size)
      : memory_(std::calloc(size + 1, std::max(sizeof(T), alignof(T)))), size_(size) {
    BHVM_CHECK(memory_ != nullptr, "the host has no memory left for a table");
    // calloc() aligns to less than some types ask for; the element more leaves room.
    std::size_t space = (size + 1) * std::max(sizeof(T), alignof(T));
    void* place = memory_.get();
    data_ = static_cast<T*>(std::align(alignof(T), size * sizeof(T), place, space));
  }
  T& operator[](std::size_t i) { return data_[i]; }
  const T& operator[](std::size_t i) const { return data_[i]; }
  T* data() { return data_; }
  const T* data() const { return data_; }
  std::size_t size() const { return size_; }

 private:
  struct Free {
    void operator()(void* p) const { std::free(p); }
  };
  std::unique_ptr<void, Free> memory_;
  T* data_ = nullptr;
  std::size_t size_;
};

}  // namespace bhvm
