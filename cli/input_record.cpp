#include "cli/input_record.h"

#include <fmt/format.h>

#include <charconv>

namespace bhvm::cli {
namespace {

constexpr std::string_view kHeader = "bhvm-input 1";

std::string_view next_word(std::string_view& rest) {
  while (!rest.empty() && rest[0] == ' ') rest.remove_prefix(1);
  const std::size_t end = std::min(rest.find(' '), rest.size());
  const std::string_view word = rest.substr(0, end);
  rest.remove_prefix(end);
  return word;
}

bool parse_decimal(std::string_view word, u64& value) {
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  return error == std::errc{} && end == word.data() + word.size();
}

bool parse_hexadecimal(std::string_view word, std::vector<u8>& bytes) {
  if (word.empty() || word.size() % 2 != 0) return false;
  for (std::size_t i = 0; i < word.size(); i += 2) {
    u8 byte = 0;
    const auto [end, error] = std::from_chars(word.data() + i, word.data() + i + 2, byte, 16);
    if (error != std::errc{} || end != word.data() + i + 2) return false;
    bytes.push_back(byte);
  }
  return true;
}

}  // namespace

std::string input_file_header() { return fmt::format("{}\n", kHeader); }

std::string format_input_record(u64 instructions, u64 time_ns, std::span<const u8> bytes) {
  std::string line = fmt::format("{} {} ", instructions, time_ns);
  for (const u8 byte : bytes) line += fmt::format("{:02x}", byte);
  return line + '\n';
}

Result<std::vector<InputRecord>> parse_input_file(std::string_view text, const std::string& name) {
  std::vector<InputRecord> records;
  std::size_t number = 0;
  bool header_seen = false;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    ++number;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || line[0] == '#') continue;
    if (!header_seen) {
      if (line != kHeader) break;
      header_seen = true;
      continue;
    }
    InputRecord record;
    const bool ok = parse_decimal(next_word(line), record.instructions) &&
                    parse_decimal(next_word(line), record.time_ns) &&
                    parse_hexadecimal(next_word(line), record.bytes) && next_word(line).empty();
    if (!ok) {
      return Error{
          fmt::format("{}, line {}: not \"<instructions> <nanoseconds> <bytes in hexadecimal>\".", name, number)};
    }
    if (!records.empty() &&
        (record.instructions < records.back().instructions || record.time_ns < records.back().time_ns)) {
      return Error{fmt::format("{}, line {}: earlier than the line before it; the lines must ascend.", name, number)};
    }
    records.push_back(std::move(record));
  }
  if (!header_seen) {
    return Error{fmt::format("{} is no recorded console input: its first line is not \"{}\"; record one with --record.",
                             name, kHeader)};
  }
  return records;
}

}  // namespace bhvm::cli
