// Each row of joined ops does what its ops do one by one: with pages that the fast TLB knows and pages that it does
// not, jumps that are taken and jumps that are not, and faults in the middle.
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <vector>

#include "base/random_stream.h"
#include "cpu/control.h"
#include "cpu/joined_ops.h"
#include "state/hash_state.h"
#include "tests/cpu/harness.h"

namespace bhvm::test {
namespace {

constexpr u64 kHole = u64{6} << 20;  // 6 MiB to 8 MiB are not mapped
constexpr i64 kBudget = 1000;
constexpr unsigned kPages = 8;

BHVM_HANDLER(leave_behind_row) {
  cpu.leave = Leave::kSystem;  // as no jump and no fault does
  cpu.limit = static_cast<u64>(budget);
  BHVM_LEAVE;
}

struct Program {
  std::vector<Op> ops;
  std::vector<OpNotes> notes;

  void add(const Op& op) {
    ops.push_back(op);
    notes.emplace_back();
  }
};

class Rows {
 public:
  explicit Rows(std::span<const JoinedRow> integer, std::span<const JoinedRow> sse) {
    rows.insert(rows.end(), integer.begin(), integer.end());
    rows.insert(rows.end(), sse.begin(), sse.end());
    const auto integers = integer::joined_parts();
    const auto vectors = sse::joined_parts();
    parts.insert(parts.end(), integers.begin(), integers.end());
    parts.insert(parts.end(), vectors.begin(), vectors.end());
    first_vector = integers.size() + 1;
  }

  /// The ops of a row, with operands at random.
  Program program(const JoinedRow& row, RandomStream& random) const {
    Program program;
    for (unsigned i = 0; i < row.count; ++i) {
      const JoinedPart& part = parts[row.parts[i] - 1u];
      for (unsigned k = 0; k < part.ops; ++k) {
        program.add(op(parts[part.of_each - 1u], part.of_each >= first_vector, part.ops > 1, random));
      }
    }
    for (std::size_t i = 0; i < program.ops.size(); ++i) {
      program.ops[i].page_offset = static_cast<u16>(16 * i);
      program.ops[i].rest = static_cast<u8>(program.ops.size() - 1 - i);
    }
    // What calls and indirect jumps note, as they are built; where no jump leads elsewhere, the way ends there.
    std::array<Op, 2> data;
    IndirectCallData notes;
    notes.behind = notes.older_target = &unlinked_block;
    std::memcpy(static_cast<void*>(data.data()), &notes, sizeof notes);
    data[0].handler = leave_behind_row;
    for (const Op& op : data) {
      program.add(op);
      program.notes.back().data = true;
    }
    return program;
  }

  std::vector<JoinedRow> rows;

 private:
  static Op op(const JoinedPart& part, bool vector, bool in_run, RandomStream& random) {
    const auto gpr = [&] {
      return static_cast<u16>(BlockBuilder::offset_of(ZYDIS_REGISTER_RAX) + 8 * random.below(16));
    };
    const auto xmm = [&] {
      return static_cast<u16>(BlockBuilder::offset_of(ZYDIS_REGISTER_XMM0) + sizeof(Xmm) * random.below(16));
    };
    const auto other = [&] {  // not RSP
      u16 offset;
      do offset = gpr();
      while (offset == BlockBuilder::offset_of(ZYDIS_REGISTER_RSP));
      return offset;
    };
    Op op;
    op.handler = part.translated;
    op.dst = vector ? xmm() : in_run ? other() : gpr();
    op.src = vector ? xmm() : in_run ? other() : gpr();
    op.base = gpr();
    op.index = BlockBuilder::offset_of(ZYDIS_REGISTER_NONE);
    op.disp = static_cast<i32>(random.below(64)) * 8;
    op.imm = static_cast<i64>(1 + random.below(7));
    switch (part.kind) {
      case OpKind::kOp:  // may be a jump
      case OpKind::kCall:
      case OpKind::kAcross:
      case OpKind::kJump:
      case OpKind::kCompare:
      case OpKind::kCompareNumber:
        make_linked(op);
        break;
      default:
        break;
    }
    return op;
  }

