// The x87 instructions through the interpreter: every encoding against the host's FPU, the order of faults, pointers
// and environments.
#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "handlers_fixture.h"
#include "host_x87.h"
#include "samples.h"

namespace bhvm::test {
namespace {

constexpr u64 kArithmeticFlags = 0x8D5;

#if BHVM_HOST_HAS_X87

bool is_transcendental(u8 escape, u8 modrm) {
  if (escape != 0xD9) return false;
  return modrm == 0xF0 || modrm == 0xF1 || modrm == 0xF2 || modrm == 0xF3 || modrm == 0xF9 || modrm == 0xFB ||
         modrm == 0xFE || modrm == 0xFF;
}

/// Memory operands with pointers or without a fixed size: tested below.
bool is_environment(u8 escape, u8 modrm) {
  if (modrm >= 0xC0) return false;
  const unsigned reg = modrm >> 3 & 7;
  return (escape == 0xD9 && (reg == 4 || reg == 6)) || (escape == 0xDD && (reg == 4 || reg == 6));
}

bool decodes(u8 escape, u8 modrm) {
  ZydisDecoder decoder;
  ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
  const u8 bytes[] = {escape, modrm};
  ZydisDecodedInstruction instruction;
  ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
  return ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, bytes, sizeof bytes, &instruction, operands));
}

TEST_F(X87Handlers, EveryEncodingAgreesWithTheHost) {
  BHVM_NEEDS_REFERENCE_X87();
  unsigned encodings = 0;
  for (unsigned escape = 0xD8; escape <= 0xDF; ++escape) {
    for (unsigned modrm = 0; modrm < 0x100; ++modrm) {
      if (modrm < 0xC0 && (modrm & 0xC7) != 6) continue;  // [rsi] stands for all memory operands
      const u8 e = static_cast<u8>(escape);
      const u8 m = static_cast<u8>(modrm);
      if (!decodes(e, m) || is_transcendental(e, m) || is_environment(e, m)) continue;
      ++encodings;
      const std::vector<u8> code = {e, m};
      HostX87 host(code);
      const std::string name = std::to_string(escape) + " " + std::to_string(modrm);
      RandomStream random(2, 0, name);
      for (unsigned i = 0; i < 60; ++i) {
        const u16 masks = i % 2 == 0 ? x87_control::kMasks : static_cast<u16>(random.next() & x87_control::kMasks);
        const X87State before = random_state(random, masks);
        const HostMemory memory_before = random_memory(random);
        const u64 rflags = 0x202 | (random.next() & kArithmeticFlags);
        const u64 rax = random.next();

        X87State reference = before;
        HostMemory reference_memory = memory_before;
        const auto outcome = host.run(reference, reference_memory, rflags);

        x87() = before;
        set_memory(kData, memory_before);
        h.reg(kRsi) = kData;
        h.reg(kRax) = rax;
        h.cpu.set_rflags(rflags);
        ASSERT_EQ(step(code), RunExit::kLimit);
        ASSERT_EQ(h.cpu.s.rip, kCode + 2) << name;

        ASSERT_EQ(x87().regs, reference.regs) << name;
        ASSERT_EQ(x87().control_word, reference.control_word) << name;
        ASSERT_EQ(x87().status_word, reference.status_word) << name;
        ASSERT_EQ(x87().valid_mask, reference.valid_mask) << name;
        ASSERT_EQ(x87().fop, reference.fop) << name;
        ASSERT_EQ(x87().fip == kCode, outcome.rip_updated) << name;
        ASSERT_EQ(memory_at(kData), reference_memory) << name;
        ASSERT_EQ(h.cpu.rflags() & kArithmeticFlags, outcome.rflags & kArithmeticFlags) << name;
        const bool stores_ax = e == 0xDF && m == 0xE0;
        ASSERT_EQ(h.reg(kRax), stores_ax ? (rax & ~u64{0xFFFF}) | before.status_word : rax) << name;
      }
    }
  }
  EXPECT_GT(encodings, 300u);
}

