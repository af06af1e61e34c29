#include "devices/virtio/disk_image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <numeric>
#include <thread>

#include "base/random_stream.h"
#include "state/hash_state.h"

namespace bhvm {
namespace {

std::vector<u8> pattern(std::size_t size, u64 seed) {
  RandomStream stream(seed, 0, "pattern");
  std::vector<u8> bytes(size);
  for (u8& byte : bytes) byte = static_cast<u8>(stream.next());
  return bytes;
}

struct DiskImageTest : testing::Test {
  void SetUp() override { path = testing::TempDir() + "disk_image_test_" + std::to_string(::getpid()); }
  void TearDown() override { std::remove(path.c_str()); }
  void make_file(const std::vector<u8>& bytes) {
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }
  static std::vector<u8> contents(DiskImage& disk) {
    std::vector<u8> bytes(disk.size_bytes());
    EXPECT_TRUE(disk.read(0, bytes));
    return bytes;
  }
  std::string path;
};

TEST_F(DiskImageTest, BadSizesAndFilesAreSentences) {
  EXPECT_FALSE(DiskImage::create(0));
  EXPECT_FALSE(DiskImage::create(513));
  EXPECT_FALSE(DiskImage::create(u64{4} << 40));
  EXPECT_THAT(DiskImage::open(path).error().message, testing::HasSubstr("cannot be opened"));
  make_file({});
  EXPECT_THAT(DiskImage::open(path).error().message, testing::HasSubstr("empty"));
  make_file(pattern(1000, 1));
  EXPECT_THAT(DiskImage::open(path).error().message, testing::HasSubstr("multiple of 512"));
}

TEST_F(DiskImageTest, BehavesLikeAnArrayOfBytes) {
  constexpr u64 kSize = 5 * 1024 * 1024 + 512;  // several chunks, and a last block that is cut
  std::vector<u8> model = pattern(kSize, 2);
  make_file(model);
  DiskImage disk = DiskImage::open(path).value();
  RandomStream stream(3, 0, "operations");
  for (int i = 0; i < 400; ++i) {
    const u64 offset = stream.below(kSize);
    const u64 size = 1 + stream.below(std::min<u64>(kSize - offset, 40'000));
    const auto begin = model.begin() + static_cast<std::ptrdiff_t>(offset);
    switch (stream.below(4)) {
      case 0: {
        const std::vector<u8> bytes = pattern(size, stream.next());
        ASSERT_TRUE(disk.write(offset, bytes));
        std::copy(bytes.begin(), bytes.end(), begin);
        break;
      }
      case 1:
        ASSERT_TRUE(disk.write_zeroes(offset, size));
        std::fill_n(begin, size, u8{0});
        break;
      case 2: {
        std::vector<u8> bytes(size);
        ASSERT_TRUE(disk.read(offset, bytes));
        ASSERT_TRUE(std::equal(bytes.begin(), bytes.end(), begin));
        break;
      }
      default:
        if (stream.below(2) == 0) disk.sync();
        ASSERT_TRUE(disk.hash());
        break;
    }
  }
  EXPECT_EQ(contents(disk), model);
  std::ifstream file(path, std::ios::binary);
  const std::vector<char> now{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(now.size(), kSize);
  EXPECT_TRUE(std::equal(now.begin(), now.end(), reinterpret_cast<const char*>(pattern(kSize, 2).data())));

  // The hash is that of the contents, however they came about.
  disk.sync();
  DiskImage other = DiskImage::create(kSize).value();
  ASSERT_TRUE(other.write(0, model));
  other.sync();
  EXPECT_EQ(disk.hash().value(), other.hash().value());
  ASSERT_TRUE(other.write(kSize - 1, std::vector<u8>{static_cast<u8>(model.back() + 1)}));
  other.sync();
  EXPECT_NE(disk.hash().value(), other.hash().value());
}

TEST_F(DiskImageTest, ForksAreApart) {
  DiskImage disk = DiskImage::create(4 << 20).value();
  const std::vector<u8> first = pattern(10'000, 4);
  disk.write(100, first);
  DiskImage fork = disk.fork();
  EXPECT_EQ(fork.hash().value(), disk.hash().value());
  const Hash128 before = disk.hash().value();
  fork.write(200, pattern(5000, 5));
  fork.write_zeroes(0, 4096);
  EXPECT_EQ(disk.hash().value(), before);
  std::vector<u8> back(first.size());
  disk.read(100, back);
  EXPECT_EQ(back, first);
  disk.write(0, pattern(4096, 6));
  EXPECT_NE(disk.hash().value(), fork.hash().value());
  std::vector<u8> zeroes(4096, 1);
  fork.read(0, zeroes);
  EXPECT_EQ(zeroes, std::vector<u8>(4096));
}

TEST_F(DiskImageTest, ForksWorkOnThreadsOfTheirOwn) {
  make_file(pattern(1 << 20, 7));
  DiskImage disk = DiskImage::open(path).value();
  disk.write(0, pattern(1 << 19, 8));
  std::vector<DiskImage> forks;
  for (int i = 0; i < 4; ++i) forks.push_back(disk.fork());
  std::vector<Hash128> hashes(forks.size());
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < forks.size(); ++i) {
      threads.emplace_back([&, i] {
        for (u64 k = 0; k < 200; ++k) forks[i].write((k * 4096 + 17) % (1 << 20), pattern(100, k));
        hashes[i] = forks[i].hash().value();
      });
    }
    for (u64 k = 0; k < 200; ++k) disk.write((k * 4096 + 17) % (1 << 20), pattern(100, k));
  }
  for (const Hash128& hash : hashes) EXPECT_EQ(hash, disk.hash().value());
}

TEST_F(DiskImageTest, APowerCutLosesWhatWasNotSynced) {
  make_file(pattern(64 * 1024, 9));
  DiskImage disk = DiskImage::open(path).value();
  disk.write(0, pattern(8192, 10));
  disk.sync();
  const std::vector<u8> synced = contents(disk);
  const Hash128 synced_hash = disk.hash().value();

  disk.write(4000, pattern(20'000, 11));
  disk.write(4000, pattern(100, 12));
  EXPECT_EQ(disk.unsynced_blocks(), 6u);
  const std::vector<u8> unsynced = contents(disk);
  DiskImage torn = disk.fork();
  DiskImage kept = disk.fork();
  const Hash128 hash = disk.hash().value();
  kept.sync();
  EXPECT_NE(kept.hash().value(), hash);  // what may be lost is state

  ASSERT_TRUE(disk.lose_unsynced([](u64) { return false; }));
  EXPECT_EQ(contents(disk), synced);
  EXPECT_EQ(disk.hash().value(), synced_hash);
  ASSERT_TRUE(torn.lose_unsynced([](u64 sector) { return sector % 2 == 0; }));
  const std::vector<u8> mixed = contents(torn);
  for (std::size_t i = 0; i < mixed.size(); ++i) {
    ASSERT_EQ(mixed[i], i / 512 % 2 == 0 ? unsynced[i] : synced[i]) << i;
  }
  EXPECT_EQ(torn.unsynced_blocks(), 0u);
  EXPECT_EQ(contents(kept), unsynced);
}

TEST_F(DiskImageTest, SavedAndRestored) {
  make_file(pattern(1 << 20, 13));
  DiskImage disk = DiskImage::open(path).value();
  disk.write(5000, pattern(9000, 14));
  disk.sync();
  disk.write(8000, pattern(9000, 15));
  disk.write_zeroes(65536, 8192);
  Writer writer;
  save(writer, disk.state().value());
  DiskImageState saved;
  Reader reader(writer.bytes());
  ASSERT_TRUE(load(reader, saved));

  DiskImage other = DiskImage::open(path).value();
  other.write(500'000, pattern(9000, 16));
  ASSERT_TRUE(other.set_state(saved));
  EXPECT_EQ(other.hash().value(), disk.hash().value());
  EXPECT_EQ(hash_state(other.state().value()), hash_state(saved));
  disk.lose_unsynced([](u64) { return false; });
  other.lose_unsynced([](u64) { return false; });
  EXPECT_EQ(contents(other), contents(disk));

  DiskImage wrong_size = DiskImage::create(512).value();
  EXPECT_THAT(wrong_size.set_state(saved).error().message, testing::HasSubstr("bytes"));
  DiskImage wrong_base = DiskImage::create(1 << 20).value();
  EXPECT_THAT(wrong_base.set_state(saved).error().message, testing::HasSubstr("contents"));
  for (int damage = 0; damage < 4; ++damage) {
    DiskImageState forged = saved;
    if (damage == 0) forged.written[0].index = ~u64{0};
    if (damage == 1) forged.written[0].bytes.resize(7);
    if (damage == 2) forged.written[0].from_base = true;
    if (damage == 3) forged.unsynced.push_back(forged.unsynced[0]);
    EXPECT_FALSE(other.set_state(forged));
  }
}

TEST_F(DiskImageTest, AFileCutShortIsAnErrorNotACrash) {
  make_file(pattern(64 * 1024, 17));
  DiskImage disk = DiskImage::open(path).value();
  ASSERT_EQ(::truncate(path.c_str(), 4096), 0);
  std::vector<u8> bytes(4096);
  EXPECT_TRUE(disk.read(0, bytes));
  EXPECT_FALSE(disk.host_error().has_value());
  EXPECT_FALSE(disk.read(8192, bytes));
  ASSERT_TRUE(disk.host_error().has_value());
  EXPECT_THAT(disk.host_error()->message, testing::HasSubstr("leave the file alone"));
  EXPECT_FALSE(disk.write(8193, std::span(bytes).first(10)));
  EXPECT_FALSE(disk.hash());
  EXPECT_FALSE(disk.state());
}

TEST_F(DiskImageTest, ZeroesCostNothing) {
  DiskImage disk = DiskImage::create(u64{1} << 40).value();
  const Hash128 fresh = disk.hash().value();
  EXPECT_TRUE(disk.write_zeroes(0, u64{1} << 28));
  EXPECT_EQ(disk.written_blocks(), 0u);
  disk.write((u64{1} << 40) - 1, std::vector<u8>{1});
  EXPECT_EQ(disk.written_blocks(), 1u);
  disk.write_zeroes((u64{1} << 40) - 4096, 4096);
  disk.sync();
  EXPECT_EQ(disk.hash().value(), fresh);
}

}  // namespace
}  // namespace bhvm
