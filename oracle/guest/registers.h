// System registers and instructions that C++ has no word for, as functions of their SDM names.
#pragma once

#include <stdint.h>

namespace bhvm::oracle::guest {

struct [[gnu::packed]] TableOperand {
  uint16_t limit;
  uint64_t base;
};

#define BHVM_CONTROL_REGISTER(name)                    \
  inline uint64_t read_##name() {                      \
    uint64_t value;                                    \
    asm volatile("mov %%" #name ", %0" : "=r"(value)); \
    return value;                                      \
  }                                                    \
  inline void write_##name(uint64_t value) { asm volatile("mov %0, %%" #name : : "r"(value) : "memory"); }
BHVM_CONTROL_REGISTER(cr0)
BHVM_CONTROL_REGISTER(cr2)
BHVM_CONTROL_REGISTER(cr3)
BHVM_CONTROL_REGISTER(cr4)
BHVM_CONTROL_REGISTER(cr8)
BHVM_CONTROL_REGISTER(dr0)
BHVM_CONTROL_REGISTER(dr1)
BHVM_CONTROL_REGISTER(dr2)
BHVM_CONTROL_REGISTER(dr3)
BHVM_CONTROL_REGISTER(dr6)
BHVM_CONTROL_REGISTER(dr7)
#undef BHVM_CONTROL_REGISTER

inline uint64_t rdmsr(uint32_t index) {
  uint32_t low, high;
  asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index));
  return low | (uint64_t{high} << 32);
}
inline void wrmsr(uint32_t index, uint64_t value) {
  asm volatile("wrmsr"
               :
               : "c"(index), "a"(static_cast<uint32_t>(value)), "d"(static_cast<uint32_t>(value >> 32))
               : "memory");
}
inline uint64_t xgetbv0() {
  uint32_t low, high;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low | (uint64_t{high} << 32);
}
inline void xsetbv0(uint64_t value) {
  asm volatile("xsetbv" : : "c"(0), "a"(static_cast<uint32_t>(value)), "d"(static_cast<uint32_t>(value >> 32)));
}

inline uint64_t rdfsbase() {
  uint64_t value;
  asm volatile("rdfsbase %0" : "=r"(value));
  return value;
}
inline uint64_t rdgsbase() {
  uint64_t value;
  asm volatile("rdgsbase %0" : "=r"(value));
  return value;
}
inline void wrfsbase(uint64_t value) { asm volatile("wrfsbase %0" : : "r"(value)); }
inline void wrgsbase(uint64_t value) { asm volatile("wrgsbase %0" : : "r"(value)); }

inline void lgdt(uint64_t base, uint16_t limit) {
  const TableOperand operand{limit, base};
  asm volatile("lgdt %0" : : "m"(operand) : "memory");
}
inline void lidt(uint64_t base, uint16_t limit) {
  const TableOperand operand{limit, base};
  asm volatile("lidt %0" : : "m"(operand) : "memory");
}
inline TableOperand sgdt() {
  TableOperand operand{};
  asm volatile("sgdt %0" : "=m"(operand));
  return operand;
}
inline TableOperand sidt() {
  TableOperand operand{};
  asm volatile("sidt %0" : "=m"(operand));
  return operand;
}
inline void lldt(uint16_t selector) { asm volatile("lldt %0" : : "r"(selector) : "memory"); }
inline void ltr(uint16_t selector) { asm volatile("ltr %0" : : "r"(selector) : "memory"); }
inline uint16_t sldt() {
  uint16_t selector;
  asm volatile("sldt %0" : "=r"(selector));
  return selector;
}
inline uint16_t str() {
  uint16_t selector;
  asm volatile("str %0" : "=r"(selector));
  return selector;
}

/// Loads x87, MMX, MXCSR and XMM from an FXSAVE64 image, which is 16-byte aligned.
inline void fxrstor(const uint8_t* image) { asm volatile("fxrstor64 (%0)" : : "r"(image) : "memory"); }

}  // namespace bhvm::oracle::guest
