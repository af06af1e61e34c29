// The native runner's child: a process that holds nothing but the region and what runs cases in it.
//
// Every case ends in a signal. The handler writes down the state that the signal frame holds, puts the next case's
// state into the same frame and returns into it: one signal a case. The first signal comes from child_main(), to which
// nothing ever returns. Between two chunks the handler waits for the runner.
//
// The handler depends on no state that a case can change: it uses no thread-local storage, runs on a stack of its own,
// and starts with the flags that the kernel leaves as they were (AC, NT, ID) cleared.
#include <linux/prctl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <ucontext.h>

#include "oracle/native/arena.h"
#include "oracle/native/region_view.h"
#include "oracle/native/system_calls.h"

// The kernel's frame starts with the restorer's address, which takes the place of a return address. sigreturn takes
// back neither NT nor ID: they are set just before it.
asm(R"(
.text
.globl child_start
child_start:
  lea start_stack_top(%rip), %rsp
  xor %ebp, %ebp
  call child_main
  ud2

.globl signal_entry
signal_entry:
  pushq $0x202
  popfq
  sub $8, %rsp
  call on_signal
  add $16, %rsp
  push %rax
  popfq
.globl signal_return
signal_return:
  mov $15, %eax
  syscall
  ud2
)");

namespace bhvm::oracle::native {
namespace {

#pragma GCC visibility push(hidden)
extern "C" {
extern const uint8_t image_start[];
extern const uint8_t text_end[];
extern const uint8_t image_end[];
[[gnu::used, gnu::aligned(16)]] uint8_t start_stack[16 * kPageBytes];
void signal_entry();
void signal_return();
void child_main();
uint64_t on_signal(int signal, const siginfo_t* info, ucontext_t* context);
// The compiler calls these by name.
void* memset(void* to, int value, size_t bytes);
void* memcpy(void* to, const void* from, size_t bytes);
int memcmp(const void* left, const void* right, size_t bytes);
}
#pragma GCC visibility pop

asm(".globl start_stack_top\n.set start_stack_top, start_stack + 65536");
static_assert(sizeof(start_stack) == 65536);

alignas(kPageBytes) uint8_t signal_stack[16 * kPageBytes];

const Input& input() { return reinterpret_cast<const Arena*>(kArena)->input; }
Output& output() { return reinterpret_cast<Arena*>(kArena)->output; }
RegionView region() { return {reinterpret_cast<Arena*>(kArena)->region, input().pristine}; }

/// Where the child is in its chunk.
struct Position {
  bool in_chunk = false;
  bool in_case = false;
  uint32_t group = 0;
  uint32_t index = 0;  // of the running case
  uint32_t pristine_version = 0;
  uint64_t started = 0;            // cases, ever
  uint64_t ticked = ~uint64_t{0};  // the value of `started` that the last tick saw
};
constinit Position position;

// Encoding order, as places in the signal frame.
constexpr int kFrameGpr[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                               REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
constexpr uint64_t kNestedTask = 1 << 14;
constexpr uint64_t kIdentification = 1 << 21;
constexpr uint64_t kFixedFlags = 0x202;

// The legacy region of an XSAVE image ends in bytes that hold no state; the kernel marks its frame there.
constexpr unsigned kFxStateBytes = 416;
constexpr unsigned kFxBytes = 512;
constexpr uint64_t kXstateX87Sse = 3;
// AMD's processors have MXCSR.MM, bit 17 (APM 1, 4.2.2), and say so in MXCSR_MASK.
constexpr unsigned kMxcsrMaskByte = 28 + 17 / 8;
constexpr unsigned kMisalignedMask = 1 << 17 % 8;

constexpr uint32_t kVectorPageFault = 14;
constexpr uint32_t kVectorsWithErrorCode = 1u << 8 | 1u << 10 | 1u << 11 | 1u << 12 | 1u << 13 | 1u << 14 | 1u << 17;

uint64_t rdfsbase() {
  uint64_t base;
  asm volatile("rdfsbase %0" : "=r"(base));
  return base;
}
uint64_t rdgsbase() {
  uint64_t base;
  asm volatile("rdgsbase %0" : "=r"(base));
  return base;
}
struct Selectors {
  uint32_t ds, es, fs, gs;
};
Selectors read_selectors() {
  Selectors now;
  asm volatile("mov %%ds, %0\n\tmov %%es, %1\n\tmov %%fs, %2\n\tmov %%gs, %3"
               : "=r"(now.ds), "=r"(now.es), "=r"(now.fs), "=r"(now.gs));
  return now;
}
/// A case's DS and ES; null FS and GS with its bases.
void set_segments(uint64_t fs_base, uint64_t gs_base) {
  const Selectors now = read_selectors();
  if (now.ds != kUserData) asm volatile("mov %0, %%ds" : : "r"(uint32_t{kUserData}));
  if (now.es != kUserData) asm volatile("mov %0, %%es" : : "r"(uint32_t{kUserData}));
  if (now.fs != 0) asm volatile("mov %0, %%fs" : : "r"(0));
  if (now.gs != 0) asm volatile("mov %0, %%gs" : : "r"(0));
  asm volatile("wrfsbase %0\n\twrgsbase %1" : : "r"(fs_base), "r"(gs_base));
}

/// sigreturn leaves these two flags as they are when it is called.
uint64_t flags_before_return(uint64_t rflags) { return (rflags & (kNestedTask | kIdentification)) | kFixedFlags; }

/// The vector that a signal means: not every signal is an exception that the case raised.
uint32_t vector_of(int signal, const greg_t* frame) {
  if (signal == SIGPROF) return kVectorHung;
  // A system call that was kept from the kernel.
  if (signal == SIGSYS) return kVectorNotRun;
  // The kernel could not enter the case, or the case ran into this program.
  const uint64_t rip = static_cast<uint64_t>(frame[REG_RIP]);
  if (rip >= address_of(image_start) && rip < address_of(image_end)) return kVectorNotRun;
  return static_cast<uint32_t>(frame[REG_TRAPNO]);
}

void end_case(uint32_t vector, const ucontext_t& context) {
  const Group& group = input().groups[position.group];
  Outcome& out = output().outcomes[position.index];
  const greg_t* frame = context.uc_mcontext.gregs;
  __builtin_memset(&out, 0, offsetof(Outcome, changes));
  out.vector = vector;
  if (vector < 256) {
    for (unsigned i = 0; i < 16; ++i) out.gpr[i] = static_cast<uint64_t>(frame[kFrameGpr[i]]);
    out.rip = static_cast<uint64_t>(frame[REG_RIP]);
    out.rflags = static_cast<uint64_t>(frame[REG_EFL]);
    if (vector == kVectorPageFault) out.cr2 = static_cast<uint64_t>(frame[REG_CR2]);
    out.fs_base = rdfsbase();
    out.gs_base = rdgsbase();
    if (vector < 32 && (kVectorsWithErrorCode >> vector & 1) != 0) {
      out.error_code = static_cast<uint32_t>(frame[REG_ERR]);
    }
    const uint64_t selectors = static_cast<uint64_t>(frame[REG_CSGSFS]);
    out.cs = static_cast<uint16_t>(selectors);
    out.ss = static_cast<uint16_t>(selectors >> 48);
    const Selectors now = read_selectors();
    out.ds = static_cast<uint16_t>(now.ds);
    out.es = static_cast<uint16_t>(now.es);
    out.fs = static_cast<uint16_t>(now.fs);
    out.gs = static_cast<uint16_t>(now.gs);
    __builtin_memcpy(out.fx, context.uc_mcontext.fpregs, kFxStateBytes);
    out.fx[kMxcsrMaskByte] &= static_cast<uint8_t>(~kMisalignedMask);
  }
  region().take_changes(group, input().cases[position.index], out);
  if (vector >= 256) {
    out.change_count = 0;
    out.change_hash = 0;
  }
  position.in_case = false;
  __atomic_fetch_add(&output().progress, 1, __ATOMIC_RELAXED);
}

/// Tells the runner that its chunk is done, and waits for the next one.
void await_chunk() {
  uint8_t byte = 0;
  if (position.in_chunk && system_call(SYS_write, kSocketDescriptor, address_of(&byte), 1) != 1) exit_process(0);
  if (system_call(SYS_read, kSocketDescriptor, address_of(&byte), 1) != 1) exit_process(0);
  position.in_chunk = true;
  position.group = 0;
  if (position.pristine_version != input().pristine_version) {
    region().restore_all();
    position.pristine_version = input().pristine_version;
  }
}

/// Moves on to the next case, of this chunk or another.
void advance() {
  if (position.in_chunk) {
    const Group& group = input().groups[position.group];
    position.index += 1;
    if (position.index < group.first_case + group.case_count) return;
    region().take_away(group);
    position.group += 1;
  }
  while (!position.in_chunk || position.group == input().group_count) await_chunk();
  const Group& group = input().groups[position.group];
  region().place(group);
  position.index = group.first_case;
}

/// Puts the case's state into the frame; returns the flags to return with.
uint64_t begin_case(ucontext_t& context) {
  const Group& group = input().groups[position.group];
  const Case& next = input().cases[position.index];
  region().apply(next);
  greg_t* frame = context.uc_mcontext.gregs;
  for (unsigned i = 0; i < 16; ++i) frame[kFrameGpr[i]] = static_cast<greg_t>(next.gpr[i]);
  frame[REG_RIP] = static_cast<greg_t>(next.rip);
  frame[REG_EFL] = static_cast<greg_t>(next.rflags);
  const uint64_t cs = group.mode == Mode::kUser32 ? kUserCode32 : kUserCode64;
  frame[REG_CSGSFS] = static_cast<greg_t>(cs | uint64_t{kUserData} << 48);
  auto* fx = reinterpret_cast<uint8_t*>(context.uc_mcontext.fpregs);
  __builtin_memcpy(fx, next.fx, kFxStateBytes);
  __builtin_memcpy(fx + kFxBytes, &kXstateX87Sse, sizeof(kXstateX87Sse));  // XSTATE_BV
  set_segments(next.fs_base, next.gs_base);
  position.started += 1;
  position.in_case = true;
  return flags_before_return(next.rflags);
}

// The kernel's struct, which the C library hides behind its own.
struct KernelSigaction {
  void (*handler)();
  uint64_t flags;
  void (*restorer)();
  uint64_t mask;
};

[[noreturn]] void give_up(Hello hello) {
  system_call(SYS_write, kSocketDescriptor, address_of(&hello), 1);
  exit_process(1);
}

bool map(uint64_t address, uint64_t bytes, int protection, uint64_t arena_offset) {
  constexpr uint64_t kFlags = MAP_SHARED | MAP_FIXED | MAP_POPULATE;
  const int64_t result =
      system_call(SYS_mmap, address, bytes, static_cast<uint64_t>(protection), kFlags, kArenaDescriptor, arena_offset);
  // Pages are never taken away again if the host allows that; a page that is not there would fault like an unmapped
  // one.
  system_call(SYS_mlock, address, bytes);
  return result == static_cast<int64_t>(address);
}

int protection_of(PageKind kind) {
  switch (kind) {
    case PageKind::kCode:
      return PROT_READ | PROT_EXEC;
    case PageKind::kData:
      return PROT_READ | PROT_WRITE;
    case PageKind::kReadOnly:
      return PROT_READ;
    case PageKind::kWritableCode:
      return PROT_READ | PROT_WRITE | PROT_EXEC;
    case PageKind::kUnmapped:
    case PageKind::kSupervisor:
    case PageKind::kReserved:
    case PageKind::kSupervisorCode:
      return PROT_NONE;
  }
  return PROT_NONE;
}

void set_up_memory() {
  constexpr uint64_t kLowerHalfEnd = 0x7FFFFFFFF000;
  system_call(SYS_munmap, 0, address_of(image_start));
  system_call(SYS_munmap, address_of(image_end), kLowerHalfEnd - address_of(image_end));
  bool mapped = map(kArena, sizeof(Input), PROT_READ, 0);
  mapped &= map(kArena + sizeof(Input), sizeof(Arena) - sizeof(Input), PROT_READ | PROT_WRITE, sizeof(Input));
  for (unsigned page = 0; page < kRegionPages; ++page) {
    const int protection = protection_of(kPageKinds[page]);
    if (protection == PROT_NONE) continue;
    mapped &= map(page_linear(page), kPageBytes, protection, offsetof(Arena, region) + page * kPageBytes);
  }
  if (!mapped) give_up(Hello::kMap);
}

void set_up_signals() {
  constexpr uint64_t kSaRestorer = 0x04000000;
  stack_t stack{};
  stack.ss_sp = signal_stack;
  stack.ss_size = sizeof(signal_stack);
  bool set = system_call(SYS_sigaltstack, address_of(&stack)) == 0;
  // Nothing interrupts the handler; an exception in it ends the child.
  const KernelSigaction action = {signal_entry, SA_SIGINFO | SA_ONSTACK | kSaRestorer, signal_return, ~uint64_t{0}};
  constexpr int kSignals[] = {SIGTRAP, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGSYS, SIGPROF};
  for (const int signal : kSignals) {
    set &= system_call(SYS_rt_sigaction, static_cast<uint64_t>(signal), address_of(&action), 0, sizeof(uint64_t)) == 0;
  }
  const itimerval tick = {{0, input().tick_us}, {0, input().tick_us}};
  set &= system_call(SYS_setitimer, ITIMER_PROF, address_of(&tick)) == 0;
  if (!set) give_up(Hello::kSignals);
  // From here on only this image may call the kernel.
  if (system_call(SYS_prctl, PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, address_of(image_start),
                  address_of(text_end) - address_of(image_start), 0) != 0) {
    give_up(Hello::kNoSystemCallNet);
  }
}

}  // namespace

extern "C" {

void* memset(void* to, int value, size_t bytes) {
  void* const start = to;
  asm volatile("rep stosb" : "+D"(to), "+c"(bytes) : "a"(value) : "memory");
  return start;
}

void* memcpy(void* to, const void* from, size_t bytes) {
  void* const start = to;
  asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
  return start;
}

int memcmp(const void* left, const void* right, size_t bytes) {
  const auto* l = static_cast<const volatile uint8_t*>(left);
  const auto* r = static_cast<const volatile uint8_t*>(right);
  for (size_t i = 0; i < bytes; ++i) {
    if (l[i] != r[i]) return l[i] < r[i] ? -1 : 1;
  }
  return 0;
}

uint64_t on_signal(int signal, const siginfo_t* info, ucontext_t* context) {
  const greg_t* frame = context->uc_mcontext.gregs;
  const bool first_tick = signal == SIGPROF && position.ticked != position.started;
  const bool from_outside = signal != SIGPROF && info->si_code == SI_USER;
  if (first_tick || from_outside) {
    position.ticked = position.started;
    return flags_before_return(static_cast<uint64_t>(frame[REG_EFL]));
  }
  if (position.in_case) end_case(vector_of(signal, frame), *context);
  advance();
  return begin_case(*context);
}

void child_main() {
  system_call(SYS_close_range, 0, kArenaDescriptor - 1);
  system_call(SYS_close_range, kSocketDescriptor + 1, ~0u);
  set_up_memory();
  set_up_signals();
  const Hello hello = Hello::kReady;
  if (system_call(SYS_write, kSocketDescriptor, address_of(&hello), 1) != 1) exit_process(1);
  asm volatile("ud2");
}

}  // extern "C"
}  // namespace bhvm::oracle::native
