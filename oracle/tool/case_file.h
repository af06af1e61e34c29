// A case as a file: what --replay repeats and what the regression tests are made of.
//
// JSON with numbers in hexadecimal text. It holds the code, the input state as far as it is not zero, the region as far
// as it is not INT3 (code pages) or zero, and the outcome that is right.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/result.h"
#include "oracle/case_group.h"

namespace bhvm::oracle {

struct StoredCase {
  std::string name;  // the file's name without ".json"
  std::string note;  // what it shows, for a person
  std::string row;   // of a witness: the row of the mask table that it shows; else empty
  CaseGroup group;   // with one case
  std::shared_ptr<const Pristine> pristine;
  std::map<std::string, u64> expected;  // outcome words by name (oracle/compare/fields.h); empty: none known
};

std::string to_json(const StoredCase& stored);
/// An error names what is missing or malformed.
Result<StoredCase> parse_case(const std::string& json, const std::string& name);
Result<StoredCase> read_case(const std::string& path);

/// INT3 in the pages that can hold code, zero elsewhere: what a stored region is told apart from.
Pristine blank_region();

/// All words of an outcome that are not zero, by name.
std::map<std::string, u64> expected_words(const Outcome& outcome, const Pristine& pristine);

}  // namespace bhvm::oracle
