#include "cpu/system/flag_instructions.h"

#include "tests/cpu/system/system_machine.h"

namespace bhvm::test {
namespace {

constexpr u64 kIopl3 = rflags::kIopl;

TEST(Popf, MaskByLevelAndIopl) {
  struct Row {
    bool user;
    u64 before;
    u64 after;  // of popping all ones
  };
  constexpr u64 kAlways = 0xDD5 | rflags::kNt | rflags::kAc | rflags::kId | 2;  // CF PF AF ZF SF TF DF OF
  const Row rows[] = {{false, 2, kAlways | rflags::kIf | kIopl3},
                      {true, 2, kAlways},
                      {true, 2 | kIopl3, kAlways | rflags::kIf | kIopl3},
                      {true, 2 | rflags::kIf, kAlways | rflags::kIf}};
  for (const Row& row : rows) {
    SystemMachine m;
    if (row.user) m.to_user();
    m.cpu.set_rflags(row.before);
    m.reg(kRax) = ~u64{0};
    m.place(kCode, {0x50, 0x9D});  // push rax; popfq
    m.cpu.run(2);
    EXPECT_EQ(m.cpu.s.rflags, row.after) << row.user << std::hex << row.before;
  }
}

TEST(Pushf, HidesRfAndTakesArithmeticFlags) {
  SystemMachine m;
  m.cpu.set_rflags(rflags::kRf | rflags::kIf | 2);
  m.reg(kRax) = 0xFF;
  m.run_program({0x04, 0x01, 0x9C, 0xF4});  // add al, 1; pushfq
  EXPECT_EQ(m.stack(0), rflags::kIf | rflags::kCf | rflags::kZf | rflags::kAf | rflags::kPf | 2);
}

TEST(Popf, SixteenBitLeavesTheUpperHalf) {
  SystemMachine m;
  m.cpu.set_rflags(rflags::kAc | rflags::kId | 2);
  m.reg(kRax) = 0xFFFF & ~rflags::kTf;
  m.run_program({0x66, 0x50, 0x66, 0x9D, 0xF4});
  EXPECT_EQ(m.cpu.s.rflags & (rflags::kAc | rflags::kId), rflags::kAc | rflags::kId);
  EXPECT_EQ(m.reg(kRsp), kStack);
}

/// Starts with an interrupt pending and IF closed; tells where the interrupt came.
u64 interrupted_at(std::initializer_list<u8> program) {
  SystemMachine m;
  m.pending_vector = 0x55;
  m.cpu.set_interrupt_line(true);
  m.run_program(program);
  EXPECT_TRUE(m.ended_in(0x55));
  return m.stack(0) - kCode;
}

TEST(Sti, HoldsInterruptsForOneInstruction) {
  EXPECT_EQ(interrupted_at({0xFB, 0x90, 0x90, 0xF4}), 2u);              // sti; nop; <-
  EXPECT_EQ(interrupted_at({0xFB, 0xF4, 0x90, 0xF4}), 2u);              // sti; hlt; <-
  EXPECT_EQ(interrupted_at({0xFB, 0xFB, 0x90, 0x90, 0xF4}), 2u);        // only the first STI opens
  EXPECT_EQ(interrupted_at({0x68, 0, 2, 0, 0, 0x9D, 0x90, 0xF4}), 6u);  // push 200h; popfq; <-
}

TEST(Sti, HoldsAnInterruptThatComesRightBehindIt) {
  SystemMachine m;
  m.pending_vector = 0x55;
  m.place(kCode, {0xFB, 0x90, 0x90, 0xF4});
  EXPECT_EQ(m.cpu.run(1), RunExit::kLimit);
  m.cpu.set_interrupt_line(true);
  m.exit = m.run();
  ASSERT_TRUE(m.ended_in(0x55));
  EXPECT_EQ(m.stack(0), kCode + 2);
}

TEST(Sti, CliBehindItWins) {
  SystemMachine m;
  m.pending_vector = 0x55;
  m.cpu.set_interrupt_line(true);
  m.run_program({0xFB, 0xFA, 0x90, 0xF4});
  EXPECT_EQ(m.cpu.s.rip, kCode + 4);
}

TEST(MovSs, HoldsInterruptsForOneInstruction) {
  SystemMachine m;
  m.pending_vector = 0x55;
  m.reg(kRax) = selector::kKernelData;
  m.place(kCode, {0x8E, 0xD0, 0x90, 0x90, 0xF4});
  m.cpu.run(1);
  m.cpu.set_rflags(rflags::kIf | 2);
  m.cpu.set_interrupt_line(true);
  m.exit = m.run();
  ASSERT_TRUE(m.ended_in(0x55));
  EXPECT_EQ(m.stack(0), kCode + 3);
}

TEST(StacClac, OpenAndCloseUserPages) {
  SystemMachine m;
  // A supervisor page for code and stack (the first 2 MiB), user pages elsewhere.
  m.write64(kPageTables + 0x2000, 0x83);
  m.cpu.s.cr4 |= cr4::kSmap;
  m.cpu.update_mode();
  m.cpu.flush_tlb_all();
  m.reg(kRbx) = 0x400000;
  // stac; mov eax,[rbx]; clac; mov eax,[rbx]
  m.run_program({0x0F, 0x01, 0xCB, 0x8B, 0x03, 0x0F, 0x01, 0xCA, 0x8B, 0x03});
  ASSERT_TRUE(m.ended_in(vector::kPageFault));
  EXPECT_EQ(m.stack(1), kCode + 8);
  SystemMachine user;
  user.to_user();
  user.run_program({0x0F, 0x01, 0xCB});
  EXPECT_TRUE(user.ended_in(vector::kInvalidOpcode));
}

}  // namespace
}  // namespace bhvm::test
