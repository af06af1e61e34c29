// Saving and loading a state: its fields in order of declaration, little-endian, each in its own width, nothing
// between.
//
//   bool: one byte, 0 or 1        enum: its underlying integer        an array: its elements
//   std::vector: u64 length, then its elements
//
// The form has no names and no version in it; whoever writes a file puts the schema (state/schema.h) or its hash in
// front. A Reader trusts nothing: every read is checked against what is left, and a vector's length before memory is
// taken for it. The first failure sticks.
#pragma once

#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include "base/types.h"
#include "state/shape.h"

namespace bhvm {

/// An append-only vector of bytes.
class Writer {
 public:
  void reserve(std::size_t size) { bytes_.reserve(size); }
  void put_bytes(const void* bytes, std::size_t size) {
    const u8* first = static_cast<const u8*>(bytes);
    bytes_.insert(bytes_.end(), first, first + size);
  }
  /// Any unsigned integer, in its own width, little-endian.
  template <class T>
  void put(T value) {
    static_assert(std::is_unsigned_v<T>);
    if constexpr (std::endian::native == std::endian::little) {
      put_bytes(&value, sizeof(value));
    } else {
      for (std::size_t i = 0; i < sizeof(T); ++i) bytes_.push_back(static_cast<u8>(value >> (8 * i)));
    }
  }
  const std::vector<u8>& bytes() const { return bytes_; }
  std::vector<u8> take() { return std::move(bytes_); }

 private:
  std::vector<u8> bytes_;
};

/// Reads what a Writer wrote, or anything else, from bytes that outlive it.
class Reader {
 public:
  explicit Reader(std::span<const u8> bytes) : rest_(bytes) {}

  std::size_t remaining() const { return rest_.size(); }
  bool failed() const { return failed_; }
  /// Was all of it read, without failure?
  bool finished() const { return !failed_ && rest_.empty(); }
  /// From here on all reads fail and yield zeros.
  void fail() {
    failed_ = true;
    rest_ = {};
  }
  bool get_bytes(void* bytes, std::size_t size) {
    if (size > rest_.size() || failed_) {
      fail();
      return false;
    }
    if (size != 0) std::memcpy(bytes, rest_.data(), size);
    rest_ = rest_.subspan(size);
    return true;
  }
  /// 0 on failure.
  template <class T>
  T get() {
    static_assert(std::is_unsigned_v<T>);
    u8 bytes[sizeof(T)] = {};
    get_bytes(bytes, sizeof(bytes));
    T value = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i) value = static_cast<T>(value | static_cast<T>(T{bytes[i]} << (8 * i)));
    return value;
  }

 private:
  std::span<const u8> rest_;
  bool failed_ = false;
};

/// Appends the saved form of `state`.
template <class S>
void save(Writer& writer, const S& state) {
  using namespace state_shape;
  if constexpr (saves_in_bulk<S>()) {
    writer.put_bytes(&state, sizeof(state));
  } else if constexpr (Scalar<S>) {
    writer.put(to_bits(state));
  } else if constexpr (Array<S> || Vector<S>) {
    if constexpr (Vector<S>) writer.put(u64{state.size()});
    if constexpr (saves_in_bulk<typename S::value_type>()) {
      writer.put_bytes(state.data(), state.size() * sizeof(typename S::value_type));
    } else {
      for (const auto& element : state) save(writer, element);
    }
  } else {
    boost::pfr::for_each_field(state, [&](const auto& field) { save(writer, field); });
  }
}

/// Reads a state. False, with the reader failed, when the bytes are no saved S: `state` is then partly overwritten and
/// to be thrown away. An enumeration may come back with a value that has no name.
template <class S>
bool load(Reader& reader, S& state) {
  using namespace state_shape;
  if constexpr (loads_in_bulk<S>()) {
    return reader.get_bytes(&state, sizeof(state));
  } else if constexpr (std::is_same_v<S, bool>) {
    const u8 byte = reader.get<u8>();
    if (byte > 1) reader.fail();
    state = byte == 1;
  } else if constexpr (Scalar<S>) {
    state = static_cast<S>(reader.get<decltype(to_bits(state))>());
  } else if constexpr (Vector<S>) {
    using Element = typename S::value_type;
    static_assert(saved_size_min<Element>() > 0, "a vector of nothing has a length that the bytes do not bound");
    const u64 size = reader.get<u64>();
    if (size > reader.remaining() / saved_size_min<Element>()) {
      reader.fail();
      return false;
    }
    state.assign(static_cast<std::size_t>(size), Element{});
    if constexpr (loads_in_bulk<Element>()) {
      reader.get_bytes(state.data(), state.size() * sizeof(Element));
    } else {
      for (Element& element : state) {
        if (!load(reader, element)) break;
      }
    }
  } else if constexpr (Array<S>) {
    if constexpr (loads_in_bulk<typename S::value_type>()) {
      reader.get_bytes(state.data(), state.size() * sizeof(typename S::value_type));
    } else {
      for (auto& element : state) {
        if (!load(reader, element)) break;
      }
    }
  } else {
    boost::pfr::for_each_field(state, [&](auto& field) { load(reader, field); });
  }
  return !reader.failed();
}

}  // namespace bhvm
