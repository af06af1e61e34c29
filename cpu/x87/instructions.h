// What each x87 instruction does to the FPU's state (SDM 2, by mnemonic; SDM 1, 8.3 and 8.5).
//
// Functions of an X87State and operands: values, tags, TOP, condition codes, exception flags, masked and unmasked
// responses. They know no memory: a store is planned (what would be written, which flags it raises), written by the
// caller and then committed, so that a fault in between leaves the state untouched. The caller has raised #MF for a
// pending exception already, and keeps the instruction and data pointers (cpu/x87/pointers.h).
#pragma once

#include "cpu/x87/arithmetic.h"
#include "cpu/x87/conversions.h"
#include "cpu/x87/x87_state.h"

namespace bhvm::x87 {

// ---- arithmetic (instructions_arithmetic.cpp) ----

/// In the order of the opcodes' reg field, without the comparisons: `Reverse` computes source op destination.
enum class Binary : u8 { kAdd, kMultiply, kSubtract, kSubtractReverse, kDivide, kDivideReverse };
/// ST(0) = ST(0) op a memory operand.
void binary_memory(X87State& x87, Binary op, const Operand& source);
/// ST(destination) = ST(destination) op ST(source), then pops if `pop`.
void binary_register(X87State& x87, Binary op, unsigned destination, unsigned source, bool pop);

enum class Unary : u8 { kSquareRoot, kRoundToInteger, kSine, kCosine, kPowerMinusOne };
/// ST(0) = op ST(0). FSIN and FCOS set or clear C2.
void unary(X87State& x87, Unary op);
void change_sign(X87State& x87);
void absolute_value(X87State& x87);

void scale_instruction(X87State& x87);                    // FSCALE
void remainder_instruction(X87State& x87, bool nearest);  // FPREM, FPREM1
void extract_instruction(X87State& x87);                  // FXTRACT
void sine_and_cosine(X87State& x87);                      // FSINCOS
void partial_tangent(X87State& x87);                      // FPTAN
enum class TwoOperand : u8 { kArctangent, kLogarithm, kLogarithmPlusOne };
void two_operand(X87State& x87, TwoOperand op);  // FPATAN, FYL2X, FYL2XP1: ST(1) = op, pop

// ---- comparison (instructions_compare.cpp) ----

/// FCOM, FUCOM and kin against a memory operand or a register: C3, C2, C0.
void compare_memory(X87State& x87, const Operand& source, unsigned pops);
void compare_register(X87State& x87, unsigned source, bool quiet, unsigned pops);
void test(X87State& x87);     // FTST
void examine(X87State& x87);  // FXAM
/// FCOMI and kin. The order to put into ZF, PF and CF, even when an unmasked exception is now pending.
Order compare_to_flags(X87State& x87, unsigned source, bool quiet, bool pop);

// ---- transfers (instructions_transfer.cpp) ----

/// FLD m32/m64 and FILD, FBLD, FLD m80 (whose operands are never denormal nor checked: `checked` false).
void load(X87State& x87, const Operand& operand, bool checked);
void load_register(X87State& x87, unsigned source);
enum class Constant : u8 { kOne, kLog2Of10, kLog2OfE, kPi, kLog10Of2, kLnOf2, kZero };  // FLD1 to FLDZ by opcode
void load_constant(X87State& x87, Constant constant);
void store_register(X87State& x87, unsigned destination, bool pop);  // FST, FSTP ST(i)
void store_register_quietly(X87State& x87, unsigned destination);    // FSTPNCE: an empty ST(0) is just popped
void exchange(X87State& x87, unsigned other);
void conditional_move(X87State& x87, unsigned source, bool condition);

/// A store to memory, decided but not yet made.
struct StorePlan {
  bool write = false;  // false: an unmasked exception keeps memory and stack as they are
  u64 low = 0;         // bytes 0 to 7 of what to write
  u16 high = 0;        // bytes 8 and 9 of the 80-bit formats
  u16 flags = 0;       // for the status word: exceptions, SF
  bool rounded_up = false;
};
StorePlan plan_store_f32(const X87State& x87);
StorePlan plan_store_f64(const X87State& x87);
StorePlan plan_store_f80(const X87State& x87);
StorePlan plan_store_integer(const X87State& x87, unsigned width, bool truncate);
StorePlan plan_store_bcd(const X87State& x87);
void commit_store(X87State& x87, const StorePlan& plan, bool pop);

// ---- control (instructions_control.cpp) ----

void initialize(X87State& x87);        // FNINIT
void clear_exceptions(X87State& x87);  // FNCLEX
void empty_mmx_state(X87State& x87);   // EMMS
void load_control_word(X87State& x87, u16 value);
void rotate_stack(X87State& x87, int by);                 // FINCSTP +1, FDECSTP -1
void free_register(X87State& x87, unsigned i, bool pop);  // FFREE, FFREEP

}  // namespace bhvm::x87
