#include "cpu/joined_ops.h"

#include <vector>

#include "base/check.h"
#include "cpu/sse/translate.h"

namespace bhvm {
namespace {

/// The parts, found by a hash of the handler that translators give them.
class Parts {
 public:
  /// `instead`: the handlers to give them, from the next number on; none: those that they have.
  void add(std::span<const JoinedPart> parts, std::span<const Handler> instead) {
    for (const JoinedPart& part : parts) {
      const u16 number = static_cast<u16>(handlers_.size());
      BHVM_CHECK(number < kSlots / 2, "the parts of joined ops need a larger table: kSlotBits, cpu/joined_ops.cpp");
      slots_[slot_of(part.translated)] = {part.translated, number, part.kind, takes_any_imm(part.kind, part.imm_size)};
      handlers_.push_back(instead.empty() ? part.handler : instead[number - 1u]);
    }
  }

  /// The number of the part that this op is, and its kind; 0 when it is none.
  u16 number_of(const Op& op, OpKind& kind) const {
    const Slot& slot = slots_[slot_of(op.handler)];
    if (slot.number == 0 || !fits(op, slot.kind, slot.any_imm)) return 0;
    kind = slot.kind;
    return slot.number;
  }
  /// The handler of a part that stands alone.
  Handler handler_of(u16 number) const { return handlers_[number]; }
  std::size_t size() const { return handlers_.size(); }

 private:
  struct Slot {
    Handler translated = nullptr;
    u16 number = 0;
    OpKind kind = OpKind::kOp;
    bool any_imm = false;
  };
  static constexpr unsigned kSlotBits = 12;
  static constexpr std::size_t kSlots = std::size_t{1} << kSlotBits;

  /// The slot of this one, or the free one where it belongs.
  std::size_t slot_of(Handler handler) const {
    std::size_t slot = (reinterpret_cast<std::uintptr_t>(handler) * 0x9E3779B97F4A7C15) >> (64 - kSlotBits);
    while (slots_[slot].number != 0 && slots_[slot].translated != handler) slot = (slot + 1) % kSlots;
    return slot;
  }

  std::vector<Slot> slots_{kSlots};
  std::vector<Handler> handlers_{nullptr};
};

/// The rows as a tree: a node for each run of parts that some row begins with. Nodes behind the first part are found by
/// a hash of the node before and the part.
class Rows {
 public:
  explicit Rows(std::size_t parts) : first_(parts) {}

  /// As Parts::add().
  void add(std::span<const JoinedRow> rows, std::span<const Handler> instead) {
    for (const JoinedRow& row : rows) {
      u16 node = first_[row.parts[0]];
      if (node == 0) node = first_[row.parts[0]] = new_node();
      for (std::size_t i = 1; i < row.count; ++i) {
        Node& next = nodes_[slot_of(node, row.parts[i])];
        if (next.number == 0) next = {.before = node, .part = row.parts[i], .number = new_node()};
        node = next.number;
        if (i + 1 == row.count) {
          next.row = static_cast<u16>(joined_.size());
          joined_.push_back(instead.empty() ? row.joined : instead[joined_.size() - 1]);
        }
      }
    }
  }

  struct Joined {
    u16 row = 0;
    std::size_t ops = 1;
  };
  /// The longest row that these parts, not none, begin with.
  Joined longest(std::span<const u16> parts) const {
    u16 row = 0;
    std::size_t ops = 1;
    u16 node = first_[parts[0]];
    for (std::size_t i = 1; node != 0 && i < parts.size() && i < kMostJoined; ++i) {
      const Node& next = nodes_[slot_of(node, parts[i])];
      if (next.row != 0) {
        row = next.row;
        ops = i + 1;
      }
      node = next.number;
    }
    return {row, ops};
  }
  Handler handler_of(u16 row) const { return joined_[row]; }
  /// Has the host fetch what longest() looks at first.
  void prefetch(u16 part, u16 next) const { __builtin_prefetch(&nodes_[place_of(first_[part], next)]); }

