// What the tables of joined vector ops are made of (cpu/pairs.h).
//
// The tables are built twice, the second time for hosts that have the instructions and with other flags, and only a row
// with a vector operation among its ops differs then. What both builds would instantiate alike is instantiated in the
// first one, in cpu/sse/pair_rows.cpp: BHVM_SHARED.
#pragma once

#include "cpu/integer/jump_handlers.h"
#include "cpu/integer/steps.h"
#include "cpu/pair_handlers.h"
#include "cpu/sse/aes.h"
#include "cpu/sse/carryless.h"
#include "cpu/sse/float_forms.h"
#include "cpu/sse/float_semantics.h"
#include "cpu/sse/forms.h"
#include "cpu/sse/lanes.h"
#include "cpu/sse/moves.h"
#include "cpu/sse/shuffles.h"

#if !defined(BHVM_SHARED)
#define BHVM_SHARED extern template
#endif

namespace bhvm {

using namespace integer;
using namespace sse;

// clang-format off
BHVM_SHARED BHVM_HANDLER(integer::fused<Condition::kB, FuseCmp, u64, true, true, JumpKind::kInPage>);
BHVM_SHARED BHVM_HANDLER(integer::fused<Condition::kE, FuseCmp, u32, false, true, JumpKind::kInPage>);
BHVM_SHARED BHVM_HANDLER(integer::fused<Condition::kE, FuseTest, u32, false, false, JumpKind::kInPage>);
BHVM_SHARED BHVM_HANDLER(integer::fused<Condition::kNe, FuseCmp, u64, false, false, JumpKind::kInPage>);
BHVM_SHARED BHVM_HANDLER(integer::jump_if<Condition::kG, JumpKind::kInPage, true>);
BHVM_SHARED BHVM_HANDLER(plain<AluMem<Cmp, u64, true, false>, Through::kSlow>);
BHVM_SHARED BHVM_HANDLER(plain<AluMem<Cmp, u64, true, false>>);
BHVM_SHARED BHVM_HANDLER(plain<AluRegImm<Add, u64, true>, Through::kSlow>);
BHVM_SHARED BHVM_HANDLER(plain<AluRegImm<Add, u64, true>>);
BHVM_SHARED BHVM_HANDLER(plain<AluRegImm<And, u32, false>, Through::kSlow>);
BHVM_SHARED BHVM_HANDLER(plain<AluRegImm<And, u32, false>>);
BHVM_SHARED BHVM_HANDLER(plain<AluRegImm<And, u32, true>, Through::kSlow>);
BHVM_SHARED BHVM_HANDLER(plain<AluRegImm<And, u32, true>>);
BHVM_SHARED BHVM_HANDLER(plain<AluRegImm<Cmp, u32, true>, Through::kSlow>);
BHVM_SHARED BHVM_HANDLER(plain<AluRegImm<Cmp, u32, true>>);
BHVM_SHARED BHVM_HANDLER(plain<AluRegImm<Sub, u32, true>, Through::kSlow>);
BHVM_SHARED BHVM_HANDLER(plain<AluRegImm<Sub, u32, true>>);
BHVM_SHARED BHVM_HANDLER(plain<AluRegMem<Add, u32, false>, Through::kSlow>);
BHVM_SHARED BHVM_HANDLER(plain<AluRegMem<Add, u32, false>>);
BHVM_SHARED BHVM_HANDLER(plain<AluRegMem<Add, u32, true>, Through::kSlow>);
BHVM_SHARED BHVM_HANDLER(plain<AluRegMem<Add, u32, true>>);
BHVM_SHARED BHVM_HANDLER(plain<AluRegReg<Add, u32, false>, Through::kSlow>);
BHVM_SHARED BHVM_HANDLER(plain<AluRegReg<Add, u32, false>>);
BHVM_SHARED BHVM_HANDLER(plain<AluRegReg<Add, u32, true>, Through::kSlow>);
BHVM_SHARED BHVM_HANDLER(plain<AluRegReg<Add, u32, true>>);
BHVM_SHARED BHVM_HANDLER(plain<AluRegReg<And, u32, false>, Through::kSlow>);
BHVM_SHARED BHVM_HANDLER(plain<AluRegReg<And, u32, false>>);
BHVM_SHARED BHVM_HANDLER(plain<AluRegReg<Xor, u32, false>, Through::kSlow>);
BHVM_SHARED BHVM_HANDLER(plain<AluRegReg<Xor, u32, false>>);
BHVM_SHARED BHVM_HANDLER(plain<AluRegReg<Xor, u32, true>, Through::kSlow>);
BHVM_SHARED BHVM_HANDLER(plain<AluRegReg<Xor, u32, true>>);
BHVM_SHARED BHVM_HANDLER(plain<Compute<same<u64x2>, From::kAligned, Into::kXmm>, Through::kSlow>);
BHVM_SHARED BHVM_HANDLER(plain<Compute<same<u64x2>, From::kAligned, Into::kXmm>>);
BHVM_SHARED BHVM_HANDLER(plain<Compute<same<u64x2>, From::kRegister, Into::kXmm>, Through::kSlow>);
BHVM_SHARED BHVM_HANDLER(plain<Compute<same<u64x2>, From::kRegister, Into::kXmm>>);
BHVM_SHARED BHVM_HANDLER(plain<Compute<same<u64x2>, From::kSimple, Into::kXmm>, Through::kSlow>);
BHVM_SHARED BHVM_HANDLER(plain<Compute<same<u64x2>, From::kSimple, Into::kXmm>>);
BHVM_SHARED BHVM_HANDLER(plain<Compute<zero_extend, From::kRegister, Into::kXmm>, Through::kSlow>);
BHVM_SHARED BHVM_HANDLER(plain<Compute<zero_extend, From::kRegister, Into::kXmm>>);
BHVM_SHARED BHVM_HANDLER(plain<Compute<zero_extend, From::kSimple, Into::kXmm>, Through::kSlow>);
BHVM_SHARED BHVM_HANDLER(plain<Compute<zero_extend, From::kSimple, Into::kXmm>>);
BHVM_SHARED BHVM_HANDLER(plain<Compute<zero_extend_doubleword, From::kRegister, Into::kXmm>, Through::kSlow>);
BHVM_SHARED BHVM_HANDLER(plain<Compute<zero_extend_doubleword, From::kRegister, Into::kXmm>>);
BHVM_SHARED BHVM_HANDLER(plain<ComputeFloat<fp::FromInteger<double>, Operands<void, i64, false>, From::kRegister, Into::kXmm, false>, Through::kSlow>);
BHVM_SHARED BHVM_HANDLER(plain<ComputeFloat<fp::FromInteger<double>, Operands<void, i64, false>, From::kRegister, Into::kXmm, false>>);
BHVM_SHARED BHVM_HANDLER(plain<ComputeStore<same<u64x2>, From::kAligned>, Through::kSlow>);
BHVM_SHARED BHVM_HANDLER(plain<ComputeStore<same<u64x2>, From::kAligned>>);
BHVM_SHARED BHVM_HANDLER(plain<ComputeStore<same<u64x2>, From::kSimple>, Through::kSlow>);
BHVM_SHARED BHVM_HANDLER(plain<ComputeStore<same<u64x2>, From::kSimple>>);
BHVM_SHARED BHVM_HANDLER(plain<Lea<u64>, Through::kSlow>);
BHVM_SHARED BHVM_HANDLER(plain<Lea<u64>>);
BHVM_SHARED BHVM_HANDLER(plain<LeaBase, Through::kSlow>);
BHVM_SHARED BHVM_HANDLER(plain<LeaBase>);
BHVM_SHARED BHVM_HANDLER(plain<MovMemReg<u32, true>, Through::kSlow>);
BHVM_SHARED BHVM_HANDLER(plain<MovMemReg<u32, true>>);
BHVM_SHARED BHVM_HANDLER(plain<MovMemReg<u64, true>, Through::kSlow>);
BHVM_SHARED BHVM_HANDLER(plain<MovMemReg<u64, true>>);
BHVM_SHARED BHVM_HANDLER(plain<MovMemReg<u8, true>, Through::kSlow>);
BHVM_SHARED BHVM_HANDLER(plain<MovMemReg<u8, true>>);
BHVM_SHARED BHVM_HANDLER(plain<MovRegReg<u32>, Through::kSlow>);
BHVM_SHARED BHVM_HANDLER(plain<MovRegReg<u32>>);
BHVM_SHARED BHVM_HANDLER(plain<MovRegReg<u64>, Through::kSlow>);
BHVM_SHARED BHVM_HANDLER(plain<MovRegReg<u64>>);
BHVM_SHARED BHVM_HANDLER(plain<Push64, Through::kSlow>);
BHVM_SHARED BHVM_HANDLER(plain<Push64>);
BHVM_SHARED BHVM_HANDLER(plain<ShiftRegImm<Ror, u32, false>, Through::kSlow>);
BHVM_SHARED BHVM_HANDLER(plain<ShiftRegImm<Ror, u32, false>>);
BHVM_SHARED BHVM_HANDLER(plain<ShiftRegImm<Ror, u32, true>, Through::kSlow>);
BHVM_SHARED BHVM_HANDLER(plain<ShiftRegImm<Ror, u32, true>>);
BHVM_SHARED BHVM_HANDLER(plain<ShiftRegImm<Shl, u32, true>, Through::kSlow>);
BHVM_SHARED BHVM_HANDLER(plain<ShiftRegImm<Shl, u32, true>>);
BHVM_SHARED BHVM_HANDLER(plain<ShiftRegImm<Shr, u32, false>, Through::kSlow>);
BHVM_SHARED BHVM_HANDLER(plain<ShiftRegImm<Shr, u32, false>>);
BHVM_SHARED BHVM_HANDLER(plain<WidenMem<u32, u8>, Through::kSlow>);
BHVM_SHARED BHVM_HANDLER(plain<WidenMem<u32, u8>>);
BHVM_SHARED BHVM_HANDLER(plain<WidenMem<u64, i32>, Through::kSlow>);
BHVM_SHARED BHVM_HANDLER(plain<WidenMem<u64, i32>>);
BHVM_SHARED BHVM_HANDLER(then<AluRegMem<Add, u32, false>, plain<MovRegReg<u32>>>);
BHVM_SHARED BHVM_HANDLER(then<AluRegMem<Add, u32, true>, go_in_page>);
BHVM_SHARED BHVM_HANDLER(then<AluRegReg<Add, u32, false>, plain<AluRegReg<Xor, u32, false>>>);
BHVM_SHARED BHVM_HANDLER(then<AluRegReg<Add, u32, false>, plain<AluRegReg<Xor, u32, true>>>);
BHVM_SHARED BHVM_HANDLER(then<AluRegReg<Add, u32, false>, plain<MovRegReg<u32>>>);
BHVM_SHARED BHVM_HANDLER(then<AluRegReg<Add, u32, false>, plain<ShiftRegImm<Ror, u32, false>>>);
BHVM_SHARED BHVM_HANDLER(then<AluRegReg<Add, u32, true>, plain<MovRegReg<u32>>>);
BHVM_SHARED BHVM_HANDLER(then<AluRegReg<Add, u32, true>, plain<ShiftRegImm<Ror, u32, true>>>);
BHVM_SHARED BHVM_HANDLER(then<AluRegReg<And, u32, false>, plain<AluRegReg<Xor, u32, false>>>);
BHVM_SHARED BHVM_HANDLER(then<AluRegReg<And, u32, false>, plain<AluRegReg<Xor, u32, true>>>);
BHVM_SHARED BHVM_HANDLER(then<AluRegReg<Xor, u32, false>, plain<AluRegReg<Add, u32, false>>>);
BHVM_SHARED BHVM_HANDLER(then<AluRegReg<Xor, u32, false>, plain<AluRegReg<Add, u32, true>>>);
BHVM_SHARED BHVM_HANDLER(then<AluRegReg<Xor, u32, false>, plain<AluRegReg<Xor, u32, false>>>);
BHVM_SHARED BHVM_HANDLER(then<AluRegReg<Xor, u32, false>, plain<AluRegReg<Xor, u32, true>>>);
BHVM_SHARED BHVM_HANDLER(then<AluRegReg<Xor, u32, false>, plain<ShiftRegImm<Ror, u32, false>>>);
BHVM_SHARED BHVM_HANDLER(then<AluRegReg<Xor, u32, true>, go_across>);
BHVM_SHARED BHVM_HANDLER(then<AluRegReg<Xor, u32, true>, go_in_page>);
BHVM_SHARED BHVM_HANDLER(then<AluRegReg<Xor, u32, true>, plain<AluRegMem<Add, u32, false>>>);
BHVM_SHARED BHVM_HANDLER(then<Compute<same<u64x2>, From::kRegister, Into::kXmm>, go_in_page>);
BHVM_SHARED BHVM_HANDLER(then<Compute<same<u64x2>, From::kRegister, Into::kXmm>, plain<Compute<same<u64x2>, From::kRegister, Into::kXmm>>>);
BHVM_SHARED BHVM_HANDLER(then<ComputeStore<same<u64x2>, From::kAligned>, plain<MovMemReg<u64, true>>>);
BHVM_SHARED BHVM_HANDLER(then<ComputeStore<same<u64x2>, From::kSimple>, fused<Condition::kNe, FuseCmp, u64, false, false, JumpKind::kInPage>>);
BHVM_SHARED BHVM_HANDLER(then<ComputeStore<same<u64x2>, From::kSimple>, go_in_page>);
BHVM_SHARED BHVM_HANDLER(then<MovMemReg<u32, true>, plain<LeaBase>>);
BHVM_SHARED BHVM_HANDLER(then<MovRegReg<u32>, go_in_page>);
BHVM_SHARED BHVM_HANDLER(then<MovRegReg<u32>, plain<AluRegImm<And, u32, true>>>);
BHVM_SHARED BHVM_HANDLER(then<MovRegReg<u32>, plain<AluRegReg<Add, u32, true>>>);
BHVM_SHARED BHVM_HANDLER(then<MovRegReg<u32>, plain<AluRegReg<Xor, u32, false>>>);
BHVM_SHARED BHVM_HANDLER(then<MovRegReg<u32>, plain<AluRegReg<Xor, u32, true>>>);
BHVM_SHARED BHVM_HANDLER(then<MovRegReg<u32>, plain<MovRegReg<u32>>>);
BHVM_SHARED BHVM_HANDLER(then<MovRegReg<u64>, plain<MovRegReg<u64>>>);
BHVM_SHARED BHVM_HANDLER(then<ShiftRegImm<Ror, u32, false>, plain<AluRegReg<Add, u32, false>>>);
BHVM_SHARED BHVM_HANDLER(then<ShiftRegImm<Ror, u32, false>, plain<AluRegReg<Add, u32, true>>>);
BHVM_SHARED BHVM_HANDLER(then<ShiftRegImm<Ror, u32, false>, plain<AluRegReg<And, u32, false>>>);
BHVM_SHARED BHVM_HANDLER(then<ShiftRegImm<Ror, u32, false>, plain<AluRegReg<Xor, u32, false>>>);
BHVM_SHARED BHVM_HANDLER(then<ShiftRegImm<Ror, u32, false>, plain<AluRegReg<Xor, u32, true>>>);
BHVM_SHARED BHVM_HANDLER(then<ShiftRegImm<Ror, u32, false>, plain<MovRegReg<u32>>>);
BHVM_SHARED BHVM_HANDLER(then<ShiftRegImm<Ror, u32, true>, go_in_page>);
// clang-format on

namespace sse::inline BHVM_SSE_HOST {

#if defined(__AES__)
namespace cipher = aes::host;
#else
namespace cipher = aes;
#endif

std::span<const JoinedThree> joined_threes();

}  // namespace sse::inline BHVM_SSE_HOST
}  // namespace bhvm
