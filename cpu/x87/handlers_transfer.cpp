// Loads, stores and moves between registers.
#include <cstring>

#include "cpu/integer/conditions.h"
#include "cpu/x87/instructions.h"
#include "cpu/x87/operations.h"

namespace bhvm::x87 {
namespace {

/// The 80-bit memory formats: one access, so that both pages are checked before a byte is written.
struct TenBytes {
  std::array<u8, 10> bytes;

  u64 low() const {
    u64 value;
    std::memcpy(&value, bytes.data(), sizeof value);
    return value;
  }
  u16 high() const {
    u16 value;
    std::memcpy(&value, bytes.data() + 8, sizeof value);
    return value;
  }
};
static_assert(sizeof(TenBytes) == 10);

template <class T>
T memory_value(const StorePlan& plan) {
  if constexpr (std::is_same_v<T, TenBytes>) {
    TenBytes value;
    std::memcpy(value.bytes.data(), &plan.low, 8);
    std::memcpy(value.bytes.data() + 8, &plan.high, 2);
    return value;
  } else {
    return static_cast<T>(plan.low);
  }
}

/// Memory first: a fault leaves the FPU as it was.
template <class T>
bool carry_out(Cpu& cpu, const Operands& operands, const StorePlan& plan) {
  if (plan.write && !bhvm::store(cpu, operands.linear, memory_value<T>(plan))) return false;
  commit_store(cpu.s.x87, plan, (operands.variant() & kStorePop) != 0);
  return true;
}

template <class T>
bool store_integer(Cpu& cpu, const Operands& operands) {
  const bool truncate = (operands.variant() & kStoreTruncate) != 0;
  return carry_out<T>(cpu, operands, plan_store_integer(cpu.s.x87, 8 * sizeof(T), truncate));
}

template <class T>
bool load_integer(Cpu& cpu, const Operands& operands) {
  T value;
  if (!bhvm::load(cpu, operands.linear, value)) return false;
  load(cpu.s.x87, {from_integer(static_cast<std::make_signed_t<T>>(value))}, false);
  return true;
}

bool condition_holds(const LazyFlags& flags, Condition condition) {
  switch (condition) {
    case Condition::kB:
      return holds<Condition::kB>(flags);
    case Condition::kAe:
      return holds<Condition::kAe>(flags);
    case Condition::kE:
      return holds<Condition::kE>(flags);
    case Condition::kNe:
      return holds<Condition::kNe>(flags);
    case Condition::kBe:
      return holds<Condition::kBe>(flags);
    case Condition::kA:
      return holds<Condition::kA>(flags);
    case Condition::kP:
      return holds<Condition::kP>(flags);
    default:
      return holds<Condition::kNp>(flags);
  }
}

}  // namespace

bool load_f32(Cpu& cpu, const Operands& operands) {
  u32 value;
  if (!bhvm::load(cpu, operands.linear, value)) return false;
  load(cpu.s.x87, from_f32(value), true);
  return true;
}
bool load_f64(Cpu& cpu, const Operands& operands) {
  u64 value;
  if (!bhvm::load(cpu, operands.linear, value)) return false;
  load(cpu.s.x87, from_f64(value), true);
  return true;
}
bool load_f80(Cpu& cpu, const Operands& operands) {
  TenBytes value;
  if (!bhvm::load(cpu, operands.linear, value)) return false;
  load(cpu.s.x87, {{value.low(), value.high()}}, false);
  return true;
}
bool load_i16(Cpu& cpu, const Operands& operands) { return load_integer<u16>(cpu, operands); }
bool load_i32(Cpu& cpu, const Operands& operands) { return load_integer<u32>(cpu, operands); }
bool load_i64(Cpu& cpu, const Operands& operands) { return load_integer<u64>(cpu, operands); }
bool load_bcd(Cpu& cpu, const Operands& operands) {
  TenBytes value;
  if (!bhvm::load(cpu, operands.linear, value)) return false;
  load(cpu.s.x87, {from_bcd({value.low(), value.high()})}, false);
  return true;
}

bool store_f32(Cpu& cpu, const Operands& operands) { return carry_out<u32>(cpu, operands, plan_store_f32(cpu.s.x87)); }
bool store_f64(Cpu& cpu, const Operands& operands) { return carry_out<u64>(cpu, operands, plan_store_f64(cpu.s.x87)); }
bool store_f80(Cpu& cpu, const Operands& operands) {
  return carry_out<TenBytes>(cpu, operands, plan_store_f80(cpu.s.x87));
}
bool store_i16(Cpu& cpu, const Operands& operands) { return store_integer<u16>(cpu, operands); }
bool store_i32(Cpu& cpu, const Operands& operands) { return store_integer<u32>(cpu, operands); }
bool store_i64(Cpu& cpu, const Operands& operands) { return store_integer<u64>(cpu, operands); }
bool store_bcd(Cpu& cpu, const Operands& operands) {
  return carry_out<TenBytes>(cpu, operands, plan_store_bcd(cpu.s.x87));
}

bool load_st(Cpu& cpu, const Operands& operands) {
  load_register(cpu.s.x87, operands.i());
  return true;
}
bool store_st(Cpu& cpu, const Operands& operands) {
  store_register(cpu.s.x87, operands.i(), (operands.variant() & kStorePop) != 0);
  return true;
}
bool store_st_quietly(Cpu& cpu, const Operands& operands) {
  store_register_quietly(cpu.s.x87, operands.i());
  return true;
}
bool exchange_st(Cpu& cpu, const Operands& operands) {
  exchange(cpu.s.x87, operands.i());
  return true;
}
bool load_constant_op(Cpu& cpu, const Operands& operands) {
  load_constant(cpu.s.x87, static_cast<Constant>(operands.variant()));
  return true;
}
bool move_if(Cpu& cpu, const Operands& operands) {
  const bool condition = condition_holds(cpu.flags, static_cast<Condition>(operands.variant()));
  conditional_move(cpu.s.x87, operands.i(), condition);
  return true;
}

}  // namespace bhvm::x87
