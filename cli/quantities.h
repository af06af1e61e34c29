// Sizes, durations and rates as a user types them.
#pragma once

#include <string>

#include "base/result.h"
#include "base/types.h"

namespace bhvm::cli {

/// "256M", "1G", "4096": bytes, with K, M, G or T for powers of 1024 (an i and a B may follow).
Result<u64> parse_size_bytes(const std::string& text);
/// "60s", "500ms", "10us", "7ns", "2m", "1h", with an optional decimal fraction; a number alone counts seconds.
Result<u64> parse_duration_ns(const std::string& text);
/// The same, but a number alone is an error.
Result<u64> parse_duration_with_unit_ns(const std::string& text);
/// "+10s", "-500ms", "10s".
Result<i64> parse_signed_duration_ns(const std::string& text);
/// "10Mbit", "1.5Gbit", "9600bit": bits a second, with powers of 1000 ("/s" may follow).
Result<u64> parse_bandwidth_bps(const std::string& text);
/// "1%", "0.01", "100ppm": parts per billion, from 0 to 10^9.
Result<u32> parse_probability_ppb(const std::string& text);
/// "+5%", "-200ppm": parts per million.
Result<i64> parse_rate_change_ppm(const std::string& text);
/// "10.0.0.7": an IPv4 address in host order.
Result<u32> parse_ipv4(const std::string& text);
/// "10.0.0.0/24".
struct Subnet {
  u32 address = 0;
  u32 prefix_bits = 0;
};
Result<Subnet> parse_subnet(const std::string& text);
/// "1", "1/3": nanoseconds per instruction.
struct Rate {
  u64 numerator = 1;
  u64 denominator = 1;
};
Result<Rate> parse_rate(const std::string& text);
/// A plain decimal or 0x number, or one with K, M or G for powers of 1000 ("500M" instructions).
Result<u64> parse_count(const std::string& text);

/// "1.234567 s"
std::string format_seconds(u64 ns);
/// "10.0.0.7"
std::string format_ipv4(u32 address);

}  // namespace bhvm::cli
