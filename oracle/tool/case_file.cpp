#include "oracle/tool/case_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <span>
#include <sstream>

#include "oracle/compare/fields.h"

namespace bhvm::oracle {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array<const char*, 16> kGprs = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                               "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
constexpr std::array<const char*, 4> kModes = {"user64", "kernel64", "user32", "kernel32"};
constexpr std::array<const char*, 13> kSteps = {"poke", "pte",  "msr", "cr",      "xcr0",           "dr",      "gdtr",
                                                "idtr", "ldtr", "tr",  "segment", "kernel_gs_base", "self_ipi"};
constexpr std::size_t kLine = 64;  // bytes of the region that are written as one row

std::string hex(u64 value) { return fmt::format("{:#x}", value); }

std::string hex_bytes(std::span<const u8> bytes) {
  std::string text;
  for (const u8 byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

/// What is wrong with a file; thrown inside this file only, like nlohmann's own errors.
struct Malformed {
  std::string message;
};

u64 number(const Json& value) {
  const std::string text = value.get<std::string>();
  u64 result = 0;
  const char* const end = text.data() + text.size();
  if (!text.starts_with("0x") || std::from_chars(text.data() + 2, end, result, 16).ptr != end || text.size() == 2) {
    throw Malformed{fmt::format("'{}' is no hexadecimal number", text)};
  }
  return result;
}

std::vector<u8> bytes(const Json& value, std::size_t most) {
  const std::string text = value.get<std::string>();
  std::vector<u8> result;
  for (std::size_t i = 0; i + 1 < text.size() + 1 && i < text.size(); i += 2) {
    u8 byte = 0;
    if (i + 2 > text.size() || std::from_chars(&text[i], &text[i] + 2, byte, 16).ptr != &text[i] + 2) {
      throw Malformed{fmt::format("'{}' are no bytes in hexadecimal", text)};
    }
    result.push_back(byte);
  }
  if (result.size() > most) throw Malformed{fmt::format("more than {} bytes", most)};
  return result;
}

u64 optional_number(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() ? 0 : number(*found);
}

Json state_json(const Case& input) {
  Json state;
  const auto put = [&](const char* name, u64 value) {
    if (value != 0) state[name] = hex(value);
  };
  for (unsigned i = 0; i < kGprs.size(); ++i) put(kGprs[i], input.gpr[i]);
  put("rip", input.rip);
  put("rflags", input.rflags);
  put("fs_base", input.fs_base);
  put("gs_base", input.gs_base);
  put("accessed", input.accessed);
  put("dirty", input.dirty);
  put("cs", input.cs);
  put("ss", input.ss);
  constexpr std::size_t kFxUsed = 416;
  state["fx"] = hex_bytes(std::span(input.fx).first(kFxUsed));
  Json patches = Json::array();
  for (const Patch& patch : input.patches) {
    if (patch.bytes != 0) {
      patches.push_back({{"offset", hex(patch.offset)}, {"data", hex_bytes(std::span(patch.data).first(patch.bytes))}});
    }
  }
  if (!patches.empty()) state["patches"] = patches;
  return state;
}

Case parse_state(const Json& state) {
  Case input{};
  for (unsigned i = 0; i < kGprs.size(); ++i) input.gpr[i] = optional_number(state, kGprs[i]);
  input.rip = optional_number(state, "rip");
  input.rflags = optional_number(state, "rflags");
  input.fs_base = optional_number(state, "fs_base");
  input.gs_base = optional_number(state, "gs_base");
  input.accessed = optional_number(state, "accessed");
  input.dirty = optional_number(state, "dirty");
  input.cs = static_cast<u16>(optional_number(state, "cs"));
  input.ss = static_cast<u16>(optional_number(state, "ss"));
  const std::vector<u8> fx = bytes(state.at("fx"), sizeof(input.fx));
  std::copy(fx.begin(), fx.end(), input.fx);
  if (const auto patches = state.find("patches"); patches != state.end()) {
    if (patches->size() > kPatches) throw Malformed{fmt::format("more than {} patches", kPatches)};
    for (std::size_t i = 0; i < patches->size(); ++i) {
      const std::vector<u8> data = bytes((*patches)[i].at("data"), sizeof(Patch::data));
      Patch& patch = input.patches[i];
      patch.offset = static_cast<u32>(number((*patches)[i].at("offset")));
      patch.bytes = static_cast<u32>(data.size());
      if (patch.offset > kRegionBytes - data.size()) throw Malformed{"a patch outside the region"};
      std::copy(data.begin(), data.end(), patch.data);
    }
  }
  return input;
}

Json region_json(const Pristine& pristine) {
  const Pristine blank = blank_region();
  Json rows = Json::array();
  for (std::size_t at = 0; at < pristine.size(); at += kLine) {
    if (std::memcmp(&pristine[at], &blank[at], kLine) == 0) continue;
    rows.push_back({{"offset", hex(at)}, {"data", hex_bytes(std::span(pristine).subspan(at, kLine))}});
  }
  return rows;
}

template <std::size_t kCount>
std::size_t index_of(const std::array<const char*, kCount>& names, const std::string& name, const char* what) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) throw Malformed{fmt::format("'{}' is no {}", name, what)};
  return static_cast<std::size_t>(found - names.begin());
}

Steps parse_steps(const Json& list) {
  Steps steps;
  for (const Json& each : list) {
    Step step{};
    step.kind = static_cast<StepKind>(index_of(kSteps, each.at("kind").get<std::string>(), "step"));
    step.index = static_cast<u32>(optional_number(each, "index"));
    step.value = optional_number(each, "value");
    const u64 most = step.kind == StepKind::kPoke ? kRegionBytes / 8 : kRegionPages;
    if ((step.kind == StepKind::kPoke || step.kind == StepKind::kPte) && step.index >= most) {
      throw Malformed{"a step outside the region"};
    }
    steps.push_back(step);
  }
  return steps;
}

StoredCase parse(const Json& json, const std::string& name) {
  StoredCase stored;
  stored.name = name;
  stored.note = json.value("note", "");
  stored.row = json.value("row", "");
  CaseGroup& group = stored.group;
  group.form = json.at("form").get<std::string>();
  group.mnemonic = json.at("mnemonic").get<std::string>();
  group.family = json.at("family").get<std::string>();
  group.native = json.at("native").get<bool>();
  group.group.mode = static_cast<Mode>(index_of(kModes, json.at("mode").get<std::string>(), "mode"));
  const std::vector<u8> code = bytes(json.at("code"), kMaxCode);
  group.group.code_bytes = static_cast<u16>(code.size());
  std::copy(code.begin(), code.end(), group.group.code);
  group.group.code_offset = static_cast<u32>(number(json.at("code_offset")));
  if (code.empty() || group.group.code_offset > kRegionBytes - code.size()) {
    throw Malformed{"code that does not lie in the region"};
  }
  group.cases = {parse_state(json.at("state"))};
  if (const auto steps = json.find("steps"); steps != json.end()) group.steps = {parse_steps(*steps)};
  auto pristine = std::make_shared<Pristine>(blank_region());
  for (const Json& row : json.at("region")) {
    const std::vector<u8> data = bytes(row.at("data"), kRegionBytes);
    const u64 offset = number(row.at("offset"));
    if (offset > kRegionBytes - data.size()) throw Malformed{"a row outside the region"};
    std::copy(data.begin(), data.end(), pristine->begin() + static_cast<std::ptrdiff_t>(offset));
  }
  stored.pristine = pristine;
  for (const auto& [word, value] : json.at("expected").items()) stored.expected[word] = number(value);
  return stored;
}

}  // namespace

