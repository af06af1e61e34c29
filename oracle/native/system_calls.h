// The child's system calls: it has no C library.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

namespace bhvm::oracle::native {

/// The kernel's answer: a value, or a negative errno.
inline int64_t system_call(int64_t number, uint64_t a = 0, uint64_t b = 0, uint64_t c = 0, uint64_t d = 0,
                           uint64_t e = 0, uint64_t f = 0) {
  int64_t result = number;
  register uint64_t r10 asm("r10") = d;
  register uint64_t r8 asm("r8") = e;
  register uint64_t r9 asm("r9") = f;
  asm volatile("syscall" : "+a"(result) : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
  return result;
}

template <class T>
uint64_t address_of(const T* object) {
  return reinterpret_cast<uint64_t>(object);
}

[[noreturn]] inline void exit_process(int status) {
  for (;;) system_call(SYS_exit_group, static_cast<uint64_t>(status));
}

}  // namespace bhvm::oracle::native
