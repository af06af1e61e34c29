#include "oracle/generate/form_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace bhvm::oracle {
namespace {

constexpr ZydisInstructionAttributes kRepeats = ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE;

/// RSP, or LEAVE's RBP: hidden operands on the stack. A segment prefix does not move those.
bool is_stack_base(ZydisRegister reg) {
  switch (reg) {
    case ZYDIS_REGISTER_RSP:
    case ZYDIS_REGISTER_ESP:
    case ZYDIS_REGISTER_SP:
    case ZYDIS_REGISTER_RBP:
    case ZYDIS_REGISTER_EBP:
    case ZYDIS_REGISTER_BP:
      return true;
    default:
      return false;
  }
}

bool is_hidden_memory(const ZydisDecodedOperand& operand) {
  return operand.type == ZYDIS_OPERAND_TYPE_MEMORY && operand.visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN;
}

bool has_hidden_memory(const Instruction& insn) {
  return std::any_of(insn.operands, insn.operands + insn.z.operand_count, is_hidden_memory);
}

/// Pushes or pops: the operand size is not to be seen in the operands.
bool uses_stack(const Instruction& insn) {
  return std::any_of(insn.operands, insn.operands + insn.z.operand_count, [](const ZydisDecodedOperand& operand) {
    return is_hidden_memory(operand) && is_stack_base(operand.mem.base);
  });
}

bool is_counted_branch(ZydisMnemonic mnemonic) {
  constexpr ZydisMnemonic kCounted[] = {ZYDIS_MNEMONIC_JCXZ, ZYDIS_MNEMONIC_JECXZ, ZYDIS_MNEMONIC_JRCXZ,
                                        ZYDIS_MNEMONIC_LOOP, ZYDIS_MNEMONIC_LOOPE, ZYDIS_MNEMONIC_LOOPNE};
  return std::find(std::begin(kCounted), std::end(kCounted), mnemonic) != std::end(kCounted);
}

bool is_offset_operand(const ZydisDecodedOperand& operand) {
  return operand.type == ZYDIS_OPERAND_TYPE_MEMORY && operand.encoding == ZYDIS_OPERAND_ENCODING_DISP16_32_64;
}

/// Registers that are named in a signature, because which one it is makes another instruction.
bool is_particular(const ZydisDecodedOperand& operand) {
  if (operand.visibility != ZYDIS_OPERAND_VISIBILITY_EXPLICIT) return true;
  const ZydisRegisterClass c = ZydisRegisterGetClass(operand.reg.value);
  return c == ZYDIS_REGCLASS_SEGMENT || c == ZYDIS_REGCLASS_CONTROL || c == ZYDIS_REGCLASS_DEBUG;
}

class Folder {
 public:
  void add(u64 value) {
    hash_ = (hash_ ^ value) * 0x9E3779B97F4A7C15;
    hash_ ^= hash_ >> 31;
  }
  u64 value() const { return hash_; }

