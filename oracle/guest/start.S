// How the guest program starts, enters a case and comes back from it.
//
// Two ways in, one program: QEMU enters start32 (PVH: 32-bit protected mode without paging, found by the note), bhvm
// enters start64 (64-bit Linux boot protocol: long mode, identity-mapped).

#define DIRECT_MAP 0xFFFFA10000000000
#define PHYSICAL(symbol) ((symbol) - DIRECT_MAP)

#define CR0_START 0x80050033
#define CR4_START 0x000506A8
#define MSR_EFER 0xC0000080
#define EFER_START 0xD01

#define SELECTOR_CODE64 0x10
#define SELECTOR_DATA 0x18

  .section .note.pvh, "a", @note
  .align 4
  .long 4                       // name bytes
  .long 8                       // descriptor bytes
  .long 18                      // XEN_ELFNOTE_PHYS32_ENTRY
  .asciz "Xen"
  .quad PHYSICAL(start32)

  .section .text.start, "ax"
  .code32
  .globl start32
start32:
  cli
  movl $PHYSICAL(boot_gdt_pointer), %eax
  lgdt (%eax)
  movl $CR4_START, %eax
  movl %eax, %cr4
  movl $PHYSICAL(boot_pml4), %eax
  movl %eax, %cr3
  movl $MSR_EFER, %ecx
  movl $EFER_START, %eax
  xorl %edx, %edx
  wrmsr
  movl $CR0_START, %eax
  movl %eax, %cr0
  ljmp $SELECTOR_CODE64, $PHYSICAL(start64)

  .code64
  .globl start64
start64:
  cli
  movl $CR4_START, %eax
  movq %rax, %cr4
  movl $MSR_EFER, %ecx
  movl $EFER_START, %eax
  xorl %edx, %edx
  wrmsr
  movl $PHYSICAL(boot_pml4), %eax
  movq %rax, %cr3
  movl $CR0_START, %eax
  movq %rax, %cr0
  movabsq $high, %rax
  jmp *%rax
high:
  leaq boot_gdt_high_pointer(%rip), %rax
  lgdt (%rax)
  leaq main_stack_top(%rip), %rsp
  movl $SELECTOR_DATA, %eax
  movl %eax, %ss
  pushq $SELECTOR_CODE64
  leaq 1f(%rip), %rax
  pushq %rax
  lretq
1:
  xorl %eax, %eax
  movl %eax, %ds
  movl %eax, %es
  movl %eax, %fs
  movl %eax, %gs
  call guest_main
2:
  hlt
  jmp 2b

// void enter_case(const EntryFrame* frame): loads the whole state of a case and goes there. Comes back when the case
// raised an exception, with current_outcome filled as far as the stub can.
// The frame (EntryFrame in program.cpp): 16 general registers, then rip, cs, rflags, rsp, ss, ds, es. x87 and SSE state
// are loaded before.
  .text
  .globl enter_case
enter_case:
  pushq %rbx
  pushq %rbp
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, resume_rsp(%rip)
  movl 168(%rdi), %eax
  movl %eax, %ds
  movl 176(%rdi), %eax
  movl %eax, %es
  pushq 160(%rdi)               // ss
  pushq 152(%rdi)               // rsp
  pushq 144(%rdi)               // rflags
  pushq 136(%rdi)               // cs
  pushq 128(%rdi)               // rip
  movq 0(%rdi), %rax
  movq 8(%rdi), %rcx
  movq 16(%rdi), %rdx
  movq 24(%rdi), %rbx
  movq 40(%rdi), %rbp
  movq 48(%rdi), %rsi
  movq 64(%rdi), %r8
  movq 72(%rdi), %r9
  movq 80(%rdi), %r10
  movq 88(%rdi), %r11
  movq 96(%rdi), %r12
  movq 104(%rdi), %r13
  movq 112(%rdi), %r14
  movq 120(%rdi), %r15
  movq 56(%rdi), %rdi
  iretq

// One stub a vector, 16 bytes apart. Vectors with an error code: 8, 10 to 14, 17, 21, 29, 30 (SDM 3, table 6-1).
  .align 16
  .globl vector_stubs
vector_stubs:
vector = 0
  .rept 256
  .align 16
  .if (vector == 8) || (vector >= 10 && vector <= 14) || (vector == 17) || (vector == 21)
  .else
  pushq $0
  .endif
  pushq $vector
  jmp stub_common
vector = vector + 1
  .endr

