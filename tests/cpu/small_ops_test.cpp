// What ops become in a block, and what stands behind them there.
#include "cpu/small_ops.h"

#include <gtest/gtest.h>

#include <vector>

#include "cpu/block_builder.h"
#include "cpu/control.h"
#include "cpu/joined_ops.h"

namespace bhvm::test {
namespace {

constexpr i32 kDisp = -0x12345678;
constexpr i64 kImm = -0x7654321;

/// Every field set, but for the immediate or the link.
Op full_op() {
  Op op;
  op.handler = leave_fault;
  op.disp = kDisp;
  op.dst = 0x21;
  op.src = 0x32;
  op.base = 0x43;
  op.index = 0x54;
  op.page_offset = 0xABC;
  op.scale = Op::kStackSegment | 3;
  op.rest = 17;
  return op;
}

/// A block in memory, as a code cache has it.
class Written {
 public:
  Written(const std::vector<Op>& ops, const std::vector<OpNotes>& notes, const std::vector<OpKind>& kinds)
      : memory_((sizeof(Block) + most_slots(ops.size()) * Block::kSlot) / sizeof(u64)) {
    write_ops(ops, notes, kinds, *new (memory_.data()) Block);
  }
  Block& block() { return *reinterpret_cast<Block*>(memory_.data()); }
  template <class Kind>
  const Kind& at(std::size_t slot) {
    return *reinterpret_cast<const Kind*>(block().at_slot(slot));
  }

