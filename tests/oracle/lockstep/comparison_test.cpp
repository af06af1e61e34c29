#include "oracle/lockstep/comparison.h"

#include <gtest/gtest.h>

#include "cpu/flags.h"
#include "log_text.h"
#include "oracle/lockstep/instruction.h"
#include "oracle/lockstep/log_parser.h"

namespace bhvm::lockstep {
namespace {

QemuState parsed(const std::string& text) {
  LogEvent event;
  EXPECT_EQ(ParseOutcome::kEvent, parse_event(text, false, event).outcome);
  return event.state;
}

/// bhvm at QEMU's 32-bit entry state, with `code` there.
struct Bench {
  explicit Bench(std::initializer_list<u8> code) : ram(u64{32} << 20), state(parsed(state32())) {
    std::ranges::copy(code, ram.begin() + static_cast<std::ptrdiff_t>(state.rip));
    side = BhvmSide::create(ram.size()).value();
    side->start(ram, state);
  }
  std::vector<u8> ram;
  QemuState state;
  std::unique_ptr<BhvmSide> side;
};

std::vector<std::string> differing(const Bench& bench) {
  std::vector<std::string> names;
  for (const FieldPair& field : fields(bench.side->state(), bench.side->shadow(), bench.state)) {
    if (field.differs()) names.push_back(field.name);
  }
  return names;
}

TEST(Comparison, StartsWhereQemuStands) {
  Bench bench({0x90});
  EXPECT_TRUE(equal(bench.side->state(), bench.side->shadow(), bench.state));
  EXPECT_TRUE(differing(bench).empty());
}

TEST(Comparison, SeesEveryKindOfField) {
  Bench bench({0x90});
  CpuState& s = bench.side->cpu().s;
  s.gpr[kRbx] ^= 1;
  s.rflags ^= rflags::kAf;
  s.segments[kDs].limit -= 1;
  s.cr4 |= 1;
  s.dr[2] = 5;
  EXPECT_FALSE(equal(s, bench.side->shadow(), bench.state));
  EXPECT_EQ((std::vector<std::string>{"rbx", "rflags", "ds.limit", "cr4", "dr2"}), differing(bench));
}

TEST(Comparison, HighHalvesAreUnknownIn32BitCode) {
  Bench bench({0x90});
  bench.side->cpu().s.gpr[kRbx] |= u64{1} << 40;
  bench.side->cpu().s.gpr[kR9] = 7;
  EXPECT_TRUE(equal(bench.side->state(), bench.side->shadow(), bench.state));
}

TEST(BhvmSide, ExecutesOneInstruction) {
  Bench bench({0x40, 0x48});  // INC EAX, DEC EAX
  EXPECT_EQ(BhvmSide::Step::kDone, bench.side->step());
  EXPECT_EQ(0x2badb003u, bench.side->state().gpr[kRax]);
  EXPECT_EQ(bench.state.rip + 1, bench.side->state().rip);
  EXPECT_EQ(std::nullopt, bench.side->outside_read());
}

TEST(BhvmSide, FinishesALongRepeat) {
  Bench bench({0xF3, 0xAA});  // REP STOSB
  CpuState& s = bench.side->cpu().s;
  s.gpr[kRcx] = 200'000;
  s.gpr[kRdi] = 0x100000;
  EXPECT_EQ(BhvmSide::Step::kDone, bench.side->step());
  EXPECT_EQ(0u, s.gpr[kRcx]);
  EXPECT_EQ(0x100000u + 200'000, s.gpr[kRdi]);
  EXPECT_EQ(bench.state.rip + 2, s.rip);
}

TEST(BhvmSide, TellsWhatItReadOutside) {
  Bench ports({0xEC});  // IN AL, DX
  ports.side->step();
  EXPECT_EQ(Rule::kPortRead, ports.side->outside_read());
  Bench device({0xA1, 0x00, 0x00, 0xE0, 0xFE});  // MOV EAX, [FEE00000H]
  device.side->step();
  EXPECT_EQ(Rule::kDeviceRead, device.side->outside_read());
  EXPECT_EQ(device.state.rip + 5, device.side->state().rip);
}

TEST(BhvmSide, TakesNoBlockedInterrupt) {
  Bench bench({0x90});
  EXPECT_FALSE(bench.side->interrupt(0x20));  // IF is 0
  EXPECT_EQ(bench.state.rip, bench.side->state().rip);
}

TEST(Ram, DifferencesAreFoundButInFirmware) {
  Bench bench({0x90});
  EXPECT_TRUE(ram_differences(bench.side->memory(), bench.ram, 8).empty());
  bench.ram[0xE1000] = 1;
  EXPECT_TRUE(ram_differences(bench.side->memory(), bench.ram, 8).empty());
  bench.ram[0x123456] = 0xAB;
  const auto found = ram_differences(bench.side->memory(), bench.ram, 8);
  ASSERT_EQ(1u, found.size());
  EXPECT_EQ(0x123450u, found[0].address);
  EXPECT_EQ(0u, found[0].ours);
  EXPECT_EQ(u64{0xAB} << 48, found[0].theirs);
}

TEST(InstructionReader, FollowsChangedCode) {
  Bench bench({0xD3, 0xE0});  // SHL EAX, CL
  InstructionReader reader;
  const InstructionInfo& shift = reader.at(bench.side->memory(), bench.side->state());
  EXPECT_EQ(ZYDIS_MNEMONIC_SHL, shift.mnemonic);
  EXPECT_TRUE(shift.shift_by_cl);
  EXPECT_EQ(32u, shift.shift_width);
  EXPECT_EQ(1u << kRax, shift.registers_written);
  EXPECT_TRUE(shift.flags_written);
  const u8 repeated[] = {0xF3, 0xA5};  // REP MOVSD
  bench.side->memory().write({bench.state.rip}, repeated, sizeof(repeated));
  const InstructionInfo& move = reader.at(bench.side->memory(), bench.side->state());
  EXPECT_EQ(ZYDIS_MNEMONIC_MOVSD, move.mnemonic);
  EXPECT_TRUE(move.repeated);
  EXPECT_TRUE(move.device_data_to_memory);
  EXPECT_EQ(0xFFFFFFFFu, move.count_mask);
  EXPECT_EQ(1u << kRcx | 1u << kRsi | 1u << kRdi, move.registers_written);
  EXPECT_FALSE(move.flags_written);
  const u8 identify[] = {0x0F, 0xA2};  // CPUID
  bench.side->memory().write({bench.state.rip}, identify, sizeof(identify));
  EXPECT_EQ(0xFu, reader.at(bench.side->memory(), bench.side->state()).registers_written);
}

}  // namespace
}  // namespace bhvm::lockstep
