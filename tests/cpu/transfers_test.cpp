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

TEST(Transfers, AReturnToWhatIsNotCanonicalFaultsWhereItStands) {
  Harness h;
  h.place(kCode, {0x89, 0xD8, 0xC3});  // mov eax, ebx; ret
  h.reg(kRbx) = 7;
  h.write64(kStack, u64{1} << 63);
  for (int round = 0; round < 2; ++round) {  // the second time the TLB knows the stack
    CpuState s = h.cpu.s;
    s.rip = kCode;
    s.gpr[kRax] = 0;
    s.instructions = 0;
    h.cpu.set_state(s);
    EXPECT_EQ(h.cpu.run(10), RunExit::kShutdown);  // the fault finds no IDT
    EXPECT_EQ(h.cpu.s.rip, kCode + 2);
    EXPECT_EQ(h.cpu.s.instructions, 1u);
    EXPECT_EQ(h.reg(kRax), 7u);
    EXPECT_EQ(h.reg(kRsp), kStack);
  }
}

/// Pages of 4 KiB whose translations change while jumps, calls and returns remember where they led.
class RemappedCode : public testing::Test {
 protected:
  static constexpr u64 kLinear = 0x400000;
  static constexpr u64 kTables = kPageTables + 0x3000;  // the PT of 2 MiB from kLinear on
  static constexpr u64 kFirst = 0x200000, kSecond = 0x300000;