 private:
  u64 hash_ = 0x243F6A8885A308D3;
};

unsigned immediate_bits(const Instruction& insn, const ZydisDecodedOperand& operand) {
  if (operand.visibility != ZYDIS_OPERAND_VISIBILITY_EXPLICIT) return 0;
  unsigned nth = 0;
  for (unsigned i = 0; i < insn.z.operand_count_visible; ++i) {
    if (&insn.operands[i] == &operand) break;
    if (insn.is_immediate(i)) ++nth;
  }
  return insn.z.raw.imm[nth].size;
}

void fold_operand(Folder& folder, const Instruction& insn, const ZydisDecodedOperand& operand) {
  folder.add(operand.type);
  switch (operand.type) {
    case ZYDIS_OPERAND_TYPE_REGISTER:
      folder.add(is_particular(operand) ? 0x1000 + static_cast<u64>(operand.reg.value)
                                        : static_cast<u64>(ZydisRegisterGetClass(operand.reg.value)));
      break;
    case ZYDIS_OPERAND_TYPE_MEMORY:
      folder.add(operand.mem.type == ZYDIS_MEMOP_TYPE_AGEN ? 1 : operand.size);
      folder.add(is_offset_operand(operand) ? insn.z.address_width : 0);
      break;
    case ZYDIS_OPERAND_TYPE_IMMEDIATE:
      folder.add(immediate_bits(insn, operand));
      break;
    default:
      folder.add(operand.size);
      break;
  }
}

std::string operand_name(const Instruction& insn, const ZydisDecodedOperand& operand) {
  switch (operand.type) {
    case ZYDIS_OPERAND_TYPE_REGISTER: {
      if (is_particular(operand)) return ZydisRegisterGetString(operand.reg.value);
      switch (ZydisRegisterGetClass(operand.reg.value)) {
        case ZYDIS_REGCLASS_X87:
          return "st(i)";
        case ZYDIS_REGCLASS_MMX:
          return "mm";
        case ZYDIS_REGCLASS_XMM:
          return "xmm";
        default:
          return fmt::format("r{}", operand.size);
      }
    }
    case ZYDIS_OPERAND_TYPE_MEMORY:
      if (is_offset_operand(operand)) return fmt::format("moffs{}", operand.size);
      if (operand.mem.type == ZYDIS_MEMOP_TYPE_AGEN) return "m";
      return fmt::format("m{}", operand.size);
    case ZYDIS_OPERAND_TYPE_IMMEDIATE: {
      const unsigned bits = immediate_bits(insn, operand);
      if (bits == 0) return fmt::format("{}", operand.imm.value.u);
      return fmt::format("{}{}", operand.imm.is_relative != 0 ? "rel" : "imm", bits);
    }
    default:
      return fmt::format("ptr16:{}", insn.z.operand_width);
  }
}

bool uses_floats(const Instruction& insn) {
  for (unsigned i = 0; i < insn.z.operand_count_visible; ++i) {
    switch (insn.operand(i).element_type) {
      case ZYDIS_ELEMENT_TYPE_FLOAT32:
      case ZYDIS_ELEMENT_TYPE_FLOAT64:
      case ZYDIS_ELEMENT_TYPE_FLOAT80:
        return true;
      default:
        break;
    }
  }
  return false;
}

bool uses_segment_register(const Instruction& insn) {
  for (unsigned i = 0; i < insn.z.operand_count_visible; ++i) {
    if (insn.is_register(i) && ZydisRegisterGetClass(insn.operand(i).reg.value) == ZYDIS_REGCLASS_SEGMENT) return true;
  }
  return false;
}

/// System instructions by name; those marked belong to system cases in kernel modes although they are not privileged.
struct SystemRow {
  ZydisMnemonic mnemonic;
  bool user_only;
};
constexpr SystemRow kSystem[] = {
    {ZYDIS_MNEMONIC_ARPL, false},     {ZYDIS_MNEMONIC_CLAC, true},      {ZYDIS_MNEMONIC_CLFLUSH, false},
    {ZYDIS_MNEMONIC_CLI, true},       {ZYDIS_MNEMONIC_CLTS, true},      {ZYDIS_MNEMONIC_CPUID, false},
    {ZYDIS_MNEMONIC_HLT, true},       {ZYDIS_MNEMONIC_IN, true},        {ZYDIS_MNEMONIC_INSB, true},
    {ZYDIS_MNEMONIC_INSD, true},      {ZYDIS_MNEMONIC_INSW, true},      {ZYDIS_MNEMONIC_INT, true},
    {ZYDIS_MNEMONIC_INT1, true},      {ZYDIS_MNEMONIC_INT3, true},      {ZYDIS_MNEMONIC_INTO, true},
    {ZYDIS_MNEMONIC_INVD, true},      {ZYDIS_MNEMONIC_INVLPG, true},    {ZYDIS_MNEMONIC_IRET, true},
    {ZYDIS_MNEMONIC_IRETD, true},     {ZYDIS_MNEMONIC_IRETQ, true},     {ZYDIS_MNEMONIC_LAR, false},
    {ZYDIS_MNEMONIC_LDS, true},       {ZYDIS_MNEMONIC_LES, true},       {ZYDIS_MNEMONIC_LFS, true},
    {ZYDIS_MNEMONIC_LGDT, true},      {ZYDIS_MNEMONIC_LGS, true},       {ZYDIS_MNEMONIC_LIDT, true},
    {ZYDIS_MNEMONIC_LLDT, true},      {ZYDIS_MNEMONIC_LMSW, true},      {ZYDIS_MNEMONIC_LSL, false},
    {ZYDIS_MNEMONIC_LSS, true},       {ZYDIS_MNEMONIC_LTR, true},       {ZYDIS_MNEMONIC_OUT, true},
    {ZYDIS_MNEMONIC_OUTSB, true},     {ZYDIS_MNEMONIC_OUTSD, true},     {ZYDIS_MNEMONIC_OUTSW, true},
    {ZYDIS_MNEMONIC_POPF, true},      {ZYDIS_MNEMONIC_POPFD, true},     {ZYDIS_MNEMONIC_POPFQ, true},
    {ZYDIS_MNEMONIC_PUSHF, false},    {ZYDIS_MNEMONIC_PUSHFD, false},   {ZYDIS_MNEMONIC_PUSHFQ, false},
    {ZYDIS_MNEMONIC_RDFSBASE, false}, {ZYDIS_MNEMONIC_RDGSBASE, false}, {ZYDIS_MNEMONIC_RDMSR, true},
    {ZYDIS_MNEMONIC_RDPMC, true},     {ZYDIS_MNEMONIC_RDRAND, false},   {ZYDIS_MNEMONIC_RDSEED, false},
    {ZYDIS_MNEMONIC_RDTSC, false},    {ZYDIS_MNEMONIC_RDTSCP, false},   {ZYDIS_MNEMONIC_RSM, true},
    {ZYDIS_MNEMONIC_SGDT, false},     {ZYDIS_MNEMONIC_SIDT, false},     {ZYDIS_MNEMONIC_SLDT, false},
    {ZYDIS_MNEMONIC_SMSW, false},     {ZYDIS_MNEMONIC_STAC, true},      {ZYDIS_MNEMONIC_STI, true},
    {ZYDIS_MNEMONIC_STR, false},      {ZYDIS_MNEMONIC_SWAPGS, true},    {ZYDIS_MNEMONIC_SYSCALL, true},
    {ZYDIS_MNEMONIC_SYSENTER, true},  {ZYDIS_MNEMONIC_SYSEXIT, true},   {ZYDIS_MNEMONIC_SYSRET, true},
    {ZYDIS_MNEMONIC_VERR, false},     {ZYDIS_MNEMONIC_VERW, false},     {ZYDIS_MNEMONIC_WBINVD, true},
    {ZYDIS_MNEMONIC_WRFSBASE, true},  {ZYDIS_MNEMONIC_WRGSBASE, true},  {ZYDIS_MNEMONIC_WRMSR, true},
    {ZYDIS_MNEMONIC_XGETBV, false},   {ZYDIS_MNEMONIC_XSETBV, true},
};

const SystemRow* system_row(ZydisMnemonic mnemonic) {
  const SystemRow* row = std::find_if(std::begin(kSystem), std::end(kSystem),
                                      [mnemonic](const SystemRow& r) { return r.mnemonic == mnemonic; });
  return row != std::end(kSystem) ? row : nullptr;
}

bool is_special(const Instruction& insn) {
  return system_row(insn.z.mnemonic) != nullptr || uses_segment_register(insn) ||
         (insn.z.attributes & ZYDIS_ATTRIB_IS_PRIVILEGED) != 0 || insn.z.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR;
}

const char* family_of_base(const Instruction& insn) {
  switch (insn.z.meta.category) {
    case ZYDIS_CATEGORY_SHIFT:
    case ZYDIS_CATEGORY_ROTATE:
      return "shifts";
    case ZYDIS_CATEGORY_BITBYTE:
      return "bits";
    case ZYDIS_CATEGORY_STRINGOP:
      return "strings";
    case ZYDIS_CATEGORY_PUSH:
    case ZYDIS_CATEGORY_POP:
      return "stack";
    case ZYDIS_CATEGORY_COND_BR:
    case ZYDIS_CATEGORY_UNCOND_BR:
    case ZYDIS_CATEGORY_CALL:
    case ZYDIS_CATEGORY_RET:
      return "branches";
    case ZYDIS_CATEGORY_DATAXFER:
    case ZYDIS_CATEGORY_CMOV:
    case ZYDIS_CATEGORY_SETCC:
    case ZYDIS_CATEGORY_CONVERT:
      return "moves";
    case ZYDIS_CATEGORY_SEMAPHORE:
      return "atomics";
    case ZYDIS_CATEGORY_DECIMAL:
      return "decimal";
    case ZYDIS_CATEGORY_NOP:
    case ZYDIS_CATEGORY_WIDENOP:
    case ZYDIS_CATEGORY_PREFETCH:
      return "nops";
    default:
      break;
  }
  switch (insn.z.mnemonic) {
    case ZYDIS_MNEMONIC_ENTER:
    case ZYDIS_MNEMONIC_LEAVE:
      return "stack";
    case ZYDIS_MNEMONIC_LEA:
    case ZYDIS_MNEMONIC_XLAT:
    case ZYDIS_MNEMONIC_BSWAP:
      return "moves";
    default:
      return "integer alu";
  }
}

}  // namespace

