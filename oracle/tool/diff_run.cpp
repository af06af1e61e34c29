#include "oracle/tool/diff_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>

namespace bhvm::oracle {
namespace {

std::string kind_of(const CaseGroup& group, const Finding& finding) {
  std::string kind = fmt::format("{} ({}):", group.form, to_string(finding.oracle));
  std::set<std::string> fields;
  for (const Difference& d : finding.differences) {
    fields.insert(d.field == Field::kMemory ? std::string("memory") : name_of(d.field, d.index));
  }
  for (const std::string& field : fields) kind += " " + field;
  return kind;
}

CaughtCase cut_out(const Batch& batch, u32 index, std::span<const Outcome> ours, std::span<const Outcome> theirs,
                   std::span<const Outcome> native) {
  const CaseGroup& group = batch.group_of(index);
  CaughtCase caught;
  caught.group = single_case(group, index - group.group.first_case);
  caught.pristine = batch.shared_pristine();
  caught.ours = ours[index];
  caught.theirs = theirs[index];
  if (!native.empty() && group.native) caught.native = native[index];
  return caught;
}

}  // namespace

Result<std::vector<Outcome>> run_native(NativeRunner& runner, const Batch& batch) {
  std::vector<const CaseGroup*> groups;
  u64 cases = 0;
  for (const CaseGroup& group : batch.groups()) {
    if (!group.native) continue;
    groups.push_back(&group);
    cases += group.group.case_count;
  }
  std::vector<Outcome> packed(cases);
  if (Status status = runner.run(groups, batch.pristine(), packed); !status) return status.error();
  Outcome not_run{};
  not_run.vector = kVectorNotRun;
  std::vector<Outcome> outcomes(batch.case_count(), not_run);
  auto from = packed.begin();
  for (const CaseGroup* group : groups) {
    std::copy_n(from, group->group.case_count, outcomes.begin() + group->group.first_case);
    from += group->group.case_count;
  }
  return outcomes;
}

CaseGroup single_case(const CaseGroup& group, u32 index) {
  CaseGroup one = group;
  one.cases = {group.cases[index]};
  if (!group.steps.empty()) one.steps = {group.steps[index]};
  return one;
}

void DiffRun::keep(const Batch& batch, std::span<const Outcome> ours, std::span<const Outcome> theirs,
                   std::span<const Outcome> native, const Finding& finding) {
  const CaseGroup& group = batch.group_of(finding.case_index);
  if (report_.kinds[kind_of(group, finding)]++ >= kKeptOfAKind) return;
  CaughtCase caught = cut_out(batch, finding.case_index, ours, theirs, native);
  caught.oracle = finding.oracle;
  caught.differences = finding.differences;
  report_.caught.push_back(std::move(caught));
}

void DiffRun::keep_of_rows(const Batch& batch, std::span<const Outcome> ours, std::span<const Outcome> theirs,
                           std::span<const Outcome> native, const ComparisonCounts& counts) {
  for (const std::size_t row : options_.wanted_rows) {
    std::vector<CaughtCase>& kept = report_.row_cases[row];
    if (counts.row_used[row] == 0 || kept.size() == kKeptOfARow) continue;
    kept.push_back(cut_out(batch, counts.row_first[row], ours, theirs, native));
  }
}

void DiffRun::merge(const Batch& batch, std::span<const Outcome> ours, std::span<const Outcome> theirs,
                    std::span<const Outcome> native, const std::vector<Finding>& findings,
                    const std::vector<u8>& masked_by_case) {
  std::vector<u8> differs(batch.case_count());
  for (const Finding& finding : findings) {
    differs[finding.case_index] = 1;
    keep(batch, ours, finding.oracle == Oracle::kQemu ? theirs : native, native, finding);
  }
  for (const CaseGroup& group : batch.groups()) {
    FamilyCounts& family = report_.families[group.family];
    family.forms.insert(group.form);
    report_.mnemonics.insert(group.mnemonic);
    family.cases += group.group.case_count;
    for (u32 i = 0; i < group.group.case_count; ++i) {
      const u32 index = group.group.first_case + i;
      family.differences += differs[index];
      family.masked += differs[index] == 0 && masked_by_case[index] != 0 ? 1 : 0;
      report_.differences += differs[index];
      report_.masked += differs[index] == 0 && masked_by_case[index] != 0 ? 1 : 0;
      if (!native.empty() && group.native && was_run(native[index])) report_.native_cases += 1;
    }
  }
  report_.cases += batch.case_count();
}

Status DiffRun::repeat(QemuRunner& qemu, const Batch& batch, std::span<const Outcome> ours, std::span<Outcome> theirs,
                       std::span<const Outcome> native, std::vector<Finding>& findings) {
  if (findings.empty()) return success();
  Batch again(batch.shared_pristine());
  std::vector<Outcome> our_part, native_part;
  for (const Finding& finding : findings) {
    const CaseGroup& group = batch.group_of(finding.case_index);
    again.add(single_case(group, finding.case_index - group.group.first_case));
    our_part.push_back(ours[finding.case_index]);
    if (!native.empty()) native_part.push_back(native[finding.case_index]);
  }
  if (Status status = qemu.restart(); !status) return status;
  if (Status status = qemu.start(again); !status) return status;
  const auto fresh = qemu.finish();
  if (!fresh) return fresh.error();
  for (u32 i = 0; i < findings.size(); ++i) theirs[findings[i].case_index] = fresh.value()[i];
  Comparer comparer;
  std::vector<Finding> confirmed;
  comparer.compare(again, our_part, fresh.value(), Oracle::kQemu, native_part, confirmed);
  const std::size_t dropped = findings.size() - confirmed.size();
  for (Finding& finding : confirmed) finding.case_index = findings[finding.case_index].case_index;
  findings = std::move(confirmed);
  const std::lock_guard lock(mutex_);
  report_.unrepeated += dropped;
  return success();
}

Status DiffRun::work(CaseSource& source) {
  auto bhvm = BhvmRunner::create();
  if (!bhvm) return bhvm.error();
  auto qemu = QemuRunner::create(options_.qemu);
  if (!qemu) return qemu.error();
  std::unique_ptr<NativeRunner> native;
  if (options_.native) {
    auto made = NativeRunner::create();
    if (made) {
      native = std::move(made.value());
    } else {
      const std::lock_guard lock(mutex_);
      report_.native_missing = made.error().message;
    }
  }
  u64 instructions = 0;
  unsigned restarts = 0;
  while (!failed_ && (options_.stop == nullptr || !*options_.stop)) {
    const std::unique_ptr<Batch> batch = source.next();
    if (!batch) break;
    if (Status status = qemu.value()->start(*batch); !status) return status;
    auto ours = bhvm.value()->run(*batch);
    if (!ours) return ours.error();
    std::vector<Outcome> host;
    if (native) {
      auto ran = run_native(*native, *batch);
      if (!ran) return ran.error();
      host = std::move(ran.value());
    }
    const auto ran = qemu.value()->finish();
    if (!ran) return ran.error();
    std::vector<Outcome> theirs(ran.value().begin(), ran.value().end());

    Comparer comparer;
    std::vector<Finding> findings;
    comparer.compare(*batch, ours.value(), theirs, Oracle::kQemu, host, findings);
    if (Status status = repeat(*qemu.value(), *batch, ours.value(), theirs, host, findings); !status) return status;
    if (native) comparer.compare(*batch, ours.value(), host, Oracle::kNative, {}, findings);

    const std::lock_guard lock(mutex_);
    merge(*batch, ours.value(), theirs, host, findings, comparer.counts().masked_by_case);
    keep_of_rows(*batch, ours.value(), theirs, host, comparer.counts());
    for (std::size_t row = 0; row < report_.row_used.size(); ++row) {
      report_.row_used[row] += comparer.counts().row_used[row];
    }
    report_.instructions += bhvm.value()->instructions() - instructions;
    instructions = bhvm.value()->instructions();
    report_.qemu_restarts += qemu.value()->restarts() - restarts;
    restarts = qemu.value()->restarts();
  }
  return success();
}

Status DiffRun::run(const Progress& progress) {
  const auto start = std::chrono::steady_clock::now();
  report_ = RunReport{};
  report_.row_used.resize(mask_table().size());
  auto source = CaseSource::create(options_.source);
  if (!source) return source.error();
  forms_ = source.value()->forms();

  Status result = success();
  std::atomic<unsigned> running = options_.jobs;
  std::vector<std::thread> workers;
  for (unsigned i = 0; i < options_.jobs; ++i) {
    workers.emplace_back([&] {
      Status status = work(*source.value());
      if (!status) {
        const std::lock_guard lock(mutex_);
        if (result) result = status;
        failed_ = true;
      }
      running -= 1;
    });
  }
  const auto seconds = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); };
  for (unsigned tick = 0; running != 0; ++tick) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    if (tick % 20 != 19) continue;
    const std::lock_guard lock(mutex_);
    report_.seconds = seconds();
    if (progress) progress(report_);
  }
  for (std::thread& worker : workers) worker.join();
  report_.seconds = seconds();
  return result;
}

}  // namespace bhvm::oracle
