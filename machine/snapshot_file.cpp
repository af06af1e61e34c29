// Snapshot files: Machine::save() and Machine::load().
//
//   "BHVMSNAP", u32 version, hash of the schema (the declarations of all states)
//   SnapshotHeader, the kernel command line, MachineState, one DiskImageState for each disk
//   u64 count of pages, then for each page that is not all zero: u64 page number, 4096 bytes
//   hash of everything before
//
// All little-endian, states as in state/archive.h. The file is refused as a whole when its hash does not fit, so what
// is read behind that was written by this program.
#include <fmt/format.h>

#include <array>
#include <cstring>

#include "machine/file_io.h"
#include "machine/machine.h"
#include "state/archive.h"
#include "state/schema.h"

namespace bhvm {
namespace {

constexpr char kMagic[8] = {'B', 'H', 'V', 'M', 'S', 'N', 'A', 'P'};
constexpr u32 kVersion = 2;

struct SnapshotHeader {
  u64 memory_bytes = 0;
  u64 seed = 0;
  u64 machine_id = 0;
  u64 rate_numerator = 0;
  u64 rate_denominator = 0;
  u64 rtc_epoch_s = 0;
  u64 power_on_ns = 0;
  u64 agent = 0;  // 0 or 1
  u64 disks = 0;
  bool has_network = false;
  std::array<u8, 6> mac{};
  u16 mtu = 0;
};

Hash128 schema_hash() {
  const std::string text = schema<SnapshotHeader>() + schema<MachineState>() + schema<DiskImageState>();
  return hash_bytes(text.data(), text.size());
}

void put_hash(Writer& writer, const Hash128& hash) {
  writer.put(hash.low);
  writer.put(hash.high);
}

Hash128 get_hash(Reader& reader) {
  const u64 low = reader.get<u64>();
  return {low, reader.get<u64>()};
}

Error damaged(const std::string& path) {
  return Error{fmt::format("The snapshot {} is cut short or damaged; save it again.", path)};
}

/// Checks everything around the contents; on success `reader` stands at the SnapshotHeader.
Status open_file(const std::string& path, std::span<const u8> file, Reader& reader) {
  constexpr std::size_t kTrailer = 16;
  if (file.size() < sizeof(kMagic) || std::memcmp(file.data(), kMagic, sizeof(kMagic)) != 0) {
    return Error{fmt::format("{} is no snapshot of bhvm; give a file written by --save.", path)};
  }
  if (file.size() < sizeof(kMagic) + kTrailer) return damaged(path);
  const std::span<const u8> body = file.first(file.size() - kTrailer);
  reader = Reader(body.subspan(sizeof(kMagic)));
  if (reader.get<u32>() != kVersion || get_hash(reader) != schema_hash()) {
    return Error{
        fmt::format("The snapshot {} was written by another version of bhvm; load it with that one or make it "
                    "again.",
                    path)};
  }
  Reader trailer(file.last(kTrailer));
  if (get_hash(trailer) != hash_bytes(body.data(), body.size())) return damaged(path);
  return success();
}

}  // namespace

Status Machine::save(const std::string& path) {
  Writer writer;
  writer.put_bytes(kMagic, sizeof(kMagic));
  writer.put(kVersion);
  put_hash(writer, schema_hash());
  const VirtualClockState clock = clock_.state();
  const NicConfig network = config_.network.value_or(NicConfig{});
  bhvm::save(writer, SnapshotHeader{config_.memory_bytes, config_.seed, config_.machine_id, clock.rate_numerator,
                                    clock.rate_denominator, config_.rtc_epoch_s, config_.power_on_ns,
                                    config_.agent ? u64{1} : u64{0}, disks_.size(), config_.network.has_value(),
                                    network.mac, network.mtu});
  writer.put(u64{config_.command_line.size()});
  writer.put_bytes(config_.command_line.data(), config_.command_line.size());
  bhvm::save(writer, state());
  for (const DiskImage& disk : disks_) {
    Result<DiskImageState> state = disk.state();
    if (!state) return state.error();
    bhvm::save(writer, state.value());
  }
  u64 pages = 0;
  memory_.visit_pages([&](u64, std::span<const u8, kPageSize>) { ++pages; });
  writer.reserve(writer.bytes().size() + pages * (sizeof(u64) + kPageSize) + 64);
  writer.put(pages);
  memory_.visit_pages([&](u64 number, std::span<const u8, kPageSize> bytes) {
    writer.put(number);
    writer.put_bytes(bytes.data(), bytes.size());
  });
  put_hash(writer, hash_bytes(writer.bytes().data(), writer.bytes().size()));
  return write_file(path, writer.bytes(), "snapshot");
}

Result<std::unique_ptr<Machine>> Machine::load(const std::string& path, const MachineConfig& resources) {
  Result<std::vector<u8>> file = read_file(path, "snapshot");
  if (!file) return file.error();
  Reader reader({});
  if (Status status = open_file(path, file.value(), reader); !status) return status.error();

  SnapshotHeader header;
  MachineConfig config = resources;
  bhvm::load(reader, header);
  config.memory_bytes = header.memory_bytes;
  config.seed = header.seed;
  config.machine_id = header.machine_id;
  config.rate_numerator = header.rate_numerator;
  config.rate_denominator = header.rate_denominator;
  config.rtc_epoch_s = header.rtc_epoch_s;
  config.power_on_ns = header.power_on_ns;
  config.agent = header.agent != 0;
  config.network.reset();
  if (header.has_network) config.network = NicConfig{header.mac, header.mtu};
  const u64 length = reader.get<u64>();
  if (length > reader.remaining()) return damaged(path);
  config.command_line.resize(length);
  reader.get_bytes(config.command_line.data(), length);
  MachineState state;
  if (!bhvm::load(reader, state)) return damaged(path);
  if (header.has_network && header.mtu < VirtioNet::kMtuMin) return damaged(path);
  if (header.disks != config.disks.size()) {
    return Error{fmt::format("The snapshot {} was taken of a machine with {} disks, and {} were given; give the same.",
                             path, header.disks, config.disks.size())};
  }

  Result<GuestMemory> memory = GuestMemory::create(config.memory_bytes);
  if (!memory) return memory.error();
  Result<std::vector<DiskImage>> disks = open_disks(config);
  if (!disks) return disks.error();
  std::unique_ptr<Machine> machine(new Machine(config, std::move(memory).value(), std::move(disks).value()));
  for (DiskImage& disk : machine->disks_) {
    DiskImageState disk_state;
    if (!bhvm::load(reader, disk_state)) return damaged(path);
    if (Status status = disk.set_state(disk_state); !status) return status.error();
  }
  std::vector<u8> page(kPageSize);
  for (u64 pages = reader.get<u64>(); pages > 0; --pages) {
    const u64 number = reader.get<u64>();
    if (!reader.get_bytes(page.data(), page.size()) || number > kPhysicalAddressMask >> kPageShift ||
        !machine->memory_.write({number << kPageShift}, page.data(), page.size())) {
      return damaged(path);
    }
  }
  if (!reader.finished() || state.end.reason > StopReason::kPowerCut) return damaged(path);
  if (Status status = machine->set_state(state); !status) return status.error();
  return machine;
}

}  // namespace bhvm