// On the stack: vector, error code, rip, cs, rflags, rsp, ss. Offsets into Outcome as in oracle/protocol.h.
stub_common:
  pushq %rax
  movq current_outcome(%rip), %rax
  testq %rax, %rax
  jz drained
  movq %rcx, 8(%rax)
  movq %rdx, 16(%rax)
  movq %rbx, 24(%rax)
  movq %rbp, 40(%rax)
  movq %rsi, 48(%rax)
  movq %rdi, 56(%rax)
  movq %r8, 64(%rax)
  movq %r9, 72(%rax)
  movq %r10, 80(%rax)
  movq %r11, 88(%rax)
  movq %r12, 96(%rax)
  movq %r13, 104(%rax)
  movq %r14, 112(%rax)
  movq %r15, 120(%rax)
  popq %rcx
  movq %rcx, 0(%rax)            // rax
  popq %rcx
  movzbl %cl, %ecx
  movl %ecx, 168(%rax)          // vector
  popq %rcx
  movl %ecx, 172(%rax)          // error code
  popq %rcx
  movq %rcx, 128(%rax)          // rip
  popq %rcx
  movw %cx, 176(%rax)           // cs
  popq %rcx
  movq %rcx, 136(%rax)          // rflags
  popq %rcx
  movq %rcx, 32(%rax)           // rsp
  popq %rcx
  movw %cx, 178(%rax)           // ss
  movl %ds, %ecx
  movw %cx, 180(%rax)
  movl %es, %ecx
  movw %cx, 182(%rax)
  movl %fs, %ecx
  movw %cx, 184(%rax)
  movl %gs, %ecx
  movw %cx, 186(%rax)
  movq %cr0, %rcx
  movq %rcx, cr0_after(%rip)
  movl $CR0_START, %edx
  cmpq %rdx, %rcx
  je 1f
  movq %rdx, %cr0
1:
  movq %cr4, %rcx
  movq %rcx, cr4_after(%rip)
  movl $CR4_START, %edx
  cmpq %rdx, %rcx
  je 2f
  movq %rdx, %cr4
2:
  cld
  fxsave64 224(%rax)
  movq resume_rsp(%rip), %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbp
  popq %rbx
  ret

// An interrupt outside of a case is one that a case left pending: acknowledge it and go on. A debug exception there is
// general detect, which a case left on: its delivery turns it off. Any other exception is this program's own mistake.
drained:
  cmpq $1, 8(%rsp)
  je undetected
  cmpq $32, 8(%rsp)
  jb own_fault
  pushq %rcx
  pushq %rdx
  call end_of_interrupt
  popq %rdx
  popq %rcx
undetected:
  popq %rax
  addq $16, %rsp
  iretq
own_fault:
  movq 8(%rsp), %rdi
  movq 16(%rsp), %rsi
  movq 24(%rsp), %rdx
  call panic

  .section .data
  .align 8
  .globl boot_gdt
boot_gdt:
  .quad 0
  .quad 0
  .quad 0x00AF9B000000FFFF      // 10: kernel code, 64-bit
  .quad 0x00CF93000000FFFF      // 18: kernel data
  .quad 0x00CFFB000000FFFF      // 20: user code, 32-bit
  .quad 0x00CFF3000000FFFF      // 28: user data
  .quad 0x00AFFB000000FFFF      // 30: user code, 64-bit
  .quad 0x00CF9B000000FFFF      // 38: kernel code, 32-bit
  .quad 0                       // 40: task state, filled in at start
  .quad 0
boot_gdt_end:
boot_gdt_pointer:
  .word boot_gdt_end - boot_gdt - 1
  .long PHYSICAL(boot_gdt)
  .align 8
boot_gdt_high_pointer:
  .word boot_gdt_end - boot_gdt - 1
  .quad boot_gdt

// The direct map: 1 GiB of 2 MiB pages at DIRECT_MAP (PML4 entry 322), and the local APIC's page at its physical address
// above it. The identity map of the start goes through the same directory; the program takes it away.
  .align 4096
  .globl boot_pml4
boot_pml4:
  .quad PHYSICAL(boot_pdpt) + 0x3
  .fill 321, 8, 0
  .quad PHYSICAL(boot_pdpt) + 0x3
  .fill 189, 8, 0
boot_pdpt:
  .quad PHYSICAL(boot_directory) + 0x3
  .fill 2, 8, 0
  .quad PHYSICAL(apic_directory) + 0x3
  .fill 508, 8, 0
boot_directory:
page = 0
  .rept 512
  .quad page + 0x1E3            // present, writable, accessed, dirty, large, global
page = page + 0x200000
  .endr
apic_directory:
  .fill 503, 8, 0
  .quad 0xFEE00000 + 0x1F3      // ... and not cached
  .fill 8, 8, 0

  .section .bss, "aw", @nobits
  .align 16
  .fill 16384
main_stack_top:
  .fill 8192
  .globl fault_stack_top
fault_stack_top:
  .globl current_outcome
current_outcome:
  .fill 8
  .globl resume_rsp
resume_rsp:
  .fill 8
  .globl cr0_after
cr0_after:
  .fill 8
  .globl cr4_after
cr4_after:
  .fill 8
