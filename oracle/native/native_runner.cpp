#include "oracle/native/native_runner.h"

#include <fmt/format.h>
#include <sys/auxv.h>

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "base/check.h"
#include "oracle/native/arena.h"
#include "oracle/native/child_process.h"

namespace bhvm::oracle {
namespace {

using native::ChildProcess;

/// One case of a call: where it comes from and where its outcome goes.
struct Entry {
  const CaseGroup* group;
  const Case* input;
  Outcome* outcome;
};

/// Nothing but what the contract fixes.
void set_ended(Outcome& outcome, u32 vector) {
  outcome = Outcome{};
  outcome.vector = vector;
}

Status check_bounds(const CaseGroup& group) {
  const Group& code = group.group;
  if (code.code_bytes > kMaxCode || code.code_offset > kRegionBytes - code.code_bytes) {
    return Error{
        fmt::format("the code of group \"{}\" does not lie in the case region; correct its generator", group.form)};
  }
  for (const Case& input : group.cases) {
    for (const Patch& patch : input.patches) {
      if (patch.bytes <= sizeof(patch.data) && patch.offset <= kRegionBytes - patch.bytes) continue;
      return Error{
          fmt::format("a patch of group \"{}\" does not lie in the case region; correct its generator", group.form)};
    }
  }
  return success();
}

}  // namespace

class NativeRunner::Impl {
 public:
  Impl(const NativeOptions& options, std::unique_ptr<ChildProcess> child)
      : options_(options), child_(std::move(child)) {}

  pid_t child() const { return child_->id(); }

  Status start() {
    child_->arena().input.tick_us = static_cast<u32>(options_.hang.count());
    return child_->start();
  }

  void set_pristine(const Pristine& pristine) {
    native::Input& input = child_->arena().input;
    if (input.pristine_version != 0 && std::memcmp(input.pristine, pristine.data(), pristine.size()) == 0) return;
    std::memcpy(input.pristine, pristine.data(), pristine.size());
    input.pristine_version += 1;
  }

  Status run(std::span<const Entry> entries) {
    while (!entries.empty()) {
      const std::size_t count = fill(entries, native::kChunkCases);
      if (child_->run_chunk(options_.silence) == ChildProcess::End::kDone) {
        collect(entries.first(count));
      } else if (Status each = run_one_by_one(entries.first(count)); !each) {
        return each;
      }
      entries = entries.subspan(count);
    }
    return success();
  }

 private:
  /// Puts as many of the entries as fit into the arena; returns how many.
  std::size_t fill(std::span<const Entry> entries, std::size_t most) {
    native::Input& input = child_->arena().input;
    const CaseGroup* last = nullptr;
    input.group_count = 0;
    std::size_t count = 0;
    for (const Entry& entry : entries.first(std::min(most, entries.size()))) {
      if (entry.group != last) {
        if (input.group_count == native::kChunkGroups) break;
        Group& group = input.groups[input.group_count++];
        group = entry.group->group;
        group.first_case = static_cast<u32>(count);
        group.case_count = 0;
        last = entry.group;
      }
      input.groups[input.group_count - 1].case_count += 1;
      input.cases[count++] = *entry.input;
    }
    return count;
  }

  void collect(std::span<const Entry> entries) {
    const native::Output& output = child_->arena().output;
    for (std::size_t i = 0; i < entries.size(); ++i) {
      const Outcome& from = output.outcomes[i];
      Outcome& to = *entries[i].outcome;
      const std::size_t listed = std::min(from.change_count, kMaxChanges);
      std::memcpy(&to, &from, offsetof(Outcome, changes) + listed * sizeof(Change));
      std::memset(&to.changes[0] + listed, 0, (kMaxChanges - listed) * sizeof(Change));
    }
  }

  /// After a chunk that the child did not survive: finds the case, or cases, that destroy it.
  Status run_one_by_one(std::span<const Entry> entries) {
    if (Status started = start(); !started) return started;
    for (std::size_t i = 0; i < entries.size(); ++i) {
      fill(entries.subspan(i), 1);
      const ChildProcess::End end = child_->run_chunk(options_.silence);
      if (end == ChildProcess::End::kDone) {
        collect(entries.subspan(i, 1));
        continue;
      }
      set_ended(*entries[i].outcome, end == ChildProcess::End::kSilent ? kVectorHung : kVectorNotRun);
      if (Status started = start(); !started) return started;
    }
    return success();
  }

  NativeOptions options_;
  std::unique_ptr<ChildProcess> child_;
};

NativeRunner::NativeRunner(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
NativeRunner::~NativeRunner() = default;

pid_t NativeRunner::child() const { return impl_->child(); }

Result<std::unique_ptr<NativeRunner>> NativeRunner::create(const NativeOptions& options) {
  constexpr unsigned long kHwcap2Fsgsbase = 1 << 1;
  if ((getauxval(AT_HWCAP2) & kHwcap2Fsgsbase) == 0) {
    return Error{"native cases need a processor with FSGSBASE and Linux 5.9 or later; run without them"};
  }
  if (!__builtin_cpu_supports("avx2")) return Error{"native cases need a processor with AVX2; run without them"};
  Result<std::unique_ptr<ChildProcess>> child = ChildProcess::create();
  if (!child) return child.error();
  auto impl = std::make_unique<Impl>(options, std::move(child).value());
  if (Status started = impl->start(); !started) return started.error();
  return std::unique_ptr<NativeRunner>(new NativeRunner(std::move(impl)));
}

Status NativeRunner::run(std::span<const CaseGroup* const> groups, const Pristine& pristine,
                         std::span<Outcome> outcomes) {
  std::vector<Entry> entries;
  std::size_t next = 0;
  for (const CaseGroup* group : groups) {
    if (Status bounds = check_bounds(*group); !bounds) return bounds;
    for (std::size_t i = 0; i < group->cases.size(); ++i) {
      const Case& input = group->cases[i];
      BHVM_CHECK(next < outcomes.size(), "every case has an outcome");
      Outcome& outcome = outcomes[next++];
      const bool steps = i < group->steps.size() && !group->steps[i].empty();
      if (steps || refusal(*group, input)) {
        set_ended(outcome, kVectorNotRun);
      } else {
        entries.push_back({group, &input, &outcome});
      }
    }
  }
  impl_->set_pristine(pristine);
  return impl_->run(entries);
}

Status NativeRunner::run(const CaseGroup& group, const Pristine& pristine, std::span<Outcome> outcomes) {
  const CaseGroup* const groups[] = {&group};
  return run(groups, pristine, outcomes);
}

}  // namespace bhvm::oracle
