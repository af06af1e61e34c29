#include "oracle/compare/fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace bhvm::oracle {
namespace {

constexpr std::array<const char*, 16> kGprNames = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                                   "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
constexpr std::array<const char*, 6> kSelectorNames = {"es", "cs", "ss", "ds", "fs", "gs"};
// In the order of SystemOutcome's 8-byte words.
constexpr std::array kSystemNames = {"cr0",
                                     "cr3",
                                     "cr4",
                                     "cr8",
                                     "xcr0",
                                     "efer",
                                     "star",
                                     "lstar",
                                     "cstar",
                                     "fmask",
                                     "kernel_gs_base",
                                     "sysenter_cs",
                                     "sysenter_esp",
                                     "sysenter_eip",
                                     "gdtr.base",
                                     "idtr.base",
                                     "gdtr/idtr.limit",
                                     "ldtr/tr",
                                     "dr0",
                                     "dr1",
                                     "dr2",
                                     "dr3",
                                     "dr6",
                                     "dr7"};
static_assert(kSystemNames.size() * 8 == sizeof(SystemOutcome));

constexpr std::array<const char*, 22> kVectorNames = {"#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM",
                                                      "#DF", "9",   "#TS", "#NP", "#SS", "#GP", "#PF", "15",
                                                      "#MF", "#AC", "#MC", "#XM", "#VE", "#CP"};

// Offsets in an FXSAVE64 image (SDM 1, table 10-2).
constexpr unsigned kFcw = 0, kFsw = 2, kFtw = 4, kFop = 6, kFip = 8, kFdp = 16, kMxcsr = 24, kMxcsrMask = 28;
constexpr unsigned kSt = 32, kXmmArea = 160;

template <class T>
u64 load(const u8* at) {
  T value;
  std::memcpy(&value, at, sizeof(value));
  return value;
}

u64 selector(const Outcome& o, u16 index) {
  switch (index) {
    case 0:
      return o.es;
    case 1:
      return o.cs;
    case 2:
      return o.ss;
    case 3:
      return o.ds;
    case 4:
      return o.fs;
    default:
      return o.gs;
  }
}

u64 pristine_qword(const Pristine& pristine, u32 qword) { return load<u64>(pristine.data() + u64{qword} * 8); }

u64 memory_word(const Outcome& o, const Pristine& pristine, u16 qword) {
  const u32 count = std::min<u32>(o.change_count, kMaxChanges);
  for (u32 i = 0; i < count; ++i) {
    if (o.changes[i].qword == qword) return o.changes[i].value;
  }
  return pristine_qword(pristine, qword);
}

struct ScalarField {
  Field field;
  u16 count;
};
constexpr ScalarField kScalarFields[] = {
    {Field::kGpr, 16},           {Field::kRip, 1},
    {Field::kRflags, 1},         {Field::kCr2, 1},
    {Field::kFsBase, 1},         {Field::kGsBase, 1},
    {Field::kVector, 1},         {Field::kErrorCode, 1},
    {Field::kSelector, 6},       {Field::kPteChanged, 1},
    {Field::kAccessed, 1},       {Field::kDirty, 1},
    {Field::kX87Control, 1},     {Field::kX87Status, 1},
    {Field::kX87Tag, 1},         {Field::kX87Opcode, 1},
    {Field::kX87Instruction, 1}, {Field::kX87Data, 1},
    {Field::kMxcsr, 1},          {Field::kMxcsrMask, 1},
    {Field::kX87Significand, 8}, {Field::kX87Exponent, 8},
    {Field::kXmm, 32},           {Field::kSystem, sizeof(SystemOutcome) / 8},
};

bool same_bytes(const Outcome& a, const Outcome& b) {
  constexpr std::size_t kFxCompared = 416;
  return std::memcmp(&a, &b, offsetof(Outcome, fx)) == 0 && std::memcmp(a.fx, b.fx, kFxCompared) == 0 &&
         std::memcmp(&a.system, &b.system, sizeof(a.system)) == 0 &&
         std::memcmp(a.changes, b.changes, std::min<u32>(a.change_count, kMaxChanges) * sizeof(Change)) == 0;
}

void compare_memory(const Outcome& ours, const Outcome& theirs, const Pristine& pristine,
                    std::vector<Difference>& differences) {
  if (ours.change_hash == theirs.change_hash && ours.change_count == theirs.change_count) return;
  const u32 our_count = std::min<u32>(ours.change_count, kMaxChanges);
  const u32 their_count = std::min<u32>(theirs.change_count, kMaxChanges);
  bool listed = false;
  u32 i = 0, j = 0;
  while (i < our_count || j < their_count) {
    const u32 our_qword = i < our_count ? ours.changes[i].qword : ~u32{0};
    const u32 their_qword = j < their_count ? theirs.changes[j].qword : ~u32{0};
    const u32 qword = std::min(our_qword, their_qword);
    Difference d{Field::kMemory, static_cast<u16>(qword), 0, 0};
    d.ours = our_qword == qword ? ours.changes[i++].value : pristine_qword(pristine, qword);
    d.theirs = their_qword == qword ? theirs.changes[j++].value : pristine_qword(pristine, qword);
    if (d.bits() == 0) continue;
    differences.push_back(d);
    listed = true;
  }
  if (!listed || our_count < ours.change_count || their_count < theirs.change_count) {
    differences.push_back({Field::kMemoryHash, 0, ours.change_hash, theirs.change_hash});
  }
}

}  // namespace

