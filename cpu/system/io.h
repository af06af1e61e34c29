// IN, OUT, INS and OUTS (SDM 1, chapter 19; SDM 2).
//
// A repeated INS or OUTS moves one element each time it is executed and stays where it is until RCX is 0; every element
// counts as an instruction, so that time goes on.
#pragma once

#include "cpu/system_op.h"

namespace bhvm {

// Params::size is the data's; the port is Params::number, or DX when Params::memory is set.
bool port_in(Cpu& cpu, const Op& op);
bool port_out(Cpu& cpu, const Op& op);

/// Op::imm of INS and OUTS.
struct StringIo {
  u8 size = 0;
  u8 address_size = 0;
  bool repeat = false;
  u8 segment = 0;  // of the source of OUTS

  constexpr i64 pack() const { return size | (address_size << 8) | (repeat ? 0x10000 : 0) | (segment << 24); }
  static constexpr StringIo of(const Op& op) {
    const u32 bits = static_cast<u32>(op.imm);
    return {static_cast<u8>(bits), static_cast<u8>(bits >> 8), (bits & 0x10000) != 0, static_cast<u8>(bits >> 24)};
  }
};
bool string_in(Cpu& cpu, const Op& op);
bool string_out(Cpu& cpu, const Op& op);

}  // namespace bhvm
