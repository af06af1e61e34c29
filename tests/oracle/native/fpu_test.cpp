// x87, MMX and SSE state in and out.
#include "native_case.h"

namespace bhvm::oracle::test {
namespace {

class NativeFpu : public NativeTest {};

constexpr u64 kOneMantissa = u64{1} << 63;
constexpr u16 kOneExponent = 0x3FFF;

void put_x87(Case& input, unsigned st, u16 exponent, u64 mantissa) {
  put<u64>(input.fx, kSt0 + 16 * st, mantissa);
  put<u16>(input.fx, kSt0 + 16 * st + 8, exponent);
}

TEST_F(NativeFpu, X87AddsWhatIsLoaded) {
  const CaseGroup group = make_group({0xD8, 0xC1});  // fadd st(1)
  Case input = make_case(group);
  put<u16>(input.fx, kFsw, 6 << 11);  // TOP
  put<u8>(input.fx, kTags, 0xC0);
  put_x87(input, 0, kOneExponent, kOneMantissa);
  put_x87(input, 1, kOneExponent + 1, kOneMantissa);
  const Outcome out = run(group, input);
  EXPECT_EQ(out.vector, kBreakpoint);
  EXPECT_EQ(get<u16>(out.fx, kFcw), 0x037F);
  EXPECT_EQ(get<u16>(out.fx, kFsw), 6 << 11);
  EXPECT_EQ(get<u8>(out.fx, kTags), 0xC0);
  EXPECT_EQ(get<u64>(out.fx, kSt0), u64{3} << 62);
  EXPECT_EQ(get<u16>(out.fx, kSt0 + 8), kOneExponent + 1);
}

TEST_F(NativeFpu, AnX87ErrorComesWithTheNextInstruction) {
  const CaseGroup group =
      make_group({0xD9, 0xE8, 0xD9, 0xEE, 0xDE, 0xF9, 0x90, 0x9B});  // fld1; fldz; fdivp; nop; fwait
  Case input = make_case(group);
  put<u16>(input.fx, kFcw, 0x037B);  // ZE unmasked
  const Outcome out = run(group, input);
  EXPECT_EQ(out.vector, kX87Error);
  EXPECT_EQ(out.rip, input.rip + 7);
  EXPECT_EQ(get<u16>(out.fx, kFsw) & 0x8084, 0x8084);  // B, ES, ZE
  // The next case finds the unit as it asks for it.
  const CaseGroup plain = make_group({0x9B});
  EXPECT_EQ(run(plain, make_case(plain)).vector, kBreakpoint);
}

TEST_F(NativeFpu, MmxStateLeavesTheHandlerAlone) {
  CaseGroup group = make_group({0x0F, 0x6F, 0xC1});  // movq mm0, mm1
  Case input = make_case(group);
  put<u64>(input.fx, kSt0 + 16, 0x1122334455667788);
  group.cases = {input, input};
  for (const Outcome& out : run(group)) {
    EXPECT_EQ(out.vector, kBreakpoint);
    EXPECT_EQ(get<u8>(out.fx, kTags), 0xFF);
    EXPECT_EQ(get<u64>(out.fx, kSt0), 0x1122334455667788);
    EXPECT_EQ(get<u16>(out.fx, kSt0 + 8), 0xFFFF);
  }
}

TEST_F(NativeFpu, SseStateInAndOut) {
  const CaseGroup group = make_group({0x66, 0x45, 0x0F, 0xFE, 0xF8});  // paddd xmm15, xmm8
  Case input = make_case(group);
  for (unsigned i = 0; i < 64; ++i) put<u32>(input.fx, kXmm0 + 4 * i, 0x01000000 * i + i);
  put<u32>(input.fx, kMxcsr, 0x9FC0);  // FZ, DAZ
  const Outcome out = run(group, input);
  EXPECT_EQ(out.vector, kBreakpoint);
  EXPECT_EQ(get<u32>(out.fx, kMxcsr), 0x9FC0u);
  for (unsigned i = 0; i < 60; ++i) EXPECT_EQ(get<u32>(out.fx, kXmm0 + 4 * i), 0x01000000 * i + i);
  for (unsigned i = 0; i < 4; ++i) {
    EXPECT_EQ(get<u32>(out.fx, kXmm0 + 4 * (60 + i)), 0x01000000 * (60 + i + 32 + i) + 60 + i + 32 + i);
  }
  for (unsigned i = 416; i < 512; ++i) EXPECT_EQ(out.fx[i], 0) << i;
}

TEST_F(NativeFpu, AnUnmaskedSseErrorIsAFault) {
  const CaseGroup group = make_group({0xF2, 0x0F, 0x5E, 0xC1});  // divsd xmm0, xmm1
  Case input = make_case(group);
  put<double>(input.fx, kXmm0, 1.0);
  put<u32>(input.fx, kMxcsr, 0x1F80 & ~0x200u);  // ZM
  const Outcome out = run(group, input);
  EXPECT_EQ(out.vector, kSimdError);
  EXPECT_EQ(out.rip, input.rip);
  EXPECT_EQ(get<u32>(out.fx, kMxcsr), (0x1F80u & ~0x200u) | 4);
  EXPECT_EQ(get<double>(out.fx, kXmm0), 1.0);
}

}  // namespace
}  // namespace bhvm::oracle::test
