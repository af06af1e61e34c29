#include "cpu/x87/save_areas.h"

#include "handlers_fixture.h"
#include "samples.h"

namespace bhvm::test {
namespace {

class X87SaveAreas : public X87Handlers {
 protected:
  void SetUp() override {
    install_idt();
    h.cpu.s.cr4 |= u64{1} << 18;  // OSXSAVE
    h.cpu.s.xcr0 = 3;
    h.cpu.update_mode();
    RandomStream random(6, 0, "areas");
    x87() = random_state(random, x87_control::kMasks);
    x87().fip = 0x123456789A;
    for (Xmm& xmm : h.cpu.s.xmm) xmm.q = {random.next(), random.next()};
    h.cpu.s.mxcsr = 0x1FA0;
    h.reg(kRsi) = kData;
    h.reg(kRax) = 3;
    fill(0xEE);
  }
  void fill(u8 byte) {
    std::array<u8, 576> area;
    area.fill(byte);
    std::fill(area.begin() + 512, area.end(), u8{0});
    h.place(kData, area);
  }
  u8 byte(u64 offset) { return static_cast<u8>(h.read64(kData + offset)); }
  void clear_state() {
    x87() = X87State{};
    h.cpu.s.xmm = {};
    h.cpu.s.mxcsr = 0x1F80;
  }

  const std::vector<u8> kXsave64 = {0x48, 0x0F, 0xAE, 0x26};
  const std::vector<u8> kXsaveopt64 = {0x48, 0x0F, 0xAE, 0x36};
  const std::vector<u8> kXrstor64 = {0x48, 0x0F, 0xAE, 0x2E};
  const std::vector<u8> kFxsave64 = {0x48, 0x0F, 0xAE, 0x06};
  const std::vector<u8> kFxrstor64 = {0x48, 0x0F, 0xAE, 0x0E};
};

TEST_F(X87SaveAreas, FxsaveAndFxrstorAreInverse) {
  const X87State saved = x87();
  const auto xmm = h.cpu.s.xmm;
  step(kFxsave64);
  EXPECT_EQ(h.read64(kData + 24), u64{0xFFFF} << 32 | 0x1FA0);
  EXPECT_EQ(byte(416), 0xEE) << "reserved bytes are not written";
  clear_state();
  step(kFxrstor64);
  X87State expected = saved;
  expected.fcs = expected.fds = 0;  // not in the 64-bit layout
  EXPECT_EQ(x87(), expected);
  for (unsigned i = 0; i < 16; ++i) EXPECT_EQ(h.cpu.s.xmm[i].q, xmm[i].q);
  EXPECT_EQ(h.cpu.s.mxcsr, 0x1FA0u);
}

TEST_F(X87SaveAreas, XsaveAndXrstorAreInverse) {
  X87State saved = x87();
  saved.fcs = saved.fds = 0;
  const auto xmm = h.cpu.s.xmm;
  step(kXsave64);
  EXPECT_EQ(h.read64(kData + 512), 3u);
  clear_state();
  step(kXrstor64);
  EXPECT_EQ(x87(), saved);
  EXPECT_EQ(h.cpu.s.xmm[15].q, xmm[15].q);
  EXPECT_EQ(h.cpu.s.mxcsr, 0x1FA0u);
}

TEST_F(X87SaveAreas, OnlyRequestedComponentsAreSaved) {
  h.reg(kRax) = 1;
  h.write64(kData + 512, 2);  // the SSE bit stays as it was
  step(kXsave64);
  EXPECT_EQ(h.read64(kData + 512), 3u);
  EXPECT_EQ(byte(24), 0xEE) << "MXCSR belongs to SSE";
  EXPECT_EQ(byte(160), 0xEE);
  h.reg(kRax) = 2;
  fill(0xEE);
  step(kXsave64);
  EXPECT_EQ(h.read64(kData + 512), 2u);
  EXPECT_EQ(byte(0), 0xEE);
  EXPECT_EQ(byte(32), 0xEE);
  EXPECT_EQ(static_cast<u32>(h.read64(kData + 24)), 0x1FA0u);
}

TEST_F(X87SaveAreas, XsaveoptLeavesInitialComponentsOut) {
  x87() = X87State{};
  h.write64(kData + 512, 1);
  step(kXsaveopt64);
  EXPECT_EQ(h.read64(kData + 512), 2u);
  EXPECT_EQ(byte(0), 0xEE) << "not written";
  fill(0xEE);
  step(kXsave64);
  EXPECT_EQ(h.read64(kData + 512), 2u);
  EXPECT_EQ(byte(0), 0x7F) << "XSAVE writes it all the same";
}

TEST_F(X87SaveAreas, XrstorInitialisesWhatTheAreaDoesNotHold) {
  step(kXsave64);
  h.write64(kData + 512, 0);
  step(kXrstor64);
  EXPECT_EQ(x87(), X87State{});
  EXPECT_EQ(h.cpu.s.xmm[3].q, Xmm{}.q);
  EXPECT_EQ(h.cpu.s.mxcsr, 0x1FA0u) << "MXCSR comes from the area all the same";
}

TEST_F(X87SaveAreas, XrstorRefusesBadAreas) {
  step(kXsave64);
  const X87State before = x87();
  struct Bad {
    u64 offset;
    u64 value;
  };
  for (const Bad bad : {Bad{512, 4}, Bad{520, u64{1} << 63}, Bad{528, 1}, Bad{24, 0x11F80}}) {
    const u64 good = h.read64(kData + bad.offset);
    h.write64(kData + bad.offset, bad.value);
    step(kXrstor64);
    EXPECT_EQ(raised(), 13) << bad.offset;
    h.write64(kData + bad.offset, good);
  }
  h.reg(kRsi) = kData + 16;
  step(kXrstor64);
  EXPECT_EQ(raised(), 13);
  step(kXsave64);
  EXPECT_EQ(raised(), 13);
  h.reg(kRsi) = kData + 8;
  step(kFxsave64);
  EXPECT_EQ(raised(), 13);
  EXPECT_EQ(x87(), before);
}

TEST_F(X87SaveAreas, Xcr0) {
  h.reg(kRcx) = 0;
  h.reg(kRdx) = 0;
  for (const u64 good : {u64{1}, u64{3}}) {
    h.reg(kRax) = good;
    step({0x0F, 0x01, 0xD1});
    EXPECT_EQ(raised(), -1);
    EXPECT_EQ(h.cpu.s.xcr0, good);
    h.reg(kRax) = ~u64{0};
    step({0x0F, 0x01, 0xD0});
    EXPECT_EQ(h.reg(kRax), good);
  }
  for (const u64 bad : {u64{0}, u64{2}, u64{7}}) {
    h.reg(kRax) = bad;
    step({0x0F, 0x01, 0xD1});
    EXPECT_EQ(raised(), 13);
    EXPECT_EQ(h.cpu.s.xcr0, 3u);
  }
  h.reg(kRcx) = 1;
  step({0x0F, 0x01, 0xD0});
  EXPECT_EQ(raised(), 13);
}

}  // namespace
}  // namespace bhvm::test
