// TomlTable: one table of a TOML file, read key by key, with a complaint for everything that is wrong with it.
//
// A table has a fixed list of keys. What the file has beyond it is a complaint that names the line and the key that was
// probably meant. Reading goes on after a complaint with the default in place, so that a user sees all of them at once.
#pragma once

#include <toml++/toml.h>

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/types.h"

namespace bhvm::cli {

/// What is wrong with a file: sentences with the place in front of each.
class Complaints {
 public:
  explicit Complaints(std::string file) : file_(std::move(file)) {}

  void add(const toml::source_region& where, const std::string& sentence);
  bool empty() const { return lines_.empty(); }
  /// All of them, in the order of their lines.
  Error error() const;
  const std::string& file() const { return file_; }

 private:
  std::string file_;
  std::vector<std::pair<u32, std::string>> lines_;
};

/// The word of `known` that `word` was probably meant to be; empty when none is near.
std::string_view nearest(std::string_view word, std::span<const std::string_view> known);
/// `; did you mean "x"?`, or `; there are a, b and c.`
std::string meant(std::string_view word, std::span<const std::string_view> known);

class TomlTable {
 public:
  /// `name` is for complaints: "[network]", "node redis1". Complains about keys that are not in `keys`.
  TomlTable(const toml::table& table, std::string name, std::span<const std::string_view> keys, Complaints& complaints);

  const std::string& name() const { return name_; }
  void set_name(std::string name) { name_ = std::move(name); }
  bool has(std::string_view key) const { return table_.contains(key); }
  /// Complains at a key, or at the table when it does not have it.
  void complain(std::string_view key, const std::string& sentence) const;
  /// Complains when a key is missing.
  void require(std::string_view key, const std::string& what_for) const;

  // Each leaves `value` as it is when the key is missing or wrong, and says whether it was there and right.
  bool read(std::string_view key, std::string& value) const;
  bool read(std::string_view key, bool& value) const;
  bool read(std::string_view key, std::vector<std::string>& value) const;
  bool read_integer(std::string_view key, i64 low, i64 high, i64& value) const;
  /// "100ms": a text with a unit.
  bool read_duration(std::string_view key, u64& value_ns) const;
  /// "+10s", "-3s".
  bool read_signed_duration(std::string_view key, i64& value_ns) const;
  /// "100ms", or ["1s", "5s"]: from the first to the second.
  bool read_duration_range(std::string_view key, u64& low_ns, u64& high_ns) const;
  /// "64M": bytes.
  bool read_size(std::string_view key, u64& value_bytes) const;
  /// "10Mbit": bits a second.
  bool read_bandwidth(std::string_view key, u64& value_bps) const;
  /// 0.01 or "1%": parts per billion.
  bool read_probability(std::string_view key, u32& value_ppb) const;
  /// "+5%", "-200ppm": parts per million.
  bool read_rate_change(std::string_view key, i64& value_ppm) const;
  /// "10.0.0.7": host order.
  bool read_address(std::string_view key, u32& value) const;
  /// One of `words`: its index.
  bool read_word(std::string_view key, std::span<const std::string_view> words, std::size_t& index) const;

  const toml::node* find(std::string_view key) const;
  const toml::table* find_table(std::string_view key) const;
  /// The elements of an array of tables; complains about another thing in its place.
  std::vector<const toml::table*> tables(std::string_view key) const;
  const toml::table& raw() const { return table_; }
  Complaints& complaints() const { return complaints_; }

 private:
  template <class T>
  bool read_text(std::string_view key, const char* what, Result<T> (*parse)(const std::string&), T& value) const;
  const toml::node* known(std::string_view key) const;

  const toml::table& table_;
  std::string name_;
  std::span<const std::string_view> keys_;
  Complaints& complaints_;
};

}  // namespace bhvm::cli
