// Every x87 instruction against the host's FPU: registers, tags, TOP, condition codes, flags and memory.
#include "cpu/x87/instructions.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <string>

#include "host_x87.h"
#include "samples.h"

#if BHVM_HOST_HAS_X87

namespace bhvm::test {
namespace {

using namespace bhvm::x87;

template <class T>
T get(const HostMemory& memory) {
  T value;
  std::memcpy(&value, memory.data(), sizeof(T));
  return value;
}

struct Context {
  X87State x87;
  HostMemory memory;
  u64 rflags = 0;
};
using Model = std::function<void(Context&)>;

struct Row {
  const char* name;
  std::vector<u8> bytes;
  Model model;
};

// ---- operands as the instructions fetch them ----
Operand f32(const Context& c) { return from_f32(get<u32>(c.memory)); }
Operand f64(const Context& c) { return from_f64(get<u64>(c.memory)); }
Operand i16_operand(const Context& c) { return {from_integer(get<i16>(c.memory))}; }
Operand i32_operand(const Context& c) { return {from_integer(get<i32>(c.memory))}; }

Model stores(StorePlan (*plan)(const X87State&), unsigned size, bool pop) {
  return [=](Context& c) {
    const StorePlan p = plan(c.x87);
    if (p.write) {
      std::memcpy(c.memory.data(), &p.low, size < 8 ? size : 8);
      if (size == 10) std::memcpy(c.memory.data() + 8, &p.high, 2);
    }
    commit_store(c.x87, p, pop);
  };
}
template <unsigned width, bool truncate>
StorePlan plan_integer(const X87State& x87) {
  return plan_store_integer(x87, width, truncate);
}

Model order_flags(unsigned i, bool quiet, bool pop) {
  return [=](Context& c) {
    const Order order = compare_to_flags(c.x87, i, quiet, pop);
    constexpr u64 kByOrder[] = {0, 1, 0x40, 0x45};
    c.rflags = (c.rflags & ~u64{0x8D5}) | kByOrder[static_cast<unsigned>(order)];
  };
}

std::vector<Row> arithmetic_rows() {
  std::vector<Row> rows;
  struct Op {
    const char* name;
    Binary op;
    u8 reg;          // of D8, DA, DC and DE
    u8 destination;  // of DC C0+ and DE C0+: subtract and divide swap with their reverses
  };
  static constexpr Op kOps[] = {{"add", Binary::kAdd, 0, 0},      {"mul", Binary::kMultiply, 1, 1},
                                {"sub", Binary::kSubtract, 4, 5}, {"subr", Binary::kSubtractReverse, 5, 4},
                                {"div", Binary::kDivide, 6, 7},   {"divr", Binary::kDivideReverse, 7, 6}};
  for (const Op& o : kOps) {
    const Binary op = o.op;
    const u8 modrm = static_cast<u8>(o.reg << 3 | 6);
    rows.push_back({o.name, {0xD8, modrm}, [op](Context& c) { binary_memory(c.x87, op, f32(c)); }});
    rows.push_back({o.name, {0xDC, modrm}, [op](Context& c) { binary_memory(c.x87, op, f64(c)); }});
    rows.push_back({o.name, {0xDA, modrm}, [op](Context& c) { binary_memory(c.x87, op, i32_operand(c)); }});
    rows.push_back({o.name, {0xDE, modrm}, [op](Context& c) { binary_memory(c.x87, op, i16_operand(c)); }});
    const u8 by_top = static_cast<u8>(0xC0 | o.reg << 3 | 1);
    const u8 to_other = static_cast<u8>(0xC0 | o.destination << 3 | 2);
    rows.push_back({o.name, {0xD8, by_top}, [op](Context& c) { binary_register(c.x87, op, 0, 1, false); }});
    rows.push_back({o.name, {0xDC, to_other}, [op](Context& c) { binary_register(c.x87, op, 2, 0, false); }});
    rows.push_back({o.name, {0xDE, to_other}, [op](Context& c) { binary_register(c.x87, op, 2, 0, true); }});
  }
  rows.push_back({"fsqrt", {0xD9, 0xFA}, [](Context& c) { unary(c.x87, Unary::kSquareRoot); }});
  rows.push_back({"frndint", {0xD9, 0xFC}, [](Context& c) { unary(c.x87, Unary::kRoundToInteger); }});
  rows.push_back({"fchs", {0xD9, 0xE0}, [](Context& c) { change_sign(c.x87); }});
  rows.push_back({"fabs", {0xD9, 0xE1}, [](Context& c) { absolute_value(c.x87); }});
  rows.push_back({"fscale", {0xD9, 0xFD}, [](Context& c) { scale_instruction(c.x87); }});
  rows.push_back({"fprem", {0xD9, 0xF8}, [](Context& c) { remainder_instruction(c.x87, false); }});
  rows.push_back({"fprem1", {0xD9, 0xF5}, [](Context& c) { remainder_instruction(c.x87, true); }});
  rows.push_back({"fxtract", {0xD9, 0xF4}, [](Context& c) { extract_instruction(c.x87); }});
  return rows;
}

std::vector<Row> compare_rows() {
  return {
      {"fcom m32", {0xD8, 0x16}, [](Context& c) { compare_memory(c.x87, f32(c), 0); }},
      {"fcomp m32", {0xD8, 0x1E}, [](Context& c) { compare_memory(c.x87, f32(c), 1); }},
      {"fcom m64", {0xDC, 0x16}, [](Context& c) { compare_memory(c.x87, f64(c), 0); }},
      {"ficom m32", {0xDA, 0x16}, [](Context& c) { compare_memory(c.x87, i32_operand(c), 0); }},
      {"ficomp m16", {0xDE, 0x1E}, [](Context& c) { compare_memory(c.x87, i16_operand(c), 1); }},
      {"fcom st1", {0xD8, 0xD1}, [](Context& c) { compare_register(c.x87, 1, false, 0); }},
      {"fcomp st1", {0xD8, 0xD9}, [](Context& c) { compare_register(c.x87, 1, false, 1); }},
      {"fcompp", {0xDE, 0xD9}, [](Context& c) { compare_register(c.x87, 1, false, 2); }},
      {"fucom st1", {0xDD, 0xE1}, [](Context& c) { compare_register(c.x87, 1, true, 0); }},
      {"fucomp st1", {0xDD, 0xE9}, [](Context& c) { compare_register(c.x87, 1, true, 1); }},
      {"fucompp", {0xDA, 0xE9}, [](Context& c) { compare_register(c.x87, 1, true, 2); }},
      {"ftst", {0xD9, 0xE4}, [](Context& c) { bhvm::x87::test(c.x87); }},
      {"fxam", {0xD9, 0xE5}, [](Context& c) { examine(c.x87); }},
      {"fcomi", {0xDB, 0xF1}, order_flags(1, false, false)},
      {"fcomip", {0xDF, 0xF1}, order_flags(1, false, true)},
      {"fucomi", {0xDB, 0xE9}, order_flags(1, true, false)},
      {"fucomip", {0xDF, 0xE9}, order_flags(1, true, true)},
  };
}

std::vector<Row> transfer_rows() {
  std::vector<Row> rows = {
      {"fld m32", {0xD9, 0x06}, [](Context& c) { load(c.x87, f32(c), true); }},
      {"fld m64", {0xDD, 0x06}, [](Context& c) { load(c.x87, f64(c), true); }},
      {"fld m80",
       {0xDB, 0x2E},
       [](Context& c) {
         u16 high;
         std::memcpy(&high, c.memory.data() + 8, 2);
         load(c.x87, {{get<u64>(c.memory), high}}, false);
       }},
      {"fild m16", {0xDF, 0x06}, [](Context& c) { load(c.x87, i16_operand(c), false); }},
      {"fild m32", {0xDB, 0x06}, [](Context& c) { load(c.x87, i32_operand(c), false); }},
      {"fild m64", {0xDF, 0x2E}, [](Context& c) { load(c.x87, {from_integer(get<i64>(c.memory))}, false); }},
      {"fbld",
       {0xDF, 0x26},
       [](Context& c) {
         u16 high;
         std::memcpy(&high, c.memory.data() + 8, 2);
         load(c.x87, {from_bcd({get<u64>(c.memory), high})}, false);
       }},
      {"fld st3", {0xD9, 0xC3}, [](Context& c) { load_register(c.x87, 3); }},
      {"fst m32", {0xD9, 0x16}, stores(plan_store_f32, 4, false)},
      {"fstp m32", {0xD9, 0x1E}, stores(plan_store_f32, 4, true)},
      {"fst m64", {0xDD, 0x16}, stores(plan_store_f64, 8, false)},
      {"fstp m64", {0xDD, 0x1E}, stores(plan_store_f64, 8, true)},
      {"fstp m80", {0xDB, 0x3E}, stores(plan_store_f80, 10, true)},
      {"fist m16", {0xDF, 0x16}, stores(plan_integer<16, false>, 2, false)},
      {"fistp m16", {0xDF, 0x1E}, stores(plan_integer<16, false>, 2, true)},
      {"fist m32", {0xDB, 0x16}, stores(plan_integer<32, false>, 4, false)},
      {"fistp m64", {0xDF, 0x3E}, stores(plan_integer<64, false>, 8, true)},
      {"fisttp m16", {0xDF, 0x0E}, stores(plan_integer<16, true>, 2, true)},
      {"fisttp m32", {0xDB, 0x0E}, stores(plan_integer<32, true>, 4, true)},
      {"fisttp m64", {0xDD, 0x0E}, stores(plan_integer<64, true>, 8, true)},
      {"fbstp", {0xDF, 0x36}, stores(plan_store_bcd, 10, true)},
      {"fst st2", {0xDD, 0xD2}, [](Context& c) { store_register(c.x87, 2, false); }},
      {"fstp st2", {0xDD, 0xDA}, [](Context& c) { store_register(c.x87, 2, true); }},
      {"fxch st2", {0xD9, 0xCA}, [](Context& c) { exchange(c.x87, 2); }},
      {"fcmovb", {0xDA, 0xC1}, [](Context& c) { conditional_move(c.x87, 1, (c.rflags & 1) != 0); }},
      {"fcmovnu", {0xDB, 0xD9}, [](Context& c) { conditional_move(c.x87, 1, (c.rflags & 4) == 0); }},
  };
  for (u8 i = 0; i < 7; ++i) {
    rows.push_back({"fld constant", {0xD9, static_cast<u8>(0xE8 + i)}, [i](Context& c) {
                      load_constant(c.x87, static_cast<Constant>(i));
                    }});
  }
  return rows;
}

/// Undocumented encodings of instructions that have another one.
std::vector<Row> alias_rows() {
  return {
      {"fstpnce", {0xD9, 0xDA}, [](Context& c) { store_register_quietly(c.x87, 2); }},
      {"fcom2", {0xDC, 0xD1}, [](Context& c) { compare_register(c.x87, 1, false, 0); }},
      {"fcomp3", {0xDC, 0xD9}, [](Context& c) { compare_register(c.x87, 1, false, 1); }},
      {"fcomp5", {0xDE, 0xD1}, [](Context& c) { compare_register(c.x87, 1, false, 1); }},
      {"fxch4", {0xDD, 0xCA}, [](Context& c) { exchange(c.x87, 2); }},
      {"fxch7", {0xDF, 0xCA}, [](Context& c) { exchange(c.x87, 2); }},
      {"fstp8", {0xDF, 0xD2}, [](Context& c) { store_register(c.x87, 2, true); }},
      {"fstp9", {0xDF, 0xDA}, [](Context& c) { store_register(c.x87, 2, true); }},
      {"fneni", {0xDB, 0xE0}, [](Context&) {}},
      {"fndisi", {0xDB, 0xE1}, [](Context&) {}},
      {"fnsetpm", {0xDB, 0xE4}, [](Context&) {}},
      {"fnop", {0xD9, 0xD0}, [](Context&) {}},
  };
}

std::vector<Row> control_rows() {
  return {
      {"fnclex", {0xDB, 0xE2}, [](Context& c) { clear_exceptions(c.x87); }},
      {"fldcw", {0xD9, 0x2E}, [](Context& c) { load_control_word(c.x87, get<u16>(c.memory)); }},
      {"fincstp", {0xD9, 0xF7}, [](Context& c) { rotate_stack(c.x87, 1); }},
      {"fdecstp", {0xD9, 0xF6}, [](Context& c) { rotate_stack(c.x87, -1); }},
      {"ffree", {0xDD, 0xC3}, [](Context& c) { free_register(c.x87, 3, false); }},
      {"ffreep", {0xDF, 0xC3}, [](Context& c) { free_register(c.x87, 3, true); }},
      {"fninit", {0xDB, 0xE3}, [](Context& c) { initialize(c.x87); }},
      {"emms", {0x0F, 0x77}, [](Context& c) { empty_mmx_state(c.x87); }},
  };
}

std::string describe(const X87State& x87, const HostMemory& memory) {
  char text[512];
  int n =
      std::snprintf(text, sizeof text, "cw=%04x sw=%04x valid=%02x", x87.control_word, x87.status_word, x87.valid_mask);
  for (unsigned i = 0; i < 4; ++i) {
    n += std::snprintf(text + n, sizeof text - n, " st%u=%04x:%016llx", i, x87.st(i).sign_exponent,
                       static_cast<unsigned long long>(x87.st(i).significand));
  }
  u16 high;
  std::memcpy(&high, memory.data() + 8, 2);
  std::snprintf(text + n, sizeof text - n, " mem=%04x:%016llx", high,
                static_cast<unsigned long long>(get<u64>(memory)));
  return text;
}

bool same(const X87State& a, const X87State& b) {
  return a.control_word == b.control_word && a.status_word == b.status_word && a.valid_mask == b.valid_mask &&
         a.regs == b.regs;
}

/// Runs one case both ways; false after reporting a difference.
bool agree(const Row& row, HostX87& host, const Context& before) {
  Context model = before;
  row.model(model);
  Context reference = before;
  reference.rflags = host.run(reference.x87, reference.memory, before.rflags).rflags;
  const u64 flags_mask = 0x8D5;
  if (same(model.x87, reference.x87) && model.memory == reference.memory &&
      ((model.rflags ^ reference.rflags) & flags_mask) == 0) {
    return true;
  }
  ADD_FAILURE() << row.name << "\n  before " << describe(before.x87, before.memory) << "\n  bhvm   "
                << describe(model.x87, model.memory) << "\n  host   " << describe(reference.x87, reference.memory);
  return false;
}

void check_rows(const std::vector<Row>& rows, unsigned cases) {
  for (const Row& row : rows) {
    HostX87 host(row.bytes);
    RandomStream random(1, 0, row.name);
    int failures = 0;
    for (unsigned i = 0; i < cases && failures < 3; ++i) {
      constexpr u16 kAllMasked = x87_control::kMasks;
      const u16 masks = random.below(3) != 0 ? kAllMasked : static_cast<u16>(random.next() & kAllMasked);
      Context before;
      before.x87 = random_state(random, masks);
      before.memory = random_memory(random);
      before.rflags = 0x202 | (random.next() & 0x8D5);
      failures += agree(row, host, before) ? 0 : 1;
    }
  }
}

constexpr unsigned kCases = 20000;

TEST(X87Instructions, ArithmeticAgreesWithTheHost) {
  BHVM_NEEDS_REFERENCE_X87();
  check_rows(arithmetic_rows(), kCases);
}
TEST(X87Instructions, ComparisonsAgreeWithTheHost) {
  BHVM_NEEDS_REFERENCE_X87();
  check_rows(compare_rows(), kCases);
}
TEST(X87Instructions, TransfersAgreeWithTheHost) {
  BHVM_NEEDS_REFERENCE_X87();
  check_rows(transfer_rows(), kCases);
}
TEST(X87Instructions, ControlAgreesWithTheHost) {
  BHVM_NEEDS_REFERENCE_X87();
  check_rows(control_rows(), kCases);
}

TEST(X87Instructions, AliasesAgreeWithTheHost) {
  BHVM_NEEDS_REFERENCE_X87();
  check_rows(alias_rows(), kCases);
}

/// Boundary x boundary for what takes two registers, with every rounding and precision.
TEST(X87Instructions, BoundaryPairsAgreeWithTheHost) {
  BHVM_NEEDS_REFERENCE_X87();
  const std::vector<Row> rows = {
      {"fadd", {0xD8, 0xC1}, [](Context& c) { binary_register(c.x87, Binary::kAdd, 0, 1, false); }},
      {"fsub", {0xD8, 0xE1}, [](Context& c) { binary_register(c.x87, Binary::kSubtract, 0, 1, false); }},
      {"fmul", {0xD8, 0xC9}, [](Context& c) { binary_register(c.x87, Binary::kMultiply, 0, 1, false); }},
      {"fdiv", {0xD8, 0xF1}, [](Context& c) { binary_register(c.x87, Binary::kDivide, 0, 1, false); }},
      {"fprem", {0xD9, 0xF8}, [](Context& c) { remainder_instruction(c.x87, false); }},
      {"fprem1", {0xD9, 0xF5}, [](Context& c) { remainder_instruction(c.x87, true); }},
      {"fscale", {0xD9, 0xFD}, [](Context& c) { scale_instruction(c.x87); }},
      {"fcomi", {0xDB, 0xF1}, order_flags(1, false, false)},
  };
  const auto& values = boundary_values();
  for (const Row& row : rows) {
    HostX87 host(row.bytes);
    int failures = 0;
    unsigned turn = 0;
    for (const Float80& a : values) {
      for (const Float80& b : values) {
        if (failures >= 3) break;
        Context before{};
        before.rflags = 0x202;
        before.x87.valid_mask = 0xFF;
        before.x87.st(0) = a;
        before.x87.st(1) = b;
        before.x87.control_word = static_cast<u16>(0x7F | (turn++ & 15) << 8);
        failures += agree(row, host, before) ? 0 : 1;
      }
    }
  }
}

}  // namespace
}  // namespace bhvm::test

#endif
