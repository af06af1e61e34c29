// A small assembler for AML, the byte code of ACPI tables (ACPI 6.4, chapter 20), and for the resource descriptors of
// _CRS (6.4).
//
// Every function returns the bytes of one term; nesting is concatenation. Only what the DSDT of this board needs.
#pragma once

#include <initializer_list>
#include <string_view>
#include <vector>

#include "base/types.h"

namespace bhvm::aml {

using Bytes = std::vector<u8>;

Bytes join(std::initializer_list<Bytes> terms);

/// An integer in its shortest encoding (20.2.3).
Bytes integer(u64 value);
Bytes string(std::string_view text);
/// EISAID("PNP0501"): three capital letters and four hexadecimal digits, compressed to 32 bits (19.3.4).
Bytes eisa_id(std::string_view id);
Bytes package(std::initializer_list<Bytes> elements);
Bytes buffer(const Bytes& bytes);

/// Name(path, object). A path is one name of four characters, with a leading backslash for the root.
Bytes name(std::string_view path, const Bytes& object);
Bytes scope(std::string_view path, const Bytes& body);
Bytes device(std::string_view path, const Bytes& body);

// Resource descriptors; resource_template() wraps them into the buffer that _CRS returns.
Bytes resource_template(std::initializer_list<Bytes> descriptors);
Bytes io(u16 base, u8 length);               // 6.4.2.5, 16-bit decode
Bytes irq_edge(u8 line);                     // 6.4.2.1, edge, active high, exclusive
Bytes memory32_fixed(u32 base, u32 length);  // 6.4.3.4, read and write
Bytes interrupt_level(u32 gsi);              // 6.4.3.6, level, active high, exclusive, consumer

}  // namespace bhvm::aml
