// Save areas, control words, vector instructions whose operands mean more than numbers.
#include <iterator>

#include "oracle/generate/rules.h"

namespace bhvm::oracle {
namespace {

constexpr unsigned kRax = 0, kRdx = 2;

/// Leads the operand to an image in the pristine pages, seldom beside it.
bool want_image(Draft& d, ImageKind kind) {
  if (d.dice.percent(20)) return false;
  const auto& offsets = d.pristine.images[static_cast<unsigned>(kind)];
  u64 target = kRegion + d.dice.pick(std::span<const u32>(offsets));
  if (d.dice.one_in(12)) target += 1 + d.dice.below(63);
  d.want(0, target);
  return true;
}

/// Spoils an image by patches of its own, at what must be `target`.
template <class T>
void spoil(Draft& d, u64 offset, T value) {
  u8 bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));
  d.patch(d.wanted[0] + offset, bytes);
}

u32 any_mxcsr(Dice& dice) {
  u32 mxcsr = random_mxcsr(dice, 50);
  if (dice.one_in(5)) mxcsr |= u32{1} << (16 + dice.below(16));  // reserved
  return mxcsr;
}

void choose_components(Draft& d) {
  static constexpr u64 kMasks[] = {0, 1, 2, 3, 3, 7, 0xFFFFFFFF};
  d.gpr(kRax) = d.dice.pick(kMasks);
  d.gpr(kRdx) = d.dice.one_in(4) ? 0xFFFFFFFF : 0;
}

void save_extended(Draft& d) {
  choose_components(d);
  want_image(d, ImageKind::kXsave);
}

void save_fx(Draft& d) { want_image(d, ImageKind::kXsave); }

void restore_fx(Draft& d) {
  if (want_image(d, ImageKind::kXsave) && d.dice.percent(40)) spoil<u32>(d, fx::kMxcsr, any_mxcsr(d.dice));
}

void restore_extended(Draft& d) {
  choose_components(d);
  if (!want_image(d, ImageKind::kXsave)) return;
  if (d.dice.percent(30)) spoil<u32>(d, fx::kMxcsr, any_mxcsr(d.dice));
  if (d.dice.percent(50)) spoil<u64>(d, 512, d.dice.below(4));
  if (d.dice.one_in(8)) spoil<u64>(d, 512, u64{1} << d.dice.below(64));
  if (d.dice.one_in(10)) spoil<u64>(d, 520, d.dice.coin() ? u64{1} << 63 : 3);  // XCOMP_BV
  if (d.dice.one_in(10)) spoil<u64>(d, 528 + 8 * d.dice.below(6), 1);
}

void save_x87(Draft& d) {
  want_image(d, d.insn().z.mnemonic == ZYDIS_MNEMONIC_FNSTENV ? ImageKind::kEnvironment : ImageKind::kX87Save);
}

void restore_x87(Draft& d) {
  const ImageKind kind = d.insn().z.mnemonic == ZYDIS_MNEMONIC_FLDENV ? ImageKind::kEnvironment : ImageKind::kX87Save;
  if (!want_image(d, kind)) return;
  if (d.dice.percent(25)) spoil<u16>(d, 0, static_cast<u16>(d.dice.bits()));
  if (d.dice.percent(25)) spoil<u16>(d, 4, static_cast<u16>(d.dice.bits()));
  if (d.dice.percent(25)) spoil<u16>(d, 8, static_cast<u16>(d.dice.bits()));
}

void load_mxcsr(Draft& d) { d.set_value<u32>(0, any_mxcsr(d.dice)); }

void load_control_word(Draft& d) {
  d.set_value<u16>(0, d.dice.coin() ? random_control_word(d.dice, 40) : static_cast<u16>(d.dice.bits()));
}

