#include "cpu/joined_ops.h"

#include <algorithm>
#include <array>
#include <vector>

#include "base/check.h"
#include "cpu/block_builder.h"
#include "cpu/cpu.h"
#include "cpu/sse/translate.h"

namespace bhvm {
namespace {

/// The parts, found by a hash of the handler that translators give them.
class Parts {
 public:
  struct Part {
    Handler handler = nullptr;  // alone
    OpKind kind = OpKind::kOp;
    bool any_imm = false;  // takes_any_imm()
    u8 runs = 0;           // its number of those that have runs; 0: it has none
  };

  void add(std::span<const JoinedPart> parts) {
    u16 number_of_run = static_cast<u16>(parts_.size());
    for (const JoinedPart& part : parts) {
      const u16 number = static_cast<u16>(parts_.size());
      BHVM_CHECK(number < kSlots / 2, "the parts of joined ops need a larger table: kSlotBits, cpu/joined_ops.cpp");
      if (part.translated != nullptr) slots_[slot_of(part.translated)] = {part.translated, number};
      parts_.push_back(
          {.handler = part.handler, .kind = part.kind, .any_imm = takes_any_imm(part.kind, part.imm_size)});
      in_row_.push_back({part.in_row, part.slow_in_row});
    }
    for (const JoinedPart& part : parts) {
      if (part.ops > 1) add_run(part, number_of_run);
      number_of_run += 1;
    }
  }

  /// The number of the part that has this handler; 0 when none has.
  u16 number_of(Handler translated) const { return slots_[slot_of(translated)].number; }
  /// The number of the part that is a run of so many of this one, which has runs; 0 when none is.
  u16 number_of_run(const Part& of_each, std::size_t ops) const { return runs_[of_each.runs][ops]; }
  const Part& operator[](u16 number) const { return parts_[number]; }
  std::size_t size() const { return parts_.size(); }

  /// Handlers that do a row op by op.
  struct InRow {
    Handler handler = nullptr, slow = nullptr;
  };
  const InRow& in_row(u16 number) const { return in_row_[number]; }

 private:
  struct Slot {
    Handler translated = nullptr;
    u16 number = 0;
  };
  static constexpr unsigned kSlotBits = 12;
  static constexpr std::size_t kSlots = std::size_t{1} << kSlotBits;

  void add_run(const JoinedPart& part, u16 number) {
    u8& runs = parts_[part.of_each].runs;
    if (runs == 0) {
      runs = static_cast<u8>(runs_.size());
      runs_.emplace_back();
    }
    runs_[runs][part.ops] = number;
  }

  /// The slot of this one, or the free one where it belongs.
  std::size_t slot_of(Handler handler) const {
    std::size_t slot = (reinterpret_cast<std::uintptr_t>(handler) * 0x9E3779B97F4A7C15) >> (64 - kSlotBits);
    while (slots_[slot].number != 0 && slots_[slot].translated != handler) slot = (slot + 1) % kSlots;
    return slot;
  }

  std::vector<Slot> slots_{kSlots};
  std::vector<Part> parts_{1};
  std::vector<InRow> in_row_{1};
  std::vector<std::array<u16, integer::kLongestStackRun + 1>> runs_{1};  // by how many ops they are
};

/// The rows as a tree: a node for each run of parts that some row begins with. Nodes behind the first part are found by
/// a hash of the node before and the part.
class Rows {
 public:
  explicit Rows(std::size_t parts) : first_(parts) {}

  void add(std::span<const JoinedRow> rows) {
    for (const JoinedRow& row : rows) {
      u16 node = first_[row.parts[0]];
      if (node == 0) node = first_[row.parts[0]] = new_node();
      for (std::size_t i = 1; i < row.count; ++i) {
        Node& next = nodes_[slot_of(node, row.parts[i])];
        if (next.number == 0) next = {.before = node, .part = row.parts[i], .number = new_node()};
        node = next.number;
        if (i + 1 == row.count) {
          next.row = static_cast<u16>(joined_.size());
          joined_.push_back(row.joined);
        }
      }
    }
  }

