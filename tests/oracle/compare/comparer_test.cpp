#include "oracle/compare/comparer.h"

#include <gtest/gtest.h>

#include "tests/oracle/run/known_cases.h"

namespace bhvm::oracle {
namespace {

constexpr u64 kResumeFlag = 1 << 16;

struct Setting {
  Batch batch{test::filled_region()};
  std::vector<Outcome> ours, theirs, native;

  explicit Setting(std::initializer_list<u8> code) {
    CaseGroup group = test::plain_group(Mode::kUser64, code);
    group.native = true;
    batch.add(group);
    ours.resize(1);
    theirs.resize(1);
    native.resize(1);
  }
  std::vector<Finding> compare(Oracle oracle = Oracle::kQemu, bool with_native = false) {
    std::vector<Finding> findings;
    Comparer comparer;
    comparer.compare(batch, ours, theirs, oracle,
                     with_native ? std::span<const Outcome>(native) : std::span<const Outcome>(), findings);
    return findings;
  }
};

TEST(Comparer, FindsADifferentRegister) {
  Setting s{0x01, 0xC8};  // add eax, ecx
  s.theirs[0].gpr[0] = 1;
  const auto findings = s.compare();
  ASSERT_EQ(findings.size(), 1U);
  EXPECT_EQ(findings[0].differences[0].field, Field::kGpr);
}

TEST(Comparer, ARowExplainsItsBitsOnly) {
  Setting s{0x0F, 0x0B};  // ud2
  s.ours[0].vector = s.theirs[0].vector = 6;
  s.ours[0].rflags = 2 | kResumeFlag;
  s.theirs[0].rflags = 2;
  EXPECT_TRUE(s.compare().empty());
  s.theirs[0].rflags = 2 | 1;
  const auto findings = s.compare();
  ASSERT_EQ(findings.size(), 1U);
  EXPECT_EQ(findings[0].differences[0].bits(), 1U);
}

TEST(Comparer, TheHostContradictsARowThatCallsQemuWrong) {
  Setting s{0x0F, 0x0B};
  s.ours[0].vector = s.theirs[0].vector = s.native[0].vector = 6;
  s.ours[0].rflags = s.native[0].rflags = 2 | kResumeFlag;
  s.theirs[0].rflags = 2;
  EXPECT_TRUE(s.compare(Oracle::kQemu, true).empty());
  s.native[0].rflags = 2;
  EXPECT_EQ(s.compare(Oracle::kQemu, true).size(), 1U);
}

/// A store that faults in both machines, with flags in QEMU that nothing set.
std::size_t unexplained_flags_of_a_store(std::initializer_list<u8> code, u64 at) {
  constexpr u32 kPageFault = 14;
  Setting s(code);
  const u64 start = kRegion + s.batch.group_of(0).group.code_offset;
  s.ours[0].vector = s.theirs[0].vector = kPageFault;
  s.ours[0].rip = s.theirs[0].rip = start + at;
  s.ours[0].rflags = 2;
  s.theirs[0].rflags = 0x3F02;
  return s.compare().size();
}

TEST(Comparer, FlagsThatNobodySetAreExplainedBehindARotationByAConstantOnly) {
  EXPECT_EQ(0U, unexplained_flags_of_a_store({0xC1, 0xC5, 0x05, 0xD1, 0x10}, 3));        // rol ebp, 5; rcl [rax], 1
  EXPECT_EQ(0U, unexplained_flags_of_a_store({0xD1, 0xCD, 0x90, 0x0F, 0x9C, 0x00}, 3));  // ror; nop; setl [rax]
  EXPECT_EQ(1U, unexplained_flags_of_a_store({0xD3, 0xC5, 0xD1, 0x10}, 2));              // rol ebp, cl; rcl
  EXPECT_EQ(1U, unexplained_flags_of_a_store({0xC1, 0xC5, 0x20, 0xD1, 0x10}, 3));        // rol ebp, 32; rcl
  EXPECT_EQ(1U, unexplained_flags_of_a_store({0xC1, 0xC5, 0x05, 0x31, 0xC9, 0xD1, 0x10}, 5));  // rol; xor ecx, ecx; rcl
  EXPECT_EQ(1U, unexplained_flags_of_a_store({0xC1, 0xC5, 0x05, 0x11, 0x00}, 3));              // rol; adc [rax], eax
  EXPECT_EQ(1U, unexplained_flags_of_a_store({0xD1, 0x10}, 0));                                // rcl
}

TEST(Comparer, AnOffsetThatIsNotCanonicalIsRefused) {
  constexpr u32 kBreakpoint = 3, kGeneralProtection = 13;
  const auto unexplained = [](u8 prefix, u64 offset) {
    Setting s{prefix, 0x48, 0x8B, 0x00};  // mov rax, seg:[rax]
    const u64 start = kRegion + s.batch.group_of(0).group.code_offset;
    s.ours[0].vector = kBreakpoint;
    s.ours[0].rip = start + 5;
    s.theirs[0].vector = kGeneralProtection;
    s.theirs[0].rip = start;
    s.theirs[0].gpr[0] = offset;
    std::vector<Finding> findings;
    Comparer(Host::kAmd).compare(s.batch, s.ours, s.theirs, Oracle::kNative, {}, findings);
    return findings.size();
  };
  constexpr u8 kFs = 0x64, kGs = 0x65, kDs = 0x3E;
  constexpr u64 kEnd = u64{1} << 47;
  EXPECT_EQ(0U, unexplained(kFs, kEnd));
  EXPECT_EQ(0U, unexplained(kGs, kEnd - 7));
  EXPECT_EQ(1U, unexplained(kGs, kEnd - 8));
  EXPECT_EQ(1U, unexplained(kGs, 0 - kEnd));
  EXPECT_EQ(1U, unexplained(kDs, kEnd));
}

/// A load through EAX that an AMD processor says faults at `cr2`, where bhvm completes it.
std::size_t unexplained_load(std::initializer_list<u8> code, u64 rax, u64 fs_base, u64 cr2) {
  constexpr u32 kBreakpoint = 3, kPageFault = 14;
  Setting s(code);
  const u64 start = kRegion + s.batch.group_of(0).group.code_offset;
  s.ours[0].vector = kBreakpoint;
  s.ours[0].rip = start + code.size() + 1;
  s.theirs[0].vector = kPageFault;
  s.theirs[0].rip = start;
  s.theirs[0].cr2 = cr2;
  for (Outcome* outcome : {&s.ours[0], &s.theirs[0]}) {
    outcome->gpr[0] = rax;
    outcome->fs_base = fs_base;
  }
  std::vector<Finding> findings;
  Comparer(Host::kAmd).compare(s.batch, s.ours, s.theirs, Oracle::kNative, {}, findings);
  return findings.size();
}

TEST(Comparer, APieceAcross4GiBIsExplainedWhereItWrapsToOnly) {
  constexpr u64 kOffset = 0xFFFFFFFC;
  const u64 base = kRegion - kOffset;
  const auto fbld = {u8{0x64}, u8{0x67}, u8{0xDF}, u8{0x20}};         // fbld fs:[eax]
  const auto fbld64 = {u8{0x64}, u8{0xDF}, u8{0x20}};                 // fbld fs:[rax]
  const auto fld64 = {u8{0x64}, u8{0x67}, u8{0xDD}, u8{0x00}};        // fld qword fs:[eax]
  const auto move = {u8{0x64}, u8{0x67}, u8{0x48}, u8{0x8B}, u8{0}};  // mov rax, fs:[eax]
  EXPECT_EQ(0U, unexplained_load(fbld, kOffset, base, base + 4));
  EXPECT_EQ(1U, unexplained_load(fbld, kOffset, base, base + 6));      // behind the operand
  EXPECT_EQ(1U, unexplained_load(fbld, kOffset, base, kRegion));       // where it does not wrap
  EXPECT_EQ(1U, unexplained_load(fbld, kOffset - 6, base, base + 4));  // it ends at 4 GiB
  EXPECT_EQ(1U, unexplained_load(fbld64, kOffset, base, base + 4));
  EXPECT_EQ(1U, unexplained_load(fld64, kOffset, base, base + 2));
  EXPECT_EQ(1U, unexplained_load(move, kOffset, base, base + 2));
}

/// A far return of an AMD processor that ends in `vector` at `cr2`, where bhvm raises #GP.
std::size_t unexplained_return(std::initializer_list<u8> code, u64 rsp, u32 vector, u64 cr2) {
  constexpr u32 kGeneralProtection = 13;
  Setting s(code);
  s.ours[0].vector = kGeneralProtection;
  s.theirs[0].vector = vector;
  s.theirs[0].cr2 = cr2;
  for (Outcome* outcome : {&s.ours[0], &s.theirs[0]}) {
    outcome->gpr[4] = rsp;
    outcome->rip = kRegion + s.batch.group_of(0).group.code_offset;
  }
  std::vector<Finding> findings;
  Comparer(Host::kAmd).compare(s.batch, s.ours, s.theirs, Oracle::kNative, {}, findings);
  return findings.size();
}

TEST(Comparer, AFarReturnMayFaultForTheOuterStackOnly) {
  constexpr u32 kPageFault = 14, kAlignmentCheck = 17;
  const auto aligned = {u8{0x48}, u8{0xCA}, u8{0x00}, u8{0x37}};  // retf 0x3700
  const auto askew = {u8{0x48}, u8{0xCA}, u8{0x03}, u8{0x37}};    // retf 0x3703
  const u64 rsp = kRegion + 0x1000;
  EXPECT_EQ(0U, unexplained_return(aligned, rsp, kPageFault, rsp + 0x3700 + 16));
  EXPECT_EQ(0U, unexplained_return(aligned, rsp, kPageFault, rsp + 0x3700 + 31));
  EXPECT_EQ(1U, unexplained_return(aligned, rsp, kPageFault, rsp + 0x3700 + 32));
  EXPECT_EQ(1U, unexplained_return(aligned, rsp, kPageFault, rsp + 8));
  EXPECT_EQ(1U, unexplained_return(aligned, rsp, kAlignmentCheck, 0));
  EXPECT_EQ(0U, unexplained_return(askew, rsp, kAlignmentCheck, 0));
}

TEST(Comparer, ANativeRunKnowsNoPageTables) {
  Setting s{0x90};
  s.ours[0].accessed = 6;
  s.ours[0].system.cr0 = 1;
  EXPECT_TRUE(s.compare(Oracle::kNative).empty());
  s.ours[0].gpr[3] = 1;
  EXPECT_EQ(s.compare(Oracle::kNative).size(), 1U);
}

TEST(Comparer, ACaseThatTheHostDidNotRunIsNotCompared) {
  Setting s{0x90};
  s.theirs[0].vector = kVectorNotRun;
  EXPECT_TRUE(s.compare(Oracle::kNative).empty());
}

}  // namespace
}  // namespace bhvm::oracle
