// bhvm run, seen from outside: exit statuses, streams, files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/cli/command.h"

namespace bhvm::test {
namespace {

using testing::HasSubstr;

TEST_F(CommandTest, StandardOutputIsTheGuestsConsoleAndNothingElse) {
  const CommandResult result = run(join({print("hello\n"), exit_with(7), spin()}));
  EXPECT_EQ(result.status, 7);
  EXPECT_EQ(result.out, "hello\n");
  EXPECT_THAT(result.err, HasSubstr("guest-exit with status 7"));
  const CommandResult quiet = run(join({print("hello\n"), exit_with(7), spin()}), {"--quiet"});
  EXPECT_EQ(quiet.out, "hello\n");
  EXPECT_EQ(quiet.err, "");
  const CommandResult file = run(join({print("hello\n"), exit_with(0), spin()}), {"--console", path("console")});
  EXPECT_EQ(file.out, "");
  EXPECT_EQ(read("console"), "hello\n");
}

TEST_F(CommandTest, EveryEndHasItsStatus) {
  // mov dx, port; mov ax, value; out dx, ax
  const auto write_port = [](u16 port, u16 value) -> Code {
    return {0x66, 0xBA, static_cast<u8>(port),  static_cast<u8>(port >> 8),
            0x66, 0xB8, static_cast<u8>(value), static_cast<u8>(value >> 8),
            0x66, 0xEF};
  };
  EXPECT_EQ(run(join({exit_with(0), spin()})).status, 0);
  EXPECT_EQ(run(join({write_port(0x604, 0x3400), spin()})).status, 0) << "power-off by ACPI";
  EXPECT_EQ(run(join({write_port(0x505, 1), spin()})).status, 120) << "panic";
  const CommandResult triple = run(triple_fault());
  EXPECT_EQ(triple.status, 121);
  EXPECT_THAT(triple.err, HasSubstr("rip "));
  EXPECT_EQ(run(spin(), {"--max-instructions", "1000"}).status, 123);
  EXPECT_EQ(run(spin(), {"--max-time", "1ms"}).status, 123);
  EXPECT_EQ(run(halt_forever()).status, 124);
  EXPECT_EQ(run({0xFB, 0xF4, 0xEB, 0xFD}).status, 124) << "sti; hlt: nothing will ever come";
  EXPECT_EQ(run(join({write_port(0xCF9, 0x06), spin()})).status, 125) << "reset";
}

TEST_F(CommandTest, AnUnsupportedInstructionIsNamed) {
  // Jumps to where there is no RAM.
  const CommandResult result = run({0xB8, 0x00, 0x00, 0x00, 0xD1, 0xFF, 0xE0});  // mov eax, D1000000h; jmp rax
  EXPECT_EQ(result.status, 122);
  EXPECT_THAT(result.err, HasSubstr("unsupported-instruction ("));
}

TEST_F(CommandTest, StatisticsAreJson) {
  const CommandResult result =
      run(join({print("abc"), spin()}),
          {"--max-instructions", "100k", "--stats", path("stats.json"), "--seed", "5", "--append", "a \"b\""});
  EXPECT_EQ(result.status, 123);
  const nlohmann::json json = nlohmann::json::parse(read("stats.json"));
  EXPECT_EQ(json.at("exit"), "instruction-limit");
  EXPECT_EQ(json.at("exit_status"), 123);
  EXPECT_EQ(json.at("instructions"), 100'000);
  EXPECT_EQ(json.at("virtual_ns"), 100'000);
  EXPECT_EQ(json.at("idle_ns"), 0);
  EXPECT_EQ(json.at("rep_iterations"), 0);
  EXPECT_EQ(json.at("seed"), 5);
  EXPECT_EQ(json.at("memory_bytes"), 64 << 20);
  EXPECT_GT(json.at("memory_touched_bytes"), 0);
  EXPECT_LE(json.at("memory_touched_bytes"), 64 << 20);
  EXPECT_EQ(json.at("memory_touched_bytes").get<u64>() % 4096, 0U);
  EXPECT_EQ(json.at("command_line"), "a \"b\"");
  EXPECT_EQ(json.at("console_bytes"), 3);
  EXPECT_EQ(json.at("state_hash").get<std::string>().size(), 32u);
  for (const char* field : {"wall_s", "cpu_s", "mips"}) EXPECT_GE(json.at(field).get<double>(), 0) << field;
}

TEST_F(CommandTest, HashesAreTheSameWhateverElseIsAsked) {
  const Code code = join({print("x"), store_loop(0)});
  ASSERT_EQ(run(code, {"--max-instructions", "1M", "--hash-every", "250k", "--hashes", path("a")}).status, 123);
  const std::string hashes = read("a");
  EXPECT_EQ(std::count(hashes.begin(), hashes.end(), '\n'), 4) << hashes;
  EXPECT_EQ(hashes.rfind("250000 ", 0), 0u);
  ASSERT_EQ(run(code, {"--max-instructions", "1M", "--hash-every", "50k", "--hashes", path("b"), "--no-stdin"}).status,
            123);
  const std::string finer = read("b");
  EXPECT_THAT(finer, HasSubstr(hashes.substr(hashes.rfind("1000000 "))));
  const CommandResult on_stderr = run(code, {"--max-instructions", "1M", "--hash-every", "250k", "--quiet"});
  EXPECT_EQ(on_stderr.err, hashes);
}

TEST_F(CommandTest, ASavedRunGoesOnAsIfItHadNotStopped) {
  const Code code = join({print("x"), store_loop(0)});
  const auto hash_of = [&](const std::string& name) {
    return nlohmann::json::parse(read(name)).at("state_hash").get<std::string>();
  };
  ASSERT_EQ(run(code, {"--max-instructions", "900k", "--stats", path("whole")}).status, 123);
  ASSERT_EQ(run(code, {"--max-instructions", "400k", "--save", path("saved")}).status, 123);
  ASSERT_EQ(bhvm({"run", "--load", path("saved"), "--max-instructions", "900k", "--stats", path("rest")}).status, 123);
  EXPECT_EQ(hash_of("whole"), hash_of("rest"));
  EXPECT_EQ(nlohmann::json::parse(read("rest")).at("instructions_at_start"), 400'000);
}

// Echoes what is typed until a q, then exits with 9.
Code echo_until_q() {
  return {0x66, 0xBA, 0xFC, 0x03, 0xB0, 0x02, 0xEE,  // mov dx, 3FCh; mov al, RTS; out dx, al
          0xB2, 0xFD, 0xEC, 0xA8, 0x01, 0x74, 0xF9,  // 1: mov dl, FDh; in al, dx; test al, 1; jz 1b
          0xB2, 0xF8, 0xEC, 0xEE,                    // mov dl, F8h; in al, dx; out dx, al
          0x3C, 'q',  0x75, 0xF1,                    // cmp al, 'q'; jne 1b
          0xB0, 0x09, 0xE6, 0xF4, 0xEB, 0xFE};       // exit with 9
}

TEST_F(CommandTest, StandardInputIsTypedRecordedAndReplayed) {
  const CommandResult live =
      run(echo_until_q(), {"--record", path("record"), "--stats", path("live"), "--max-time", "10s"}, "one two q");
  EXPECT_EQ(live.status, 9) << live.err;
  EXPECT_EQ(live.out, "one two q");
  EXPECT_EQ(read("record").rfind("bhvm-input 1\n", 0), 0u);
  const CommandResult replay =
      run(echo_until_q(), {"--input", path("record"), "--stats", path("replay"), "--max-time", "10s"}, "not this");
  EXPECT_EQ(replay.status, 9);
  EXPECT_EQ(replay.out, "one two q");
  EXPECT_EQ(nlohmann::json::parse(read("live")).at("state_hash"),
            nlohmann::json::parse(read("replay")).at("state_hash"));
}

TEST_F(CommandTest, InputWithoutAnEndDoesNotDisturb) {
  EXPECT_EQ(run(join({print("x"), exit_with(1), spin()}), {}, "").out, "x");
  EXPECT_EQ(run(join({print("x"), exit_with(1), spin()}), {}, std::string(100'000, 'z')).status, 1);
  // A guest that never reads: the run is the same with and without something typed at it, up to the waiting bytes.
  EXPECT_EQ(run(spin(), {"--max-instructions", "30M"}, std::string(100'000, 'z')).status, 123);
}

}  // namespace
}  // namespace bhvm::test
