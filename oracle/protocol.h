// The contract between the oracle's guest program and the tools on the host.
//
// A batch of cases lies in guest RAM; the guest program (oracle/guest) runs each and writes its outcome. The same image
// runs in bhvm and in QEMU, so an outcome means the same thing in both. A native runner fills the same outcomes, as far
// as a user process can know them.
//
//   Batch: BatchHeader, then groups, cases and steps at the offsets that it names.
//   Group: one piece of code at one place in one mode, run with many inputs.
//   Case:  the whole input state. The code runs until it raises an exception: normally the INT3 that fills the code
//          pages around it, so that every way out of the code ends in an outcome.
//
// The case region is 32 pages at kRegion, each of a fixed kind (kPageKinds), with its own physical page in the same
// order from kRegionPhysical. Everything below and above it is unmapped in a case's lower half; the guest program
// itself lives at kDirectMap, supervisor only, far from every address that a small number can be.
//
// All structures are little-endian with natural alignment and no implicit padding. Freestanding: included by the guest.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace bhvm::oracle {

inline constexpr uint64_t kDirectMap = 0xFFFFA10000000000;  // linear address of physical 0 in the guest program
inline constexpr uint64_t kGuestRamBytes = uint64_t{128} << 20;
inline constexpr uint64_t kPageBytes = 4096;

inline constexpr uint64_t kRegion = 0x10000000;  // linear
inline constexpr unsigned kRegionPages = 32;
inline constexpr uint64_t kRegionPhysical = 0x00800000;
inline constexpr uint64_t kRegionBytes = kRegionPages * kPageBytes;
inline constexpr uint64_t kMailboxPhysical = 0x01000000;
inline constexpr uint64_t kBatchPhysical = 0x01200000;
inline constexpr uint64_t kBatchBytes = 0x02C00000;  // 44 MiB
inline constexpr uint64_t kOutcomePhysical = 0x04000000;
inline constexpr uint64_t kOutcomeBytes = 0x04000000;  // 64 MiB

enum class PageKind : uint8_t {
  kUnmapped,
  kCode,            // user, readable, executable
  kData,            // user, writable, not executable
  kReadOnly,        // user, not writable, not executable
  kSupervisor,      // supervisor, writable, not executable
  kReserved,        // present with a reserved bit set
  kSupervisorCode,  // supervisor, readable, executable
  kWritableCode,    // user, writable, executable
};

/// By page of the region. Neighbours are chosen so that an access can cross from any kind that works into one that
/// does not.
inline constexpr PageKind kPageKinds[kRegionPages] = {
    /* 0 */ PageKind::kUnmapped,
    /* 1 */ PageKind::kCode,
    /* 2 */ PageKind::kCode,
    /* 3 */ PageKind::kUnmapped,
    /* 4 */ PageKind::kCode,
    /* 5 */ PageKind::kData,
    /* 6 */ PageKind::kUnmapped,
    /* 7 */ PageKind::kData,
    /* 8 */ PageKind::kData,
    /* 9 */ PageKind::kReadOnly,
    /* 10 */ PageKind::kData,
    /* 11 */ PageKind::kUnmapped,
    /* 12 */ PageKind::kData,
    /* 13 */ PageKind::kSupervisor,
    /* 14 */ PageKind::kData,
    /* 15 */ PageKind::kReserved,
    /* 16 */ PageKind::kUnmapped,
    /* 17 */ PageKind::kData,  // stack
    /* 18 */ PageKind::kData,  // stack
    /* 19 */ PageKind::kUnmapped,
    /* 20 */ PageKind::kSupervisor,  // GDT of system cases
    /* 21 */ PageKind::kSupervisor,  // IDT of system cases
    /* 22 */ PageKind::kSupervisor,  // LDT and TSS of system cases
    /* 23 */ PageKind::kSupervisor,
    /* 24 */ PageKind::kSupervisor,  // supervisor stacks of system cases
    /* 25 */ PageKind::kSupervisor,
    /* 26 */ PageKind::kSupervisorCode,
    /* 27 */ PageKind::kWritableCode,
    /* 28 */ PageKind::kWritableCode,
    /* 29 */ PageKind::kUnmapped,
    /* 30 */ PageKind::kUnmapped,
    /* 31 */ PageKind::kUnmapped,
};
inline constexpr unsigned kStackTopPage = 19;  // a stack grows down from the start of this page
inline constexpr uint64_t page_linear(unsigned page) { return kRegion + page * kPageBytes; }

