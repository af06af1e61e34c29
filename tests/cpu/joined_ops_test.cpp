// Joined ops do what the same ops do one by one, in any order and up to a fault in the middle of them.
#include "cpu/joined_ops.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <vector>

#include "base/random_stream.h"
#include "state/hash_state.h"
#include "tests/cpu/harness.h"

namespace bhvm::test {
namespace {

using Bytes = std::vector<u8>;

/// Instructions of the kinds that the tables join. RSI and RDI point to memory, aligned to 16 bytes.
const Bytes kInstructions[] = {
    {0x89, 0xD8},                          // mov eax, ebx
    {0x31, 0xC8},                          // xor eax, ecx
    {0x01, 0xD1},                          // add ecx, edx
    {0xC1, 0xC9, 0x07},                    // ror ecx, 7
    {0x48, 0x83, 0xC2, 0x10},              // add rdx, 16
    {0x03, 0x5E, 0x20},                    // add ebx, [rsi+32]
    {0x48, 0x8B, 0x46, 0x18},              // mov rax, [rsi+24]
    {0x48, 0x89, 0x4F, 0x28},              // mov [rdi+40], rcx
    {0x48, 0x8D, 0x53, 0x40},              // lea rdx, [rbx+64]
    {0x66, 0x0F, 0x6F, 0x06},              // movdqa xmm0, [rsi]
    {0xF3, 0x0F, 0x6F, 0x4E, 0x13},        // movdqu xmm1, [rsi+19]
    {0x66, 0x0F, 0x7F, 0x07},              // movdqa [rdi], xmm0
    {0xF3, 0x0F, 0x7F, 0x57, 0x31},        // movdqu [rdi+49], xmm2
    {0x66, 0x0F, 0x6F, 0xD0},              // movdqa xmm2, xmm0
    {0x66, 0x0F, 0xEF, 0xC1},              // pxor xmm0, xmm1
    {0x66, 0x0F, 0xFE, 0xC2},              // paddd xmm0, xmm2
    {0x66, 0x0F, 0xD4, 0xD1},              // paddq xmm2, xmm1
    {0x66, 0x0F, 0x72, 0xD0, 0x05},        // psrld xmm0, 5
    {0x66, 0x0F, 0x73, 0xD2, 0x11},        // psrlq xmm2, 17
    {0x66, 0x0F, 0x73, 0xD9, 0x04},        // psrldq xmm1, 4
    {0x66, 0x0F, 0x70, 0xC8, 0x4E},        // pshufd xmm1, xmm0, 4Eh
    {0x66, 0x0F, 0x3A, 0x0F, 0xC2, 0x04},  // palignr xmm0, xmm2, 4
    {0x66, 0x0F, 0x38, 0xDC, 0xC1},        // aesenc xmm0, xmm1
    {0x66, 0x0F, 0x3A, 0x44, 0xC1, 0x11},  // pclmulqdq xmm0, xmm1, 11h
    {0xF2, 0x0F, 0x10, 0x46, 0x08},        // movsd xmm0, [rsi+8]
    {0xF2, 0x0F, 0x11, 0x47, 0x10},        // movsd [rdi+16], xmm0
    {0xF2, 0x0F, 0x59, 0xC1},              // mulsd xmm0, xmm1
    {0xF2, 0x0F, 0x58, 0x46, 0x20},        // addsd xmm0, [rsi+32]
    {0x66, 0x0F, 0x58, 0x06},              // addpd xmm0, [rsi]
    {0x66, 0x0F, 0x59, 0xC2},              // mulpd xmm0, xmm2
    {0x0F, 0x1F, 0x40, 0x00},              // nop
    {0x39, 0xC8, 0x74, 0x00},              // cmp eax, ecx; je to what follows
    {0x85, 0xD2, 0x75, 0x00},              // test edx, edx; jne to what follows
    {0x48, 0x39, 0xDA, 0x72, 0x00},        // cmp rdx, rbx; jb to what follows
    {0x78, 0x00},                          // js to what follows
};

constexpr u64 kHole = u64{6} << 20;  // 6 MiB to 8 MiB are not mapped

struct Run {
  Harness h;
  explicit Run(RandomStream random, u64 rsi, u64 rdi) {
    h.write64(kPageTables + 0x2000 + 8 * 3, 0);
    Bytes code;
    for (int i = 0; i < 18; ++i) {
      const Bytes& one = kInstructions[random.below(std::size(kInstructions))];
      code.insert(code.end(), one.begin(), one.end());
    }
    code.push_back(0xF4);  // hlt
    h.place(kCode, code);
    for (u64 at = 0; at < 256; at += 8) {
      h.write64(kData + at, random.next());
      h.write64(kHole - 256 + at, random.next());
    }
    CpuState s = h.cpu.s;
    for (const Gpr reg : {kRax, kRbx, kRcx, kRdx}) s.gpr[reg] = random.next();
    for (Xmm& xmm : s.xmm) xmm.q = {random.next(), random.next()};
    s.gpr[kRsi] = rsi;
    s.gpr[kRdi] = rdi;
    h.cpu.set_state(s);
  }
};

/// Runs the same code in one piece and instruction by instruction: without blocks of several, nothing is joined.
void expect_the_same(u64 seed, u64 rsi, u64 rdi) {
  Run whole(RandomStream(seed, 0, "joined"), rsi, rdi);
  Run stepped(RandomStream(seed, 0, "joined"), rsi, rdi);
  RunExit end = RunExit::kLimit;
  // Twice: the second time the TLB knows the pages.
  for (int round = 0; round < 2; ++round) {
    if (round == 1) {
      for (Run* run : {&whole, &stepped}) {
        CpuState s = run->h.cpu.s;
        s.rip = kCode;
        s.halted = false;
        run->h.cpu.set_state(s);
      }
    }
    end = whole.h.cpu.run(1000);
    for (int i = 0; i < 1000; ++i) {
      if (stepped.h.cpu.run(1) == end) break;
    }
    ASSERT_EQ(hash_state(whole.h.cpu.s), hash_state(stepped.h.cpu.s)) << "seed " << seed;
    ASSERT_EQ(whole.h.cpu.s.rip, stepped.h.cpu.s.rip) << "seed " << seed;
    if (end != RunExit::kHalted) break;
  }
  for (u64 at = 0; at < 256; at += 8) {
    ASSERT_EQ(whole.h.read64(kData + at), stepped.h.read64(kData + at)) << "seed " << seed;
    ASSERT_EQ(whole.h.read64(kHole - 256 + at), stepped.h.read64(kHole - 256 + at)) << "seed " << seed;
  }
}

TEST(JoinedOps, JoinedOpsDoWhatTheyDoOneByOne) {
  for (u64 seed = 0; seed < 300; ++seed) expect_the_same(seed, kData, kData + 0x60);
}

TEST(JoinedOps, AFaultInTheMiddleLeavesWhatCameBefore) {
  for (u64 seed = 0; seed < 100; ++seed) {
    expect_the_same(seed, kHole - 0x20, kData);  // a load from behind the end
    expect_the_same(seed, kData, kHole - 0x20);  // a store there
    expect_the_same(seed, kData + 8, kData);     // an operand that should be aligned
  }
}

template <class T>
std::vector<T> both(std::span<const T> integer, std::span<const T> sse) {
  std::vector<T> all(integer.begin(), integer.end());
  all.insert(all.end(), sse.begin(), sse.end());
  return all;
}
const std::vector<JoinedRow>& all_rows() {
  static const std::vector<JoinedRow> all = both(integer::joined_rows(), sse::joined_rows());
  return all;
}
const std::vector<JoinedPart>& all_parts() {
  static const std::vector<JoinedPart> all = both(integer::joined_parts(), sse::joined_parts());
  return all;
}

std::vector<u16> parts_of(const JoinedRow& row) { return {row.parts.begin(), row.parts.begin() + row.count}; }

/// Unjoined ops of these parts.
std::vector<Op> ops_of(const std::vector<u16>& parts) {
  std::vector<Op> ops;
  for (const u16 part : parts) {
    const JoinedPart& each = all_parts()[all_parts()[part - 1u].of_each - 1u];
    Op op;
    op.handler = each.translated;
    ops.resize(ops.size() + all_parts()[part - 1u].ops, op);
  }
  return ops;
}

std::vector<OpKind> join(std::vector<Op>& ops) {
  std::vector<OpKind> kinds(ops.size());
  std::vector<OpNotes> notes(ops.size());
  for (std::size_t i = 0; i < ops.size(); ++i) notes[i].data = ops[i].handler == nullptr;
  join_ops(ops, notes, kinds);
  return kinds;
}

TEST(JoinedOps, EachPartAndEachWayOnHasAHandlerOfItsOwn) {
  std::set<Handler> seen;
  std::size_t handlers = 0;
  const auto see = [&](Handler handler) {
    handlers += 1;
    seen.insert(handler);
  };
  for (const JoinedPart& part : all_parts()) {
    see(part.handler);
    if (part.ops > 1) continue;
    see(part.in_row);
    if (part.slow_in_row != nullptr) see(part.slow_in_row);
    if (part.kind != OpKind::kOp) see(part.translated);
  }
  for (const JoinedRow& row : all_rows()) see(row.joined);
  EXPECT_EQ(seen.size(), handlers);
}

TEST(JoinedOps, NoRowIsThereTwice) {
  std::set<std::vector<u16>> seen;
  for (const JoinedRow& row : all_rows()) {
    ASSERT_TRUE(row.count >= 2 && row.count <= kMostJoined);
    EXPECT_TRUE(seen.insert(parts_of(row)).second);
    for (const u16 part : parts_of(row)) ASSERT_TRUE(part >= 1 && part <= all_parts().size());
  }
  EXPECT_GT(seen.size(), 1000u);
}

TEST(JoinedOps, EachRowIsFoundAndOnlyItsFirstOpHasAHandler) {
  for (const JoinedRow& row : all_rows()) {
    std::vector<Op> ops = ops_of(parts_of(row));
    ops.emplace_back();  // data
    const std::vector<OpKind> kinds = join(ops);
    ASSERT_EQ(ops[0].handler, row.joined);
    for (std::size_t i = 1; i < ops.size(); ++i) ASSERT_EQ(ops[i].handler, nullptr);
    std::vector<OpKind> expected;
    for (std::size_t i = 0; i < row.count; ++i) {
      const JoinedPart& part = all_parts()[row.parts[i] - 1u];
      expected.resize(expected.size() + part.ops, part.kind);
    }
    expected.push_back(OpKind::kOp);
    ASSERT_EQ(kinds, expected);
  }
}

TEST(JoinedOps, PartsAreFoundByTheirHandlers) {
  for (u16 number = 1; number <= all_parts().size(); ++number) {
    const JoinedPart& part = all_parts()[number - 1u];
    if (part.ops > 1) continue;
    ASSERT_EQ(part_of(part.translated), number);
  }
  EXPECT_EQ(part_of(integer::joined_rows().front().joined), 0);
}

TEST(JoinedOps, APartAloneBecomesItsKindAndOthersAreKept) {
  const Handler stranger = integer::joined_rows().front().joined;  // is itself no part
  for (u16 number = 1; number <= all_parts().size(); ++number) {
    std::vector<Op> ops = ops_of({number});
    ops.emplace_back().handler = stranger;
    join(ops);
    ASSERT_EQ(ops[0].handler, all_parts()[number - 1u].handler);
    ASSERT_EQ(ops.back().handler, stranger);
  }
}

TEST(JoinedOps, WhatDoesNotFitItsKindIsNotJoined) {
  std::size_t kinds_with_numbers = 0;
  for (u16 number = 1; number <= all_parts().size(); ++number) {
    const JoinedPart part = all_parts()[number - 1u];
    if (takes_any_imm(part.kind, part.imm_size) || part.ops > 1) continue;
    kinds_with_numbers += 1;
    std::vector<Op> small = ops_of({number});
    EXPECT_EQ(join(small).front(), part.kind);
    EXPECT_EQ(small[0].handler, part.handler);
    std::vector<Op> large = ops_of({number});
    large[0].imm = i64{1} << 31;
    EXPECT_EQ(join(large).front(), OpKind::kOp);
    EXPECT_EQ(large[0].handler, part.translated);
  }
  EXPECT_GT(kinds_with_numbers, 0u);
}

TEST(JoinedOps, TheLongestRowIsTaken) {
  std::map<std::vector<u16>, Handler> known;
  for (const JoinedRow& row : all_rows()) known[parts_of(row)] = row.joined;
  std::size_t longer = 0;
  for (const auto& [parts, joined] : known) {
    std::vector<u16> front = parts;
    front.pop_back();
    if (!known.contains(front)) continue;  // another row that it begins with
    if (all_parts()[parts.front() - 1u].of_each == all_parts()[parts.back() - 1u].of_each) continue;  // maybe a run
    longer += 1;
    std::vector<u16> more = parts;
    more.push_back(parts.front());
    std::vector<Op> ops = ops_of(more);
    join(ops);
    ASSERT_NE(ops[0].handler, known[front]);
  }
  EXPECT_GT(longer, 0u);
}

}  // namespace
}  // namespace bhvm::test
