// bhvm-workload: one workload, its output on standard output and what was measured as JSON. For bench/compare.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <nlohmann/json.hpp>

#include "bench/macro/workload_run.h"

int main(int argc, char** argv) {
  CLI::App app{"Runs one workload in a machine and measures it.", "bhvm-workload"};
  bhvm::bench::WorkloadImages images;
  std::string name, argument, json;
  app.add_option("--kernel", images.kernel, "A vmlinux")->required()->check(CLI::ExistingFile);
  app.add_option("--disk", images.disk, "The image of `guest/build-image bench.ext4`")
      ->required()
      ->check(CLI::ExistingFile);
  app.add_option("--json", json, "Write what was measured here");
  app.add_option("name", name, "The workload")->required();
  app.add_option("argument", argument, "Its argument");
  CLI11_PARSE(app, argc, argv);
  try {
    const bhvm::bench::WorkloadResult result = bhvm::bench::run_workload(images, name, argument);
    std::fputs(result.output.c_str(), stdout);
    const nlohmann::json measured = {{"workload", name},
                                     {"instructions", result.instructions},
                                     {"rep_iterations", result.rep_iterations},
                                     {"cpu_s", result.cpu_s},
                                     {"wall_s", result.wall_s},
                                     {"total_instructions", result.total_instructions},
                                     {"total_cpu_s", result.total_cpu_s}};
    if (json.empty()) return 0;
    std::FILE* file = std::fopen(json.c_str(), "w");
    const std::string text = measured.dump(1) + "\n";
    const bool written = file != nullptr && std::fputs(text.c_str(), file) >= 0;
    if (file == nullptr || std::fclose(file) != 0 || !written) {
      std::fprintf(stderr, "bhvm-workload: %s cannot be written; choose another place.\n", json.c_str());
      return 2;
    }
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bhvm-workload: %s\n", error.what());
    return 2;
  }
}
