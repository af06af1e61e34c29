// What each fault of a link does, seen from inside of a real guest.
#include "tests/end_to_end/lan.h"

namespace bhvm {
namespace {

using test::Lan;

class NetworkFaults : public testing::Test {
 protected:
  void SetUp() override { BHVM_NEEDS_GUEST; }
};

constexpr const char* kWait = "sleep 100000";

TEST_F(NetworkFaults, NoneIsAPlainNetwork) {
  Lan lan({"ping -c 5 10.0.0.2; cat /proc/net/snmp", kWait});
  lan.run_to_end(0);
  std::puts(lan.console(0).c_str());
}

}  // namespace
}  // namespace bhvm
