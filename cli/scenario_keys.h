// The keys of a scenario file: the one list that the parser reads by. docs/scenario.schema.json describes them to
// editors, and a test holds the two together.
#pragma once

#include <span>
#include <string_view>

#include "cluster/scenario.h"

namespace bhvm::cli {

using Keys = std::span<const std::string_view>;

/// Where a key may stand. The names are those of the schema's definitions.
struct TableKeys {
  std::string_view table;
  Keys keys;
};

Keys scenario_keys();
Keys image_keys();
Keys added_folder_keys();
Keys node_keys();
Keys disk_keys();
Keys network_keys();
Keys link_keys();
Keys fault_keys();
Keys fault_mix_keys();
Keys property_keys();
Keys check_keys();
Keys builtin_keys();
/// All of the above.
std::span<const TableKeys> scenario_tables();

/// The keys that say how strong a fault of a kind is; a part of fault_keys() and fault_mix_keys().
Keys strength_keys(FaultKind kind);

// The words that a key may have for its value.
Keys fault_kind_words();
Keys partition_shape_words();
Keys role_words();
Keys request_words();

}  // namespace bhvm::cli
