#include "cpu/integer/pairs.h"

#include <boost/unordered/unordered_flat_map.hpp>

namespace bhvm::integer {
namespace {

struct Key {
  Handler first, second, third;  // third: nullptr of a pair
  bool operator==(const Key&) const = default;
};
std::size_t hash_value(const Key& key) {
  const auto bits = [](Handler handler) { return static_cast<u64>(reinterpret_cast<std::uintptr_t>(handler)); };
  const u64 sum = bits(key.first) + 3 * bits(key.second) + 7 * bits(key.third);
  return static_cast<std::size_t>(sum * 0x9E3779B97F4A7C15);
}

/// Made once, never changed, and of nothing but the program itself.
class JoinTable {
 public:
  JoinTable() {
    for (const JoinedPair& row : joined_pairs()) rows_.emplace(Key{row.first, row.second, nullptr}, row.joined);
    for (const JoinedThree& row : joined_threes()) rows_.emplace(Key{row.first, row.second, row.third}, row.joined);
  }
  Handler find(const Key& key) const {
    const auto row = rows_.find(key);
    return row == rows_.end() ? nullptr : row->second;
  }

 private:
  boost::unordered_flat_map<Key, Handler> rows_;
};

}  // namespace

void join_ops(std::span<Op> ops) {
  static const JoinTable table;
  std::size_t i = 0;
  while (i + 1 < ops.size()) {
    if (const std::size_t joined = join_stack_run(ops.subspan(i))) {
      i += joined;
      continue;
    }
    if (i + 2 < ops.size()) {
      if (const Handler joined = table.find({ops[i].handler, ops[i + 1].handler, ops[i + 2].handler})) {
        ops[i].handler = joined;
        i += 3;
        continue;
      }
    }
    if (const Handler joined = table.find({ops[i].handler, ops[i + 1].handler, nullptr})) {
      ops[i].handler = joined;
      i += 2;
    } else {
      i += 1;
    }
  }
}

}  // namespace bhvm::integer
