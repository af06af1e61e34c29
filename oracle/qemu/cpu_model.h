// QEMU's processor, cut down to what bhvm's CPUID claims.
#pragma once

#include <string>

namespace bhvm::oracle {

/// The value of QEMU's -cpu: "max" with every feature of QEMU 7.2's TCG switched off that bhvm does not claim. It calls
/// itself Intel's, since QEMU takes the vendor's side in SYSCALL, SYSENTER and IRET.
std::string qemu_cpu_model();

}  // namespace bhvm::oracle
