#include "cli/manifest.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/image_builder.h"
#include "cli/quantities.h"

namespace bhvm::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kFormat = 1;

struct Place {
  std::string role;
  std::string* path;
};

/// Every path of a scenario that names a file on the host.
std::vector<Place> places_of(Scenario& scenario) {
  std::vector<Place> places;
  const auto add = [&places](std::string role, std::string& path) { places.push_back({std::move(role), &path}); };
  for (ImageScenario& image : scenario.images) {
    add(fmt::format("image {}: kernel", image.name), image.kernel);
    add(fmt::format("image {}: initrd", image.name), image.initrd);
    add(fmt::format("image {}: root disk", image.name), image.root_disk);
  }
  for (NodeScenario& node : scenario.nodes) {
    for (std::size_t i = 0; i < node.disks.size(); ++i) {
      add(fmt::format("node {}: disk {}", node.name, i + 1), node.disks[i].image);
    }
  }
  return places;
}

}  // namespace

Result<std::vector<ManifestFile>> files_of(const ScenarioFile& file) {
  Scenario scenario = file.scenario;
  std::vector<ManifestFile> files;
  for (const Place& place : places_of(scenario)) {
    if (place.path->empty()) continue;
    std::string hash;
    for (const ManifestFile& known : files) {
      if (known.path == *place.path) hash = known.hash;
    }
    if (hash.empty()) {
      const Result<Hash128> hashed = hash_file(*place.path);
      if (!hashed) return hashed.error();
      hash = to_string(hashed.value());
    }
    files.push_back({place.role, *place.path, hash});
  }
  return files;
}

bool use_files(const std::vector<ManifestFile>& files, ScenarioFile& file) {
  for (const Place& place : places_of(file.scenario)) {
    bool found = false;
    for (const ManifestFile& known : files) {
      if (known.role != place.role) continue;
      *place.path = known.path;
      found = true;
    }
    if (!found) return false;
  }
  return true;
}

Result<std::string> own_hash() {
  const Result<Hash128> hash = hash_file("/proc/self/exe");
  if (!hash) return hash.error();
  return to_string(hash.value());
}

std::string to_json(const Manifest& manifest, const Scenario& scenario, const Cluster& cluster,
                    const std::string& repeat) {
  Json json;
  json["format"] = kFormat;
  json["bhvm"] = manifest.version;
  json["binary_hash"] = manifest.binary_hash;
  json["command"] = repeat;
  json["scenario"] = "scenario.toml";
  json["scenario_path"] = manifest.scenario_path;
  json["seed"] = manifest.seed;
  json["max_time_ns"] = manifest.max_time_ns;
  json["hash_every_ns"] = manifest.hash_every_ns;
  json["no_faults"] = manifest.no_faults;
  json["files"] = Json::array();
  for (const ManifestFile& file : manifest.files) {
    json["files"].push_back({{"role", file.role}, {"path", file.path}, {"hash", file.hash}});
  }
  json["nodes"] = Json::array();
  for (u32 node = 0; node < scenario.nodes.size(); ++node) {
    const std::array<u8, 6> mac = cluster.mac(node);
    json["nodes"].push_back({{"name", scenario.nodes[node].name},
                             {"address", format_ipv4(cluster.address(node))},
                             {"mac", fmt::format("{:02x}", fmt::join(mac, ":"))}});
  }
  json["end"] = manifest.end;
  json["end_ns"] = manifest.end_ns;
  json["ok"] = manifest.ok;
  json["state_hash"] = manifest.state_hash;
  return json.dump(2) + "\n";
}

Result<Manifest> parse_manifest(const std::string& text, const std::string& path) {
  try {
    const Json json = Json::parse(text);
    if (json.at("format").get<int>() != kFormat) {
      return Error{
          fmt::format("{} has format {}; this bhvm reads format {}.", path, json.at("format").dump(), kFormat)};
    }
    Manifest manifest;
    manifest.version = json.at("bhvm").get<std::string>();
    manifest.binary_hash = json.at("binary_hash").get<std::string>();
    manifest.scenario_path = json.at("scenario_path").get<std::string>();
    manifest.seed = json.at("seed").get<u64>();
    manifest.max_time_ns = json.at("max_time_ns").get<u64>();
    manifest.hash_every_ns = json.at("hash_every_ns").get<u64>();
    manifest.no_faults = json.at("no_faults").get<bool>();
    for (const Json& file : json.at("files")) {
      manifest.files.push_back(
          {file.at("role").get<std::string>(), file.at("path").get<std::string>(), file.at("hash").get<std::string>()});
    }
    manifest.end = json.at("end").get<std::string>();
    manifest.end_ns = json.at("end_ns").get<u64>();
    manifest.ok = json.at("ok").get<bool>();
    manifest.state_hash = json.at("state_hash").get<std::string>();
    return manifest;
  } catch (const nlohmann::json::exception& error) {
    return Error{fmt::format("{} is no manifest of a run: {}.", path, error.what())};
  }
}

}  // namespace bhvm::cli
