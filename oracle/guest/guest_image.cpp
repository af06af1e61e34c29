#include "oracle/guest/guest_image.h"

// clang-format off
asm(".pushsection .rodata\n"
    ".balign 16\n"
    ".globl bhvm_oracle_guest_image\n"
    "bhvm_oracle_guest_image:\n"
    ".incbin \"" BHVM_GUEST_IMAGE "\"\n"
    ".globl bhvm_oracle_guest_image_end\n"
    "bhvm_oracle_guest_image_end:\n"
    ".byte 0\n"
    ".popsection\n");
// clang-format on

extern "C" const bhvm::u8 bhvm_oracle_guest_image[];
extern "C" const bhvm::u8 bhvm_oracle_guest_image_end[];

namespace bhvm::oracle {

std::span<const u8> guest_image() {
  return {bhvm_oracle_guest_image, static_cast<std::size_t>(bhvm_oracle_guest_image_end - bhvm_oracle_guest_image)};
}

}  // namespace bhvm::oracle
