// Where batches come from: the generators, drawn from in a fixed order.
//
// The n-th batch of a seed is the same whoever asks for it and on however many threads.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <regex>
#include <string>

#include "base/result.h"
#include "oracle/generate/instruction_generator.h"
#include "oracle/run/batch.h"
#include "oracle/system/system_generator.h"

namespace bhvm::oracle {

enum class Kinds : u8 { kInstruction, kSystem, kAll };

struct SourceOptions {
  u64 seed = 1;
  u64 count = 0;  // cases; the last batch may go over it by less than a group
  Kinds kinds = Kinds::kAll;
  std::optional<std::string> form;  // regular expression over form names
};

class CaseSource {
 public:
  /// An error when no form matches or the expression is none.
  static Result<std::unique_ptr<CaseSource>> create(const SourceOptions& options);

  /// The next batch; nothing when `count` cases were handed out. From any thread.
  std::unique_ptr<Batch> next();

  /// Names of all forms that it draws from.
  const std::vector<std::string>& forms() const { return forms_; }

 private:
  explicit CaseSource(const SourceOptions& options) : options_(options) {}

  SourceOptions options_;
  std::unique_ptr<InstructionGenerator> instructions_;
  std::unique_ptr<SystemGenerator> system_;
  std::shared_ptr<const Pristine> instruction_pristine_;
  std::shared_ptr<const Pristine> system_pristine_;
  std::vector<std::string> forms_;
  std::mutex mutex_;
  u64 handed_out_ = 0;
  u64 batches_ = 0;
};

}  // namespace bhvm::oracle
