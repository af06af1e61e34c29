// Takes down samples of which handler follows which, in builds with -DBHVM_RECORD_DISPATCH=ON (bench/joined).
#include <cstdio>
#include <cstdlib>

#include "cpu/op.h"

#if BHVM_RECORD_DISPATCH

namespace bhvm {
namespace {

constexpr u64 kEvery = u64{1} << 25;   // dispatches from one sample to the next
constexpr u64 kSample = u64{1} << 18;  // dispatches in a sample

u64 dispatches = 0;

/// Entries of 32 bits: a handler's distance from record_dispatch(), shifted by one; in bit 0 whether a conditional jump
/// was taken there. In the file that BHVM_DISPATCH_RECORD names.
class Record {
 public:
  Record() {
    const char* const name = std::getenv("BHVM_DISPATCH_RECORD");
    file_ = name == nullptr ? nullptr : std::fopen(name, "wb");
    if (file_ == nullptr) {
      std::fputs("This build records dispatches; say in BHVM_DISPATCH_RECORD which file to write.\n", stderr);
      std::exit(2);
    }
  }
  ~Record() { std::fclose(file_); }
  Record(const Record&) = delete;
  Record& operator=(const Record&) = delete;

  void add(Handler handler, bool taken) {
    const u64 distance = reinterpret_cast<u64>(handler) - reinterpret_cast<u64>(&record_dispatch);
    const u32 entry = static_cast<u32>(distance << 1) | (taken ? 1 : 0);
    std::fwrite(&entry, sizeof entry, 1, file_);
  }

 private:
  std::FILE* file_;
};

}  // namespace

void record_dispatch(Handler handler, bool taken) {
  static Record record;
  if (dispatches++ % kEvery < kSample) record.add(handler, taken);
}

bool record_unjoined() {
  static const bool unjoined = std::getenv("BHVM_DISPATCH_RECORD_UNJOINED") != nullptr;
  return unjoined;
}

}  // namespace bhvm

#endif