 private:
  std::vector<u64> memory_;
};

/// `op` alone as one of the kind.
template <class Kind>
Kind as_one(const Op& op, OpKind kind = kKindOf<Kind>) {
  EXPECT_TRUE(fits(op, kind, takes_any_imm(kind, sizeof(i32))));
  Written written({op}, {OpNotes{}}, {kind});
  const Kind small = written.at<Kind>(0);
  EXPECT_EQ(small.handler, op.handler);
  EXPECT_EQ(written.block().slots, sizeof(Kind) / Block::kSlot + (kind == OpKind::kOp ? 0u : 1u));
  return small;
}

/// `op` as one of the kind, whose address has an index.
template <class Kind>
Kind as_one_with_index(const Op& op) {
  const Kind small = as_one<Kind>(op);
  EXPECT_EQ(small.disp, op.disp);
  EXPECT_EQ(small.base, op.base);
  EXPECT_EQ(small.index, op.index);
  EXPECT_EQ(small.scale & 63, op.scale & 63);
  return small;
}

TEST(SmallOps, HaveTheOperandsOfTheirOps) {
  Op op = full_op();
  op.imm = kImm;
  const auto reg = as_one<RegisterOp>(op);
  EXPECT_EQ(reg.imm, kImm);
  EXPECT_EQ(reg.dst, op.dst);
  EXPECT_EQ(reg.src, op.src);
  EXPECT_EQ(as_one_with_index<LoadOp>(op).dst, op.dst);
  EXPECT_EQ(as_one_with_index<StoreOp>(op).src, op.src);
  EXPECT_EQ(as_one_with_index<StoreNumberOp>(op).imm, kImm);
  op.imm = i64{1} << 40;
  EXPECT_EQ(as_one<Op>(op).imm, op.imm);
  EXPECT_EQ(as_one<ReturnOp>(op).imm, op.imm);
}

TEST(SmallOps, ThoseOfAnyRegisterHaveWideOffsets) {
  Op op = full_op();
  op.dst = 0x321;
  op.src = 0x432;
  op.base = 0x543;
  op.index = 0x654;
  const auto load = as_one<SimpleLoadOp>(op);
  EXPECT_EQ(load.disp, op.disp);
  EXPECT_EQ(load.dst, op.dst);
  EXPECT_EQ(load.base, op.base);
  const auto store = as_one<SimpleStoreOp>(op);
  EXPECT_EQ(store.disp, op.disp);
  EXPECT_EQ(store.src, op.src);
  EXPECT_EQ(store.base, op.base);
  EXPECT_EQ(as_one_with_index<WideLoadOp>(op).dst, op.dst);
  EXPECT_EQ(as_one_with_index<WideStoreOp>(op).src, op.src);
}

TEST(SmallOps, JumpsHaveTheirLinks) {
  Op op = full_op();
  op.imm = 0;
  op.dst = 0x1000;  // a return address may be the next page's first byte
  make_linked(op);
  const auto call = as_one<CallOp>(op);
  EXPECT_EQ(call.link, &unlinked_block);
  EXPECT_EQ(call.disp, op.disp);
  EXPECT_EQ(call.dst, op.dst);
  op.dst = 0x65;
  op.base = 0x5678;
  op.index = 0xFEDC;
  const auto across = as_one<AcrossOp>(op);
  EXPECT_EQ(across.link, &unlinked_block);
  EXPECT_EQ(across.disp, op.disp);
  EXPECT_EQ(across.to_generation, FetchGeneration::kNever);
  EXPECT_EQ(across.imm, static_cast<i32>(0xFEDC5678));
  EXPECT_EQ(across.dst, op.dst);
  EXPECT_EQ(across.src, op.src);
  EXPECT_EQ(across.rest, op.rest);
}

TEST(SmallOps, JumpsInsideThePageSayWhatTheyTake) {
  Op op = full_op();
  op.imm = 0;
  op.dst = 0x65;
  op.base = 0x5678;
  op.index = 0xFEDC;
  make_linked(op);
  const auto jump = as_one<JumpOp>(op);
  EXPECT_EQ(jump.disp, op.disp);
  const auto compare = as_one<CompareOp>(op);
  EXPECT_EQ(compare.dst, op.dst);
  EXPECT_EQ(compare.src, op.src);
  const auto number = as_one<CompareNumberOp>(op);
  EXPECT_EQ(number.imm, static_cast<i32>(0xFEDC5678));
  EXPECT_EQ(number.dst, op.dst);
  for (const InPageOp& unlinked : {InPageOp(jump), InPageOp(compare), InPageOp(number)}) {
    EXPECT_EQ(Block::of_first(unlinked.target), &unlinked_block);
    EXPECT_LT(kMostAtOnce + unlinked.change, 0);  // more than any budget
    EXPECT_EQ(unlinked.change, op.rest - i64{unlinked_block.count});
  }
  InPageOp linked = jump;
  Block block;
  block.count = 5;
  linked.lead_to(&block, 17);
  EXPECT_EQ(linked.target, block.ops());
  EXPECT_EQ(linked.change, 12);
}

TEST(SmallOps, WhatDoesNotFitIsTold) {
  Op op = full_op();
  EXPECT_TRUE(fits(op, OpKind::kLoad, false));
  for (u16 Op::* field : {&Op::dst, &Op::base, &Op::index}) {
    Op far = op;
    far.*field = 0x100;
    EXPECT_FALSE(fits(far, OpKind::kLoad, false));
    EXPECT_TRUE(fits(far, OpKind::kWideLoad, false));
  }
  op.src = 0x100;
  EXPECT_TRUE(fits(op, OpKind::kLoad, false));
  EXPECT_FALSE(fits(op, OpKind::kStore, false));
  EXPECT_FALSE(fits(op, OpKind::kCompare, false));
  EXPECT_TRUE(fits(op, OpKind::kCompareNumber, false));
  op.imm = i64{1} << 31;
  EXPECT_FALSE(fits(op, OpKind::kRegister, false));
  EXPECT_TRUE(fits(op, OpKind::kRegister, true));
  EXPECT_TRUE(takes_any_imm(OpKind::kRegister, 4));
  EXPECT_FALSE(takes_any_imm(OpKind::kRegister, 8));
  EXPECT_FALSE(takes_any_imm(OpKind::kStoreNumber, 8));
  EXPECT_TRUE(takes_any_imm(OpKind::kLoad, 8));
}

TEST(SmallOps, WhatCanFaultAndWhatHasALinkHasDetails) {
  Op op = full_op();
  Op jump = full_op();
  jump.imm = 0;
  jump.disp = 0x123;
  make_linked(jump);
  OpNotes safe;
  safe.can_fault = false;
  const OpNotes faults;
  Written written({op, op, op, jump, jump}, {faults, safe, faults, safe, faults},
                  {OpKind::kLoad, OpKind::kRegister, OpKind::kOp, OpKind::kCompare, OpKind::kOp});
  const Block& block = written.block();
  ASSERT_EQ(block.details, 3);
  const OpDetails* const details = block.details_begin();
  EXPECT_EQ(details[0].at, 0u);
  EXPECT_EQ(details[0].page_offset, op.page_offset);
  EXPECT_EQ(details[0].rest, op.rest);
  EXPECT_EQ(details[0].stack_segment, 1u);
  EXPECT_EQ(details[0].linked, 0u);
  EXPECT_EQ(details[0].in_page, 0u);
  EXPECT_EQ(details[1].at, 2u + 2 + 4);
  EXPECT_EQ(details[1].page_offset, 0x123u);  // its target
  EXPECT_EQ(details[1].linked, 1u);
  EXPECT_EQ(details[1].in_page, 1u);
  EXPECT_EQ(details[2].at, 2u + 2 + 4 + 3);
  EXPECT_EQ(details[2].linked, 1u);
  EXPECT_EQ(reinterpret_cast<const u8*>(details), written.block().at_slot(2 + 2 + 4 + 3 + 4) + 4);
}

TEST(SmallOps, DataStandBehindTheOpsAsTheyAre) {
  Op call = full_op();
  call.imm = 0;
  make_linked(call);
  Op data;
  data.handler = leave_fault;
  data.imm = kImm;
  data.scale = 0xFF;
  OpNotes is_data;
  is_data.data = true;
  for (const std::size_t count : {std::size_t{0}, std::size_t{1}, std::size_t{2}}) {
    std::vector<Op> ops = {call};
    std::vector<OpNotes> notes = {OpNotes{}};
    ops.resize(1 + count, data);
    notes.resize(1 + count, is_data);
    Written written(ops, notes, std::vector<OpKind>(1 + count, OpKind::kOp));
    Block& block = written.block();
    EXPECT_EQ(block.details, 1);
    EXPECT_EQ(block.data_slots, 4 * count);
    for (std::size_t i = 0; i < count; ++i) EXPECT_EQ(written.at<Op>(4 + 4 * i).scale, 0xFF);
    bool has_older_target;
    EXPECT_EQ(reinterpret_cast<u8*>(transfer_data(block, has_older_target)), count == 0 ? nullptr : block.at_slot(4));
    EXPECT_EQ(has_older_target, count == 2);
  }
}

}  // namespace
}  // namespace bhvm::test