  RemappedCode() { h.write64(kPageTables + 0x2000 + 8 * (kLinear >> 21), kTables | 7); }
  static u64 entry_at(u64 linear, u64 tables = kTables) { return tables + 8 * ((linear >> 12) & 511); }
  void map(u64 linear, u64 physical, u64 tables = kTables) { h.write64(entry_at(linear, tables), physical | 7); }
  /// Code at kCode that goes `rounds` times over: `call` to kLinear + 0x40, four times, so that it knows the way; then
  /// `change`. What it calls adds 1 in kFirst and 100 in kSecond. R8 is the address behind the call.
  void run_in_turn(const Bytes& call, const Bytes& change, unsigned rounds) {
    Bytes code{0x41, 0xB9, 0x04, 0x00, 0x00, 0x00};  // loop: mov r9d, 4
    code.insert(code.end(), call.begin(), call.end());
    const u8 to_the_call = static_cast<u8>(-static_cast<int>(call.size() + 5));
    h.reg(kR8) = kCode + code.size();
    code.insert(code.end(), {0x41, 0xFF, 0xC9, 0x75, to_the_call});  // dec r9d; jnz to the call
    code.insert(code.end(), change.begin(), change.end());
    code.insert(code.end(), {0xFF, 0xC9, 0x75, static_cast<u8>(-static_cast<int>(code.size() + 4)), 0xF4});
    h.place(kCode, code);
    h.place(kFirst + 0x40, {0x83, 0xC0, 0x01, 0xC3});   // add eax, 1; ret
    h.place(kSecond + 0x40, {0x83, 0xC0, 0x64, 0xC3});  // add eax, 100; ret
    map(kLinear, kFirst);
    h.reg(kRbp) = kLinear + 0x40;
    h.reg(kRcx) = rounds;
    EXPECT_EQ(h.cpu.run(10'000), RunExit::kHalted);
    EXPECT_EQ(h.reg(kRax), 4 * 101 * u64{rounds} / 2);
    EXPECT_EQ(h.reg(kRsp), kStack);
  }

  /// `transfer`, in kFirst at two addresses, goes to the page 5000h behind, which adds 1 behind kLinear and 100 behind
  /// the other one, and returns.
  void expect_relative(const Bytes& transfer) {
    constexpr u64 kApart = 0x10000;
    h.reset();
    h.write64(kPageTables + 0x2000 + 8 * (kLinear >> 21), kTables | 7);
    h.place(kFirst, transfer);
    h.place(kSecond + 0x40, {0x83, 0xC0, 0x01, 0xC3});
    h.place(kSecond + 0x1040, {0x83, 0xC0, 0x64, 0xC3});
    map(kLinear, kFirst);
    map(kLinear + kApart, kFirst);
    map(kLinear + 0x5000, kSecond);
    map(kLinear + kApart + 0x5000, kSecond + 0x1000);
    h.place(kCode, {0xFF, 0xD5,        // loop: call rbp
                    0xFF, 0xC9,        // dec ecx
                    0xF6, 0xC1, 0x03,  // test cl, 3
                    0x75, 0xF7,        // jnz loop
                    0xFF, 0xD3,        // call rbx
                    0x85, 0xC9,        // test ecx, ecx
                    0x75, 0xF1,        // jnz loop
                    0xF4});            // hlt
    h.reg(kRbp) = kLinear;
    h.reg(kRbx) = kLinear + kApart;
    h.reg(kRcx) = 40;
    EXPECT_EQ(h.cpu.run(10'000), RunExit::kHalted);
    EXPECT_EQ(h.reg(kRax), 40u + 10 * 100);
  }

  const Bytes kCallDirect{0xE8, 0x35, 0x00, 0x3F, 0x00};    // call kLinear + 0x40, from kCode + 6
  const Bytes kCallRegister{0x0F, 0x1F, 0x00, 0xFF, 0xD5};  // nop; call rbp
  /// push r8, and a jump there.
  const Bytes kJump{0x41, 0x50, 0xE9, 0x33, 0x00, 0x3F, 0x00};                          // jmp
  const Bytes kJumpIf{0x41, 0x50, 0xF9, 0x0F, 0x82, 0x31, 0x00, 0x3F, 0x00};            // stc; jc
  const Bytes kCompare{0x41, 0x50, 0x39, 0xC0, 0x0F, 0x84, 0x30, 0x00, 0x3F, 0x00};     // cmp eax, eax; jz
  const Bytes kTest{0x41, 0x50, 0xF6, 0xC1, 0x00, 0x0F, 0x84, 0x2F, 0x00, 0x3F, 0x00};  // test cl, 0; jz
  const Bytes kTransfers[6] = {kCallDirect, kCallRegister, kJump, kJumpIf, kCompare, kTest};
  const Bytes kChangeEntry{0x48, 0x89, 0x1E,    // mov [rsi], rbx
                           0x48, 0x87, 0xDA,    // xchg rbx, rdx
                           0x0F, 0x01, 0x3F};   // invlpg [rdi]
  const Bytes kChangeTables{0x0F, 0x22, 0xDB,   // mov cr3, rbx
                            0x48, 0x87, 0xDA};  // xchg rbx, rdx
  Harness h;
};

TEST_F(RemappedCode, CallsAndJumpsSeeTheirTargetRemapped) {
  for (const Bytes& call : kTransfers) {
    h.reset();
    h.write64(kPageTables + 0x2000 + 8 * (kLinear >> 21), kTables | 7);
    h.reg(kRsi) = entry_at(kLinear);
    h.reg(kRdi) = kLinear;
    h.reg(kRbx) = kSecond | 7;
    h.reg(kRdx) = kFirst | 7;
    run_in_turn(call, kChangeEntry, 40);
  }
}

TEST_F(RemappedCode, CallsAndJumpsSeeAnotherProcess) {
  // A second set of tables, for PCID 2, where kLinear is kSecond; no flush between the two.
  constexpr u64 kOthers = 0x8000;
  for (const Bytes& call : kTransfers) {
    h.reset();
    h.write64(kPageTables + 0x2000 + 8 * (kLinear >> 21), kTables | 7);
    h.write64(kOthers, (kOthers + 0x1000) | 7);
    h.write64(kOthers + 0x1000, (kOthers + 0x2000) | 7);
    for (u64 i = 0; i < 512; ++i) h.write64(kOthers + 0x2000 + 8 * i, (i << 21) | 0x87);
    h.write64(kOthers + 0x2000 + 8 * (kLinear >> 21), (kOthers + 0x3000) | 7);
    map(kLinear, kSecond, kOthers + 0x3000);
    CpuState s = h.cpu.s;
    s.cr4 |= 1 << 17;  // PCIDE
    s.cr3 = kPageTables | 1;
    h.cpu.set_state(s);
    h.reg(kRbx) = (u64{1} << 63) | kOthers | 2;
    h.reg(kRdx) = (u64{1} << 63) | kPageTables | 1;
    run_in_turn(call, kChangeTables, 40);
  }
}

TEST_F(RemappedCode, ReturnsSeeTheirCallerRemapped) {
  // At kLinear: loop: call kCode; add eax, 1 or 100; dec ecx; jnz loop; hlt.
  for (const auto& [page, n] : {std::pair{kFirst, u8{1}}, std::pair{kSecond, u8{100}}}) {
    h.place(page, {0xE8, 0xFB, 0xFF, 0xC0, 0xFF, 0x83, 0xC0, n, 0xFF, 0xC9, 0x75, 0xF4, 0xF4});
  }
  Bytes code{0xF6, 0xC1, 0x03, 0x75, 0x09};  // test cl, 3; jnz to ret
  code.insert(code.end(), kChangeEntry.begin(), kChangeEntry.end());
  code.push_back(0xC3);  // ret
  h.place(kCode, code);
  map(kLinear, kFirst);
  h.reg(kRsi) = entry_at(kLinear);
  h.reg(kRdi) = kLinear;
  h.reg(kRbx) = kSecond | 7;
  h.reg(kRdx) = kFirst | 7;
  h.reg(kRcx) = 40;
  h.cpu.s.rip = kLinear;
  EXPECT_EQ(h.cpu.run(10'000), RunExit::kHalted);
  EXPECT_EQ(h.reg(kRax), 20u * 101);
}

TEST_F(RemappedCode, OnePageOfCodeAtTwoAddressesCallsAndJumpsRelativeToEach) {
  for (const Bytes& transfer : {Bytes{0xE8, 0x3B, 0x50, 0x00, 0x00, 0xC3},                 // call; ret
                                Bytes{0xE9, 0x3B, 0x50, 0x00, 0x00},                       // jmp
                                Bytes{0xF9, 0x0F, 0x82, 0x39, 0x50, 0x00, 0x00},           // stc; jc
                                Bytes{0x39, 0xC0, 0x0F, 0x84, 0x38, 0x50, 0x00, 0x00}}) {  // cmp eax, eax; jz
    expect_relative(transfer);
  }
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
