#include "oracle/tool/minimise.h"

#include <Zydis/Zydis.h>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <functional>
#include <set>

namespace bhvm::oracle {
namespace {

std::set<Field> fields_of(const std::vector<Difference>& differences) {
  std::set<Field> fields;
  for (const Difference& d : differences) fields.insert(d.field);
  return fields;
}

/// What is being made smaller, and the test that it still shows the same.
class Shrinker {
 public:
  using Shows = std::function<bool(const Trial&)>;

  Shrinker(Bench& bench, const CaughtCase& caught, Shows shows)
      : bench_(bench),
        shows_(std::move(shows)),
        group_(caught.group),
        pristine_(std::make_shared<Pristine>(*caught.pristine)) {}

  /// Does the case, as it is now, show what it is kept for?
  Result<bool> shows(const CaseGroup& group, const std::shared_ptr<const Pristine>& pristine) {
    auto trial = bench_.run(group, pristine);
    if (!trial) return trial.error();
    const bool still = shows_(trial.value());
    if (still) trial_ = std::move(trial.value());
    return still;
  }
  Result<bool> confirm() { return shows(group_, pristine_); }

  /// Keeps the change that `edit` makes if the case still shows it.
  template <class Edit>
  Status attempt(Edit&& edit) {
    CaseGroup smaller = group_;
    edit(smaller.cases.front(), smaller);
    return keep_if_shown(std::move(smaller), pristine_);
  }

  Status shrink() {
    for (const auto step :
         {&Shrinker::drop_instructions, &Shrinker::drop_steps, &Shrinker::clear_registers, &Shrinker::clear_region}) {
      if (Status status = (this->*step)(); !status) return status;
    }
    // The last trial that was kept may be older than the last edit that was not.
    auto again = confirm();
    return again ? success() : Status(again.error());
  }

  const CaseGroup& group() const { return group_; }
  const std::shared_ptr<const Pristine>& pristine() const { return pristine_; }
  const Trial& trial() const { return trial_; }

 private:
  Status keep_if_shown(CaseGroup group, std::shared_ptr<const Pristine> pristine) {
    auto still = shows(group, pristine);
    if (!still) return still.error();
    if (still.value()) {
      group_ = std::move(group);
      pristine_ = std::move(pristine);
    }
    return success();
  }

  std::vector<unsigned> instruction_lengths() const {
    const bool code64 = group_.group.mode == Mode::kUser64 || group_.group.mode == Mode::kKernel64;
    ZydisDecoder decoder;
    ZydisDecoderInit(&decoder, code64 ? ZYDIS_MACHINE_MODE_LONG_64 : ZYDIS_MACHINE_MODE_LONG_COMPAT_32,
                     code64 ? ZYDIS_STACK_WIDTH_64 : ZYDIS_STACK_WIDTH_32);
    std::vector<unsigned> lengths;
    for (unsigned at = 0; at < group_.group.code_bytes;) {
      ZydisDecodedInstruction insn;
      ZydisDecoderContext context;
      if (!ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, &context, group_.group.code + at,
                                                      group_.group.code_bytes - at, &insn))) {
        break;
      }
      lengths.push_back(insn.length);
      at += insn.length;
    }
    return lengths;
  }

  /// Replaces all but one instruction by what is left when they are not there.
  Status drop_instructions() {
    for (std::size_t i = 0;; ++i) {
      const std::vector<unsigned> lengths = instruction_lengths();
      if (lengths.size() <= 1 || i >= lengths.size()) return success();
      unsigned at = 0;
      for (std::size_t k = 0; k < i; ++k) at += lengths[k];
      const std::size_t before = lengths.size();
      const Status status = attempt([&](Case&, CaseGroup& smaller) {
        Group& g = smaller.group;
        const unsigned end = at + lengths[i];
        std::memmove(g.code + at, g.code + end, g.code_bytes - end);
        g.code_bytes = static_cast<u16>(g.code_bytes - lengths[i]);
        std::memset(g.code + g.code_bytes, 0, sizeof(g.code) - g.code_bytes);
      });
      if (!status) return status;
      if (instruction_lengths().size() < before) --i;
    }
  }

  Status drop_steps() {
    if (group_.steps.empty()) return success();
    for (std::size_t i = group_.steps.front().size(); i-- > 0;) {
      const Status status = attempt([&](Case&, CaseGroup& smaller) {
        Steps& steps = smaller.steps.front();
        steps.erase(steps.begin() + static_cast<std::ptrdiff_t>(i));
      });
      if (!status) return status;
    }
    return success();
  }

  Status clear_registers() {
    constexpr u64 kFlagsFixed = 2;
    const auto all = [&](auto&&... edits) -> Status {
      Status status = success();
      ((status = status ? attempt(edits) : status), ...);
      return status;
    };
    if (Status status =
            all([](Case& c, CaseGroup&) { std::fill(std::begin(c.gpr), std::end(c.gpr), 0); },
                [](Case& c, CaseGroup&) { std::memset(c.fx + 32, 0, sizeof(c.fx) - 32); },
                [](Case& c, CaseGroup&) { c.rflags = kFlagsFixed; }, [](Case& c, CaseGroup&) { c.dirty = 0; },
                [](Case& c, CaseGroup&) { c.fs_base = c.gs_base = 0; });
        !status) {
      return status;
    }
    for (unsigned i = 0; i < 16; ++i) {
      if (group_.cases.front().gpr[i] == 0) continue;
      if (Status status = attempt([i](Case& c, CaseGroup&) { c.gpr[i] = 0; }); !status) return status;
    }
    for (unsigned slot = 0; slot < 24; ++slot) {  // 8 x87 and 16 XMM registers of the FXSAVE image
      u8* at = group_.cases.front().fx + 32 + 16 * slot;
      if (std::all_of(at, at + 16, [](u8 byte) { return byte == 0; })) continue;
      if (Status status = attempt([slot](Case& c, CaseGroup&) { std::memset(c.fx + 32 + 16 * slot, 0, 16); });
          !status) {
        return status;
      }
    }
    for (unsigned i = 0; i < kPatches; ++i) {
      if (group_.cases.front().patches[i].bytes == 0) continue;
      if (Status status = attempt([i](Case& c, CaseGroup&) { c.patches[i] = Patch{}; }); !status) return status;
    }
    return success();
  }

