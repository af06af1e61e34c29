#include "oracle/lockstep/log_parser.h"

#include <gtest/gtest.h>

#include "log_text.h"

namespace bhvm::lockstep {
namespace {

TEST(LogParser, ReadsAStateOf32BitCode) {
  LogEvent event;
  const ParseResult parsed = parse_event(state32() + state32(), false, event);
  ASSERT_EQ(ParseOutcome::kEvent, parsed.outcome);
  EXPECT_EQ(state32().size(), parsed.used);
  EXPECT_EQ(EventKind::kState, event.kind);
  const QemuState& s = event.state;
  EXPECT_FALSE(s.code64);
  EXPECT_FALSE(s.long_mode);
  EXPECT_EQ(0x2badb002u, s.gpr[kRax]);
  EXPECT_EQ(0x7b60u, s.gpr[kRsp]);
  EXPECT_EQ(0x10004f0u, s.rip);
  EXPECT_EQ(6u, s.rflags);
  EXPECT_EQ(8u, s.segments[kCs].selector);
  EXPECT_EQ(0xFFFFFFFFu, s.segments[kCs].limit);
  EXPECT_EQ(0xC09Bu, s.segments[kCs].attributes());
  EXPECT_EQ(0xC093u, s.segments[kGs].attributes());
  EXPECT_EQ(0x008Bu, s.tr.attributes());
  EXPECT_EQ(0xFFFFFFC1u, s.gdtr.base);
  EXPECT_EQ(0x27u, s.gdtr.limit);
  EXPECT_EQ(0x11u, s.cr0);
  EXPECT_EQ(0xFFFF0FF0u, s.dr6);
}

TEST(LogParser, ReadsAStateOf64BitCode) {
  LogEvent event;
  ASSERT_EQ(ParseOutcome::kEvent, parse_event(state64(), false, event).outcome);
  const QemuState& s = event.state;
  EXPECT_TRUE(s.code64);
  EXPECT_TRUE(s.long_mode);
  for (const unsigned i : {9u, 13u, 14u, 15u}) EXPECT_EQ(i == 9 ? 9u : 0x10 + i - 10, s.gpr[i]);
  EXPECT_EQ(0xFFFFFFFF814FBA68u, s.rip);
  EXPECT_EQ(0x86u, s.rflags);
  EXPECT_EQ(3u, s.cpl);
  EXPECT_TRUE(s.shadow);
  EXPECT_EQ(0x7F0011223344u, s.segments[kFs].base);
  EXPECT_EQ(0xFFFFFE0000003000u, s.tr.base);
  EXPECT_EQ(0xFFFFFE0000000000u, s.idtr.base);
  EXPECT_EQ(0xFFFF888001F62520u, s.cr2);
  EXPECT_EQ(0x1C1D000u, s.cr3);
  EXPECT_EQ(0x6A0u, s.cr4);
  EXPECT_EQ(4u, s.dr[3]);
  EXPECT_EQ(0xD01u, s.efer);
  EXPECT_FALSE(s.has_fpu);
}

TEST(LogParser, ReadsTheFloatingPointLines) {
  LogEvent event;
  const std::string text = state64() + fpu() + state64();
  const ParseResult parsed = parse_event(text, true, event);
  ASSERT_EQ(ParseOutcome::kEvent, parsed.outcome);
  EXPECT_EQ(state64().size() + fpu().size(), parsed.used);
  const QemuFpu& f = event.state.fpu;
  EXPECT_EQ(0x37Fu, f.control_word);
  EXPECT_EQ(0x3800u, f.status_word);
  EXPECT_EQ(0x80u, f.valid_mask);
  EXPECT_EQ(0x1FA0u, f.mxcsr);
  EXPECT_EQ(0x3FFFu, f.registers[7].exponent);
  EXPECT_EQ(u64{1} << 63, f.registers[7].significand);
  EXPECT_EQ(0xBBu, f.xmm[14].q[0]);
  EXPECT_EQ(0xAAu, f.xmm[14].q[1]);
  EXPECT_EQ(0x2222222222222222u, f.xmm[15].q[0]);
}

TEST(LogParser, HalfTheVectorRegistersIn32BitCode) {
  LogEvent event;
  const std::string text = state32() + fpu(8);
  const ParseResult parsed = parse_event(text + state32(), true, event);
  ASSERT_EQ(ParseOutcome::kEvent, parsed.outcome);
  EXPECT_EQ(text.size(), parsed.used);
}

TEST(LogParser, ReadsFaultsAndInterrupts) {
  LogEvent event;
  ASSERT_EQ(ParseOutcome::kEvent, parse_event(page_fault() + state64(), true, event).outcome);
  EXPECT_EQ(EventKind::kException, event.kind);
  EXPECT_EQ(14u, event.vector);
  EXPECT_EQ(2u, event.error_code);
  EXPECT_FALSE(event.hardware);
  EXPECT_FALSE(event.software);
  EXPECT_EQ(0xFFFFFFFF814FBA68u, event.state.rip);

  const std::string text = timer_interrupt() + state64();
  const ParseResult parsed = parse_event(text, false, event);
  ASSERT_EQ(ParseOutcome::kEvent, parsed.outcome);
  EXPECT_EQ(text.size(), parsed.used);
  EXPECT_EQ(EventKind::kException, event.kind);
  EXPECT_EQ(0xECu, event.vector);
  EXPECT_TRUE(event.hardware);
}

TEST(LogParser, WantsMoreOfEveryBeginning) {
  for (const std::string& whole : {state32(), state64(), page_fault() + state64(), timer_interrupt() + state32()}) {
    LogEvent event;
    for (std::size_t size = 0; size < whole.size(); ++size) {
      ASSERT_EQ(ParseOutcome::kNeedMore, parse_event(std::string_view(whole).substr(0, size), false, event).outcome)
          << size;
    }
    EXPECT_EQ(ParseOutcome::kEvent, parse_event(whole, false, event).outcome);
  }
}

TEST(LogParser, NamesTheLineThatDoesNotFit) {
  LogEvent event;
  const std::string filler(kLongestEvent, ' ');
  std::string text = state64();
  text.replace(text.find("CR4="), 4, "CR5=");
  text += filler;  // the bad line is a view of it
  ParseResult parsed = parse_event(text, false, event);
  EXPECT_EQ(ParseOutcome::kMalformed, parsed.outcome);
  EXPECT_EQ("CR0=80050033 CR2=ffff888001f62520 CR3=0000000001c1d000 CR5=000006a0", parsed.bad_line);
  const std::string strange = "qemu: something new\n" + filler;
  parsed = parse_event(strange, false, event);
  EXPECT_EQ(ParseOutcome::kMalformed, parsed.outcome);
  EXPECT_EQ("qemu: something new", parsed.bad_line);
}

}  // namespace
}  // namespace bhvm::lockstep