  std::vector<JoinedPart> parts;
  std::size_t first_vector = 0;
};

/// A CPU that runs ops as a block.
class Runner {
 public:
  Runner() {
    h.write64(kPageTables + 0x2000 + 8 * 3, 0);
    for (u64 at = 0; at < u64{kPages} << kPageShift; at += 8) h.write64(kData + at, at * 0x9E3779B97F4A7C15);
  }

  void set(RandomStream random) {
    CpuState s = h.cpu.s;
    for (u64& gpr : s.gpr) gpr = kData + (random.below(kPages - 1) << kPageShift) + 16 * random.below(128);
    s.gpr[random.below(16)] = kHole + 64;
    s.gpr[kRsp] = kData + (random.below(kPages - 1) << kPageShift) + 0x800;
    for (Xmm& xmm : s.xmm) xmm.q = {random.next(), random.next()};
    s.rip = kCode;
    s.instructions = 0;
    h.cpu.set_state(s);
    h.cpu.flags.set(random.next());
  }

  void run(const Program& program, bool joined) {
    std::vector<Op> ops = program.ops;
    std::vector<OpKind> kinds(ops.size(), OpKind::kOp);
    if (joined) join_ops(ops, program.notes, kinds);
    auto& arena = const_cast<BlockArena&>(h.cpu.code->arena());
    if (!arena.fits(most_slots(ops.size()))) arena.empty();
    Block& block = *arena.allocate(most_slots(ops.size()));
    write_ops(ops, program.notes, kinds, block);
    arena.trim(block);
    Cpu& cpu = h.cpu;
    cpu.page_base = kCode;
    cpu.limit = kBudget;
    cpu.fault = {};
    cpu.link = {};
    const Op* op = block.ops();
    i64 budget = kBudget;
#if BHVM_DISPATCH_BY_TAIL_CALL
    op->handler(cpu.fast, budget, cpu, op);
#else
    FastData fast = cpu.fast;
    while (op != nullptr) op = op->handler(fast, budget, cpu, op);
#endif
    cpu.s.rflags = cpu.rflags();
  }

  /// What came of it.
  auto outcome() {
    std::vector<u8> memory(std::size_t{kPages} << kPageShift);
    h.memory.read({kData}, memory.data(), memory.size());
    return std::tuple(hash_state(h.cpu.s), hash_bytes(memory.data(), memory.size()), h.cpu.leave, h.cpu.limit,
                      h.cpu.fault.kind, h.cpu.fault.vector, h.cpu.fault.error_code, h.cpu.fault.address);
  }

  Harness h;
};

TEST(JoinedRows, EachDoesWhatItsOpsDoOneByOne) {
  const Rows rows(integer::joined_rows(), sse::joined_rows());
  RandomStream random(1, 0, "rows");
  Runner joined, one_by_one;
  std::array<unsigned, 3> left{};  // by a jump, a fault, behind the row
  for (std::size_t number = 0; number < rows.rows.size(); ++number) {
    for (int round = 0; round < 3; ++round) {
      const Program program = rows.program(rows.rows[number], random);
      const u64 seed = random.next();
      for (Runner* runner : {&joined, &one_by_one}) {
        if (seed % 4 == 0) runner->h.cpu.flush_tlb_all();
        runner->set(RandomStream(seed, 0, "state"));
        runner->run(program, runner == &joined);
      }
      ASSERT_EQ(joined.outcome(), one_by_one.outcome()) << "row " << number << ", seed " << seed;
      left[joined.h.cpu.leave == Leave::kSystem ? 2 : joined.h.cpu.leave == Leave::kFault ? 1 : 0] += 1;
    }
  }
  for (const unsigned times : left) EXPECT_GT(times, rows.rows.size() / 10);
}

}  // namespace
}  // namespace bhvm::test
