// Runs one unprivileged register-only instruction on the host's own processor.
#pragma once

#if defined(__x86_64__)
#include <sys/mman.h>

#include <array>
#include <cstring>
#include <span>
#include <vector>

#include "base/check.h"
#include "base/types.h"

namespace bhvm::test {

struct NativeState {
  std::array<u64, 16> gpr{};  // RSP is neither loaded nor stored
  u64 rflags = 0;
};

class NativeRunner {
 public:
  NativeRunner() {
    void* page = mmap(nullptr, kSize, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    BHVM_CHECK(page != MAP_FAILED, "the host refused an executable page");
    page_ = static_cast<u8*>(page);
  }
  ~NativeRunner() { munmap(page_, kSize); }
  NativeRunner(const NativeRunner&) = delete;
  NativeRunner& operator=(const NativeRunner&) = delete;

  void run(std::span<const u8> instruction, NativeState& state) {
    std::vector<u8> code;
    const auto emit = [&](std::initializer_list<u8> bytes) { code.insert(code.end(), bytes); };
    // mov [rip + x], reg and back; the registers lie at kState in the page.
    const auto move = [&](bool load, unsigned reg, u32 slot) {
      emit({static_cast<u8>(0x48 | (reg >= 8 ? 4 : 0)), static_cast<u8>(load ? 0x8B : 0x89),
            static_cast<u8>(5 | ((reg & 7) << 3))});
      const i32 disp = static_cast<i32>(slot) - static_cast<i32>(code.size()) - 4;
      for (int i = 0; i < 4; ++i) code.push_back(static_cast<u8>(static_cast<u32>(disp) >> (8 * i)));
    };
    for (const unsigned reg : {3u, 5u, 12u, 13u, 14u, 15u}) move(false, reg, kSaved + 8 * reg);
    emit({0xFF, 0x35});  // push qword [rip + flags]
    const i32 disp = static_cast<i32>(kState + 128) - static_cast<i32>(code.size()) - 4;
    for (int i = 0; i < 4; ++i) code.push_back(static_cast<u8>(static_cast<u32>(disp) >> (8 * i)));
    for (unsigned reg = 0; reg < 16; ++reg) {
      if (reg != 4) move(true, reg, kState + 8 * reg);
    }
    emit({0x9D});  // popfq
    code.insert(code.end(), instruction.begin(), instruction.end());
    for (unsigned reg = 0; reg < 16; ++reg) {
      if (reg != 4) move(false, reg, kState + 8 * reg);
    }
    emit({0x9C, 0x58});  // pushfq; pop rax
    move(false, 0, kState + 128);
    for (const unsigned reg : {3u, 5u, 12u, 13u, 14u, 15u}) move(true, reg, kSaved + 8 * reg);
    emit({0xFC, 0xC3});  // cld; ret
    BHVM_CHECK(code.size() <= kState, "the stub does not fit");
    std::memcpy(page_, code.data(), code.size());
    std::memcpy(page_ + kState, &state, sizeof(state));
    call(page_);
    std::memcpy(&state, page_ + kState, sizeof(state));
  }

 private:
  // The stub has no function type in front of it for a sanitizer to look at.
#if defined(__clang__)
  __attribute__((no_sanitize("function")))
#endif
  static void
  call(u8* stub) {
    reinterpret_cast<void (*)()>(stub)();
  }

  static constexpr std::size_t kSize = 4096;
  static constexpr u32 kState = 2048;
  static constexpr u32 kSaved = 3072;
  u8* page_ = nullptr;
};

}  // namespace bhvm::test
#endif
