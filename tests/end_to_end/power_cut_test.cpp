// Power cuts at random instructions under a real guest's ext4: after a cold restart on what the medium holds,
// everything that was fsynced is there.
#include <gmock/gmock.h>

#include <algorithm>
#include <cstdio>
#include <fstream>

#include "tests/end_to_end/agent_guest.h"

namespace bhvm {
namespace {

using test::agent_guest;
using test::Folder;
using test::kMillisecond;
using test::kSecond;
using test::Node;
using testing::HasSubstr;

constexpr std::size_t kCuts = 200;
constexpr const char* kIdentity = "mount /dev/vda /data ext4\n";

/// The N of the last whole line "`label` N"; 0 when there is none.
u64 last_of(const std::string& text, const std::string& label) {
  const std::size_t end = text.rfind('\n');
  if (end == std::string::npos) return 0;
  const std::string lead = "\n" + label + " ";
  const std::size_t at = text.rfind(lead, end - 1);
  return at == std::string::npos ? 0 : std::stoull(text.substr(at + lead.size()));
}

struct Survived {
  u64 synced = 0;
  u64 unsynced = 0;
};

class PowerCuts : public testing::Test {
 protected:
  void SetUp() override {
    BHVM_NEEDS_GUEST;
    config_ = agent_guest(test::guest_program());
    config_.disks = {test::make_ext4(folder_, 32)};
    config_.seed = 5;
  }

  /// Boots a new machine on the disks and says what of the records is there.
  Survived restart(std::vector<DiskImage> disks, u64 time_ns, bool check) {
    MachineConfig config = config_;
    config.power_on_ns = time_ns;
    config.machine_id = 1;
    Node node(Machine::create(config, std::move(disks)).value());
    EXPECT_EQ(node->now_ns(), time_ns);
    Survived survived;
    if (!node.wait_for(node.channel, "\nready\n")) {
      ADD_FAILURE() << "no restart: " << node.console;
      return survived;
    }
    node.say(std::string(kIdentity) + "command /guest-program verify /data\ngo\n");
    EXPECT_TRUE(node.wait_for(node.channel, "\nexited 0\n")) << node.console << node.channel;
    EXPECT_THAT(node.console, HasSubstr("recovery complete")) << "the journal is replayed";
    EXPECT_THAT(node.console, testing::Not(HasSubstr("EXT4-fs error")));
    const std::size_t at = node.console.find("verified synced ");
    if (at == std::string::npos) {
      ADD_FAILURE() << node.console;
      return survived;
    }
    std::sscanf(node.console.c_str() + at, "verified synced %lu unsynced %lu", &survived.synced, &survived.unsynced);
    if (check) check_file_system(node);
    return survived;
  }

  /// The host's e2fsck finds nothing wrong with what the guest recovered.
  void check_file_system(Node& node) {
    node.say("stop\n");
    ASSERT_EQ(node.run_for(10 * kSecond).reason, StopReason::kPowerOff);
    std::vector<DiskImage> disks = node->take_disks();
    std::vector<u8> bytes(disks[0].size_bytes());
    ASSERT_TRUE(disks[0].read(0, bytes));
    const std::string path = folder_.file("after");
    ASSERT_TRUE(write_file(path, bytes, "disk").ok());
    EXPECT_EQ(std::system(("e2fsck -fn " + path + " >" + path + ".log 2>&1").c_str()), 0) << path;
  }

