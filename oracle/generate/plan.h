// A plan: what the cases of a group must arrange, read off its decoded instruction once.
#pragma once

#include <array>

#include "oracle/generate/instance.h"
#include "oracle/generate/values.h"

namespace bhvm::oracle {

inline constexpr int kNoRegister = -1;
inline constexpr int kInstructionPointer = -2;

/// A memory operand of the group's main instruction.
struct Access {
  int base = kNoRegister;  // encoding order
  int index = kNoRegister;
  unsigned scale = 1;
  i64 displacement = 0;
  unsigned segment = 0;  // 64-bit code: 1 for FS, 2 for GS
  unsigned address_bits = 64;
  u32 size = 0;  // bytes
  ValueKind kind = ValueKind::kInteger;
  bool reads = false;
  bool writes = false;
  bool hidden = false;
  bool stack = false;  // at the stack pointer, hidden
};

struct Plan {
  const Instance* main = nullptr;
  Mode mode = Mode::kUser64;
  bool code64 = true;
  bool kernel = false;
  u64 entry = 0;  // linear, of the group's first byte
  u64 next = 0;   // linear, behind the main instruction
  CodePlace place;
  std::array<Access, 3> accesses;
  unsigned access_count = 0;
  bool single_step = false;      // TF in some cases
  bool alignment_check = false;  // AC in some cases
  bool odd_flags = false;        // NT, RF and IF in some cases

  const Instruction& insn() const { return main->insn; }
  const Access* explicit_access() const;
};

Plan make_plan(const Instance& main, Mode mode, u64 entry, u64 address, const CodePlace& place);

/// Number of a general register in encoding order, of AH to BH that of the register they are part of; else kNoRegister.
int gpr_number(ZydisRegister reg);
ValueKind value_kind(const ZydisDecodedOperand& operand);

}  // namespace bhvm::oracle