TEST_F(X87Handlers, RestoredImagesReadBackAsTheHostsDo) {
  BHVM_NEEDS_REFERENCE_X87();
  const std::vector<u8> nothing;
  HostX87 host(nothing);
  RandomStream random(3, 0, "images");
  const std::vector<u8> restore = {0x48, 0x0F, 0xAE, 0x0E};  // fxrstor64 [rsi]
  for (unsigned i = 0; i < 500; ++i) {
    X87State raw = random_state(random, static_cast<u16>(random.next() & 0x3F));
    raw.control_word = static_cast<u16>(random.next());
    raw.status_word = static_cast<u16>(random.next());
    raw.fop = static_cast<u16>(random.next());
    HostMemory memory{};
    X87State reference = raw;
    host.run(reference, memory);

    std::array<u8, 512> image{};
    std::memcpy(image.data(), &raw.control_word, 2);
    std::memcpy(image.data() + 2, &raw.status_word, 2);
    image[4] = raw.valid_mask;
    std::memcpy(image.data() + 6, &raw.fop, 2);
    std::memcpy(image.data() + 8, &raw.fip, 8);
    std::memcpy(image.data() + 16, &raw.fdp, 8);
    const u32 mxcsr = 0x1F80;
    std::memcpy(image.data() + 24, &mxcsr, 4);
    for (unsigned r = 0; r < 8; ++r) {
      std::memcpy(image.data() + 32 + 16 * r, &raw.st(r).significand, 8);
      std::memcpy(image.data() + 40 + 16 * r, &raw.st(r).sign_exponent, 2);
    }
    h.place(kData, image);
    h.reg(kRsi) = kData;
    ASSERT_EQ(step(restore), RunExit::kLimit);
    ASSERT_EQ(h.cpu.s.rip, kCode + restore.size());
    EXPECT_EQ(x87().control_word, reference.control_word);
    EXPECT_EQ(x87().status_word, reference.status_word);
    EXPECT_EQ(x87().valid_mask, reference.valid_mask);
    EXPECT_EQ(x87().regs, reference.regs);
    EXPECT_EQ(x87().fop, reference.fop);
    EXPECT_EQ(x87().fip, reference.fip);
    EXPECT_EQ(x87().fdp, reference.fdp);
    if (HasFailure()) break;
  }
}

/// A memory operand longer than the host harness's.
struct LongOperand {
  HostMemory head{};
  std::array<u8, 128> tail{};
};

TEST_F(X87Handlers, LoadedEnvironmentsAgreeWithTheHost) {
  BHVM_NEEDS_REFERENCE_X87();
  const std::vector<u8> load = {0xD9, 0x26};
  HostX87 host(load);
  RandomStream random(7, 0, "fldenv");
  for (unsigned i = 0; i < 500; ++i) {
    LongOperand buffer;
    for (u8& byte : buffer.head) byte = static_cast<u8>(random.next());
    X87State reference = random_state(random, x87_control::kMasks);
    x87() = reference;
    h.place(kData, buffer.head);
    h.place(kData + 16, buffer.tail);
    host.run(reference, buffer.head);
    h.reg(kRsi) = kData;
    ASSERT_EQ(step(load), RunExit::kLimit);
    EXPECT_EQ(x87().control_word, reference.control_word);
    EXPECT_EQ(x87().status_word, reference.status_word);
    EXPECT_EQ(x87().valid_mask, reference.valid_mask);
    EXPECT_EQ(x87().fip, reference.fip);
    EXPECT_EQ(x87().regs, reference.regs);
    if (HasFailure()) return;
  }
}

