// A draft: one case while its registers and memory are being arranged.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <span>

#include "oracle/generate/fpu_state.h"
#include "oracle/generate/plan.h"
#include "oracle/generate/pristine_memory.h"

namespace bhvm::oracle {

struct Draft {
  const Plan& plan;
  Case& c;
  Dice& dice;
  const PristineMemory& pristine;

  /// What the instruction's explicit memory operand shall hold: its first `value_bytes` bytes.
  std::array<u8, 64> value{};
  unsigned value_bytes = 0;
  /// What lies at the stack pointer.
  std::array<u8, 48> stack{};
  unsigned stack_bytes = 0;
  /// The instruction must not find anything else there: some values would put QEMU into a state that no case undoes.
  bool stack_is_exact = false;
  /// By access: where it goes, if a rule says so; what is added to its address beyond base and index; where it went.
  std::array<u64, 3> wanted{};
  std::array<bool, 3> is_wanted{};
  std::array<u64, 3> beyond{};
  std::array<u64, 3> went{};
  u32 taken = 0;  // registers that hold solved addresses
  unsigned patches = 0;

  const Instruction& insn() const { return plan.insn(); }
  u64& gpr(unsigned number) { return c.gpr[number]; }
  /// Sets the low `bits` of the register that an operand names (AH to BH too).
  void set_register(ZydisRegister reg, u64 value_of_it);
  u64 get_register(ZydisRegister reg) const;
  /// Bytes of an XMM, MMX or ST register in the case's image; empty for others.
  std::span<u8> vector_register(ZydisRegister reg);
  template <class T>
  void set_value(unsigned offset, T v) {
    std::memcpy(value.data() + offset, &v, sizeof(T));
    value_bytes = std::max(value_bytes, offset + static_cast<unsigned>(sizeof(T)));
  }
  void set_stack(unsigned offset, u64 v, unsigned bytes);
  void want(unsigned access, u64 target) {
    wanted[access] = target;
    is_wanted[access] = true;
  }
  /// Bytes in memory before the case, as far as patches are left and no code is hit.
  void patch(u64 linear, std::span<const u8> bytes);
  bool can_patch(u64 linear, std::size_t bytes) const;
};

/// Chooses where every access of the plan goes and sets registers and segment bases so that it does.
void solve_accesses(Draft& draft);
/// The linear address of an access with the case's registers.
u64 effective_address(const Plan& plan, const Case& c, const Access& access, u64 beyond);

}  // namespace bhvm::oracle
