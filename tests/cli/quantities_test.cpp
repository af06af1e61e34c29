#include "cli/quantities.h"

#include <gtest/gtest.h>

namespace bhvm::cli {
namespace {

TEST(Quantities, Sizes) {
  EXPECT_EQ(parse_size_bytes("4096").value(), 4096u);
  EXPECT_EQ(parse_size_bytes("256M").value(), u64{256} << 20);
  EXPECT_EQ(parse_size_bytes("2g").value(), u64{2} << 30);
  EXPECT_EQ(parse_size_bytes("1KiB").value(), 1024u);
  EXPECT_EQ(parse_size_bytes("0x10").value(), 16u);
  for (const char* bad : {"", "M", "1X", "-1", "1.5G", "99999999999999999999", "20000000T", " 1", "1 M"}) {
    EXPECT_FALSE(parse_size_bytes(bad).ok()) << bad;
  }
}

TEST(Quantities, Durations) {
  EXPECT_EQ(parse_duration_ns("1").value(), 1'000'000'000u);
  EXPECT_EQ(parse_duration_ns("60s").value(), 60'000'000'000u);
  EXPECT_EQ(parse_duration_ns("1.5s").value(), 1'500'000'000u);
  EXPECT_EQ(parse_duration_ns("0.25ms").value(), 250'000u);
  EXPECT_EQ(parse_duration_ns("7ns").value(), 7u);
  EXPECT_EQ(parse_duration_ns("2m").value(), 120'000'000'000u);
  EXPECT_EQ(parse_duration_ns("1.000000000000000000001s").value(), 1'000'000'000u);
  for (const char* bad : {"", "s", "1.5.5s", "-1s", "1 s", "1d", "99999999999h", ".5s"}) {
    EXPECT_FALSE(parse_duration_ns(bad).ok()) << bad;
  }
}

TEST(Quantities, RatesAndCounts) {
  EXPECT_EQ(parse_rate("1/3").value().denominator, 3u);
  EXPECT_EQ(parse_rate("2").value().numerator, 2u);
  for (const char* bad : {"", "0", "1/0", "/3", "1/", "1/3/4", "x", "1000001"})
    EXPECT_FALSE(parse_rate(bad).ok()) << bad;
  EXPECT_EQ(parse_count("500M").value(), 500'000'000u);
  EXPECT_EQ(parse_count("2k").value(), 2000u);
  EXPECT_EQ(parse_count("18446744073709551615").value(), ~u64{0});
  for (const char* bad : {"", "k", "1m", "-5", "18446744073709551616", "1e6"})
    EXPECT_FALSE(parse_count(bad).ok()) << bad;
}

TEST(Quantities, SecondsAsText) {
  EXPECT_EQ(format_seconds(1'234'567'890), "1.234567 s");
  EXPECT_EQ(format_seconds(999), "0.000000 s");
}

}  // namespace
}  // namespace bhvm::cli
