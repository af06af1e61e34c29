// The guest program: runs the cases that the host puts into RAM and writes down how each ended.
//
// It owns CPL 0 of a bare machine and has no libraries. Everything it needs stands at kDirectMap, where no case
// reaches; a case's lower half of the address space holds the region and nothing else.
#include <stddef.h>
#include <stdint.h>

#include "oracle/guest/registers.h"
#include "oracle/protocol.h"

namespace bhvm::oracle::guest {
namespace {

/// What enter_case() loads (start.S knows the offsets).
struct EntryFrame {
  uint64_t gpr[16];
  uint64_t rip, cs, rflags, rsp, ss;
  uint64_t ds, es;
};
static_assert(offsetof(EntryFrame, rip) == 128 && offsetof(EntryFrame, ds) == 168 && offsetof(EntryFrame, es) == 176);
static_assert(offsetof(Outcome, rip) == 128 && offsetof(Outcome, rflags) == 136 && offsetof(Outcome, vector) == 168 &&
              offsetof(Outcome, error_code) == 172 && offsetof(Outcome, cs) == 176 && offsetof(Outcome, gs) == 186 &&
              offsetof(Outcome, fx) == 224);

#pragma GCC visibility push(hidden)
extern "C" {
extern uint64_t boot_gdt[];
extern uint64_t boot_pml4[];
extern const uint8_t vector_stubs[];
extern uint8_t fault_stack_top[];
extern Outcome* current_outcome;
extern uint64_t cr0_after;
extern uint64_t cr4_after;
void enter_case(const EntryFrame* frame);
void guest_main();
void end_of_interrupt();
void panic(uint64_t vector, uint64_t error_code, uint64_t rip);
// The compiler calls these by name.
void* memset(void* to, int value, size_t bytes);
void* memcpy(void* to, const void* from, size_t bytes);
}
#pragma GCC visibility pop

template <class T>
T* physical(uint64_t address) {
  return reinterpret_cast<T*>(kDirectMap + address);
}
uint64_t physical_of(const void* object) { return reinterpret_cast<uint64_t>(object) - kDirectMap; }

constexpr uint64_t kPresent = 1;
constexpr uint64_t kTableEntry = 0x27;  // present, writable, user, accessed
constexpr uint64_t kCr4Pge = 1 << 7;
constexpr uint32_t kMsrEfer = 0xC0000080;
constexpr uint32_t kMsrStar = 0xC0000081;
constexpr uint32_t kMsrLstar = 0xC0000082;
constexpr uint32_t kMsrCstar = 0xC0000083;
constexpr uint32_t kMsrFmask = 0xC0000084;
constexpr uint32_t kMsrKernelGsBase = 0xC0000102;
constexpr uint32_t kMsrTscAux = 0xC0000103;
constexpr uint32_t kMsrSysenterCs = 0x174;
constexpr uint32_t kMsrSysenterEsp = 0x175;
constexpr uint32_t kMsrSysenterEip = 0x176;
constexpr uint32_t kMsrPat = 0x277;
constexpr uint64_t kPatReset = 0x0007040600070406;
constexpr uint64_t kDr6Reset = 0xFFFF0FF0;
constexpr uint64_t kDr7Reset = 0x400;

// Local APIC (SDM 3, 11.4.1).
constexpr uint64_t kApic = 0xFEE00000;
constexpr unsigned kApicEoi = 0x0B0;
constexpr unsigned kApicSpurious = 0x0F0;
constexpr unsigned kApicCommand = 0x300;
constexpr uint32_t kApicEnable = 0x1FF;
constexpr uint32_t kCommandSelf = 1 << 18;

volatile uint32_t& apic(unsigned offset) {
  // Through the directory entry behind the direct map.
  return *physical<volatile uint32_t>(kApic + offset);
}

alignas(4096) uint64_t region_pdpt[512];
alignas(4096) uint64_t region_directory[512];
/// With a name for the host: cases find their own entries through it (oracle/system).
extern "C" {
alignas(4096) uint64_t region_table[512];
}

/// Entries above the page table, with their bit in Case::accessed and Outcome::accessed.
struct UpperEntry {
  uint64_t* entry;
  unsigned bit;
};
UpperEntry upper_entries[3];

struct Gate {
  uint64_t low, high;
};
alignas(16) Gate idt[256];

struct [[gnu::packed]] TaskState {
  uint32_t reserved0;
  uint64_t rsp[3];
  uint64_t reserved1;
  uint64_t ist[7];
  uint64_t reserved2;
  uint16_t reserved3;
  uint16_t io_map_base;
};
TaskState task_state;

Mailbox& mailbox() { return *physical<Mailbox>(kMailboxPhysical); }
template <class T>
T look(const T& place) {
  return *static_cast<const volatile T*>(&place);
}
template <class T>
void put(T& place, T value) {
  asm volatile("" ::: "memory");
  *static_cast<volatile T*>(&place) = value;
}

void set_task_register() {
  constexpr uint64_t kAvailableTss = uint64_t{0x89} << 40;
  const uint64_t base = reinterpret_cast<uint64_t>(&task_state);
  boot_gdt[kTaskState / 8] =
      (sizeof(TaskState) - 1) | ((base & 0xFFFFFF) << 16) | kAvailableTss | ((base >> 24 & 0xFF) << 56);
  boot_gdt[kTaskState / 8 + 1] = base >> 32;
  ltr(kTaskState);
}

void build_tables() {
  boot_pml4[0] = physical_of(region_pdpt) | kTableEntry;
  region_pdpt[0] = physical_of(region_directory) | kTableEntry;
  region_directory[kRegion >> 21] = physical_of(region_table) | kTableEntry;
  upper_entries[0] = {&region_directory[kRegion >> 21], 32};
  upper_entries[1] = {&region_pdpt[0], 33};
  upper_entries[2] = {&boot_pml4[0], 34};
  write_cr3(physical_of(boot_pml4));

  const uint64_t fault_stack = reinterpret_cast<uint64_t>(fault_stack_top);
  for (unsigned vector = 0; vector < 256; ++vector) {
    const uint64_t stub = reinterpret_cast<uint64_t>(vector_stubs) + 16 * vector;
    const uint64_t dpl = vector == 3 || vector == 4 ? 3 : 0;
    constexpr uint64_t kInterruptGate = 0xE;
    constexpr uint64_t kIst1 = 1;
    idt[vector] = {(stub & 0xFFFF) | (uint64_t{kKernelCode64} << 16) | (kIst1 << 32) | (kInterruptGate << 40) |
                       (dpl << 45) | (kPresent << 47) | ((stub >> 16 & 0xFFFF) << 48),
                   stub >> 32};
    mailbox().stub[vector] = stub;
  }
  mailbox().fault_stack = fault_stack;
  task_state.rsp[0] = fault_stack;
  task_state.ist[0] = fault_stack;
  task_state.io_map_base = sizeof(TaskState);
  lidt(reinterpret_cast<uint64_t>(idt), sizeof(idt) - 1);
  set_task_register();
}

void set_data_segments() {
  asm volatile("mov %0, %%ss" : : "r"(uint32_t{kKernelData}));
  asm volatile("mov %0, %%fs\n\tmov %0, %%gs" : : "r"(0));
}

/// Everything that steps or a privileged case may have changed, back to the standard environment.
void restore_system() {
  lgdt(reinterpret_cast<uint64_t>(boot_gdt), kGdtBytes - 1);
  lidt(reinterpret_cast<uint64_t>(idt), sizeof(idt) - 1);
  lldt(0);
  set_task_register();
  set_data_segments();
  write_cr3(physical_of(boot_pml4));
  // A case may have made global translations, which outlive CR3.
  write_cr4(kStandardCr4 & ~kCr4Pge);
  write_cr4(kStandardCr4);
  write_cr8(0);
  xsetbv0(kStandardXcr0);
  wrmsr(kMsrEfer, kStandardEfer);
  constexpr uint32_t kCleared[] = {kMsrStar,       kMsrLstar,       kMsrCstar,       kMsrFmask, kMsrKernelGsBase,
                                   kMsrSysenterCs, kMsrSysenterEsp, kMsrSysenterEip, kMsrTscAux};
  for (const uint32_t msr : kCleared) {
    wrmsr(msr, 0);
  }
  wrmsr(kMsrPat, kPatReset);
  write_dr7(kDr7Reset);
  write_dr6(kDr6Reset);
  write_dr0(0);
  write_dr1(0);
  write_dr2(0);
  write_dr3(0);
  apic(kApicEoi) = 0;
  // What a case left pending is taken here (start.S, drained).
  asm volatile("sti\n\tnop\n\tnop\n\tcli" ::: "memory");
}

void read_system(SystemOutcome& out) {
  out.cr0 = cr0_after;
  out.cr4 = cr4_after;
  out.dr7 = read_dr7();
  write_dr7(kDr7Reset);
  out.dr6 = read_dr6();
  out.dr[0] = read_dr0();
  out.dr[1] = read_dr1();
  out.dr[2] = read_dr2();
  out.dr[3] = read_dr3();
  out.cr3 = read_cr3();
  out.cr8 = read_cr8();
  out.xcr0 = xgetbv0();
  out.efer = rdmsr(kMsrEfer);
  out.star = rdmsr(kMsrStar);
  out.lstar = rdmsr(kMsrLstar);
  out.cstar = rdmsr(kMsrCstar);
  out.fmask = rdmsr(kMsrFmask);
  out.kernel_gs_base = rdmsr(kMsrKernelGsBase);
  out.sysenter_cs = rdmsr(kMsrSysenterCs);
  out.sysenter_esp = rdmsr(kMsrSysenterEsp);
  out.sysenter_eip = rdmsr(kMsrSysenterEip);
  const TableOperand gdtr = sgdt();
  const TableOperand idtr = sidt();
  out.gdtr_base = gdtr.base;
  out.gdtr_limit = gdtr.limit;
  out.idtr_base = idtr.base;
  out.idtr_limit = idtr.limit;
  out.ldtr = sldt();
  out.tr = str();
}

void load_segment(uint32_t index, uint16_t selector) {
  const uint32_t value = selector;
  switch (index) {
    case 0:
      asm volatile("mov %0, %%es" : : "r"(value));
      break;
    case 2:
      asm volatile("mov %0, %%ss" : : "r"(value));
      break;
    case 3:
      asm volatile("mov %0, %%ds" : : "r"(value));
      break;
    case 4:
      asm volatile("mov %0, %%fs" : : "r"(value));
      break;
    case 5:
      asm volatile("mov %0, %%gs" : : "r"(value));
      break;
    default:
      break;
  }
}

void write_dr(uint32_t index, uint64_t value) {
  switch (index) {
    case 0:
      return write_dr0(value);
    case 1:
      return write_dr1(value);
    case 2:
      return write_dr2(value);
    case 3:
      return write_dr3(value);
    case 6:
      return write_dr6(value);
    case 7:
      return write_dr7(value);
    default:
      return;
  }
}

void write_cr(uint32_t index, uint64_t value) {
  switch (index) {
    case 0:
      return write_cr0(value);
    case 3:
      return write_cr3(value);
    case 4:
      return write_cr4(value);
    case 8:
      return write_cr8(value);
    default:
      return;
  }
}

uint64_t page_physical(unsigned page) { return kRegionPhysical + page * kPageBytes; }

/// What the page tables hold at the start of the case; takes the steps' changes.
uint64_t expected_entries[kRegionPages];

void take_step(const Step& step, EntryFrame& frame) {
  switch (step.kind) {
    case StepKind::kPoke:
      physical<uint64_t>(kRegionPhysical)[step.index] = step.value;
      break;
    case StepKind::kPte:
      expected_entries[step.index] = step.value | page_physical(step.index);
      region_table[step.index] = expected_entries[step.index];
      write_cr3(read_cr3());
      break;
    case StepKind::kMsr:
      wrmsr(step.index, step.value);
      break;
    case StepKind::kCr:
      write_cr(step.index, step.value);
      break;
    case StepKind::kXcr0:
      xsetbv0(step.value);
      break;
    case StepKind::kDr:
      write_dr(step.index, step.value);
      break;
    case StepKind::kGdtr:
      lgdt(step.value, static_cast<uint16_t>(step.index));
      break;
    case StepKind::kIdtr:
      lidt(step.value, static_cast<uint16_t>(step.index));
      break;
    case StepKind::kLdtr:
      lldt(static_cast<uint16_t>(step.value));
      break;
    case StepKind::kTr:
      ltr(static_cast<uint16_t>(step.value));
      break;
    case StepKind::kSegment:
      // DS and ES are loaded at the very end, by enter_case().
      if (step.index == 0) frame.es = static_cast<uint16_t>(step.value);
      if (step.index == 3) frame.ds = static_cast<uint16_t>(step.value);
      load_segment(step.index, static_cast<uint16_t>(step.value));
      break;
    case StepKind::kKernelGsBase:
      wrmsr(kMsrKernelGsBase, step.value);
      break;
    case StepKind::kSelfIpi:
      apic(kApicCommand) = kCommandSelf | (step.index & 0xFF);
      break;
  }
}

bool is_user(Mode mode) { return mode == Mode::kUser64 || mode == Mode::kUser32; }

uint16_t code_selector(Mode mode) {
  switch (mode) {
    case Mode::kUser64:
      return kUserCode64;
    case Mode::kKernel64:
      return kKernelCode64;
    case Mode::kUser32:
      return kUserCode32;
    case Mode::kKernel32:
      return kKernelCode32;
  }
  return 0;
}

void set_accessed(uint64_t& entry, bool accessed, bool& changed) {
  const uint64_t value = accessed ? entry | kPteAccessed : entry & ~kPteAccessed;
  if (value == entry) return;
  entry = value;
  changed = true;
}

/// The region's page tables as the case wants them.
void set_page_tables(const Case& input) {
  bool changed = false;
  for (unsigned page = 0; page < kRegionPages; ++page) {
    uint64_t entry = pte_bits(kPageKinds[page]);
    if (entry != 0) {
      entry |= page_physical(page);
      if ((input.accessed >> page & 1) != 0) entry |= kPteAccessed;
      if ((input.dirty >> page & 1) != 0) entry |= kPteDirty;
    }
    expected_entries[page] = entry;
    if (region_table[page] != entry) {
      region_table[page] = entry;
      changed = true;
    }
  }
  for (const UpperEntry& upper : upper_entries) {
    set_accessed(*upper.entry, (input.accessed >> upper.bit & 1) == 0, changed);
  }
  if (changed) write_cr3(physical_of(boot_pml4));
}

void read_page_tables(Outcome& out) {
  uint64_t accessed = 0, dirty = 0;
  uint32_t other = 0;
  for (unsigned page = 0; page < kRegionPages; ++page) {
    const uint64_t entry = region_table[page];
    accessed |= (entry >> 5 & 1) << page;
    dirty |= (entry >> 6 & 1) << page;
    if (((entry ^ expected_entries[page]) & ~(kPteAccessed | kPteDirty)) != 0) other |= 1u << page;
  }
  for (const UpperEntry& upper : upper_entries) accessed |= (*upper.entry >> 5 & 1) << upper.bit;
  out.accessed = accessed;
  out.dirty = dirty;
  out.pte_changed = other;
}

/// Lists how a page differs from what it held before the case, and makes it equal to that again.
void take_changes(unsigned page, const uint64_t* before, Outcome& out) {
  constexpr unsigned kWords = kPageBytes / 8;
  uint64_t* now = physical<uint64_t>(page_physical(page));
  for (unsigned i = 0; i < kWords; i += 4) {
    if (((now[i] ^ before[i]) | (now[i + 1] ^ before[i + 1]) | (now[i + 2] ^ before[i + 2]) |
         (now[i + 3] ^ before[i + 3])) == 0) {
      continue;
    }
    for (unsigned j = i; j < i + 4; ++j) {
      if (now[j] == before[j]) continue;
      const uint32_t qword = page * kWords + j;
      if (out.change_count < kMaxChanges) out.changes[out.change_count] = {qword, 0, now[j]};
      out.change_count += 1;
      out.change_hash = fold_change(out.change_hash, qword, now[j]);
      now[j] = before[j];
    }
  }
}

alignas(8) uint8_t page_with_code[kPageBytes];

/// What a page held before the case: its pristine contents, and the group's code where that lies in it.
const uint64_t* contents_before(unsigned page, const BatchHeader& batch, const Group& group) {
  const uint8_t* pristine = batch.pristine + page * kPageBytes;
  const uint32_t start = page * kPageBytes;
  const uint32_t end = group.code_offset + group.code_bytes;
  if (group.code_offset >= start + kPageBytes || end <= start) return reinterpret_cast<const uint64_t*>(pristine);
  memcpy(page_with_code, pristine, kPageBytes);
  for (uint32_t at = group.code_offset; at < end; ++at) {
    if (at >= start && at < start + kPageBytes) page_with_code[at - start] = group.code[at - group.code_offset];
  }
  return reinterpret_cast<const uint64_t*>(page_with_code);
}

/// Pages that a case's preparation wrote, a bit each.
uint32_t apply_patches(const Case& input) {
  uint32_t pages = 0;
  uint8_t* region = physical<uint8_t>(kRegionPhysical);
  for (const Patch& patch : input.patches) {
    if (patch.bytes == 0) continue;
    for (uint32_t i = 0; i < patch.bytes; ++i) region[patch.offset + i] = patch.data[i];
    pages |= 1u << (patch.offset / kPageBytes);
    pages |= 1u << ((patch.offset + patch.bytes - 1) / kPageBytes);
  }
  return pages;
}

void place_code(const Group& group) {
  uint8_t* region = physical<uint8_t>(kRegionPhysical);
  for (uint32_t i = 0; i < group.code_bytes; ++i) region[group.code_offset + i] = group.code[i];
}

void run_case(const BatchHeader& batch, const Group& group, const Case& input, const Step* steps, Outcome& out) {
  memset(&out, 0, offsetof(Outcome, fx));
  out.vector = kVectorNotRun;
  const bool user = is_user(group.mode);
  EntryFrame frame;
  memcpy(frame.gpr, input.gpr, sizeof(frame.gpr));
  frame.rip = input.rip;
  frame.cs = input.cs != 0 ? input.cs : code_selector(group.mode);
  frame.rflags = input.rflags;
  frame.rsp = input.gpr[4];
  frame.ss = input.ss != 0 ? input.ss : user ? kUserData : kKernelData;
  frame.ds = frame.es = user ? kUserData : kKernelData;

  set_page_tables(input);
  uint32_t written = apply_patches(input);
  if (rdfsbase() != input.fs_base) wrfsbase(input.fs_base);
  if (rdgsbase() != input.gs_base) wrgsbase(input.gs_base);
  write_cr2(0);

  if (input.step_count != 0) write_dr6(kDr6Reset);  // a single step of an instruction case may have left BS
  current_outcome = &out;
  put(mailbox().running, uint32_t{1});
  fxrstor(input.fx);  // before the steps, which may set CR0.TS
  for (uint32_t i = 0; i < input.step_count; ++i) {
    take_step(steps[i], frame);
    if (steps[i].kind == StepKind::kPoke) written |= 1u << (steps[i].index / (kPageBytes / 8));
  }
  enter_case(&frame);
  put(mailbox().running, uint32_t{0});
  current_outcome = nullptr;

  out.cr2 = read_cr2();
  out.fs_base = rdfsbase();
  out.gs_base = rdgsbase();
  if ((out.fs | out.gs) != 0) asm volatile("mov %0, %%fs\n\tmov %0, %%gs" : : "r"(0));
  read_page_tables(out);
  if (input.step_count != 0) {
    memset(&out.system, 0, sizeof(out.system));
    read_system(out.system);
    restore_system();
  }
  written |= static_cast<uint32_t>(out.dirty);
  for (unsigned page = 0; page < kRegionPages; ++page) {
    if ((written >> page & 1) != 0) take_changes(page, contents_before(page, batch, group), out);
  }
}

void take_code_away(const BatchHeader& batch, const Group& group) {
  uint8_t* region = physical<uint8_t>(kRegionPhysical);
  for (uint32_t i = 0; i < group.code_bytes; ++i) {
    region[group.code_offset + i] = batch.pristine[group.code_offset + i];
  }
}

void restore_region(const BatchHeader& batch) {
  const uint64_t* from = reinterpret_cast<const uint64_t*>(batch.pristine);
  uint64_t* to = physical<uint64_t>(kRegionPhysical);
  for (unsigned i = 0; i < kRegionBytes / 8; ++i) {
    if (to[i] != from[i]) to[i] = from[i];
  }
}

void run_batch() {
  Mailbox& box = mailbox();
  const uint8_t* batch = physical<const uint8_t>(kBatchPhysical);
  const BatchHeader& header = *reinterpret_cast<const BatchHeader*>(batch);
  if (header.magic != kBatchMagic) return;
  const Group* groups = reinterpret_cast<const Group*>(batch + header.groups_offset);
  const Case* cases = reinterpret_cast<const Case*>(batch + header.cases_offset);
  const Step* steps = reinterpret_cast<const Step*>(batch + header.steps_offset);
  Outcome* outcomes = physical<Outcome>(kOutcomePhysical);
  restore_region(header);
  for (uint32_t g = 0; g < header.group_count; ++g) {
    const Group& group = groups[g];
    const uint32_t end = group.first_case + group.case_count;
    if (look(box.next_case) >= end) continue;
    place_code(group);
    while (look(box.next_case) < end) {
      const uint32_t index = look(box.next_case);
      if (index >= look(box.end_case)) return;
      const Case& input = cases[index];
      run_case(header, group, input, steps + input.first_step, outcomes[index]);
      put(box.next_case, index + 1);
    }
    take_code_away(header, group);
  }
}

/// Started again in the middle of a case: that case ended in a shutdown.
void note_shutdown() {
  Mailbox& box = mailbox();
  Outcome& out = physical<Outcome>(kOutcomePhysical)[box.next_case];
  memset(&out, 0, sizeof(out));
  out.vector = kVectorShutdown;
  put(box.running, uint32_t{0});
  put(box.next_case, box.next_case + 1);
}

}  // namespace

extern "C" {

void* memset(void* to, int value, size_t bytes) {
  void* const start = to;
  const uint64_t pattern = 0x0101010101010101 * static_cast<uint8_t>(value);
  size_t words = bytes / sizeof(pattern);
  size_t rest = bytes % sizeof(pattern);
  asm volatile("rep stosq" : "+D"(to), "+c"(words) : "a"(pattern) : "memory");
  asm volatile("rep stosb" : "+D"(to), "+c"(rest) : "a"(pattern) : "memory");
  return start;
}

void* memcpy(void* to, const void* from, size_t bytes) {
  void* const start = to;
  size_t words = bytes / sizeof(uint64_t);
  size_t rest = bytes % sizeof(uint64_t);
  asm volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
  asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(rest) : : "memory");
  return start;
}

void end_of_interrupt() { apic(kApicEoi) = 0; }

void panic(uint64_t vector, uint64_t error_code, uint64_t rip) {
  Mailbox& box = mailbox();
  box.panic_vector = static_cast<uint32_t>(vector);
  box.panic_error_code = static_cast<uint32_t>(error_code);
  box.panic_rip = rip;
  put(box.panicked, uint32_t{1});
  for (;;) asm volatile("cli; hlt");
}

void guest_main() {
  Mailbox& box = mailbox();
  box.boots += 1;
  current_outcome = nullptr;
  build_tables();
  restore_system();
  apic(kApicSpurious) = kApicEnable;
  if (box.magic == kMailboxMagic && box.running != 0) note_shutdown();
  put(box.magic, kMailboxMagic);
  for (;;) {
    if (look(box.posted) != look(box.completed)) {
      run_batch();
      put(box.completed, look(box.posted));
    } else if (look(box.halt_idle) != 0) {
      asm volatile("hlt" ::: "memory");
    } else {
      asm volatile("pause" ::: "memory");
    }
  }
}

}  // extern "C"
}  // namespace bhvm::oracle::guest