u64 signature_of(const Instruction& insn) {
  Folder folder;
  folder.add(insn.z.mnemonic);
  folder.add((insn.code64() ? 1 : 0) | (insn.has(ZYDIS_ATTRIB_HAS_LOCK) ? 2 : 0) |
             (insn.has(ZYDIS_ATTRIB_HAS_REP) ? 4 : 0) | (insn.has(ZYDIS_ATTRIB_HAS_REPE) ? 8 : 0) |
             (insn.has(ZYDIS_ATTRIB_HAS_REPNE) ? 16 : 0));
  folder.add(insn.z.operand_count_visible);
  for (unsigned i = 0; i < insn.z.operand_count_visible; ++i) fold_operand(folder, insn, insn.operand(i));
  folder.add(uses_stack(insn) ? insn.z.operand_width : 0);
  folder.add(address_size_matters(insn) ? insn.z.address_width : 0);
  return folder.value();
}

std::string form_name(const Instruction& insn) {
  std::string name;
  if (insn.has(ZYDIS_ATTRIB_HAS_LOCK)) name += "lock ";
  if (insn.has(ZYDIS_ATTRIB_HAS_REP)) name += "rep ";
  if (insn.has(ZYDIS_ATTRIB_HAS_REPE)) name += "repe ";
  if (insn.has(ZYDIS_ATTRIB_HAS_REPNE)) name += "repne ";
  name += ZydisMnemonicGetString(insn.z.mnemonic);
  for (unsigned i = 0; i < insn.z.operand_count_visible; ++i) {
    name += i == 0 ? " " : ", ";
    name += operand_name(insn, insn.operand(i));
  }
  if (uses_stack(insn)) name += fmt::format(" (o{})", insn.z.operand_width);
  if (address_size_matters(insn)) name += fmt::format(" (a{})", insn.z.address_width);
  if (!insn.code64()) name += " [32]";
  return name;
}

