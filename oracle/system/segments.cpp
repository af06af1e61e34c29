// Loads of segment registers: every register by every instruction, with descriptors of every kind, from every level.
#include <fmt/format.h>

#include <cstring>

#include "oracle/system/scenario.h"

namespace bhvm::oracle {
namespace {

constexpr const char* kNames[] = {"es", "cs", "ss", "ds", "fs", "gs", "segment 6", "segment 7"};

enum class LoadBy : u8 { kMovRegister, kMovMemory, kPop, kFarPointer };

struct LoadForm {
  u8 segment;
  LoadBy by;
  bool code64;
};

u8 modrm(unsigned mod, unsigned reg, unsigned rm) { return static_cast<u8>(mod << 6 | reg << 3 | rm); }

Code load_code(const LoadForm& form) {
  constexpr u8 kPop[][2] = {{0x07, 0}, {0, 0}, {0x17, 0}, {0x1F, 0}, {0x0F, 0xA1}, {0x0F, 0xA9}};
  constexpr u8 kFar[][2] = {{0xC4, 0}, {0, 0}, {0x0F, 0xB2}, {0xC5, 0}, {0x0F, 0xB4}, {0x0F, 0xB5}};
  switch (form.by) {
    case LoadBy::kMovRegister:
      return {0x8E, modrm(3, form.segment, kRax)};
    case LoadBy::kMovMemory:
      return {0x8E, modrm(0, form.segment, kRbx)};
    case LoadBy::kPop: {
      const u8* opcode = kPop[form.segment];
      return opcode[0] == 0x0F ? Code{0x0F, opcode[1]} : Code{opcode[0]};
    }
    case LoadBy::kFarPointer: {
      const u8* opcode = kFar[form.segment];
      const u8 operands = modrm(0, kRcx, kRbx);
      return opcode[0] == 0x0F ? Code{0x0F, opcode[1], operands} : Code{opcode[0], operands};
    }
  }
  return {};
}

std::string load_name(const LoadForm& form) {
  switch (form.by) {
    case LoadBy::kMovRegister:
      return fmt::format("mov {}, r16", kNames[form.segment]);
    case LoadBy::kMovMemory:
      return fmt::format("mov {}, m16", kNames[form.segment]);
    case LoadBy::kPop:
      return fmt::format("pop {}", kNames[form.segment]);
    default:
      return fmt::format("l{}", kNames[form.segment]);
  }
}

/// Puts the selector where the instruction reads it.
void give_selector(Scene& scene, Draft& d, const LoadForm& form, u16 selector) {
  const u64 noise = scene.dice.bits() << 16;
  const unsigned word = form.code64 ? 8 : 4;
  switch (form.by) {
    case LoadBy::kMovRegister:
      d.reg(kRax) = (form.code64 ? noise : noise & 0xFFFF0000) | selector;
      break;
    case LoadBy::kMovMemory:
      d.poke(d.reg(kRbx), selector, 2);
      break;
    case LoadBy::kPop:
      d.poke(d.reg(kRsp), noise | selector, word);
      break;
    case LoadBy::kFarPointer:
      d.poke(d.reg(kRbx) + 4, selector, 2);
      break;
  }
}

/// A selector, with a descriptor behind it where it has room for one.
u16 draw_selector(Scene& scene, Draft& d, bool stack, bool code64, u8 level) {
  Dice& dice = scene.dice;
  const u16 rpl = dice.coin() ? level : static_cast<u16>(dice.below(4));
  switch (dice.below(10)) {
    case 0:
      return static_cast<u16>(dice.below(4));  // null
    case 1: {
      // At the table's limit: the last byte of the descriptor is inside, or just not.
      const u16 selector = layout::slot(dice.below(layout::kSlots));
      d.gdt(layout::kGdt, static_cast<u16>(selector + 6 + dice.below(2)));
      d.descriptor(selector, SegmentImage{.type = kTypeData, .dpl = level}.raw());
      return static_cast<u16>(selector | rpl);
    }
    case 2:
      return static_cast<u16>(layout::kGdtLimit + 1 + dice.below(0xFD00));
    case 3: {
      const u16 selector = layout::local_slot(dice.below(layout::kLocalSlots));
      if (dice.percent(75)) d.ldt();
      d.descriptor(selector, SegmentImage{.type = kTypeData, .dpl = level}.raw());
      return static_cast<u16>(selector | rpl);
    }
    case 4:
      return static_cast<u16>((dice.below(layout::kLocalTable / 8 + 4) << 3) | rpl);
    default:
      break;
  }
  const u16 selector = layout::slot(dice.below(layout::kSlots));
  SegmentImage image = scene.any_segment(!code64);
  if (dice.coin()) image.dpl = level;
  if (stack && dice.percent(60)) image = {.type = static_cast<u8>(2 + 4 * dice.below(2) + dice.below(2)), .dpl = level};
  if (stack && dice.one_in(6)) image.present = false;
  d.descriptor(selector, image.raw());
  return static_cast<u16>(selector | rpl);
}

void write_load(Scene& scene, const LoadForm& form) {
  scene.code(form.code64 ? Mode::kUser64 : Mode::kUser32, load_code(form).add({0x90}));
  scene.cases([&](Draft& d) {
    const u8 level = scene.cpl();
    d.level(level);
    give_selector(scene, d, form, draw_selector(scene, d, form.segment == 2, form.code64, level));
  });
}

/// Reading selectors, and what is left of them when an outer level is entered.
void write_read(Scene& scene, bool code64, bool memory) {
  const u8 segment = static_cast<u8>(scene.dice.below(6));
  Code code;
  if (scene.dice.coin()) code.add({0x66});
  if (code64 && scene.dice.coin()) code.add({0x48});
  code.add({0x8C, modrm(memory ? 0 : 3, segment, memory ? kRbx : kRax)});
  scene.code(code64 ? Mode::kUser64 : Mode::kUser32, code);
  scene.cases([&](Draft& d) {
    const u8 level = scene.cpl();
    d.level(level);
    const u16 selector = layout::slot(scene.dice.below(layout::kSlots));
    d.descriptor(selector, SegmentImage{.type = kTypeData, .dpl = 3}.raw());
    for (const u32 index : {4u, 5u}) {
      if (scene.dice.coin()) d.segment(index, static_cast<u16>(selector | scene.dice.below(4)));
    }
  });
}

void write_push(Scene& scene, bool code64) {
  const bool gs = scene.dice.coin();
  Code code;
  if (scene.dice.one_in(3)) code.add({0x66});
  if (code64 || scene.dice.coin()) {
    code.add({0x0F, static_cast<u8>(gs ? 0xA8 : 0xA0)});
  } else {
    constexpr u8 kPush[] = {0x06, 0x0E, 0x16, 0x1E};
    code.add({scene.dice.pick(kPush)});
  }
  scene.code(code64 ? Mode::kUser64 : Mode::kUser32, code);
  scene.cases([&](Draft& d) { d.level(scene.cpl()); });
}

/// A load whose descriptor lies half, or wholly, in a page that cannot be read, or whose accessed bit cannot be
/// written.
void write_load_across_pages(Scene& scene, bool code64) {
  const u8 segment = static_cast<u8>(scene.dice.coin() ? 3 : 2);
  scene.code(code64 ? Mode::kUser64 : Mode::kUser32, {0x8E, modrm(3, segment, kRax)});
  scene.cases([&](Draft& d) {
    Dice& dice = scene.dice;
    const u8 level = scene.cpl();
    d.level(level);
    // The table ends its known selectors `into` bytes before the page does.
    const u64 into = dice.below(9);
    const bool read_only = dice.coin();
    const u64 end = read_only ? layout::kEdgeBeforeReadOnly : layout::kEdgeBeforeUnmapped;
    const u64 base = end - layout::kEdgeGdtBytes - into;
    for (u64 i = 0x10; i < layout::kEdgeGdtBytes; i += 8) {
      u64 raw = 0;
      std::memcpy(&raw, scene.pristine().data() + (layout::kGdt + i - kRegion), 8);
      d.poke(base + i, raw);
    }
    d.gdt(base, static_cast<u16>(layout::kEdgeGdtBytes + 0x17));
    const u8 type = static_cast<u8>(2 + dice.below(2));  // accessed or not
    const u64 raw = SegmentImage{.type = type, .dpl = level}.raw();
    u8 bytes[8];
    std::memcpy(bytes, &raw, 8);
    const u64 at = base + layout::kEdgeGdtBytes;
    d.poke(at, std::span<const u8>(bytes, read_only ? 8 : into));
    d.reg(kRax) = layout::kEdgeGdtBytes | level;
    if (dice.one_in(3)) d.cr(0, kStandardCr0 & ~cr0::kWp);
    if (dice.one_in(4)) d.pte(26, dice.coin() ? 0 : pte_bits(PageKind::kSupervisor));
  });
}

}  // namespace

void add_segment_loads(Scenarios& list) {
  const auto add = [&](const LoadForm& form) {
    const std::string name = load_name(form);
    list.push_back({name + (form.code64 ? "" : " [32]"), name, [form](Scene& s) { write_load(s, form); }});
  };
  for (const bool code64 : {true, false}) {
    const char* suffix = code64 ? "" : " [32]";
    for (u8 segment = 0; segment < 8; ++segment) add({segment, LoadBy::kMovRegister, code64});
    for (const u8 segment : std::initializer_list<u8>{0, 2, 3, 4, 5}) {
      add({segment, LoadBy::kMovMemory, code64});
      const bool always = segment == 4 || segment == 5;
      if (always || !code64) add({segment, LoadBy::kPop, code64});
      if (always || segment == 2 || !code64) add({segment, LoadBy::kFarPointer, code64});
    }
    list.push_back(
        {fmt::format("mov r, sreg{}", suffix), "mov r, sreg", [code64](Scene& s) { write_read(s, code64, false); }});
    list.push_back(
        {fmt::format("mov m16, sreg{}", suffix), "mov m16, sreg", [code64](Scene& s) { write_read(s, code64, true); }});
    list.push_back({fmt::format("push sreg{}", suffix), "push sreg", [code64](Scene& s) { write_push(s, code64); }});
    list.push_back({fmt::format("mov sreg from a table across pages{}", suffix), "mov sreg",
                    [code64](Scene& s) { write_load_across_pages(s, code64); }});
  }
}

}  // namespace bhvm::oracle
