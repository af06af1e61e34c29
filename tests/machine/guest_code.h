// Tiny guests: 64-bit code as bytes, entered as a kernel is (machine/linux_boot.h).
#pragma once

#include <initializer_list>
#include <string_view>
#include <vector>

#include "base/types.h"
#include "tests/machine/elf_builder.h"

namespace bhvm::test {

using Code = std::vector<u8>;

inline Code join(std::initializer_list<Code> parts) {
  Code out;
  for (const Code& part : parts) out.insert(out.end(), part.begin(), part.end());
  return out;
}

/// Writes `text` to the serial port, byte by byte.
inline Code print(std::string_view text) {
  Code code{0x66, 0xBA, 0xF8, 0x03};  // mov dx, 3F8h
  for (const char c : text) {
    const u8 byte = static_cast<u8>(c);
    code.insert(code.end(), {0xB0, byte, 0xEE});  // mov al, byte; out dx, al
  }
  return code;
}

/// mov al, status; out F4h, al
inline Code exit_with(u8 status) { return {0xB0, status, 0xE6, 0xF4}; }
/// jmp $
inline Code spin() { return {0xEB, 0xFE}; }
/// cli; hlt
inline Code halt_forever() { return {0xFA, 0xF4}; }
/// lidt [rsp with limit 0]; ud2
inline Code triple_fault() {
  return {0xBC, 0x00, 0x00, 0x09, 0x00,  // mov esp, 90000h: eight zero bytes
          0x0F, 0x01, 0x1C, 0x24,        // lidt [rsp]
          0x0F, 0x0B};                   // ud2
}
/// Counts, stores the count at physical 0x300000 + 8 * (count mod 64 K) and goes round `rounds` times (0: for ever).
inline Code store_loop(u32 rounds) {
  const u8 b0 = static_cast<u8>(rounds), b1 = static_cast<u8>(rounds >> 8), b2 = static_cast<u8>(rounds >> 16),
           b3 = static_cast<u8>(rounds >> 24);
  return {0xB9, b0,   b1,   b2,   b3,                      // mov ecx, rounds
          0x31, 0xC0,                                      // xor eax, eax
          0x48, 0xFF, 0xC0,                                // 1: inc rax
          0x0F, 0xB7, 0xD8,                                // movzx ebx, ax
          0x48, 0x89, 0x04, 0xDD, 0x00, 0x00, 0x30, 0x00,  // mov [rbx*8 + 300000h], rax
          0xFF, 0xC9,                                      // dec ecx
          0x75, 0xEE};                                     // jnz 1b
}

}  // namespace bhvm::test