Pristine blank_region() {
  Pristine region{};
  for (unsigned page = 0; page < kRegionPages; ++page) {
    const PageKind kind = kPageKinds[page];
    if (kind == PageKind::kCode || kind == PageKind::kSupervisorCode || kind == PageKind::kWritableCode) {
      constexpr u8 kInt3 = 0xCC;
      std::memset(&region[page * kPageBytes], kInt3, kPageBytes);
    }
  }
  return region;
}

std::map<std::string, u64> expected_words(const Outcome& outcome, const Pristine& pristine) {
  std::map<std::string, u64> words;
  for (const Word& word : words_of(outcome, pristine)) words[name_of(word.field, word.index)] = word.value;
  return words;
}

std::string to_json(const StoredCase& stored) {
  const CaseGroup& group = stored.group;
  Json json;
  json["note"] = stored.note;
  if (!stored.row.empty()) json["row"] = stored.row;
  json["form"] = group.form;
  json["mnemonic"] = group.mnemonic;
  json["family"] = group.family;
  json["mode"] = kModes[static_cast<std::size_t>(group.group.mode)];
  json["native"] = group.native;
  json["code"] = hex_bytes(std::span(group.group.code).first(group.group.code_bytes));
  json["code_offset"] = hex(group.group.code_offset);
  json["state"] = state_json(group.cases.front());
  if (!group.steps.empty()) {
    Json steps = Json::array();
    for (const Step& step : group.steps.front()) {
      steps.push_back({{"kind", kSteps[static_cast<std::size_t>(step.kind)]},
                       {"index", hex(step.index)},
                       {"value", hex(step.value)}});
    }
    json["steps"] = steps;
  }
  json["region"] = region_json(*stored.pristine);
  Json expected = Json::object();
  for (const auto& [word, value] : stored.expected) expected[word] = hex(value);
  json["expected"] = expected;
  return json.dump(1) + "\n";
}

Result<StoredCase> parse_case(const std::string& text, const std::string& name) {
  try {
    return parse(Json::parse(text), name);
  } catch (const Malformed& problem) {
    return Error{fmt::format("The case '{}' is malformed: {}.", name, problem.message)};
  } catch (const Json::exception& problem) {
    return Error{fmt::format("The case '{}' is malformed: {}.", name, problem.what())};
  }
}

Result<StoredCase> read_case(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) return Error{fmt::format("The case file '{}' cannot be read; give one that bhvm-diff wrote.", path)};
  return parse_case(text.str(), std::filesystem::path(path).stem().string());
}

}  // namespace bhvm::oracle
