// Page faults, and what a case changes in the region.
#include "native_case.h"

namespace bhvm::oracle::test {
namespace {

class NativeMemory : public NativeTest {};

constexpr u32 kErrorPresent = 1, kErrorWrite = 2, kErrorUser = 4, kErrorFetch = 16;

TEST_F(NativeMemory, AStoreThatCrossesIntoAnUnmappedPageChangesNothing) {
  const CaseGroup group = make_group({0x48, 0x89, 0x07});  // mov [rdi], rax
  Case input = make_case(group);
  input.gpr[kRdi] = page_linear(6) - 3;
  const Outcome out = run(group, input);
  EXPECT_EQ(out.vector, kPageFault);
  EXPECT_EQ(out.error_code, kErrorUser | kErrorWrite);
  EXPECT_EQ(out.cr2, page_linear(6));
  EXPECT_EQ(out.rip, input.rip);
  EXPECT_EQ(out.rflags, kFlags | kRf);
  EXPECT_EQ(out.change_count, 0u);
}

struct Fault {
  unsigned page;
  std::initializer_list<u8> code;
  u32 error_code;
};

TEST_F(NativeMemory, ErrorCodesByKindOfPage) {
  const std::initializer_list<u8> load = {0x8A, 0x07}, store = {0x88, 0x07}, jump = {0xFF, 0xE7};  // of [rdi], to rdi
  const Fault faults[] = {
      {3, load, kErrorUser},
      {3, store, kErrorUser | kErrorWrite},
      {3, jump, kErrorUser | kErrorFetch},
      {1, store, kErrorUser | kErrorWrite | kErrorPresent},
      {9, store, kErrorUser | kErrorWrite | kErrorPresent},
      {9, jump, kErrorUser | kErrorFetch | kErrorPresent},
      {5, jump, kErrorUser | kErrorFetch | kErrorPresent},
      // A process's mapping has neither supervisor pages nor reserved bits.
      {13, load, kErrorUser},
      {15, load, kErrorUser},
      {26, jump, kErrorUser | kErrorFetch},
  };
  for (const Fault& fault : faults) {
    const CaseGroup group = make_group(fault.code);
    Case input = make_case(group);
    input.gpr[kRdi] = page_linear(fault.page) + 0x10;
    const Outcome out = run(group, input);
    EXPECT_EQ(out.vector, kPageFault) << fault.page;
    EXPECT_EQ(out.error_code, fault.error_code) << fault.page;
    EXPECT_EQ(out.cr2, input.gpr[kRdi]) << fault.page;
  }
}

TEST_F(NativeMemory, AddressesOfTheKernelLookPresentAndNonCanonicalOnesAreProtected) {
  const CaseGroup group = make_group({0x8A, 0x07});  // mov al, [rdi]
  Case input = make_case(group);
  input.gpr[kRdi] = kDirectMap;
  Outcome out = run(group, input);
  EXPECT_EQ(out.vector, kPageFault);
  EXPECT_EQ(out.error_code, kErrorUser | kErrorPresent);
  EXPECT_EQ(out.cr2, kDirectMap);
  input.gpr[kRdi] = 0x8000000000000000;
  out = run(group, input);
  EXPECT_EQ(out.vector, kGeneralProtection);
  EXPECT_EQ(out.error_code, 0u);
  EXPECT_EQ(out.cr2, 0u);
}

TEST_F(NativeMemory, StringMoveListsItsChangesAndTheNextCaseFindsMemoryPristine) {
  CaseGroup group = make_group({0xF3, 0xA4});  // rep movsb
  Case input = make_case(group);
  input.gpr[kRsi] = page_linear(9) + 0x18;
  input.gpr[kRdi] = page_linear(8) - 12;  // 20 bytes over three qwords
  input.gpr[kRcx] = 20;
  group.cases = {input, input};
  const std::vector<Outcome> outcomes = run(group);
  const u32 first = static_cast<u32>((page_linear(8) - 16 - kRegion) / 8);
  std::vector<u8> expected(pristine_.begin() + first * 8, pristine_.begin() + first * 8 + 24);
  std::copy_n(pristine_.begin() + static_cast<std::ptrdiff_t>(input.gpr[kRsi] - kRegion), 20, expected.begin() + 4);
  u64 hash = 0;
  for (u32 i = 0; i < 3; ++i) hash = fold_change(hash, first + i, get<u64>(expected.data(), 8 * i));
  for (const Outcome& out : outcomes) {
    EXPECT_EQ(out.vector, kBreakpoint);
    EXPECT_EQ(out.gpr[kRcx], 0u);
    EXPECT_EQ(out.gpr[kRdi], input.gpr[kRdi] + 20);
    ASSERT_EQ(out.change_count, 3u);
    for (u32 i = 0; i < 3; ++i) {
      EXPECT_EQ(out.changes[i].qword, first + i);
      EXPECT_EQ(out.changes[i].value, get<u64>(expected.data(), 8 * i));
    }
    EXPECT_EQ(out.changes[3].value, 0u);
    EXPECT_EQ(out.change_hash, hash);
  }
}

TEST_F(NativeMemory, AStringStoreThatFaultsHalfWayAndMoreChangesThanTheListHolds) {
  const CaseGroup group = make_group({0xF3, 0xAA});  // rep stosb
  Case input = make_case(group);
  input.gpr[kRax] = 0x77;
  input.gpr[kRdi] = page_linear(8);
  input.gpr[kRcx] = 3 * kPageBytes;
  Outcome out = run(group, input);
  EXPECT_EQ(out.vector, kPageFault);
  EXPECT_EQ(out.cr2, page_linear(9));
  EXPECT_EQ(out.gpr[kRdi], page_linear(9));
  EXPECT_EQ(out.gpr[kRcx], 2 * kPageBytes);
  EXPECT_EQ(out.change_count, kPageBytes / 8);
  EXPECT_EQ(out.changes[kMaxChanges - 1].qword, 8 * kPageBytes / 8 + kMaxChanges - 1);
  u64 hash = 0;
  for (u32 i = 0; i < kPageBytes / 8; ++i) {
    hash = fold_change(hash, static_cast<u32>(8 * kPageBytes / 8 + i), 0x7777777777777777);
  }
  EXPECT_EQ(out.change_hash, hash);
  input.gpr[kRcx] = 0;
  out = run(group, input);
  EXPECT_EQ(out.change_count, 0u);
  EXPECT_EQ(out.changes[0].value, 0u);
}

TEST_F(NativeMemory, PatchesAreSeenCountedAndTakenBack) {
  CaseGroup group = make_group({0x48, 0x8B, 0x07});  // mov rax, [rdi]
  Case input = make_case(group);
  input.gpr[kRdi] = page_linear(9) + 8;
  input.patches[0] = {9 * kPageBytes + 8, 8, {1, 2, 3, 4, 5, 6, 7, 8}};
  input.patches[3] = {3 * kPageBytes - 2, 4, {9, 9, 9, 9}};  // from a code page into an unmapped one
  Case plain = input;
  plain.patches[0].bytes = plain.patches[3].bytes = 0;
  group.cases = {input, plain};
  const std::vector<Outcome> outcomes = run(group);
  EXPECT_EQ(outcomes[0].gpr[kRax], 0x0807060504030201u);
  ASSERT_EQ(outcomes[0].change_count, 3u);
  EXPECT_EQ(outcomes[0].changes[0].qword, 3 * kPageBytes / 8 - 1);
  EXPECT_EQ(outcomes[0].changes[0].value, 0x0909CCCCCCCCCCCC);
  EXPECT_EQ(outcomes[0].changes[1].qword, 3 * kPageBytes / 8);
  EXPECT_EQ(outcomes[0].changes[2].qword, 9 * kPageBytes / 8 + 1);
  EXPECT_EQ(outcomes[1].gpr[kRax], get<u64>(pristine_.data(), 9 * kPageBytes + 8));
  EXPECT_EQ(outcomes[1].change_count, 0u);
}

TEST_F(NativeMemory, CodeIsNoChangeUntilItIsWritten) {
  // mov [rdi], al; nop: in a page that may be written.
  CaseGroup group = make_group({0x88, 0x07, 0x90}, Mode::kUser64, 27 * kPageBytes + 8);
  Case input = make_case(group);
  input.gpr[kRdi] = page_linear(27) + 0x800;
  Case modifying = input;
  modifying.gpr[kRdi] = input.rip + 2;  // NOP becomes INT1
  modifying.gpr[kRax] = 0xF1;
  Case elsewhere = input;
  elsewhere.gpr[kRdi] = page_linear(5);
  elsewhere.dirty = u64{1} << 27;
  group.cases = {input, modifying, elsewhere};
  const std::vector<Outcome> outcomes = run(group);
  const u32 code = static_cast<u32>(27 * kPageBytes / 8 + 1);
  EXPECT_EQ(outcomes[0].vector, kBreakpoint);
  ASSERT_EQ(outcomes[0].change_count, 1u);
  EXPECT_EQ(outcomes[0].changes[0].qword, (27 * kPageBytes + 0x800) / 8);
  EXPECT_EQ(outcomes[1].vector, kDebug);
  ASSERT_EQ(outcomes[1].change_count, 1u);
  EXPECT_EQ(outcomes[1].changes[0].qword, code);
  EXPECT_EQ(outcomes[1].changes[0].value, 0xCCCCCCCCCCF10788);
  EXPECT_EQ(outcomes[2].vector, kBreakpoint);
  ASSERT_EQ(outcomes[2].change_count, 1u);
  EXPECT_EQ(outcomes[2].changes[0].qword, 5 * kPageBytes / 8);
}

TEST_F(NativeMemory, AlignmentCheck) {
  const CaseGroup group = make_group({0x8B, 0x07});  // mov eax, [rdi]
  Case input = make_case(group);
  input.rflags = kFlags | kAc;
  input.gpr[kRdi] = page_linear(5) + 1;
  Outcome out = run(group, input);
  EXPECT_EQ(out.vector, kAlignmentCheck);
  EXPECT_EQ(out.error_code, 0u);
  EXPECT_EQ(out.cr2, 0u);
  EXPECT_EQ(out.rflags, kFlags | kAc | kRf);
  input.gpr[kRdi] = page_linear(5) + 4;
  out = run(group, input);
  EXPECT_EQ(out.vector, kBreakpoint);
  EXPECT_EQ(out.rflags, kFlags | kAc);
}

TEST_F(NativeMemory, ACaseThatDestroysItsStack) {
  const CaseGroup group = make_group({0xBC, 0x08, 0x01, 0x00, 0x00, 0x50});  // mov esp, 108h; push rax
  Outcome out = run(group, make_case(group));
  EXPECT_EQ(out.vector, kPageFault);
  EXPECT_EQ(out.error_code, kErrorUser | kErrorWrite);
  EXPECT_EQ(out.cr2, 0x100u);
  EXPECT_EQ(out.gpr[kRsp], 0x108u);
}

TEST_F(NativeMemory, APristineThatChangesIsTakenOver) {
  const CaseGroup group = make_group({0x8A, 0x07});  // mov al, [rdi]
  Case input = make_case(group);
  input.gpr[kRdi] = page_linear(5);
  EXPECT_EQ(run(group, input).gpr[kRax] & 0xFF, pristine_[5 * kPageBytes]);
  pristine_[5 * kPageBytes] ^= 0xFF;
  EXPECT_EQ(run(group, input).gpr[kRax] & 0xFF, pristine_[5 * kPageBytes]);
}

}  // namespace
}  // namespace bhvm::oracle::test
