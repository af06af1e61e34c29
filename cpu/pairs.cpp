#include "cpu/pairs.h"

#include <utility>
#include <vector>

namespace bhvm {
namespace {

std::uintptr_t number(Handler handler) { return reinterpret_cast<std::uintptr_t>(handler); }

/// The rows that begin with the same two handlers.
struct Group {
  Handler first = nullptr, second = nullptr;
  Handler pair = nullptr;                           // both of them joined, if there is such a row
  std::vector<std::pair<Handler, Handler>> threes;  // by the third: the three joined
};

/// All rows, found by a hash of the first two handlers. Made once, never changed, and of nothing but the program
/// itself.
class Rows {
 public:
  Rows() {
    add(integer::joined_rows());
    add(sse::any_host::joined_rows());
#if BHVM_SSE_HOSTS
    add(sse::sse42_host::joined_rows());
#endif
  }

  /// nullptr when there is none.
  const Group* find(Handler first, Handler second) const {
    const Group& group = groups_[slot_of(first, second)];
    return group.first == nullptr ? nullptr : &group;
  }

 private:
  static constexpr std::size_t kSlots = 4096;  // several times the number of rows

  /// The slot of these two, or the free one where they belong.
  std::size_t slot_of(Handler first, Handler second) const {
    std::size_t slot = (number(first) * 0x9E3779B97F4A7C15 ^ number(second) * 0xC2B2AE3D27D4EB4F) >> 52;
    while (groups_[slot].first != nullptr && (groups_[slot].first != first || groups_[slot].second != second)) {
      slot = (slot + 1) % kSlots;
    }
    return slot;
  }
  void add(const JoinedRows& rows) {
    for (const JoinedPair& row : rows.pairs) group(row.first, row.second).pair = row.joined;
    for (const JoinedThree& row : rows.threes) group(row.first, row.second).threes.emplace_back(row.third, row.joined);
  }
  Group& group(Handler first, Handler second) {
    Group& group = groups_[slot_of(first, second)];
    group.first = first;
    group.second = second;
    return group;
  }

  std::vector<Group> groups_{kSlots};
};

/// The joined handler of the ops at the front, and how many they are.
struct Joined {
  Handler handler = nullptr;
  std::size_t ops = 1;
};
Joined join_front(const Rows& rows, std::span<const Op> ops) {
  const Group* group = rows.find(ops[0].handler, ops[1].handler);
  if (group == nullptr) return {};
  if (ops.size() > 2) {
    for (const auto& [third, joined] : group->threes) {
      if (third == ops[2].handler) return {joined, 3};
    }
  }
  return group->pair == nullptr ? Joined{} : Joined{group->pair, 2};
}

}  // namespace

void join_ops(std::span<Op> ops) {
  static const Rows rows;
  std::size_t i = 0;
  while (i + 1 < ops.size()) {
    if (const std::size_t run = integer::join_stack_run(ops.subspan(i))) {
      i += run;
      continue;
    }
    const Joined joined = join_front(rows, ops.subspan(i));
    if (joined.handler != nullptr) ops[i].handler = joined.handler;
    i += joined.ops;
  }
}

}  // namespace bhvm
