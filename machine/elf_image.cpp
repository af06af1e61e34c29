#include "machine/elf_image.h"

#include <fmt/format.h>
#include <gelf.h>
#include <libelf.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <mutex>
#include <tuple>

namespace bhvm {
namespace {

constexpr u64 kSymbolReach = u64{1} << 20;  // an address further behind a symbol than this is not "in" it
constexpr std::size_t kBzImageMagicOffset = 0x202;

struct ElfCloser {
  void operator()(Elf* elf) const { elf_end(elf); }
};
using ElfHandle = std::unique_ptr<Elf, ElfCloser>;

bool is_bzimage(std::span<const u8> file) {
  return file.size() >= kBzImageMagicOffset + 4 && std::memcmp(&file[kBzImageMagicOffset], "HdrS", 4) == 0;
}

// libelf never writes to what it is given, and reads no more of an open file than it is asked for.
ElfHandle open_elf(const InputFile& file) {
  elf_version(EV_CURRENT);
  if (file.descriptor() >= 0) return ElfHandle(elf_begin(file.descriptor(), ELF_C_READ, nullptr));
  const std::span<const u8> bytes = file.bytes();
  return ElfHandle(elf_memory(const_cast<char*>(reinterpret_cast<const char*>(bytes.data())), bytes.size()));
}

/// Calls symbol(address, name) for every function, object and label; the names are valid as long as `elf`.
template <class Symbol>
void for_each_symbol(Elf* elf, Symbol symbol) {
  for (Elf_Scn* section = nullptr; (section = elf_nextscn(elf, section)) != nullptr;) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) == nullptr || header.sh_type != SHT_SYMTAB ||
        header.sh_entsize != sizeof(Elf64_Sym)) {
      continue;
    }
    Elf_Data* const data = elf_getdata(section, nullptr);
    Elf_Data* const names = elf_getdata(elf_getscn(elf, header.sh_link), nullptr);
    if (data == nullptr || names == nullptr || names->d_buf == nullptr) continue;
    const std::size_t count = data->d_size / sizeof(Elf64_Sym);
    for (std::size_t i = 0; i < count; ++i) {
      GElf_Sym entry;
      if (gelf_getsym(data, static_cast<int>(i), &entry) == nullptr) break;
      const int type = GELF_ST_TYPE(entry.st_info);
      const bool wanted = type == STT_NOTYPE || type == STT_OBJECT || type == STT_FUNC;
      if (!wanted || entry.st_shndx == SHN_UNDEF || entry.st_shndx == SHN_ABS) continue;
      if (entry.st_name >= names->d_size) continue;
      const char* const name = static_cast<const char*>(names->d_buf) + entry.st_name;
      const std::size_t length = strnlen(name, names->d_size - entry.st_name);
      if (length != 0) symbol(entry.st_value, std::string_view(name, length));
    }
  }
}

}  // namespace

/// Symbols, and libelf's copy of their names.
struct ElfImage::LazySymbols {
  std::once_flag once;
  ElfHandle elf;
  std::vector<Symbol> all;
};
void ElfImage::FreeSymbols::operator()(LazySymbols* symbols) const { delete symbols; }

ElfImage::ElfImage(InputFile file, std::string name)
    : file_(std::move(file)), name_(std::move(name)), symbols_(new LazySymbols) {}

Result<ElfImage> ElfImage::open(const std::string& path) {
  Result<InputFile> file = InputFile::open(path, "kernel");
  if (!file) return file.error();
  return parse(std::move(file).value(), path);
}

Result<ElfImage> ElfImage::parse(InputFile file, const std::string& name) {
  ElfImage image(std::move(file), name);
  if (Status status = image.parse_headers(); !status) return status.error();
  return image;
}

