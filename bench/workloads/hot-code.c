// 20 MiB of machine code made at the start, every function of it called in turn, again and again.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { kBytes = 20 << 20, kFunction = 512, kFunctions = kBytes / kFunction };

int main(int argc, char** argv) {
    const int rounds = argc > 1 ? atoi(argv[1]) : 4;
    unsigned char* code = mmap(NULL, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (code == MAP_FAILED) {
        perror("mmap");
        return 1;
    }
    for (uint32_t f = 0; f < kFunctions; ++f) {
        unsigned char* at = code + (size_t)f * kFunction;
        unsigned char* const last = at + kFunction - 16;
        *at++ = 0x89;  // mov eax, edi
        *at++ = 0xF8;
        for (uint32_t i = 0; at < last; ++i) {
            const uint32_t constant = f * 2654435761u + i * 40503u;
            *at++ = i % 2 != 0 ? 0x05 : 0x35;  // add eax, imm32; xor eax, imm32
            memcpy(at, &constant, sizeof constant);
            at += sizeof constant;
        }
        *at = 0xC3;  // ret
    }
    if (mprotect(code, kBytes, PROT_READ | PROT_EXEC) != 0) {
        perror("mprotect");
        return 1;
    }
    uint32_t value = 1;
    for (int round = 0; round < rounds; ++round) {
        for (uint32_t f = 0; f < kFunctions; ++f) {
            uint32_t (*function)(uint32_t);
            unsigned char* const at = code + (size_t)f * kFunction;
            memcpy(&function, &at, sizeof function);
            value = function(value);
        }
    }
    printf("%d rounds: %08x\n", rounds, value);
    return 0;
}
