// The encodings of the MMX and SSE instructions, for tests: one row an opcode.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "base/types.h"

namespace bhvm::sse_test {

enum class Map : u8 { k0F, k0F38, k0F3A };
/// What the operands are made of, to pick values worth trying.
enum class Values : u8 { kIntegers, kSingles, kDoubles, kStrings };
/// The host feature that the comparison needs.
enum class Needs : u8 { kBaseline, kSsse3, kSse41, kSse42, kAes, kPclmul };

struct Encoding {
  const char* name;
  u8 prefix;  // 0, 66H, F2H or F3H
  Map map;
  u8 opcode;
  Values values = Values::kIntegers;
  bool immediate = false;
  bool rex_w = false;
  int extension = -1;  // of the opcode, in ModRM.reg
  bool memory = true;  // has forms with memory
  bool registers = true;
  Needs needs = Needs::kBaseline;
};

const std::vector<Encoding>& encodings();

/// The instruction with ModRM.reg = `reg` and, in registers, ModRM.rm = `rm`, or memory at [RSI + displacement].
inline std::vector<u8> encode(const Encoding& e, unsigned reg, unsigned rm, bool memory, u8 displacement,
                              u8 immediate) {
  std::vector<u8> bytes;
  if (e.prefix != 0) bytes.push_back(e.prefix);
  const unsigned r = e.extension >= 0 ? static_cast<unsigned>(e.extension) : reg;
  const unsigned rex = (e.rex_w ? 8u : 0u) | (r >= 8 ? 4u : 0u) | (!memory && rm >= 8 ? 1u : 0u);
  if (rex != 0) bytes.push_back(static_cast<u8>(0x40 | rex));
  bytes.push_back(0x0F);
  if (e.map == Map::k0F38) bytes.push_back(0x38);
  if (e.map == Map::k0F3A) bytes.push_back(0x3A);
  bytes.push_back(e.opcode);
  if (memory) {
    bytes.push_back(static_cast<u8>(0x46 | (r & 7) << 3));
    bytes.push_back(displacement);
  } else {
    bytes.push_back(static_cast<u8>(0xC0 | (r & 7) << 3 | (rm & 7)));
  }
  if (e.immediate) bytes.push_back(immediate);
  return bytes;
}

}  // namespace bhvm::sse_test