Status ElfImage::parse_headers() {
  std::array<u8, kBzImageMagicOffset + 4> beginning{};
  const u64 size = file_.size_bytes();
  const std::span<u8> first = std::span(beginning).first(std::min<u64>(size, beginning.size()));
  if (!file_.read_at(0, first)) return Error{fmt::format("Cannot read the kernel {}; copy it again.", name_)};
  if (is_bzimage(first)) {
    return Error{fmt::format(
        "{} is a compressed bzImage; give the uncompressed vmlinux instead: it stands at the top of the kernel's build "
        "tree, or extract it with the kernel's scripts/extract-vmlinux.",
        name_)};
  }
  if (size < SELFMAG || std::memcmp(first.data(), ELFMAG, SELFMAG) != 0) {
    return Error{fmt::format("{} is not an ELF file; give an x86-64 kernel as ELF (vmlinux).", name_)};
  }
  if (size > EI_CLASS && first[EI_CLASS] == ELFCLASS32) {
    return Error{
        fmt::format("{} is a 32-bit ELF file; give an x86-64 kernel (a vmlinux built with CONFIG_64BIT=y).", name_)};
  }
  const Error truncated{
      fmt::format("{} is cut short: its ELF headers do not fit into its {} bytes; copy it again.", name_, size)};
  if (size < sizeof(Elf64_Ehdr)) return truncated;

  const ElfHandle elf = open_elf(file_);
  GElf_Ehdr header;
  if (elf == nullptr || elf_kind(elf.get()) != ELF_K_ELF || gelf_getehdr(elf.get(), &header) == nullptr) {
    return Error{
        fmt::format("{} cannot be read as ELF ({}); give an x86-64 kernel as ELF (vmlinux).", name_, elf_errmsg(-1))};
  }
  if (header.e_machine != EM_X86_64 || first[EI_DATA] != ELFDATA2LSB) {
    return Error{fmt::format("{} is an ELF file for another processor (e_machine {}); give a kernel built for x86-64.",
                             name_, header.e_machine)};
  }
  if (header.e_type != ET_EXEC) {
    return Error{
        fmt::format("{} is not an executable ELF file (e_type {}, wanted 2, ET_EXEC); give the linked vmlinux.", name_,
                    header.e_type)};
  }
  std::size_t count = 0;
  if (header.e_phentsize != sizeof(Elf64_Phdr) || elf_getphdrnum(elf.get(), &count) != 0) return truncated;
  for (std::size_t i = 0; i < count; ++i) {
    GElf_Phdr segment;
    if (gelf_getphdr(elf.get(), static_cast<int>(i), &segment) == nullptr) return truncated;
    if (segment.p_type != PT_LOAD || segment.p_memsz == 0) continue;
    if (segment.p_offset > size || segment.p_filesz > size - segment.p_offset) {
      return Error{
          fmt::format("{} is cut short: segment {} needs bytes {:#x} to {:#x} of a file of {:#x} bytes; copy it again.",
                      name_, i, segment.p_offset, segment.p_offset + segment.p_filesz, size)};
    }
    if (segment.p_filesz > segment.p_memsz || segment.p_memsz > kPhysicalAddressMask ||
        segment.p_paddr > kPhysicalAddressMask) {
      return Error{
          fmt::format("{} is damaged: segment {} has an impossible size or address (physical {:#x}, {:#x} "
                      "bytes, {:#x} in the file); build or copy it again.",
                      name_, i, segment.p_paddr, segment.p_memsz, segment.p_filesz)};
    }
    segments_.push_back({segment.p_offset, segment.p_filesz, segment.p_memsz, segment.p_paddr, segment.p_vaddr});
    end_.value = std::max(end_.value, segment.p_paddr + segment.p_memsz);
  }
  if (segments_.empty()) {
    return Error{fmt::format("{} has nothing to load (no PT_LOAD segment); give the linked vmlinux.", name_)};
  }
  entry_.value = header.e_entry;
  const bool entry_loaded = std::any_of(segments_.begin(), segments_.end(), [&](const Segment& s) {
    return entry_.value >= s.physical && entry_.value - s.physical < s.file_size;
  });
  if (!entry_loaded) {
    return Error{
        fmt::format("{} starts at {:#x}, which is the physical address of none of its segments; give a kernel "
                    "whose entry is physical (a Linux vmlinux is).",
                    name_, entry_.value)};
  }
  return success();
}

Status ElfImage::load(GuestMemory& memory, PhysicalAddress lowest) const {
  for (const Segment& segment : segments_) {
    const u64 end = segment.physical + segment.memory_size;
    if (segment.physical < lowest.value || !memory.fill_zero({segment.physical}, segment.memory_size)) {
      return Error{
          fmt::format("{} does not fit: a segment goes to physical {:#x} to {:#x}, and the guest's RAM can take "
                      "a kernel from {:#x} to {:#x}; give the guest more memory (the kernel alone needs {} MiB).",
                      name_, segment.physical, end, lowest.value, std::min(memory.size_bytes(), GuestMemory::kLowLimit),
                      (end_.value >> 20) + 1)};
    }
    if (Status status = copy(segment, memory); !status) return status;
  }
  return success();
}

Status ElfImage::copy(const Segment& segment, GuestMemory& memory) const {
  constexpr u64 kPiece = u64{128} << 10;  // stays in the host's second cache between the two copies
  std::vector<u8> piece(std::min(kPiece, segment.file_size));
  for (u64 done = 0; done < segment.file_size; done += piece.size()) {
    piece.resize(std::min<u64>(piece.size(), segment.file_size - done));
    if (!file_.read_at(segment.offset + done, piece)) {
      return Error{fmt::format("{} became shorter while it was read; copy it again.", name_)};
    }
    memory.write({segment.physical + done}, piece.data(), piece.size());
  }
  return success();
}

const std::vector<ElfImage::Symbol>& ElfImage::symbols() const {
  LazySymbols& lazy = *symbols_;
  std::call_once(lazy.once, [&] {
    lazy.elf = open_elf(file_);
    for_each_symbol(lazy.elf.get(), [&](u64 address, std::string_view name) { lazy.all.push_back({address, name}); });
    std::sort(lazy.all.begin(), lazy.all.end(), [](const Symbol& a, const Symbol& b) {
      return std::tie(a.address, a.name) < std::tie(b.address, b.name);
    });
  });
  return lazy.all;
}

std::string ElfImage::symbolise(u64 address) const {
  for (const Segment& segment : segments_) {
    if (address >= segment.physical && address - segment.physical < segment.memory_size) {
      address = segment.linear + (address - segment.physical);
      break;
    }
  }
  const std::vector<Symbol>& all = symbols();
  auto after = std::upper_bound(all.begin(), all.end(), address,
                                [](u64 value, const Symbol& symbol) { return value < symbol.address; });
  if (after == all.begin()) return {};
  const u64 base = std::prev(after)->address;
  if (address - base > kSymbolReach) return {};
  // Of several names for one address the first in the alphabet.
  const auto first = std::lower_bound(all.begin(), after, base,
                                      [](const Symbol& symbol, u64 value) { return symbol.address < value; });
  return fmt::format("{}+{:#x}", first->name, address - base);
}

std::optional<u64> ElfImage::find_symbol(std::string_view name) const {
  for (const Symbol& symbol : symbols()) {
    if (symbol.name == name) return symbol.address;
  }
  return std::nullopt;
}

}  // namespace bhvm
