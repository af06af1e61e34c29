// The generator as a whole: determinism, coverage, and where cases may reach.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "base/hash.h"
#include "oracle/generate/draft.h"
#include "oracle/generate/form_names.h"
#include "oracle/generate/instruction_generator.h"

namespace bhvm::oracle {
namespace {

Hash128 hash_of(const CaseGroup& group) {
  const Hash128 head = hash_bytes(&group.group, sizeof(group.group));
  return hash_bytes(group.cases.data(), group.cases.size() * sizeof(Case), head.low);
}

bool code64(const CaseGroup& group) { return group.group.mode == Mode::kUser64 || group.group.mode == Mode::kKernel64; }
bool kernel(const CaseGroup& group) {
  return group.group.mode == Mode::kKernel64 || group.group.mode == Mode::kKernel32;
}

/// The group's main instruction: the one whose form has the group's name.
bool find_main(const Decoder& decoder, const CaseGroup& group, Instance& main, unsigned& at) {
  const Group& g = group.group;
  for (at = 0; at < g.code_bytes; at += main.insn.length()) {
    if (!decode(decoder, {g.code + at, g.code_bytes - at}, code64(group), main.insn)) return false;
    main.bytes.size = main.insn.length();
    if (form_name(main.insn) == group.form) return true;
  }
  return false;
}

TEST(Generator, ASeedGivesTheSameGroups) {
  InstructionGenerator a(7, nullptr), b(7, nullptr), c(8, nullptr);
  EXPECT_EQ(a.pristine(), b.pristine());
  unsigned different = 0;
  for (int i = 0; i < 2000; ++i) {
    const CaseGroup x = a.next(), y = b.next(), z = c.next();
    ASSERT_EQ(x.form, y.form);
    ASSERT_EQ(x.native, y.native);
    ASSERT_EQ(hash_of(x), hash_of(y)) << x.form;
    different += hash_of(x) != hash_of(z);
  }
  EXPECT_GT(different, 1990U);
}

TEST(Generator, MeetsEveryFormOnceARound) {
  InstructionGenerator generator(1, nullptr);
  std::set<std::string> met;
  for (std::size_t i = 0; i < generator.forms().size(); ++i) {
    const CaseGroup group = generator.next();
    EXPECT_TRUE(met.insert(group.form).second) << group.form;
    EXPECT_FALSE(group.family.empty());
    EXPECT_FALSE(group.mnemonic.empty());
  }
  EXPECT_EQ(met.size(), generator.forms().size());
}

TEST(Generator, TheFilterLeavesWhatItFinds) {
  const std::regex filter("^(add|sub) r32");
  InstructionGenerator generator(1, &filter);
  ASSERT_FALSE(generator.forms().empty());
  for (int i = 0; i < 200; ++i) {
    const CaseGroup group = generator.next();
    EXPECT_TRUE(group.mnemonic == "add" || group.mnemonic == "sub");
    EXPECT_TRUE(std::regex_search(group.form, filter));
  }
  const std::regex nothing("no such form");
  EXPECT_TRUE(InstructionGenerator(1, &nothing).forms().empty());
}

TEST(Generator, EveryGroupHoldsItsForm) {
  InstructionGenerator generator(3, nullptr);
  const Decoder decoder;
  for (std::size_t i = 0; i < 2 * generator.forms().size(); ++i) {
    const CaseGroup group = generator.next();
    ASSERT_LE(group.group.code_bytes, kMaxCode);
    ASSERT_EQ(group.cases.size(), group.group.case_count);
    if (group.family == "undefined") continue;
    Instance main;
    unsigned at = 0;
    ASSERT_TRUE(find_main(decoder, group, main, at))
        << group.form << " at byte " << at << " of "
        << ::testing::PrintToString(std::vector<u8>(group.group.code, group.group.code + group.group.code_bytes));
  }
}

/// Every memory operand of every case, and its registers.
TEST(Generator, NoCaseReachesTheGuestProgram) {
  InstructionGenerator generator(4, nullptr);
  const Decoder decoder;
  u64 accesses = 0, in_pages = 0, fetches_across = 0;
  for (std::size_t i = 0; i < 3 * generator.forms().size(); ++i) {
    const CaseGroup group = generator.next();
    const u64 start = kRegion + group.group.code_offset;
    const u64 end = start + group.group.code_bytes;
    fetches_across += start / kPageBytes != (end - 1) / kPageBytes;
    ASSERT_TRUE(is_code(kind_at(start)));
    for (const Case& c : group.cases) {
      for (const u64 gpr : c.gpr) EXPECT_FALSE(in_guest_program(gpr)) << group.form;
      EXPECT_FALSE(in_guest_program(c.fs_base)) << group.form;
      EXPECT_FALSE(in_guest_program(c.gs_base)) << group.form;
      for (const Patch& patch : c.patches) {
        if (patch.bytes == 0) continue;
        ASSERT_LE(patch.bytes, sizeof(patch.data));
        ASSERT_LE(patch.offset + patch.bytes, kRegionBytes);
        EXPECT_FALSE(is_code(kind_at(kRegion + patch.offset))) << group.form;
        EXPECT_FALSE(is_code(kind_at(kRegion + patch.offset + patch.bytes - 1))) << group.form;
      }
    }
    Instance main;
    unsigned at = 0;
    if (group.family == "undefined" || !find_main(decoder, group, main, at)) continue;
    Form form;
    form.accepted = true;
    main.form = &form;
    const Plan plan = make_plan(main, group.group.mode, start, start + at, {start, end});
    for (const Case& c : group.cases) {
      for (unsigned a = 0; a < plan.access_count; ++a) {
        const Access& access = plan.accesses[a];
        const u64 address = effective_address(plan, c, access, 0);
        EXPECT_FALSE(in_guest_program(address) || in_guest_program(address + access.size)) << group.form;
        accesses += 1;
        in_pages += in_region(address, 1);
        // Code that changes itself could go on forever. What a bit number adds is not in `address`.
        if (access.writes && at == 0 && main.insn.length() == group.group.code_bytes && group.mnemonic[0] != 'b') {
          EXPECT_TRUE(address + access.size <= start || address >= end) << group.form;
        }
      }
    }
  }
  EXPECT_GT(accesses, 100000U);
  EXPECT_GT(in_pages, accesses * 7 / 10);
  EXPECT_GT(fetches_across, 500U);
}

TEST(Generator, ModesFlagsAndPageBits) {
  InstructionGenerator generator(5, nullptr);
  constexpr u64 kIf = 1 << 9, kTf = 1 << 8, kNt = 1 << 14, kAc = 1 << 18, kIopl = 3 << 12;
  std::map<Mode, int> modes;
  int native = 0, steps = 0, nested = 0, checked = 0, all_dirty = 0, none_dirty = 0;
  const std::size_t groups = generator.forms().size();
  for (std::size_t i = 0; i < groups; ++i) {
    const CaseGroup group = generator.next();
    modes[group.group.mode] += 1;
    native += group.native;
    if (group.native) {
      EXPECT_FALSE(kernel(group));
    }
    EXPECT_TRUE(group.steps.empty());
    for (const Case& c : group.cases) {
      EXPECT_EQ(c.rip, kRegion + group.group.code_offset);
      EXPECT_EQ(c.rflags & (kIopl | u64{1} << 17), 0U);
      EXPECT_NE(c.rflags & 2, 0U);
      if (kernel(group)) {
        EXPECT_EQ(c.rflags & kIf, 0U) << group.form;
      }
      if (group.native) {
        EXPECT_EQ(c.rflags & (kIf | kTf | kNt), kIf) << group.form;
      }
      steps += (c.rflags & kTf) != 0;
      nested += (c.rflags & kNt) != 0;
      checked += (c.rflags & kAc) != 0;
      none_dirty += c.dirty == 0;
      all_dirty += (c.dirty >> 7 & 1) != 0 && (c.dirty >> 18 & 1) != 0;
      EXPECT_EQ(c.step_count, 0U);
      if (!code64(group)) {
        for (const u64 gpr : c.gpr) EXPECT_EQ(gpr >> 32, 0U) << group.form;
      }
    }
  }
  EXPECT_GT(modes[Mode::kUser64], static_cast<int>(groups / 3));
  for (const Mode mode : {Mode::kKernel64, Mode::kUser32, Mode::kKernel32})
    EXPECT_GT(modes[mode], static_cast<int>(groups / 20));
  EXPECT_GT(native, static_cast<int>(groups / 3));
  EXPECT_GT(steps, 500);
  EXPECT_GT(nested, 500);
  EXPECT_GT(checked, 500);
  EXPECT_GT(none_dirty, 10000);
  EXPECT_GT(all_dirty, 5000);
}

TEST(Generator, DividendsMostlyFit) {
  const std::regex filter("^div r64$");
  InstructionGenerator generator(1, &filter);
  const Decoder decoder;
  int fits = 0, total = 0;
  for (int i = 0; i < 100; ++i) {
    const CaseGroup group = generator.next();
    Instance main;
    unsigned at = 0;
    ASSERT_TRUE(find_main(decoder, group, main, at));
    const int divisor = gpr_number(main.insn.operand(0).reg.value);
    for (const Case& c : group.cases) {
      fits += c.gpr[2] < c.gpr[divisor];
      total += 1;
    }
  }
  EXPECT_GT(fits, total / 2);
  EXPECT_LT(fits, total * 95 / 100);
}

TEST(Generator, ComparandsAreEqualInAboutHalf) {
  const std::regex filter("^lock cmpxchg16b m128$");
  InstructionGenerator generator(1, &filter);
  const Decoder decoder;
  int equal = 0, total = 0;
  for (int i = 0; i < 200; ++i) {
    for (const Case& c : generator.next().cases) {
      total += 1;
      u64 low = 0, high = 0;
      std::memcpy(&low, c.patches[0].data, 8);
      std::memcpy(&high, c.patches[0].data + 8, 8);
      equal += c.patches[0].bytes == 16 && low == c.gpr[0] && high == c.gpr[2];
    }
  }
  EXPECT_GT(equal, total / 5);
  EXPECT_LT(equal, total * 3 / 5);
}

}  // namespace
}  // namespace bhvm::oracle