 private:
  /// Small, so that what blocks are joined by stays in the host's caches.
  struct Node {
    u16 before = 0;
    u16 part = 0;
    u16 number = 0;  // 0 where there is none
    u16 row = 0;     // that ends here; 0: none does
  };
  static constexpr unsigned kSlotBits = 14;
  static constexpr std::size_t kSlots = std::size_t{1} << kSlotBits;

  /// The slot of this node if no other one is there.
  static std::size_t place_of(u16 before, u16 part) {
    return ((u64{before} << 16 | part) * 0x9E3779B97F4A7C15) >> (64 - kSlotBits);
  }
  /// The slot of this node, or the free one where it belongs.
  std::size_t slot_of(u16 before, u16 part) const {
    std::size_t slot = place_of(before, part);
    while (nodes_[slot].number != 0 && (nodes_[slot].part != part || nodes_[slot].before != before)) {
      slot = (slot + 1) % kSlots;
    }
    return slot;
  }

  u16 new_node() {
    last_ += 1;
    BHVM_CHECK(last_ < kSlots * 3 / 4, "the rows of joined ops need a larger table: kSlotBits, cpu/joined_ops.cpp");
    return last_;
  }

  std::vector<u16> first_;  // the node of a part that some row begins with
  std::vector<Node> nodes_{kSlots};
  std::vector<Handler> joined_{nullptr};
  u16 last_ = 0;
};

/// Made once, never changed, and of nothing but the program itself.
struct Tables {
  Parts parts;
  Rows rows;

  Tables() : rows(fill(parts)) {
    const std::span<const Handler> instead = if_chosen(two_jumps::joined_rows());
    rows.add(integer::joined_rows(), instead);
    if (has_vector_rows()) rows.add(sse::joined_rows(), instead);
  }

 private:
  /// Compiled for hosts with the instructions, also rows of which no op needs them.
  static bool has_vector_rows() {
#if BHVM_SSE_HOSTS
    return sse::has_sse42_host();
#else
    return true;
#endif
  }
  static std::span<const Handler> if_chosen(std::span<const Handler> by_two_jumps) {
    return dispatch() == Dispatch::kByTwoJumps ? by_two_jumps : std::span<const Handler>();
  }
  /// Returns how many numbers there are.
  static std::size_t fill(Parts& parts) {
    const std::span<const Handler> instead = if_chosen(two_jumps::joined_parts());
    parts.add(integer::joined_parts(), instead);
    if (has_vector_rows()) parts.add(sse::joined_parts(), instead);
    return parts.size();
  }
};

}  // namespace

#if !BHVM_TWO_JUMPS
namespace two_jumps {
std::span<const Handler> joined_parts() { return {}; }
std::span<const Handler> joined_rows() { return {}; }
}  // namespace two_jumps
#endif

void join_ops(std::span<Op> ops, std::span<OpKind> kinds) {
  static const Tables tables;
  constexpr std::size_t kMostOps = 256;
  std::array<u16, kMostOps> numbers;
  BHVM_CHECK(ops.size() <= kMostOps, "a block has more ops than any instructions make");
  for (std::size_t i = 0; i < ops.size(); ++i) {
    numbers[i] = ops[i].handler == nullptr ? u16{0} : tables.parts.number_of(ops[i], kinds[i]);
    if (i > 0) tables.rows.prefetch(numbers[i - 1], numbers[i]);
  }
  const std::span parts(numbers.data(), ops.size());
  std::size_t i = 0;
  while (i < ops.size()) {
    if (parts[i] == 0) {
      i += 1;
      continue;
    }
    std::size_t joined = integer::join_stack_run(ops.subspan(i));
    if (joined == 0) {
      const Rows::Joined row = BHVM_JOINS ? tables.rows.longest(parts.subspan(i)) : Rows::Joined{};
      ops[i].handler = row.row != 0 ? tables.rows.handler_of(row.row) : tables.parts.handler_of(parts[i]);
      joined = row.ops;
    }
    for (std::size_t k = 1; k < joined; ++k) ops[i + k].handler = tables.parts.handler_of(parts[i + k]);
    i += joined;
  }
}

}  // namespace bhvm
