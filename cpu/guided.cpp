#include "cpu/guided.h"

#include <bit>
#include <cstdlib>
#include <vector>

#include "cpu/sse/translate.h"

#if BHVM_GUIDED_ROWS
#include <cpuid.h>
#endif

namespace bhvm {
namespace {

#if BHVM_GUIDED_ROWS
/// AMD processors from family 26 (1Ah) on. Others were found to lose by it, or not measured.
bool host_gains() {
  unsigned eax, ebx, ecx, edx;
  if (__get_cpuid(0, &eax, &ebx, &ecx, &edx) == 0 || ebx != signature_AMD_ebx) return false;
  if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) == 0) return false;
  const unsigned family = ((eax >> 8) & 15) + ((eax >> 20) & 255);
  return family >= 26;
}
#else
bool host_gains() { return false; }
#endif

/// What BHVM_DISPATCH says; empty where it says nothing.
std::string_view said() {
  const char* const value = std::getenv("BHVM_DISPATCH");
  return value == nullptr ? std::string_view() : std::string_view(value);
}

Dispatch choose() {
  if (guided_rows().empty() || !sse::has_sse42_host()) return Dispatch::kByJump;
  for (const Dispatch one : {Dispatch::kByJump, Dispatch::kGuided}) {
    if (said() == name_of(one)) return one;
  }
  return host_gains() ? Dispatch::kGuided : Dispatch::kByJump;
}

/// The rows, found by a hash of the handler. Made once, never changed, and of nothing but the program itself.
class Rows {
 public:
  Rows() {
    for (const GuidedRow& row : guided_rows()) slots_[slot_of(row.handler)] = row;
  }

  /// nullptr when there is none.
  Handler find(Handler handler) const { return slots_[slot_of(handler)].guided; }

 private:
  static constexpr std::size_t kSlots = 2 * kMostGuidedRows;
  static constexpr unsigned kShift = 64 - std::countr_zero(kSlots);

  /// The slot of this one, or the free one where it belongs.
  std::size_t slot_of(Handler handler) const {
    std::size_t slot = (reinterpret_cast<std::uintptr_t>(handler) * 0x9E3779B97F4A7C15) >> kShift;
    while (slots_[slot].handler != nullptr && slots_[slot].handler != handler) slot = (slot + 1) % kSlots;
    return slot;
  }

  std::vector<GuidedRow> slots_{kSlots};
};

}  // namespace

#if !BHVM_GUIDED_ROWS
std::span<const GuidedRow> guided_rows() { return {}; }
#endif

std::string_view name_of(Dispatch dispatch) { return dispatch == Dispatch::kGuided ? "guided" : "jump"; }

std::optional<std::string> wrong_dispatch() {
  if (said().empty() || said() == name_of(Dispatch::kByJump) || said() == name_of(Dispatch::kGuided)) return {};
  return "BHVM_DISPATCH is '" + std::string(said()) + "'; say 'jump' or 'guided', or leave it out.";
}

Dispatch dispatch() {
  static const Dispatch chosen = choose();
  return chosen;
}

void guide_ops(std::span<Op> ops) {
  static const Rows rows;
  for (Op& op : ops) {
    if (op.handler == nullptr) continue;
    if (const Handler guided = rows.find(op.handler); guided != nullptr) op.handler = guided;
  }
}

}  // namespace bhvm