/// FNSTENV and FNSAVE: the words and registers; pointers differ by where the code is.
TEST_F(X87Handlers, EnvironmentsAgreeWithTheHost) {
  BHVM_NEEDS_REFERENCE_X87();
  struct Form {
    const char* name;
    std::vector<u8> code;
    std::vector<unsigned> compared;  // leading bytes by word: offsets of 16-bit words that must agree
    bool saves;
  };
  const std::vector<Form> forms = {
      {"fnstenv 32", {0xD9, 0x36}, {0, 2, 4, 6, 8, 10, 26}, false},
      {"fnstenv 16", {0x66, 0xD9, 0x36}, {0, 2, 4}, false},
      {"fnsave 32", {0xDD, 0x36}, {0, 2, 4, 6, 8, 10, 26}, true},
      {"fnsave 16", {0x66, 0xDD, 0x36}, {0, 2, 4}, true},
  };
  for (const Form& form : forms) {
    HostX87 host(form.code);
    RandomStream random(4, 0, form.name);
    for (unsigned i = 0; i < 200; ++i) {
      const X87State before = random_state(random, x87_control::kMasks);
      LongOperand buffer;
      X87State reference = before;
      host.run(reference, buffer.head);
      std::array<u8, 144> expected;
      std::memcpy(expected.data(), &buffer, sizeof expected);

      x87() = before;
      h.place(kData, std::array<u8, 144>{});
      h.reg(kRsi) = kData;
      ASSERT_EQ(step(form.code), RunExit::kLimit);
      std::array<u8, 144> actual;
      h.memory.read({kData}, actual.data(), actual.size());
      for (const unsigned offset : form.compared) {
        EXPECT_EQ(0, std::memcmp(&actual[offset], &expected[offset], 2)) << form.name << " at " << offset;
      }
      const unsigned environment = form.code.size() == 3 ? 14 : 28;
      EXPECT_EQ(0, std::memcmp(&actual[environment], &expected[environment], 144 - environment)) << form.name;
      EXPECT_EQ(x87().regs, reference.regs) << form.name;
      EXPECT_EQ(x87().control_word, reference.control_word) << form.name;
      EXPECT_EQ(x87().status_word, reference.status_word) << form.name;
      EXPECT_EQ(x87().valid_mask, reference.valid_mask) << form.name;
      if (HasFailure()) return;

      // And back: FLDENV or FRSTOR of what was stored.
      std::vector<u8> load = form.code;
      load.back() = 0x26;
      x87() = X87State{};
      ASSERT_EQ(step(load), RunExit::kLimit);
      EXPECT_EQ(x87().status_word, before.status_word) << form.name;
      EXPECT_EQ(x87().valid_mask, before.valid_mask) << form.name;
      EXPECT_EQ(x87().regs, form.saves ? before.regs : X87State{}.regs) << form.name;
      if (HasFailure()) return;
    }
  }
}

#endif

TEST_F(X87Handlers, APendingExceptionComesBeforeEverything) {
  install_idt();
  for (const std::vector<u8>& code :
       std::vector<std::vector<u8>>{{0xD8, 0x06},     // fadd dword [rsi], at an unmapped address
                                    {0xD9, 0x1E},     // fstp dword [rsi]
                                    {0xD9, 0x2E},     // fldcw [rsi]
                                    {0xDD, 0x26},     // frstor [rsi]
                                    {0xD9, 0xD0},     // fnop
                                    {0xD9, 0xFE},     // fsin
                                    {0xD9, 0xF7},     // fincstp
                                    {0x9B},           // fwait
                                    {0x0F, 0x77}}) {  // emms
    x87() = X87State{};
    x87().control_word = 0x037E;
    x87().status_word = x87_status::kIe;
    x87().update_summary();
    const X87State before = x87();
    h.reg(kRsi) = u64{1} << 40;
    step(code);
    EXPECT_EQ(raised(), 16);
    EXPECT_EQ(x87(), before);
  }
  for (const std::vector<u8>& code : std::vector<std::vector<u8>>{
           {0xDB, 0xE3}, {0xDB, 0xE2}, {0xDF, 0xE0}, {0xD9, 0x3E}, {0xD9, 0x36}, {0xDD, 0x36}, {0x0F, 0xAE, 0x06}}) {
    x87() = X87State{};
    x87().control_word = 0x037E;
    x87().status_word = x87_status::kIe;
    x87().update_summary();
    h.reg(kRsi) = kData;
    step(code);
    EXPECT_EQ(raised(), -1) << "a control instruction that does not wait: " << int{code[0]};
  }
}

TEST_F(X87Handlers, AMemoryFaultChangesNothing) {
  install_idt();
  for (const std::vector<u8>& code : std::vector<std::vector<u8>>{{0xD8, 0x06},
                                                                  {0xD9, 0x06},
                                                                  {0xDB, 0x2E},
                                                                  {0xD9, 0x1E},
                                                                  {0xDB, 0x3E},
                                                                  {0xDF, 0x36},
                                                                  {0xDB, 0x0E},
                                                                  {0xD9, 0x2E},
                                                                  {0xD9, 0x26},
                                                                  {0xD9, 0x36},
                                                                  {0xDD, 0x26},
                                                                  {0xDD, 0x36},
                                                                  {0x48, 0x0F, 0xAE, 0x06},
                                                                  {0x48, 0x0F, 0xAE, 0x0E}}) {
    RandomStream random(5, 0, "fault");
    x87() = random_state(random, x87_control::kMasks);
    const X87State before = x87();
    h.reg(kRsi) = u64{1} << 40;  // canonical, not mapped
    step(code);
    EXPECT_EQ(raised(), 14);
    EXPECT_EQ(x87(), before);
  }
}

