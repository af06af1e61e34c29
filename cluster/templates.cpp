#include "cluster/templates.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>

#include "cluster/agent_protocol.h"
#include "cluster/line_splitter.h"
#include "machine/file_io.h"

namespace bhvm {
namespace {

constexpr u64 kSecond_ns = 1'000'000'000;
constexpr u64 kLongestBoot_ns = 120 * kSecond_ns;
constexpr u64 kStep_ns = 1'000'000;
constexpr std::size_t kTailLines = 40;

std::string command_line(const ImageScenario& image) {
  std::string line = "console=hvc0 bhvm.agent=1";
  if (!image.root_disk.empty()) line += " root=/dev/vda rootfstype=ext4 rw";
  if (image.initrd.empty()) line += " init=/sbin/bhvm-init";
  if (!image.append.empty()) line += " " + image.append;
  return line;
}

/// Files that several templates have in common are read once.
class FileCache {
 public:
  Result<std::shared_ptr<const ElfImage>> kernel(const std::string& path) {
    std::shared_ptr<const ElfImage>& kernel = kernels_[path];
    if (kernel != nullptr) return kernel;
    Result<ElfImage> image = ElfImage::open(path);
    if (!image) return image.error();
    kernel = std::make_shared<const ElfImage>(std::move(image).value());
    return kernel;
  }

  Result<std::shared_ptr<const std::vector<u8>>> initrd(const std::string& path) {
    std::shared_ptr<const std::vector<u8>>& initrd = initrds_[path];
    if (initrd != nullptr || path.empty()) return initrd;
    Result<std::vector<u8>> file = read_file(path, "initrd");
    if (!file) return file.error();
    initrd = std::make_shared<const std::vector<u8>>(std::move(file).value());
    return initrd;
  }

 private:
  std::map<std::string, std::shared_ptr<const ElfImage>> kernels_;
  std::map<std::string, std::shared_ptr<const std::vector<u8>>> initrds_;
};

}  // namespace

Result<Templates> Templates::create(const Scenario& scenario) {
  Templates templates;
  FileCache files;
  std::map<std::string, std::size_t> known;
  for (const NodeScenario& node : scenario.nodes) {
    const ImageScenario& image = scenario.images[node.image];
    std::string key =
        fmt::format("{}\n{}\n{}\n{}\n{}", image.kernel, image.initrd, image.root_disk, image.append, node.memory_bytes);
    for (const DiskScenario& disk : node.disks) {
      key += fmt::format("\n{}\n{} {}", disk.image, disk.logical_block_bytes, disk.physical_block_bytes);
    }
    const auto [entry, is_new] = known.try_emplace(key, templates.templates_.size());
    templates.of_node_.push_back(entry->second);
    if (!is_new) continue;

    Template one;
    one.name = image.name;
    one.config.memory_bytes = node.memory_bytes;
    one.config.rtc_epoch_s = scenario.epoch_s;
    one.config.command_line = command_line(image);
    one.config.agent = true;
    one.config.network = NicConfig{{0x02, 0, 0, 0, 0, 1}, static_cast<u16>(scenario.network.mtu)};
    Result<std::shared_ptr<const ElfImage>> kernel = files.kernel(image.kernel);
    if (!kernel) return kernel.error();
    one.config.kernel = kernel.value();
    Result<std::shared_ptr<const std::vector<u8>>> initrd = files.initrd(image.initrd);
    if (!initrd) return initrd.error();
    one.config.initrd = initrd.value();
    if (!image.root_disk.empty()) one.config.disks.emplace_back(image.root_disk);
    for (const DiskScenario& disk : node.disks) {
      DiskConfig& config = one.config.disks.emplace_back(disk.image);
      config.logical_block_bytes = disk.logical_block_bytes;
      config.physical_block_bytes = disk.physical_block_bytes;
    }
    Result<std::unique_ptr<Machine>> machine = Machine::create(one.config);
    if (!machine) return machine.error();
    one.machine = std::move(machine).value();
    templates.templates_.push_back(std::move(one));
  }
  return templates;
}

void Templates::boot_one(Template& one) {
  Machine& machine = *one.machine;
  bool ready = false;
  std::deque<std::string> tail;
  LineSplitter console;
  LineSplitter agent;
  machine.set_console_output([&](std::span<const u8> bytes) {
    console.feed(bytes, [&](const std::string& line) {
      tail.push_back(line);
      if (tail.size() > kTailLines) tail.pop_front();
    });
  });
  machine.set_agent_output([&](std::span<const u8> bytes) {
    agent.feed(bytes, [&](const std::string& line) {
      ready = ready || parse_agent_line(line).kind == AgentMessageKind::kReady;
    });
  });
  Stop stop;
  while (!ready) {
    const u64 limit_ns = machine.now_ns() + kStep_ns;
    stop = machine.run_until({.time_ns = limit_ns});
    if (stop.reason != StopReason::kTimeLimit || limit_ns > kLongestBoot_ns) break;
  }
  machine.set_console_output({});
  machine.set_agent_output({});
  one.ready_ns = machine.now_ns();
  if (ready) return;
  one.error = fmt::format(
      "The image {} does not get to the point where its agent is ready ({}); the end of its console:", one.name,
      to_string(stop.reason));
  if (!stop.message.empty()) one.error += "\n  " + stop.message;
  for (const std::string& line : tail) one.error += "\n  | " + line;
}

Status Templates::boot(WorkerPool& pool) {
  pool.run(static_cast<u32>(count()), [&](u32 i) { boot_one(templates_[i]); });
  for (const Template& one : templates_) {
    if (!one.error.empty()) return Error{one.error};
  }
  start_ns_ = (ready_ns() / kSecond_ns + 1) * kSecond_ns;
  pool.run(static_cast<u32>(count()), [&](u32 i) {
    Template& one = templates_[i];
    const Stop stop = one.machine->run_until({.time_ns = start_ns_});
    if (stop.reason != StopReason::kTimeLimit && stop.reason != StopReason::kHaltedForever) {
      one.error = fmt::format("The image {} stopped while its agent waited: {}.", one.name, to_string(stop.reason));
      return;
    }
    if (one.machine->now_ns() < start_ns_) one.machine->idle_until(start_ns_);
    one.snapshot = std::make_unique<MachineSnapshot>(one.machine->snapshot());
    one.machine.reset();
  });
  for (const Template& one : templates_) {
    if (!one.error.empty()) return Error{one.error};
  }
  return success();
}

u64 Templates::ready_ns() const {
  u64 ready_ns = 0;
  for (const Template& one : templates_) ready_ns = std::max(ready_ns, one.ready_ns);
  return ready_ns;
}

std::unique_ptr<Machine> Templates::fork(u32 node) {
  Template& one = templates_[of_node_[node]];
  BHVM_CHECK(one.snapshot != nullptr, "a node is forked from a template that has not booted");
  return Machine::from_snapshot(*one.snapshot);
}

}  // namespace bhvm
