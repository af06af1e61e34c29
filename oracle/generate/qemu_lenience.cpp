#include "oracle/generate/qemu_lenience.h"

namespace bhvm::oracle {
namespace {

struct Row {
  OpcodeMap map;
  u8 first, last;  // opcodes
  u8 regs;         // ModRM.reg values, a bit each
  bool memory;     // memory operands
  bool registers;  // register operands
  bool prefixed;   // only with 66, F2 or F3
  std::string_view why;
};

constexpr u8 kAllRegs = 0xFF;
constexpr Row kRows[] = {
    {OpcodeMap::kOneByte, 0xC6, 0xC7, 0xFE, true, true, false, "C6 and C7 are MOV for any ModRM.reg"},
    {OpcodeMap::kOneByte, 0xFF, 0xFF, 0x80, true, false, false, "FF /7 reads its operand before it is undefined"},
    {OpcodeMap::k0F, 0x12, 0x12, kAllRegs, false, true, true, "66 is ignored with 0F 12 and 0F 16 between registers"},
    {OpcodeMap::k0F, 0x16, 0x16, kAllRegs, false, true, true, "66 is ignored with 0F 12 and 0F 16 between registers"},
    {OpcodeMap::k0F, 0x20, 0x23, kAllRegs, true, true, false, "privilege is checked before the register's number"},
    {OpcodeMap::k0F, 0x77, 0x77, kAllRegs, true, true, true, "EMMS ignores prefixes"},
    {OpcodeMap::k0F, 0xAE, 0xAE, 0x3F, true, false, true, "0F AE ignores prefixes"},
    {OpcodeMap::k0F, 0xAE, 0xAE, kAllRegs, false, true, true, "0F AE ignores prefixes"},
    {OpcodeMap::k0F, 0xBA, 0xBA, 0x0F, true, false, false,
     "0F BA /0 to /3 read their operand before they are undefined"},
    {OpcodeMap::k0F, 0xC3, 0xC3, kAllRegs, true, true, true, "MOVNTI ignores prefixes"},
    {OpcodeMap::k0F, 0xE7, 0xE7, kAllRegs, false, true, false, "MOVNTQ and MOVNTDQ take registers"},
};

bool has_reg(const Encoding& e, u8 regs) {
  for (unsigned reg = 0; reg < 8; ++reg) {
    if ((e.modrm >> (8 * reg) & 0xFF) != 0 && (regs >> reg & 1) != 0) return true;
  }
  return false;
}

}  // namespace

std::string_view qemu_lenience(const Encoding& e) {
  if (e.lock) return "LOCK is ignored by most instructions, and a bit test of a register with LOCK ends QEMU";
  if (e.map == OpcodeMap::kXop) return "8F is POP for any ModRM.reg";
  const bool prefixed = e.operand_size || e.repeat != 0;
  for (const Row& row : kRows) {
    if (row.map != e.map || e.opcode < row.first || e.opcode > row.last) continue;
    if (row.prefixed && !prefixed) continue;
    if (!(e.memory ? row.memory : row.registers)) continue;
    if (!e.has_modrm || has_reg(e, row.regs)) return row.why;
  }
  return {};
}

}  // namespace bhvm::oracle
