// What holds for every instruction, and results that no two machines share.
#include "oracle/compare/explain.h"

namespace bhvm::oracle {
namespace {

u64 resume_flag(const MaskContext& c, const Difference& d) {
  return d.field == Field::kRflags && is_fault(c.ours.vector) && (d.ours & kResume) != 0 ? kResume : 0;
}

u64 cpuid_result(const MaskContext&, const Difference& d) {
  return d.field == Field::kGpr && d.index < 4 ? ~u64{0} : 0;
}

u64 time_stamp(const MaskContext&, const Difference& d) {
  return d.field == Field::kGpr && (d.index == 0 || d.index == 2) ? 0xFFFFFFFF : 0;
}

u64 random_number(const MaskContext& c, const Difference& d) {
  if (d.field != Field::kGpr) return 0;
  const ZydisDecodedOperand& to = c.instruction->operands[0];
  const ZydisRegister wide = ZydisRegisterGetLargestEnclosing(c.instruction->z.machine_mode, to.reg.value);
  return ZydisRegisterGetId(wide) == d.index ? ~u64{0} : 0;
}

constexpr MaskRow kRows[] = {
    {"RF of faults", "*", Oracle::kQemu, MaskKind::kQemuWrong, resume_flag,
     "QEMU pushes RFLAGS without RF for fault-class exceptions", "SDM 3, 18.3.1.1 and 6.12.1"},
    {"CPUID", "cpuid", Oracle::kQemu, MaskKind::kVaries, cpuid_result, "identifies the processor", "SDM 2, CPUID"},
    {"CPUID, host", "cpuid", Oracle::kNative, MaskKind::kVaries, cpuid_result, "identifies the processor",
     "SDM 2, CPUID"},
    {"time stamp", "rdtsc rdtscp", Oracle::kQemu, MaskKind::kVaries, time_stamp, "time", "SDM 2, RDTSC"},
    {"time stamp, host", "rdtsc rdtscp", Oracle::kNative, MaskKind::kVaries, time_stamp, "time", "SDM 2, RDTSC"},
    {"random number", "rdrand rdseed", Oracle::kQemu, MaskKind::kVaries, random_number, "random", "SDM 2, RDRAND"},
    {"random number, host", "rdrand rdseed", Oracle::kNative, MaskKind::kVaries, random_number, "random",
     "SDM 2, RDRAND"},
};

}  // namespace

std::span<const MaskRow> general_masks() { return kRows; }

}  // namespace bhvm::oracle