  struct Joined {
    u16 row = 0;
    std::size_t parts = 1;
  };
  /// The longest row that these parts, not none, begin with.
  Joined longest(std::span<const u16> parts) const {
    u16 row = 0;
    std::size_t length = 1;
    u16 node = first_[parts[0]];
    for (std::size_t i = 1; node != 0 && i < parts.size() && i < kMostJoined; ++i) {
      const Node& next = nodes_[slot_of(node, parts[i])];
      if (next.row != 0) {
        row = next.row;
        length = i + 1;
      }
      node = next.number;
    }
    return {row, length};
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
  static constexpr unsigned kSlotBits = 15;
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
    rows.add(integer::joined_rows());
    if (has_vector_rows()) rows.add(sse::joined_rows());
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
  /// Returns how many numbers there are.
  static std::size_t fill(Parts& parts) {
    parts.add(integer::joined_parts());
    if (has_vector_rows()) parts.add(sse::joined_parts());
    return parts.size();
  }
};

const Tables& tables() {
  static const Tables tables;
  return tables;
}

/// What a block's ops are as parts.
struct Units {
  std::array<u16, BlockBuilder::kMostOps> numbers;     // 0: of no part
  std::array<u16, BlockBuilder::kMostOps + 1> begins;  // the first op of each, and what is behind the last one
  std::size_t count = 0;
};

/// Says of each op which kind it is, too.
void find_units(std::span<const Op> ops, std::span<const OpNotes> notes, std::span<OpKind> kinds, Units& units) {
  const Parts& parts = tables().parts;
  const Rows& rows = tables().rows;
  for (std::size_t i = 0; i < ops.size();) {
    u16 number = notes[i].part;
    if (number == OpNotes::kUnknownPart) number = notes[i].data ? u16{0} : parts.number_of(ops[i].handler);
    const Parts::Part* part = &parts[number];
    if (!fits(ops[i], part->kind, part->any_imm)) part = &parts[number = 0];
    units.begins[units.count] = static_cast<u16>(i);
    kinds[i] = part->kind;
    i += 1;
    if (part->runs != 0 && BHVM_JOINS) {
      const std::size_t length = integer::stack_run(ops.subspan(i - 1));
      if (const u16 run = parts.number_of_run(*part, length)) {
        number = run;
        for (std::size_t k = 1; k < length; ++k, ++i) kinds[i] = part->kind;
      }
    }
    units.numbers[units.count] = number;
    if (units.count > 0) rows.prefetch(units.numbers[units.count - 1], number);
    units.count += 1;
  }
  units.begins[units.count] = static_cast<u16>(ops.size());
}

}  // namespace

BHVM_HANDLER(go_slowly_in_row) { BHVM_BECOME(tables().parts.in_row(*cpu.rest_of_row).slow); }
BHVM_HANDLER(go_on_in_row) {
  cpu.rest_of_row += 1;
  const u16 number = cpu.rest_of_row[0];
  const Parts& parts = tables().parts;
  BHVM_BECOME((cpu.rest_of_row[1] == 0 ? parts[number].handler : parts.in_row(number).handler));
}

u16 part_of(Handler translated) { return tables().parts.number_of(translated); }

void join_ops(std::span<Op> ops, std::span<const OpNotes> notes, std::span<OpKind> kinds) {
  const Parts& parts = tables().parts;
  const Rows& rows = tables().rows;
  BHVM_CHECK(ops.size() <= BlockBuilder::kMostOps, "more ops are to be joined than a block has");
  Units units;
  find_units(ops, notes, kinds, units);
  const std::span<const u16> numbers = std::span(units.numbers).first(units.count);
  for (std::size_t unit = 0; unit < units.count;) {
    std::size_t op = units.begins[unit];
    Rows::Joined row;
    if (numbers[unit] != 0) {
      if (BHVM_JOINS) row = rows.longest(numbers.subspan(unit));
      ops[op].handler = row.row != 0 ? rows.handler_of(row.row) : parts[numbers[unit]].handler;
    }
    unit += row.parts;
    for (op += 1; op < units.begins[unit]; ++op) ops[op].handler = nullptr;
  }
}

}  // namespace bhvm