u64 word_of(const Outcome& o, const Pristine& pristine, Field field, u16 index) {
  switch (field) {
    case Field::kGpr:
      return o.gpr[index];
    case Field::kRip:
      return o.rip;
    case Field::kRflags:
      return o.rflags;
    case Field::kCr2:
      return o.cr2;
    case Field::kFsBase:
      return o.fs_base;
    case Field::kGsBase:
      return o.gs_base;
    case Field::kVector:
      return o.vector;
    case Field::kErrorCode:
      return o.error_code;
    case Field::kSelector:
      return selector(o, index);
    case Field::kPteChanged:
      return o.pte_changed;
    case Field::kAccessed:
      return o.accessed;
    case Field::kDirty:
      return o.dirty;
    case Field::kX87Control:
      return load<u16>(o.fx + kFcw);
    case Field::kX87Status:
      return load<u16>(o.fx + kFsw);
    case Field::kX87Tag:
      return load<u8>(o.fx + kFtw);
    case Field::kX87Opcode:
      return load<u16>(o.fx + kFop);
    case Field::kX87Instruction:
      return load<u64>(o.fx + kFip);
    case Field::kX87Data:
      return load<u64>(o.fx + kFdp);
    case Field::kMxcsr:
      return load<u32>(o.fx + kMxcsr);
    case Field::kMxcsrMask:
      return load<u32>(o.fx + kMxcsrMask);
    case Field::kX87Significand:
      return load<u64>(o.fx + kSt + 16 * index);
    case Field::kX87Exponent:
      return load<u16>(o.fx + kSt + 16 * index + 8);
    case Field::kXmm:
      return load<u64>(o.fx + kXmmArea + 8 * index);
    case Field::kMemory:
      return memory_word(o, pristine, index);
    case Field::kMemoryHash:
      return o.change_hash;
    case Field::kSystem:
      return load<u64>(reinterpret_cast<const u8*>(&o.system) + 8 * index);
  }
  return 0;
}

void compare_outcomes(const Outcome& ours, const Outcome& theirs, const Pristine& pristine,
                      std::vector<Difference>& differences) {
  if (same_bytes(ours, theirs)) return;
  for (const ScalarField& scalar : kScalarFields) {
    for (u16 index = 0; index < scalar.count; ++index) {
      const u64 a = word_of(ours, pristine, scalar.field, index);
      const u64 b = word_of(theirs, pristine, scalar.field, index);
      if (a != b) differences.push_back({scalar.field, index, a, b});
    }
  }
  compare_memory(ours, theirs, pristine, differences);
}

std::vector<Word> words_of(const Outcome& outcome, const Pristine& pristine) {
  std::vector<Word> words;
  for (const ScalarField& scalar : kScalarFields) {
    for (u16 index = 0; index < scalar.count; ++index) {
      const u64 value = word_of(outcome, pristine, scalar.field, index);
      if (value != 0) words.push_back({scalar.field, index, value});
    }
  }
  const u32 changes = std::min<u32>(outcome.change_count, kMaxChanges);
  for (u32 i = 0; i < changes; ++i) {
    words.push_back({Field::kMemory, static_cast<u16>(outcome.changes[i].qword), outcome.changes[i].value});
  }
  if (outcome.change_count > kMaxChanges) words.push_back({Field::kMemoryHash, 0, outcome.change_hash});
  return words;
}

std::string name_of(Field field, u16 index) {
  switch (field) {
    case Field::kGpr:
      return kGprNames[index];
    case Field::kRip:
      return "rip";
    case Field::kRflags:
      return "rflags";
    case Field::kCr2:
      return "cr2";
    case Field::kFsBase:
      return "fs.base";
    case Field::kGsBase:
      return "gs.base";
    case Field::kVector:
      return "vector";
    case Field::kErrorCode:
      return "error code";
    case Field::kSelector:
      return kSelectorNames[index];
    case Field::kPteChanged:
      return "page-table entries";
    case Field::kAccessed:
      return "A bits";
    case Field::kDirty:
      return "D bits";
    case Field::kX87Control:
      return "fcw";
    case Field::kX87Status:
      return "fsw";
    case Field::kX87Tag:
      return "ftw";
    case Field::kX87Opcode:
      return "fop";
    case Field::kX87Instruction:
      return "fip";
    case Field::kX87Data:
      return "fdp";
    case Field::kMxcsr:
      return "mxcsr";
    case Field::kMxcsrMask:
      return "mxcsr_mask";
    case Field::kX87Significand:
      return fmt::format("st{}.significand", index);
    case Field::kX87Exponent:
      return fmt::format("st{}.exponent", index);
    case Field::kXmm:
      return fmt::format("xmm{}[{}]", index / 2, index % 2 == 0 ? "63:0" : "127:64");
    case Field::kMemory:
      return fmt::format("mem[{:#x}]", kRegion + u64{index} * 8);
    case Field::kMemoryHash:
      return "memory (hash)";
    case Field::kSystem:
      return kSystemNames[index];
  }
  return "?";
}

std::string describe(const Outcome& o) {
  std::string vector;
  if (o.vector < kVectorNames.size()) {
    vector = kVectorNames[o.vector];
  } else if (o.vector == kVectorShutdown) {
    vector = "shutdown";
  } else if (o.vector == kVectorHung) {
    vector = "hung";
  } else if (o.vector == kVectorUnsupported) {
    vector = "unsupported by bhvm";
  } else if (o.vector == kVectorDied) {
    vector = "the emulator died";
  } else if (o.vector == kVectorNotRun) {
    vector = "not run";
  } else {
    vector = fmt::format("vector {}", o.vector);
  }
  return fmt::format("{} error {:#x} rip {:#x} rflags {:#x} cr2 {:#x}", vector, o.error_code, o.rip, o.rflags, o.cr2);
}

}  // namespace bhvm::oracle
