// The ports that talk to the machine: exit, reset and pvpanic.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "devices/exit_port.h"
#include "devices/pvpanic.h"
#include "devices/reset_ports.h"
#include "tests/devices/bench_board.h"

namespace bhvm {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class ControlPorts : public testing::Test {
 protected:
  MachineLog machine;
};

TEST_F(ControlPorts, Exit) {
  ExitPort port(machine);
  port.write(1, 1, 5);
  port.write(0, 1, 3);
  port.write(0, 4, 0x1FF);
  EXPECT_EQ(port.read(0, 1), 0u);
  EXPECT_THAT(machine.log, ElementsAre("exit 3", "exit 255"));
}

TEST_F(ControlPorts, PvPanic) {
  PvPanic port(machine);
  EXPECT_EQ(port.read(0, 1), 3u);
  port.write(0, 1, 0xFC);
  EXPECT_THAT(machine.log, IsEmpty());
  port.write(0, 1, 0xFD);
  port.write(0, 1, 2);
  EXPECT_THAT(machine.log, ElementsAre("panicked 1", "panicked 2"));
}

TEST_F(ControlPorts, ResetControl) {
  ResetControl port(machine);
  port.write(0, 1, 0x0A);
  EXPECT_EQ(port.read(0, 1), 0x0Au);
  EXPECT_THAT(machine.log, IsEmpty());
  port.write(0, 1, 0x0E);
  port.write(0, 1, 0x0E);  // not rising
  EXPECT_THAT(machine.log, ElementsAre("reset"));
  port.reset();
  port.write(0, 1, 0x06);
  EXPECT_THAT(machine.log, ElementsAre("reset", "reset"));
}

TEST_F(ControlPorts, SystemControlPortA) {
  SystemControlPortA port(machine);
  EXPECT_EQ(port.read(0, 1), 2u);
  port.write(0, 1, 0xFC);
  EXPECT_EQ(port.read(0, 1), 0u);
  EXPECT_THAT(machine.log, IsEmpty());
  port.write(0, 1, 1);
  port.write(0, 1, 3);
  EXPECT_THAT(machine.log, ElementsAre("reset"));
}

TEST_F(ControlPorts, KeyboardCommand) {
  KeyboardCommandPort port(machine);
  EXPECT_EQ(port.read(0, 1), 0xFFu);
  port.write(0, 1, 0xFF);
  EXPECT_THAT(machine.log, IsEmpty());
  port.write(0, 1, 0xFE);
  EXPECT_THAT(machine.log, ElementsAre("reset"));
}

}  // namespace
}  // namespace bhvm
