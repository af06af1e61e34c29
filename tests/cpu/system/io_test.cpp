#include "cpu/system/io.h"

#include "tests/cpu/system/system_machine.h"

namespace bhvm::test {
namespace {

using Ports = std::vector<SystemMachine::PortAccess>;

TEST(Io, WidthsOfInAndOut) {
  SystemMachine m;
  m.reg(kRax) = 0x1122334455667788;
  m.reg(kRdx) = 0x1F3F8;
  // out 80h, al; out dx, ax; out dx, eax; in al, 71h; mov rbx, rax; in eax, dx; hlt
  m.run_program({0xE6, 0x80, 0x66, 0xEF, 0xEF, 0xE4, 0x71, 0x48, 0x89, 0xC3, 0xED, 0xF4});
  EXPECT_EQ(m.port_writes, (Ports{{0x80, 1, 0x88}, {0xF3F8, 2, 0x7788}, {0xF3F8, 4, 0x55667788}}));
  EXPECT_EQ(m.port_reads, (Ports{{0x71, 1}, {0xF3F8, 4}}));
  EXPECT_EQ(m.reg(kRbx), 0x11223344556677D4u);
  EXPECT_EQ(m.reg(kRax), 0xA1B2C3D4u);
}

TEST(Io, PermissionBitmap) {
  struct Row {
    u64 iopl;
    u16 port;
    bool allowed;
  };
  const Row rows[] = {{0, 0x40, true},     // bit clear
                      {0, 0x43, false},    // bit 43h set: a byte there
                      {0, 0x42, false},    // a word over it
                      {0, 0xFF, false},    // the word's second byte is in the closing byte
                      {0, 0x1000, false},  // beyond the limit
                      {3, 0x43, true},    {3, 0x1000, true}};
  for (const Row& row : rows) {
    SystemMachine m;
    m.memory.write_value(PhysicalAddress{kTss + 104 + 8}, u8{1 << 3});
    m.to_user();
    m.cpu.set_rflags((row.iopl << 12) | 2);
    m.reg(kRdx) = row.port;
    m.place(kCode, {0x66, 0xED});  // in ax, dx
    m.cpu.run(1);
    EXPECT_EQ(m.port_reads.size(), row.allowed ? 1u : 0u) << row.port;
    if (!row.allowed) {
      EXPECT_EQ(m.cpu.s.rip, handler_of(vector::kGeneralProtection)) << row.port;
    }
  }
}

TEST(Io, RepeatedStringsMoveOneElementAtATime) {
  SystemMachine m;
  m.memory.write({kData}, "abcdef", 6);
  m.reg(kRsi) = kData;
  m.reg(kRcx) = 6;
  m.reg(kRdx) = 0x3F8;
  m.place(kCode, {0xF3, 0x6E, 0xF4});  // rep outsb
  EXPECT_EQ(m.cpu.run(100), RunExit::kAttention);
  EXPECT_EQ(m.reg(kRcx), 5u);
  EXPECT_EQ(m.cpu.s.rip, kCode);
  EXPECT_EQ(m.run(), RunExit::kHalted);
  ASSERT_EQ(m.port_writes.size(), 6u);
  EXPECT_EQ(m.port_writes[5], (SystemMachine::PortAccess{0x3F8, 1, 'f'}));
  EXPECT_EQ(m.reg(kRsi), kData + 6);
  EXPECT_EQ(m.cpu.s.rep_iterations, 6u);
}

TEST(Io, RepeatWithoutAnythingToDo) {
  SystemMachine m;
  m.reg(kRcx) = u64{1} << 32;
  m.run_program({0xF3, 0x67, 0x6D, 0xF4});  // rep insd with ECX = 0
  EXPECT_EQ(m.exit, RunExit::kHalted);
  EXPECT_TRUE(m.port_reads.empty());
}

TEST(Io, InsDownwards) {
  SystemMachine m;
  m.cpu.set_rflags(rflags::kDf | 2);
  m.reg(kRdi) = kData + 4;
  m.reg(kRcx) = 2;
  m.run_program({0xF3, 0x66, 0x6D, 0xF4});
  EXPECT_EQ(m.reg(kRdi), kData);
  EXPECT_EQ(m.read64(kData), 0xC3D4'C3D4'0000u);
}

TEST(Io, InsChecksItsDestinationBeforeThePort) {
  SystemMachine m;
  m.write64(kPageTables + 0x2000 + 8 * 4, 0);
  m.reg(kRdi) = 0x800000;
  m.run_program({0x6D});
  EXPECT_TRUE(m.ended_in(vector::kPageFault));
  EXPECT_TRUE(m.port_reads.empty());
}

}  // namespace
}  // namespace bhvm::test
