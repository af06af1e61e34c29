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

// Digits, and perhaps a point and more digits, in units of 10^-9; false when there are none or they do not fit.
bool parse_decimal_e9(std::string_view& text, u64& value) {
  u64 whole = 0;
  if (text.empty() || text[0] < '0' || text[0] > '9') return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), whole, 10);
  if (error != std::errc{}) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  u64 fraction = 0;
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    u64 scale = 100'000'000;
    for (; !text.empty() && text[0] >= '0' && text[0] <= '9'; text.remove_prefix(1), scale /= 10) {
      fraction += static_cast<u64>(text[0] - '0') * scale;
    }
  }
  return !__builtin_mul_overflow(whole, u64{1'000'000'000}, &value) && !__builtin_add_overflow(value, fraction, &value);
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

Result<u64> parse_duration_with_unit_ns(const std::string& text) {
  if (!text.empty() && text.back() >= '0' && text.back() <= '9') {
    return Error{fmt::format("\"{}\" has no unit; write for example \"{}s\" or \"{}ms\".", text, text, text)};
  }
  return parse_duration_ns(text);
}

Result<i64> parse_signed_duration_ns(const std::string& text) {
  const bool negative = text.starts_with('-');
  const Result<u64> magnitude_ns =
      parse_duration_with_unit_ns(negative || text.starts_with('+') ? text.substr(1) : text);
  if (!magnitude_ns) return magnitude_ns.error();
  if (magnitude_ns.value() > static_cast<u64>(std::numeric_limits<i64>::max())) {
    return not_a("duration", text, "+10s or -500ms");
  }
  const i64 ns = static_cast<i64>(magnitude_ns.value());
  return negative ? -ns : ns;
}

Result<u64> parse_bandwidth_bps(const std::string& text) {
  static constexpr Unit kUnits[] = {
      {"bit", 1}, {"kbit", 1'000}, {"Kbit", 1'000}, {"Mbit", 1'000'000}, {"Gbit", 1'000'000'000}};
  constexpr const char* kExample = "10Mbit or 1Gbit (bits a second)";
  std::string_view rest = text;
  u64 value_e9 = 0;
  if (!parse_decimal_e9(rest, value_e9)) return not_a("bandwidth", text, kExample);
  if (rest.ends_with("/s")) rest.remove_suffix(2);
  const Unit* const unit = find_unit(kUnits, rest);
  if (unit == nullptr) return not_a("bandwidth", text, kExample);
  const u128 bps = static_cast<u128>(value_e9) * unit->factor / 1'000'000'000;
  if (bps == 0 || bps > kMax) return not_a("bandwidth", text, kExample);
  return static_cast<u64>(bps);
}

Result<u32> parse_probability_ppb(const std::string& text) {
  static constexpr Unit kUnits[] = {{"", 1'000'000'000}, {"%", 10'000'000}, {"ppm", 1'000}, {"ppb", 1}};
  std::string_view rest = text;
  u64 value_e9 = 0;
  const Unit* unit = nullptr;
  if (parse_decimal_e9(rest, value_e9)) unit = find_unit(kUnits, rest);
  const u128 ppb = unit == nullptr ? ~u128{0} : static_cast<u128>(value_e9) * unit->factor / 1'000'000'000;
  if (ppb > 1'000'000'000) return not_a("probability", text, "0.01, 1% or 100ppm");
  return static_cast<u32>(ppb);
}

Result<i64> parse_rate_change_ppm(const std::string& text) {
  static constexpr Unit kUnits[] = {{"%", 10'000}, {"ppm", 1}};
  std::string_view rest = text;
  const bool negative = rest.starts_with('-');
  if (negative || rest.starts_with('+')) rest.remove_prefix(1);
  u64 value_e9 = 0;
  const Unit* unit = nullptr;
  if (parse_decimal_e9(rest, value_e9)) unit = find_unit(kUnits, rest);
  const u128 ppm = unit == nullptr ? ~u128{0} : static_cast<u128>(value_e9) * unit->factor / 1'000'000'000;
  if (ppm > 1'000'000'000) return not_a("change of rate", text, "+5% or -200ppm");
  return negative ? -static_cast<i64>(ppm) : static_cast<i64>(ppm);
}

Result<u32> parse_ipv4(const std::string& text) {
  std::string_view rest = text;
  u32 address = 0;
  for (int i = 0; i < 4; ++i) {
    u64 part = 0;
    if (i > 0 && !(rest.starts_with('.') && (rest.remove_prefix(1), true))) return not_a("address", text, "10.0.0.7");
    if (rest.empty() || rest[0] < '0' || rest[0] > '9' || rest.starts_with("0x") || !parse_number(rest, part) ||
        part > 255) {
      return not_a("address", text, "10.0.0.7");
    }
    address = address << 8 | static_cast<u32>(part);
  }
  if (!rest.empty()) return not_a("address", text, "10.0.0.7");
  return address;
}

Result<Subnet> parse_subnet(const std::string& text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string::npos) return not_a("subnet", text, "10.0.0.0/24");
  const Result<u32> address = parse_ipv4(text.substr(0, slash));
  std::string_view rest = std::string_view(text).substr(slash + 1);
  u64 bits = 0;
  if (!address || !parse_number(rest, bits) || !rest.empty() || bits < 8 || bits > 30) {
    return not_a("subnet with a prefix of 8 to 30 bits", text, "10.0.0.0/24");
  }
  if ((address.value() & (~u32{0} >> bits)) != 0) {
    return Error{fmt::format("\"{}\" has bits behind its prefix; write \"{}/{}\".", text,
                             format_ipv4(address.value() & ~(~u32{0} >> bits)), bits)};
  }
  return Subnet{address.value(), static_cast<u32>(bits)};
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

std::string format_ipv4(u32 address) {
  return fmt::format("{}.{}.{}.{}", address >> 24, address >> 16 & 255, address >> 8 & 255, address & 255);
}

std::string format_seconds(u64 ns) { return fmt::format("{}.{:06} s", ns / 1'000'000'000, ns % 1'000'000'000 / 1000); }

}  // namespace bhvm::cli