const char* family_of(const Instruction& insn) {
  if (is_special(insn)) return "system";
  switch (insn.z.meta.isa_ext) {
    case ZYDIS_ISA_EXT_X87:
      return "x87";
    case ZYDIS_ISA_EXT_MMX:
      return "mmx";
    case ZYDIS_ISA_EXT_XSAVE:
    case ZYDIS_ISA_EXT_XSAVEOPT:
      return "save areas";
    case ZYDIS_ISA_EXT_AES:
    case ZYDIS_ISA_EXT_PCLMULQDQ:
      return "ciphers";
    case ZYDIS_ISA_EXT_SSE:
    case ZYDIS_ISA_EXT_SSE2:
    case ZYDIS_ISA_EXT_SSE3:
    case ZYDIS_ISA_EXT_SSSE3:
    case ZYDIS_ISA_EXT_SSE4:
      break;
    default:
      return family_of_base(insn);
  }
  switch (insn.z.mnemonic) {
    case ZYDIS_MNEMONIC_FXSAVE:
    case ZYDIS_MNEMONIC_FXSAVE64:
    case ZYDIS_MNEMONIC_FXRSTOR:
    case ZYDIS_MNEMONIC_FXRSTOR64:
    case ZYDIS_MNEMONIC_LDMXCSR:
    case ZYDIS_MNEMONIC_STMXCSR:
      return "save areas";
    case ZYDIS_MNEMONIC_POPCNT:
    case ZYDIS_MNEMONIC_CRC32:
      return "bits";
    default:
      break;
  }
  if (insn.z.meta.category == ZYDIS_CATEGORY_PREFETCH) return "nops";
  return uses_floats(insn) ? "sse float" : "sse integer";
}

