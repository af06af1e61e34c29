#include "softmmu/mmu.h"

#include <gtest/gtest.h>

#include <cstring>

#include "base/random_stream.h"
#include "state/hash_state.h"
#include "tests/softmmu/page_tables.h"

namespace bhvm {
namespace {

constexpr u64 kLinear = 0x32345000;
constexpr u64 kPhysical = 0x1abc000;

struct Machine : PageTables {
  explicit Machine(Paging mode = Paging::k4Level) : PageTables(mode), mmu(memory) { mmu.set_controls(controls); }
  Translation data(u64 linear, Access access, bool user = false) {
    return mmu.translate_data({linear}, access, user, true);
  }
  Mmu mmu;
};

TEST(Mmu, WithoutPagingAddressesAreThemselves) {
  Machine machine;
  machine.mmu.set_controls({});
  const Translation data = machine.mmu.translate_data({0x12345678}, Access::kWrite, true, false);
  EXPECT_TRUE(data.ok);
  EXPECT_EQ(data.page.value, 0x12345000u);
  EXPECT_TRUE(machine.mmu.translate_data({0x12345678}, Access::kRead, false, false).ok);
  EXPECT_EQ(machine.mmu.translate_fetch({0xfffffff0}, false).page.value, 0xfffff000u);
  EXPECT_EQ(machine.mmu.fetch_hit(0xfffffff0, false), 0xfffff000u);
  EXPECT_EQ(machine.mmu.walks(), 0u);
  ASSERT_TRUE(machine.mmu.translate_data({0x5678}, Access::kRead, false, false).ok);
  u8* host = machine.mmu.fill_write({0x5678}, DataMode::kSupervisor, {0x5000});
  ASSERT_NE(host, nullptr);
  EXPECT_EQ(machine.mmu.fast(DataMode::kSupervisor)[5].write_tag, data_tag(0x5000));
  machine.mmu.flush_all();
  EXPECT_EQ(machine.mmu.fetch_hit(0xfffffff0, false), ~u64{0});
  EXPECT_EQ(machine.mmu.fast(DataMode::kSupervisor)[5].write_tag, no_data_tag(5));
}

TEST(Mmu, AHitNeedsNoWalkAndMayBeStale) {
  Machine machine;
  machine.map(kLinear, kPhysical);
  EXPECT_EQ(machine.data(kLinear, Access::kWrite).page.value, kPhysical);
  machine.map(kLinear, 0x1000000);
  EXPECT_EQ(machine.data(kLinear + 5, Access::kRead).page.value, kPhysical);
  EXPECT_EQ(machine.mmu.walks(), 1u);
  machine.mmu.flush_page({kLinear + 77});
  EXPECT_EQ(machine.data(kLinear, Access::kRead).page.value, 0x1000000u);
}

TEST(Mmu, TheFirstStoreThroughACleanEntryWalksToSetD) {
  Machine machine;
  machine.map(kLinear, kPhysical);
  EXPECT_EQ(machine.data(kLinear, Access::kRead).flags & tlb_flag::kDirty, 0u);
  EXPECT_EQ(machine.entry(1, kLinear) & kD, 0u);
  EXPECT_NE(machine.data(kLinear, Access::kWrite).flags & tlb_flag::kDirty, 0u);
  EXPECT_NE(machine.entry(1, kLinear) & kD, 0u);
  machine.data(kLinear, Access::kWrite);
  EXPECT_EQ(machine.mmu.walks(), 2u);
}

TEST(Mmu, WidenedRightsNeedNoFlush) {
  Machine machine;
  machine.map(kLinear, kPhysical, kP | kUs);
  EXPECT_TRUE(machine.data(kLinear, Access::kRead, true).ok);
  machine.map(kLinear, 0x1000000, kAll);
  const Translation write = machine.data(kLinear, Access::kWrite, true);
  EXPECT_TRUE(write.ok);
  EXPECT_EQ(write.page.value, 0x1000000u);
}

TEST(Mmu, AFaultRemovesTheTranslation) {
  Machine machine;
  machine.map(kLinear, kPhysical, kP | kUs);
  EXPECT_TRUE(machine.data(kLinear, Access::kRead, true).ok);
  EXPECT_TRUE(machine.mmu.translate_fetch({kLinear}, true).ok);
  machine.map(kLinear, 0x1000000, kP | kUs);
  EXPECT_EQ(machine.data(kLinear, Access::kRead, true).page.value, kPhysical);
  EXPECT_EQ(machine.data(kLinear, Access::kWrite, true).error_code, 7u);
  EXPECT_EQ(machine.mmu.fetch_hit(kLinear, true), ~u64{0});
  EXPECT_EQ(machine.data(kLinear, Access::kRead, true).page.value, 0x1000000u);
}

TEST(Mmu, FetchesAreKeptByPrivilege) {
  Machine machine;
  machine.map(kLinear, kPhysical);
  EXPECT_EQ(machine.mmu.fetch_hit(kLinear, true), ~u64{0});
  EXPECT_TRUE(machine.mmu.translate_fetch({kLinear + 9}, true).ok);
  EXPECT_EQ(machine.mmu.fetch_hit(kLinear + 0xfff, true), kPhysical);
  EXPECT_EQ(machine.mmu.fetch_hit(kLinear, false), ~u64{0});
  PagingControls controls = machine.controls;
  controls.smep = true;
  machine.mmu.set_controls(controls);
  EXPECT_EQ(machine.mmu.fetch_hit(kLinear, true), ~u64{0});
  EXPECT_FALSE(machine.mmu.translate_fetch({kLinear}, false).ok);
}

TEST(Mmu, AChangeOfRightsDropsHostPointersNotTranslations) {
  Machine machine;
  machine.map(kLinear, kPhysical, kP | kUs);
  PagingControls controls = machine.controls;
  controls.wp = false;
  machine.mmu.set_controls(controls);
  ASSERT_TRUE(machine.data(kLinear, Access::kWrite).ok);
  ASSERT_NE(machine.mmu.fill_write({kLinear}, DataMode::kSupervisor, {kPhysical}), nullptr);
  const FastEntry& fast = machine.mmu.fast(DataMode::kSupervisor)[data_tlb_index(kLinear)];
  controls.cr3 ^= 0x100000;
  machine.mmu.set_controls(controls);
  EXPECT_EQ(fast.write_tag, data_tag(kLinear));
  controls.wp = true;
  machine.mmu.set_controls(controls);
  EXPECT_EQ(fast.write_tag, no_data_tag(data_tlb_index(kLinear)));
  EXPECT_TRUE(machine.data(kLinear, Access::kRead).ok);
  EXPECT_EQ(machine.mmu.walks(), 1u);
}

TEST(Mmu, InvlpgOfALargePageTakesAllItsPieces) {
  Machine machine;
  machine.map(kLinear, 0x1a00000, kAll, 2);
  const u64 base = kLinear & ~u64{0x1fffff};
  for (u64 offset = 0; offset < 0x200000; offset += 0x10000) machine.data(base + offset, Access::kRead);
  machine.map(kLinear, 0x2000000, kAll, 2);
  EXPECT_EQ(machine.data(base, Access::kRead).page.value, 0x1a00000u);
  machine.mmu.flush_page({base + 0x12345});
  for (u64 offset = 0; offset < 0x200000; offset += 0x10000) {
    EXPECT_EQ(machine.data(base + offset, Access::kRead).page.value, 0x2000000 + offset);
  }
}

TEST(Mmu, FillRefusesWhatIsNoPlainRam) {
  Machine machine;
  machine.map(kLinear, 0xfee00000);
  ASSERT_TRUE(machine.data(kLinear, Access::kWrite).ok);
  EXPECT_EQ(machine.mmu.fill_read({kLinear}, DataMode::kUser, {0xfee00000}), nullptr);
  EXPECT_EQ(machine.mmu.fill_write({kLinear}, DataMode::kUser, {0xfee00000}), nullptr);
  machine.map(kLinear, kPhysical);
  machine.mmu.flush_page({kLinear});
  ASSERT_TRUE(machine.data(kLinear, Access::kWrite).ok);
  machine.memory.mark_code({kPhysical}, 1);
  EXPECT_NE(machine.mmu.fill_read({kLinear}, DataMode::kUser, {kPhysical}), nullptr);
  EXPECT_EQ(machine.mmu.fill_write({kLinear}, DataMode::kUser, {kPhysical}), nullptr);
  const FastEntry& fast = machine.mmu.fast(DataMode::kUser)[data_tlb_index(kLinear)];
  EXPECT_EQ(fast.read_tag, data_tag(kLinear));
  EXPECT_EQ(fast.write_tag, no_data_tag(data_tlb_index(kLinear)));
  EXPECT_NE(machine.mmu.fill_read({kLinear}, DataMode::kChecked, {kPhysical}), nullptr);
  EXPECT_EQ(machine.mmu.fast(DataMode::kChecked)[data_tlb_index(kLinear)].read_tag,
            no_data_tag(data_tlb_index(kLinear)));
}

TEST(Mmu, MarkingCodeTakesTheStorePointerAway) {
  Machine machine;
  machine.map(kLinear, kPhysical);
  ASSERT_TRUE(machine.data(kLinear, Access::kWrite).ok);
  ASSERT_NE(machine.mmu.fill_write({kLinear}, DataMode::kUser, {kPhysical}), nullptr);
  machine.memory.mark_code({kPhysical + 0x100}, 16);
  EXPECT_EQ(machine.mmu.fast(DataMode::kUser)[data_tlb_index(kLinear)].write_tag, no_data_tag(data_tlb_index(kLinear)));
}

/// A load or store as the interpreter makes it: the fast entry, else translate, fill, else the memory itself.
struct Accessor {
  Machine& machine;
  DataMode mode = DataMode::kSupervisorOverUser;

