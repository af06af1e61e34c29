#include "cli/quantities.h"

#include <fmt/format.h>

#include <charconv>
#include <limits>
#include <string_view>

namespace bhvm::cli {
namespace {

struct Unit {
  std::string_view name;
  u64 factor;
};

constexpr u64 kMax = std::numeric_limits<u64>::max();

Error not_a(const char* what, const std::string& text, const char* example) {
  return Error{fmt::format("\"{}\" is not a {}; write for example {}.", text, what, example)};
}

bool parse_number(std::string_view& text, u64& value) {
  const bool hexadecimal = text.starts_with("0x") || text.starts_with("0X");
  if (hexadecimal) text.remove_prefix(2);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, hexadecimal ? 16 : 10);
  if (error != std::errc{}) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

// value x factor, or kMax with false when it does not fit.
bool multiply(u64 value, u64 factor, u64& product) { return !__builtin_mul_overflow(value, factor, &product); }

template <std::size_t kCount>
const Unit* find_unit(const Unit (&units)[kCount], std::string_view name) {
  for (const Unit& unit : units) {
    if (unit.name == name) return &unit;
  }
  return nullptr;
}

}  // namespace

Result<u64> parse_size_bytes(const std::string& text) {
  static constexpr Unit kUnits[] = {
      {"", 1}, {"K", u64{1} << 10}, {"M", u64{1} << 20}, {"G", u64{1} << 30}, {"T", u64{1} << 40}};
  std::string_view rest = text;
  u64 value = 0;
  if (!parse_number(rest, value)) return not_a("size", text, "256M or 1G");
  std::string suffix;
  for (const char c : rest) suffix += static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  if (suffix.ends_with('B')) suffix.pop_back();
  if (suffix.size() == 2 && suffix[1] == 'I') suffix.pop_back();
  const Unit* const unit = find_unit(kUnits, suffix);
  u64 bytes = 0;
  if (unit == nullptr || !multiply(value, unit->factor, bytes)) return not_a("size", text, "256M or 1G");
  return bytes;
}

Result<u64> parse_duration_ns(const std::string& text) {
  static constexpr Unit kUnits[] = {
      {"", 1'000'000'000}, {"s", 1'000'000'000},  {"ms", 1'000'000},       {"us", 1'000},
      {"ns", 1},           {"m", 60'000'000'000}, {"min", 60'000'000'000}, {"h", 3'600'000'000'000}};
  constexpr const char* kExample = "60s, 1.5s or 500ms";
  std::string_view rest = text;
  u64 whole = 0;
  if (!parse_number(rest, whole)) return not_a("duration", text, kExample);
  u64 fraction_digits = 0;
  u64 fraction_scale = 1;
  if (rest.starts_with('.')) {
    rest.remove_prefix(1);
    for (; !rest.empty() && rest[0] >= '0' && rest[0] <= '9'; rest.remove_prefix(1)) {
      if (fraction_scale >= 1'000'000'000'000) continue;  // finer than a nanosecond of any unit
      fraction_digits = fraction_digits * 10 + static_cast<u64>(rest[0] - '0');
      fraction_scale *= 10;
    }
  }
  const Unit* const unit = find_unit(kUnits, rest);
  u64 ns = 0;
  if (unit == nullptr || !multiply(whole, unit->factor, ns)) return not_a("duration", text, kExample);
  const u64 fraction = static_cast<u64>(static_cast<u128>(fraction_digits) * unit->factor / fraction_scale);
  if (ns > kMax - fraction) return not_a("duration", text, kExample);
  return ns + fraction;
}

Result<Rate> parse_rate(const std::string& text) {
  Rate rate;
  std::string_view rest = text;
  const bool ok =
      parse_number(rest, rate.numerator) && (rest.empty() || (rest.starts_with('/') && (rest.remove_prefix(1), true) &&
                                                              parse_number(rest, rate.denominator) && rest.empty()));
  constexpr u64 kLimit = 1'000'000;
  if (!ok || rate.numerator == 0 || rate.denominator == 0 || rate.numerator > kLimit || rate.denominator > kLimit) {
    return not_a("rate in nanoseconds per instruction (each number from 1 to 1000000)", text, "1 or 1/3");
  }
  return rate;
}

Result<u64> parse_count(const std::string& text) {
  static constexpr Unit kUnits[] = {{"", 1}, {"K", 1'000}, {"k", 1'000}, {"M", 1'000'000}, {"G", 1'000'000'000}};
  std::string_view rest = text;
  u64 value = 0;
  u64 count = 0;
  if (parse_number(rest, value)) {
    if (const Unit* const unit = find_unit(kUnits, rest); unit != nullptr && multiply(value, unit->factor, count)) {
      return count;
    }
  }
  return not_a("number", text, "1000000 or 500M");
}

std::string format_seconds(u64 ns) { return fmt::format("{}.{:06} s", ns / 1'000'000'000, ns % 1'000'000'000 / 1000); }

}  // namespace bhvm::cli
