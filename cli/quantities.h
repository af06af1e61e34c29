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

}  // namespace bhvm::cli
