#include "host_x87.h"

#if BHVM_HOST_HAS_X87

#include <cpuid.h>
#include <sys/mman.h>

#include <cstring>

#include "base/check.h"

namespace bhvm::test {
namespace {

struct alignas(16) Image {
  std::array<u8, 512> bytes{};
  template <class T>
  void put(unsigned offset, T value) {
    std::memcpy(bytes.data() + offset, &value, sizeof(T));
  }
  template <class T>
  T get(unsigned offset) const {
    T value;
    std::memcpy(&value, bytes.data() + offset, sizeof(T));
    return value;
  }
};

void put_state(Image& image, const X87State& x87) {
  image.put<u16>(0, x87.control_word);
  image.put<u16>(2, x87.status_word);
  image.put<u8>(4, x87.valid_mask);
  image.put<u16>(6, x87.fop);
  image.put<u64>(8, x87.fip);
  image.put<u64>(16, x87.fdp);
  image.put<u32>(24, 0x1F80);
  for (unsigned i = 0; i < 8; ++i) {
    image.put<u64>(32 + 16 * i, x87.st(i).significand);
    image.put<u16>(40 + 16 * i, x87.st(i).sign_exponent);
  }
}

void get_state(const Image& image, X87State& x87) {
  x87.control_word = image.get<u16>(0);
  x87.status_word = image.get<u16>(2);
  x87.valid_mask = image.get<u8>(4);
  x87.fop = image.get<u16>(6);
  x87.fip = image.get<u64>(8);
  x87.fdp = image.get<u64>(16);
  for (unsigned i = 0; i < 8; ++i) {
    x87.st(i) = {image.get<u64>(32 + 16 * i), image.get<u16>(40 + 16 * i)};
  }
}

constexpr std::size_t kCodeSize = 4096;
constexpr std::size_t kEntry = 64;  // sanitizers look at the bytes before a function

}  // namespace

bool host_is_reference() {
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  return __get_cpuid(0, &eax, &ebx, &ecx, &edx) != 0 && ebx == signature_INTEL_ebx && ecx == signature_INTEL_ecx &&
         edx == signature_INTEL_edx;
}

HostX87::HostX87(std::span<const u8> instruction) {
  void* page = mmap(nullptr, kCodeSize, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  BHVM_CHECK(page != MAP_FAILED, "no executable page for the reference FPU");
  code_ = static_cast<u8*>(page);
  u8* at = code_ + kEntry;
  const auto append = [&at](std::initializer_list<u8> bytes) {
    for (u8 b : bytes) *at++ = b;
  };
  append({0x48, 0x0F, 0xAE, 0x0F});  // fxrstor64 [rdi]
  append({0x51, 0x9D});              // push rcx; popfq
  instruction_address_ = reinterpret_cast<u64>(at);
  for (u8 b : instruction) *at++ = b;
  append({0x9C, 0x58});              // pushfq; pop rax
  append({0x48, 0x0F, 0xAE, 0x02});  // fxsave64 [rdx]
  append({0xDB, 0xE3, 0xC3});        // fninit; ret
}

HostX87::~HostX87() { munmap(code_, kCodeSize); }

HostX87::Outcome HostX87::run(X87State& x87, HostMemory& memory, u64 rflags) {
  Image before;
  Image after;
  put_state(before, x87);
  using Thunk = u64 (*)(const void* before, void* memory, void* after, u64 rflags);
  const u64 flags =
      reinterpret_cast<Thunk>(code_ + kEntry)(before.bytes.data(), memory.data(), after.bytes.data(), rflags);
  get_state(after, x87);
  return {flags, x87.fip == instruction_address_, x87.fdp == reinterpret_cast<u64>(memory.data())};
}

}  // namespace bhvm::test

#endif
