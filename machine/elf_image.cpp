#include "machine/elf_image.h"

#include <fmt/format.h>
#include <gelf.h>
#include <libelf.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <tuple>

#include "base/check.h"

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

// libelf is only given bytes that are there: it maps the image in place and never writes to it.
ElfHandle open_elf(const std::vector<u8>& file) {
  elf_version(EV_CURRENT);
  return ElfHandle(elf_memory(const_cast<char*>(reinterpret_cast<const char*>(file.data())), file.size()));
}

}  // namespace

Result<ElfImage> ElfImage::parse(std::vector<u8> file, const std::string& name) {
  ElfImage image;
  image.file_ = std::move(file);
  image.name_ = name;
  if (Status status = image.parse_headers(); !status) return status.error();
  return image;
}

Status ElfImage::parse_headers() {
  if (is_bzimage(file_)) {
    return Error{fmt::format(
        "{} is a compressed bzImage; give the uncompressed vmlinux instead: it stands at the top of the kernel's build "
        "tree, or extract it with the kernel's scripts/extract-vmlinux.",
        name_)};
  }
  if (file_.size() < SELFMAG || std::memcmp(file_.data(), ELFMAG, SELFMAG) != 0) {
    return Error{fmt::format("{} is not an ELF file; give an x86-64 kernel as ELF (vmlinux).", name_)};
  }
  if (file_.size() > EI_CLASS && file_[EI_CLASS] == ELFCLASS32) {
    return Error{
        fmt::format("{} is a 32-bit ELF file; give an x86-64 kernel (a vmlinux built with CONFIG_64BIT=y).", name_)};
  }
  const Error truncated{fmt::format("{} is cut short: its ELF headers do not fit into its {} bytes; copy it again.",
                                    name_, file_.size())};
  if (file_.size() < sizeof(Elf64_Ehdr)) return truncated;

  const ElfHandle elf = open_elf(file_);
  GElf_Ehdr header;
  if (elf == nullptr || elf_kind(elf.get()) != ELF_K_ELF || gelf_getehdr(elf.get(), &header) == nullptr) {
    return Error{
        fmt::format("{} cannot be read as ELF ({}); give an x86-64 kernel as ELF (vmlinux).", name_, elf_errmsg(-1))};
  }
  if (header.e_machine != EM_X86_64 || file_[EI_DATA] != ELFDATA2LSB) {
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
    if (segment.p_offset > file_.size() || segment.p_filesz > file_.size() - segment.p_offset) {
      return Error{
          fmt::format("{} is cut short: segment {} needs bytes {:#x} to {:#x} of a file of {:#x} bytes; copy it again.",
                      name_, i, segment.p_offset, segment.p_offset + segment.p_filesz, file_.size())};
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
  BHVM_CHECK(!released_, "a kernel is loaded after its segments were released");
  for (const Segment& segment : segments_) {
    const u64 end = segment.physical + segment.memory_size;
    const bool fits = segment.physical >= lowest.value && memory.fill_zero({segment.physical}, segment.memory_size) &&
                      memory.write({segment.physical}, file_.data() + segment.offset, segment.file_size);
    if (!fits) {
      return Error{
          fmt::format("{} does not fit: a segment goes to physical {:#x} to {:#x}, and the guest's RAM can take "
                      "a kernel from {:#x} to {:#x}; give the guest more memory (the kernel alone needs {} MiB).",
                      name_, segment.physical, end, lowest.value, std::min(memory.size_bytes(), GuestMemory::kLowLimit),
                      (end_.value >> 20) + 1)};
    }
  }
  return success();
}

void ElfImage::release_segments() {
  released_ = true;
  for (const Segment& segment : segments_) {
    const auto begin = reinterpret_cast<std::uintptr_t>(file_.data()) + segment.offset;
    const std::uintptr_t first = (begin + kPageSize - 1) & kPageMask;
    const std::uintptr_t end = (begin + segment.file_size) & kPageMask;
    // Private memory of this process: the pages read as zero afterwards, and take nothing.
    if (first < end) madvise(reinterpret_cast<void*>(first), end - first, MADV_DONTNEED);
  }
}

const std::vector<ElfImage::Symbol>& ElfImage::symbols() const {
  std::call_once(symbols_->once, [this] { symbols_->all = parse_symbols(); });
  return symbols_->all;
}

std::vector<ElfImage::Symbol> ElfImage::parse_symbols() const {
  std::vector<Symbol> all;
  const ElfHandle elf = open_elf(file_);
  const char* const begin = reinterpret_cast<const char*>(file_.data());
  const char* const end = begin + file_.size();
  for (Elf_Scn* section = nullptr; (section = elf_nextscn(elf.get(), section)) != nullptr;) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) == nullptr || header.sh_type != SHT_SYMTAB ||
        header.sh_entsize != sizeof(Elf64_Sym)) {
      continue;
    }
    Elf_Data* const data = elf_getdata(section, nullptr);
    if (data == nullptr) continue;
    const std::size_t count = data->d_size / sizeof(Elf64_Sym);
    for (std::size_t i = 0; i < count; ++i) {
      GElf_Sym symbol;
      if (gelf_getsym(data, static_cast<int>(i), &symbol) == nullptr) break;
      const int type = GELF_ST_TYPE(symbol.st_info);
      const bool wanted = type == STT_NOTYPE || type == STT_OBJECT || type == STT_FUNC;
      if (!wanted || symbol.st_shndx == SHN_UNDEF || symbol.st_shndx == SHN_ABS) continue;
      const char* const name = elf_strptr(elf.get(), header.sh_link, symbol.st_name);
      if (name == nullptr || name < begin || name >= end || *name == '\0') continue;
      const std::size_t length = strnlen(name, static_cast<std::size_t>(end - name));
      all.push_back({symbol.st_value, {name, length}});
    }
  }
  std::sort(all.begin(), all.end(),
            [](const Symbol& a, const Symbol& b) { return std::tie(a.address, a.name) < std::tie(b.address, b.name); });
  return all;
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