/// Both strings of one alphabet; PCMPESTRx has their lengths in EAX and EDX.
void compare_strings(Draft& d) {
  for (const unsigned reg : {kRax, kRdx}) {
    if (d.dice.percent(75)) d.gpr(reg) = static_cast<u64>(d.dice.between(-20, 20));
  }
  if (d.dice.one_in(3)) return;
  const ZydisDecodedOperand& second = d.insn().operand(1);
  const std::span<u8> first_bytes = d.vector_register(d.insn().operand(0).reg.value);
  fill_values(d.dice, ValueKind::kText, first_bytes);
  std::array<u8, 16> bytes{};
  fill_related(d.dice, ValueKind::kText, first_bytes, bytes);
  if (d.dice.one_in(3)) {  // words
    for (std::size_t i = 1; i < bytes.size(); i += 2) bytes[i] = first_bytes[i] = 0;
  }
  if (second.type == ZYDIS_OPERAND_TYPE_REGISTER) {
    std::memcpy(d.vector_register(second.reg.value).data(), bytes.data(), bytes.size());
  } else {
    std::memcpy(d.value.data(), bytes.data(), bytes.size());
    d.value_bytes = 16;
  }
}

/// A shift count for all elements, often below their width.
void vector_count(Draft& d) {
  if (d.insn().z.operand_count_visible < 2 || d.dice.one_in(3)) return;
  const ZydisDecodedOperand& count = d.insn().operand(1);
  const u64 value = d.dice.below(72);
  if (count.type == ZYDIS_OPERAND_TYPE_MEMORY) return d.set_value<u64>(0, value);
  if (count.type == ZYDIS_OPERAND_TYPE_REGISTER) std::memcpy(d.vector_register(count.reg.value).data(), &value, 8);
}

/// MASKMOVQ, MASKMOVDQU: the top bit of each byte of the mask counts.
void masked_store(Draft& d) {
  const std::span<u8> mask = d.vector_register(d.insn().operand(1).reg.value);
  const u32 kind = d.dice.below(8);
  for (u8& byte : mask) byte = static_cast<u8>(kind == 0 ? 0 : kind == 1 ? 0xFF : d.dice.bits());
}

constexpr RuleRow kRows[] = {
    {ZYDIS_MNEMONIC_XSAVE, save_extended},
    {ZYDIS_MNEMONIC_XSAVE64, save_extended},
    {ZYDIS_MNEMONIC_XSAVEOPT, save_extended},
    {ZYDIS_MNEMONIC_XSAVEOPT64, save_extended},
    {ZYDIS_MNEMONIC_XRSTOR, restore_extended},
    {ZYDIS_MNEMONIC_XRSTOR64, restore_extended},
    {ZYDIS_MNEMONIC_FXSAVE, save_fx},
    {ZYDIS_MNEMONIC_FXSAVE64, save_fx},
    {ZYDIS_MNEMONIC_FXRSTOR, restore_fx},
    {ZYDIS_MNEMONIC_FXRSTOR64, restore_fx},
    {ZYDIS_MNEMONIC_FNSTENV, save_x87},
    {ZYDIS_MNEMONIC_FNSAVE, save_x87},
    {ZYDIS_MNEMONIC_FLDENV, restore_x87},
    {ZYDIS_MNEMONIC_FRSTOR, restore_x87},
    {ZYDIS_MNEMONIC_LDMXCSR, load_mxcsr},
    {ZYDIS_MNEMONIC_FLDCW, load_control_word},
    {ZYDIS_MNEMONIC_PCMPESTRI, compare_strings},
    {ZYDIS_MNEMONIC_PCMPESTRM, compare_strings},
    {ZYDIS_MNEMONIC_PCMPISTRI, compare_strings},
    {ZYDIS_MNEMONIC_PCMPISTRM, compare_strings},
    {ZYDIS_MNEMONIC_PSLLW, vector_count},
    {ZYDIS_MNEMONIC_PSLLD, vector_count},
    {ZYDIS_MNEMONIC_PSLLQ, vector_count},
    {ZYDIS_MNEMONIC_PSRLW, vector_count},
    {ZYDIS_MNEMONIC_PSRLD, vector_count},
    {ZYDIS_MNEMONIC_PSRLQ, vector_count},
    {ZYDIS_MNEMONIC_PSRAW, vector_count},
    {ZYDIS_MNEMONIC_PSRAD, vector_count},
    {ZYDIS_MNEMONIC_MASKMOVQ, masked_store},
    {ZYDIS_MNEMONIC_MASKMOVDQU, masked_store},
};

}  // namespace

std::span<const RuleRow> state_rules() { return kRows; }

}  // namespace bhvm::oracle
