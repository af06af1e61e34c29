// The x87 instructions through the interpreter: every encoding against the host's FPU, the order of faults, pointers,
// environments and save areas.
#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "cpu/x87/save_areas.h"
#include "host_x87.h"
#include "samples.h"
#include "tests/cpu/harness.h"

namespace bhvm::test {
namespace {

constexpr u64 kArithmeticFlags = 0x8D5;

class X87Handlers : public ::testing::Test {
 protected:
  /// Runs one instruction; the state must be in place.
  RunExit step(std::initializer_list<u8> code) { return step(std::vector<u8>(code)); }
  RunExit step(const std::vector<u8>& code) {
    h.place(kCode, code);
    h.cpu.s.rip = kCode;
    return h.cpu.run(1);
  }
  X87State& x87() { return h.cpu.s.x87; }
  void set_memory(u64 address, const HostMemory& memory) { h.place(address, memory); }
  HostMemory memory_at(u64 address) {
    HostMemory memory;
    h.memory.read({address}, memory.data(), memory.size());
    return memory;
  }
  /// Takes exceptions to a handler at kHandler + 16 * vector, without error-code care.
  void install_idt() {
    for (u64 vector = 0; vector < 32; ++vector) {
      const u64 handler = kHandlers + 16 * vector;
      h.write64(kIdt + 16 * vector, (handler & 0xFFFF) | u64{0x10} << 16 | u64{0x8E00} << 32 | (handler >> 16) << 48);
      h.write64(kIdt + 16 * vector + 8, 0);
    }
    CpuState s = h.cpu.s;
    s.idtr = {kIdt, 0xFFF};
    h.write64(kGdt + 16, 0x00AF9B000000FFFF);
    h.write64(kGdt + 24, 0x00CF93000000FFFF);
    s.gdtr = {kGdt, 0xFF};
    h.cpu.set_state(s);
  }
  /// The vector whose handler was entered, or -1.
  int raised() const {
    const u64 rip = h.cpu.s.rip;
    return rip >= kHandlers && rip < kHandlers + 512 ? static_cast<int>((rip - kHandlers) / 16) : -1;
  }

  static constexpr u64 kIdt = 0x8000;
  static constexpr u64 kGdt = 0x9000;
  static constexpr u64 kHandlers = 0xA000;
  Harness h;
};

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

class X87SaveAreas : public X87Handlers {
 protected:
  void SetUp() override {
    install_idt();
    h.cpu.s.cr4 |= u64{1} << 18;  // OSXSAVE
    h.cpu.s.xcr0 = 3;
    h.cpu.update_mode();
    RandomStream random(6, 0, "areas");
    x87() = random_state(random, x87_control::kMasks);
    x87().fip = 0x123456789A;
    for (Xmm& xmm : h.cpu.s.xmm) xmm.q = {random.next(), random.next()};
    h.cpu.s.mxcsr = 0x1FA0;
    h.reg(kRsi) = kData;
    h.reg(kRax) = 3;
    fill(0xEE);
  }
  void fill(u8 byte) {
    std::array<u8, 576> area;
    area.fill(byte);
    std::fill(area.begin() + 512, area.end(), u8{0});
    h.place(kData, area);
  }
  u8 byte(u64 offset) { return static_cast<u8>(h.read64(kData + offset)); }
  void clear_state() {
    x87() = X87State{};
    h.cpu.s.xmm = {};
    h.cpu.s.mxcsr = 0x1F80;
  }

