// Every register form of the general-purpose instructions against the host's own processor: results and defined flags.
#include "tests/cpu/native.h"

#if defined(__x86_64__)
#include <Zydis/Zydis.h>
#include <gtest/gtest.h>

#include "base/random_stream.h"
#include "tests/cpu/harness.h"

namespace bhvm::test {
namespace {

constexpr u64 kCf = rflags::kCf, kPf = rflags::kPf, kAf = rflags::kAf, kZf = rflags::kZf, kSf = rflags::kSf,
              kOf = rflags::kOf;

enum class Operands : u8 { kOne, kTwo, kImm, kCl, kImm8, kTwoImm, kTwoImm8, kTwoCl, kNone, kWiden8, kWiden16, kByte };

struct Row {
  ZydisMnemonic mnemonic;
  Operands operands;
  u64 undefined;    // flags the SDM leaves undefined (volume 1, appendix A)
  unsigned widths;  // bit 0: 8, 1: 16, 2: 32, 3: 64 bits
};

constexpr unsigned kAll = 15, kWord = 14;
constexpr u64 kShiftMany = kAf | kOf;

const Row kRows[] = {
    {ZYDIS_MNEMONIC_ADD, Operands::kTwo, 0, kAll},
    {ZYDIS_MNEMONIC_ADD, Operands::kImm, 0, kAll},
    {ZYDIS_MNEMONIC_ADC, Operands::kTwo, 0, kAll},
    {ZYDIS_MNEMONIC_ADC, Operands::kImm, 0, kAll},
    {ZYDIS_MNEMONIC_SUB, Operands::kTwo, 0, kAll},
    {ZYDIS_MNEMONIC_SUB, Operands::kImm, 0, kAll},
    {ZYDIS_MNEMONIC_SBB, Operands::kTwo, 0, kAll},
    {ZYDIS_MNEMONIC_SBB, Operands::kImm, 0, kAll},
    {ZYDIS_MNEMONIC_CMP, Operands::kTwo, 0, kAll},
    {ZYDIS_MNEMONIC_CMP, Operands::kImm, 0, kAll},
    {ZYDIS_MNEMONIC_AND, Operands::kTwo, kAf, kAll},
    {ZYDIS_MNEMONIC_AND, Operands::kImm, kAf, kAll},
    {ZYDIS_MNEMONIC_OR, Operands::kTwo, kAf, kAll},
    {ZYDIS_MNEMONIC_OR, Operands::kImm, kAf, kAll},
    {ZYDIS_MNEMONIC_XOR, Operands::kTwo, kAf, kAll},
    {ZYDIS_MNEMONIC_XOR, Operands::kImm, kAf, kAll},
    {ZYDIS_MNEMONIC_TEST, Operands::kTwo, kAf, kAll},
    {ZYDIS_MNEMONIC_TEST, Operands::kImm, kAf, kAll},
    {ZYDIS_MNEMONIC_INC, Operands::kOne, 0, kAll},
    {ZYDIS_MNEMONIC_DEC, Operands::kOne, 0, kAll},
    {ZYDIS_MNEMONIC_NEG, Operands::kOne, 0, kAll},
    {ZYDIS_MNEMONIC_NOT, Operands::kOne, 0, kAll},
    {ZYDIS_MNEMONIC_SHL, Operands::kCl, kShiftMany, kAll},
    {ZYDIS_MNEMONIC_SHL, Operands::kImm8, kShiftMany, kAll},
    {ZYDIS_MNEMONIC_SHR, Operands::kCl, kShiftMany, kAll},
    {ZYDIS_MNEMONIC_SHR, Operands::kImm8, kShiftMany, kAll},
    {ZYDIS_MNEMONIC_SAR, Operands::kCl, kShiftMany, kAll},
    {ZYDIS_MNEMONIC_SAR, Operands::kImm8, kShiftMany, kAll},
    {ZYDIS_MNEMONIC_ROL, Operands::kCl, kOf, kAll},
    {ZYDIS_MNEMONIC_ROL, Operands::kImm8, kOf, kAll},
    {ZYDIS_MNEMONIC_ROR, Operands::kCl, kOf, kAll},
    {ZYDIS_MNEMONIC_ROR, Operands::kImm8, kOf, kAll},
    {ZYDIS_MNEMONIC_RCL, Operands::kCl, kOf, kAll},
    {ZYDIS_MNEMONIC_RCL, Operands::kImm8, kOf, kAll},
    {ZYDIS_MNEMONIC_RCR, Operands::kCl, kOf, kAll},
    {ZYDIS_MNEMONIC_RCR, Operands::kImm8, kOf, kAll},
    {ZYDIS_MNEMONIC_SHLD, Operands::kTwoImm8, kAf | kOf, 12},
    {ZYDIS_MNEMONIC_SHLD, Operands::kTwoCl, kAf | kOf, 12},
    {ZYDIS_MNEMONIC_SHRD, Operands::kTwoImm8, kAf | kOf, 12},
    {ZYDIS_MNEMONIC_SHRD, Operands::kTwoCl, kAf | kOf, 12},
    {ZYDIS_MNEMONIC_MUL, Operands::kOne, kSf | kZf | kAf | kPf, kAll},
    {ZYDIS_MNEMONIC_IMUL, Operands::kOne, kSf | kZf | kAf | kPf, kAll},
    {ZYDIS_MNEMONIC_IMUL, Operands::kTwo, kSf | kZf | kAf | kPf, kWord},
    {ZYDIS_MNEMONIC_IMUL, Operands::kTwoImm, kSf | kZf | kAf | kPf, kWord},
    {ZYDIS_MNEMONIC_BT, Operands::kTwo, kOf | kSf | kAf | kPf, kWord},
    {ZYDIS_MNEMONIC_BTS, Operands::kTwo, kOf | kSf | kAf | kPf, kWord},
    {ZYDIS_MNEMONIC_BTR, Operands::kImm8, kOf | kSf | kAf | kPf, kWord},
    {ZYDIS_MNEMONIC_BTC, Operands::kImm8, kOf | kSf | kAf | kPf, kWord},
    {ZYDIS_MNEMONIC_BSF, Operands::kTwo, kCf | kOf | kSf | kAf | kPf, kWord},
    {ZYDIS_MNEMONIC_BSR, Operands::kTwo, kCf | kOf | kSf | kAf | kPf, kWord},
    {ZYDIS_MNEMONIC_POPCNT, Operands::kTwo, 0, kWord},
    {ZYDIS_MNEMONIC_CRC32, Operands::kByte, 0, 4},
    {ZYDIS_MNEMONIC_CRC32, Operands::kTwo, 0, 8},
    {ZYDIS_MNEMONIC_MOV, Operands::kTwo, 0, kAll},
    {ZYDIS_MNEMONIC_MOV, Operands::kImm, 0, kAll},
    {ZYDIS_MNEMONIC_XCHG, Operands::kTwo, 0, kAll},
    {ZYDIS_MNEMONIC_XADD, Operands::kTwo, 0, kAll},
    {ZYDIS_MNEMONIC_CMPXCHG, Operands::kTwo, 0, kAll},
    {ZYDIS_MNEMONIC_BSWAP, Operands::kOne, 0, 12},
    {ZYDIS_MNEMONIC_MOVZX, Operands::kWiden8, 0, kWord},
    {ZYDIS_MNEMONIC_MOVZX, Operands::kWiden16, 0, 12},
    {ZYDIS_MNEMONIC_MOVSX, Operands::kWiden8, 0, kWord},
    {ZYDIS_MNEMONIC_MOVSX, Operands::kWiden16, 0, 12},
    {ZYDIS_MNEMONIC_CBW, Operands::kNone, 0, 2},
    {ZYDIS_MNEMONIC_CWDE, Operands::kNone, 0, 4},
    {ZYDIS_MNEMONIC_CDQE, Operands::kNone, 0, 8},
    {ZYDIS_MNEMONIC_CWD, Operands::kNone, 0, 2},
    {ZYDIS_MNEMONIC_CDQ, Operands::kNone, 0, 4},
    {ZYDIS_MNEMONIC_CQO, Operands::kNone, 0, 8},
    {ZYDIS_MNEMONIC_CLC, Operands::kNone, 0, 8},
    {ZYDIS_MNEMONIC_STC, Operands::kNone, 0, 8},
    {ZYDIS_MNEMONIC_CMC, Operands::kNone, 0, 8},
    {ZYDIS_MNEMONIC_LAHF, Operands::kNone, 0, 8},
    {ZYDIS_MNEMONIC_SAHF, Operands::kNone, 0, 8},
    {ZYDIS_MNEMONIC_CMOVZ, Operands::kTwo, 0, kWord},
    {ZYDIS_MNEMONIC_CMOVLE, Operands::kTwo, 0, kWord},
    {ZYDIS_MNEMONIC_CMOVNBE, Operands::kTwo, 0, kWord},
    {ZYDIS_MNEMONIC_CMOVS, Operands::kTwo, 0, kWord},
    {ZYDIS_MNEMONIC_CMOVNP, Operands::kTwo, 0, kWord},
    {ZYDIS_MNEMONIC_SETO, Operands::kOne, 0, 1},
    {ZYDIS_MNEMONIC_SETB, Operands::kOne, 0, 1},
    {ZYDIS_MNEMONIC_SETZ, Operands::kOne, 0, 1},
    {ZYDIS_MNEMONIC_SETBE, Operands::kOne, 0, 1},
    {ZYDIS_MNEMONIC_SETS, Operands::kOne, 0, 1},
    {ZYDIS_MNEMONIC_SETP, Operands::kOne, 0, 1},
    {ZYDIS_MNEMONIC_SETL, Operands::kOne, 0, 1},
    {ZYDIS_MNEMONIC_SETNLE, Operands::kOne, 0, 1},
};

class Cases {
 public:
  explicit Cases(u64 seed) : random_(seed, 0, "integer cases") {}

