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

TEST(Quantities, DurationsWithAUnitOrASign) {
  EXPECT_EQ(parse_duration_with_unit_ns("1.5s").value(), 1'500'000'000u);
  EXPECT_FALSE(parse_duration_with_unit_ns("5").ok());
  EXPECT_EQ(parse_signed_duration_ns("-3s").value(), -3'000'000'000);
  EXPECT_EQ(parse_signed_duration_ns("+10ms").value(), 10'000'000);
  EXPECT_EQ(parse_signed_duration_ns("10ms").value(), 10'000'000);
  for (const char* bad : {"", "-", "--1s", "+5", "10000000000s"})
    EXPECT_FALSE(parse_signed_duration_ns(bad).ok()) << bad;
}

TEST(Quantities, OfNetworks) {
  EXPECT_EQ(parse_bandwidth_bps("10Mbit").value(), 10'000'000u);
  EXPECT_EQ(parse_bandwidth_bps("1.5Gbit/s").value(), 1'500'000'000u);
  EXPECT_EQ(parse_bandwidth_bps("9600bit").value(), 9600u);
  for (const char* bad : {"", "10", "10MB", "0bit", "Mbit", "-1bit"})
    EXPECT_FALSE(parse_bandwidth_bps(bad).ok()) << bad;
  EXPECT_EQ(parse_probability_ppb("1%").value(), 10'000'000u);
  EXPECT_EQ(parse_probability_ppb("0.01").value(), 10'000'000u);
  EXPECT_EQ(parse_probability_ppb("100%").value(), 1'000'000'000u);
  EXPECT_EQ(parse_probability_ppb("3ppb").value(), 3u);
  for (const char* bad : {"", "%", "101%", "1.1", "-1%", "1 %"}) EXPECT_FALSE(parse_probability_ppb(bad).ok()) << bad;
  EXPECT_EQ(parse_ipv4("10.0.0.7").value(), 0x0A000007u);
  EXPECT_EQ(format_ipv4(0x0A000007), "10.0.0.7");
  for (const char* bad : {"", "10.0.0", "10.0.0.256", "10.0.0.1.2", "a.b.c.d", "10..0.1", "10.0.0.0x1"}) {
    EXPECT_FALSE(parse_ipv4(bad).ok()) << bad;
  }
  EXPECT_EQ(parse_subnet("10.0.0.0/24").value().prefix_bits, 24u);
  for (const char* bad : {"10.0.0.0", "10.0.0.0/", "10.0.0.0/31", "10.0.0.0/7", "10.0.0.1/24"}) {
    EXPECT_FALSE(parse_subnet(bad).ok()) << bad;
  }
}

TEST(Quantities, RateChanges) {
  EXPECT_EQ(parse_rate_change_ppm("+5%").value(), 50'000);
  EXPECT_EQ(parse_rate_change_ppm("-200ppm").value(), -200);
  EXPECT_EQ(parse_rate_change_ppm("0.5%").value(), 5000);
  for (const char* bad : {"", "5", "%", "+-5%", "5 %"}) EXPECT_FALSE(parse_rate_change_ppm(bad).ok()) << bad;
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
