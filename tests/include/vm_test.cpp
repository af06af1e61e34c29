#include <bhvm/bhvm.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/machine/guest_code.h"

namespace {

using testing::HasSubstr;

class VmTest : public testing::Test {
 protected:
  void SetUp() override {
    directory_ = std::filesystem::temp_directory_path() / ("bhvm-vm-" + std::to_string(getpid()));
    std::filesystem::create_directories(directory_);
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  bhvm::VmConfig config_of(const bhvm::test::Code& code) {
    const std::vector<bhvm::u8> file = bhvm::test::kernel_of(code);
    bhvm::VmConfig config;
    config.kernel = (directory_ / "guest").string();
    config.memory_bytes = 64 << 20;
    std::ofstream(config.kernel, std::ios::binary)
        .write(reinterpret_cast<const char*>(file.data()), static_cast<std::streamsize>(file.size()));
    return config;
  }

  std::filesystem::path directory_;
};

bhvm::VmLimits until(std::uint64_t instructions) {
  bhvm::VmLimits limits;
  limits.instructions = instructions;
  return limits;
}

TEST_F(VmTest, RunsToTheGuestsExit) {
  using namespace bhvm::test;
  bhvm::Vm vm(config_of(join({print("hi"), exit_with(5), spin()})));
  std::string console;
  vm.on_console([&](std::string_view text) { console += text; });
  const bhvm::VmStop stop = vm.run();
  EXPECT_EQ(stop.reason, bhvm::VmStopReason::kGuestExit);
  EXPECT_TRUE(stop.ended());
  EXPECT_EQ(stop.status, 5u);
  EXPECT_EQ(console, "hi");
  EXPECT_EQ(to_string(stop.reason), "guest-exit");
  EXPECT_EQ(vm.statistics().instructions, vm.instructions());
}

TEST_F(VmTest, TypingReachesTheGuest) {
  // mov dx, 3FCh; mov al, 2 (RTS); out; 1: mov dl, FDh; in al, dx; test al, 1; jz 1b; mov dl, F8h; in al, dx; out F4h
  bhvm::Vm vm(config_of({0x66, 0xBA, 0xFC, 0x03, 0xB0, 0x02, 0xEE, 0xB2, 0xFD, 0xEC, 0xA8, 0x01, 0x74, 0xF9, 0xB2, 0xF8,
                         0xEC, 0xE6, 0xF4}));
  EXPECT_EQ(vm.run(until(1000)).reason, bhvm::VmStopReason::kInstructionLimit);
  EXPECT_EQ(vm.type("A"), 1u);
  const bhvm::VmStop stop = vm.run(until(100'000'000));
  EXPECT_EQ(stop.reason, bhvm::VmStopReason::kGuestExit);
  EXPECT_EQ(stop.status, static_cast<std::uint32_t>('A'));
}

TEST_F(VmTest, RegistersAndMemoryAreReadAndWritten) {
  bhvm::Vm vm(config_of(bhvm::test::spin()));
  bhvm::VmRegisters registers = vm.registers();
  EXPECT_EQ(registers.rip, 0x1000000u);
  EXPECT_EQ(registers.segment_selectors[1], 0x10);
  const unsigned char code[] = {0xE6, 0xF4};  // out F4h, al
  EXPECT_TRUE(vm.write_physical(0x2000000, std::as_bytes(std::span(code))));
  registers.rip = 0x2000000;
  registers.gpr[0] = 77;
  vm.set_registers(registers);
  std::byte back[2]{};
  EXPECT_EQ(vm.read_linear(0x2000000, back), 2u);
  EXPECT_EQ(std::memcmp(back, code, 2), 0);
  EXPECT_EQ(vm.read_linear(0xFFFF800000000000, back), 0u);
  EXPECT_FALSE(vm.read_physical(std::uint64_t{1} << 40, back));
  EXPECT_FALSE(vm.write_physical((64 << 20) - 1, back)) << "the second byte is not RAM";
  EXPECT_EQ(vm.run().status, 77u);
}

TEST_F(VmTest, SnapshotForkSaveAndLoadGoOnTheSame) {
  bhvm::Vm vm(config_of(bhvm::test::store_loop(0)));
  vm.run(until(100'000));
  bhvm::VmSnapshot snapshot = vm.snapshot();
  bhvm::Vm fork = vm.fork();
  const std::string path = (directory_ / "saved").string();
  vm.save(path);
  vm.run(until(250'000));
  bhvm::Vm again(snapshot);
  bhvm::Vm loaded = bhvm::Vm::load(path);
  for (bhvm::Vm* other : {&fork, &again, &loaded}) {
    other->run(until(250'000));
    EXPECT_EQ(other->state_hash(), vm.state_hash()) << bhvm::Vm::diff(*other, vm);
  }
  fork.run(until(250'001));
  EXPECT_THAT(bhvm::Vm::diff(fork, vm), HasSubstr("instructions"));
}

TEST_F(VmTest, AnotherThreadMayEndARun) {
  bhvm::Vm vm(config_of(bhvm::test::spin()));
  std::thread stopper([&] { vm.request_stop(); });
  EXPECT_EQ(vm.run().reason, bhvm::VmStopReason::kStopRequest);
  stopper.join();
}

TEST_F(VmTest, MistakesAreThrownAsSentences) {
  const auto message = [](const bhvm::VmConfig& config) -> std::string {
    try {
      bhvm::Vm vm(config);
      return "no error";
    } catch (const bhvm::VmError& error) {
      return error.what();
    }
  };
  bhvm::VmConfig config;
  EXPECT_THAT(message(config), HasSubstr("kernel"));
  config.kernel = "/nonexistent/vmlinux";
  EXPECT_THAT(message(config), HasSubstr("/nonexistent/vmlinux"));
  config = config_of(bhvm::test::spin());
  config.rate_denominator = 0;
  EXPECT_THAT(message(config), HasSubstr("rate"));
  EXPECT_THROW(bhvm::Vm::load("/nonexistent/saved"), bhvm::VmError);
}

}  // namespace
