#include "oracle/compare/host.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace bhvm::oracle {

Host this_host() {
#if defined(__x86_64__)
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (__get_cpuid(0, &eax, &ebx, &ecx, &edx) == 0) return Host::kAny;
  if (ebx == signature_INTEL_ebx && ecx == signature_INTEL_ecx && edx == signature_INTEL_edx) return Host::kIntel;
  if (ebx == signature_AMD_ebx && ecx == signature_AMD_ecx && edx == signature_AMD_edx) return Host::kAmd;
#endif
  return Host::kAny;
}

}  // namespace bhvm::oracle
