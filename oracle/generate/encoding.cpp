#include "oracle/generate/encoding.h"

#include <algorithm>

namespace bhvm::oracle {
namespace {

void add_opcode(Bytes& out, const Encoding& e) {
  if (e.map != OpcodeMap::kOneByte) out.add(0x0F);
  if (e.map == OpcodeMap::k0F38) out.add(0x38);
  if (e.map == OpcodeMap::k0F3A) out.add(0x3A);
  if (e.map == OpcodeMap::k3DNow) out.add(0x0F);
  if (e.map != OpcodeMap::k3DNow) out.add(e.opcode);
}

/// VEX, EVEX: the payload is random but for the map, and in 32-bit code for the bits that tell it from LDS, LES,
/// BOUND.
void add_enclosed_opcode(Bytes& out, const Encoding& e, const Choices& c) {
  const u8 map = static_cast<u8>(1 + (c.sib & 1) + (c.sib >> 1 & 1));  // 0F, 0F38 or 0F3A
  switch (e.map) {
    case OpcodeMap::kVex2:
      out.add(0xC5);
      out.add(static_cast<u8>(0xC0 | (c.sib & 0x3F)));
      break;
    case OpcodeMap::kVex3:
      out.add(0xC4);
      out.add(static_cast<u8>(0xE0 | map));
      out.add(c.sib);
      break;
    case OpcodeMap::kEvex:
      out.add(0x62);
      out.add(static_cast<u8>(0xF0 | map));
      out.add(static_cast<u8>(c.sib | 4));
      out.add(static_cast<u8>(c.tail[7] | 8));
      break;
    default:
      break;
  }
  out.add(c.tail[6]);  // the opcode
}

}  // namespace

Bytes assemble(const Encoding& e, const Choices& c, bool code64) {
  Bytes out;
  for (unsigned i = 0; i < c.redundant_count; ++i) out.add(c.redundant[i]);
  if (e.lock) out.add(0xF0);
  if (e.address_size) out.add(0x67);
  if (e.operand_size) out.add(0x66);
  if (e.repeat != 0) out.add(e.repeat);
  const bool enclosed = e.map >= OpcodeMap::kVex2 && e.map <= OpcodeMap::kEvex;
  if (code64 && !enclosed) {
    const u8 rex = static_cast<u8>(0x40 | (e.rex_w ? 8 : 0) | c.rex_rxb | (e.rex_r ? 4 : 0));
    if (rex != 0x40 || c.rex) out.add(rex);
  }
  if (enclosed)
    add_enclosed_opcode(out, e, c);
  else if (e.map == OpcodeMap::kTooLong)
    out.add(0x90);
  else
    add_opcode(out, e);
  if (e.has_modrm) {
    out.add(static_cast<u8>(c.mod << 6 | c.reg << 3 | c.rm));
    const bool narrow =
        !code64 && (e.address_size || std::find(c.redundant.begin(), c.redundant.begin() + c.redundant_count, 0x67) !=
                                          c.redundant.begin() + c.redundant_count);
    if (c.mod != 3 && c.rm == 4 && !narrow) out.add(c.sib);
  }
  for (const u8 byte : c.tail) out.add(byte);
  return out;
}

bool decode(const Decoder& decoder, std::span<const u8> bytes, bool code64, Instruction& insn) {
  insn.page_offset = 0;
  insn.mode = mode_key(code64);
  return decoder.decode(bytes, code64, insn) == Decoded::kYes;
}

u32 mode_key(bool code64) {
  constexpr u32 kCommon = mode::kFpuUsable | mode::kSseUsable | mode::kMonitorFpu | mode::kXsave;
  return kCommon | (code64 ? mode::kCode64 : mode::kCode32 | mode::kStack32 | mode::kFlat);
}

}  // namespace bhvm::oracle
