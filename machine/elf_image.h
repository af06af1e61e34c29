// A guest kernel as an ELF64 executable (vmlinux): checked, loaded by physical address, its symbols kept.
//
// The file is hostile: every header is checked before it is believed. An image is immutable once parsed and may be
// shared by any number of machines.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/types.h"
#include "softmmu/guest_memory.h"

namespace bhvm {

class ElfImage {
 public:
  /// Parses `file`. `name` is used in error messages. An error when it is no x86-64 ELF executable, is cut short, or is
  /// something else that a user may well have taken for one (a bzImage, a 32-bit kernel, an object file).
  static Result<ElfImage> parse(std::vector<u8> file, const std::string& name);

  /// Copies the PT_LOAD segments to their physical addresses and zeroes what they ask to be zero. An error when one of
  /// them does not lie in RAM between `lowest` and the end.
  Status load(GuestMemory& memory, PhysicalAddress lowest) const;

  /// Gives the host back what the segments take in memory, for whoever loads the image once: load() must not be called
  /// any more. Symbols stay (unless the file has them inside a segment, which no kernel does).
  void release_segments();

  /// e_entry: for a Linux kernel the physical address of startup_64.
  PhysicalAddress entry() const { return entry_; }
  /// The first physical address behind all segments.
  PhysicalAddress end() const { return end_; }

  struct Symbol {
    u64 address = 0;
    std::string_view name;  // into the file
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

  Status parse_headers();
  std::vector<Symbol> parse_symbols() const;

  std::vector<u8> file_;
  std::string name_;
  std::vector<Segment> segments_;
  bool released_ = false;
  struct LazySymbols {
    std::once_flag once;
    std::vector<Symbol> all;
  };
  std::unique_ptr<LazySymbols> symbols_ = std::make_unique<LazySymbols>();
  PhysicalAddress entry_;
  PhysicalAddress end_;
};

}  // namespace bhvm
