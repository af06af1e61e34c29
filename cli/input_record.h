// Console input with the exact moment it reached the machine: what --record writes and --input replays.
//
// A text file. The first line is "bhvm-input 1"; each other line is
//   <instructions> <virtual time in ns> <bytes in hexadecimal>
// in ascending order: once that many instructions have retired and that time is reached, the bytes are typed. Empty
// lines and lines that begin with # are skipped.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/types.h"

namespace bhvm::cli {

struct InputRecord {
  u64 instructions = 0;
  u64 time_ns = 0;
  std::vector<u8> bytes;
};

std::string input_file_header();
std::string format_input_record(u64 instructions, u64 time_ns, std::span<const u8> bytes);
/// An error names the line that is wrong.
Result<std::vector<InputRecord>> parse_input_file(std::string_view text, const std::string& name);

}  // namespace bhvm::cli
