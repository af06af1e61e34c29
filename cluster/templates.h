// Templates: machines booted once, up to the point where the guest's agent waits to be told who it is, to be forked
// into nodes.
//
// That is sound because nothing in a template has an identity yet: its agent has mounted the root file system and
// waits; host name, addresses, hosts, environment, disks to mount and the command come after the fork, and so do new
// seeds for all random streams of the machine and for the guest's own generator. Nodes of one kernel, initrd, root
// disk, memory and data disks share a template. A template knows no seed, so it is the same for every seed of a
// scenario.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "cluster/scenario.h"
#include "cluster/worker_pool.h"
#include "machine/machine.h"

namespace bhvm {

class Templates {
 public:
  /// Loads what the nodes boot. An error when a file cannot be read.
  static Result<Templates> create(const Scenario& scenario);

  /// Boots all templates, in parallel, and lets them idle up to the next full second behind the slowest one.
  Status boot(WorkerPool& pool);

  std::size_t count() const { return templates_.size(); }
  /// When the slowest agent was ready.
  u64 ready_ns() const;
  /// The moment at which all templates stand.
  u64 start_ns() const { return start_ns_; }

  std::unique_ptr<Machine> fork(u32 node);
  /// The machine of a node at power-on, for a cold boot.
  MachineConfig config(u32 node) const { return templates_[of_node_[node]].config; }

 private:
  struct Template {
    MachineConfig config;
    std::string name;  // of its image, for messages
    std::unique_ptr<Machine> machine;
    std::unique_ptr<MachineSnapshot> snapshot;
    u64 ready_ns = 0;
    std::string error;
  };

  static void boot_one(Template& one);

  std::vector<Template> templates_;
  std::vector<std::size_t> of_node_;
  u64 start_ns_ = 0;
};

}  // namespace bhvm
