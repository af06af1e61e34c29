#include "oracle/lockstep/comparison.h"

#include <fmt/format.h>

#include <cstring>

#include "oracle/lockstep/qemu_session.h"

namespace bhvm::lockstep {
namespace {

constexpr std::string_view kNames[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                       "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
constexpr std::string_view kSegmentNames[] = {"es", "cs", "ss", "ds", "fs", "gs"};
constexpr std::string_view kDebugNames[] = {"dr0", "dr1", "dr2", "dr3"};

constexpr u16 kBusy = 1 << 1;  // of a TSS descriptor's type (SDM 3, 8.2.2)

bool is_null(const QemuSegment& segment) { return (segment.selector & ~3) == 0; }
bool is_present(u16 attributes) { return (attributes & descriptor::kPresent) != 0; }

/// Calls visit(name, part of the name, ours, theirs) for every field that is compared.
template <class Visit>
void visit_segment(std::string_view name, const SegmentState& ours, const QemuSegment& theirs, bool always_base,
                   const Visit& visit, u16 ignored_attributes = 0) {
  visit(name, "", u64{ours.selector}, u64{theirs.selector});
  if (is_null(theirs)) {  // Rule::kNullSegment
    if (always_base) visit(name, ".base", ours.base, theirs.base);
    return;
  }
  const bool present = is_present(ours.attributes);
  visit(name, ".present", u64{present}, u64{is_present(theirs.attributes())});
  if (present || always_base) visit(name, ".base", ours.base, theirs.base);
  if (!present) return;
  visit(name, ".limit", u64{ours.limit}, u64{theirs.limit});
  const u64 compared = 0xFFFFu & ~u64{ignored_attributes};
  visit(name, ".attributes", ours.attributes & compared, theirs.attributes() & compared);
}

template <class Visit>
void visit_fields(const CpuState& ours, bool shadow, const QemuState& theirs, const Visit& visit) {
  const unsigned registers = theirs.code64 ? 16 : 8;
  const u64 mask = theirs.code64 ? ~u64{0} : 0xFFFFFFFF;
  visit("rip", "", ours.rip, theirs.rip);
  for (unsigned i = 0; i < registers; ++i) visit(kNames[i], "", ours.gpr[i] & mask, theirs.gpr[i]);
  visit("rflags", "", ours.rflags, theirs.rflags);
  visit("cpl", "", u64{ours.cpl}, u64{theirs.cpl});
  visit("interrupt shadow", "", u64{shadow}, u64{theirs.shadow});
  for (unsigned i = 0; i < kSegmentCount; ++i) {
    visit_segment(kSegmentNames[i], ours.segments[i], theirs.segments[i], i == kFs || i == kGs, visit);
  }
  visit_segment("ldtr", ours.ldtr, theirs.ldtr, false, visit);
  visit_segment("tr", ours.tr, theirs.tr, false, visit, kBusy);  // Rule::kTaskBusy
  visit("gdtr", ".base", ours.gdtr.base, theirs.gdtr.base);
  visit("gdtr", ".limit", u64{ours.gdtr.limit}, u64{theirs.gdtr.limit});
  visit("idtr", ".base", ours.idtr.base, theirs.idtr.base);
  visit("idtr", ".limit", u64{ours.idtr.limit}, u64{theirs.idtr.limit});
  visit("cr0", "", ours.cr0, theirs.cr0);
  visit("cr2", "", ours.cr2, theirs.cr2);
  visit("cr3", "", ours.cr3, theirs.cr3);
  visit("cr4", "", ours.cr4, theirs.cr4);
  for (unsigned i = 0; i < ours.dr.size(); ++i) visit(kDebugNames[i], "", ours.dr[i], theirs.dr[i]);
  visit("dr6", "", ours.dr6, theirs.dr6);
  visit("dr7", "", ours.dr7, theirs.dr7);
  visit("efer", "", ours.msr.efer, theirs.efer);
  if (!theirs.has_fpu) return;
  visit("fcw", "", u64{ours.x87.control_word}, u64{theirs.fpu.control_word});
  visit("fsw", "", u64{ours.x87.status_word}, u64{theirs.fpu.status_word});
  visit("ftw", "", u64{ours.x87.valid_mask}, u64{theirs.fpu.valid_mask});
  visit("mxcsr", "", u64{ours.mxcsr}, u64{theirs.fpu.mxcsr});
  constexpr std::string_view kIndex[] = {"0", "1", "2",  "3",  "4",  "5",  "6",  "7",
                                         "8", "9", "10", "11", "12", "13", "14", "15"};
  for (unsigned i = 0; i < 8; ++i) {
    visit("fpr significand ", kIndex[i], ours.x87.regs[i].significand, theirs.fpu.registers[i].significand);
    visit("fpr exponent ", kIndex[i], u64{ours.x87.regs[i].sign_exponent}, u64{theirs.fpu.registers[i].exponent});
  }
  for (unsigned i = 0; i < registers; ++i) {
    visit("low half of xmm", kIndex[i], ours.xmm[i].q[0], theirs.fpu.xmm[i].q[0]);
    visit("high half of xmm", kIndex[i], ours.xmm[i].q[1], theirs.fpu.xmm[i].q[1]);
  }
}

}  // namespace

bool equal(const CpuState& ours, bool shadow, const QemuState& theirs) {
  u64 difference = 0;
  visit_fields(ours, shadow, theirs, [&](std::string_view, std::string_view, u64 a, u64 b) { difference |= a ^ b; });
  return difference == 0;
}

void count_tolerated(const CpuState& ours, const QemuState& theirs, RuleCounts& rules) {
  for (unsigned i = 0; i < kSegmentCount; ++i) {
    const QemuSegment& other = theirs.segments[i];
    if (is_null(other) && is_present(ours.segments[i].attributes) != is_present(other.attributes())) {
      rules.count(Rule::kNullSegment);
    }
  }
  if (!is_null(theirs.tr) && ours.tr.attributes != theirs.tr.attributes()) rules.count(Rule::kTaskBusy);
}

std::vector<FieldPair> fields(const CpuState& ours, bool shadow, const QemuState& theirs) {
  std::vector<FieldPair> pairs;
  visit_fields(ours, shadow, theirs, [&](std::string_view name, std::string_view part, u64 a, u64 b) {
    pairs.push_back({fmt::format("{}{}", name, part), a, b});
  });
  return pairs;
}

std::vector<RamDifference> ram_differences(const GuestMemory& ours, std::span<const u8> theirs, std::size_t most) {
  std::vector<RamDifference> found;
  for (u64 page = 0; page < theirs.size() && found.size() < most; page += kPageSize) {
    if (page >= kFirmwareStart && page < kFirmwareEnd) continue;
    const u8* mine = ours.peek_page({page});
    const u8* other = theirs.data() + page;
    if (std::memcmp(mine, other, kPageSize) == 0) continue;
    for (u64 at = 0; at < kPageSize && found.size() < most; at += sizeof(u64)) {
      u64 a = 0;
      u64 b = 0;
      std::memcpy(&a, mine + at, sizeof(a));
      std::memcpy(&b, other + at, sizeof(b));
      if (a != b) found.push_back({page + at, a, b});
    }
  }
  return found;
}

}  // namespace bhvm::lockstep