  Status clear_region() {
    const Pristine blank = blank_region();
    for (const std::size_t piece : {kRegionBytes, kPageBytes, u64{512}, u64{64}}) {
      for (std::size_t at = 0; at < kRegionBytes; at += piece) {
        if (std::memcmp(&(*pristine_)[at], &blank[at], piece) == 0) continue;
        auto emptier = std::make_shared<Pristine>(*pristine_);
        std::memcpy(&(*emptier)[at], &blank[at], piece);
        if (Status status = keep_if_shown(group_, std::move(emptier)); !status) return status;
      }
    }
    return success();
  }

  Bench& bench_;
  Shows shows_;
  CaseGroup group_;
  std::shared_ptr<const Pristine> pristine_;
  Trial trial_{};
};

}  // namespace

Result<std::unique_ptr<Bench>> Bench::create(const std::string& qemu, bool native) {
  auto bench = std::make_unique<Bench>();
  auto ours = BhvmRunner::create();
  if (!ours) return ours.error();
  bench->bhvm_ = std::move(ours.value());
  // Cases run one by one here, and an edit may make one loop.
  constexpr std::chrono::seconds kCaseLimit{3};
  auto theirs = QemuRunner::create(qemu, kCaseLimit);
  if (!theirs) return theirs.error();
  bench->qemu_ = std::move(theirs.value());
  if (native) {
    if (auto host = NativeRunner::create()) bench->native_ = std::move(host.value());
  }
  return bench;
}

Result<Trial> Bench::run(const CaseGroup& group, const std::shared_ptr<const Pristine>& pristine) {
  Batch batch(pristine);
  batch.add(group);
  if (Status status = qemu_->start(batch); !status) return status.error();
  auto ours = bhvm_->run(batch);
  if (!ours) return ours.error();
  auto theirs = qemu_->finish();
  if (!theirs) return theirs.error();
  Trial trial{ours.value().front(), theirs.value().front(), {}, {}, {}};
  std::vector<Outcome> native;
  if (native_ && group.native) {
    auto ran = run_native(*native_, batch);
    if (!ran) return ran.error();
    native = std::move(ran.value());
    trial.native = native.front();
  }
  Comparer comparer;
  comparer.compare(batch, ours.value(), theirs.value(), Oracle::kQemu, native, trial.findings);
  if (!native.empty()) comparer.compare(batch, ours.value(), native, Oracle::kNative, {}, trial.findings);
  trial.row_used = comparer.counts().row_used;
  return trial;
}

Result<MinimisedCase> minimise(Bench& bench, const CaughtCase& caught) {
  // Differs like the caught one: from the same oracle, in one of its fields.
  const std::set<Field> fields = fields_of(caught.differences);
  Shrinker shrinker(bench, caught, [&](const Trial& trial) {
    return std::any_of(trial.findings.begin(), trial.findings.end(), [&](const Finding& finding) {
      const std::set<Field> now = fields_of(finding.differences);
      return finding.oracle == caught.oracle &&
             std::any_of(now.begin(), now.end(), [&](Field f) { return fields.contains(f); });
    });
  });
  MinimisedCase result;
  auto confirmed = shrinker.confirm();
  if (!confirmed) return confirmed.error();
  result.confirmed = confirmed.value();
  if (result.confirmed) {
    if (Status status = shrinker.shrink(); !status) return status.error();
    result.trial = shrinker.trial();
  } else {
    result.trial = {caught.ours, caught.theirs, caught.native, {{0, caught.oracle, caught.differences}}, {}};
  }
  result.stored.group = shrinker.group();
  result.stored.pristine = shrinker.pristine();
  const Outcome& right = caught.oracle == Oracle::kQemu ? result.trial.theirs : *result.trial.native;
  result.stored.expected = expected_words(right, *result.stored.pristine);
  result.stored.note = fmt::format("{}, expected as {} has it", caught.group.form, to_string(caught.oracle));
  return result;
}

Result<std::optional<StoredCase>> minimise_witness(Bench& bench, const CaughtCase& caught, std::size_t row) {
  Shrinker shrinker(bench, caught,
                    [row](const Trial& trial) { return trial.findings.empty() && trial.row_used[row] != 0; });
  auto confirmed = shrinker.confirm();
  if (!confirmed) return confirmed.error();
  if (!confirmed.value()) return std::optional<StoredCase>{};
  if (Status status = shrinker.shrink(); !status) return status.error();
  StoredCase witness;
  witness.row = mask_table()[row].name;
  witness.note = mask_table()[row].why;
  witness.group = shrinker.group();
  witness.pristine = shrinker.pristine();
  witness.expected = expected_words(shrinker.trial().ours, *witness.pristine);
  return std::optional(std::move(witness));
}

std::string witness_file(std::string_view row_name, Host host) {
  return witness_file(std::string(row_name) + ", " + std::string(to_string(host)));
}

std::string witness_file(std::string_view row_name) {
  std::string file;
  for (const char c : row_name) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) {
      file += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    } else if (!file.empty() && file.back() != '_') {
      file += '_';
    }
  }
  while (file.ends_with('_')) file.pop_back();
  return file + ".json";
}

}  // namespace bhvm::oracle
