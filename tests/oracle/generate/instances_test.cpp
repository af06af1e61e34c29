// Instances: each is an encoding of its form, and every way to write one comes up.
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <stdexcept>

#include "oracle/generate/form_names.h"
#include "oracle/generate/instance.h"

namespace bhvm::oracle {
namespace {

constexpr CodePlace kPlace{page_linear(1) + 0x300, page_linear(1) + 0x320};

const Form& form_named(const Catalogue& catalogue, std::string_view name) {
  for (const Form& form : catalogue.forms) {
    if (form.name == name) return form;
  }
  throw std::runtime_error("no such form: " + std::string(name));
}

class Instances : public ::testing::Test {
 protected:
  Catalogue catalogue = build_catalogue();
  Dice dice{1, "test"};
  InstanceMaker maker{dice};
  Decoder decoder;

  Instance make(const Form& form) {
    Instance instance = maker.shape(form);
    maker.settle(instance, kPlace.start, kPlace, false);
    return instance;
  }
};

TEST_F(Instances, DecodeBackToTheirForm) {
  BlockBuilder builder;
  for (const Form& form : catalogue.forms) {
    for (int i = 0; i < 12; ++i) {
      const Instance instance = make(form);
      Instruction insn;
      const bool decoded = decode(decoder, {instance.bytes.data.data(), instance.bytes.size}, form.code64, insn);
      if (form.accepted) {
        ASSERT_TRUE(decoded) << form.name;
        EXPECT_EQ(insn.length(), instance.bytes.size) << form.name;
        EXPECT_EQ(signature_of(insn), form.signature) << form.name;
        EXPECT_TRUE(accepted_by_translator(insn, builder)) << form.name;
        EXPECT_FALSE(is_narrow_branch(insn)) << form.name;
      } else if (decoded) {
        EXPECT_FALSE(accepted_by_translator(insn, builder)) << form.name;
      }
    }
  }
}

TEST_F(Instances, BranchesNeverLeadIntoTheirOwnCode) {
  int inside = 0, outside = 0;
  for (const Form& form : catalogue.forms) {
    if (form.family != "branches" || form.name.find("rel") == std::string::npos) continue;
    for (int i = 0; i < 200; ++i) {
      const Instance instance = make(form);
      const u64 target = kPlace.start + instance.bytes.size + static_cast<u64>(instance.insn.z.raw.imm[0].value.s);
      EXPECT_FALSE(target >= kPlace.start && target < kPlace.end) << form.name;
      EXPECT_FALSE(in_guest_program(target)) << form.name;
      (is_code(kind_at(target)) ? inside : outside) += 1;
    }
  }
  EXPECT_GT(inside, 1000);
  EXPECT_GT(outside, 300);
}

TEST_F(Instances, EveryAddressingFormOf64BitCode) {
  std::set<std::string> met;
  std::set<ZydisRegister> bases, indices;
  std::set<unsigned> scales, widths;
  const Form& form = form_named(catalogue, "mov r32, m32");
  for (int i = 0; i < 6000; ++i) {
    const Instance instance = make(form);
    const ZydisDecodedOperandMem& m = instance.insn.operand(1).mem;
    const unsigned disp = instance.insn.z.raw.disp.size;
    const bool sib = (instance.insn.z.attributes & ZYDIS_ATTRIB_HAS_SIB) != 0;
    const char* base = m.base == ZYDIS_REGISTER_NONE                                  ? "none"
                       : m.base == ZYDIS_REGISTER_RIP || m.base == ZYDIS_REGISTER_EIP ? "rip"
                                                                                      : "reg";
    met.insert(std::string(base) + (m.index == ZYDIS_REGISTER_NONE ? "" : "+index") + (sib ? " sib" : "") + " disp" +
               std::to_string(disp));
    bases.insert(m.base);
    indices.insert(m.index);
    scales.insert(m.scale);
    widths.insert(instance.insn.z.address_width);
    met.insert(ZydisRegisterGetString(m.segment));
  }
  for (const char* kind : {"reg disp0", "reg disp8", "reg disp32", "reg sib disp0", "reg sib disp8", "reg sib disp32",
                           "reg+index sib disp0", "reg+index sib disp8", "reg+index sib disp32",
                           "none+index sib disp32", "none sib disp32", "rip disp32", "fs", "gs", "ds", "ss"}) {
    EXPECT_TRUE(met.contains(kind)) << kind;
  }
  for (unsigned i = 0; i < 16; ++i) {
    EXPECT_TRUE(bases.contains(static_cast<ZydisRegister>(ZYDIS_REGISTER_RAX + i))) << i;
    EXPECT_EQ(indices.contains(static_cast<ZydisRegister>(ZYDIS_REGISTER_RAX + i)), i != 4) << i;
  }
  for (const unsigned scale : {1U, 2U, 4U, 8U}) EXPECT_TRUE(scales.contains(scale));
  EXPECT_EQ(widths, (std::set<unsigned>{32, 64}));
}

TEST_F(Instances, EveryAddressingFormOf32BitCode) {
  std::set<ZydisRegister> bases;
  std::set<unsigned> widths;
  bool absolute = false;
  const Form& form = form_named(catalogue, "mov r32, m32 [32]");
  for (int i = 0; i < 4000; ++i) {
    const Instance instance = make(form);
    const ZydisDecodedOperandMem& m = instance.insn.operand(1).mem;
    bases.insert(m.base);
    widths.insert(instance.insn.z.address_width);
    absolute |= m.base == ZYDIS_REGISTER_NONE && m.index == ZYDIS_REGISTER_NONE;
  }
  for (unsigned i = 0; i < 8; ++i) EXPECT_TRUE(bases.contains(static_cast<ZydisRegister>(ZYDIS_REGISTER_EAX + i))) << i;
  for (const ZydisRegister narrow : {ZYDIS_REGISTER_BX, ZYDIS_REGISTER_BP, ZYDIS_REGISTER_SI, ZYDIS_REGISTER_DI})
    EXPECT_TRUE(bases.contains(narrow));
  EXPECT_EQ(widths, (std::set<unsigned>{16, 32}));
  EXPECT_TRUE(absolute);
}

TEST_F(Instances, RegistersOfEveryNumberAndHighBytes) {
  std::set<ZydisRegister> bytes, wide, vectors;
  for (int i = 0; i < 3000; ++i) {
    bytes.insert(make(form_named(catalogue, "add r8, r8")).insn.operand(0).reg.value);
    wide.insert(make(form_named(catalogue, "add r64, r64")).insn.operand(1).reg.value);
    vectors.insert(make(form_named(catalogue, "addps xmm, xmm")).insn.operand(1).reg.value);
  }
  EXPECT_EQ(bytes.size(), 20U) << "AL to BL, AH to BH, SPL to DIL, R8B to R15B";
  EXPECT_EQ(wide.size(), 16U);
  EXPECT_EQ(vectors.size(), 16U);
}

TEST_F(Instances, RedundantPrefixesAndLongOnes) {
  std::set<u8> first;
  unsigned longest = 0;
  const Form& form = form_named(catalogue, "add m32, imm32");
  for (int i = 0; i < 4000; ++i) {
    const Instance instance = make(form);
    first.insert(instance.bytes.data[0]);
    longest = std::max(longest, instance.bytes.size);
  }
  for (const int prefix : {0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65, 0x67, 0xF2, 0xF3})
    EXPECT_TRUE(first.contains(static_cast<u8>(prefix))) << std::hex << prefix;
  EXPECT_GE(longest, 13U);
  const Form& too_long = form_named(catalogue, "undefined more than 15 bytes");
  for (int i = 0; i < 50; ++i) EXPECT_GT(make(too_long).bytes.size, 15U);
}

}  // namespace
}  // namespace bhvm::oracle
