#include "cpu/system/translate.h"

#include "cpu/integer/translate.h"
#include "cpu/system/control_registers.h"
#include "cpu/system/cpuid.h"
#include "cpu/system/far_transfer.h"
#include "cpu/system/fast_calls.h"
#include "cpu/system/flag_instructions.h"
#include "cpu/system/interrupts.h"
#include "cpu/system/io.h"
#include "cpu/system/msr.h"
#include "cpu/system/operands.h"
#include "cpu/system/random.h"
#include "cpu/system/segments.h"
#include "cpu/undefined.h"

namespace bhvm {

namespace {

u8 operand_bytes(const Instruction& insn) { return static_cast<u8>(insn.z.operand_width / 8); }

Op& emit(BlockBuilder& block, const Instruction& insn, Handler handler, const Params& params) {
  Op& op = block.emit_system(handler, insn);
  op.imm = params.pack();
  return op;
}

/// An instruction without operands of its own, or whose only parameter is the operand size.
template <SystemFunction function>
bool translate_plain(BlockBuilder& block, const Instruction& insn) {
  emit(block, insn, system_op<function>, {.size = operand_bytes(insn)});
  return true;
}

/// One r/m operand at `i`: in a register at Op::src, or in memory at cpu.scratch_address.
Op& emit_rm(BlockBuilder& block, const Instruction& insn, Handler handler, unsigned i, Params params) {
  params.memory = insn.is_memory(i);
  if (params.memory) block.address_to_scratch(insn, insn.operand(i));
  Op& op = emit(block, insn, handler, params);
  if (!params.memory) op.src = BlockBuilder::offset_of(insn.operand(i).reg.value);
  return op;
}

template <SystemFunction function>
bool translate_rm(BlockBuilder& block, const Instruction& insn) {
  emit_rm(block, insn, system_op<function>, 0, {.size = operand_bytes(insn)});
  return true;
}

/// LAR, LSL: destination register, r/m16.
template <SystemFunction function>
bool translate_reg_rm(BlockBuilder& block, const Instruction& insn) {
  Op& op = emit_rm(block, insn, system_op<function>, 1, {.size = operand_bytes(insn)});
  op.dst = BlockBuilder::offset_of(insn.operand(0).reg.value);
  return true;
}

/// ARPL: r/m16, register. In 64-bit mode its opcode is MOVSXD.
bool translate_arpl(BlockBuilder& block, const Instruction& insn) {
  Op& op = emit_rm(block, insn, system_op<arpl>, 0, {.size = 2});
  op.dst = BlockBuilder::offset_of(insn.operand(1).reg.value);
  return true;
}

/// LGDT, LIDT, SGDT, SIDT: the operand size is the code segment's in 64-bit mode.
template <SystemFunction function>
bool translate_table(BlockBuilder& block, const Instruction& insn) {
  const u8 size = insn.code64() ? u8{8} : operand_bytes(insn);
  emit_rm(block, insn, system_op<function>, 0, {.size = size});
  return true;
}

template <SegmentIndex segment>
bool translate_load_far_pointer(BlockBuilder& block, const Instruction& insn) {
  Op& op = emit_rm(block, insn, system_op<load_far_pointer>, 1, {.size = operand_bytes(insn), .number = segment});
  op.dst = BlockBuilder::offset_of(insn.operand(0).reg.value);
  return true;
}

/// RDRAND, RDSEED.
bool translate_random(BlockBuilder& block, const Instruction& insn) {
  Op& op = emit(block, insn, system_op<random_number>, {.size = operand_bytes(insn)});
  op.dst = BlockBuilder::offset_of(insn.operand(0).reg.value);
  return true;
}

// ---- software interrupts ----

bool int_n(Cpu& cpu, const Op& op) {
  return deliver_software(cpu, static_cast<u8>(Params::of(op).value), SoftwareInterrupt::kIntN);
}
bool int1(Cpu& cpu, const Op&) { return deliver_software(cpu, vector::kDebug, SoftwareInterrupt::kInt1); }
bool into(Cpu& cpu, const Op&) {
  return (cpu.s.rflags & rflags::kOf) == 0 || deliver_software(cpu, vector::kOverflow, SoftwareInterrupt::kIntN);
}

bool translate_int(BlockBuilder& block, const Instruction& insn) {
  emit(block, insn, system_op<int_n>, {.value = static_cast<u32>(insn.operand(0).imm.value.u & 0xFF)});
  return true;
}
bool translate_int3(BlockBuilder& block, const Instruction& insn) {
  emit(block, insn, system_op<int_n>, {.value = vector::kBreakpoint});
  return true;
}

// ---- instructions that stay in their block ----

template <auto handler>
bool translate_in_block(BlockBuilder& block, const Instruction& insn) {
  Op& op = block.emit(handler);
  op.disp = static_cast<i32>(insn.length());
  op.imm = Params{.size = 8}.pack();
  return true;
}

/// PUSHF and POPF have a form of their own for 64 bits; a non-canonical RSP is #SS.
template <auto handler, SystemFunction function>
bool translate_flags64(BlockBuilder& block, const Instruction& insn) {
  if (!insn.code64()) return translate_plain<function>(block, insn);
  translate_in_block<handler>(block, insn);
  block.ops().back().scale = Op::kStackSegment;
  return true;
}

template <SegmentIndex segment>
bool translate_read_base(BlockBuilder& block, const Instruction& insn) {
  const bool wide = insn.width(0) == 64;
  block.emit(wide ? read_segment_base<segment, u64> : read_segment_base<segment, u32>).dst =
      BlockBuilder::offset_of(insn.operand(0).reg.value);
  return true;
}

template <SegmentIndex segment>
bool translate_write_base(BlockBuilder& block, const Instruction& insn) {
  const bool wide = insn.width(0) == 64;
  block.emit(wide ? write_segment_base<segment, u64> : write_segment_base<segment, u32>).src =
      BlockBuilder::offset_of(insn.operand(0).reg.value);
  return true;
}

// ---- ports ----

/// IN and OUT: `port` is the operand that names the port.
template <SystemFunction function, unsigned port>
bool translate_port(BlockBuilder& block, const Instruction& insn) {
  const unsigned data = 1 - port;
  const bool immediate = insn.is_immediate(port);
  emit(block, insn, system_op<function>,
       {.size = static_cast<u8>(insn.width(data) / 8),
        .memory = !immediate,
        .number = immediate ? static_cast<u8>(insn.operand(port).imm.value.u) : u8{0}});
  return true;
}

template <SystemFunction function, unsigned memory>
bool translate_string_port(BlockBuilder& block, const Instruction& insn) {
  const ZydisDecodedOperand& m = insn.operand(memory);
  const StringIo io{.size = static_cast<u8>(insn.width(memory) / 8),
                    .address_size = static_cast<u8>(insn.z.address_width / 8),
                    .repeat = insn.has(ZYDIS_ATTRIB_HAS_REP),
                    .segment = static_cast<u8>(m.mem.segment - ZYDIS_REGISTER_ES)};
  block.emit_system(system_op<function>, insn).imm = io.pack();
  return true;
}

// ---- SYSCALL and its kin where they do not exist ----

template <SystemFunction function>
bool translate_64bit_only(BlockBuilder& block, const Instruction& insn) {
  return insn.code64() ? translate_plain<function>(block, insn) : emit_invalid_opcode(block);
}

/// RSM: outside system-management mode, which is not there, #UD.
bool translate_never(BlockBuilder& block, const Instruction&) { return emit_invalid_opcode(block); }

struct Row {
  ZydisMnemonic mnemonic;
  Translator translator;
};

constexpr Row kRows[] = {
    {ZYDIS_MNEMONIC_ARPL, translate_arpl},
    {ZYDIS_MNEMONIC_CLAC, translate_in_block<clac>},
    {ZYDIS_MNEMONIC_CLFLUSH, translate_rm<clflush>},
    {ZYDIS_MNEMONIC_CLI, translate_in_block<cli_inline>},
    {ZYDIS_MNEMONIC_CLTS, translate_plain<clts>},
    {ZYDIS_MNEMONIC_CPUID, translate_plain<cpuid>},
    {ZYDIS_MNEMONIC_HLT, translate_plain<hlt>},
    {ZYDIS_MNEMONIC_IN, translate_port<port_in, 1>},
    {ZYDIS_MNEMONIC_INSB, translate_string_port<string_in, 0>},
    {ZYDIS_MNEMONIC_INSD, translate_string_port<string_in, 0>},
    {ZYDIS_MNEMONIC_INSW, translate_string_port<string_in, 0>},
    {ZYDIS_MNEMONIC_INT, translate_int},
    {ZYDIS_MNEMONIC_INT1, translate_plain<int1>},
    {ZYDIS_MNEMONIC_INT3, translate_int3},
    {ZYDIS_MNEMONIC_INTO, translate_plain<into>},
    {ZYDIS_MNEMONIC_INVD, translate_plain<cache_nothing>},
    {ZYDIS_MNEMONIC_INVLPG, translate_rm<invlpg>},
    {ZYDIS_MNEMONIC_IRET, translate_plain<interrupt_return>},
    {ZYDIS_MNEMONIC_IRETD, translate_plain<interrupt_return>},
    {ZYDIS_MNEMONIC_IRETQ, translate_plain<interrupt_return>},
    {ZYDIS_MNEMONIC_LAR, translate_reg_rm<lar>},
    {ZYDIS_MNEMONIC_LDS, translate_load_far_pointer<kDs>},
    {ZYDIS_MNEMONIC_LES, translate_load_far_pointer<kEs>},
    {ZYDIS_MNEMONIC_LFS, translate_load_far_pointer<kFs>},
    {ZYDIS_MNEMONIC_LGDT, translate_table<lgdt>},
    {ZYDIS_MNEMONIC_LGS, translate_load_far_pointer<kGs>},
    {ZYDIS_MNEMONIC_LIDT, translate_table<lidt>},
    {ZYDIS_MNEMONIC_LLDT, translate_rm<lldt>},
    {ZYDIS_MNEMONIC_LMSW, translate_rm<lmsw>},
    {ZYDIS_MNEMONIC_LSL, translate_reg_rm<lsl>},
    {ZYDIS_MNEMONIC_LSS, translate_load_far_pointer<kSs>},
    {ZYDIS_MNEMONIC_LTR, translate_rm<ltr>},
    {ZYDIS_MNEMONIC_OUT, translate_port<port_out, 0>},
    {ZYDIS_MNEMONIC_OUTSB, translate_string_port<string_out, 1>},
    {ZYDIS_MNEMONIC_OUTSD, translate_string_port<string_out, 1>},
    {ZYDIS_MNEMONIC_OUTSW, translate_string_port<string_out, 1>},
    {ZYDIS_MNEMONIC_POPF, translate_plain<popf>},
    {ZYDIS_MNEMONIC_POPFD, translate_plain<popf>},
    {ZYDIS_MNEMONIC_POPFQ, translate_flags64<popf64_inline, popf>},
    {ZYDIS_MNEMONIC_PUSHF, translate_plain<pushf>},
    {ZYDIS_MNEMONIC_PUSHFD, translate_plain<pushf>},
    {ZYDIS_MNEMONIC_PUSHFQ, translate_flags64<pushf64_inline, pushf>},
    {ZYDIS_MNEMONIC_RDFSBASE, translate_read_base<kFs>},
    {ZYDIS_MNEMONIC_RDGSBASE, translate_read_base<kGs>},
    {ZYDIS_MNEMONIC_RDMSR, translate_plain<rdmsr>},
    {ZYDIS_MNEMONIC_RDPMC, translate_plain<rdpmc>},
    {ZYDIS_MNEMONIC_RDRAND, translate_random},
    {ZYDIS_MNEMONIC_RDSEED, translate_random},
    {ZYDIS_MNEMONIC_RDTSC, translate_in_block<rdtsc>},
    {ZYDIS_MNEMONIC_RDTSCP, translate_in_block<rdtscp>},
    {ZYDIS_MNEMONIC_RSM, translate_never},
    {ZYDIS_MNEMONIC_SGDT, translate_table<sgdt>},
    {ZYDIS_MNEMONIC_SIDT, translate_table<sidt>},
    {ZYDIS_MNEMONIC_SLDT, translate_rm<sldt>},
    {ZYDIS_MNEMONIC_SMSW, translate_rm<smsw>},
    {ZYDIS_MNEMONIC_STAC, translate_in_block<stac>},
    {ZYDIS_MNEMONIC_STI, translate_in_block<sti_inline>},
    {ZYDIS_MNEMONIC_STR, translate_rm<str>},
    {ZYDIS_MNEMONIC_SWAPGS, translate_in_block<swapgs>},
    {ZYDIS_MNEMONIC_SYSCALL, translate_64bit_only<syscall>},
    {ZYDIS_MNEMONIC_SYSENTER, translate_plain<sysenter>},
    {ZYDIS_MNEMONIC_SYSEXIT, translate_plain<sysexit>},
    {ZYDIS_MNEMONIC_SYSRET, translate_64bit_only<sysret>},
    {ZYDIS_MNEMONIC_VERR, translate_rm<verr>},
    {ZYDIS_MNEMONIC_VERW, translate_rm<verw>},
    {ZYDIS_MNEMONIC_WBINVD, translate_plain<cache_nothing>},
    {ZYDIS_MNEMONIC_WRFSBASE, translate_write_base<kFs>},
    {ZYDIS_MNEMONIC_WRGSBASE, translate_write_base<kGs>},
    {ZYDIS_MNEMONIC_WRMSR, translate_plain<wrmsr>},
};

u8 segment_number(ZydisRegister reg) { return static_cast<u8>(reg - ZYDIS_REGISTER_ES); }

bool translate_far_branch(BlockBuilder& block, const Instruction& insn, Handler handler) {
  const ZydisDecodedOperand& target = insn.operand(0);
  if (target.type == ZYDIS_OPERAND_TYPE_POINTER) {
    Op& op = emit(block, insn, handler, {.size = operand_bytes(insn), .value = target.ptr.offset});
    op.dst = target.ptr.segment;
    return true;
  }
  emit_rm(block, insn, handler, 0, {.size = operand_bytes(insn)});
  return true;
}

}  // namespace

void register_system(TranslatorTable& table) {
  for (const Row& row : kRows) table.add(row.mnemonic, row.translator);
}

bool translate_push_segment(BlockBuilder& block, const Instruction& insn) {
  const u8 number = segment_number(insn.operand(0).reg.value);
  emit(block, insn, system_op<push_segment>, {.size = operand_bytes(insn), .number = number});
  return true;
}

bool translate_pop_segment(BlockBuilder& block, const Instruction& insn) {
  const u8 number = segment_number(insn.operand(0).reg.value);
  emit(block, insn, system_op<pop_segment>, {.size = operand_bytes(insn), .number = number});
  return true;
}

bool translate_far_jump(BlockBuilder& block, const Instruction& insn) {
  return translate_far_branch(block, insn, system_op<far_jump>);
}

bool translate_far_call(BlockBuilder& block, const Instruction& insn) {
  return translate_far_branch(block, insn, system_op<far_call>);
}

bool translate_far_return(BlockBuilder& block, const Instruction& insn) {
  const bool drops = insn.z.operand_count_visible != 0 && insn.is_immediate(0);
  const u32 bytes = drops ? static_cast<u32>(insn.operand(0).imm.value.u & 0xFFFF) : 0;
  emit(block, insn, system_op<far_return>, {.size = operand_bytes(insn), .value = bytes});
  return true;
}

bool integer::translate_mov_special(BlockBuilder& block, const Instruction& insn) {
  struct Kind {
    ZydisRegister first;
    unsigned count;
    Handler to;
    Handler from;
  };
  static constexpr Kind kKinds[] = {
      {ZYDIS_REGISTER_ES, 6, system_op<mov_to_segment>, system_op<mov_from_segment>},
      {ZYDIS_REGISTER_CR0, 16, system_op<mov_to_control>, system_op<mov_from_control>},
      {ZYDIS_REGISTER_DR0, 16, system_op<mov_to_debug>, system_op<mov_from_debug>},
  };
  for (unsigned special = 0; special < 2; ++special) {
    if (!insn.is_register(special)) continue;
    for (const Kind& kind : kKinds) {
      const unsigned number = static_cast<unsigned>(insn.operand(special).reg.value - kind.first);
      if (insn.operand(special).reg.value < kind.first || number >= kind.count) continue;
      const unsigned general = 1 - special;
      Op& op = emit_rm(block, insn, special == 0 ? kind.to : kind.from, general,
                       {.size = operand_bytes(insn), .number = static_cast<u8>(number)});
      op.dst = op.src;
      return true;
    }
  }
  return false;
}

}  // namespace bhvm
