#include "cpu/x87/images.h"

#include <cstring>

#include "base/planted_fault.h"

namespace bhvm::x87 {
namespace {

constexpr u16 kFopMask = 0x7FF;

template <class T>
void put(std::span<u8> bytes, unsigned offset, T value) {
  std::memcpy(bytes.data() + offset, &value, sizeof(T));
}
template <class T>
T get(std::span<const u8> bytes, unsigned offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

void set_words(X87State& x87, u16 control_word, u16 status_word) {
  x87.control_word = static_cast<u16>((control_word & x87_control::kWritable) | x87_control::kReservedOne);
  x87.status_word = status_word;
  x87.update_summary();
}

/// Real-address mode keeps linear addresses.
u32 linear(u64 offset, u16 selector) { return static_cast<u32>(offset) + (u32{selector} << 4); }

}  // namespace

void put_environment(const X87State& x87, EnvironmentFormat format, std::span<u8, 28> bytes) {
  // The words are the same in all layouts, 2 or 4 bytes apart; the upper halves of the wide ones read as ones.
  const unsigned step = format.wide ? 4 : 2;
  std::memset(bytes.data(), 0xFF, bytes.size());
  put<u16>(bytes, 0, x87.control_word);
  put<u16>(bytes, step, x87.status_word);
  put<u16>(bytes, 2 * step, x87.tag_word());
  if (format.protect) {
    if (format.wide) {
      put<u32>(bytes, 12, static_cast<u32>(x87.fip));
      put<u16>(bytes, 16, x87.fcs);
      put<u16>(bytes, 18, x87.fop);
      put<u32>(bytes, 20, static_cast<u32>(x87.fdp));
      put<u16>(bytes, 24, x87.fds);
    } else {
      put<u16>(bytes, 6, static_cast<u16>(x87.fip));
      put<u16>(bytes, 8, x87.fcs);
      put<u16>(bytes, 10, static_cast<u16>(x87.fdp));
      put<u16>(bytes, 12, x87.fds);
    }
    return;
  }
  const u32 instruction = linear(x87.fip, x87.fcs);
  const u32 data = linear(x87.fdp, x87.fds);
  if (format.wide) {
    put<u16>(bytes, 12, static_cast<u16>(instruction));
    put<u32>(bytes, 16, (instruction >> 16 << 12) | x87.fop);
    put<u16>(bytes, 20, static_cast<u16>(data));
    put<u32>(bytes, 24, data >> 16 << 12);
  } else {
    put<u16>(bytes, 6, static_cast<u16>(instruction));
    put<u16>(bytes, 8, static_cast<u16>((instruction >> 16 << 12) | x87.fop));
    put<u16>(bytes, 10, static_cast<u16>(data));
    put<u16>(bytes, 12, static_cast<u16>(data >> 16 << 12));
  }
}

void get_environment(X87State& x87, EnvironmentFormat format, std::span<const u8, 28> bytes) {
  const unsigned step = format.wide ? 4 : 2;
  set_words(x87, get<u16>(bytes, 0), get<u16>(bytes, step));
  x87.set_tag_word(get<u16>(bytes, 2 * step));
  x87.fcs = 0;
  x87.fds = 0;
  if (format.protect) {
    if (format.wide) {
      x87.fip = get<u32>(bytes, 12);
      x87.fcs = get<u16>(bytes, 16);
      x87.fop = get<u16>(bytes, 18) & kFopMask;
      x87.fdp = get<u32>(bytes, 20);
      x87.fds = get<u16>(bytes, 24);
    } else {
      x87.fip = get<u16>(bytes, 6);
      x87.fcs = get<u16>(bytes, 8);
      x87.fop = 0;
      x87.fdp = get<u16>(bytes, 10);
      x87.fds = get<u16>(bytes, 12);
    }
    return;
  }
  if (format.wide) {
    const u32 high = get<u32>(bytes, 16);
    x87.fip = get<u16>(bytes, 12) | (high >> 12 & 0xFFFF) << 16;
    x87.fop = high & kFopMask;
    x87.fdp = get<u16>(bytes, 20) | (get<u32>(bytes, 24) >> 12 & 0xFFFF) << 16;
  } else {
    const u16 high = get<u16>(bytes, 8);
    x87.fip = get<u16>(bytes, 6) | u32{high} >> 12 << 16;
    x87.fop = high & kFopMask;
    x87.fdp = get<u16>(bytes, 10) | u32{get<u16>(bytes, 12)} >> 12 << 16;
  }
}

void put_registers(const X87State& x87, std::span<u8, kRegistersSize> bytes) {
  for (unsigned i = 0; i < 8; ++i) {
    put<u64>(bytes, 10 * i, x87.st(i).significand);
    put<u16>(bytes, 10 * i + 8, x87.st(i).sign_exponent);
  }
}

void get_registers(X87State& x87, std::span<const u8, kRegistersSize> bytes) {
  for (unsigned i = 0; i < 8; ++i) x87.st(i) = {get<u64>(bytes, 10 * i), get<u16>(bytes, 10 * i + 8)};
}

FxImage to_fx_image(const X87State& x87, bool wide) {
  FxImage image;
  const std::span<u8> header = image.header;
  put<u16>(header, 0, x87.control_word);
  put<u16>(header, 2, x87.status_word);
  const bool extra_tag = planted(PlantedFault::kAbridgedTag) && x87.top() == 7;
  put<u8>(header, 4, extra_tag ? static_cast<u8>(x87.valid_mask | 0x80) : x87.valid_mask);
  put<u16>(header, 6, x87.fop);
  if (wide) {
    put<u64>(header, 8, x87.fip);
    put<u64>(header, 16, x87.fdp);
  } else {
    put<u32>(header, 8, static_cast<u32>(x87.fip));
    put<u16>(header, 12, x87.fcs);
    put<u32>(header, 16, static_cast<u32>(x87.fdp));
    put<u16>(header, 20, x87.fds);
  }
  for (unsigned i = 0; i < 8; ++i) {
    put<u64>(image.registers, 16 * i, x87.st(i).significand);
    put<u16>(image.registers, 16 * i + 8, x87.st(i).sign_exponent);
  }
  return image;
}

X87State from_fx_image(const FxImage& image, bool wide) {
  X87State x87;
  const std::span<const u8> header = image.header;
  set_words(x87, get<u16>(header, 0), get<u16>(header, 2));
  x87.valid_mask = get<u8>(header, 4);
  x87.fop = get<u16>(header, 6) & kFopMask;
  if (wide) {
    x87.fip = get<u64>(header, 8);
    x87.fdp = get<u64>(header, 16);
  } else {
    x87.fip = get<u32>(header, 8);
    x87.fcs = get<u16>(header, 12);
    x87.fdp = get<u32>(header, 16);
    x87.fds = get<u16>(header, 20);
  }
  for (unsigned i = 0; i < 8; ++i) {
    x87.st(i) = {get<u64>(image.registers, 16 * i), get<u16>(image.registers, 16 * i + 8)};
  }
  return x87;
}

}  // namespace bhvm::x87
