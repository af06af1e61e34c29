// The files that a run writes as it goes into its output folder: NODE.console.log, events.jsonl, hashes.jsonl,
// network.pcapng and timeline.json. docs/SCENARIO.md describes them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/output_stream.h"
#include "cli/run_log.h"
#include "cli/timeline.h"
#include "cluster/cluster_observer.h"
#include "vnet/capture.h"

namespace bhvm::cli {

class RunFiles final : public ClusterObserver, public NetworkObserver {
 public:
  static Result<std::unique_ptr<RunFiles>> create(const std::string& folder, const NodeNames& names);

  void console_line(u64 time_ns, u32 node, std::string_view line) override;
  void end_command_line(u64 time_ns, u32 node, std::string_view line) override;
  void event(const ClusterEvent& event) override;
  void hashes(const HashRecord& record) override;
  void progress(const ClusterProgress& progress) override;

  void frame_sent(u64 time_ns, u32 port, u64 packet_id, std::span<const u8> frame) override;
  void frame_dropped(u64 time_ns, u32 from, u32 to, u64 packet_id, FrameLoss reason) override;
  void frame_arrives(u32 from, u32 to, u64 packet_id, const Arrival& arrival) override;

  /// Writes the ends of the files; an error when any write failed.
  Status finish(u64 end_ns);

 private:
  struct FrameCounts {
    u64 sent = 0;
    u64 received = 0;
  };

  explicit RunFiles(const NodeNames& names);
  void count_frames(u64 now_ns);
  void flush();

  NodeNames names_;
  std::vector<OutputStream> consoles_;
  std::unique_ptr<OutputStream> events_;
  std::unique_ptr<OutputStream> hashes_;
  std::unique_ptr<OutputStream> network_;
  std::unique_ptr<OutputStream> timeline_file_;
  Timeline timeline_;
  Capture capture_;
  std::vector<FrameCounts> frames_;  // since the last entry in the timeline
  u64 counted_at_ns_ = 0;
  u64 flushed_at_ns_ = 0;
};

}  // namespace bhvm::cli
