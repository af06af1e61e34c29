#include "cluster/cluster.h"

#include <algorithm>

#include "base/check.h"
#include "cluster/cluster_run.h"

namespace bhvm {
namespace {

/// The given addresses, and for the other nodes the lowest that are free, from .1 on.
std::vector<u32> assign_addresses(const Scenario& scenario) {
  const u32 mask = ~u32{0} << (32 - scenario.network.prefix_bits);
  std::vector<u32> addresses;
  for (const NodeScenario& node : scenario.nodes) addresses.push_back(node.address);
  u32 next = (scenario.network.subnet & mask) + 1;
  for (u32& address : addresses) {
    if (address != 0) continue;
    while (std::ranges::find(addresses, next) != addresses.end()) ++next;
    address = next;
  }
  return addresses;
}

}  // namespace

struct Cluster::Parts {
  Scenario scenario;
  ClusterOptions options;
  Templates templates;
  std::vector<u32> addresses;
  std::unique_ptr<WorkerPool> pool;
  bool ran = false;
};

Cluster::Cluster(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Cluster::~Cluster() = default;

Result<std::unique_ptr<Cluster>> Cluster::create(const Scenario& scenario, const ClusterOptions& options) {
  if (Status status = validate(scenario); !status) return status.error();
  Result<Templates> templates = Templates::create(scenario);
  if (!templates) return templates.error();
  auto parts = std::make_unique<Parts>(scenario, options, std::move(templates).value(), assign_addresses(scenario),
                                       std::make_unique<WorkerPool>(options.jobs));
  return std::unique_ptr<Cluster>(new Cluster(std::move(parts)));
}

Status Cluster::boot() { return parts_->templates.boot(*parts_->pool); }

Result<ClusterResult> Cluster::run() {
  BHVM_CHECK(!parts_->ran, "a cluster is run twice");
  parts_->ran = true;
  ClusterRun run(parts_->scenario, parts_->options, parts_->templates, *parts_->pool, parts_->addresses);
  return run.run();
}

u64 Cluster::boot_ns() const { return parts_->templates.ready_ns(); }
std::size_t Cluster::templates() const { return parts_->templates.count(); }
u32 Cluster::address(u32 node) const { return parts_->addresses.at(node); }
std::array<u8, 6> Cluster::mac(u32 node) const { return mac_of(address(node)); }

}  // namespace bhvm
