#include "cpu/joined_ops.h"

#include <vector>

#include "base/check.h"
#include "cpu/sse/translate.h"

namespace bhvm {
namespace {

/// All rows as a tree: a node for each run of handlers that some row begins with. Nodes are found by a hash of the node
/// before and the handler. Made once, never changed, and of nothing but the program itself.
class Rows {
 public:
  Rows() {
    add(integer::joined_rows());
#if BHVM_SSE_HOSTS  // compiled for hosts with the instructions, also rows of which no op needs them
    if (!sse::has_sse42_host()) return;
#endif
    add(sse::joined_rows());
  }

  struct Joined {
    Handler handler = nullptr;
    std::size_t ops = 1;
  };
  /// The longest row that the ops begin with.
  Joined longest(std::span<const Op> ops) const {
    Joined found;
    u32 node = kRoot;
    for (std::size_t i = 0; i < ops.size() && i < kMostJoined; ++i) {
      const Node& next = nodes_[slot_of(node, ops[i].handler)];
      if (next.number == 0) break;
      if (next.joined != nullptr) found = {next.joined, i + 1};
      node = next.number;
    }
    return found;
  }

 private:
  struct Node {
    Handler handler = nullptr;
    Handler joined = nullptr;  // if a row ends here
    u32 before = 0;
    u32 number = 0;  // 0 where there is none
  };
  static constexpr u32 kRoot = 1;
  static constexpr unsigned kSlotBits = 15;
  static constexpr std::size_t kSlots = std::size_t{1} << kSlotBits;

  /// The slot of this node, or the free one where it belongs.
  std::size_t slot_of(u32 before, Handler handler) const {
    const u64 number = reinterpret_cast<std::uintptr_t>(handler) + (u64{before} << 40);
    std::size_t slot = (number * 0x9E3779B97F4A7C15) >> (64 - kSlotBits);
    while (nodes_[slot].number != 0 && (nodes_[slot].handler != handler || nodes_[slot].before != before)) {
      slot = (slot + 1) % kSlots;
    }
    return slot;
  }

  void add(std::span<const JoinedRow> rows) {
    for (const JoinedRow& row : rows) {
      u32 before = kRoot;
      for (std::size_t i = 0; i < row.count; ++i) {
        Node& node = nodes_[slot_of(before, row.handlers[i])];
        if (node.number == 0) {
          last_ += 1;
          BHVM_CHECK(last_ < kSlots / 2, "the rows of joined ops need a larger table: kSlotBits, cpu/joined_ops.cpp");
          node = {.handler = row.handlers[i], .before = before, .number = last_};
        }
        before = node.number;
        if (i + 1 == row.count) node.joined = row.joined;
      }
    }
  }

  std::vector<Node> nodes_{kSlots};
  u32 last_ = kRoot;
};

}  // namespace

void join_ops(std::span<Op> ops) {
  static const Rows rows;
  std::size_t i = 0;
  while (i + 1 < ops.size()) {
    if (const std::size_t run = integer::join_stack_run(ops.subspan(i))) {
      i += run;
      continue;
    }
    const Rows::Joined joined = BHVM_JOINS ? rows.longest(ops.subspan(i)) : Rows::Joined{};
    if (joined.handler != nullptr) ops[i].handler = joined.handler;
    i += joined.ops;
  }
}

}  // namespace bhvm