TEST_F(X87Handlers, ASplitStoreWritesBothPagesOrNone) {
  install_idt();
  // The second 2 MiB page is made read-only (CR0.WP is set): a 10-byte store across the boundary must not write.
  const u64 boundary = u64{2} << 20;
  h.write64(kPageTables + 0x2000 + 8, boundary | 0x85);
  h.cpu.flush_tlb_all();
  h.write64(boundary - 8, 0x1111111111111111);
  x87() = X87State{};
  x87().st(0) = float80::kOne;
  x87().valid_mask = 1;
  h.reg(kRsi) = boundary - 8;
  step({0xDB, 0x3E});
  EXPECT_EQ(raised(), 14);
  EXPECT_EQ(h.cpu.s.cr2, boundary);
  EXPECT_EQ(h.read64(boundary - 8), 0x1111111111111111u);
  EXPECT_EQ(x87().valid_mask, 1);
}

TEST_F(X87Handlers, ControlBitsDecideBetweenUdAndNm) {
  install_idt();
  constexpr u64 kEm = 4;
  constexpr u64 kTs = 8;
  constexpr u64 kMp = 2;
  struct Case {
    std::vector<u8> code;
    u64 cr0;  // of EM, TS, MP
    int vector;
  };
  const std::vector<Case> cases = {
      {{0xD9, 0xE8}, kEm, 7},
      {{0xD9, 0xE8}, kTs, 7},
      {{0xDB, 0xE3}, kTs, 7},
      {{0x9B}, kTs | kMp, 7},
      {{0x9B}, kTs, -1},
      {{0x9B}, kEm, -1},
      {{0x0F, 0x77}, kEm, 6},
      {{0x0F, 0x77}, kTs, 7},
      {{0x0F, 0x77}, kEm | kTs, 6},
      {{0x0F, 0xAE, 0x06}, kEm, 6},
      {{0x0F, 0xAE, 0x06}, kTs, 7},
      {{0x0F, 0xAE, 0x06}, 0, -1},
      {{0x0F, 0xAE, 0x26}, 0, 6},  // xsave without CR4.OSXSAVE
      {{0x0F, 0x01, 0xD0}, 0, 6},  // xgetbv
  };
  for (const Case& c : cases) {
    h.cpu.s.cr0 = (h.cpu.s.cr0 & ~(kEm | kTs | kMp)) | c.cr0;
    h.cpu.update_mode();
    h.reg(kRsi) = kData;
    step(c.code);
    EXPECT_EQ(raised(), c.vector) << std::hex << int{c.code[0]} << " " << c.cr0;
  }
}

TEST_F(X87Handlers, DataPointerIsAnOffset) {
  h.cpu.s.segments[kGs].base = 0x3000;
  h.cpu.s.segments[kGs].selector = 0x2B;
  h.reg(kRsi) = kData - 0x3000;
  x87() = X87State{};
  step({0x65, 0xD9, 0x06});  // fld dword gs:[rsi]
  EXPECT_EQ(x87().fdp, kData - 0x3000);
  EXPECT_EQ(x87().fds, 0x2B);
  EXPECT_EQ(x87().fip, kCode);
  EXPECT_EQ(x87().fcs, 0x10);
}

TEST_F(X87Handlers, LibraryFunctionsRunLikeAnyInstruction) {
  x87() = X87State{};
  x87().valid_mask = 1;
  x87().regs[0] = float80::kPositiveZero;
  ASSERT_EQ(step({0xD9, 0xFB}), RunExit::kLimit);  // fsincos
  EXPECT_EQ(h.cpu.s.rip, kCode + 2);
  EXPECT_EQ(x87().fip, kCode);
  EXPECT_EQ(x87().st(0), float80::kOne);
  EXPECT_EQ(x87().st(1), float80::kPositiveZero);
  EXPECT_EQ(x87().valid_mask, 0x81);
}

}  // namespace
}  // namespace bhvm::test
