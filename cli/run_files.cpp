#include "cli/run_files.h"

#include <algorithm>
#include <filesystem>

namespace bhvm::cli {
namespace {

constexpr u64 kCountEvery_ns = 100'000'000;
constexpr u64 kFlushEvery_ns = 500'000'000;

}  // namespace

RunFiles::RunFiles(const NodeNames& names) : names_(names), timeline_(names), capture_(names), frames_(names.size()) {}

Result<std::unique_ptr<RunFiles>> RunFiles::create(const std::string& folder, const NodeNames& names) {
  std::unique_ptr<RunFiles> files(new RunFiles(names));
  const std::filesystem::path base(folder);
  const auto open = [&base](const std::string& name, const char* purpose) {
    return OutputStream::create((base / name).string(), purpose);
  };
  for (const std::string& name : names) {
    Result<OutputStream> console = open(name + ".console.log", "console log");
    if (!console) return console.error();
    files->consoles_.push_back(std::move(console).value());
  }
  struct Other {
    const char* name;
    const char* purpose;
    std::unique_ptr<OutputStream>& stream;
  };
  for (const Other& other :
       {Other{"events.jsonl", "event log", files->events_}, Other{"hashes.jsonl", "hash log", files->hashes_},
        Other{"network.pcapng", "capture", files->network_},
        Other{"timeline.json", "timeline", files->timeline_file_}}) {
    Result<OutputStream> stream = open(other.name, other.purpose);
    if (!stream) return stream.error();
    other.stream = std::make_unique<OutputStream>(std::move(stream).value());
  }
  return files;
}

void RunFiles::console_line(u64 time_ns, u32 node, std::string_view line) {
  consoles_[node].put(console_log_line(time_ns, line));
  timeline_.console_line(time_ns, node, line);
}

void RunFiles::end_command_line(u64 time_ns, u32 node, std::string_view line) {
  console_line(time_ns, node, std::string("check: ").append(line));
}

void RunFiles::event(const ClusterEvent& event) {
  events_->put(event_log_line(event, names_));
  timeline_.event(event);
}

void RunFiles::hashes(const HashRecord& record) { hashes_->put(hash_log_line(record, names_)); }

void RunFiles::progress(const ClusterProgress& progress) {
  if (progress.time_ns < flushed_at_ns_ + kFlushEvery_ns) return;
  flushed_at_ns_ = progress.time_ns;
  flush();
}

void RunFiles::frame_sent(u64 time_ns, u32 port, u64 packet_id, std::span<const u8> frame) {
  capture_.frame_sent(time_ns, port, packet_id, frame);
  count_frames(time_ns);
  ++frames_[port].sent;
}

void RunFiles::frame_dropped(u64 time_ns, u32 from, u32 to, u64 packet_id, FrameLoss reason) {
  capture_.frame_dropped(time_ns, from, to, packet_id, reason);
}

void RunFiles::frame_arrives(u32 from, u32 to, u64 packet_id, const Arrival& arrival) {
  capture_.frame_arrives(from, to, packet_id, arrival);
  ++frames_[to].received;
}

void RunFiles::count_frames(u64 now_ns) {
  if (now_ns < counted_at_ns_ + kCountEvery_ns) return;
  for (u32 node = 0; node < frames_.size(); ++node) {
    timeline_.frames(counted_at_ns_, node, frames_[node].sent, frames_[node].received);
    frames_[node] = {};
  }
  counted_at_ns_ = now_ns / kCountEvery_ns * kCountEvery_ns;
}

void RunFiles::flush() {
  network_->put(capture_.take());
  timeline_file_->put(timeline_.take());
  for (OutputStream& console : consoles_) console.flush();
  for (OutputStream* const stream : {events_.get(), hashes_.get(), network_.get(), timeline_file_.get()}) {
    stream->flush();
  }
}

Status RunFiles::finish(u64 end_ns) {
  count_frames(end_ns + kCountEvery_ns);
  capture_.finish();
  timeline_.finish(end_ns);
  flush();
  for (const OutputStream& console : consoles_) {
    if (console.error()) return *console.error();
  }
  for (const OutputStream* const stream : {events_.get(), hashes_.get(), network_.get(), timeline_file_.get()}) {
    if (stream->error()) return *stream->error();
  }
  return success();
}

}  // namespace bhvm::cli