  const std::vector<u8> kXsave64 = {0x48, 0x0F, 0xAE, 0x26};
  const std::vector<u8> kXsaveopt64 = {0x48, 0x0F, 0xAE, 0x36};
  const std::vector<u8> kXrstor64 = {0x48, 0x0F, 0xAE, 0x2E};
  const std::vector<u8> kFxsave64 = {0x48, 0x0F, 0xAE, 0x06};
  const std::vector<u8> kFxrstor64 = {0x48, 0x0F, 0xAE, 0x0E};
};

TEST_F(X87SaveAreas, FxsaveAndFxrstorAreInverse) {
  const X87State saved = x87();
  const auto xmm = h.cpu.s.xmm;
  step(kFxsave64);
  EXPECT_EQ(h.read64(kData + 24), u64{0xFFFF} << 32 | 0x1FA0);
  EXPECT_EQ(byte(416), 0xEE) << "reserved bytes are not written";
  clear_state();
  step(kFxrstor64);
  X87State expected = saved;
  expected.fcs = expected.fds = 0;  // not in the 64-bit layout
  EXPECT_EQ(x87(), expected);
  for (unsigned i = 0; i < 16; ++i) EXPECT_EQ(h.cpu.s.xmm[i].q, xmm[i].q);
  EXPECT_EQ(h.cpu.s.mxcsr, 0x1FA0u);
}

TEST_F(X87SaveAreas, XsaveAndXrstorAreInverse) {
  X87State saved = x87();
  saved.fcs = saved.fds = 0;
  const auto xmm = h.cpu.s.xmm;
  step(kXsave64);
  EXPECT_EQ(h.read64(kData + 512), 3u);
  clear_state();
  step(kXrstor64);
  EXPECT_EQ(x87(), saved);
  EXPECT_EQ(h.cpu.s.xmm[15].q, xmm[15].q);
  EXPECT_EQ(h.cpu.s.mxcsr, 0x1FA0u);
}

TEST_F(X87SaveAreas, OnlyRequestedComponentsAreSaved) {
  h.reg(kRax) = 1;
  h.write64(kData + 512, 2);  // the SSE bit stays as it was
  step(kXsave64);
  EXPECT_EQ(h.read64(kData + 512), 3u);
  EXPECT_EQ(byte(24), 0xEE) << "MXCSR belongs to SSE";
  EXPECT_EQ(byte(160), 0xEE);
  h.reg(kRax) = 2;
  fill(0xEE);
  step(kXsave64);
  EXPECT_EQ(h.read64(kData + 512), 2u);
  EXPECT_EQ(byte(0), 0xEE);
  EXPECT_EQ(byte(32), 0xEE);
  EXPECT_EQ(static_cast<u32>(h.read64(kData + 24)), 0x1FA0u);
}

TEST_F(X87SaveAreas, XsaveoptLeavesInitialComponentsOut) {
  x87() = X87State{};
  h.write64(kData + 512, 1);
  step(kXsaveopt64);
  EXPECT_EQ(h.read64(kData + 512), 2u);
  EXPECT_EQ(byte(0), 0xEE) << "not written";
  fill(0xEE);
  step(kXsave64);
  EXPECT_EQ(h.read64(kData + 512), 2u);
  EXPECT_EQ(byte(0), 0x7F) << "XSAVE writes it all the same";
}

TEST_F(X87SaveAreas, XrstorInitialisesWhatTheAreaDoesNotHold) {
  step(kXsave64);
  h.write64(kData + 512, 0);
  step(kXrstor64);
  EXPECT_EQ(x87(), X87State{});
  EXPECT_EQ(h.cpu.s.xmm[3].q, Xmm{}.q);
  EXPECT_EQ(h.cpu.s.mxcsr, 0x1FA0u) << "MXCSR comes from the area all the same";
}

TEST_F(X87SaveAreas, XrstorRefusesBadAreas) {
  step(kXsave64);
  const X87State before = x87();
  struct Bad {
    u64 offset;
    u64 value;
  };
  for (const Bad bad : {Bad{512, 4}, Bad{520, u64{1} << 63}, Bad{528, 1}, Bad{24, 0x11F80}}) {
    const u64 good = h.read64(kData + bad.offset);
    h.write64(kData + bad.offset, bad.value);
    step(kXrstor64);
    EXPECT_EQ(raised(), 13) << bad.offset;
    h.write64(kData + bad.offset, good);
  }
  h.reg(kRsi) = kData + 16;
  step(kXrstor64);
  EXPECT_EQ(raised(), 13);
  step(kXsave64);
  EXPECT_EQ(raised(), 13);
  h.reg(kRsi) = kData + 8;
  step(kFxsave64);
  EXPECT_EQ(raised(), 13);
  EXPECT_EQ(x87(), before);
}

TEST_F(X87SaveAreas, Xcr0) {
  h.reg(kRcx) = 0;
  h.reg(kRdx) = 0;
  for (const u64 good : {u64{1}, u64{3}}) {
    h.reg(kRax) = good;
    step({0x0F, 0x01, 0xD1});
    EXPECT_EQ(raised(), -1);
    EXPECT_EQ(h.cpu.s.xcr0, good);
    h.reg(kRax) = ~u64{0};
    step({0x0F, 0x01, 0xD0});
    EXPECT_EQ(h.reg(kRax), good);
  }
  for (const u64 bad : {u64{0}, u64{2}, u64{7}}) {
    h.reg(kRax) = bad;
    step({0x0F, 0x01, 0xD1});
    EXPECT_EQ(raised(), 13);
    EXPECT_EQ(h.cpu.s.xcr0, 3u);
  }
  h.reg(kRcx) = 1;
  step({0x0F, 0x01, 0xD0});
  EXPECT_EQ(raised(), 13);
}

}  // namespace
}  // namespace bhvm::test
