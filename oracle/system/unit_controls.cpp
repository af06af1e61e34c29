// Which unit may be used: CR0.TS, EM and MP, CR4.OSFXSR, OSXMMEXCPT, OSXSAVE, TSD and PCE.
#include <fmt/format.h>

#include <cstring>

#include "oracle/system/scenario.h"

namespace bhvm::oracle {
namespace {

struct Use {
  const char* name;
  std::initializer_list<u8> code;  // a memory operand is [rbx], aligned
};
constexpr Use kUses[] = {
    {"fld1", {0xD9, 0xE8}},
    {"fnop", {0xD9, 0xD0}},
    {"fninit", {0xDB, 0xE3}},
    {"fnclex", {0xDB, 0xE2}},
    {"fnstsw ax", {0xDF, 0xE0}},
    {"fnstcw m", {0xD9, 0x3B}},
    {"fnsave m", {0xDD, 0x33}},
    {"fisttp m", {0xDB, 0x0B}},
    {"wait", {0x9B}},
    {"fxsave", {0x0F, 0xAE, 0x03}},
    {"movq mm0, mm1", {0x0F, 0x6F, 0xC1}},
    {"paddb mm0, m", {0x0F, 0xFC, 0x03}},
    {"pshufb mm0, mm1", {0x0F, 0x38, 0x00, 0xC1}},
    {"emms", {0x0F, 0x77}},
    {"addps xmm0, xmm1", {0x0F, 0x58, 0xC1}},
    {"movups xmm0, m", {0x0F, 0x10, 0x03}},
    {"paddb xmm0, xmm1", {0x66, 0x0F, 0xFC, 0xC1}},
    {"pshufb xmm0, xmm1", {0x66, 0x0F, 0x38, 0x00, 0xC1}},
    {"cvtpi2ps xmm0, mm0", {0x0F, 0x2A, 0xC0}},
    {"cvtps2pi mm0, xmm0", {0x0F, 0x2D, 0xC0}},
    {"movq2dq xmm0, mm0", {0xF3, 0x0F, 0xD6, 0xC0}},
    {"pavgb mm0, mm1", {0x0F, 0xE0, 0xC1}},
    {"stmxcsr m", {0x0F, 0xAE, 0x1B}},
    {"movnti m, eax", {0x0F, 0xC3, 0x03}},
    {"crc32 eax, ecx", {0xF2, 0x0F, 0x38, 0xF1, 0xC1}},
    {"popcnt eax, ecx", {0xF3, 0x0F, 0xB8, 0xC1}},
    {"sfence", {0x0F, 0xAE, 0xF8}},
    {"lfence", {0x0F, 0xAE, 0xE8}},
    {"mfence", {0x0F, 0xAE, 0xF0}},
    {"prefetchnta m", {0x0F, 0x18, 0x03}},
    {"pause", {0xF3, 0x90}},
    {"clflush m", {0x0F, 0xAE, 0x3B}},
    {"aesenc xmm0, xmm1", {0x66, 0x0F, 0x38, 0xDC, 0xC1}},
    {"pclmulqdq xmm0, xmm1, 0", {0x66, 0x0F, 0x3A, 0x44, 0xC1, 0}},
    {"pcmpistri xmm0, xmm1, 0", {0x66, 0x0F, 0x3A, 0x63, 0xC1, 0}},
};

void draw_controls(Scene& scene, Draft& d) {
  Dice& dice = scene.dice;
  u64 cr0_value = kStandardCr0;
  u64 cr4_value = kStandardCr4;
  if (dice.one_in(3)) cr0_value |= cr0::kTs;
  if (dice.one_in(4)) cr0_value |= cr0::kEm;
  if (dice.one_in(3)) cr0_value &= ~cr0::kMp;
  if (dice.one_in(4)) cr4_value &= ~cr4::kOsfxsr;
  if (dice.one_in(4)) cr4_value &= ~cr4::kOsxsave;
  if (dice.one_in(4)) cr4_value &= ~cr4::kOsxmmexcpt;
  if (dice.one_in(6)) d.step(StepKind::kXcr0, 0, 1);
  if (cr4_value != kStandardCr4) d.cr(4, cr4_value);
  if (cr0_value != kStandardCr0) d.cr(0, cr0_value);
}

void write_use(Scene& scene, const Use& use) {
  const bool code64 = scene.dice.coin();
  scene.code(code64 ? Mode::kUser64 : Mode::kUser32, Code(use.code));
  scene.cases([&](Draft& d) {
    d.level(scene.cpl());
    d.reg(kRbx) = layout::kData + 16 * scene.dice.below(64);
    draw_controls(scene, d);
  });
}

/// XSAVE and XRSTOR under CR4.OSXSAVE and XCR0.
void write_xsave(Scene& scene) {
  Dice& dice = scene.dice;
  Code code;
  if (dice.coin()) code.add({0x48});
  constexpr u8 kModrm[] = {0x23, 0x2B, 0x33};  // xsave, xrstor, xsaveopt [rbx]
  code.add({0x0F, 0xAE, dice.pick(kModrm)});
  scene.code(Mode::kUser64, code);
  scene.cases([&](Draft& d) {
    d.level(scene.cpl());
    d.reg(kRbx) = layout::kData + 64 * dice.below(32) + (dice.one_in(8) ? 8 * dice.below(8) : 0);
    d.reg(kRax) = dice.coin() ? dice.below(8) : dice.bits();
    d.reg(kRdx) = dice.coin() ? 0 : dice.bits();
    // A header that XRSTOR takes, mostly, and an MXCSR that it takes.
    if (d.reg(kRbx) % 64 == 0) {
      d.poke(d.reg(kRbx) + 24, 0x1F80, 4);
      d.poke(d.reg(kRbx) + 512, dice.below(4));
      for (unsigned i = 8; i < 64; i += 8) d.poke(d.reg(kRbx) + 512 + i, dice.one_in(32) ? dice.bits() : 0);
    }
    draw_controls(scene, d);
  });
}

/// An unmasked SSE exception is #XM, or #UD without CR4.OSXMMEXCPT; a pending x87 one is #MF with CR0.NE.
void write_exceptions(Scene& scene) {
  Dice& dice = scene.dice;
  const bool sse = dice.coin();
  scene.code(dice.coin() ? Mode::kUser64 : Mode::kUser32,
             sse ? Code{0x0F, 0x5E, 0xC1}                            // divps xmm0, xmm1
                 : Code{0xD9, 0xE8, 0xD9, 0xEE, 0xDE, 0xF9, 0x9B});  // fld1; fldz; fdivp; wait
  scene.cases([&](Draft& d) {
    d.level(scene.cpl());
    const u32 mxcsr = 0x1F80 & ~(u32{0x80} << dice.below(6));
    std::memcpy(d.input.fx + 24, &mxcsr, 4);
    const u16 fcw = static_cast<u16>(0x37F & ~(1u << dice.below(6)));
    std::memcpy(d.input.fx, &fcw, 2);
    if (dice.coin()) std::memset(d.input.fx + 176, 0, 16);  // xmm1
    if (dice.coin()) d.cr(4, kStandardCr4 & ~cr4::kOsxmmexcpt);
  });
}

/// RDTSC and RDTSCP under CR4.TSD, RDPMC under CR4.PCE; CPUID never faults. What they read is thrown away.
void write_counters(Scene& scene) {
  Dice& dice = scene.dice;
  constexpr u8 kForget[] = {0x31, 0xC0, 0x31, 0xDB, 0x31, 0xC9, 0x31, 0xD2};
  Code code = dice.coin() ? Code{0x0F, 0x31} : dice.coin() ? Code{0x0F, 0x01, 0xF9} : Code{0x0F, 0xA2};
  for (const u8 byte : kForget) code.add({byte});
  scene.code(dice.coin() ? Mode::kUser64 : Mode::kUser32, code);
  scene.cases([&](Draft& d) {
    d.level(scene.cpl());
    if (dice.coin()) d.cr(4, kStandardCr4 | cr4::kTsd);
  });
}

void write_rdpmc(Scene& scene) {
  scene.code(scene.dice.coin() ? Mode::kUser64 : Mode::kUser32, {0x0F, 0x33});
  scene.cases([&](Draft& d) {
    d.level(scene.cpl());
    if (scene.dice.coin()) d.cr(4, kStandardCr4 | cr4::kPce);
  });
}

}  // namespace

void add_unit_controls(Scenarios& list) {
  for (const Use& use : kUses) {
    list.push_back({fmt::format("{} under its controls", use.name), use.name, [&use](Scene& s) { write_use(s, use); }});
  }
  list.push_back({"xsave and xrstor under their controls", "xsave", write_xsave});
  list.push_back({"floating-point exceptions under their controls", "fp exceptions", write_exceptions});
  list.push_back({"rdtsc, rdtscp and cpuid under cr4.tsd", "rdtsc", write_counters});
  list.push_back({"rdpmc under cr4.pce", "rdpmc", write_rdpmc});
}

}  // namespace bhvm::oracle
