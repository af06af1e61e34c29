#include "oracle/system/scene.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace bhvm::oracle {

void Draft::poke(u64 linear, std::span<const u8> bytes) {
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const u64 offset = linear + i - kRegion;
    BHVM_CHECK(offset < kRegionBytes, "a system case pokes outside the region");
    const u32 qword = static_cast<u32>(offset / 8);
    auto it = std::find_if(steps.begin(), steps.end(),
                           [&](const Step& s) { return s.kind == StepKind::kPoke && s.index == qword; });
    if (it == steps.end()) {
      u64 value = 0;
      std::memcpy(&value, pristine_.data() + u64{qword} * 8, 8);
      it = steps.insert(steps.end(), {StepKind::kPoke, qword, value});
    }
    const unsigned shift = static_cast<unsigned>(offset % 8) * 8;
    it->value = (it->value & ~(u64{0xFF} << shift)) | (u64{bytes[i]} << shift);
  }
}

void Draft::poke(u64 linear, u64 value, unsigned bytes) {
  u8 image[8];
  std::memcpy(image, &value, 8);
  poke(linear, std::span<const u8>(image, bytes));
}

void Draft::poke_values(u64 linear, std::initializer_list<u64> values, unsigned bytes) {
  for (const u64 value : values) {
    poke(linear, value, bytes);
    linear += bytes;
  }
}

void Draft::descriptor(u16 selector, const GateImage& gate) {
  poke(layout::descriptor_linear(selector), gate.low());
  poke(layout::descriptor_linear(selector) + 8, gate.high());
}

void Draft::gate(unsigned vector, const GateImage& gate) {
  poke(layout::kIdt + 16 * vector, gate.low());
  poke(layout::kIdt + 16 * vector + 8, gate.high());
}

void Draft::gdt(u64 base, u16 limit) { steps.front() = {StepKind::kGdtr, limit, base}; }

void Draft::level(u8 cpl) {
  using namespace layout;
  constexpr u16 kCode64[] = {kKernelCode64, kRing1Code64, kRing2Code64, kUserCode64};
  constexpr u16 kCode32[] = {kKernelCode32, kRing1Code32, kRing2Code32, kUserCode32};
  constexpr u16 kStack[] = {kKernelData, kRing1Data, kRing2Data, kUserData};
  input.cs = code64_ ? kCode64[cpl] : kCode32[cpl];
  input.ss = kStack[cpl];
}

void forbid_execute_disable(Draft& d) {
  constexpr u64 kExecuteDisable = u64{1} << 63;
  for (const unsigned page : {17u, 18u, 20u, 21u, 22u}) d.pte(page, pte_bits(kPageKinds[page]) & ~kExecuteDisable);
}

void Scene::code(Mode mode, const Code& code, u64 linear) {
  BHVM_CHECK(!code.bytes().empty() && code.bytes().size() <= kMaxCode, "a system case's code is too long");
  constexpr u32 kPlaces = 0x400;
  if (linear == 0) linear = layout::kUserCode + dice.below(kPlaces);
  group_.group.mode = mode;
  group_.group.code_offset = static_cast<u32>(linear - kRegion);
  group_.group.code_bytes = static_cast<u16>(code.bytes().size());
  std::copy(code.bytes().begin(), code.bytes().end(), group_.group.code);
}

