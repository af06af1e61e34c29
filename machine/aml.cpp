#include "machine/aml.h"

#include "base/check.h"

namespace bhvm::aml {
namespace {

enum Opcode : u8 {
  kZeroOp = 0x00,
  kOneOp = 0x01,
  kNameOp = 0x08,
  kBytePrefix = 0x0A,
  kWordPrefix = 0x0B,
  kDWordPrefix = 0x0C,
  kStringPrefix = 0x0D,
  kQWordPrefix = 0x0E,
  kScopeOp = 0x10,
  kBufferOp = 0x11,
  kPackageOp = 0x12,
  kExtOpPrefix = 0x5B,
  kDeviceOp = 0x82,  // after kExtOpPrefix
};

void append(Bytes& out, const Bytes& more) { out.insert(out.end(), more.begin(), more.end()); }

void append_little_endian(Bytes& out, u64 value, unsigned size) {
  for (unsigned i = 0; i < size; ++i) out.push_back(static_cast<u8>(value >> (8 * i)));
}

Bytes name_path(std::string_view path) {
  Bytes out;
  if (path.starts_with('\\')) {
    out.push_back('\\');
    path.remove_prefix(1);
  }
  BHVM_CHECK(path.size() == 4, "an AML name has four characters");
  out.insert(out.end(), path.begin(), path.end());
  return out;
}

// PkgLength counts itself (20.2.4).
Bytes with_length(std::initializer_list<u8> opcode, const Bytes& body) {
  Bytes out(opcode);
  if (const std::size_t size = body.size() + 1; size < 0x40) {
    out.push_back(static_cast<u8>(size));
  } else if (const std::size_t size2 = body.size() + 2; size2 < 0x1000) {
    out.push_back(static_cast<u8>(0x40 | (size2 & 0xF)));
    out.push_back(static_cast<u8>(size2 >> 4));
  } else {
    const std::size_t size3 = body.size() + 3;
    BHVM_CHECK(size3 < 0x100000, "an AML package is too long");
    out.push_back(static_cast<u8>(0x80 | (size3 & 0xF)));
    out.push_back(static_cast<u8>(size3 >> 4));
    out.push_back(static_cast<u8>(size3 >> 12));
  }
  append(out, body);
  return out;
}

u32 hex_digit(char c) {
  if (c >= '0' && c <= '9') return static_cast<u32>(c - '0');
  BHVM_CHECK(c >= 'A' && c <= 'F', "an EISA id ends in four hexadecimal digits");
  return static_cast<u32>(c - 'A' + 10);
}

}  // namespace

Bytes join(std::initializer_list<Bytes> terms) {
  Bytes out;
  for (const Bytes& term : terms) append(out, term);
  return out;
}

Bytes integer(u64 value) {
  if (value == 0) return {kZeroOp};
  if (value == 1) return {kOneOp};
  struct Form {
    u64 limit;
    u8 prefix;
    unsigned size;
  };
  static constexpr Form kForms[] = {{0xFF, kBytePrefix, 1}, {0xFFFF, kWordPrefix, 2}, {0xFFFFFFFF, kDWordPrefix, 4}};
  for (const Form& form : kForms) {
    if (value > form.limit) continue;
    Bytes out{form.prefix};
    append_little_endian(out, value, form.size);
    return out;
  }
  Bytes out{kQWordPrefix};
  append_little_endian(out, value, 8);
  return out;
}

Bytes string(std::string_view text) {
  Bytes out;
  out.reserve(text.size() + 2);
  out.push_back(kStringPrefix);
  for (const char c : text) out.push_back(static_cast<u8>(c));
  out.push_back(0);
  return out;
}

Bytes eisa_id(std::string_view id) {
  BHVM_CHECK(id.size() == 7, "an EISA id has seven characters");
  const auto letter = [&](unsigned i) { return static_cast<u32>(id[i] - '@') & 0x1F; };
  const u32 vendor = letter(0) << 10 | letter(1) << 5 | letter(2);
  const u32 product = hex_digit(id[3]) << 12 | hex_digit(id[4]) << 8 | hex_digit(id[5]) << 4 | hex_digit(id[6]);
  Bytes out{kDWordPrefix};  // both halves are stored high byte first
  for (const u32 byte : {vendor >> 8, vendor, product >> 8, product}) out.push_back(static_cast<u8>(byte));
  return out;
}

Bytes package(std::initializer_list<Bytes> elements) {
  Bytes body{static_cast<u8>(elements.size())};
  append(body, join(elements));
  return with_length({kPackageOp}, body);
}

Bytes buffer(const Bytes& bytes) { return with_length({kBufferOp}, join({integer(bytes.size()), bytes})); }

Bytes name(std::string_view path, const Bytes& object) { return join({{kNameOp}, name_path(path), object}); }
Bytes scope(std::string_view path, const Bytes& body) { return with_length({kScopeOp}, join({name_path(path), body})); }
Bytes device(std::string_view path, const Bytes& body) {
  return with_length({kExtOpPrefix, kDeviceOp}, join({name_path(path), body}));
}

Bytes resource_template(std::initializer_list<Bytes> descriptors) {
  return buffer(join({join(descriptors), {0x79, 0x00}}));  // end tag; a checksum of 0 means: not checked
}

Bytes io(u16 base, u8 length) {
  Bytes out{0x47, 0x01};
  append_little_endian(out, base, 2);
  append_little_endian(out, base, 2);
  out.push_back(1);  // alignment
  out.push_back(length);
  return out;
}

Bytes irq_edge(u8 line) {
  Bytes out{0x22};
  append_little_endian(out, u64{1} << line, 2);
  return out;
}

Bytes memory32_fixed(u32 base, u32 length) {
  Bytes out{0x86, 0x09, 0x00, 0x01};
  append_little_endian(out, base, 4);
  append_little_endian(out, length, 4);
  return out;
}

Bytes interrupt_level(u32 gsi) {
  Bytes out{0x89, 0x06, 0x00, 0x01, 0x01};
  append_little_endian(out, gsi, 4);
  return out;
}

}  // namespace bhvm::aml