  const Folder folder_;
  MachineConfig config_;
};

TEST_F(PowerCuts, LoseNothingThatWasFsynced) {
  Node trunk(config_);
  ASSERT_TRUE(trunk.wait_for(trunk.channel, "\nready\n")) << trunk.console;
  trunk.say(std::string(kIdentity) + "command /guest-program write /data\ngo\n");
  ASSERT_TRUE(trunk.wait_for(trunk.console, "\nsynced 3\n")) << trunk.console;

  RandomStream random(1, 0, "power-cuts");
  std::vector<u64> moments;
  for (std::size_t i = 0; i < kCuts; ++i) moments.push_back(trunk->instructions() + random.below(150'000'000));
  std::sort(moments.begin(), moments.end());

  std::size_t cuts_with_loss = 0;
  std::size_t cuts_with_unsynced_survivors = 0;
  std::size_t cuts_beyond_promise = 0;
  u64 promised_in_all = 0;
  u64 lost_in_all = 0;
  for (std::size_t i = 0; i < kCuts; ++i) {
    test::run_to(trunk.machine(), moments[i]);
    ASSERT_EQ(trunk->instructions(), moments[i]);
    const u64 synced = last_of(trunk.console, "synced");
    const u64 wrote = last_of(trunk.console, "wrote");
    const std::unique_ptr<Machine> branch = trunk->fork();
    branch->reseed(i, 0);  // every cut draws what survives from another seed
    branch->power_cut({.survive_ppm = 500'000, .torn = i % 2 == 1});
    EXPECT_EQ(branch->run_until({}).reason, StopReason::kPowerCut);
    const Survived survived = restart(branch->take_disks(), branch->now_ns(), i % 10 == 0);
    ASSERT_GE(survived.synced, synced) << "lost a record that was fsynced: cut " << i << " at instruction "
                                       << moments[i];
    ASSERT_LE(survived.synced, synced + 1);
    ASSERT_LE(survived.unsynced, wrote + 1);
    promised_in_all += synced;
    if (survived.synced > synced) ++cuts_beyond_promise;
    if (survived.unsynced < wrote) {
      ++cuts_with_loss;
      lost_in_all += wrote - survived.unsynced;
    }
    if (survived.unsynced > 0) ++cuts_with_unsynced_survivors;
  }
  std::printf(
      "%zu power cuts over %lu records (%.0f ms): every fsynced record survived (%lu promises kept); records that "
      "were not fsynced were lost in %zu cuts (%lu records), some survived in %zu; a record survived whose fsync "
      "had not returned in %zu\n",
      kCuts, last_of(trunk.console, "synced"), static_cast<double>(trunk->now_ns()) / 1e6, promised_in_all,
      cuts_with_loss, lost_in_all, cuts_with_unsynced_survivors, cuts_beyond_promise);
  EXPECT_GT(cuts_with_loss, 0u) << "a disk that loses nothing proves nothing";
  EXPECT_GT(cuts_with_unsynced_survivors, 0u);
}

// The check of the check: with a file system that sends no flushes, fsync promises what no power cut keeps.
TEST_F(PowerCuts, LoseFsyncedRecordsWithoutBarriers) {
  Node trunk(config_);
  ASSERT_TRUE(trunk.wait_for(trunk.channel, "\nready\n")) << trunk.console;
  trunk.say(std::string(kIdentity) +
            "command mount -o remount,nobarrier /data && exec /guest-program write /data\ngo\n");
  ASSERT_TRUE(trunk.wait_for(trunk.console, "\nsynced 3\n")) << trunk.console;
  bool broken = false;
  for (u64 i = 0; i < 20 && !broken; ++i) {
    trunk.run_for(10 * kMillisecond);
    const std::unique_ptr<Machine> branch = trunk->fork();
    branch->reseed(i, 0);
    branch->power_cut({});
    MachineConfig config = config_;
    config.power_on_ns = branch->now_ns();
    Node node(Machine::create(config, branch->take_disks()).value());
    ASSERT_TRUE(node.wait_for(node.channel, "\nready\n")) << node.console;
    node.say(std::string(kIdentity) + "command /guest-program verify /data\ngo\n");
    Survived survived;
    if (node.wait_for(node.channel, "\nexited 0\n")) {
      const std::size_t at = node.console.find("verified synced ");
      ASSERT_NE(at, std::string::npos) << node.console;
      std::sscanf(node.console.c_str() + at, "verified synced %lu", &survived.synced);
    }
    broken = survived.synced < last_of(trunk.console, "synced");
  }
  EXPECT_TRUE(broken);
}

// The same cut is the same loss, and another seed another.
TEST_F(PowerCuts, AreRepeatable) {
  Node trunk(config_);
  ASSERT_TRUE(trunk.wait_for(trunk.channel, "\nready\n")) << trunk.console;
  trunk.say(std::string(kIdentity) + "command /guest-program write /data\ngo\n");
  ASSERT_TRUE(trunk.wait_for(trunk.console, "\nsynced 5\n")) << trunk.console;
  const auto cut = [&](u64 seed) {
    const std::unique_ptr<Machine> branch = trunk->fork();
    branch->reseed(seed, 0);
    branch->power_cut({.torn = true});
    return branch->take_disks()[0].hash().value();
  };
  bool differed = false;  // there is not always something to lose
  for (int i = 0; i < 50; ++i) {
    trunk.run_for(kMillisecond / 7);
    ASSERT_EQ(cut(1), cut(1));
    differed = differed || cut(1) != cut(2);
  }
  EXPECT_TRUE(differed);
}

}  // namespace
}  // namespace bhvm
