#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "base/random_stream.h"
#include "machine/file_io.h"
#include "machine/machine.h"
#include "tests/machine/guest_code.h"

namespace bhvm {
namespace {

using testing::HasSubstr;

class SnapshotFile : public testing::Test {
 protected:
  void SetUp() override {
    directory_ = std::filesystem::temp_directory_path() / ("bhvm-snapshot-" + std::to_string(getpid()));
    std::filesystem::create_directories(directory_);
    disk_ = (directory_ / "disk.img").string();
    ASSERT_TRUE(write_file(disk_, std::vector<u8>(1 << 20, 0x5A), "test disk").ok());
    config_.memory_bytes = 64 << 20;
    config_.seed = 9;
    config_.command_line = "quiet";
    config_.disks = {disk_};
    config_.kernel =
        std::make_shared<const ElfImage>(ElfImage::parse(test::kernel_of(test::store_loop(0)), "guest").value());
    machine_ = Machine::create(config_).value();
    RunLimits limits;
    limits.instructions = 200'000;
    machine_->run_until(limits);
    path_ = (directory_ / "machine.bhvm").string();
    const Status saved = machine_->save(path_);
    ASSERT_TRUE(saved.ok()) << saved.error().message;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::string load_error(const std::vector<u8>& bytes) {
    const std::string path = (directory_ / "bad.bhvm").string();
    EXPECT_TRUE(write_file(path, bytes, "test snapshot").ok());
    const auto machine = Machine::load(path, config_);
    return machine.ok() ? "no error" : machine.error().message;
  }

  std::filesystem::path directory_;
  std::string disk_;
  std::string path_;
  MachineConfig config_;
  std::unique_ptr<Machine> machine_;
};

TEST_F(SnapshotFile, ALoadedMachineIsTheSameAndGoesOnTheSame) {
  MachineConfig resources;
  resources.disks = {disk_};
  auto loaded = Machine::load(path_, resources);
  ASSERT_TRUE(loaded.ok()) << loaded.error().message;
  Machine& machine = *loaded.value();
  EXPECT_EQ(machine.state_hash(), machine_->state_hash());
  EXPECT_EQ(machine.config().seed, 9u);
  EXPECT_EQ(machine.config().command_line, "quiet");
  RunLimits limits;
  limits.instructions = 600'000;
  machine.run_until(limits);
  machine_->run_until(limits);
  EXPECT_EQ(machine.state_hash(), machine_->state_hash());
}

TEST_F(SnapshotFile, SavingTwiceGivesTheSameBytes) {
  const std::vector<u8> first = read_file(path_, "snapshot").value();
  ASSERT_TRUE(machine_->save(path_).ok());
  EXPECT_EQ(first, read_file(path_, "snapshot").value());
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory_), {}), 2) << "no temporary file is left";
}

TEST_F(SnapshotFile, DamageIsASentence) {
  const std::vector<u8> good = read_file(path_, "snapshot").value();
  EXPECT_THAT(load_error({}), HasSubstr("no snapshot"));
  EXPECT_THAT(load_error(std::vector<u8>(1000, 7)), HasSubstr("no snapshot"));
  for (const std::size_t size : {std::size_t{8}, std::size_t{20}, std::size_t{60}, good.size() / 2, good.size() - 1}) {
    EXPECT_NE(load_error({good.begin(), good.begin() + static_cast<long>(size)}), "no error") << size;
  }
  RandomStream random(5, 0, "damage");
  for (int i = 0; i < 20; ++i) {
    std::vector<u8> bad = good;
    bad[random.below(bad.size())] ^= static_cast<u8>(1 + random.below(255));
    EXPECT_NE(load_error(bad), "no error");
  }
  std::vector<u8> other_version = good;
  other_version[8] = 99;
  EXPECT_THAT(load_error(other_version), HasSubstr("another version"));
  EXPECT_FALSE(Machine::load("/nonexistent/file", config_).ok());
}

TEST_F(SnapshotFile, TheDisksMustBeTheSame) {
  MachineConfig resources;
  EXPECT_THAT(Machine::load(path_, resources).error().message, HasSubstr("disks"));
  ASSERT_TRUE(write_file(disk_, std::vector<u8>(1 << 20, 0x11), "test disk").ok());
  resources.disks = {disk_};
  EXPECT_FALSE(Machine::load(path_, resources).ok());
}

}  // namespace
}  // namespace bhvm
