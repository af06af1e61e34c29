// LDMXCSR, STMXCSR, fences and prefetches.
#include "cpu/sse/forms.h"
#include "cpu/sse/host_fp.h"
#include "cpu/sse/translate.h"
#include "cpu/system_op.h"

namespace bhvm::sse {
namespace {

bool all_masked(u32 value) { return (value & mxcsr::kMasks) == mxcsr::kMasks; }

/// LDMXCSR where the mode key changes: code decoded for the old one ends here.
bool load_mxcsr_and_mode(Cpu& cpu, const Op&) {
  u32 value;
  if (!cpu.read_linear(cpu.scratch_address, &value, sizeof(value))) return false;
  if ((value & ~mxcsr::kWritable) != 0) return cpu.raise(vector::kGeneralProtection);
  cpu.s.mxcsr = value;
  cpu.update_mode();
  return true;
}

/// The operand's address is in cpu.scratch_address, as system instructions have it.
BHVM_HANDLER(ldmxcsr) {
  u32 value;
  if (!load(cpu, cpu.scratch_address, value)) BHVM_FAULT;
  if (BHVM_UNLIKELY((value & ~mxcsr::kWritable) != 0)) BHVM_BECOME(raise_general_protection);
  if (BHVM_UNLIKELY(all_masked(value) != all_masked(cpu.s.mxcsr))) BHVM_BECOME(system_op<load_mxcsr_and_mode>);
  load_mxcsr(cpu, value);
  BHVM_NEXT;
}
bool translate_ldmxcsr(BlockBuilder& block, const Instruction& insn) {
  if (!sse_usable(block, insn)) return true;
  block.address_to_scratch(insn, insn.operand(0));
  Op& op = block.emit(ldmxcsr);
  op.disp = static_cast<i32>(insn.length());
  if (insn.operand(0).mem.segment == ZYDIS_REGISTER_SS) op.scale = Op::kStackSegment;
  return true;
}

BHVM_HANDLER(stmxcsr) {
  sync_mxcsr(cpu);
  if (!store(cpu, address_of(cpu, op), cpu.s.mxcsr)) BHVM_FAULT;
  BHVM_NEXT;
}
bool translate_stmxcsr(BlockBuilder& block, const Instruction& insn) {
  if (!sse_usable(block, insn)) return true;
  block.emit(stmxcsr, block.address(insn, insn.operand(0)));
  return true;
}

/// One processor, in order, without caches a guest could see: nothing to do.
bool translate_no_operation(BlockBuilder&, const Instruction&) { return true; }

constexpr Row kRows[] = {
    {ZYDIS_MNEMONIC_LDMXCSR, translate_ldmxcsr},         {ZYDIS_MNEMONIC_STMXCSR, translate_stmxcsr},
    {ZYDIS_MNEMONIC_SFENCE, translate_no_operation},     {ZYDIS_MNEMONIC_LFENCE, translate_no_operation},
    {ZYDIS_MNEMONIC_MFENCE, translate_no_operation},     {ZYDIS_MNEMONIC_PREFETCHNTA, translate_no_operation},
    {ZYDIS_MNEMONIC_PREFETCHT0, translate_no_operation}, {ZYDIS_MNEMONIC_PREFETCHT1, translate_no_operation},
    {ZYDIS_MNEMONIC_PREFETCHT2, translate_no_operation}, {ZYDIS_MNEMONIC_PREFETCH, translate_no_operation},
    {ZYDIS_MNEMONIC_PREFETCHW, translate_no_operation},  {ZYDIS_MNEMONIC_PREFETCHWT1, translate_no_operation},
};

}  // namespace

void register_control(TranslatorTable& table) {
  for (const Row& row : kRows) table.add(row.mnemonic, row.translator);
}

}  // namespace bhvm::sse