bool belongs_to_system_cases(const Instruction& insn) {
  if (const SystemRow* row = system_row(insn.z.mnemonic); row != nullptr) return row->user_only;
  if ((insn.z.attributes & ZYDIS_ATTRIB_IS_PRIVILEGED) != 0) return true;
  if (insn.z.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR) return true;
  // MOV to and POP into a segment register; reading one is harmless.
  return uses_segment_register(insn) && insn.is_register(0) &&
         ZydisRegisterGetClass(insn.operand(0).reg.value) == ZYDIS_REGCLASS_SEGMENT &&
         insn.z.mnemonic != ZYDIS_MNEMONIC_PUSH;
}

bool is_simple(const Instruction& insn) {
  if (is_special(insn) || insn.has(ZYDIS_ATTRIB_HAS_LOCK)) return false;
  for (unsigned i = 0; i < insn.z.operand_count_visible; ++i) {
    if (insn.is_memory(i)) return false;
  }
  const std::string family = family_of(insn);
  if (family == "stack") {
    return insn.z.operand_count_visible == 1 && insn.z.mnemonic != ZYDIS_MNEMONIC_LEAVE;
  }
  if (family == "branches") return insn.z.meta.category == ZYDIS_CATEGORY_COND_BR;
  return family == "integer alu" || family == "shifts" || (family == "moves" && !has_hidden_memory(insn)) ||
         family == "bits";
}

bool stores_open_state(const Instruction& insn) {
  switch (insn.z.mnemonic) {
    case ZYDIS_MNEMONIC_FNSTENV:
    case ZYDIS_MNEMONIC_FNSAVE:
    case ZYDIS_MNEMONIC_FXSAVE:
    case ZYDIS_MNEMONIC_FXSAVE64:
    case ZYDIS_MNEMONIC_XSAVE:
    case ZYDIS_MNEMONIC_XSAVE64:
    case ZYDIS_MNEMONIC_XSAVEOPT:
    case ZYDIS_MNEMONIC_XSAVEOPT64:
    case ZYDIS_MNEMONIC_SYSCALL:  // R11 gets the flags, undefined ones too
      return true;
    default:
      return false;
  }
}

bool has_open_result(const Instruction& insn) {
  if (insn.z.meta.category == ZYDIS_CATEGORY_STRINGOP) return insn.z.address_width == 32;  // upper halves
  switch (insn.z.mnemonic) {
    case ZYDIS_MNEMONIC_BSF:
    case ZYDIS_MNEMONIC_BSR:
    case ZYDIS_MNEMONIC_CPUID:
    case ZYDIS_MNEMONIC_RDTSC:
    case ZYDIS_MNEMONIC_RDTSCP:
    case ZYDIS_MNEMONIC_RDRAND:
    case ZYDIS_MNEMONIC_RDSEED:
    case ZYDIS_MNEMONIC_RDFSBASE:  // QEMU has no 32-bit ones under 66H
    case ZYDIS_MNEMONIC_RDGSBASE:
    case ZYDIS_MNEMONIC_CMPXCHG8B:  // QEMU loses the flags of what stands before it
    case ZYDIS_MNEMONIC_CMPXCHG16B:
    case ZYDIS_MNEMONIC_PAUSE:  // QEMU takes it for XCHG under REX.B
    case ZYDIS_MNEMONIC_MASKMOVQ:
    case ZYDIS_MNEMONIC_MASKMOVDQU:
      return true;
    case ZYDIS_MNEMONIC_BSWAP:
    case ZYDIS_MNEMONIC_SHLD:
    case ZYDIS_MNEMONIC_SHRD:
      return insn.z.operand_width == 16;
    default:
      return false;
  }
}

bool is_narrow_branch(const Instruction& insn) {
  return !insn.code64() && insn.z.operand_width == 16 && insn.z.meta.branch_type != ZYDIS_BRANCH_TYPE_NONE &&
         insn.z.meta.branch_type != ZYDIS_BRANCH_TYPE_FAR;
}

bool address_size_matters(const Instruction& insn) {
  if (is_counted_branch(insn.z.mnemonic)) return true;
  for (unsigned i = 0; i < insn.z.operand_count; ++i) {
    const ZydisDecodedOperand& operand = insn.operand(i);
    if (is_offset_operand(operand)) return true;
    if (is_hidden_memory(operand) && !is_stack_base(operand.mem.base)) return true;
  }
  return insn.has(kRepeats);
}

}  // namespace bhvm::oracle
