// What an instruction of each kind costs, by the handlers that execute it.
#include "bench/micro/guest_loop.h"

namespace bhvm::bench {
namespace {

struct Snippet {
  const char* name;
  Bytes code;
};

const Snippet kSnippets[] = {
    {"dispatch/mov_r_r", {0x89, 0xD8}},                                      // mov eax, ebx
    {"alu/add_dead_flags", {0x48, 0x01, 0xD8}},                              // add rax, rbx
    {"alu/shl", {0x48, 0xC1, 0xE0, 0x03}},                                   // shl rax, 3
    {"alu/imul", {0x48, 0x0F, 0xAF, 0xC3}},                                  // imul rax, rbx
    {"alu/div", {0x31, 0xD2, 0x48, 0xF7, 0xF3}},                             // xor edx, edx; div rbx
    {"alu/lea", {0x48, 0x8D, 0x44, 0x9E, 0x08}},                             // lea rax, [rsi+rbx*4+8]
    {"flags/add_adc", {0x48, 0x01, 0xD8, 0x48, 0x11, 0xD1}},                 // add rax, rbx; adc rcx, rdx
    {"flags/cmp_setc", {0x48, 0x39, 0xD8, 0x0F, 0x92, 0xC1}},                // cmp rax, rbx; setc cl
    {"flags/pushf_popf", {0x9C, 0x9D}},                                      // pushfq; popfq
    {"memory/load", {0x48, 0x8B, 0x06}},                                     // mov rax, [rsi]
    {"memory/store", {0x48, 0x89, 0x07}},                                    // mov [rdi], rax
    {"memory/update", {0x48, 0x01, 0x07}},                                   // add [rdi], rax
    {"memory/push_pop", {0x50, 0x58}},                                       // push rax; pop rax
    {"memory/page_crossing_load", {0x48, 0x8B, 0x86, 0xFC, 0x0F, 0, 0}},     // mov rax, [rsi+4092]
    {"branch/cmp_jcc", {0x39, 0xD8, 0x75, 0x00}},                            // cmp eax, ebx; jne $+2
    {"branch/cmp_mem_jcc", {0x48, 0x39, 0x06, 0x75, 0x00}},                  // cmp [rsi], rax; jne $+2
    {"branch/jmp_chained", {0xEB, 0x00}},                                    // jmp $+2
    {"branch/call_ret", {0xE8, 0x02, 0, 0, 0, 0xEB, 0x01, 0xC3}},            // call f; jmp $+3; f: ret
    {"branch/jmp_indirect", {0x48, 0x8D, 0x05, 0x02, 0, 0, 0, 0xFF, 0xE0}},  // lea rax, [rip+2]; jmp rax
    {"sse/addsd", {0xF2, 0x0F, 0x58, 0xC1}},                                 // addsd xmm0, xmm1
    {"sse/mulps", {0x0F, 0x59, 0xC1}},                                       // mulps xmm0, xmm1
    {"sse/pxor", {0x66, 0x0F, 0xEF, 0xC1}},                                  // pxor xmm0, xmm1
    {"sse/pshufb", {0x66, 0x0F, 0x38, 0x00, 0xC1}},                          // pshufb xmm0, xmm1
    {"sse/load", {0xF3, 0x0F, 0x6F, 0x06}},                                  // movdqu xmm0, [rsi]
    {"sse/cvttsd2si", {0xF2, 0x48, 0x0F, 0x2C, 0xC0}},                       // cvttsd2si rax, xmm0
    {"sse/aesenc", {0x66, 0x0F, 0x38, 0xDC, 0xC1}},                          // aesenc xmm0, xmm1
    {"x87/load_store", {0xDD, 0x06, 0xDD, 0x1F}},                            // fld qword [rsi]; fstp qword [rdi]
    {"x87/add", {0xD9, 0xE8, 0xD9, 0xE8, 0xDE, 0xC1, 0xDD, 0x1F}},           // fld1; fld1; faddp; fstp qword [rdi]
    {"rep/movsb_4096", {0xB9, 0x00, 0x10, 0, 0, 0xBE, 0, 0, 0x10, 0, 0xBF, 0, 0x20, 0x10, 0, 0xF3, 0xA4}},
    {"rep/stosq_512", {0xB9, 0x00, 0x02, 0, 0, 0xBF, 0, 0x20, 0x10, 0, 0xF3, 0x48, 0xAB}},
    {"rep/scasb_64", {0x31, 0xC0, 0xB9, 0x40, 0, 0, 0, 0xBF, 0, 0x20, 0x10, 0, 0xF3, 0xAE}},
    {"system/cpuid", {0x31, 0xC0, 0x31, 0xC9, 0x0F, 0xA2, 0xBB, 0x07, 0, 0, 0}},  // ...; mov ebx, 7
    {"system/rdtsc", {0x0F, 0x31}},
    {"system/mov_cr3", {0x0F, 0x20, 0xD8, 0x0F, 0x22, 0xD8}},  // mov rax, cr3; mov cr3, rax
    // mov rax, [rsi]; add rsi, 4096; and rsi, 1FFF000h: 8192 pages
    {"tlb/miss", {0x48, 0x8B, 0x06, 0x48, 0x81, 0xC6, 0, 0x10, 0, 0, 0x48, 0x81, 0xE6, 0, 0xF0, 0xFF, 0x01}},
    {"tlb/invlpg_and_walk", {0x0F, 0x01, 0x3E, 0x48, 0x8B, 0x06}},  // invlpg [rsi]; mov rax, [rsi]
};

[[maybe_unused]] const bool kRegistered = [] {
  for (const Snippet& snippet : kSnippets) {
    benchmark::RegisterBenchmark(snippet.name, [&snippet](benchmark::State& state) {
      GuestLoop loop(snippet.code);
      loop.measure(state);
    });
  }
  return true;
}();

}  // namespace
}  // namespace bhvm::bench
