// Accesses through segments in 32-bit code: limits, granularity, expand-down, access rights, #GP or #SS.
#include <fmt/format.h>

#include "oracle/system/scenario.h"

namespace bhvm::oracle {
namespace {

struct Access {
  const char* name;
  std::initializer_list<u8> code;  // addresses [ebx] in DS without a prefix
  unsigned size;
};
constexpr Access kAccesses[] = {
    {"mov al, [m]", {0x8A, 0x03}, 1},
    {"mov [m], al", {0x88, 0x03}, 1},
    {"mov ax, [m]", {0x66, 0x8B, 0x03}, 2},
    {"mov [m], eax", {0x89, 0x03}, 4},
    {"add eax, [m]", {0x03, 0x03}, 4},
    {"add [m], eax", {0x01, 0x03}, 4},
    {"cmpxchg8b [m]", {0x0F, 0xC7, 0x0B}, 8},
    {"movq mm0, [m]", {0x0F, 0x6F, 0x03}, 8},
    {"movups xmm0, [m]", {0x0F, 0x10, 0x03}, 16},
    {"movups [m], xmm0", {0x0F, 0x11, 0x03}, 16},
    {"fld m80", {0xDB, 0x2B}, 10},
    {"push [m]", {0xFF, 0x33}, 4},
    {"test [m], al", {0x84, 0x03}, 1},
    {"lock xadd [m], eax", {0xF0, 0x0F, 0xC1, 0x03}, 4},
};

/// A segment over the data pages, and the offset of its first and last valid byte.
struct Window {
  SegmentImage image;
  u64 first = 0;
  u64 last = 0;
};

Window draw_window(Scene& scene, u8 dpl, bool stack) {
  Dice& dice = scene.dice;
  Window w;
  w.image.dpl = dpl;
  w.image.big = true;
  w.image.available = dice.coin();
  switch (dice.below(stack ? 3 : 5)) {
    case 0:  // byte granular
      w.image.type = kTypeData;
      w.image.granularity = false;
      w.image.base = static_cast<u32>(layout::kData + dice.below(64));
      w.image.limit = dice.below(0x1000);
      w.last = w.image.limit;
      break;
    case 1:  // page granular
      w.image.type = kTypeData;
      w.image.base = static_cast<u32>(layout::kData);
      w.image.limit = 0;
      w.last = 0xFFF;
      break;
    case 2:  // expand-down: valid above the limit
      w.image.type = kTypeExpandDown;
      w.image.granularity = false;
      w.image.base = static_cast<u32>(layout::kData);
      w.image.limit = dice.below(0x800);
      w.image.big = stack || dice.coin();  // the upper end: 4 GiB or 64 KiB
      w.first = w.image.limit + 1;
      w.last = w.image.big ? 0xFFFFFFFF : 0xFFFF;
      break;
    case 3:  // read-only
      w.image.type = kTypeReadOnly;
      w.image.granularity = false;
      w.image.base = static_cast<u32>(layout::kData);
      w.image.limit = 0xFFF;
      w.last = 0xFFF;
      break;
    default:  // readable code
      w.image.type = static_cast<u8>(dice.coin() ? kTypeCode : kTypeConforming);
      w.image.granularity = false;
      w.image.base = static_cast<u32>(layout::kData);
      w.image.limit = 0xFFF;
      w.last = 0xFFF;
      break;
  }
  return w;
}

/// An offset at, just inside or just beyond one of the ends.
u32 draw_offset(Scene& scene, const Window& w, unsigned size) {
  Dice& dice = scene.dice;
  const u64 end = dice.coin() ? w.last : w.first;
  switch (dice.below(6)) {
    case 0:
      return static_cast<u32>(dice.below(0x1000));
    case 1:
      return static_cast<u32>(0 - u64{dice.below(20)});
    default:
      return static_cast<u32>(end + 1 - size + static_cast<u64>(dice.between(-static_cast<i64>(size), size)));
  }
}

/// DS, ES, FS or GS with a limit.
void write_data(Scene& scene, const Access& access) {
  constexpr u8 kPrefix[] = {0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65};
  constexpr u8 kSegments[] = {0, 3, 4, 5};
  const u8 segment = scene.dice.pick(kSegments);
  Code code;
  if (segment != 3 || scene.dice.coin()) code.add({kPrefix[segment]});
  code.add(Code(access.code));
  scene.code(Mode::kUser32, code);
  scene.cases([&](Draft& d) {
    const u8 level = scene.cpl();
    d.level(level);
    const u16 selector = static_cast<u16>(layout::slot(scene.dice.below(layout::kSlots)) | 3);
    Window w = draw_window(scene, 3, false);
    d.descriptor(selector, w.image.raw());
    d.segment(segment, scene.dice.one_in(16) ? 0 : selector);
    d.reg(kRbx) = draw_offset(scene, w, access.size);
  });
}

/// The stack segment with a limit: push, pop, and [ebp]. Through SS it is #SS.
void write_stack(Scene& scene) {
  struct Use {
    std::initializer_list<u8> code;
    bool by_ebp;
    unsigned size;
  };
  static constexpr Use kUses[] = {
      {{0x50}, false, 4},                 // push eax
      {{0x66, 0x50}, false, 2},           // push ax
      {{0x58}, false, 4},                 // pop eax
      {{0x60}, false, 4},                 // pusha
      {{0x61}, false, 4},                 // popa
      {{0xC9}, true, 4},                  // leave
      {{0xC8, 8, 0, 0}, false, 4},        // enter 8, 0
      {{0xC8, 8, 0, 2}, true, 4},         // enter 8, 2
      {{0xC3}, false, 4},                 // ret
      {{0xE8, 0, 0, 0, 0}, false, 4},     // call
      {{0x9C}, false, 4},                 // pushf
      {{0x8B, 0x45, 0}, true, 4},         // mov eax, [ebp]
      {{0x89, 0x45, 4}, true, 4},         // mov [ebp + 4], eax
      {{0x8B, 0x04, 0x24}, false, 4},     // mov eax, [esp]
      {{0x0F, 0x11, 0x45, 0}, true, 16},  // movups [ebp], xmm0
      {{0x36, 0x8B, 0x03}, false, 4},     // mov eax, ss:[ebx]
      {{0x16}, false, 4},                 // push ss
      {{0x68, 1, 2, 3, 4}, false, 4},     // push imm32
  };
  const Use& use = scene.dice.pick(kUses);
  scene.code(Mode::kUser32, Code(use.code));
  scene.cases([&](Draft& d) {
    const u8 level = scene.cpl();
    d.level(level);
    const u16 selector = static_cast<u16>(layout::slot(scene.dice.below(layout::kSlots)) | level);
    Window w = draw_window(scene, level, true);
    d.descriptor(selector, w.image.raw());
    d.input.ss = selector;
    const u32 at = draw_offset(scene, w, use.size);
    d.reg(kRsp) = use.by_ebp ? (w.first + w.last) / 2 & 0xFFC : at;
    d.reg(kRbp) = at;
    d.reg(kRbx) = at;
  });
}

/// Reading and writing through CS.
void write_code_segment(Scene& scene) {
  const bool write = scene.dice.one_in(3);
  scene.code(Mode::kUser32, {0x2E, static_cast<u8>(write ? 0x89 : 0x8B), 0x03});
  scene.cases([&](Draft& d) {
    const u8 level = scene.cpl();
    d.level(level);
    const u16 selector = static_cast<u16>(layout::slot(scene.dice.below(layout::kSlots)) | level);
    SegmentImage image{.type = scene.dice.coin() ? kTypeCode : kTypeExecuteOnly, .dpl = level};
    image.granularity = false;
    image.base = static_cast<u32>(layout::kUserCode);
    image.limit = 0xFFF;
    d.descriptor(selector, image.raw());
    d.input.cs = selector;
    d.input.rip = scene.code_linear() - layout::kUserCode;
    d.reg(kRbx) = scene.dice.coin() ? 0xFF8 + scene.dice.below(12) : scene.dice.below(0x1000);
  });
}

/// String instructions with both segments bounded.
void write_strings(Scene& scene) {
  constexpr u8 kStrings[] = {0xA4, 0xA5, 0xA6, 0xA7, 0xAA, 0xAB, 0xAC, 0xAD, 0xAE, 0xAF};
  Code code;
  if (scene.dice.coin()) code.add({static_cast<u8>(scene.dice.coin() ? 0xF3 : 0xF2)});
  code.add({scene.dice.pick(kStrings)});
  scene.code(Mode::kUser32, code);
  scene.cases([&](Draft& d) {
    d.level(scene.cpl());
    const u16 source = static_cast<u16>(layout::slot(0) | 3);
    const u16 destination = static_cast<u16>(layout::slot(1) | 3);
    const Window from = draw_window(scene, 3, false);
    const Window to = draw_window(scene, 3, false);
    d.descriptor(source, from.image.raw());
    d.descriptor(destination, to.image.raw());
    d.segment(3, source);
    d.segment(0, destination);
    d.reg(kRsi) = draw_offset(scene, from, 4);
    d.reg(kRdi) = draw_offset(scene, to, 4);
    d.reg(kRcx) = scene.dice.below(6);
    if (scene.dice.coin()) d.flags(rflags::kDf);
  });
}

/// Code at and beyond the end of its segment: near transfers to it, and running into it.
void write_code_limit(Scene& scene) {
  const u8 opcode = scene.dice.coin() ? 0xE9 : 0xE8;  // jmp, call
  const bool indirect = scene.dice.coin();
  scene.code(Mode::kUser32, indirect ? Code{0xFF, static_cast<u8>(opcode == 0xE9 ? 0xE0 : 0xD0)}  // by eax
                                     : Code{opcode, 0, 2, 0, 0});
  scene.cases([&](Draft& d) {
    const u8 level = scene.cpl();
    d.level(level);
    const u16 selector = static_cast<u16>(layout::slot(scene.dice.below(layout::kSlots)) | level);
    const u64 rip = scene.code_linear() - layout::kUserCode;
    SegmentImage image{.type = kTypeCode, .dpl = level};
    image.granularity = false;
    image.base = static_cast<u32>(layout::kUserCode);
    const u64 target = indirect ? 0x800 : rip + 5 + 0x200;
    image.limit = static_cast<u32>(scene.dice.coin() ? 0xFFF : target + scene.dice.below(4) - 2);
    d.descriptor(selector, image.raw());
    d.input.cs = selector;
    d.input.rip = rip;
    d.reg(kRax) = target;
  });
}

}  // namespace

void add_segment_limits(Scenarios& list) {
  for (const Access& access : kAccesses) {
    list.push_back({fmt::format("{} at a segment's ends", access.name), access.name,
                    [&access](Scene& s) { write_data(s, access); }});
  }
  list.push_back({"stack at its segment's ends", "stack segment", write_stack});
  list.push_back({"mov through cs", "code segment", write_code_segment});
  list.push_back({"strings at their segments' ends", "string segments", write_strings});
  list.push_back({"near transfers at the code segment's end", "code limit", write_code_limit});
}

}  // namespace bhvm::oracle
