// Every workload as a benchmark: CPU seconds between "begin" and "end", with a MIPS counter.
//
//   BHVM_KERNEL="$(kernel-config/build)" BHVM_BENCH_EXT4="$(guest/build-image bench.ext4 --size 480M)" bhvm-bench-macro
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <exception>

#include "bench/macro/workload_run.h"

namespace {

void workload(benchmark::State& state, std::string_view name, const bhvm::bench::WorkloadImages& images) {
  double instructions = 0, seconds = 0;
  for (auto _ : state) {
    try {
      const bhvm::bench::WorkloadResult result = bhvm::bench::run_workload(images, name);
      state.SetIterationTime(result.cpu_s);
      instructions += static_cast<double>(result.instructions);
      seconds += result.cpu_s;
    } catch (const std::exception& error) {
      state.SkipWithError(error.what());
      return;
    }
  }
  state.counters["instructions"] = instructions / static_cast<double>(state.iterations());
  state.counters["MIPS"] = instructions / seconds / 1e6;
}

}  // namespace

int main(int argc, char** argv) {
  const char* kernel = std::getenv("BHVM_KERNEL");
  const char* disk = std::getenv("BHVM_BENCH_EXT4");
  if (kernel == nullptr || disk == nullptr) {
    std::fprintf(
        stderr,
        "bhvm-bench-macro: set BHVM_KERNEL to a vmlinux (kernel-config/build prints one) and BHVM_BENCH_EXT4 to "
        "the image of 'guest/build-image bench.ext4 --size 480M'.\n");
    return 2;
  }
  const bhvm::bench::WorkloadImages images{kernel, disk};
  for (const std::string_view name : bhvm::bench::kWorkloads) {
    benchmark::RegisterBenchmark(std::string(name).c_str(), workload, name, images)
        ->UseManualTime()
        ->Iterations(1)
        ->Unit(benchmark::kMillisecond);
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
}