  u64 load(u64 linear) {
    const FastEntry& fast = machine.mmu.fast(mode)[data_tlb_index(linear)];
    if (fast.read_tag == data_tag(linear)) return host_value(linear + fast.addend);
    const Translation got = machine.data(linear, Access::kRead, mode == DataMode::kUser);
    if (!got.ok) return got.error_code;
    const u8* host = machine.mmu.fill_read({linear}, mode, got.page);
    return host != nullptr ? host_value(reinterpret_cast<u64>(host) + linear % kPageSize) : ~u64{0};
  }
  u64 store(u64 linear, u64 value) {
    const FastEntry& fast = machine.mmu.fast(mode)[data_tlb_index(linear)];
    if (fast.write_tag == data_tag(linear)) {
      std::memcpy(reinterpret_cast<u8*>(linear + fast.addend), &value, sizeof(value));
      return 0;
    }
    const Translation got = machine.data(linear, Access::kWrite, mode == DataMode::kUser);
    if (!got.ok) return got.error_code;
    if (u8* host = machine.mmu.fill_write({linear}, mode, got.page)) {
      std::memcpy(host + linear % kPageSize, &value, sizeof(value));
    } else {
      machine.memory.write_value({got.page.value + linear % kPageSize}, value);
    }
    return 0;
  }
  static u64 host_value(u64 host) {
    u64 value;
    std::memcpy(&value, reinterpret_cast<const u8*>(host), sizeof(value));
    return value;
  }
};

/// Two machines do the same; one loses host pointers, is forked, hashed and has code marked at random moments. What the
/// guest reads, its TLB and its memory stay the same.
TEST(Mmu, HostPointersAreInvisible) {
  for (const Paging paging : {Paging::k32Bit, Paging::kPae, Paging::k4Level}) {
    Machine quiet(paging);
    Machine disturbed(paging);
    RandomStream random(29, static_cast<u64>(paging), "mmu test");
    RandomStream trouble(31, static_cast<u64>(paging), "mmu test");
    const auto linear_of = [&](u64 page) { return kLinear + page * kPageSize; };
    std::vector<GuestMemory> forks;
    for (int round = 0; round < 30000; ++round) {
      const u64 page = random.below(100);
      const u64 offset = random.below(kPageSize / 8) * 8;
      const u64 what = random.below(20);
      const u64 value = random.next();
      const auto mode = static_cast<DataMode>(random.below(3));
      const u16 pcid = static_cast<u16>(random.below(8) == 0 ? random.below(3) : 0);
      const u64 bits = kP | (random.below(3) ? kRw : 0) | (random.below(3) ? kUs : 0) | (random.below(2) ? kG : 0);
      std::array<u64, 2> seen{};
      std::size_t at = 0;
      for (Machine* machine : {&quiet, &disturbed}) {
        PagingControls controls = machine->controls;
        controls.pcid = pcid;
        machine->mmu.set_controls(controls);
        Accessor accessor{*machine, mode};
        switch (what) {
          case 0:
            machine->map(linear_of(page), 0x1000000 + (value % 64) * kPageSize, bits);
            break;
          case 1:
            machine->mmu.flush_page({linear_of(page)});
            break;
          case 2:
            if (value % 16 == 0) machine->mmu.flush_non_global();
            break;
          case 3:
            if (value % 64 == 0) machine->mmu.flush_all();
            break;
          case 4:
          case 5:
          case 6:
          case 7:
          case 8:
          case 9:
            seen[at] = accessor.store(linear_of(page) + offset, value);
            break;
          default:
            seen[at] = accessor.load(linear_of(page) + offset);
        }
        ++at;
      }
      ASSERT_EQ(seen[0], seen[1]) << "round " << round;
      switch (trouble.below(12)) {
        case 0:
          disturbed.mmu.drop_all_host_pointers();
          break;
        case 1:
          disturbed.memory.hash();
          break;
        case 2:
          forks.push_back(disturbed.memory.fork());
          if (forks.size() > 3) forks.erase(forks.begin());
          break;
        case 3:
          disturbed.memory.mark_code({0x1000000 + trouble.below(64) * kPageSize}, 64);
          break;
        case 4:
          disturbed.memory.clear_code({0x1000000 + trouble.below(64) * kPageSize});
          break;
        case 5: {
          const TlbState state = disturbed.mmu.state();
          disturbed.mmu.set_state(state);
          break;
        }
        default:
          break;
      }
      if (round % 200 == 0) {
        ASSERT_EQ(hash_state(quiet.mmu.state()), hash_state(disturbed.mmu.state()));
      }
    }
    EXPECT_EQ(quiet.memory.hash(), disturbed.memory.hash());
    EXPECT_EQ(quiet.mmu.walks(), disturbed.mmu.walks());
  }
}

}  // namespace
}  // namespace bhvm
