#include "host_executor.h"

#include <sys/mman.h>
#include <ucontext.h>

#include <csetjmp>
#include <csignal>
#include <cstring>

namespace bhvm::sse_test {
namespace {

/// The FXSAVE area (SDM 1, 10.5.1) and what the stub loads and stores beside it.
struct alignas(16) Frame {
  u16 fcw = 0x037F;
  u16 fsw = 0;
  u8 ftw = 0;
  u8 reserved0 = 0;
  u16 fop = 0;
  u64 fip = 0;
  u64 fdp = 0;
  u32 mxcsr = 0x1F80;
  u32 mxcsr_mask = 0xFFFF;
  struct {
    u64 significand;
    u16 sign_exponent;
    u8 reserved[6];
  } st[8];
  u64 xmm[16][2];
  u8 reserved1[96];
  u64 gpr[4];  // 512
  u64 rsi;     // 544
  u64 rdi;     // 552
  u64 rflags;  // 560
  u64 code;    // 568
};
static_assert(sizeof(Frame) == 576);

sigjmp_buf escape;
volatile std::sig_atomic_t caught_signal = 0;
volatile u32 caught_mxcsr = 0;

extern "C" void bhvm_sse_test_stub(Frame* frame);
asm(R"(
  .text
  .globl bhvm_sse_test_stub
  .type bhvm_sse_test_stub, @function
bhvm_sse_test_stub:
  pushq %rbx
  pushq %rbp
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  subq $24, %rsp
  stmxcsr (%rsp)
  movq %rdi, %r14
  movq 568(%r14), %r15
  fxrstor64 (%r14)
  pushq 560(%r14)
  movq 512(%r14), %rax
  movq 520(%r14), %rcx
  movq 528(%r14), %rdx
  movq 536(%r14), %rbx
  movq 544(%r14), %rsi
  movq 552(%r14), %rdi
  popfq
  call *%r15
  pushfq
  popq 560(%r14)
  movq %rax, 512(%r14)
  movq %rcx, 520(%r14)
  movq %rdx, 528(%r14)
  movq %rbx, 536(%r14)
  fxsave64 (%r14)
  fninit
  ldmxcsr (%rsp)
  addq $24, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbp
  popq %rbx
  ret
  .size bhvm_sse_test_stub, .-bhvm_sse_test_stub
)");

void on_signal(int signal, siginfo_t*, void* context) {
  const auto* registers = static_cast<const ucontext_t*>(context);
  caught_signal = signal;
  caught_mxcsr = registers->uc_mcontext.fpregs->mxcsr;
  siglongjmp(escape, 1);
}

int vector_of(int signal) {
  switch (signal) {
    case SIGFPE:
      return 19;
    case SIGILL:
      return 6;
    default:
      return 13;
  }
}

}  // namespace

HostExecutor::HostExecutor() {
  void* code = mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (code != MAP_FAILED) code_ = static_cast<u8*>(code);
  void* wanted = reinterpret_cast<void*>(kDataAddress);
  void* data =
      mmap(wanted, kDataSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  if (data == wanted) data_ = static_cast<u8*>(data);
  struct sigaction action{};
  action.sa_sigaction = on_signal;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  for (const int signal : {SIGFPE, SIGSEGV, SIGBUS, SIGILL}) sigaction(signal, &action, nullptr);
}

HostExecutor::~HostExecutor() {
  if (code_ != nullptr) munmap(code_, 4096);
  if (data_ != nullptr) munmap(data_, kDataSize);
  for (const int signal : {SIGFPE, SIGSEGV, SIGBUS, SIGILL}) std::signal(signal, SIG_DFL);
}

void HostExecutor::load(std::span<const u8> instruction) {
  std::memcpy(code_, instruction.data(), instruction.size());
  code_[instruction.size()] = 0xC3;  // RET
}

MachineState HostExecutor::run(const MachineState& before) {
  Frame frame;
  frame.fcw = before.x87_control;
  frame.fsw = before.x87_status;
  frame.ftw = before.x87_valid;
  frame.mxcsr = before.mxcsr;
  const unsigned top = (before.x87_status >> 11) & 7;
  for (unsigned i = 0; i < 8; ++i) {
    frame.st[(i - top) & 7] = {before.significand[i], before.sign_exponent[i], {}};
  }
  std::memcpy(frame.xmm, before.xmm.data(), sizeof(frame.xmm));
  std::memcpy(frame.gpr, before.gpr.data(), sizeof(frame.gpr));
  frame.rsi = before.rsi;
  frame.rdi = before.rdi;
  frame.rflags = before.rflags;
  frame.code = reinterpret_cast<u64>(code_);
  std::memcpy(data_, before.memory.data(), kUsedData);

  MachineState after = before;
  u32 own_mxcsr;
  asm volatile("stmxcsr %0" : "=m"(own_mxcsr));
  if (sigsetjmp(escape, 1) == 0) {
    bhvm_sse_test_stub(&frame);
    after.x87_control = frame.fcw;
    after.x87_status = frame.fsw;
    after.x87_valid = frame.ftw;
    after.mxcsr = frame.mxcsr;
    const unsigned new_top = (frame.fsw >> 11) & 7;
    for (unsigned i = 0; i < 8; ++i) {
      after.significand[i] = frame.st[(i - new_top) & 7].significand;
      after.sign_exponent[i] = frame.st[(i - new_top) & 7].sign_exponent;
    }
    std::memcpy(after.xmm.data(), frame.xmm, sizeof(frame.xmm));
    std::memcpy(after.gpr.data(), frame.gpr, sizeof(frame.gpr));
    after.rflags = frame.rflags & 0x8D5;
  } else {
    asm volatile("fninit; ldmxcsr %0" : : "m"(own_mxcsr));
    after.vector = vector_of(caught_signal);
    after.mxcsr = caught_mxcsr;
  }
  after.rflags = (after.rflags & 0x8D5) | 2;
  std::memcpy(after.memory.data(), data_, kUsedData);
  return after;
}

}  // namespace bhvm::sse_test
