#include "oracle/native/child_image.h"

asm(".pushsection .rodata\n"
    ".balign 16\n"
    ".globl bhvm_native_child_begin, bhvm_native_child_end\n"
    "bhvm_native_child_begin:\n"
    ".incbin \"" BHVM_NATIVE_CHILD
    "\"\n"
    "bhvm_native_child_end:\n"
    ".byte 0\n"
    ".popsection");

extern "C" {
[[gnu::visibility("hidden")]] extern const bhvm::u8 bhvm_native_child_begin[];
[[gnu::visibility("hidden")]] extern const bhvm::u8 bhvm_native_child_end[];
}

namespace bhvm::oracle::native {

std::span<const u8> child_image() { return {bhvm_native_child_begin, bhvm_native_child_end}; }

}  // namespace bhvm::oracle::native
