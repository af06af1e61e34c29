// A guest kernel as an ELF64 executable (vmlinux): checked, loaded by physical address, its symbols kept.
//
// The file is hostile: every header is checked before it is believed. An image is immutable once parsed and may be
// shared by any number of machines. Segments and symbols are read from the file when they are wanted.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/types.h"
#include "machine/input_file.h"
#include "softmmu/guest_memory.h"

namespace bhvm {

class ElfImage {
 public:
  /// Opens the kernel at `path` and parses it.
  static Result<ElfImage> open(const std::string& path);
  /// Parses `file`. `name` is used in error messages. An error when it is no x86-64 ELF executable, is cut short, or is
  /// something else that a user may well have taken for one (a bzImage, a 32-bit kernel, an object file).
  static Result<ElfImage> parse(InputFile file, const std::string& name);
  static Result<ElfImage> parse(std::vector<u8> file, const std::string& name) {
    return parse(InputFile(std::move(file)), name);
  }

  /// Copies the PT_LOAD segments to their physical addresses and zeroes what they ask to be zero. An error when one of
  /// them does not lie in RAM between `lowest` and the end, or the file has become shorter.
  Status load(GuestMemory& memory, PhysicalAddress lowest) const;

  /// e_entry: for a Linux kernel the physical address of startup_64.
  PhysicalAddress entry() const { return entry_; }
  /// The first physical address behind all segments.
  PhysicalAddress end() const { return end_; }

  struct Symbol {
    u64 address = 0;
    std::string_view name;  // valid as long as the image
  };
  /// All functions, objects and labels, ascending by address. Read from the file when somebody first asks.
  const std::vector<Symbol>& symbols() const;
  /// "name+0x12" of the last symbol at or before a linear address; a physical address inside a segment (the kernel
  /// before it turns its own page tables on) is looked up by the segment's linear address. Empty when none is known.
  std::string symbolise(u64 address) const;
  /// Address of the symbol `name`.
  std::optional<u64> find_symbol(std::string_view name) const;

 private:
  struct Segment {
    u64 offset = 0;
    u64 file_size = 0;
    u64 memory_size = 0;
    u64 physical = 0;
    u64 linear = 0;
  };

  struct LazySymbols;
  struct FreeSymbols {
    void operator()(LazySymbols* symbols) const;
  };
  explicit ElfImage(InputFile file, std::string name);
  Status parse_headers();
  Status copy(const Segment& segment, GuestMemory& memory) const;

  InputFile file_;
  std::string name_;
  std::vector<Segment> segments_;
  std::unique_ptr<LazySymbols, FreeSymbols> symbols_;
  PhysicalAddress entry_;
  PhysicalAddress end_;
};

}  // namespace bhvm
