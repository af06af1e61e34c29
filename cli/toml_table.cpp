#include "cli/toml_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "cli/quantities.h"

namespace bhvm::cli {
namespace {

// Of insertions, deletions, replacements and swaps of neighbours.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> d(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = d[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, replaced});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
      }
    }
  }
  return d[a.size()][b.size()];
}

const char* kind_of(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "an array";
    case toml::node_type::string:
      return "a text";
    case toml::node_type::integer:
      return "an integer";
    case toml::node_type::floating_point:
      return "a number";
    case toml::node_type::boolean:
      return "true or false";
    default:
      return "a date or time";
  }
}

}  // namespace

void Complaints::add(const toml::source_region& where, const std::string& sentence) {
  lines_.emplace_back(where.begin.line, fmt::format("{}:{}: {}", file_, where.begin.line, sentence));
}

Error Complaints::error() const {
  std::vector<std::pair<u32, std::string>> sorted = lines_;
  std::ranges::sort(sorted);
  std::string text;
  for (const auto& [line, sentence] : sorted) text += (text.empty() ? "" : "\n") + sentence;
  return Error{text};
}

std::string_view nearest(std::string_view word, std::span<const std::string_view> known) {
  std::string_view best;
  std::size_t best_distance = word.size() / 3 + 2;
  for (const std::string_view candidate : known) {
    const std::size_t distance = edit_distance(word, candidate);
    if (distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

std::string meant(std::string_view word, std::span<const std::string_view> known) {
  if (const std::string_view near = nearest(word, known); !near.empty()) {
    return fmt::format("; did you mean \"{}\"?", near);
  }
  if (known.empty()) return "; there are none.";
  std::string list;
  for (std::size_t i = 0; i < known.size(); ++i) {
    list += i == 0 ? "" : i + 1 == known.size() ? " and " : ", ";
    list += known[i];
  }
  return fmt::format("; there {} {}.", known.size() == 1 ? "is" : "are", list);
}

TomlTable::TomlTable(const toml::table& table, std::string name, std::span<const std::string_view> keys,
                     Complaints& complaints)
    : table_(table), name_(std::move(name)), keys_(keys), complaints_(complaints) {
  for (const auto& [key, value] : table) {
    if (std::ranges::find(keys, key.str()) != keys.end()) continue;
    complaints.add(key.source(), fmt::format("\"{}\" is no key of {}{}", key.str(), name_, meant(key.str(), keys)));
  }
}

void TomlTable::complain(std::string_view key, const std::string& sentence) const {
  const toml::node* const node = table_.get(key);
  complaints_.add(node != nullptr ? node->source() : table_.source(), sentence);
}

void TomlTable::require(std::string_view key, const std::string& what_for) const {
  if (!has(key)) complain(key, fmt::format("{} has no \"{}\"; {}", name_, key, what_for));
}

const toml::node* TomlTable::known(std::string_view key) const {
  BHVM_CHECK(std::ranges::find(keys_, key) != keys_.end(), "a key is read that the table's list does not have");
  return table_.get(key);
}

const toml::node* TomlTable::find(std::string_view key) const { return known(key); }

const toml::table* TomlTable::find_table(std::string_view key) const {
  const toml::node* const node = known(key);
  if (node == nullptr) return nullptr;
  if (!node->is_table())
    complain(key, fmt::format("\"{}\" of {} is {}; it must be a table.", key, name_, kind_of(*node)));
  return node->as_table();
}

std::vector<const toml::table*> TomlTable::tables(std::string_view key) const {
  std::vector<const toml::table*> result;
  const toml::node* const node = known(key);
  if (node == nullptr) return result;
  const toml::array* const array = node->as_array();
  if (array == nullptr) {
    complain(key, fmt::format("\"{}\" is {}; write [[{}]], once for each.", key, kind_of(*node), key));
    return result;
  }
  for (const toml::node& element : *array) {
    if (const toml::table* const table = element.as_table()) {
      result.push_back(table);
    } else {
      complaints_.add(element.source(),
                      fmt::format("\"{}\" holds {} where a table belongs; write [[{}]], once for each.", key,
                                  kind_of(element), key));
    }
  }
  return result;
}

bool TomlTable::read(std::string_view key, std::string& value) const {
  const toml::node* const node = known(key);
  if (node == nullptr) return false;
  if (const auto* const text = node->as_string()) {
    value = text->get();
    return true;
  }
  complain(key, fmt::format("\"{}\" of {} is {}; it must be a text in quotes.", key, name_, kind_of(*node)));
  return false;
}

bool TomlTable::read(std::string_view key, bool& value) const {
  const toml::node* const node = known(key);
  if (node == nullptr) return false;
  if (const auto* const boolean = node->as_boolean()) {
    value = boolean->get();
    return true;
  }
  complain(key, fmt::format("\"{}\" of {} is {}; it must be true or false.", key, name_, kind_of(*node)));
  return false;
}

bool TomlTable::read(std::string_view key, std::vector<std::string>& value) const {
  const toml::node* const node = known(key);
  if (node == nullptr) return false;
  if (const auto* const text = node->as_string()) {
    value = {text->get()};
    return true;
  }
  std::vector<std::string> words;
  if (const auto* const array = node->as_array()) {
    for (const toml::node& element : *array) {
      if (const auto* const text = element.as_string()) {
        words.push_back(text->get());
        continue;
      }
      complaints_.add(element.source(), fmt::format("\"{}\" of {} holds {}; it must hold texts in quotes.", key, name_,
                                                    kind_of(element)));
      return false;
    }
    value = std::move(words);
    return true;
  }
  complain(key, fmt::format("\"{}\" of {} is {}; it must be an array of texts.", key, name_, kind_of(*node)));
  return false;
}

bool TomlTable::read_integer(std::string_view key, i64 low, i64 high, i64& value) const {
  const toml::node* const node = known(key);
  if (node == nullptr) return false;
  const auto* const integer = node->as_integer();
  if (integer != nullptr && integer->get() >= low && integer->get() <= high) {
    value = integer->get();
    return true;
  }
  complain(key, fmt::format("\"{}\" of {} must be an integer from {} to {}.", key, name_, low, high));
  return false;
}

template <class T>
bool TomlTable::read_text(std::string_view key, const char* what, Result<T> (*parse)(const std::string&),
                          T& value) const {
  const toml::node* const node = known(key);
  if (node == nullptr) return false;
  const auto* const text = node->as_string();
  if (text == nullptr) {
    complain(key, fmt::format("\"{}\" of {} is {}; it must be {}.", key, name_, kind_of(*node), what));
    return false;
  }
  Result<T> parsed = parse(text->get());
  if (!parsed) {
    complain(key, fmt::format("\"{}\" of {}: {}", key, name_, parsed.error().message));
    return false;
  }
  value = parsed.value();
  return true;
}

bool TomlTable::read_duration(std::string_view key, u64& value_ns) const {
  return read_text(key, "a text with a unit, for example \"60s\" or \"500ms\"", parse_duration_with_unit_ns, value_ns);
}

bool TomlTable::read_signed_duration(std::string_view key, i64& value_ns) const {
  return read_text(key, "a text with a unit, for example \"+10s\" or \"-500ms\"", parse_signed_duration_ns, value_ns);
}

bool TomlTable::read_duration_range(std::string_view key, u64& low_ns, u64& high_ns) const {
  const toml::node* const node = known(key);
  if (node == nullptr) return false;
  const toml::array* const array = node->as_array();
  if (array == nullptr) {
    if (!read_duration(key, low_ns)) return false;
    high_ns = low_ns;
    return true;
  }
  u64 ends_ns[2]{};
  bool good = array->size() == 2;
  for (std::size_t i = 0; good && i < 2; ++i) {
    const auto* const text = array->get(i)->as_string();
    const Result<u64> parsed = parse_duration_with_unit_ns(text != nullptr ? text->get() : "");
    good = parsed.ok();
    if (good) ends_ns[i] = parsed.value();
  }
  if (!good || ends_ns[0] > ends_ns[1]) {
    complain(key, fmt::format("\"{}\" of {} must be a duration, or two in order: [\"1s\", \"5s\"].", key, name_));
    return false;
  }
  low_ns = ends_ns[0];
  high_ns = ends_ns[1];
  return true;
}

bool TomlTable::read_size(std::string_view key, u64& value_bytes) const {
  return read_text(key, "a text with a unit, for example \"256M\"", parse_size_bytes, value_bytes);
}

bool TomlTable::read_bandwidth(std::string_view key, u64& value_bps) const {
  return read_text(key, "a text with a unit, for example \"10Mbit\"", parse_bandwidth_bps, value_bps);
}

bool TomlTable::read_probability(std::string_view key, u32& value_ppb) const {
  const toml::node* const node = known(key);
  if (node == nullptr) return false;
  if (node->is_number()) {
    const double value = node->value<double>().value();
    if (value >= 0 && value <= 1) {
      value_ppb = static_cast<u32>(std::llround(value * 1e9));
      return true;
    }
    complain(key, fmt::format("\"{}\" of {} is no probability; write for example 0.01 or \"1%\".", key, name_));
    return false;
  }
  return read_text(key, "a probability, for example 0.01 or \"1%\"", parse_probability_ppb, value_ppb);
}

bool TomlTable::read_rate_change(std::string_view key, i64& value_ppm) const {
  return read_text(key, "a text with a unit, for example \"+5%\" or \"-200ppm\"", parse_rate_change_ppm, value_ppm);
}

bool TomlTable::read_address(std::string_view key, u32& value) const {
  return read_text(key, "an address in quotes, for example \"10.0.0.7\"", parse_ipv4, value);
}

bool TomlTable::read_word(std::string_view key, std::span<const std::string_view> words, std::size_t& index) const {
  std::string word;
  if (!read(key, word)) return false;
  const auto found = std::ranges::find(words, word);
  if (found == words.end()) {
    complain(key, fmt::format("\"{}\" of {}: there is no \"{}\"{}", key, name_, word, meant(word, words)));
    return false;
  }
  index = static_cast<std::size_t>(found - words.begin());
  return true;
}

}  // namespace bhvm::cli
