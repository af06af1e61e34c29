#include "oracle/generate/instance.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/check.h"
#include "oracle/generate/form_names.h"
#include "oracle/generate/values.h"

namespace bhvm::oracle {
namespace {

constexpr unsigned kTries = 8;

unsigned pick_bit(Dice& dice, u64 mask) {
  u32 nth = dice.below(static_cast<u32>(std::popcount(mask)));
  while (nth-- != 0) mask &= mask - 1;
  return static_cast<unsigned>(std::countr_zero(mask));
}

unsigned header_bytes(const Bytes& bytes) { return bytes.size - 8; }

const ZydisDecodedOperand* placed_memory(const Instruction& insn) {
  for (unsigned i = 0; i < insn.z.operand_count_visible; ++i) {
    if (insn.is_memory(i)) return &insn.operand(i);
  }
  return nullptr;
}

bool is_far(const Instruction& insn) { return insn.z.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR; }

}  // namespace

u8 shift_count(Dice& dice) {
  static constexpr u8 kCounts[] = {0, 1, 2, 7, 8, 9, 15, 16, 17, 30, 31, 32, 33, 62, 63, 64, 65, 127, 128, 255};
  return dice.coin() ? dice.pick(kCounts) : static_cast<u8>(dice.bits());
}

u16 selector_value(Dice& dice) {
  static constexpr u16 kSelectors[] = {0,
                                       1,
                                       3,
                                       kUserData,
                                       kUserData,
                                       kUserCode64,
                                       kUserCode32,
                                       kKernelData,
                                       kKernelCode64,
                                       kKernelCode32,
                                       kTaskState,
                                       kTaskState + 8,
                                       kGdtBytes,
                                       4,
                                       kUserData & ~3,
                                       kUserCode64 & ~3};
  const u32 r = dice.below(16);
  if (r < 12) return dice.pick(kSelectors);
  if (r < 14) return static_cast<u16>(dice.below(kGdtBytes + 16));
  return static_cast<u16>(dice.bits());
}

bool InstanceMaker::belongs(const Form& form, const Bytes& bytes, Instruction& insn) {
  const bool decoded = decode(decoder_, {bytes.data.data(), bytes.size}, form.code64, insn);
  if (!form.accepted) return !decoded || (!is_narrow_branch(insn) && !accepted_by_translator(insn, builder_));
  return decoded && signature_of(insn) == form.signature && !is_narrow_branch(insn);
}

/// For memory operands every way to name an address comes up; those that a random byte seldom says come more often.
void InstanceMaker::choose_modrm(const Encoding& e, bool code64, Choices& c) {
  const unsigned modrm = pick_bit(dice_, e.modrm);
  c.reg = static_cast<u8>(modrm >> 3);
  c.rm = static_cast<u8>(modrm & 7);
  if (!e.memory) return;
  const u64 r = dice_.bits();
  c.mod = static_cast<u8>(dice_.below(3));
  c.rm = static_cast<u8>(r & 7);
  c.sib = static_cast<u8>(r >> 8);
  const u32 kind = static_cast<u32>(r >> 16 & 15);
  if (kind < 5) c.rm = 4;                                                   // SIB
  if (kind == 5) c.mod = 0, c.rm = 5;                                       // RIP-relative; absolute in 32-bit code
  if (kind == 6) c.mod = 0, c.rm = 4, c.sib |= 5;                           // SIB without base ...
  if (kind == 6) c.sib = static_cast<u8>(c.sib & 0xFD);                     // ... (xxx101)
  if (kind == 7) c.mod = 0, c.rm = 4, c.sib = 0x25;                         // neither base nor index: absolute
  if (kind == 8) c.rm = 4, c.sib = static_cast<u8>((c.sib & 0xC7) | 0x20);  // base only
  if (kind == 9) c.rm = 4, c.sib = static_cast<u8>((c.sib & 0xF8) | 4);     // RSP or R12 as base
  if (code64) c.rex_rxb = static_cast<u8>(r >> 32 & (e.has_modrm ? 7 : 1));
}

void InstanceMaker::choose_redundant(const Form& form, Choices& c) {
  static constexpr u8 kAny[] = {0x66, 0x67, 0xF2, 0xF3, 0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65, 0x67, 0x64, 0x65};
  const u32 count = 1 + dice_.below(2);
  // A REX prefix before another prefix does not count.
  if (form.code64 && dice_.one_in(8)) c.redundant[c.redundant_count++] = static_cast<u8>(0x40 | dice_.below(16));
  for (u32 i = 0; i < count; ++i) c.redundant[c.redundant_count++] = dice_.pick(kAny);
  c.rex = form.code64 && dice_.coin();
}

Instance InstanceMaker::shape(const Form& form, bool plain) {
  const Encoding& e = form.encodings[dice_.below(static_cast<u32>(form.encodings.size()))];
  Instance instance;
  instance.form = &form;
  for (unsigned attempt = 0;; ++attempt) {
    Choices c;
    choose_modrm(e, form.code64, c);
    const u64 tail = dice_.bits();
    std::memcpy(c.tail.data(), &tail, sizeof(tail));
    const bool memory = e.memory || !e.has_modrm;
    if (form.code64 && !e.memory && attempt < kTries / 2) c.rex_rxb = static_cast<u8>(dice_.bits() & 7);
    if (attempt >= kTries / 2) c.rex_rxb = 0;
    const bool decorated = !plain && form.accepted && attempt < kTries / 2 && dice_.percent(memory ? 22 : 12);
    if (decorated) choose_redundant(form, c);
    if (form.code64 && attempt < kTries / 2 && dice_.one_in(8)) c.rex = true;
    if (!form.accepted) return shape_undefined(form, e, c);
    Bytes bytes = assemble(e, c, form.code64);
    // Eight bytes behind the opcode are not enough for displacement and immediate of the longest instructions.
    const u64 more = dice_.bits();
    for (unsigned i = 0; i < 7; ++i) bytes.add(static_cast<u8>(more >> (8 * i)));
    if (belongs(form, bytes, instance.insn)) {
      instance.bytes = bytes;
      instance.bytes.size = instance.insn.length();
      return instance;
    }
    BHVM_CHECK(attempt < 64, "no encoding of a form decodes to it");
  }
}

Instance InstanceMaker::shape_undefined(const Form& form, const Encoding& e, const Choices& chosen) {
  Instance instance;
  instance.form = &form;
  Encoding encoding = e;
  Choices c = chosen;
  if (e.map == OpcodeMap::kTooLong) {
    static constexpr u8 kPrefixes[] = {0x66, 0x67, 0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65, 0xF2, 0xF3};
    c.redundant_count = static_cast<unsigned>(c.redundant.size());
    for (u8& prefix : c.redundant) prefix = dice_.pick(kPrefixes);
    encoding.operand_size = encoding.address_size = true;
    instance.bytes = assemble(encoding, c, form.code64);
    instance.bytes.size = 17;
    return instance;
  }
  if (e.has_modrm && !e.memory && e.escaped()) c.mod = static_cast<u8>(dice_.below(4));
  for (unsigned attempt = 0;; ++attempt) {
    instance.bytes = assemble(encoding, c, form.code64);
    const unsigned header = header_bytes(instance.bytes);
    if (belongs(form, instance.bytes, instance.insn)) {
      // INT3 stands behind: should another processor take it for an instruction, it ends there all the same.
      instance.bytes.size = header;
      return instance;
    }
    BHVM_CHECK(attempt < 64, "no encoding of an undefined form is undefined");
    choose_modrm(e, form.code64, c);
    if (attempt > kTries) c.rex_rxb = 0;
    const u64 tail = dice_.bits();
    std::memcpy(c.tail.data(), &tail, sizeof(tail));
    c.sib = static_cast<u8>(tail >> 32);
  }
}

void InstanceMaker::put(Instance& instance, unsigned offset, unsigned bits, u64 value) const {
  std::memcpy(instance.bytes.data.data() + offset, &value, bits / 8);
}

void InstanceMaker::settle(Instance& instance, u64 address, const CodePlace& place, bool kernel) {
  if (!instance.form->accepted) return;
  const u64 next = address + instance.insn.length();
  settle_memory(instance, next, place, kernel);
  if (instance.insn.z.raw.imm[0].size != 0) {
    if (instance.insn.z.raw.imm[0].is_relative != 0)
      settle_branch(instance, next, place);
    else
      settle_immediates(instance, place);
  }
  const bool decoded =
      decode(decoder_, {instance.bytes.data.data(), instance.bytes.size}, instance.form->code64, instance.insn);
  BHVM_CHECK(decoded && instance.insn.length() == instance.bytes.size, "an instruction changed with its immediates");
}

/// Addresses without a register: the displacement decides where they lie. With FS or GS in 64-bit code a case's segment
/// base does.
void InstanceMaker::settle_memory(Instance& instance, u64 next, const CodePlace& place, bool kernel) {
  const Instruction& insn = instance.insn;
  const ZydisDecodedOperand* memory = placed_memory(insn);
  if (memory == nullptr || insn.z.raw.disp.size == 0 || memory->mem.index != ZYDIS_REGISTER_NONE) return;
  const bool relative = memory->mem.base == ZYDIS_REGISTER_RIP || memory->mem.base == ZYDIS_REGISTER_EIP;
  if (!relative && memory->mem.base != ZYDIS_REGISTER_NONE) return;
  const unsigned bits = insn.z.raw.disp.size;
  AccessShape shape = shape_of_size(memory->size / 8);
  shape.writes = (memory->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0;
  shape.below_4g = insn.z.address_width != 64;
  shape.kernel = kernel;
  for (;;) {
    const u64 displacement = data_target(dice_, shape, place) - (relative ? next : 0);
    const bool reaches = bits == 64 || bits == 16 || displacement == static_cast<u64>(static_cast<i32>(displacement)) ||
                         insn.z.address_width == 32;
    if (reaches) return put(instance, insn.z.raw.disp.offset, bits, displacement);
  }
}

/// A branch leaves for the INT3 fill or for a page that cannot be executed, never for its own group's code.
void InstanceMaker::settle_branch(Instance& instance, u64 next, const CodePlace& place) {
  const auto& imm = instance.insn.z.raw.imm[0];
  for (;;) {
    u64 target = 0;
    if (imm.size == 8) {
      target = next + static_cast<u64>(static_cast<i64>(static_cast<i8>(dice_.bits())));
    } else {
      const u32 r = dice_.below(16);
      target = fill_target(dice_, place);
      if (r == 13) target = page_linear(dice_.pick({3U, 5U, 8U, 11U, 13U, 26U})) + dice_.below(4096);
      if (r == 14) target = next + static_cast<u64>(dice_.between(-300, 300));
      if (r == 15) target = next + static_cast<u64>(static_cast<i64>(static_cast<i32>(dice_.bits())));
    }
    if (target + 1 >= place.start && target < place.end) continue;
    return put(instance, imm.offset, imm.size, target - next);
  }
}

u64 InstanceMaker::immediate(const Instruction& insn, unsigned nth) {
  switch (insn.z.mnemonic) {
    case ZYDIS_MNEMONIC_ENTER:
      if (nth == 0) return dice_.percent(80) ? 8 * dice_.below(32) : dice_.bits();
      return dice_.percent(70) ? dice_.below(5) : dice_.bits();
    case ZYDIS_MNEMONIC_RET:
      return dice_.percent(70) ? 8 * dice_.below(16) : dice_.bits();
    case ZYDIS_MNEMONIC_INT:
      return dice_.one_in(4) ? dice_.pick({u64{3}, u64{4}, u64{0x80}, u64{1}}) : dice_.bits();
    case ZYDIS_MNEMONIC_AAM:
    case ZYDIS_MNEMONIC_AAD:
      return dice_.coin() ? 10 : integer_value(dice_);
    default:
      break;
  }
  switch (insn.z.meta.category) {
    case ZYDIS_CATEGORY_SHIFT:
    case ZYDIS_CATEGORY_ROTATE:
      return shift_count(dice_);
    default:
      break;
  }
  const bool vector = insn.z.meta.category == ZYDIS_CATEGORY_SSE || insn.z.meta.category == ZYDIS_CATEGORY_MMX;
  if (vector) return dice_.coin() ? dice_.below(72) : dice_.bits();
  return integer_value(dice_);
}

void InstanceMaker::settle_immediates(Instance& instance, const CodePlace& place) {
  const auto& raw = instance.insn.z.raw;
  if (is_far(instance.insn) && instance.insn.operand(0).type == ZYDIS_OPERAND_TYPE_POINTER) {
    put(instance, raw.imm[0].offset, raw.imm[0].size, branch_target(dice_, place, true, false));
    put(instance, raw.imm[1].offset, 16, selector_value(dice_));
    return;
  }
  for (unsigned nth = 0; nth < 2 && raw.imm[nth].size != 0; ++nth) {
    put(instance, raw.imm[nth].offset, raw.imm[nth].size, immediate(instance.insn, nth));
  }
}

}  // namespace bhvm::oracle
