// Every paging mode against hand-made tables: SDM volume 3, 4.3 to 4.8.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "softmmu/mmu.h"
#include "tests/softmmu/page_tables.h"

namespace bhvm {
namespace {

constexpr u64 kOk = ~u64{0};
constexpr u64 kPf = pf_error::kPresent;
constexpr u64 kW = pf_error::kWrite;
constexpr u64 kU = pf_error::kUser;
constexpr u64 kRsvd = pf_error::kReserved;
constexpr u64 kI = pf_error::kFetch;

constexpr u64 kLinear = 0x32345678;     // below 1 GiB, so that it means the same in every mode
constexpr u64 kPhysical = 0x1abc000;    // where its page lies
constexpr u64 kPhysical2M = 0x1a00000;  // and its large page
constexpr u64 kPhysical4M = 0x1800000;
constexpr u64 kBit46 = u64{1} << 46;
constexpr u64 kBit51 = u64{1} << 51;
constexpr u64 kBit52 = u64{1} << 52;

struct Row {
  const char* name;
  Paging paging = Paging::k4Level;
  unsigned leaf = 1;                                      // level of the entry that maps the page
  std::array<u64, 5> bits = {0, kAll, kAll, kAll, kAll};  // of the entries of level 1 to 4
  u64 physical = kPhysical;
  char access = 'r';  // r, w, x
  bool user = false;
  bool over_user = false;
  const char* off = "";  // control bits to clear, of "wp pse pge"
  const char* on = "";   // and to set, of "smep smap nxe"
  u64 error = kOk;       // or the error code
  u64 flags = 0;         // tlb_flag bits expected, without kPresent
};

void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

constexpr u64 kWus = tlb_flag::kWritable | tlb_flag::kUser;
constexpr u64 kWusD = kWus | tlb_flag::kDirty;

constexpr auto k32 = Paging::k32Bit;
constexpr auto kPae = Paging::kPae;

const Row kRows[] = {
    {.name = "Read", .flags = kWus},
    {.name = "Write", .access = 'w', .flags = kWusD},
    {.name = "UserWrite", .access = 'w', .user = true, .flags = kWusD},
    {.name = "Fetch", .access = 'x', .flags = kWus},
    {.name = "DirtyAlready", .bits = {0, kAll | kD, kAll, kAll, kAll}, .flags = kWusD},
    {.name = "Global", .bits = {0, kAll | kG, kAll, kAll, kAll}, .flags = kWus | tlb_flag::kGlobal},
    {.name = "GlobalWithoutPge", .bits = {0, kAll | kG, kAll, kAll, kAll}, .off = "pge", .flags = kWus},
    {.name = "GlobalAboveTheLeafMeansNothing", .bits = {0, kAll, kAll | kG, kAll | kG, kAll}, .flags = kWus},
    {.name = "NotPresent1", .bits = {0, kRw | kUs, kAll, kAll, kAll}, .error = 0},
    {.name = "NotPresent2", .bits = {0, kAll, kRw | kUs, kAll, kAll}, .access = 'w', .error = kW},
    {.name = "NotPresent3", .bits = {0, kAll, kAll, kRw | kUs, kAll}, .user = true, .error = kU},
    {.name = "NotPresent4", .bits = {0, kAll, kAll, kAll, kRw | kUs}, .access = 'w', .user = true, .error = kW | kU},
    {.name = "NotPresentHidesReserved", .bits = {0, kBit46, kAll, kAll, kAll}, .error = 0},
    {.name = "NotPresentFetch", .bits = {0, 0, kAll, kAll, kAll}, .access = 'x', .error = 0},
    {.name = "NotPresentFetchNxe", .bits = {0, 0, kAll, kAll, kAll}, .access = 'x', .on = "nxe", .error = kI},
    {.name = "NotPresentFetchSmep", .bits = {0, 0, kAll, kAll, kAll}, .access = 'x', .on = "smep", .error = kI},
    // Rights are the conjunction over all levels.
    {.name = "ReadOnly1", .bits = {0, kP | kUs, kAll, kAll, kAll}, .flags = tlb_flag::kUser},
    {.name = "UserWriteReadOnly1",
     .bits = {0, kP | kUs, kAll, kAll, kAll},
     .access = 'w',
     .user = true,
     .error = kPf | kW | kU},
    {.name = "UserWriteReadOnly4",
     .bits = {0, kAll, kAll, kAll, kP | kUs},
     .access = 'w',
     .user = true,
     .error = kPf | kW | kU},
    {.name = "WriteReadOnly2", .bits = {0, kAll, kP | kUs, kAll, kAll}, .access = 'w', .error = kPf | kW},
    {.name = "WriteReadOnlyWithoutWp",
     .bits = {0, kP | kUs, kAll, kAll, kAll},
     .access = 'w',
     .off = "wp",
     .flags = tlb_flag::kUser | tlb_flag::kDirty},
    {.name = "UserWriteReadOnlyWithoutWp",
     .bits = {0, kP | kUs, kAll, kAll, kAll},
     .access = 'w',
     .user = true,
     .off = "wp",
     .error = kPf | kW | kU},
    {.name = "UserReadSupervisor1", .bits = {0, kP | kRw, kAll, kAll, kAll}, .user = true, .error = kPf | kU},
    {.name = "UserReadSupervisor3", .bits = {0, kAll, kAll, kP | kRw, kAll}, .user = true, .error = kPf | kU},
    {.name = "UserFetchSupervisor",
     .bits = {0, kAll, kAll, kAll, kP | kRw},
     .access = 'x',
     .user = true,
     .on = "nxe",
     .error = kPf | kU | kI},
    {.name = "SupervisorPage",
     .bits = {0, kP | kRw, kAll, kAll, kAll},
     .on = "smap smep",
     .flags = tlb_flag::kWritable},
    // SMEP and SMAP (4.6.1).
    {.name = "SmepUserPage", .access = 'x', .on = "smep", .error = kPf | kI},
    {.name = "SmepUserFetch", .access = 'x', .user = true, .on = "smep", .flags = kWus},
    {.name = "SmepSupervisorPage",
     .bits = {0, kAll, kAll, kAll, kP | kRw},
     .access = 'x',
     .on = "smep",
     .flags = tlb_flag::kWritable},
    {.name = "SmepLeavesData", .on = "smep", .flags = kWus},
    {.name = "SmapRead", .on = "smap", .error = kPf},
    {.name = "SmapWrite", .access = 'w', .on = "smap", .error = kPf | kW},
    {.name = "SmapOverUser", .access = 'w', .over_user = true, .on = "smap", .flags = kWusD},
    {.name = "SmapOverUserReadOnly",
     .bits = {0, kP | kUs, kAll, kAll, kAll},
     .access = 'w',
     .over_user = true,
     .on = "smap",
     .error = kPf | kW},
    {.name = "SmapWithoutWp",
     .bits = {0, kP | kUs, kAll, kAll, kAll},
     .access = 'w',
     .off = "wp",
     .on = "smap",
     .error = kPf | kW},
    {.name = "SmapUserAccess", .user = true, .on = "smap", .flags = kWus},
    {.name = "SmapLeavesFetch", .access = 'x', .on = "smap", .flags = kWus},
    // XD.
    {.name = "XdFetch1", .bits = {0, kAll | kXd, kAll, kAll, kAll}, .access = 'x', .on = "nxe", .error = kPf | kI},
    {.name = "XdFetch4",
     .bits = {0, kAll, kAll, kAll, kAll | kXd},
     .access = 'x',
     .user = true,
     .on = "nxe",
     .error = kPf | kI | kU},
    {.name = "XdRead", .bits = {0, kAll, kAll, kAll | kXd, kAll}, .on = "nxe", .flags = kWus | tlb_flag::kNoExecute},
    {.name = "XdIsReservedWithoutNxe", .bits = {0, kAll, kAll, kAll | kXd, kAll}, .error = kPf | kRsvd},
    // Reserved bits.
    {.name = "Reserved46At1", .bits = {0, kAll | kBit46, kAll, kAll, kAll}, .user = true, .error = kPf | kRsvd | kU},
    {.name = "Reserved51At2", .bits = {0, kAll, kAll | kBit51, kAll, kAll}, .access = 'w', .error = kPf | kRsvd | kW},
    {.name = "Reserved46At3", .bits = {0, kAll, kAll, kAll | kBit46, kAll}, .error = kPf | kRsvd},
    {.name = "Reserved46At4", .bits = {0, kAll, kAll, kAll, kAll | kBit46}, .error = kPf | kRsvd},
    {.name = "ReservedBeforeRights",
     .bits = {0, kP | kBit46, kAll, kAll, kP},
     .access = 'w',
     .user = true,
     .error = kPf | kRsvd | kW | kU},
    {.name = "ReservedAboveNotPresent", .bits = {0, 0, kAll | kBit46, kAll, kAll}, .error = kPf | kRsvd},
    {.name = "Bit52IsIgnored", .bits = {0, kAll | kBit52, kAll | kBit52, kAll | kBit52, kAll | kBit52}, .flags = kWus},
    {.name = "PsIsReservedAt4", .bits = {0, kAll, kAll, kAll, kAll | kPs}, .error = kPf | kRsvd},
    {.name = "PatIsNotPsAt1", .bits = {0, kAll | kPs, kAll, kAll, kAll}, .flags = kWus},
    // Large pages.
    {.name = "Page2M", .leaf = 2, .physical = kPhysical2M, .access = 'w', .flags = kWusD | tlb_flag::kSize2M},
    {.name = "Page2MPat", .leaf = 2, .physical = kPhysical2M | 0x1000, .flags = kWus | tlb_flag::kSize2M},
    {.name = "Page2MReserved13", .leaf = 2, .physical = kPhysical2M | 0x2000, .error = kPf | kRsvd},
    {.name = "Page2MReserved20", .leaf = 2, .physical = kPhysical2M | 0x100000, .error = kPf | kRsvd},
    {.name = "Page1G", .leaf = 3, .physical = 0, .flags = kWus | tlb_flag::kSize1G},
    {.name = "Page1GPat", .leaf = 3, .physical = 0x1000, .flags = kWus | tlb_flag::kSize1G},
    {.name = "Page1GReserved13", .leaf = 3, .physical = 0x2000, .error = kPf | kRsvd},
    {.name = "Page1GReserved29", .leaf = 3, .physical = 0x20000000, .error = kPf | kRsvd},
    {.name = "Page1GBeyondRam", .leaf = 3, .physical = u64{1} << 45, .flags = kWus | tlb_flag::kSize1G},
    // PAE paging: the same formats below the PDPTEs, but bits 62:52 are reserved too.
    {.name = "PaeWrite", .paging = kPae, .access = 'w', .user = true, .flags = kWusD},
    {.name = "PaeNotPresent2", .paging = kPae, .bits = {0, kAll, 0, 0, 0}, .access = 'w', .error = kW},
    {.name = "PaeReadOnly2", .paging = kPae, .bits = {0, kAll, kP | kUs, 0, 0}, .access = 'w', .error = kPf | kW},
    {.name = "PaeXd",
     .paging = kPae,
     .bits = {0, kAll, kAll | kXd, 0, 0},
     .access = 'x',
     .on = "nxe",
     .error = kPf | kI},
    {.name = "PaeXdReserved", .paging = kPae, .bits = {0, kAll | kXd, kAll, 0, 0}, .access = 'x', .error = kPf | kRsvd},
    {.name = "PaeReserved46", .paging = kPae, .bits = {0, kAll | kBit46, kAll, 0, 0}, .error = kPf | kRsvd},
    {.name = "PaeReserved52", .paging = kPae, .bits = {0, kAll, kAll | kBit52, 0, 0}, .error = kPf | kRsvd},
    {.name = "PaePage2M",
     .paging = kPae,
     .leaf = 2,
     .physical = kPhysical2M,
     .off = "pse",
     .flags = kWus | tlb_flag::kSize2M},
    {.name = "PaePage2MReserved", .paging = kPae, .leaf = 2, .physical = kPhysical2M | 0x4000, .error = kPf | kRsvd},
    {.name = "PaeGlobal", .paging = kPae, .bits = {0, kAll | kG, kAll, 0, 0}, .flags = kWus | tlb_flag::kGlobal},
    // 32-bit paging: no reserved bits in 4 KiB entries, no XD.
    {.name = "Legacy", .paging = k32, .flags = kWus},
    {.name = "LegacyWrite", .paging = k32, .access = 'w', .user = true, .flags = kWusD},
    {.name = "LegacyNotPresent2", .paging = k32, .bits = {0, kAll, 0, 0, 0}, .user = true, .error = kU},
    {.name = "LegacyNotPresent1", .paging = k32, .bits = {0, 0, kAll, 0, 0}, .access = 'w', .error = kW},
    {.name = "LegacySupervisor2", .paging = k32, .bits = {0, kAll, kP | kRw, 0, 0}, .user = true, .error = kPf | kU},
    {.name = "LegacyReadOnly1", .paging = k32, .bits = {0, kP | kUs, kAll, 0, 0}, .access = 'w', .error = kPf | kW},
    {.name = "LegacyFetchHasNoIBit", .paging = k32, .bits = {0, 0, kAll, 0, 0}, .access = 'x', .on = "nxe", .error = 0},
    {.name = "LegacyFetchSmep", .paging = k32, .access = 'x', .on = "smep", .error = kPf | kI},
    {.name = "LegacyPage4M",
     .paging = k32,
     .leaf = 2,
     .physical = kPhysical4M,
     .access = 'w',
     .flags = kWusD | tlb_flag::kSize2M | tlb_flag::kSize4M},
    {.name = "LegacyPage4MReserved13",
     .paging = k32,
     .leaf = 2,
     .physical = kPhysical4M | 0x2000,
     .error = kPf | kRsvd},
    {.name = "LegacyPage4MReserved21",
     .paging = k32,
     .leaf = 2,
     .physical = kPhysical4M | 0x200000,
     .error = kPf | kRsvd},
    {.name = "LegacyPsWithoutPse", .paging = k32, .bits = {0, kAll, kAll | kPs, 0, 0}, .off = "pse", .flags = kWus},
    {.name = "LegacyGlobal", .paging = k32, .bits = {0, kAll | kG, kAll, 0, 0}, .flags = kWus | tlb_flag::kGlobal},
};

class PageWalkRows : public testing::TestWithParam<Row> {};

void apply(PagingControls& controls, const Row& row) {
  const std::string off = row.off;
  const std::string on = row.on;
  controls.wp = off.find("wp") == std::string::npos;
  controls.pse = off.find("pse") == std::string::npos;
  controls.pge = off.find("pge") == std::string::npos;
  controls.smep = on.find("smep") != std::string::npos;
  controls.smap = on.find("smap") != std::string::npos;
  controls.nxe = on.find("nxe") != std::string::npos;
}

/// What stands in a table with one translation or none.
TlbEntry only_entry(const TlbTable& table) {
  const auto at = std::ranges::find_if(table.entries, [](const TlbEntry& entry) { return entry.frame != 0; });
  return at == table.entries.end() ? TlbEntry{} : *at;
}

TEST_P(PageWalkRows, TranslatesOrFaults) {
  const Row& row = GetParam();
  PageTables tables(row.paging);
  apply(tables.controls, row);
  std::array<u64, 5> before{};
  for (unsigned level = tables.levels(); level >= row.leaf; --level) {
    const u64 target = level > row.leaf ? PageTables::table(level - 1) : row.physical;
    before[level] = target | row.bits[level] | (level == row.leaf && level > 1 ? kPs : 0);
    tables.set_entry(level, kLinear, before[level]);
  }
  Mmu mmu(tables.memory);
  mmu.set_controls(tables.controls);
  const Translation got =
      row.access == 'x'
          ? mmu.translate_fetch({kLinear}, row.user)
          : mmu.translate_data({kLinear}, row.access == 'w' ? Access::kWrite : Access::kRead, row.user, row.over_user);
  ASSERT_EQ(got.ok, row.error == kOk) << "error code " << got.error_code;
  const TlbEntry entered = only_entry(row.access == 'x' ? mmu.state().fetch : mmu.state().data);
  if (!got.ok) {
    EXPECT_EQ(got.error_code, row.error);
    EXPECT_EQ(entered.frame, 0u);
  } else {
    const u64 size = row.leaf == 1 ? kPageSize : row.leaf == 3 ? u64{1} << 30 : u64{row.paging == k32 ? 4u : 2u} << 20;
    EXPECT_EQ(got.page.value, (row.physical & ~(size - 1)) | (kLinear & (size - 1) & kPageMask));
    EXPECT_EQ(got.flags, row.flags | tlb_flag::kPresent);
    EXPECT_EQ(entered.frame, got.page.value | got.flags);
  }
  // A and D: all levels and the leaf of an allowed access, nothing of a refused one.
  for (unsigned level = tables.levels(); level >= row.leaf; --level) {
    const u64 set = !got.ok ? 0 : level == row.leaf && row.access == 'w' ? kA | kD : kA;
    EXPECT_EQ(tables.entry(level, kLinear), before[level] | set) << "level " << level;
  }
}

INSTANTIATE_TEST_SUITE_P(Sdm, PageWalkRows, testing::ValuesIn(kRows),
                         [](const testing::TestParamInfo<Row>& row) { return std::string(row.param.name); });

TEST(PageWalk, PaeUsesThePdpteRegisters) {
  PageTables tables(Paging::kPae);
  tables.map(kLinear, kPhysical);
  Mmu mmu(tables.memory);
  tables.controls.cr3 = ~u64{0};  // not looked at
  tables.controls.pdpte[2] = 0;
  mmu.set_controls(tables.controls);
  EXPECT_TRUE(mmu.translate_data({kLinear + 0x40000000}, Access::kRead, false, false).ok);
  const Translation absent = mmu.translate_data({kLinear + 0x80000000}, Access::kWrite, true, false);
  EXPECT_FALSE(absent.ok);
  EXPECT_EQ(absent.error_code, kW | kU);
}

TEST(PageWalk, TablesOutsideRamAreNotPresent) {
  for (const Paging paging : {Paging::k32Bit, Paging::kPae, Paging::k4Level}) {
    PageTables tables(paging);
    tables.controls.cr3 = 0xf000'0000;
    tables.controls.pdpte.fill(0x3fff'ffff'f000 | kP);
    Mmu mmu(tables.memory);
    mmu.set_controls(tables.controls);
    const Translation got = mmu.translate_data({kLinear}, Access::kRead, false, false);
    EXPECT_FALSE(got.ok);
    EXPECT_EQ(got.error_code, 0u);
  }
}

TEST(PageWalk, ATableThatMapsItself) {
  PageTables tables(Paging::k4Level);
  const u64 self = 0xffff'ffff'ffff'f000;  // entry 511 at every level
  tables.set_entry(4, self, PageTables::table(4) | kAll);
  Mmu mmu(tables.memory);
  mmu.set_controls(tables.controls);
  const Translation got = mmu.translate_data({self}, Access::kWrite, false, false);
  ASSERT_TRUE(got.ok);
  EXPECT_EQ(got.page.value, PageTables::table(4));
  EXPECT_EQ(tables.entry(4, self), PageTables::table(4) | kAll | kA | kD);
}

TEST(PageWalk, TableWritesAreSeenByWatchersOfCode) {
  PageTables tables(Paging::k4Level);
  tables.map(kLinear, kPhysical);
  Mmu mmu(tables.memory);
  RecordingObserver listener;
  mmu.set_code_listener(&listener);
  mmu.set_controls(tables.controls);
  tables.memory.mark_code({tables.entry_address(1, kLinear)}, 8);
  mmu.translate_data({kLinear}, Access::kRead, false, false);
  EXPECT_EQ(listener.code, (std::vector<std::pair<u64, u64>>{{tables.entry_address(1, kLinear), 1}}));
}

}  // namespace
}  // namespace bhvm
