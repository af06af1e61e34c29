// The instruction that is about to run, as far as a lockstep run must know it.
#pragma once

#include <Zydis/Zydis.h>

#include <array>
#include <span>
#include <string>
#include <vector>

#include "machine/linear_view.h"
#include "oracle/lockstep/rules.h"

namespace bhvm::lockstep {

struct InstructionInfo {
  bool known = false;  // its bytes could be read and decoded
  ZydisMnemonic mnemonic = ZYDIS_MNEMONIC_INVALID;
  u8 length = 0;
  bool repeated = false;               // REP, REPE or REPNE before a string instruction
  u64 count_mask = ~u64{0};            // of RCX, by the address size
  bool device_data_to_memory = false;  // what it reads goes to memory: a device's value would go unseen
  u16 registers_written = 0;           // bit i: general register i, in whole or in part
  bool flags_written = false;
  // A shift or rotation: its operand's bits, and its count unless that is in CL.
  unsigned shift_width = 0;
  bool shift_by_cl = false;
  u64 shift_immediate = 1;
};

/// Decodes what stands at the CPU's instruction pointer, out of a cache that checks the bytes.
class InstructionReader {
 public:
  InstructionReader();
  const InstructionInfo& at(const GuestMemory& memory, const CpuState& cpu);

 private:
  struct Entry {
    u64 rip = 0;
    u8 mode = 0;
    std::array<u8, ZYDIS_MAX_INSTRUCTION_LENGTH> bytes{};
    InstructionInfo info{};
  };
  std::vector<Entry> entries_;
  InstructionInfo unknown_;
};

/// The instruction at the CPU's instruction pointer as text, with its bytes.
std::string disassemble(const GuestMemory& memory, const CpuState& cpu);

}  // namespace bhvm::lockstep
