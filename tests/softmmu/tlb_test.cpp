#include "softmmu/tlb.h"

#include <gtest/gtest.h>

#include <set>

#include "base/random_stream.h"

namespace bhvm {
namespace {

constexpr u64 kRights = tlb_flag::kPresent | tlb_flag::kWritable | tlb_flag::kDirty;

bool has_data(const Tlb& tlb, u64 page) { return tlb.find_data(page) != nullptr; }
bool has_fetch(const Tlb& tlb, u64 page, bool user) { return tlb.find_fetch(page, user) != nullptr; }

/// The pages of one set.
constexpr u64 rival(u64 i) { return 0x1000 + i * kTlbSets * kPageSize; }

TEST(Tlb, ASetHoldsFourAndReplacesTheOldest) {
  Tlb tlb;
  for (u64 i = 0; i < kTlbWays; ++i) {
    tlb.enter_data({rival(i)}, {0x5000}, kRights);
    tlb.enter_fetch({rival(i)}, true, {0x5000}, kRights);
  }
  for (u64 i = 0; i < kTlbWays; ++i) {
    EXPECT_TRUE(has_data(tlb, rival(i)));
    EXPECT_TRUE(has_fetch(tlb, rival(i), true));
  }
  for (u64 i = kTlbWays; i < 3 * kTlbWays; ++i) {
    tlb.enter_data({rival(i)}, {0x6000}, kRights);
    tlb.enter_fetch({rival(i)}, true, {0x6000}, kRights);
    for (u64 j = 0; j <= i; ++j) {
      EXPECT_EQ(has_data(tlb, rival(j)), j + kTlbWays > i) << i << " " << j;
      EXPECT_EQ(has_fetch(tlb, rival(j), true), j + kTlbWays > i) << i << " " << j;
    }
  }
}

TEST(Tlb, APlaceThatIsFreeIsTakenFirst) {
  Tlb tlb;
  for (u64 i = 0; i < kTlbWays; ++i) tlb.enter_data({rival(i)}, {0x5000}, kRights);
  tlb.flush_page({rival(2)});
  tlb.enter_data({rival(9)}, {0x5000}, kRights);
  for (const u64 i : {0, 1, 3, 9}) EXPECT_TRUE(has_data(tlb, rival(i)));
}

TEST(Tlb, PagesOfAProcessAndOfItsForkStandBesideEachOther) {
  Tlb tlb;
  constexpr u64 kPages = 100;
  for (u16 pcid = 1; pcid <= 6; ++pcid) {
    tlb.set_pcid(pcid);
    for (u64 i = 0; i < kPages; ++i) tlb.enter_data({i * kPageSize}, {i * kPageSize}, kRights);
  }
  for (u16 pcid = 1; pcid <= 6; ++pcid) {
    tlb.set_pcid(pcid);
    for (u64 i = 0; i < kPages; ++i) EXPECT_TRUE(has_data(tlb, i * kPageSize)) << pcid << " " << i;
  }
}

TEST(Tlb, OfTwoTranslationsTheGlobalOneCounts) {
  alignas(kPageSize) static u8 host[2 * kPageSize];
  Tlb tlb;
  tlb.set_pcid(1);
  tlb.enter_data({0x1000}, {0x5000}, kRights);
  tlb.fill_fast_read(DataMode::kUser, {0x1000}, host);
  tlb.set_pcid(2);
  tlb.enter_data({0x1000}, {0x6000}, kRights | tlb_flag::kGlobal);
  tlb.set_pcid(1);
  EXPECT_EQ(tlb.find_data(0x1000)->page().value, 0x6000u);
  EXPECT_EQ(tlb.fast(DataMode::kUser)[1].read_tag, no_data_tag(1));
  tlb.flush_page({0x1000});  // both
  EXPECT_FALSE(has_data(tlb, 0x1000));
}

TEST(Tlb, ALoadedStateMayHoldAnyNumberAsTheNextWay) {
  Tlb tlb;
  for (u64 i = 0; i < kTlbWays; ++i) tlb.enter_data({rival(i)}, {0x5000}, kRights);
  TlbState state = tlb.state();
  for (u8& next : state.data.next) next = 255;
  tlb.set_state(state);
  tlb.enter_data({rival(9)}, {0x5000}, kRights);
  EXPECT_TRUE(has_data(tlb, rival(9)));
  EXPECT_FALSE(has_data(tlb, rival(3)));
}

TEST(FetchGeneration, StandsAsLongAsTheEntriesDo) {
  Tlb tlb;
  const auto enter = [&tlb](u64 page, u64 frame) {
    tlb.enter_fetch({page}, true, {frame}, kRights);
    tlb.fill_fast_fetch({page}, true);
  };
  enter(0x1000, 0x5000);
  FetchGeneration& generation = tlb.fetch_generation(true);
  EXPECT_FALSE(generation.is(FetchGeneration::kNever));
  const auto ends = {
      +[](Tlb& t) { t.flush_page({0x1000}); },
      +[](Tlb& t) { t.flush_all(); },
      +[](Tlb& t) { t.flush_non_global(); },
      +[](Tlb& t) { t.drop_all_fast(); },
      +[](Tlb& t) { t.renew_fetch_generations(); },
      +[](Tlb& t) { t.set_state(TlbState(t.state())); },
      +[](Tlb& t) {  // one takes its place in the fast table
        t.enter_fetch({0x1000 + kFetchTlbEntries * kPageSize}, true, {0x5000}, kRights);
        t.fill_fast_fetch({0x1000 + kFetchTlbEntries * kPageSize}, true);
      },
      +[](Tlb& t) {  // and others in the set
        for (u64 i = 1; i <= kTlbWays; ++i) t.enter_fetch({rival(i)}, true, {0x5000}, kRights);
      },
      +[](Tlb& t) {  // a global one hides it
        t.set_pcid(2);
        t.enter_fetch({0x1000}, true, {0x6000}, kRights | tlb_flag::kGlobal);
        t.set_pcid(0);
      },
  };
  for (const auto end : ends) {
    tlb.flush_all();
    enter(0x1000, 0x5000);
    const u32 noted = generation.note();
    EXPECT_TRUE(generation.is(noted));
    enter(0x2000, 0x6000);  // beside it
    tlb.enter_data({0x1000}, {0x5000}, kRights);
    tlb.flush_page({0x7000});
    EXPECT_TRUE(generation.is(noted));
    end(tlb);
    EXPECT_FALSE(generation.is(noted));
  }
}

TEST(FetchGeneration, BelongsToOneTable) {
  Tlb tlb;
  std::set<u32> seen{tlb.fetch_generation(false).note()};
  for (u16 pcid = 1; pcid <= FastTlb::kContexts; ++pcid) {
    tlb.set_pcid(pcid);
    tlb.enter_fetch({0x1000}, true, {0x5000}, kRights);
    tlb.fill_fast_fetch({0x1000}, true);
    EXPECT_TRUE(seen.insert(tlb.fetch_generation(true).note()).second) << pcid;
  }
  tlb.set_pcid(1);  // as it was left
  EXPECT_TRUE(seen.contains(tlb.fetch_generation(true).note()));
}

TEST(Tlb, NobodyFindsPageZeroWhereNothingIs) {
  alignas(kPageSize) static u8 host[kPageSize];
  Tlb tlb;
  const auto expect_nothing = [&](u16 pcid) {
    for (unsigned mode = 0; mode < kFastModes; ++mode) {
      for (const u64 linear : {u64{0}, ~u64{0}}) {  // an access to the last page may run into page 0
        const FastEntry& entry = tlb.fast(static_cast<DataMode>(mode))[data_tlb_index(linear)];
        EXPECT_NE(entry.read_tag, data_tag(0)) << pcid << " " << mode << " " << linear;
        EXPECT_NE(entry.write_tag, data_tag(0)) << pcid << " " << mode << " " << linear;
      }
    }
  };
  for (u16 pcid = 0; pcid < 20; ++pcid) {
    tlb.set_pcid(pcid);
    expect_nothing(pcid);
    for (const u64 linear : {u64{0}, ~u64{0} & kPageMask}) {
      tlb.enter_data({linear}, {0x5000}, kRights);
      tlb.fill_fast_write(DataMode::kUser, {linear}, host);
      EXPECT_EQ(tlb.fast(DataMode::kUser)[data_tlb_index(linear)].write_tag, data_tag(linear));
      tlb.flush_page({linear});
      expect_nothing(pcid);
    }
  }
}

TEST(Tlb, FastEntriesLeadToTheHost) {
  Tlb tlb;
  alignas(kPageSize) static u8 host[2 * kPageSize];
  FastEntry* fast = tlb.fast(DataMode::kUser);
  const unsigned index = data_tlb_index(0x7000);
  EXPECT_EQ(fast[index].read_tag, no_data_tag(index));
  tlb.enter_data({0x7000}, {0x5000}, kRights);
  tlb.fill_fast_read(DataMode::kUser, {0x7000}, host);
  EXPECT_EQ(fast[index].read_tag, data_tag(0x7000u));
  EXPECT_EQ(fast[index].write_tag, no_data_tag(index));
  EXPECT_EQ(reinterpret_cast<u8*>(0x7123 + fast[index].addend), host + 0x123);
  tlb.fill_fast_write(DataMode::kUser, {0x7000}, host + kPageSize);  // copied in between
  EXPECT_EQ(fast[index].read_tag, data_tag(0x7000u));
  EXPECT_EQ(fast[index].write_tag, data_tag(0x7000u));
  EXPECT_EQ(reinterpret_cast<u8*>(0x7000 + fast[index].addend), host + kPageSize);
  tlb.fill_fast_read(DataMode::kUser, {0x7000}, host + kPageSize);
  EXPECT_EQ(fast[index].write_tag, data_tag(0x7000u));  // the same place: stores may stay
  tlb.fill_fast_read(DataMode::kUser, {0x7000}, host);
  EXPECT_EQ(fast[index].write_tag, no_data_tag(index));

  tlb.fill_fast_read(DataMode::kSupervisor, {0x7000}, host);
  tlb.drop_fast({0x6000});
  EXPECT_EQ(fast[index].read_tag, data_tag(0x7000u));
  tlb.drop_fast({0x5000});
  EXPECT_EQ(fast[index].read_tag, no_data_tag(index));
  EXPECT_EQ(tlb.fast(DataMode::kSupervisor)[index].read_tag, no_data_tag(index));
  EXPECT_TRUE(has_data(tlb, 0x7000));
}

TEST(Tlb, RemovingATranslationRemovesItsFastEntries) {
  alignas(kPageSize) static u8 host[kPageSize];
  const auto removals = {
      +[](Tlb& tlb) { tlb.flush_all(); },
      +[](Tlb& tlb) { tlb.flush_non_global(); },
      +[](Tlb& tlb) { tlb.flush_page({0x7fff}); },
      +[](Tlb& tlb) { tlb.enter_data({0x7000}, {0x5000}, tlb_flag::kPresent); },
      +[](Tlb& tlb) {
        for (u64 i = 1; i <= kTlbWays; ++i) tlb.enter_data({0x7000 + i * kTlbSets * kPageSize}, {0x5000}, kRights);
      },
      +[](Tlb& tlb) { tlb.set_state(TlbState(tlb.state())); },
      +[](Tlb& tlb) { tlb.drop_all_fast(); },
  };
  for (const auto remove : removals) {
    Tlb tlb;
    tlb.enter_data({0x7000}, {0x5000}, kRights);
    for (const DataMode mode : {DataMode::kUser, DataMode::kSupervisor, DataMode::kSupervisorOverUser}) {
      tlb.fill_fast_write(mode, {0x7000}, host);
    }
    remove(tlb);
    for (const DataMode mode : {DataMode::kUser, DataMode::kSupervisor, DataMode::kSupervisorOverUser}) {
      EXPECT_EQ(tlb.fast(mode)[7].read_tag, no_data_tag(7));
      EXPECT_EQ(tlb.fast(mode)[7].write_tag, no_data_tag(7));
    }
  }
}

TEST(Tlb, GlobalTranslationsSurviveAChangeOfTables) {
  Tlb tlb;
  tlb.enter_data({0x1000}, {0x5000}, kRights | tlb_flag::kGlobal);
  tlb.enter_data({0x2000}, {0x6000}, kRights);
  tlb.enter_fetch({0x1000}, true, {0x5000}, kRights | tlb_flag::kGlobal);
  tlb.enter_fetch({0x2000}, false, {0x6000}, kRights);
  tlb.flush_non_global();
  EXPECT_TRUE(has_data(tlb, 0x1000));
  EXPECT_FALSE(has_data(tlb, 0x2000));
  EXPECT_TRUE(has_fetch(tlb, 0x1000, true));
  EXPECT_FALSE(has_fetch(tlb, 0x2000, false));
  tlb.flush_all();
  EXPECT_FALSE(has_data(tlb, 0x1000));
  EXPECT_FALSE(has_fetch(tlb, 0x1000, true));
}

TEST(Tlb, FlushPageTakesGlobalAndBothPrivileges) {
  Tlb tlb;
  tlb.enter_data({0x1000}, {0x5000}, kRights | tlb_flag::kGlobal);
  tlb.enter_fetch({0x1000}, true, {0x5000}, kRights);
  tlb.enter_data({0x2000}, {0x6000}, kRights);
  tlb.flush_page({0x1abc});
  EXPECT_FALSE(has_data(tlb, 0x1000));
  EXPECT_FALSE(has_fetch(tlb, 0x1000, true));
  EXPECT_TRUE(has_data(tlb, 0x2000));
}

TEST(Tlb, TranslationsBelongToPcids) {
  Tlb tlb;
  tlb.set_pcid(1);
  tlb.enter_data({0x1000}, {0x5000}, kRights);
  tlb.enter_fetch({0x1000}, true, {0x5000}, kRights);
  tlb.enter_data({0x2000}, {0x6000}, kRights | tlb_flag::kGlobal);
  tlb.enter_fetch({0x2000}, false, {0x6000}, kRights | tlb_flag::kGlobal);
  tlb.set_pcid(2);
  EXPECT_FALSE(has_data(tlb, 0x1000));
  EXPECT_FALSE(has_fetch(tlb, 0x1000, true));
  EXPECT_TRUE(has_data(tlb, 0x2000));
  EXPECT_TRUE(has_fetch(tlb, 0x2000, false));
  tlb.enter_data({0x3000}, {0x7000}, kRights);
  tlb.flush_non_global();
  tlb.flush_page({0x1000});
  EXPECT_FALSE(has_data(tlb, 0x3000));
  tlb.set_pcid(1);
  EXPECT_TRUE(has_data(tlb, 0x1000));
  EXPECT_TRUE(has_fetch(tlb, 0x1000, true));
  tlb.flush_page({0x2000});
  tlb.set_pcid(2);
  EXPECT_FALSE(has_data(tlb, 0x2000));
  EXPECT_FALSE(has_fetch(tlb, 0x2000, false));
  tlb.set_pcid(1);
  tlb.flush_all();
  EXPECT_FALSE(has_data(tlb, 0x1000));
}

struct LargePage {
  u64 flags;
  u64 size;
};

TEST(Tlb, FlushPageTakesAllPiecesOfALargePage) {
  for (const LargePage& large :
       {LargePage{tlb_flag::kSize2M, u64{2} << 20}, LargePage{tlb_flag::kSize2M | tlb_flag::kSize4M, u64{4} << 20},
        LargePage{tlb_flag::kSize1G, u64{1} << 30}}) {
    Tlb tlb;
    const u64 base = u64{5} << 30;
    tlb.enter_data({base}, {0}, kRights | large.flags);
    tlb.enter_data({base + large.size - kPageSize}, {large.size - kPageSize}, kRights | large.flags);
    tlb.enter_fetch({base + 0x5000}, false, {0x5000}, kRights | large.flags);
    tlb.enter_data({base + large.size}, {0},
                   kRights | large.flags);               // the next one
    tlb.enter_data({base + 0x3000}, {0x3000}, kRights);  // a small translation within stays
    tlb.flush_page({base + 0x7123});                     // no piece of its own is entered
    EXPECT_FALSE(has_data(tlb, base));
    EXPECT_FALSE(has_data(tlb, base + large.size - kPageSize));
    EXPECT_FALSE(has_fetch(tlb, base + 0x5000, false));
    EXPECT_TRUE(has_data(tlb, base + large.size));
    EXPECT_TRUE(has_data(tlb, base + 0x3000));
  }
}

TEST(Tlb, PiecesOfLargePagesAreCountedDownAgain) {
  Tlb tlb;
  const u64 base = u64{5} << 30;
  for (int i = 0; i < 65535; ++i) {  // a 16-bit count that only rose would be 0 after the next one
    tlb.enter_data({base}, {0}, kRights | tlb_flag::kSize2M);
    tlb.flush_all();
  }
  tlb.enter_data({base}, {0}, kRights | tlb_flag::kSize2M);
  tlb.flush_page({base + 0x5000});
  EXPECT_FALSE(has_data(tlb, base));
}

/// Fast entries against the state, with more PCIDs than there are contexts: whatever is there, the state allows.
TEST(Tlb, FastEntriesStandOnlyOverTheirTranslations) {
  RandomStream random(24, 0, "tlb test");
  constexpr u64 kPages = 40;
  static std::array<u8, 4 * kPageSize> host;
  Tlb tlb;
  u64 seen = 0;
  for (int round = 0; round < 50000; ++round) {
    tlb.set_pcid(static_cast<u16>(random.below(2 * FastTlb::kContexts)));
    const u64 linear = random.below(kPages) * kPageSize + (random.below(2) != 0 ? u64{1} << 32 : 0);
    const u64 frame = random.below(4) * kPageSize;
    const u64 flags = kRights | (random.below(4) == 0 ? tlb_flag::kGlobal : 0);
    const bool user = random.below(2) == 0;
    const auto mode = static_cast<DataMode>(random.below(3));
    switch (random.below(16)) {
      case 0:
        tlb.flush_non_global();
        break;
      case 1:
        tlb.flush_page({linear});
        break;
      case 2:
        if (random.below(50) == 0) tlb.flush_all();
        break;
      case 3:
        tlb.drop_fast({frame});
        break;
      case 4:
        if (random.below(50) == 0) tlb.drop_all_fast();
        break;
      case 5:
      case 6:
        if (tlb.find_fetch(linear, user) == nullptr) tlb.enter_fetch({linear}, user, {frame}, flags);
        tlb.fill_fast_fetch({linear}, user);
        break;
      default:
        if (tlb.find_data(linear) == nullptr) tlb.enter_data({linear}, {frame}, flags);
        tlb.fill_fast_write(mode, {linear}, host.data() + tlb.find_data(linear)->page().value);
    }
    for (u64 page = 0; page < kPages; ++page) {
      for (const u64 base : {u64{0}, u64{1} << 32}) {
        const u64 at = base + page * kPageSize;
        for (const DataMode each : {DataMode::kUser, DataMode::kSupervisor, DataMode::kSupervisorOverUser}) {
          const FastEntry& fast = tlb.fast(each)[data_tlb_index(at)];
          if (fast.read_tag != data_tag(at)) continue;
          ++seen;
          ASSERT_NE(tlb.find_data(at), nullptr) << round;
          ASSERT_EQ(reinterpret_cast<u8*>(at + fast.addend), host.data() + tlb.find_data(at)->page().value) << round;
        }
        for (const bool of_user : {false, true}) {
          const FastFetchEntry& fast = tlb.fast_fetch(of_user)[fetch_tlb_index(at)];
          if (fast.tag != fast_tag(at)) continue;
          ++seen;
          ASSERT_NE(tlb.find_fetch(at, of_user), nullptr) << round;
          ASSERT_EQ(fast.page, tlb.find_fetch(at, of_user)->page().value) << round;
        }
      }
    }
  }
  EXPECT_GT(seen, 100000u);
}

/// All bookkeeping is derived from the state: a TLB restored at any moment behaves like the one that lived on.
TEST(Tlb, ARestoredOneGoesOnTheSame) {
  RandomStream random(23, 0, "tlb test");
  constexpr std::array<u64, 4> kSizes{0, tlb_flag::kSize2M, tlb_flag::kSize1G, tlb_flag::kSize2M | tlb_flag::kSize4M};
  Tlb tlb;
  Tlb restored;
  for (int round = 0; round < 20000; ++round) {
    const u64 linear =
        ((random.below(3) << 38) | (random.below(4) << 30) | (random.below(3) << 21)) + random.below(64) * kPageSize;
    const u64 flags = kRights | (random.below(2) ? tlb_flag::kGlobal : 0) | kSizes[random.below(4)];
    const u64 what = random.below(40);
    const bool user = random.below(2) == 0;
    const u16 pcid = static_cast<u16>(random.below(3));
    for (Tlb* each : {&tlb, &restored}) {
      each->set_pcid(pcid);
      if (what == 0)
        each->flush_non_global();
      else if (what == 1 && round % 10 == 0)
        each->flush_all();
      else if (what < 12)
        each->flush_page({linear});
      else if (what < 26)
        each->enter_data({linear}, {linear}, flags);
      else
        each->enter_fetch({linear}, user, {linear}, flags);
    }
    if (what == 39) {
      const TlbState state = restored.state();
      restored.set_state(state);
    }
    if (round % 100 != 0) continue;
    for (unsigned i = 0; i < kTlbSets * kTlbWays; ++i) {
      ASSERT_EQ(tlb.state().data.entries[i].tag, restored.state().data.entries[i].tag);
      ASSERT_EQ(tlb.state().data.entries[i].frame, restored.state().data.entries[i].frame);
    }
    for (unsigned i = 0; i < kTlbSets * kTlbWays; ++i) {
      ASSERT_EQ(tlb.state().fetch.entries[i].tag, restored.state().fetch.entries[i].tag);
      ASSERT_EQ(tlb.state().fetch.entries[i].frame, restored.state().fetch.entries[i].frame);
    }
  }
}

}  // namespace
}  // namespace bhvm
