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
/// Sleeps for ever; the local APIC's timer wakes it every `period` ticks of the core crystal clock, each time for MOV
/// (end of interrupt), IRET, JMP and HLT. Its IDT is at physical 0x300000, with vector 0x40 alone.
inline Code timer_ticks(u32 period) {
  const u8 p0 = static_cast<u8>(period), p1 = static_cast<u8>(period >> 8), p2 = static_cast<u8>(period >> 16),
           p3 = static_cast<u8>(period >> 24);
  return {0xBC, 0x00, 0x00, 0x40, 0x00,                              // mov esp, 400000h
          0x48, 0x8D, 0x05, 0x62, 0x00, 0x00, 0x00,                  // lea rax, [rip + (2 - here)]
          0xBB, 0x00, 0x04, 0x30, 0x00,                              // mov ebx, 300400h: the gate
          0x66, 0x89, 0x03,                                          // mov [rbx], ax
          0x66, 0xC7, 0x43, 0x02, 0x10, 0x00,                        // mov word [rbx + 2], 10h: the code segment
          0x66, 0xC7, 0x43, 0x04, 0x00, 0x8E,                        // mov word [rbx + 4], 8E00h: interrupt gate
          0x48, 0xC1, 0xE8, 0x10,                                    // shr rax, 16
          0x48, 0x89, 0x43, 0x06,                                    // mov [rbx + 6], rax
          0xBB, 0x00, 0x10, 0x30, 0x00,                              // mov ebx, 301000h
          0x66, 0xC7, 0x03, 0xFF, 0x0F,                              // mov word [rbx], FFFh
          0x48, 0xC7, 0x43, 0x02, 0x00, 0x00, 0x30, 0x00,            // mov qword [rbx + 2], 300000h
          0x0F, 0x01, 0x1B,                                          // lidt [rbx]
          0xBB, 0x00, 0x00, 0xE0, 0xFE,                              // mov ebx, FEE00000h
          0xC7, 0x83, 0xF0, 0x00, 0x00, 0x00, 0xFF, 0x01, 0,    0,   // mov dword [rbx + F0h], 1FFh: enabled
          0xC7, 0x83, 0xE0, 0x03, 0x00, 0x00, 0x0B, 0x00, 0,    0,   // mov dword [rbx + 3E0h], 0Bh: divided by 1
          0xC7, 0x83, 0x20, 0x03, 0x00, 0x00, 0x40, 0x00, 0x02, 0,   // mov dword [rbx + 320h], 20040h: periodic
          0xC7, 0x83, 0x80, 0x03, 0x00, 0x00, p0,   p1,   p2,   p3,  // mov dword [rbx + 380h], period
          0xFB,                                                      // sti
          0xF4,                                                      // 1: hlt
          0xEB, 0xFD,                                                // jmp 1b
          0xC7, 0x83, 0xB0, 0x00, 0x00, 0x00, 0x00, 0x00, 0,    0,   // 2: mov dword [rbx + B0h], 0
          0x48, 0xCF};                                               // iretq
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
