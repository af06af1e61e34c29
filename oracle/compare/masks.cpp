#include "oracle/compare/masks.h"

namespace bhvm::oracle {

std::span<const MaskRow> mask_table() {
  static const std::vector<MaskRow> table = [] {
    std::vector<MaskRow> rows;
    for (const auto part : {general_masks(), integer_masks(), x87_masks(), area_masks(), sse_masks(),
                            masked_store_masks(), system_masks(), native_masks(), amd_masks()}) {
      rows.insert(rows.end(), part.begin(), part.end());
    }
    return rows;
  }();
  return table;
}

std::string_view to_string(MaskKind kind) {
  switch (kind) {
    case MaskKind::kUndefined:
      return "undefined";
    case MaskKind::kVaries:
      return "varies";
    case MaskKind::kQemuWrong:
      return "QEMU is wrong";
    case MaskKind::kHost:
      return "host";
    case MaskKind::kVendor:
      return "vendor";
  }
  return "?";
}

std::string_view to_string(Oracle oracle) { return oracle == Oracle::kQemu ? "QEMU" : "native"; }

std::string_view to_string(Host host) { return host == Host::kIntel ? "Intel" : host == Host::kAmd ? "AMD" : "any"; }

bool matches(const MaskRow& row, std::string_view mnemonic) {
  std::string_view rest = row.mnemonics;
  while (!rest.empty()) {
    const std::size_t blank = rest.find(' ');
    std::string_view word = rest.substr(0, blank);
    rest = blank == std::string_view::npos ? std::string_view{} : rest.substr(blank + 1);
    if (word == mnemonic) return true;
    if (word.ends_with('*') && mnemonic.starts_with(word.substr(0, word.size() - 1))) return true;
  }
  return false;
}

}  // namespace bhvm::oracle
