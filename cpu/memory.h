// Loads and stores of the interpreter: an inline path through the fast TLB, everything else out of line.
//
// All return false when the access did not happen; `cpu.fault` then says why and the handler leaves through BHVM_FAULT.
// An access that crosses a page translates both pages before it reads or writes a byte.
//
// A hot handler comes in two: one whose accesses know the fast TLB alone, and its kSlow twin, to which it hands the op
// when that misses. So the hot one calls nothing and needs no stack frame (BHVM_ACCESS).
#pragma once

#include <cstring>

#include "cpu/cpu.h"

namespace bhvm {

/// The slow paths: any address, any page, devices, decoded code, alignment checks. A load puts its value into
/// cpu.slow_value.
BHVM_COLD bool load_slow(Cpu& cpu, u64 linear, unsigned size);
BHVM_COLD bool store_slow(Cpu& cpu, u64 linear, unsigned size, const void* bytes);
/// Checks that a store will succeed, and loads.
BHVM_COLD bool load_for_update_slow(Cpu& cpu, u64 linear, unsigned size);

template <class T>
BHVM_COLD bool store_value_slow(Cpu& cpu, u64 linear, T value) {
  return store_slow(cpu, linear, sizeof(T), &value);
}

/// How a handler's load or store is done.
enum class Through : u8 {
  kTlb,   // the fast TLB or not at all: false says nothing but that it missed
  kSlow,  // out of line
};

/// Where `linear` belongs in the fast TLB, `fast`.
BHVM_INLINE const FastEntry& fast_entry(FastData fast, u64 linear) {
  u64 offset = data_tlb_index(linear) * sizeof(FastEntry);
  settle(offset);
  return *reinterpret_cast<const FastEntry*>(reinterpret_cast<const u8*>(fast.entries) + offset);
}
/// Do the `size` bytes there lie in the page of this tag?
BHVM_INLINE bool in_page_of(FastData fast, u64 tag, u64 linear, unsigned size) {
  return ((linear + (size - 1)) & fast.page_mask) == tag;
}

/// `fast` is cpu.fast.
template <Through through, class T>
BHVM_INLINE bool load_by(Cpu& cpu, FastData fast, u64 linear, T& value) {
  if constexpr (through == Through::kTlb) {
    settle(linear);
    const FastEntry& entry = fast_entry(fast, linear);
    if (BHVM_UNLIKELY(!in_page_of(fast, entry.read_tag, linear, sizeof(T)))) return false;
    std::memcpy(&value, reinterpret_cast<const void*>(linear + entry.addend), sizeof(T));
  } else {
    if (!load_slow(cpu, linear, sizeof(T))) return false;
    std::memcpy(&value, cpu.slow_value.data(), sizeof(T));
  }
  return true;
}

/// Loads a T.
template <class T>
BHVM_INLINE bool load(Cpu& cpu, u64 linear, T& value) {
  return load_by<Through::kTlb>(cpu, cpu.fast, linear, value) || load_by<Through::kSlow>(cpu, cpu.fast, linear, value);
}

template <Through through, class T>
BHVM_INLINE bool store_by(Cpu& cpu, FastData fast, u64 linear, T value) {
  if constexpr (through == Through::kTlb) {
    settle(linear);
    const FastEntry& entry = fast_entry(fast, linear);
    if (BHVM_UNLIKELY(!in_page_of(fast, entry.write_tag, linear, sizeof(T)))) return false;
    std::memcpy(reinterpret_cast<void*>(linear + entry.addend), &value, sizeof(T));
    return true;
  } else {
    return store_value_slow<T>(cpu, linear, value);
  }
}

/// Stores a T.
template <class T>
BHVM_INLINE bool store(Cpu& cpu, u64 linear, T value) {
  return store_by<Through::kTlb>(cpu, cpu.fast, linear, value) ||
         store_by<Through::kSlow>(cpu, cpu.fast, linear, value);
}

/// Read, compute, write: the load checks the store, so that the store cannot fail any more.
template <class T, Through through = Through::kSlow>
struct Update {
  T value;
  void* host;  // of kTlb

  BHVM_INLINE bool load(Cpu& cpu, FastData fast, u64 linear) {
    if constexpr (through == Through::kTlb) {
      settle(linear);
      const FastEntry& entry = fast_entry(fast, linear);
      if (BHVM_UNLIKELY(!in_page_of(fast, entry.write_tag, linear, sizeof(T)))) return false;
      host = reinterpret_cast<void*>(linear + entry.addend);
      std::memcpy(&value, host, sizeof(T));
    } else {
      if (!load_for_update_slow(cpu, linear, sizeof(T))) return false;
      std::memcpy(&value, cpu.slow_value.data(), sizeof(T));
    }
    return true;
  }
  BHVM_INLINE void store(Cpu& cpu, u64 linear, T result) {
    if constexpr (through == Through::kTlb) {
      std::memcpy(host, &result, sizeof(T));
    } else {
      store_value_slow<T>(cpu, linear, result);
    }
  }
};

}  // namespace bhvm
