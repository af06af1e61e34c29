// The runner where there is no native x86-64 Linux.
#include "oracle/native/native_runner.h"

namespace bhvm::oracle {

class NativeRunner::Impl {};

NativeRunner::~NativeRunner() = default;
pid_t NativeRunner::child() const { return -1; }

Result<std::unique_ptr<NativeRunner>> NativeRunner::create(const NativeOptions&) {
  return Error{"native cases run on x86-64 Linux only; run without them"};
}
Status NativeRunner::run(std::span<const CaseGroup* const>, const Pristine&, std::span<Outcome>) {
  return Error{"native cases run on x86-64 Linux only; run without them"};
}
Status NativeRunner::run(const CaseGroup&, const Pristine&, std::span<Outcome>) {
  return Error{"native cases run on x86-64 Linux only; run without them"};
}

}  // namespace bhvm::oracle
