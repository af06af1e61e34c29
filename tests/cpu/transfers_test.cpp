// Indirect jumps, calls and returns go where their pointers and the stack say, whatever the engine remembers of them.
#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "base/random_stream.h"
#include "tests/cpu/harness.h"

namespace bhvm::test {
namespace {

using Bytes = std::vector<u8>;

/// loop: jmp [pointer]; at each target: add eax, n; mov to the pointer; dec ecx; jnz loop; hlt.
TEST(Transfers, AJumpThroughAPointerFollowsThePointer) {
  Harness h;
  constexpr u64 kFirst = kCode + 0x100, kSecond = kCode + 0x2000, kPointer = kData;
  h.place(kCode, {0xFF, 0x25, 0xFA, 0xFF, 0x0E, 0x00});  // jmp [rip+0EFFFAh]: kData
  const Bytes rest = {0x48, 0x89, 0x1E,                  // mov [rsi], rbx
                      0x48, 0x87, 0xDA,                  // xchg rbx, rdx
                      0xFF, 0xC9,                        // dec ecx
                      0x74, 0x02,                        // jz $+4
                      0xFF, 0xE7,                        // jmp rdi
                      0xF4};                             // hlt
  for (const auto& [at, n] : {std::pair{kFirst, u8{1}}, std::pair{kSecond, u8{100}}}) {
    Bytes code{0x83, 0xC0, n};  // add eax, n
    code.insert(code.end(), rest.begin(), rest.end());
    h.place(at, code);
  }
  h.write64(kPointer, kFirst);
  h.reg(kRsi) = kPointer;
  h.reg(kRdi) = kCode;
  h.reg(kRbx) = kSecond;
  h.reg(kRdx) = kFirst;
  h.reg(kRcx) = 7;
  EXPECT_EQ(h.cpu.run(1000), RunExit::kHalted);
  EXPECT_EQ(h.reg(kRax), 304u);  // 1, 100, 1, 100, 1, 100, 1
}

TEST(Transfers, AJumpThroughAPointerSeesItsTargetChange) {
  Harness h;
  constexpr u64 kTarget = kCode + 0x1000;
  h.place(kCode, {0xFF, 0x25, 0xFA, 0xFF, 0x0E, 0x00});  // jmp [rip+0EFFFAh]: kData
  h.place(kTarget, {0x83, 0xC0, 0x01,                    // add eax, 1: the 1 grows
                    0xFE, 0x06,                          // inc byte [rsi]
                    0xFF, 0xC9,                          // dec ecx
                    0x74, 0x02,                          // jz $+4
                    0xFF, 0xE7,                          // jmp rdi
                    0xF4});                              // hlt
  h.write64(kData, kTarget);
  h.reg(kRsi) = kTarget + 2;
  h.reg(kRdi) = kCode;
  h.reg(kRcx) = 10;
  EXPECT_EQ(h.cpu.run(1000), RunExit::kHalted);
  EXPECT_EQ(h.reg(kRax), 55u);
  EXPECT_EQ(h.cpu.s.instructions, 60u);
}

TEST(Transfers, ReturnsFromDeeperThanAnyoneRemembers) {
  Harness h;
  h.place(kCode, {0xE8, 0x01, 0x00, 0x00, 0x00,  // call f
                  0xF4,                          // hlt
                  0xFF, 0xC9,                    // f: dec ecx
                  0x74, 0x08,                    // jz to ret
                  0xE8, 0xF7, 0xFF, 0xFF, 0xFF,  // call f
                  0x83, 0xC0, 0x03,              // add eax, 3
                  0xC3});                        // ret
  for (int round = 0; round < 3; ++round) {
    CpuState s = h.cpu.s;
    s.rip = kCode;
    s.halted = false;
    s.gpr[kRcx] = 50;
    s.gpr[kRax] = 0;
    h.cpu.set_state(s);
    EXPECT_EQ(h.cpu.run(1000), RunExit::kHalted);
    EXPECT_EQ(h.reg(kRax), 3u * 49);
    EXPECT_EQ(h.reg(kRsp), kStack);
  }
}

TEST(Transfers, AReturnGoesWhereTheStackSays) {
  Harness h;
  h.place(kCode, {0xE8, 0x0B, 0x00, 0x00, 0x00,  // loop: call f
                  0x83, 0xC0, 0x01,              // add eax, 1
                  0xFF, 0xC9,                    // dec ecx
                  0x75, 0xF4,                    // jnz loop
                  0xF4,                          // hlt
                  0x90, 0x90, 0x90,              //
                  0xF6, 0xC1, 0x01,              // f: test cl, 1
                  0x75, 0x04,                    // jnz to ret
                  0x48, 0x89, 0x1C, 0x24,        // mov [rsp], rbx
                  0xC3});                        // ret
  h.place(kCode + 0x2005, {0x83, 0xC0, 0x64,     // elsewhere, at the same offset in its page: add eax, 100
                           0xFF, 0xC9,           // dec ecx
                           0x74, 0x02,           // jz $+4
                           0xFF, 0xE7,           // jmp rdi
                           0xF4});               // hlt
  h.reg(kRbx) = kCode + 0x2005;
  h.reg(kRdi) = kCode;
  h.reg(kRcx) = 9;
  EXPECT_EQ(h.cpu.run(1000), RunExit::kHalted);
  EXPECT_EQ(h.reg(kRax), 405u);  // 9, 7, 5, 3, 1 come back, 8, 6, 4, 2 do not
}

TEST(Transfers, AReturnSeesThatTheCodeBehindItsCallHasChanged) {
  Harness h;
  h.place(kCode, {0xE8, 0x0B, 0x00, 0x00, 0x00,  // loop: call f
                  0x83, 0xC0, 0x01,              // add eax, 1: the 1 grows
                  0xFF, 0xC9,                    // dec ecx
                  0x75, 0xF4,                    // jnz loop
                  0xF4,                          // hlt
                  0x90, 0x90, 0x90,              //
                  0xFE, 0x06,                    // f: inc byte [rsi]
                  0xC3});                        // ret
  h.reg(kRsi) = kCode + 7;
  h.reg(kRcx) = 10;
  EXPECT_EQ(h.cpu.run(1000), RunExit::kHalted);
  EXPECT_EQ(h.reg(kRax), 65u);  // 2 to 11
}

/// One form of an indirect transfer; RSI is a table of targets, RCX counts down to its first entry.
struct Form {
  const char* name;
  bool call;
  Bytes code;
};
std::ostream& operator<<(std::ostream& out, const Form& form) { return out << form.name; }

class IndirectTransfers : public testing::TestWithParam<Form> {
 protected:
  /// kCode: loop: the transfer through entry RCX of the table; dec ecx; jnz loop; hlt. A target that is jumped to ends
  /// in a jump back behind the transfer.
  void place_loop() {
    Bytes loop = GetParam().code;
    const u64 behind = kCode + loop.size();
    const u8 back = static_cast<u8>(-static_cast<int>(loop.size() + 4));
    loop.insert(loop.end(), {0xFF, 0xC9, 0x75, back, 0xF4});
    h.place(kCode, loop);
    h.reg(kRsi) = kData;
    h.reg(kRdi) = behind;
  }
  /// The targets are at the same place in their pages, so that only the page tells them apart.
  static u64 target(u64 i) { return kCode + (i + 1) * kPageSize + 0x40; }
  void place_target(u64 i, Bytes code) {
    if (GetParam().call) {
      code.push_back(0xC3);  // ret
    } else {
      code.insert(code.end(), {0xFF, 0xE7});  // jmp rdi
    }
    h.place(target(i), code);
  }
  Harness h;
};

TEST_P(IndirectTransfers, FollowTheirPointers) {
  constexpr unsigned kEntries = 400;
  place_loop();
  RandomStream random(5, 0, "targets");
  for (u64 targets = 1; targets <= 5; ++targets) {
    u64 expected = 0;
    for (u64 i = 0; i < targets; ++i) {
      place_target(i, {0x83, 0xC0, static_cast<u8>(1 + 17 * i)});  // add eax, n
    }
    for (unsigned k = 1; k <= kEntries; ++k) {
      const u64 i = random.below(targets);
      h.write64(kData + 8 * k, target(i));
      expected += 1 + 17 * i;
    }
    CpuState s = h.cpu.s;
    s.rip = kCode;
    s.halted = false;
    s.gpr[kRcx] = kEntries;
    s.gpr[kRax] = 0;
    h.cpu.set_state(s);
    EXPECT_EQ(h.cpu.run(100'000), RunExit::kHalted);
    EXPECT_EQ(h.reg(kRax), expected) << targets << " targets";
    EXPECT_EQ(h.reg(kRsp), kStack);
  }
}

TEST_P(IndirectTransfers, SeeTheirTargetsChange) {
  // Two targets in turn, each of which raises what it adds.
  place_loop();
  for (u64 i = 0; i < 2; ++i) {
    place_target(i, {0x83, 0xC0, 0x01,                      // add eax, 1: the 1 grows
                     0xFE, 0x05, 0xF9, 0xFF, 0xFF, 0xFF});  // inc byte [rip-7]: the immediate
  }
  for (u64 k = 1; k <= 20; ++k) h.write64(kData + 8 * k, target(k % 2));
  h.reg(kRcx) = 20;
  EXPECT_EQ(h.cpu.run(1000), RunExit::kHalted);
  EXPECT_EQ(h.reg(kRax), 110u);  // 1 to 10, twice
}

TEST_P(IndirectTransfers, RefuseWhatIsNotCanonical) {
  place_loop();
  place_target(0, {0x83, 0xC0, 0x01});
  h.write64(kData + 16, target(0));
  h.write64(kData + 8, (u64{1} << 47) + target(0));
  h.reg(kRcx) = 2;
  h.cpu.run(100);  // ends in a shutdown: there is no IDT
  EXPECT_EQ(h.reg(kRax), 1u);
  EXPECT_EQ(h.reg(kRcx), 1u);
  EXPECT_EQ(h.reg(kRsp), kStack);
}

INSTANTIATE_TEST_SUITE_P(All, IndirectTransfers,
                         testing::Values(Form{"JmpMemory", false, {0xFF, 0x24, 0xCE}},  // jmp [rsi + rcx * 8]
                                         Form{"JmpRegister",
                                              false,
                                              {0x48, 0x8B, 0x1C, 0xCE,                  // mov rbx, [rsi + rcx * 8]
                                               0xFF, 0xE3}},                            // jmp rbx
                                         Form{"CallMemory", true, {0xFF, 0x14, 0xCE}},  // call [rsi + rcx * 8]
                                         Form{"CallRegister",
                                              true,
                                              {0x48, 0x8B, 0x1C, 0xCE,  // mov rbx, [rsi + rcx * 8]
                                               0x90, 0xFF, 0xD3}},      // nop; call rbx
                                         Form{"CallMovedRegister",
                                              true,
                                              {0x48, 0x8B, 0x1C, 0xCE,  // mov rbx, [rsi + rcx * 8]
                                               0x48, 0x89, 0xDA,        // mov rdx, rbx
                                               0xFF, 0xD2}}),           // call rdx: joined with the mov
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace bhvm::test
