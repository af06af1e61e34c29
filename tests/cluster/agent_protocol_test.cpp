#include "cluster/agent_protocol.h"

#include <gmock/gmock.h>

#include "cluster/line_splitter.h"

namespace bhvm {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;

TEST(AgentProtocol, TextSurvivesEscaping) {
  for (const std::string text : {"", "plain", "a\nb\r\n", "\\n is no line feed", "\\", "ends\\"}) {
    EXPECT_EQ(unescape(escape(text)), text);
    EXPECT_EQ(escape(text).find_first_of("\n\r"), std::string::npos);
  }
}

TEST(AgentProtocol, AnIdentityEndsWithGo) {
  AgentIdentity identity;
  identity.host_name = "db1";
  identity.mac = {2, 0, 10, 0, 0, 1};
  identity.address = 0x0A000001;
  identity.hosts = {{0x0A000001, "db1"}, {0x0A000002, "db2"}};
  identity.environment = {{"A", "1\n2"}};
  identity.mounts = {{"/dev/vdb", "/data", "ext4"}};
  identity.date_ns = 1'700'000'001'000'000'002;
  identity.command = "echo one\necho two";
  const std::string lines = identity_lines(identity);
  EXPECT_THAT(lines, HasSubstr("hostname db1\n"));
  EXPECT_THAT(lines, HasSubstr("mac 02:00:0a:00:00:01\n"));
  EXPECT_THAT(lines, HasSubstr("address 10.0.0.1/24\n"));
  EXPECT_THAT(lines, HasSubstr("host 10.0.0.2 db2\n"));
  EXPECT_THAT(lines, HasSubstr("env A=1\\n2\n"));
  EXPECT_THAT(lines, HasSubstr("mount /dev/vdb /data ext4\n"));
  EXPECT_THAT(lines, HasSubstr("date 1700000001.000000002\n"));
  EXPECT_THAT(lines, HasSubstr("command echo one\\necho two\n"));
  EXPECT_THAT(lines, EndsWith("\ngo\n"));
}

TEST(AgentProtocol, ReadsWhatTheAgentSays) {
  EXPECT_EQ(parse_agent_line("ready").kind, AgentMessageKind::kReady);
  EXPECT_EQ(parse_agent_line("started").kind, AgentMessageKind::kStarted);
  EXPECT_EQ(parse_agent_line("exited 3").number, 3);
  EXPECT_EQ(parse_agent_line("killed 11").kind, AgentMessageKind::kKilled);
  const AgentMessage output = parse_agent_line("out 12 a\\\\b c");
  EXPECT_EQ(output.kind, AgentMessageKind::kOutput);
  EXPECT_EQ(output.id, 12);
  EXPECT_EQ(output.text, "a\\b c");
  const AgentMessage done = parse_agent_line("done 12 127");
  EXPECT_EQ(done.id, 12);
  EXPECT_EQ(done.number, 127);
  for (const char* const line : {"", "exited", "exited x", "done 1", "out", "nonsense 1"}) {
    EXPECT_EQ(parse_agent_line(line).kind, AgentMessageKind::kUnknown) << line;
  }
}

TEST(AgentProtocol, NamesSignals) {
  EXPECT_EQ(signal_name(11), "SIGSEGV");
  EXPECT_EQ(signal_name(6), "SIGABRT");
  EXPECT_EQ(signal_name(15), "SIGTERM");
  EXPECT_EQ(signal_name(64), "signal 64");
}

TEST(LineSplitter, CutsAStreamIntoLines) {
  LineSplitter splitter;
  std::vector<std::string> lines;
  const auto feed = [&](const std::string& text) {
    splitter.feed({reinterpret_cast<const u8*>(text.data()), text.size()},
                  [&](const std::string& line) { lines.push_back(line); });
  };
  feed("one\r\ntw");
  feed("o\n\nbell\x07\tend");
  EXPECT_THAT(lines, ElementsAre("one", "two", ""));
  EXPECT_TRUE(splitter.pending());
  splitter.flush([&](const std::string& line) { lines.push_back(line); });
  EXPECT_EQ(lines.back(), "bell\tend");
  EXPECT_FALSE(splitter.pending());
  feed(std::string(LineSplitter::kLongest + 5, 'x'));
  EXPECT_EQ(lines.back().size(), LineSplitter::kLongest);
}

}  // namespace
}  // namespace bhvm
