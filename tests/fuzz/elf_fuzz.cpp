// Fuzz target: any bytes as a guest kernel's ELF file: parsed, loaded, its symbols asked for.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "machine/elf_image.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace bhvm;
  const Result<ElfImage> image = ElfImage::parse(std::vector<u8>(data, data + size), "fuzz");
  if (!image) return 0;
  GuestMemory memory = GuestMemory::create(u64{4} << 20).value();
  (void)image.value().load(memory, {0x10000}).ok();
  for (const ElfImage::Symbol& symbol : image.value().symbols()) {
    (void)image.value().symbolise(symbol.address + 1);
    (void)image.value().find_symbol(symbol.name);
  }
  (void)image.value().symbolise(image.value().entry().value);
  return 0;
}
