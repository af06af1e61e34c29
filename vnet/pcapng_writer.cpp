#include "vnet/pcapng_writer.h"

#include <algorithm>
#include <utility>

namespace bhvm {
namespace {

// Block types (section 11.1), options (3.5, 4.1 to 4.3) and constants, by the draft's names.
constexpr u32 kSectionHeaderBlock = 0x0A0D0D0A;
constexpr u32 kInterfaceDescriptionBlock = 1;
constexpr u32 kEnhancedPacketBlock = 6;
constexpr u32 kByteOrderMagic = 0x1A2B3C4D;
constexpr u16 kLinktypeEthernet = 1;

constexpr u16 kOptEndOfOpt = 0;
constexpr u16 kOptComment = 1;
constexpr u16 kShbUserAppl = 4;
constexpr u16 kIfName = 2;
constexpr u16 kIfTsResol = 9;
constexpr u16 kEpbFlags = 2;
constexpr u16 kEpbPacketId = 5;
constexpr u8 kNanoseconds = 9;  // 10^-9 s

constexpr std::size_t kOptionMax = 65535;

/// One block, built at the end of a buffer: type, length, body padded to 32 bits, length.
class Block {
 public:
  Block(std::vector<u8>& bytes, u32 type) : bytes_(bytes), begin_(bytes.size()) {
    put(type);
    put(u32{0});
  }

  template <class T>
  void put(T value) {
    for (std::size_t i = 0; i < sizeof(T); ++i) bytes_.push_back(static_cast<u8>(value >> (8 * i)));
  }
  void put_padded(const void* data, std::size_t size) {
    const u8* const first = static_cast<const u8*>(data);
    bytes_.insert(bytes_.end(), first, first + size);
    bytes_.resize(bytes_.size() + (4 - size % 4) % 4);
  }
  void option(u16 code, const void* data, std::size_t size) {
    put(code);
    put(static_cast<u16>(size));
    put_padded(data, size);
  }
  void option(u16 code, std::string_view text) { option(code, text.data(), std::min(text.size(), kOptionMax)); }

  void finish() {
    option(kOptEndOfOpt, {});
    const u32 length = static_cast<u32>(bytes_.size() - begin_ + sizeof(u32));
    put(length);
    for (std::size_t i = 0; i < sizeof(u32); ++i) bytes_[begin_ + 4 + i] = static_cast<u8>(length >> (8 * i));
  }

 private:
  std::vector<u8>& bytes_;
  std::size_t begin_;
};

}  // namespace

PcapngWriter::PcapngWriter(std::string_view application, const std::vector<std::string>& interfaces) {
  Block section(bytes_, kSectionHeaderBlock);
  section.put(kByteOrderMagic);
  section.put(u16{1});   // version 1.0
  section.put(u16{0});   //
  section.put(~u64{0});  // section length: not given
  section.option(kShbUserAppl, application);
  section.finish();
  for (const std::string& name : interfaces) {
    Block interface(bytes_, kInterfaceDescriptionBlock);
    interface.put(kLinktypeEthernet);
    interface.put(u16{0});
    interface.put(u32{0});  // SnapLen: no limit
    interface.option(kIfName, name);
    interface.option(kIfTsResol, &kNanoseconds, sizeof(kNanoseconds));
    interface.finish();
  }
}

void PcapngWriter::write(const CapturedPacket& packet) {
  Block block(bytes_, kEnhancedPacketBlock);
  block.put(packet.interface);
  block.put(static_cast<u32>(packet.time_ns >> 32));
  block.put(static_cast<u32>(packet.time_ns));
  block.put(static_cast<u32>(packet.frame.size()));  // captured ...
  block.put(static_cast<u32>(packet.frame.size()));  // ... and original length
  block.put_padded(packet.frame.data(), packet.frame.size());
  block.put(kEpbFlags);
  block.put(u16{sizeof(u32)});
  block.put(static_cast<u32>(packet.direction));
  block.put(kEpbPacketId);
  block.put(u16{sizeof(u64)});
  block.put(packet.packet_id);
  if (!packet.comment.empty()) block.option(kOptComment, packet.comment);
  block.finish();
}

std::vector<u8> PcapngWriter::take() { return std::exchange(bytes_, {}); }

}  // namespace bhvm
