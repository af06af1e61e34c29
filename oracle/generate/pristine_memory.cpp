#include "oracle/generate/pristine_memory.h"

#include <algorithm>
#include <cstring>

#include "oracle/generate/fpu_state.h"
#include "oracle/generate/targets.h"
#include "oracle/generate/values.h"

namespace bhvm::oracle {
namespace {

u32 region_offset(unsigned page) { return static_cast<u32>(page * kPageBytes); }

/// Runs of one kind of value, 16 to 256 bytes each; some all equal, for strings; some of branch targets.
void fill_page(Dice& dice, std::span<u8> page) {
  std::size_t at = 0;
  while (at < page.size()) {
    const std::size_t run = std::min<std::size_t>(16 << dice.below(5), page.size() - at);
    const std::span<u8> part = page.subspan(at, run);
    switch (dice.below(10)) {
      case 0: {
        const u8 byte = static_cast<u8>(integer_value(dice));
        std::fill(part.begin(), part.end(), byte);
        break;
      }
      case 1:
        for (std::size_t i = 0; i + 8 <= run; i += 8) {
          const u64 target = fill_target(dice, {});
          std::memcpy(part.data() + i, &target, 8);
        }
        break;
      case 2:
        fill_values(dice, ValueKind::kText, part);
        break;
      case 3:
        fill_values(dice, ValueKind::kFloat80, part);
        break;
      case 4:
      case 5:
        fill_values(dice, ValueKind::kFloat32, part);
        break;
      case 6:
      case 7:
        fill_values(dice, ValueKind::kFloat64, part);
        break;
      default:
        fill_values(dice, ValueKind::kInteger, part);
        break;
    }
    at += run;
  }
}

template <class T>
void put(Pristine& bytes, u32 offset, T value) {
  std::memcpy(bytes.data() + offset, &value, sizeof(T));
}

void add_xsave_area(Dice& dice, PristineMemory& memory, u32 offset) {
  const FxImage image = random_fx_image(dice, 30);
  std::memcpy(memory.bytes.data() + offset, image.data(), image.size());
  std::memset(memory.bytes.data() + offset + 512, 0, 64);
  put<u64>(memory.bytes, offset + 512, dice.below(4));  // XSTATE_BV
  memory.images[static_cast<unsigned>(ImageKind::kXsave)].push_back(offset);
}

/// FLDENV's and FRSTOR's images in the 32-bit format; with 16-bit operands their fields fall elsewhere, which is as
/// good.
void add_x87_image(Dice& dice, PristineMemory& memory, u32 offset, ImageKind kind) {
  const FxImage image = random_fx_image(dice, 30);
  u16 control = 0, status = 0;
  std::memcpy(&control, image.data() + fx::kControl, 2);
  std::memcpy(&status, image.data() + fx::kStatus, 2);
  put<u32>(memory.bytes, offset, 0xFFFF0000U | control);
  put<u32>(memory.bytes, offset + 4, 0xFFFF0000U | status);
  put<u32>(memory.bytes, offset + 8, 0xFFFF0000U | static_cast<u16>(dice.one_in(3) ? 0 : dice.bits()));
  put<u32>(memory.bytes, offset + 12, static_cast<u32>(dice.bits()));
  put<u32>(memory.bytes, offset + 16, static_cast<u32>(dice.bits()) & 0x07FFFFFF);
  put<u32>(memory.bytes, offset + 20, static_cast<u32>(dice.bits()));
  put<u32>(memory.bytes, offset + 24, 0xFFFF0000U);
  if (kind == ImageKind::kX87Save) {
    for (unsigned i = 0; i < 8; ++i) float80_value(dice, memory.bytes.data() + offset + 28 + 10 * i);
  }
  memory.images[static_cast<unsigned>(kind)].push_back(offset);
}

/// Images in two pages that can be written and one that cannot.
void add_images(Dice& dice, PristineMemory& memory) {
  for (const unsigned page : {8U, 9U, 14U}) {
    const u32 start = region_offset(page);
    add_xsave_area(dice, memory, start);
    add_xsave_area(dice, memory, start + 640);
    add_xsave_area(dice, memory, start + 1280);
    add_x87_image(dice, memory, start + 1920, ImageKind::kEnvironment);
    add_x87_image(dice, memory, start + 1952, ImageKind::kEnvironment);
    add_x87_image(dice, memory, start + 1984, ImageKind::kX87Save);
    add_x87_image(dice, memory, start + 2096, ImageKind::kX87Save);
  }
}

}  // namespace

PristineMemory make_pristine(Dice& dice) {
  PristineMemory memory;
  for (unsigned page = 0; page < kRegionPages; ++page) {
    const std::span<u8> bytes(memory.bytes.data() + region_offset(page), kPageBytes);
    if (is_code(kPageKinds[page]) || kPageKinds[page] == PageKind::kUnmapped)
      std::fill(bytes.begin(), bytes.end(), kInt3);
    else
      fill_page(dice, bytes);
  }
  add_images(dice, memory);
  return memory;
}

}  // namespace bhvm::oracle