  u64 value() {
    static constexpr u64 kEdges[] = {0,
                                     1,
                                     0x7F,
                                     0x80,
                                     0xFF,
                                     0x7FFF,
                                     0x8000,
                                     0xFFFF,
                                     0x7FFFFFFF,
                                     0x80000000,
                                     0xFFFFFFFF,
                                     0x7FFFFFFFFFFFFFFF,
                                     2,
                                     31,
                                     32,
                                     63,
                                     0x8000000000000000,
                                     ~u64{0}};
    return random_.below(2) == 0 ? kEdges[random_.below(std::size(kEdges))] : random_.next();
  }
  unsigned reg() {  // not RSP
    const unsigned r = static_cast<unsigned>(random_.below(15));
    return r >= 4 ? r + 1 : r;
  }
  u64 below(u64 bound) { return random_.below(bound); }

 private:
  RandomStream random_;
};

ZydisRegister register_of_width(unsigned width, unsigned index) {
  switch (width) {
    case 0: {
      static constexpr ZydisRegister kLow[] = {ZYDIS_REGISTER_AL, ZYDIS_REGISTER_CL, ZYDIS_REGISTER_DL,
                                               ZYDIS_REGISTER_BL};
      if (index < 4) return kLow[index];
      return static_cast<ZydisRegister>(ZYDIS_REGISTER_SPL + index - 4);
    }
    case 1:
      return static_cast<ZydisRegister>(ZYDIS_REGISTER_AX + index);
    case 2:
      return static_cast<ZydisRegister>(ZYDIS_REGISTER_EAX + index);
    default:
      return static_cast<ZydisRegister>(ZYDIS_REGISTER_RAX + index);
  }
}

void set_register(ZydisEncoderRequest& request, unsigned width, unsigned index) {
  ZydisEncoderOperand& operand = request.operands[request.operand_count++];
  operand.type = ZYDIS_OPERAND_TYPE_REGISTER;
  operand.reg.value = register_of_width(width, index);
}

void set_immediate(ZydisEncoderRequest& request, i64 value) {
  ZydisEncoderOperand& operand = request.operands[request.operand_count++];
  operand.type = ZYDIS_OPERAND_TYPE_IMMEDIATE;
  operand.imm.s = value;
}

/// A random instance of the row at a width; empty when it has no encoding.
std::vector<u8> encode(const Row& row, unsigned width, Cases& cases) {
  ZydisEncoderRequest request{};
  request.machine_mode = ZYDIS_MACHINE_MODE_LONG_64;
  request.mnemonic = row.mnemonic;
  const i64 imm = width == 0   ? static_cast<i8>(cases.value())
                  : width == 1 ? static_cast<i16>(cases.value())
                               : static_cast<i32>(cases.value());
  const i64 imm8 = static_cast<i64>(cases.below(width == 3 ? 64 : 32));
  switch (row.operands) {
    case Operands::kNone:
      break;
    case Operands::kOne:
      set_register(request, width, cases.reg());
      break;
    case Operands::kTwo:
      set_register(request, width, cases.reg());
      set_register(request, width, cases.reg());
      break;
    case Operands::kImm:
      set_register(request, width, cases.reg());
      set_immediate(request, imm);
      break;
    case Operands::kImm8:
      set_register(request, width, cases.reg());
      set_immediate(request, imm8);
      break;
    case Operands::kCl:
      set_register(request, width, cases.reg());
      set_register(request, 0, 1);
      break;
    case Operands::kTwoImm:
    case Operands::kTwoImm8:
      set_register(request, width, cases.reg());
      set_register(request, width, cases.reg());
      set_immediate(request, row.operands == Operands::kTwoImm ? imm : imm8);
      break;
    case Operands::kTwoCl:
      set_register(request, width, cases.reg());
      set_register(request, width, cases.reg());
      set_register(request, 0, 1);
      break;
    case Operands::kWiden8:
    case Operands::kWiden16:
      set_register(request, width, cases.reg());
      set_register(request, row.operands == Operands::kWiden8 ? 0 : 1, cases.reg());
      break;
    case Operands::kByte:
      set_register(request, width, cases.reg());
      set_register(request, 0, cases.reg());
      break;
  }
  std::vector<u8> bytes(ZYDIS_MAX_INSTRUCTION_LENGTH);
  ZyanUSize length = bytes.size();
  if (!ZYAN_SUCCESS(ZydisEncoderEncodeInstruction(&request, bytes.data(), &length))) return {};
  bytes.resize(length);
  return bytes;
}

class NativeTest : public testing::TestWithParam<Row> {};

TEST_P(NativeTest, AgreesWithTheHost) {
  const Row& row = GetParam();
  NativeRunner native;
  Harness harness;
  Cases cases(static_cast<u64>(row.mnemonic));
  unsigned ran = 0;
  for (unsigned width = 0; width < 4; ++width) {
    if ((row.widths & (1u << width)) == 0) continue;
    for (int i = 0; i < 400; ++i) {
      const std::vector<u8> bytes = encode(row, width, cases);
      ASSERT_FALSE(bytes.empty()) << ZydisMnemonicGetString(row.mnemonic) << " width " << width;
      NativeState before;
      for (u64& reg : before.gpr) reg = cases.value();
      before.gpr[kRsp] = kStack;
      before.rflags = 0x202 | (cases.below(256) & (kCf | kPf | kAf | kZf | kSf)) | (cases.below(2) != 0 ? kOf : 0);
      NativeState after = before;
      native.run(bytes, after);

      harness.reset();
      harness.place(kCode, bytes);
      harness.cpu.s.gpr = before.gpr;
      harness.cpu.set_rflags(before.rflags & ~u64{rflags::kIf});
      ASSERT_EQ(harness.cpu.run(1), RunExit::kLimit);
      after.gpr[kRsp] = kStack;
      ASSERT_EQ(harness.cpu.s.gpr, after.gpr)
          << ZydisMnemonicGetString(row.mnemonic) << " width " << width << " case " << i;
      const u64 defined = rflags::kArithmetic & ~row.undefined;
      ASSERT_EQ(harness.cpu.s.rflags & defined, after.rflags & defined)
          << ZydisMnemonicGetString(row.mnemonic) << " width " << width << " case " << i;
      ++ran;
    }
  }
  EXPECT_GE(ran, 400u);
}

INSTANTIATE_TEST_SUITE_P(Integer, NativeTest, testing::ValuesIn(kRows), [](const auto& info) {
  return std::string(ZydisMnemonicGetString(info.param.mnemonic)) + "_" + std::to_string(info.index);
});

}  // namespace
}  // namespace bhvm::test
#endif