Draft Scene::add() {
  BHVM_CHECK(group_.cases.size() < kCases, "a system group has too many cases");
  Case& c = group_.cases.emplace_back();
  Steps& steps = group_.steps.emplace_back();
  for (u64& gpr : c.gpr) gpr = dice.coin() ? dice.bits() : dice.below(0x10000);
  const bool wide = code64();
  if (!wide) {
    for (u64& gpr : c.gpr) gpr = static_cast<u32>(gpr);
    for (unsigned r = kR8; r <= kR15; ++r) c.gpr[r] = 0;
  }
  constexpr u32 kSpread = 0x800;
  c.gpr[kRsp] = layout::kUserStack - 8 * dice.below(32);
  c.gpr[kRbx] = layout::kData + dice.below(kSpread);
  c.gpr[kRsi] = layout::kData + dice.below(kSpread);
  c.gpr[kRdi] = layout::kData + dice.below(kSpread);
  c.rip = code_linear();
  c.rflags = rflags::kFixed | (dice.bits() & (rflags::kArithmetic | rflags::kIf));
  c.fs_base = layout::kData + dice.below(kSpread);
  c.gs_base = layout::kData + dice.below(kSpread);
  c.accessed = dice.one_in(4) ? dice.bits() : ~u64{0};
  // Rarely: the guest program looks through every page that is marked.
  c.dirty = dice.one_in(16) ? dice.bits() & c.accessed : 0;
  constexpr u16 kFcw = 0x37F;
  constexpr u32 kMxcsr = 0x1F80;
  std::memcpy(c.fx, &kFcw, 2);
  std::memcpy(c.fx + 24, &kMxcsr, 4);
  for (unsigned i = 160; i < 416; i += 8) {
    const u64 bits = dice.bits();
    std::memcpy(c.fx + i, &bits, 8);
  }
  Draft draft(pristine_, c, steps, wide);
  draft.step(StepKind::kGdtr, layout::kGdtLimit, layout::kGdt);
  return draft;
}

u64 Scene::landing(bool supervisor, bool undefined) {
  const u64 page = supervisor ? layout::kSupervisorCode : layout::kUserCode;
  const u64 from = undefined ? layout::kUndefinedFrom : layout::kLandingFrom;
  return page + from + 2 * dice.below(static_cast<u32>(layout::kLandingBytes / 4));
}

u64 Scene::non_canonical() {
  constexpr u64 kTop = u64{1} << 47;
  switch (dice.below(4)) {
    case 0:
      return kTop + dice.below(16);
    case 1:
      return u64{0} - kTop - 1 - dice.below(16);
    case 2:
      return layout::kUserCode | (u64{1} << (48 + dice.below(16)));
    default:
      return (dice.bits() & 0x00007FFFFFFFFFFF) | 0x1234000000000000;
  }
}

SegmentImage Scene::any_segment(bool big_only) {
  SegmentImage image;
  image.type = static_cast<u8>(dice.below(16));
  image.non_system = !dice.one_in(8);
  image.dpl = cpl();
  image.present = !dice.one_in(8);
  image.available = dice.coin();
  const bool code = image.non_system && (image.type & 8) != 0;
  image.long_code = code && dice.coin();
  image.big = big_only || dice.coin();
  image.granularity = dice.coin();
  image.base = dice.one_in(4) ? static_cast<u32>(dice.bits()) : dice.coin() ? 0 : static_cast<u32>(layout::kData);
  image.limit = dice.coin() ? 0xFFFFF : static_cast<u32>(dice.bits() & 0xFFFFF);
  return image;
}

SegmentImage Scene::likely_code(bool long_code, u8 dpl) {
  SegmentImage image{.type = kTypeCode, .dpl = dpl, .long_code = long_code, .big = !long_code};
  switch (dice.below(12)) {
    case 0:
      image.type = kTypeConforming;
      break;
    case 1:
      image.type = kTypeExecuteOnly;
      break;
    case 2:
      image.type = static_cast<u8>(image.type & ~kTypeAccessed);
      break;
    case 3:
      image.dpl = cpl();
      break;
    case 4:
      image.present = false;
      break;
    case 5:
      image.type = static_cast<u8>(dice.below(16));
      break;
    case 6:
      image.non_system = false;
      break;
    case 7:
      image.big = true;  // with L: reserved
      break;
    case 8:
      image.type = kTypeConforming;
      image.dpl = cpl();
      break;
    default:
      break;
  }
  return image;
}

void Scene::spoil(GateImage& gate, u32 flaw) {
  if (flaw == 0) gate.dpl = cpl();
  if (flaw == 1) gate.present = false;
  if (flaw == 2) gate.type = static_cast<u8>(dice.below(16));
}

u64 Scene::few_of(u64 bits) {
  if (bits == 0 || dice.coin()) return 0;
  u64 chosen = 0;
  do {
    u64 rest = bits;
    for (u32 skip = dice.below(static_cast<u32>(__builtin_popcountll(bits))); skip > 0; --skip) rest &= rest - 1;
    chosen |= rest & (0 - rest);
  } while (dice.one_in(4));
  return chosen;
}

}  // namespace bhvm::oracle
