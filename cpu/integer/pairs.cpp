#include "cpu/integer/pairs.h"

#include <algorithm>
#include <tuple>
#include <vector>

namespace bhvm::integer {
namespace {

struct Row {
  std::uintptr_t first, second, third;  // third: 0 of a pair
  Handler joined;
  auto key() const { return std::tie(first, second, third); }
};
std::uintptr_t number(Handler handler) { return reinterpret_cast<std::uintptr_t>(handler); }

/// All rows in order. Made once, never changed, and of nothing but the program itself.
std::vector<Row> sorted_rows() {
  std::vector<Row> rows;
  for (const JoinedPair& row : joined_pairs()) rows.push_back({number(row.first), number(row.second), 0, row.joined});
  for (const JoinedThree& row : joined_threes()) {
    rows.push_back({number(row.first), number(row.second), number(row.third), row.joined});
  }
  std::ranges::sort(rows, {}, &Row::key);
  return rows;
}

/// The joined handler of the ops at the front, and how many they are.
struct Joined {
  Handler handler = nullptr;
  std::size_t ops = 1;
};
Joined join_front(const std::vector<Row>& rows, std::span<const Op> ops) {
  const std::uintptr_t first = number(ops[0].handler);
  const std::uintptr_t second = number(ops[1].handler);
  const std::uintptr_t third = ops.size() > 2 ? number(ops[2].handler) : 0;
  const auto pair = std::ranges::lower_bound(rows, std::tie(first, second), {},
                                             [](const Row& row) { return std::tie(row.first, row.second); });
  Joined joined;
  for (auto row = pair; row != rows.end() && row->first == first && row->second == second; ++row) {
    if (row->third == 0) joined = {row->joined, 2};
    if (row->third == third && third != 0) return {row->joined, 3};
  }
  return joined;
}

}  // namespace

void join_ops(std::span<Op> ops) {
  static const std::vector<Row> rows = sorted_rows();
  std::size_t i = 0;
  while (i + 1 < ops.size()) {
    if (const std::size_t run = join_stack_run(ops.subspan(i))) {
      i += run;
      continue;
    }
    const Joined joined = join_front(rows, ops.subspan(i));
    if (joined.handler != nullptr) ops[i].handler = joined.handler;
    i += joined.ops;
  }
}

}  // namespace bhvm::integer