/// Page-table entry bits of a kind, without A and D (SDM 3, 4.5).
inline constexpr uint64_t kPteAccessed = 1 << 5;
inline constexpr uint64_t kPteDirty = 1 << 6;
inline constexpr uint64_t pte_bits(PageKind kind) {
  constexpr uint64_t kPresent = 1, kWritable = 2, kUser = 4, kNoExecute = uint64_t{1} << 63;
  switch (kind) {
    case PageKind::kUnmapped:
      return 0;
    case PageKind::kCode:
      return kPresent | kUser;
    case PageKind::kData:
      return kPresent | kWritable | kUser | kNoExecute;
    case PageKind::kReadOnly:
      return kPresent | kUser | kNoExecute;
    case PageKind::kSupervisor:
      return kPresent | kWritable | kNoExecute;
    case PageKind::kReserved:
      return kPresent | kWritable | kUser | kNoExecute | (uint64_t{1} << 51);
    case PageKind::kSupervisorCode:
      return kPresent;
    case PageKind::kWritableCode:
      return kPresent | kWritable | kUser;
  }
  return 0;
}

/// How a group's code runs.
enum class Mode : uint8_t {
  kUser64,
  kKernel64,
  kUser32,    // compatibility mode, 32-bit code segment
  kKernel32,  // the same at CPL 0
};

/// Selectors of the guest program's GDT; the user ones are Linux's, so that a native run stores the same numbers.
inline constexpr uint16_t kKernelCode64 = 0x10;
inline constexpr uint16_t kKernelData = 0x18;
inline constexpr uint16_t kUserCode32 = 0x23;
inline constexpr uint16_t kUserData = 0x2B;
inline constexpr uint16_t kUserCode64 = 0x33;
inline constexpr uint16_t kKernelCode32 = 0x38;
inline constexpr uint16_t kTaskState = 0x40;  // 16 bytes
inline constexpr uint16_t kGdtBytes = 0x50;

/// The standard environment of a case (without steps): CR0 = PG AM WP NE ET MP PE, CR4 = DE PAE PGE OSFXSR OSXMMEXCPT
/// FSGSBASE OSXSAVE, XCR0 = x87 SSE, EFER = NXE LMA LME SCE, IA32_PAT at reset. DS, ES = kUserData in user modes,
/// kKernelData in kernel modes; FS, GS null with the case's bases. Interrupt gates for all vectors on IST 1; those of
/// 3 (INT3) and 4 (INTO) have DPL 3, all others 0.
inline constexpr uint64_t kStandardCr0 = 0x80050033;
inline constexpr uint64_t kStandardCr4 = 0x000506A8;
inline constexpr uint64_t kStandardEfer = 0xD01;
inline constexpr uint64_t kStandardXcr0 = 3;

inline constexpr unsigned kMaxCode = 96;

struct Group {
  uint32_t first_case;
  uint32_t case_count;
  uint32_t code_offset;  // of the code's first byte in the region; code and INT3 fill must lie in code pages
  uint16_t code_bytes;
  Mode mode;
  uint8_t reserved;
  uint8_t code[kMaxCode];
};

/// Bytes to be written into the region before a case (and taken back after it).
struct Patch {
  uint32_t offset;  // in the region
  uint32_t bytes;   // 0: unused
  uint8_t data[16];
};
inline constexpr unsigned kPatches = 4;

struct Case {
  uint64_t gpr[16];  // encoding order: rax rcx rdx rbx rsp rbp rsi rdi r8 to r15
  uint64_t rip;
  uint64_t rflags;
  uint64_t fs_base;
  uint64_t gs_base;
  uint64_t accessed;    // A bits before the case, a bit a page of the region (present pages only)
  uint64_t dirty;       // D bits likewise
  uint32_t first_step;  // system cases: steps to take before entering
  uint32_t step_count;  // 0: an instruction case in the standard environment
  uint16_t cs, ss;      // 0: of the group's mode
  uint32_t reserved;
  Patch patches[kPatches];
  alignas(16) uint8_t fx[512];  // FXSAVE64 image: x87, MMX, MXCSR, XMM
};

/// One action of the guest program at CPL 0 before a system case is entered. None may fault.
enum class StepKind : uint32_t {
  kPoke,          // region[index] = value (8 bytes)
  kPte,           // page-table entry of region page `index` = value | physical page, flags as given
  kMsr,           // WRMSR index, value
  kCr,            // CR<index> = value (0, 3, 4, 8)
  kXcr0,          // XCR0 = value
  kDr,            // DR<index> = value
  kGdtr,          // LGDT base value, limit index
  kIdtr,          // LIDT base value, limit index
  kLdtr,          // LLDT value
  kTr,            // LTR value
  kSegment,       // MOV to segment register `index` (encoding order ES CS SS DS FS GS; not CS) = value
  kKernelGsBase,  // IA32_KERNEL_GS_BASE = value
  kSelfIpi,       // the local APIC sends itself vector `index`; it stays pending while IF is 0
};
struct Step {
  StepKind kind;
  uint32_t index;
  uint64_t value;
};

