#include "oracle/compare/comparer.h"

namespace bhvm::oracle {

bool native_knows(Field field) {
  return field != Field::kAccessed && field != Field::kDirty && field != Field::kPteChanged && field != Field::kSystem;
}

void Comparer::decode(const CaseGroup& group) {
  if (decoded_.group == &group) return;
  decoded_ = DecodedGroup{&group, {}, {}};
  const bool code64 = group.group.mode == Mode::kUser64 || group.group.mode == Mode::kKernel64;
  const std::span<const MaskRow> table = mask_table();
  for (u64 at = 0; at < group.group.code_bytes;) {
    DecodedInstruction insn{};
    insn.mode = code64 ? mode::kCode64 : mode::kCode32;
    if (decoder_.decode({group.group.code + at, group.group.code_bytes - at}, code64, insn) != Decoded::kYes) break;
    at += insn.z.length;
    const std::string_view mnemonic = ZydisMnemonicGetString(insn.z.mnemonic);
    std::vector<u16> rows;
    for (std::size_t row = 0; row < table.size(); ++row) {
      if (!holds_on(table[row], host_)) continue;
      if (table[row].mnemonics != "*" && matches(table[row], mnemonic)) rows.push_back(static_cast<u16>(row));
    }
    decoded_.instructions.push_back(insn);
    decoded_.rows.push_back(std::move(rows));
  }
}

u64 Comparer::explained_by(std::size_t row, const MaskContext& context, const Outcome* native,
                           const Difference& difference) {
  const MaskRow& mask = mask_table()[row];
  if (mask.oracle != context.oracle || !holds_on(mask, host_)) return 0;
  u64 bits = mask.explain(context, difference) & difference.bits();
  if (bits != 0 && mask.kind == MaskKind::kQemuWrong && native != nullptr && native_knows(difference.field)) {
    bits &= ~contradicted_by(*native, context, difference);
  }
  return bits;
}

u64 Comparer::contradicted_by(const Outcome& native, const MaskContext& context, const Difference& difference) {
  Difference host{difference.field, difference.index, difference.ours,
                  word_of(native, context.pristine, difference.field, difference.index)};
  if (host.bits() == 0) return 0;
  // What the host cannot know, or leaves undefined otherwise, contradicts nobody.
  MaskContext seen{context.group, context.input,   context.pristine,     context.ours,
                   native,        Oracle::kNative, context.instructions, nullptr};
  u64 left = host.bits();
  const std::span<const MaskRow> table = mask_table();
  for (std::size_t row = 0; row < table.size() && left != 0; ++row) {
    if (table[row].oracle != Oracle::kNative || !holds_on(table[row], host_)) continue;
    if (table[row].mnemonics == "*") left &= ~table[row].explain(seen, host);
  }
  for (std::size_t i = 0; i < decoded_.instructions.size() && left != 0; ++i) {
    seen.instruction = &decoded_.instructions[i];
    for (const u16 row : decoded_.rows[i]) {
      if (table[row].oracle == Oracle::kNative) left &= ~table[row].explain(seen, host);
    }
  }
  return left;
}

bool Comparer::explain(u32 case_index, const MaskContext& context, const Outcome* native,
                       std::vector<Difference>& differences) {
  const std::span<const MaskRow> table = mask_table();
  MaskContext with_instruction = context;
  const auto try_row = [&](std::size_t row, Difference& difference) {
    const u64 bits = explained_by(row, with_instruction, native, difference);
    if (bits == 0) return;
    if (counts_.row_used[row]++ == 0) counts_.row_first[row] = case_index;
    difference.theirs = (difference.theirs & ~bits) | (difference.ours & bits);
  };
  for (Difference& difference : differences) {
    with_instruction.instruction = nullptr;
    for (std::size_t row = 0; row < table.size() && difference.bits() != 0; ++row) {
      if (table[row].mnemonics == "*") try_row(row, difference);
    }
    for (std::size_t i = 0; i < decoded_.instructions.size() && difference.bits() != 0; ++i) {
      with_instruction.instruction = &decoded_.instructions[i];
      for (const u16 row : decoded_.rows[i]) try_row(row, difference);
    }
  }
  std::erase_if(differences, [](const Difference& d) { return d.bits() == 0; });
  return differences.empty();
}

void Comparer::compare(const Batch& batch, std::span<const Outcome> ours, std::span<const Outcome> theirs,
                       Oracle oracle, std::span<const Outcome> native, std::vector<Finding>& findings) {
  counts_.masked_by_case.resize(batch.case_count());
  std::vector<Difference> differences;
  decoded_ = DecodedGroup{};
  for (u32 i = 0; i < batch.case_count(); ++i) {
    const CaseGroup& group = batch.group_of(i);
    if (oracle == Oracle::kNative && !was_run(theirs[i])) continue;
    differences.clear();
    compare_outcomes(ours[i], theirs[i], batch.pristine(), differences);
    if (oracle == Oracle::kNative)
      std::erase_if(differences, [](const Difference& d) { return !native_knows(d.field); });
    if (differences.empty()) continue;
    decode(group);
    const MaskContext context{group,
                              group.cases[i - group.group.first_case],
                              batch.pristine(),
                              ours[i],
                              theirs[i],
                              oracle,
                              decoded_.instructions};
    const Outcome* host = native.empty() || !group.native || !was_run(native[i]) ? nullptr : &native[i];
    if (explain(i, context, host, differences)) {
      counts_.masked_cases += 1;
      counts_.masked_by_case[i] = 1;
    } else {
      findings.push_back({i, oracle, differences});
    }
  }
}

}  // namespace bhvm::oracle
