#include "oracle/lockstep/instruction.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace bhvm::lockstep {
namespace {

constexpr std::size_t kEntries = 1 << 16;

bool code64(const CpuState& cpu) {
  return (cpu.msr.efer >> 10 & 1) != 0 && (cpu.segments[kCs].attributes & descriptor::kLong) != 0;
}

u64 linear_rip(const CpuState& cpu) { return code64(cpu) ? cpu.rip : (cpu.rip + cpu.segments[kCs].base) & 0xFFFFFFFF; }

ZydisDecoder decoder_for(bool is64) {
  ZydisDecoder decoder;
  ZydisDecoderInit(&decoder, is64 ? ZYDIS_MACHINE_MODE_LONG_64 : ZYDIS_MACHINE_MODE_LONG_COMPAT_32,
                   is64 ? ZYDIS_STACK_WIDTH_64 : ZYDIS_STACK_WIDTH_32);
  return decoder;
}

bool moves_memory(ZydisMnemonic mnemonic) {
  constexpr ZydisMnemonic kMovers[] = {
      ZYDIS_MNEMONIC_MOVSB, ZYDIS_MNEMONIC_MOVSW, ZYDIS_MNEMONIC_MOVSD, ZYDIS_MNEMONIC_MOVSQ, ZYDIS_MNEMONIC_INSB,
      ZYDIS_MNEMONIC_INSW,  ZYDIS_MNEMONIC_INSD,  ZYDIS_MNEMONIC_PUSH,  ZYDIS_MNEMONIC_POP,
  };
  return std::ranges::find(kMovers, mnemonic) != std::end(kMovers);
}

bool is_shift(ZydisMnemonic mnemonic) {
  constexpr ZydisMnemonic kShifts[] = {
      ZYDIS_MNEMONIC_SHL, ZYDIS_MNEMONIC_SHR, ZYDIS_MNEMONIC_SAR, ZYDIS_MNEMONIC_SHLD, ZYDIS_MNEMONIC_SHRD,
      ZYDIS_MNEMONIC_ROL, ZYDIS_MNEMONIC_ROR, ZYDIS_MNEMONIC_RCL, ZYDIS_MNEMONIC_RCR,
  };
  return std::ranges::find(kShifts, mnemonic) != std::end(kShifts);
}

u16 registers_written(const ZydisDecodedInstruction& z, const ZydisDecodedOperand* operands) {
  unsigned mask = 0;
  for (unsigned i = 0; i < z.operand_count; ++i) {
    const ZydisDecodedOperand& operand = operands[i];
    if (operand.type != ZYDIS_OPERAND_TYPE_REGISTER || (operand.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) == 0)
      continue;
    const ZydisRegister whole = ZydisRegisterGetLargestEnclosing(z.machine_mode, operand.reg.value);
    const ZydisRegisterClass kind = ZydisRegisterGetClass(whole);
    if (kind != ZYDIS_REGCLASS_GPR64 && kind != ZYDIS_REGCLASS_GPR32) continue;
    mask |= 1u << ZydisRegisterGetId(whole);
  }
  return static_cast<u16>(mask);
}

InstructionInfo describe(std::span<const u8> bytes, bool is64) {
  InstructionInfo info;
  const ZydisDecoder decoder = decoder_for(is64);
  ZydisDecodedInstruction z;
  ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
  if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, bytes.data(), bytes.size(), &z, operands))) return info;
  info.known = true;
  info.mnemonic = z.mnemonic;
  info.length = z.length;
  info.repeated = (z.attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE)) != 0;
  info.count_mask = z.address_width == 64 ? ~u64{0} : (u64{1} << z.address_width) - 1;
  info.device_data_to_memory = moves_memory(z.mnemonic);
  info.registers_written = registers_written(z, operands);
  info.flags_written = z.cpu_flags != nullptr &&
                       (z.cpu_flags->modified | z.cpu_flags->set_0 | z.cpu_flags->set_1 | z.cpu_flags->undefined) != 0;
  if (is_shift(z.mnemonic)) {
    info.shift_width = operands[0].size;
    const ZydisDecodedOperand& count = operands[z.operand_count_visible - 1];
    info.shift_by_cl = z.operand_count_visible > 1 && count.type == ZYDIS_OPERAND_TYPE_REGISTER;
    if (z.operand_count_visible > 1 && count.type == ZYDIS_OPERAND_TYPE_IMMEDIATE)
      info.shift_immediate = count.imm.value.u;
  }
  return info;
}

}  // namespace

InstructionReader::InstructionReader() : entries_(kEntries) {}

const InstructionInfo& InstructionReader::at(const GuestMemory& memory, const CpuState& cpu) {
  const bool is64 = code64(cpu);
  const u64 linear = linear_rip(cpu);
  std::array<u8, ZYDIS_MAX_INSTRUCTION_LENGTH> bytes{};
  const std::size_t size = LinearView(memory, cpu).read({linear}, bytes);
  Entry& entry = entries_[(linear ^ linear >> 16) % kEntries];
  const u8 mode = is64 ? 2 : 1;
  if (entry.mode == mode && entry.rip == linear && size >= entry.info.length &&
      std::memcmp(entry.bytes.data(), bytes.data(), entry.info.length) == 0) {
    return entry.info;
  }
  const InstructionInfo info = describe(std::span(bytes).first(size), is64);
  if (!info.known) return unknown_;
  entry = {linear, mode, bytes, info};
  return entry.info;
}

std::string disassemble(const GuestMemory& memory, const CpuState& cpu) {
  const bool is64 = code64(cpu);
  std::array<u8, ZYDIS_MAX_INSTRUCTION_LENGTH> bytes{};
  const std::size_t size = LinearView(memory, cpu).read({linear_rip(cpu)}, bytes);
  if (size == 0) return "(not readable)";
  const ZydisDecoder decoder = decoder_for(is64);
  ZydisDecodedInstruction z;
  ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
  if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, bytes.data(), size, &z, operands))) {
    return fmt::format("{:02x}  (no instruction)", fmt::join(std::span(bytes).first(size), " "));
  }
  ZydisFormatter formatter;
  ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL);
  std::array<char, 128> text{};
  ZydisFormatterFormatInstruction(&formatter, &z, operands, z.operand_count_visible, text.data(), text.size(),
                                  linear_rip(cpu), nullptr);
  return fmt::format("{:<30} {}", fmt::format("{:02x}", fmt::join(std::span(bytes).first(z.length), " ")), text.data());
}

}  // namespace bhvm::lockstep
