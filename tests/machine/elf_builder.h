// Hand-made ELF64 files for tests: every header field can be made wrong.
#pragma once

#include <elf.h>

#include <cstring>
#include <string>
#include <vector>

#include "base/types.h"

namespace bhvm::test {

struct ElfSegment {
  u64 physical = 0x1000000;
  u64 linear = 0xFFFFFFFF81000000;
  std::vector<u8> bytes;
  u64 memory_size = 0;  // 0: as long as the bytes
};

struct ElfSymbol {
  std::string name;
  u64 address = 0;
};

struct ElfBuilder {
  std::vector<ElfSegment> segments;
  std::vector<ElfSymbol> symbols;
  u64 entry = 0x1000000;
  u16 machine = EM_X86_64;
  u16 type = ET_EXEC;
  u8 file_class = ELFCLASS64;
  u8 data = ELFDATA2LSB;

  std::vector<u8> build() const {
    std::vector<u8> file(sizeof(Elf64_Ehdr) + segments.size() * sizeof(Elf64_Phdr));
    const auto put = [&file](std::size_t offset, const void* bytes, std::size_t size) {
      if (file.size() < offset + size) file.resize(offset + size);
      if (size != 0) std::memcpy(&file[offset], bytes, size);
    };
    Elf64_Ehdr header{};
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = file_class;
    header.e_ident[EI_DATA] = data;
    header.e_ident[EI_VERSION] = EV_CURRENT;
    header.e_type = type;
    header.e_machine = machine;
    header.e_version = EV_CURRENT;
    header.e_entry = entry;
    header.e_phoff = sizeof(Elf64_Ehdr);
    header.e_ehsize = sizeof(Elf64_Ehdr);
    header.e_phentsize = sizeof(Elf64_Phdr);
    header.e_phnum = static_cast<u16>(segments.size());
    for (std::size_t i = 0; i < segments.size(); ++i) {
      const ElfSegment& segment = segments[i];
      Elf64_Phdr program{};
      program.p_type = PT_LOAD;
      program.p_flags = PF_R | PF_W | PF_X;
      program.p_offset = file.size();
      program.p_vaddr = segment.linear;
      program.p_paddr = segment.physical;
      program.p_filesz = segment.bytes.size();
      program.p_memsz = segment.memory_size != 0 ? segment.memory_size : segment.bytes.size();
      put(file.size(), segment.bytes.data(), segment.bytes.size());
      put(sizeof(Elf64_Ehdr) + i * sizeof(Elf64_Phdr), &program, sizeof(program));
    }
    if (!symbols.empty()) append_symbols(file, header);
    put(0, &header, sizeof(header));
    return file;
  }

 private:
  void append_symbols(std::vector<u8>& file, Elf64_Ehdr& header) const {
    const auto append = [&file](const void* bytes, std::size_t size) {
      file.resize((file.size() + 7) / 8 * 8);
      const std::size_t offset = file.size();
      file.resize(offset + size);
      std::memcpy(&file[offset], bytes, size);
      return offset;
    };
    std::string names(1, '\0');
    std::vector<Elf64_Sym> table(1);
    for (const ElfSymbol& symbol : symbols) {
      Elf64_Sym entry_{};
      entry_.st_name = static_cast<Elf64_Word>(names.size());
      entry_.st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC);
      entry_.st_shndx = 1;
      entry_.st_value = symbol.address;
      table.push_back(entry_);
      names += symbol.name + '\0';
    }
    Elf64_Shdr sections[3]{};
    sections[1].sh_type = SHT_SYMTAB;
    sections[1].sh_offset = append(table.data(), table.size() * sizeof(Elf64_Sym));
    sections[1].sh_size = table.size() * sizeof(Elf64_Sym);
    sections[1].sh_link = 2;
    sections[1].sh_entsize = sizeof(Elf64_Sym);
    sections[2].sh_type = SHT_STRTAB;
    sections[2].sh_offset = append(names.data(), names.size());
    sections[2].sh_size = names.size();
    header.e_shoff = append(sections, sizeof(sections));
    header.e_shentsize = sizeof(Elf64_Shdr);
    header.e_shnum = 3;
  }
};

/// A kernel of one segment at 16 MiB that runs `code` in 64-bit mode.
inline std::vector<u8> kernel_of(const std::vector<u8>& code) {
  ElfBuilder builder;
  builder.segments.push_back({0x1000000, 0xFFFFFFFF81000000, code, 0x4000});
  return builder.build();
}

}  // namespace bhvm::test
