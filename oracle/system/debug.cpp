// Debug registers: breakpoints on instructions, data and ports, single steps, general detect, DR4 to DR7.
#include <fmt/format.h>

#include "oracle/system/scenario.h"

namespace bhvm::oracle {
namespace {

/// R/W and LEN fields of DR7.
constexpr u64 kOnExecute = 0, kOnWrite = 1, kOnIo = 2, kOnReadOrWrite = 3;
constexpr u64 kLengths[] = {0, 1, 3, 2};  // 1, 2, 4, 8 bytes

u64 dr7_field(unsigned number, u64 condition, u64 length_code, u64 enables) {
  return (enables << (2 * number)) | ((condition | length_code << 2) << (16 + 4 * number));
}

constexpr u64 kDr7Fixed = 0x400;

/// Breakpoints on instructions of a small piece of code.
void write_instruction(Scene& scene, bool code64) {
  Dice& dice = scene.dice;
  Code code;
  u64 starts[8];
  unsigned count = 0;
  u64 at = 0;
  for (unsigned i = 0; i < 5; ++i) {
    starts[count++] = at;
    switch (dice.below(5)) {
      case 0:
        code.add({0x90});
        at += 1;
        break;
      case 1:
        code.add({0xFF, 0xC0});  // inc eax
        at += 2;
        break;
      case 2:
        code.add({0x8B, 0x0B});  // mov ecx, [rbx]
        at += 2;
        break;
      case 3:
        code.add({0x8E, 0xD2});  // mov ss, edx: the next instruction's breakpoint is held back
        at += 2;
        break;
      default:
        code.add({0x50});  // push rax
        at += 1;
        break;
    }
  }
  scene.code(code64 ? Mode::kUser64 : Mode::kUser32, code);
  scene.cases([&](Draft& d) {
    const u8 level = scene.cpl();
    d.level(level);
    d.reg(kRdx) = d.input.ss;
    u64 dr7 = kDr7Fixed;
    for (unsigned number = 0; number < 4; ++number) {
      if (dice.coin()) continue;
      d.dr(number, scene.code_linear() + starts[dice.below(count)] + (dice.one_in(6) ? 1 : 0));
      dr7 |= dr7_field(number, kOnExecute, 0, dice.below(4));
    }
    d.dr(7, dr7);
    if (dice.one_in(4)) d.flags(rflags::kRf);
    if (dice.one_in(4)) d.flags(rflags::kTf);
  });
}

struct Access {
  const char* name;
  std::initializer_list<u8> code;
  unsigned size;
};
constexpr Access kAccesses[] = {
    {"mov al, [m]", {0x8A, 0x03}, 1},
    {"mov [m], al", {0x88, 0x03}, 1},
    {"mov [m], ax", {0x66, 0x89, 0x03}, 2},
    {"mov eax, [m]", {0x8B, 0x03}, 4},
    {"mov [m], eax", {0x89, 0x03}, 4},
    {"add [m], rax", {0x48, 0x01, 0x03}, 8},
    {"xchg [m], rax", {0x48, 0x87, 0x03}, 8},
    {"movups [m], xmm0", {0x0F, 0x11, 0x03}, 16},
    {"movups xmm0, [m]", {0x0F, 0x10, 0x03}, 16},
    {"cmpxchg [m], ecx", {0x0F, 0xB1, 0x0B}, 4},
    {"fld m80", {0xDB, 0x2B}, 10},
    {"push", {0x50}, 8},
    {"pop", {0x58}, 8},
    {"movsd", {0xA5}, 4},
    {"rep stosb", {0xF3, 0xAA}, 8},
    {"rep movsb", {0xF3, 0xA4}, 8},
    {"enter", {0xC8, 16, 0, 0}, 8},
    {"call", {0xE8, 0, 0, 0, 0}, 8},
    {"prefetch", {0x0F, 0x18, 0x03}, 1},
    {"bt [m], eax", {0x0F, 0xA3, 0x03}, 4},
};

/// A data breakpoint that overlaps the access, or lies beside it.
void write_data(Scene& scene, const Access& access) {
  Dice& dice = scene.dice;
  scene.code(Mode::kUser64, Code(access.code).add({0x90}));
  scene.cases([&](Draft& d) {
    d.level(scene.cpl());
    const u64 at = layout::kData + 0x100 + dice.below(0x400);
    const bool stack = access.name[0] == 'p' || access.name[0] == 'e' || access.name[0] == 'c';
    d.reg(kRbx) = at;
    d.reg(kRdi) = at;
    d.reg(kRsi) = at + 64;
    d.reg(kRax) = access.name[0] == 'b' ? dice.below(64) : d.reg(kRax);
    d.reg(kRcx) = dice.below(8);
    if (stack && access.size == 8) d.reg(kRsp) = at & ~u64{7};
    u64 dr7 = kDr7Fixed | (dice.bits() & 0x300);
    for (unsigned number = 0; number < 4; ++number) {
      if (dice.coin()) continue;
      const unsigned length = dice.below(4);
      // The address is aligned to the length: otherwise the result is undefined (SDM 3, 17.2.5).
      const u64 address = (d.reg(kRbx) + static_cast<u64>(dice.between(-16, 24))) & ~((u64{1} << length) - 1);
      d.dr(number, address);
      dr7 |= dr7_field(number, dice.coin() ? kOnWrite : kOnReadOrWrite, kLengths[length], dice.below(4));
    }
    d.dr(7, dr7);
    if (dice.one_in(8)) d.dr(6, dice.bits() & 0xE00F);
    if (dice.one_in(8)) d.flags(rflags::kTf);
  });
}

/// Breakpoints on ports, with CR4.DE.
void write_ports(Scene& scene) {
  Dice& dice = scene.dice;
  constexpr u8 kOpcodes[] = {0xEC, 0xED, 0xEE, 0xEF};
  scene.code(Mode::kUser64, {dice.pick(kOpcodes), 0x90});
  scene.cases([&](Draft& d) {
    d.level(0);
    d.reg(kRdx) = 0x1200 + dice.below(16);
    u64 dr7 = kDr7Fixed;
    const unsigned number = dice.below(4);
    const unsigned length = dice.below(3);
    d.dr(number, (0x1200 + dice.below(16)) & ~((u64{1} << length) - 1));
    dr7 |= dr7_field(number, kOnIo, kLengths[length], 1 + dice.below(3));
    d.dr(7, dr7);
  });
}

struct Stepped {
  const char* name;
  std::initializer_list<u8> code;
  bool only32;
};
constexpr Stepped kStepped[] = {
    {"nop", {0x90, 0x90}, false},
    {"mov ss", {0x8E, 0xD2, 0x90, 0x90}, false},
    {"mov ss twice", {0x8E, 0xD2, 0x8E, 0xD2, 0x90, 0x90}, false},
    {"popf", {0x9D, 0x90, 0x90}, false},
    {"pushf", {0x9C, 0x90}, false},
    {"rep movsb", {0xF3, 0xA4, 0x90}, false},
    {"rep stosb of nothing", {0x31, 0xC9, 0xF3, 0xAA, 0x90}, false},
    {"repe cmpsb", {0xF3, 0xA6, 0x90}, false},
    {"int3", {0xCC, 0x90}, false},
    {"int1", {0xF1, 0x90}, false},
    {"ud2", {0x0F, 0x0B, 0x90}, false},
    {"sti", {0xFB, 0x90, 0x90}, false},
    {"jmp", {0xEB, 0x01, 0x90, 0x90}, false},
    {"call", {0xE8, 0, 0, 0, 0, 0x90}, false},
    {"mov fs", {0x8E, 0xE2, 0x90}, false},
    {"hlt with nothing to wake it", {0x90, 0x0F, 0xA2}, false},  // nop; cpuid
    {"wrmsr", {0x0F, 0x30, 0x90}, false},
    {"mov cr2", {0x0F, 0x22, 0xD0, 0x90}, false},
    {"loop", {0xE2, 0xFE, 0x90}, false},
};

void write_step(Scene& scene, const Stepped& stepped, bool code64) {
  Dice& dice = scene.dice;
  scene.code(code64 ? Mode::kUser64 : Mode::kUser32, Code(stepped.code));
  const std::string_view name = stepped.name;
  scene.cases([&](Draft& d) {
    const u8 level = scene.cpl();
    d.level(level);
    d.reg(kRdx) = name == "mov fs" ? u64{kUserData} : name == "wrmsr" ? 0 : u64{d.input.ss};
    d.reg(kRcx) = name == "wrmsr" ? 0xC0000102 : dice.below(4);
    if (name == "loop") d.reg(kRcx) = 1 + dice.below(3);
    if (name == "wrmsr") d.reg(kRax) = static_cast<u32>(d.reg(kRax));
    if (name == "repe cmpsb") {
      d.poke(d.reg(kRsi), 0);
      d.poke(d.reg(kRdi), 0);
    }
    const bool popf = name == "popf";
    if (popf) {
      const u64 flags = (dice.bits() & (rflags::kArithmetic | rflags::kIopl)) | (dice.coin() ? rflags::kTf : 0);
      d.poke(d.reg(kRsp), flags, code64 ? 8 : 4);
    }
    if (!popf || dice.coin()) d.flags(rflags::kTf);
    if (dice.one_in(4)) d.dr(6, dice.bits() & 0xE00F);
    if (dice.one_in(4)) d.flags(rflags::kIopl);
  });
}

/// TF and IRET: into TF, and out of it.
void write_step_iret(Scene& scene) {
  Dice& dice = scene.dice;
  scene.code(Mode::kUser64, {0x48, 0xCF});
  scene.cases([&](Draft& d) {
    const u8 level = scene.cpl();
    d.level(level);
    constexpr u16 kCode[] = {kKernelCode64, layout::kRing1Code64, layout::kRing2Code64, kUserCode64};
    constexpr u16 kStack[] = {kKernelData, layout::kRing1Data, layout::kRing2Data, kUserData};
    const u8 target = static_cast<u8>(level + dice.below(4u - level));
    const u64 rip = scene.landing();
    d.poke(rip, 0x9090, 2);
    const u64 flags = rflags::kFixed | (dice.coin() ? rflags::kTf : 0);
    d.poke_values(d.reg(kRsp), {rip, kCode[target], flags, layout::kUserStack, kStack[target]}, 8);
    if (dice.coin()) d.flags(rflags::kTf);
  });
}

/// TF over SYSCALL: FMASK decides what is left of it.
void write_step_syscall(Scene& scene) {
  Dice& dice = scene.dice;
  scene.code(Mode::kUser64, {0x0F, 0x05, 0x90});
  scene.cases([&](Draft& d) {
    d.level(scene.cpl());
    d.msr(0xC0000081, u64{kKernelCode64} << 32);
    const u64 entry = scene.landing();
    d.msr(0xC0000082, entry);
    d.msr(0xC0000084, dice.coin() ? rflags::kTf : 0);
    d.poke(entry, 0x9090, 2);
    d.flags(rflags::kTf);
  });
}

Mode draw_mode(Scene& scene) { return scene.dice.coin() ? Mode::kUser64 : Mode::kUser32; }

/// MOV to and from debug registers; DR4 and DR5; general detect.
void write_move(Scene& scene, bool to) {
  Dice& dice = scene.dice;
  const unsigned number = dice.below(8);
  Code code;
  const Mode mode = draw_mode(scene);
  if (mode == Mode::kUser64 && dice.one_in(6)) code.add({0x44});  // DR8 to DR15: #UD
  code.add({0x0F, static_cast<u8>(to ? 0x23 : 0x21), static_cast<u8>(0xC0 | number << 3)});
  scene.code(mode, code);
  scene.cases([&](Draft& d) {
    d.level(dice.percent(80) ? u8{0} : scene.cpl());
    u64 value = dice.bits();
    if (dice.percent(80)) value = static_cast<u32>(value);
    // A breakpoint that this write enables would be met by what follows, on addresses from other steps: none is set.
    if (number == 7 || number == 5) value &= ~u64{0xFF};
    // What comes after the case must be able to read the registers.
    if (number == 7 || number == 5) value &= ~dr7::kGd;
    d.reg(kRax) = mode == Mode::kUser64 ? value : static_cast<u32>(value);
    if (dice.one_in(3)) d.cr(4, kStandardCr4 & ~cr4::kDe);
    if (dice.one_in(4)) d.dr(7, kDr7Fixed | dr7::kGd);
  });
}

void write_int1(Scene& scene) {
  scene.code(draw_mode(scene), {0xF1, 0x90});
  scene.cases([&](Draft& d) {
    d.level(scene.cpl());
    if (scene.dice.coin()) d.dr(6, scene.dice.bits() & 0xE00F);
    if (scene.dice.one_in(4)) d.dr(7, kDr7Fixed | dr7::kGd);
  });
}

}  // namespace

void add_debug(Scenarios& list) {
  for (const bool code64 : {true, false}) {
    const char* suffix = code64 ? "" : " [32]";
    list.push_back({fmt::format("breakpoints on instructions{}", suffix), "instruction breakpoint",
                    [=](Scene& s) { write_instruction(s, code64); }});
    for (const Stepped& stepped : kStepped) {
      list.push_back({fmt::format("single step over {}{}", stepped.name, suffix), "single step",
                      [&stepped, code64](Scene& s) { write_step(s, stepped, code64); }});
    }
  }
  for (const Access& access : kAccesses) {
    list.push_back({fmt::format("breakpoints on data of {}", access.name), "data breakpoint",
                    [&access](Scene& s) { write_data(s, access); }});
  }
  list.push_back({"breakpoints on ports", "port breakpoint", write_ports});
  list.push_back({"single step over iretq", "single step", write_step_iret});
  list.push_back({"single step over syscall", "single step", write_step_syscall});
  list.push_back({"mov dr, r", "mov dr", [](Scene& s) { write_move(s, true); }});
  list.push_back({"mov r, dr", "mov dr", [](Scene& s) { write_move(s, false); }});
  list.push_back({"int1 and dr6", "int1", write_int1});
}

}  // namespace bhvm::oracle
