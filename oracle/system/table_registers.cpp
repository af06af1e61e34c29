// LGDT, LIDT, LLDT, LTR and the stores of what they loaded; SMSW and LMSW; CR4.UMIP.
#include <fmt/format.h>

#include <cstring>

#include "oracle/system/scenario.h"

namespace bhvm::oracle {
namespace {

/// An address for a memory operand: mostly good, sometimes running into a page that cannot be used.
u64 draw_operand(Scene& scene, unsigned size, bool write) {
  Dice& dice = scene.dice;
  switch (dice.below(8)) {
    case 0:
      return page_linear(11) - dice.below(size + 1);  // runs into nothing
    case 1:
      return page_linear(write ? 9 : 13) - dice.below(size + 1);  // read-only; supervisor
    default:
      return layout::kData + dice.below(0x1000);
  }
}

/// Who reads it runs at CPL 0 mostly: everything else is #GP.
u8 mostly_supervisor(Scene& scene) { return scene.dice.percent(75) ? u8{0} : scene.cpl(); }

void write_load_table(Scene& scene, bool code64, bool idt) {
  Dice& dice = scene.dice;
  Code code;
  if (!code64 && dice.one_in(4)) code.add({0x66});
  code.add({0x0F, 0x01, static_cast<u8>(idt ? 0x1B : 0x13)});
  if (code64 && dice.coin()) {
    // Read back at once.
    code.add({0x0F, 0x01, static_cast<u8>(idt ? 0x0E : 0x06)});  // sidt, sgdt [rsi]
  }
  scene.code(code64 ? Mode::kUser64 : Mode::kUser32, code);
  scene.cases([&](Draft& d) {
    d.level(mostly_supervisor(scene));
    // The new table must still deliver what ends the case.
    u64 base = idt ? layout::kIdt : layout::kGdt;
    u16 limit = static_cast<u16>(dice.bits());
    if (limit < 0x1FF) limit = 0xFFF;
    // QEMU takes it and shuts down.
    if (code64 && dice.one_in(24)) base = scene.non_canonical();
    d.reg(kRbx) = draw_operand(scene, code64 ? 10 : 6, false);
    d.reg(kRsi) = layout::kData + 0x1800 - dice.below(64);
    const u64 at = d.reg(kRbx);
    u8 image[10];
    std::memcpy(image, &limit, 2);
    std::memcpy(image + 2, &base, 8);
    d.poke(at, std::span<const u8>(image, code64 ? 10 : 6));
  });
}

void write_store_table(Scene& scene, bool code64, bool idt) {
  Dice& dice = scene.dice;
  Code code;
  if (!code64 && dice.one_in(3)) code.add({0x66});
  code.add({0x0F, 0x01, static_cast<u8>(idt ? 0x0B : 0x03)});
  scene.code(code64 ? Mode::kUser64 : Mode::kUser32, code);
  scene.cases([&](Draft& d) {
    d.level(scene.cpl());
    d.reg(kRbx) = draw_operand(scene, code64 ? 10 : 6, true);
    if (dice.coin()) d.cr(4, kStandardCr4 | cr4::kUmip);
    if (dice.coin()) d.idt(layout::kIdt, static_cast<u16>(0xFFF + dice.below(0x1000)));
  });
}

/// A 16-byte system descriptor for LLDT and LTR.
u16 draw_system_selector(Scene& scene, Draft& d, u8 type) {
  Dice& dice = scene.dice;
  const u16 slot = layout::slot(dice.below(layout::kSlots));
  const u16 rpl = static_cast<u16>(dice.below(4));
  SegmentImage image{.type = type,
                     .non_system = false,
                     .dpl = scene.cpl(),
                     .big = dice.coin(),
                     .granularity = dice.one_in(4),
                     .base = static_cast<u32>(layout::kTss),
                     .limit = layout::kTssLimit + dice.below(0x1000)};
  u64 upper = 0;
  // A task register that points nowhere would end every case in a shutdown; an LDT may lie anywhere.
  const bool task = type != kTypeLdt;
  if (!task && dice.coin()) {
    image.base = static_cast<u32>(dice.bits());
    image.limit = static_cast<u32>(dice.bits() & 0xFFFFF);
    upper = dice.bits() & 0x7FFF;
  }
  switch (dice.below(12)) {
    case 0:
      // QEMU takes a null task register, and dies with the next interrupt.
      if (!task) return rpl;
      break;
    case 1:
      return static_cast<u16>(layout::kGdtLimit + 1 + dice.below(0xFD00));
    case 2:
      return static_cast<u16>(layout::local_slot(1) | rpl);  // only the GDT will do
    case 3:
      image.present = false;
      break;
    case 4:
      image.type = static_cast<u8>(dice.below(16));
      break;
    case 5:
      image.non_system = true;
      break;
    case 6:
      if (!task) upper = dice.bits() & 0xFFFFFFFF;  // not canonical
      break;
    case 7:
      upper |= (dice.bits() & 0x1F) << 40;  // the upper type field
      break;
    case 8:
      d.gdt(layout::kGdt, static_cast<u16>(slot + 7 + dice.below(9)));
      break;
    case 9:
      image.type = kTypeTssBusy;
      break;
    default:
      break;
  }
  d.descriptor(slot, image.raw());
  d.poke(layout::descriptor_linear(slot) + 8, upper);
  return static_cast<u16>(slot | rpl);
}

void write_load_selector(Scene& scene, bool code64, bool task) {
  Dice& dice = scene.dice;
  const bool memory = dice.one_in(3);
  const u8 digit = task ? 3 : 2;
  const u8 modrm = static_cast<u8>(digit << 3 | (memory ? 0x03 : 0xC0));
  scene.code(code64 ? Mode::kUser64 : Mode::kUser32, {0x0F, 0x00, modrm});
  scene.cases([&](Draft& d) {
    d.level(mostly_supervisor(scene));
    const u16 selector = draw_system_selector(scene, d, task ? kTypeTss : kTypeLdt);
    if (memory) {
      d.reg(kRbx) = draw_operand(scene, 2, false);
      if (d.reg(kRbx) < page_linear(9)) d.poke(d.reg(kRbx), selector, 2);
    } else {
      d.reg(kRax) = (d.reg(kRax) & ~u64{0xFFFF}) | selector;
    }
  });
}

/// SLDT, STR, SMSW.
void write_store_selector(Scene& scene, bool code64, u8 second, u8 digit) {
  Dice& dice = scene.dice;
  const bool memory = dice.coin();
  Code code;
  if (dice.one_in(3)) {
    code.add({0x66});
  } else if (code64 && dice.coin()) {
    code.add({0x48});
  }
  code.add({0x0F, second, static_cast<u8>(digit << 3 | (memory ? 0x03 : 0xC0))});
  scene.code(code64 ? Mode::kUser64 : Mode::kUser32, code);
  scene.cases([&](Draft& d) {
    d.level(scene.cpl());
    d.reg(kRbx) = draw_operand(scene, 2, true);
    if (dice.coin()) d.ldt();
    if (dice.coin()) d.tss();
    if (dice.coin()) d.cr(4, kStandardCr4 | cr4::kUmip);
    if (dice.one_in(3)) d.cr(0, kStandardCr0 | (dice.bits() & (cr0::kMp | cr0::kEm | cr0::kTs)));
  });
}

void write_lmsw(Scene& scene, bool code64) {
  Dice& dice = scene.dice;
  const bool memory = dice.coin();
  scene.code(code64 ? Mode::kUser64 : Mode::kUser32, {0x0F, 0x01, static_cast<u8>(memory ? 0x33 : 0xF0)});
  scene.cases([&](Draft& d) {
    d.level(mostly_supervisor(scene));
    d.reg(kRbx) = draw_operand(scene, 2, false);
    if (memory && d.reg(kRbx) < page_linear(9)) d.poke(d.reg(kRbx), dice.bits(), 2);
  });
}

void write_clts(Scene& scene) {
  scene.code(scene.dice.coin() ? Mode::kUser64 : Mode::kUser32, {0x0F, 0x06});
  scene.cases([&](Draft& d) {
    d.level(scene.cpl());
    if (scene.dice.coin()) d.cr(0, kStandardCr0 | cr0::kTs);
  });
}

}  // namespace

void add_table_registers(Scenarios& list) {
  for (const bool code64 : {true, false}) {
    const char* suffix = code64 ? "" : " [32]";
    const auto add = [&](const char* name, std::function<void(Scene&)> write) {
      list.push_back({fmt::format("{}{}", name, suffix), name, std::move(write)});
    };
    add("lgdt", [=](Scene& s) { write_load_table(s, code64, false); });
    add("lidt", [=](Scene& s) { write_load_table(s, code64, true); });
    add("sgdt", [=](Scene& s) { write_store_table(s, code64, false); });
    add("sidt", [=](Scene& s) { write_store_table(s, code64, true); });
    add("lldt", [=](Scene& s) { write_load_selector(s, code64, false); });
    add("ltr", [=](Scene& s) { write_load_selector(s, code64, true); });
    add("sldt", [=](Scene& s) { write_store_selector(s, code64, 0x00, 0); });
    add("str", [=](Scene& s) { write_store_selector(s, code64, 0x00, 1); });
    add("smsw", [=](Scene& s) { write_store_selector(s, code64, 0x01, 4); });
    add("lmsw", [=](Scene& s) { write_lmsw(s, code64); });
  }
  list.push_back({"clts", "clts", write_clts});
}

}  // namespace bhvm::oracle
