#include "oracle/tool/case_source.h"

#include <fmt/format.h>

#include <algorithm>

namespace bhvm::oracle {
namespace {

constexpr u64 kBatchCases = 4096;
// Of this many batches one is of system cases, which are slower and fewer in kind.
constexpr u64 kSystemEvery = 8;

}  // namespace

Result<std::unique_ptr<CaseSource>> CaseSource::create(const SourceOptions& options) {
  std::unique_ptr<CaseSource> source(new CaseSource(options));
  std::optional<std::regex> filter;
  if (options.form) {
    try {
      filter.emplace(*options.form, std::regex::ECMAScript | std::regex::icase);
    } catch (const std::regex_error& error) {
      return Error{fmt::format("--form '{}' is no regular expression ({}).", *options.form, error.what())};
    }
  }
  const std::regex* form = filter ? &*filter : nullptr;
  if (options.kinds != Kinds::kSystem) {
    source->instructions_ = std::make_unique<InstructionGenerator>(options.seed, form);
    if (source->instructions_->forms().empty()) source->instructions_.reset();
  }
  if (options.kinds != Kinds::kInstruction) {
    source->system_ = std::make_unique<SystemGenerator>(options.seed, form);
    if (source->system_->forms().empty()) source->system_.reset();
  }
  if (source->instructions_) {
    source->instruction_pristine_ = std::make_shared<const Pristine>(source->instructions_->pristine());
    for (const Form& each : source->instructions_->forms()) source->forms_.push_back(each.name);
  }
  if (source->system_) {
    source->system_pristine_ = std::make_shared<const Pristine>(source->system_->pristine());
    for (const std::string& each : source->system_->forms()) source->forms_.push_back(each);
  }
  if (source->forms_.empty()) {
    return Error{
        fmt::format("No form's name matches --form '{}'; --list-forms prints them all.", options.form.value_or(""))};
  }
  return source;
}

std::unique_ptr<Batch> CaseSource::next() {
  const std::lock_guard lock(mutex_);
  if (handed_out_ >= options_.count) return nullptr;
  const bool system = system_ && (!instructions_ || batches_ % kSystemEvery == kSystemEvery - 1);
  batches_ += 1;
  auto batch = std::make_unique<Batch>(system ? system_pristine_ : instruction_pristine_);
  const u64 wanted = std::min(kBatchCases, options_.count - handed_out_);
  while (batch->case_count() < wanted) {
    if (!batch->add(system ? system_->next() : instructions_->next())) break;
  }
  handed_out_ += batch->case_count();
  return batch;
}

}  // namespace bhvm::oracle