inline constexpr uint32_t kBatchMagic = 0x48435442;
struct BatchHeader {
  uint32_t magic;
  uint32_t group_count;
  uint32_t case_count;
  uint32_t step_count;
  uint64_t groups_offset;  // from the start of the batch, like those below
  uint64_t cases_offset;
  uint64_t steps_offset;
  uint8_t reserved[24];
  uint8_t pristine[kRegionBytes];  // what the region holds before every case; unmapped pages too
};

struct Change {
  uint32_t qword;  // index in the region
  uint32_t reserved;
  uint64_t value;
};
inline constexpr unsigned kMaxChanges = 72;

/// System registers, read back by the guest program after a case with steps.
struct SystemOutcome {
  uint64_t cr0, cr3, cr4, cr8, xcr0, efer;
  uint64_t star, lstar, cstar, fmask, kernel_gs_base;
  uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
  uint64_t gdtr_base, idtr_base;
  uint32_t gdtr_limit, idtr_limit;
  uint16_t ldtr, tr;
  uint32_t reserved;
  uint64_t dr[4];
  uint64_t dr6, dr7;
};

/// Vectors beyond the 256: ends that are no exception.
inline constexpr uint32_t kVectorShutdown = 256;     // triple fault
inline constexpr uint32_t kVectorHung = 257;         // no end within the limit; written by the host
inline constexpr uint32_t kVectorUnsupported = 258;  // bhvm stopped: it does not have this; written by the host
inline constexpr uint32_t kVectorDied = 259;         // the emulator's process ended; written by the host
inline constexpr uint32_t kVectorNotRun = 0xFFFF;

struct Outcome {
  uint64_t gpr[16];
  uint64_t rip;     // as pushed
  uint64_t rflags;  // as pushed
  uint64_t cr2;     // 0 unless a page fault wrote it
  uint64_t fs_base;
  uint64_t gs_base;
  uint32_t vector;
  uint32_t error_code;  // 0 for exceptions without one
  uint16_t cs, ss;      // as pushed
  uint16_t ds, es, fs, gs;
  uint32_t pte_changed;  // pages whose entry changed in a bit other than A and D
  uint64_t accessed;     // A bits after the case
  uint64_t dirty;
  uint64_t change_hash;   // over all qwords of the region that differ from pristine contents and code
  uint32_t change_count;  // may exceed kMaxChanges: then the first ones are listed
  uint32_t reserved;
  alignas(16) uint8_t fx[512];
  SystemOutcome system;  // zero for instruction cases
  Change changes[kMaxChanges];
};
/// The hash of changed qwords, in order of their index: start with 0, fold each in.
inline constexpr uint64_t fold_change(uint64_t hash, uint32_t qword, uint64_t value) {
  hash = (hash ^ qword) * 0x9E3779B97F4A7C15;
  hash = (hash ^ value ^ (hash >> 29)) * 0xBF58476D1CE4E5B9;
  return hash ^ (hash >> 32);
}

inline constexpr uint32_t kMailboxMagic = 0x4F42584D;
inline constexpr uint32_t kMailboxReady = 1;
struct Mailbox {
  uint32_t magic;        // kMailboxMagic once the guest program is up
  uint32_t halt_idle;    // written by the host before start: 1 = HLT when there is nothing to do, 0 = look again
  uint32_t posted;       // the host counts batches here ...
  uint32_t completed;    // ... and the guest here
  uint32_t next_case;    // the host sets it to the first case to run; the guest advances it after each outcome
  uint32_t running;      // 1 while a case runs: found set at start, the case ended in a shutdown
  uint32_t end_case;     // the host's: stop before this case
  uint32_t boots;        // how many times the guest program started
  uint64_t stub[256];    // linear address of the guest program's entry for each vector, for IDTs of system cases
  uint64_t fault_stack;  // top of the stack of IST 1
  uint32_t panicked;     // 1: the guest program itself raised an exception, described by the rest
  uint32_t panic_vector;
  uint32_t panic_error_code;
  uint32_t reserved;
  uint64_t panic_rip;
};

static_assert(sizeof(Group) == 112 && sizeof(Case) % 16 == 0 && sizeof(Outcome) % 16 == 0 && sizeof(Step) == 16);

inline constexpr uint32_t kMaxCases = static_cast<uint32_t>(kOutcomeBytes / sizeof(Outcome));

}  // namespace bhvm::oracle
