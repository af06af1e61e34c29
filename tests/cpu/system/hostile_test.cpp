// Random programs of system instructions over random descriptor tables, at every privilege: nothing may crash or hang,
// and how a run is cut into pieces may change nothing.
#include "base/random_stream.h"
#include "state/diff.h"
#include "tests/cpu/system/system_machine.h"

namespace bhvm::test {
namespace {

/// Opcodes without their ModRM byte; the bytes behind are random.
const std::vector<std::vector<u8>> kOpcodes = {{0x0F, 0x00},
                                               {0x0F, 0x01},
                                               {0x0F, 0x02},
                                               {0x0F, 0x03},
                                               {0x0F, 0x05},
                                               {0x0F, 0x06},
                                               {0x48, 0x0F, 0x07},
                                               {0x0F, 0x20},
                                               {0x0F, 0x21},
                                               {0x0F, 0x22},
                                               {0x0F, 0x23},
                                               {0x0F, 0x30},
                                               {0x0F, 0x31},
                                               {0x0F, 0x32},
                                               {0x0F, 0x34},
                                               {0x48, 0x0F, 0x35},
                                               {0x0F, 0xA0},
                                               {0x0F, 0xA1},
                                               {0x0F, 0xA2},
                                               {0x0F, 0xA9},
                                               {0x0F, 0xAE},
                                               {0x0F, 0xB2},
                                               {0x0F, 0xB4},
                                               {0x0F, 0xC7},
                                               {0x8C},
                                               {0x8E},
                                               {0x9C},
                                               {0x9D},
                                               {0xCA},
                                               {0xCB},
                                               {0xCC},
                                               {0xCD},
                                               {0x48, 0xCF},
                                               {0xCF},
                                               {0xE4},
                                               {0xEF},
                                               {0xF1},
                                               {0xFA},
                                               {0xFB},
                                               {0xFF},
                                               {0xF3, 0x6C},
                                               {0xF3, 0x6F},
                                               {0x0F, 0x01, 0xF8},
                                               {0x0F, 0x01, 0xCA},
                                               {0x0F, 0x01, 0xCB},
                                               {0x0F, 0x01, 0xF9},
                                               {0x50},
                                               {0x58},
                                               {0x89, 0x06},
                                               {0x8B, 0x07},
                                               {0x9A},
                                               {0xEA},
                                               {0x90},
                                               {0xF3, 0x48, 0x0F, 0xAE}};

constexpr u16 kSelectors[] = {selector::kKernelCode, selector::kKernelData, selector::kUserCode32,
                              selector::kUserData,   selector::kUserCode,   selector::kKernelCode32,
                              selector::kConforming, selector::kTask,       selector::kGate,
                              selector::kLocal,      selector::kReadOnly,   selector::kOutside};
constexpr u32 kMsrs[] = {0x10, 0x1B, 0x277, 0xC0000080, 0xC0000081, 0xC0000082, 0xC0000100, 0x6E0, 0x123};

void make_hostile(SystemMachine& m, u64 seed) {
  RandomStream random(seed, 0, "hostile guest");
  std::vector<u8> program;
  while (program.size() < 256) {
    const std::vector<u8>& opcode = kOpcodes[random.below(kOpcodes.size())];
    program.insert(program.end(), opcode.begin(), opcode.end());
    const u64 tail = random.below(3);
    for (u64 i = 0; i < tail; ++i) program.push_back(static_cast<u8>(random.next()));
  }
  m.place(kCode, program);
  m.place(kTarget, program);
  for (unsigned v = 0; v < 32; ++v)
    m.place(handler_of(static_cast<u8>(v)), {0x48, 0x83, 0xC4, 0x08, 0x48, 0xCF});  // add rsp, 8; iretq
  m.place(handler_of(0x55), {0x48, 0xCF});
  // Plausible values: selectors, MSR numbers, addresses; and a table entry or two made at random.
  const auto value = [&]() -> u64 {
    switch (random.below(5)) {
      case 0:
        return kSelectors[random.below(std::size(kSelectors))];
      case 1:
        return kMsrs[random.below(std::size(kMsrs))];
      case 2:
        return kData + random.below(4096);
      case 3:
        return kTarget + random.below(64);
      default:
        return random.next();
    }
  };
  for (u64 at = kData; at < kData + 4096; at += 8) m.write64(at, value());
  for (int i = 0; i < 4; ++i) m.write64(kGdt + 8 * random.below(32), random.next());
  for (int i = 0; i < 4; ++i) m.write64(kIdt + 8 * random.below(512), random.next());
  for (u64 at = kStack - 512; at < kStack + 512; at += 8) m.write64(at, value());
  for (u64 at = kUserStack - 512; at < kUserStack + 512; at += 8) m.write64(at, value());
  if (random.below(3) == 0) m.to_user(random.below(2) == 0);
  CpuState s = m.cpu.s;
  for (unsigned i = 0; i < 16; ++i) {
    if (i != kRsp) s.gpr[i] = value();
  }
  s.cr4 |= cr4::kFsgsbase;
  s.rflags = 2 | (random.next() & (rflags::kIf | rflags::kTf | rflags::kIopl | rflags::kAc | rflags::kArithmetic));
  if (random.below(4) == 0) {
    s.dr7 = dr7::kOnes | (random.next() & 0xFFFF00FF);
    for (u64& dr : s.dr) dr = kData + random.below(4096);
    s.dr[3] = kCode + random.below(64);
  }
  m.cpu.set_state(s);
  m.pending_vector = 0x55;
  m.cpu.set_interrupt_line(random.below(2) == 0);
}

/// Runs up to `total` instructions in calls of `piece`; the way it ended.
RunExit run_in_pieces(SystemMachine& m, u64 total, u64 piece) {
  RunExit exit = RunExit::kLimit;
  while (m.cpu.s.instructions < total) {
    exit = m.cpu.run(std::min(piece, total - m.cpu.s.instructions));
    if (exit != RunExit::kLimit && exit != RunExit::kAttention) break;
  }
  return exit;
}

TEST(Hostile, NothingCrashesAndPiecesChangeNothing) {
  constexpr u64 kTotal = 300;
  for (u64 seed = 0; seed < 400; ++seed) {
    for (const bool protected32 : {false, true}) {
      SystemMachine whole(protected32);
      SystemMachine single(protected32);
      SystemMachine odd(protected32);
      for (SystemMachine* m : {&whole, &single, &odd}) make_hostile(*m, seed);
      const RunExit exit = run_in_pieces(whole, kTotal, kTotal);
      ASSERT_EQ(run_in_pieces(single, kTotal, 1), exit) << seed;
      ASSERT_EQ(run_in_pieces(odd, kTotal, 7), exit) << seed;
      for (SystemMachine* m : {&single, &odd}) {
        std::vector<FieldDifference> differences;
        diff(whole.cpu.s, m->cpu.s, differences);
        for (const FieldDifference& d : differences)
          ADD_FAILURE() << seed << ": " << d.path << " " << d.a << " " << d.b;
        ASSERT_TRUE(whole.memory.hash() == m->memory.hash()) << seed;
        ASSERT_EQ(whole.port_writes, m->port_writes) << seed;
        ASSERT_TRUE(differences.empty()) << seed << " protected " << protected32;
      }
    }
  }
}

}  // namespace
}  // namespace bhvm::test
