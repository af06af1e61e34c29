#include "oracle/system/environment.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/random_stream.h"
#include "machine/elf_image.h"
#include "oracle/guest/guest_image.h"
#include "oracle/system/descriptor_images.h"

namespace bhvm::oracle {
namespace {

GuestAddresses find_addresses() {
  const std::span<const u8> image = guest_image();
  const auto elf = ElfImage::parse({image.begin(), image.end()}, "the oracle's guest program");
  BHVM_CHECK(static_cast<bool>(elf), "the embedded guest program is no ELF executable");
  const auto address = [&](const char* name) {
    const auto found = elf.value().find_symbol(name);
    BHVM_CHECK(found.has_value(), "the embedded guest program lacks a symbol that system cases name");
    return *found;
  };
  return {address("vector_stubs"), address("fault_stack_top"), address("boot_pml4") - kDirectMap,
          address("region_table") - kDirectMap + 8 * (kRegion >> 12 & 511)};
}

class RegionWriter {
 public:
  explicit RegionWriter(Pristine& region) : region_(region) {}

  void write(u64 linear, u64 value, unsigned bytes = 8) {
    std::memcpy(region_.data() + (linear - kRegion), &value, bytes);
  }
  void fill(u64 linear, u64 bytes, std::initializer_list<u8> pattern) {
    for (u64 i = 0; i < bytes; ++i) region_[linear - kRegion + i] = pattern.begin()[i % pattern.size()];
  }
  void copy(u64 to, u64 from, u64 bytes) {
    std::memcpy(region_.data() + (to - kRegion), region_.data() + (from - kRegion), bytes);
  }

 private:
  Pristine& region_;
};

void write_gdt(RegionWriter& w) {
  using namespace layout;
  struct Row {
    u16 selector;
    SegmentImage image;
  };
  constexpr Row kRows[] = {
      {kKernelCode64, {.type = kTypeCode, .long_code = true, .big = false}},
      {kKernelData, {.type = kTypeData}},
      {kUserCode32, {.type = kTypeCode, .dpl = 3}},
      {kUserData, {.type = kTypeData, .dpl = 3}},
      {kUserCode64, {.type = kTypeCode, .dpl = 3, .long_code = true, .big = false}},
      {kKernelCode32, {.type = kTypeCode}},
      {kRing1Code64, {.type = kTypeCode, .dpl = 1, .long_code = true, .big = false}},
      {kRing1Data, {.type = kTypeData, .dpl = 1}},
      {kRing2Code64, {.type = kTypeCode, .dpl = 2, .long_code = true, .big = false}},
      {kRing2Data, {.type = kTypeData, .dpl = 2}},
      {kRing1Code32, {.type = kTypeCode, .dpl = 1}},
      {kRing2Code32, {.type = kTypeCode, .dpl = 2}},
      {kConforming64, {.type = kTypeConforming, .long_code = true, .big = false}},
      {kConforming32, {.type = kTypeConforming}},
  };
  for (const Row& row : kRows) w.write(descriptor_linear(row.selector), row.image.raw());
  const auto table = [&](u16 selector, u8 type, u64 base, u32 limit) {
    const SegmentImage image{.type = type,
                             .non_system = false,
                             .big = false,
                             .granularity = false,
                             .base = static_cast<u32>(base),
                             .limit = limit};
    w.write(descriptor_linear(selector), image.raw());
    w.write(descriptor_linear(selector) + 8, base >> 32);
  };
  table(kTaskState, kTypeTss, kTss, kTssLimit);
  table(kLocalTable, kTypeLdt, kLdt, kLdtLimit);
}

void write_idt(RegionWriter& w, const GuestAddresses& guest) {
  for (unsigned vector = 0; vector < 256; ++vector) {
    const u8 dpl = vector == 3 || vector == 4 ? 3 : 0;
    const GateImage gate{.dpl = dpl, .ist = 1, .selector = kKernelCode64, .offset = guest.stub(vector)};
    w.write(layout::kIdt + 16 * vector, gate.low());
    w.write(layout::kIdt + 16 * vector + 8, gate.high());
  }
}

void write_tss(RegionWriter& w, const GuestAddresses& guest) {
  using namespace layout;
  w.fill(kTss, kTssLimit, {0});
  w.write(tss_rsp(0), kStack0);
  w.write(tss_rsp(1), kStack1);
  w.write(tss_rsp(2), kStack2);
  w.write(tss_ist(1), guest.fault_stack);
  for (unsigned ist = 2; ist <= 7; ++ist) w.write(tss_ist(ist), ist_stack(ist));
  w.write(kTssIoMapBase, kIoMapBase, 2);
  w.fill(kTss + kTssLimit, 1, {0xFF});
}

}  // namespace

const GuestAddresses& guest_addresses() {
  static const GuestAddresses addresses = find_addresses();
  return addresses;
}

std::shared_ptr<const Pristine> make_system_region(u64 seed) {
  auto region = std::make_shared<Pristine>();
  region->fill(0);
  RegionWriter w(*region);
  RandomStream random(seed, 0, "region of system cases");
  for (unsigned page = 0; page < kRegionPages; ++page) {
    switch (kPageKinds[page]) {
      case PageKind::kUnmapped:
      case PageKind::kReserved:
        break;
      case PageKind::kCode:
      case PageKind::kSupervisorCode:
      case PageKind::kWritableCode:
        w.fill(page_linear(page), kPageBytes, {0xCC});
        break;
      case PageKind::kData:
      case PageKind::kReadOnly:
      case PageKind::kSupervisor:
        for (u64 at = 0; at < kPageBytes; at += 8) w.write(page_linear(page) + at, random.next());
    }
  }
  using namespace layout;
  for (unsigned page = 20; page <= 25; ++page) w.fill(page_linear(page), kPageBytes, {0});
  write_gdt(w);
  write_idt(w, guest_addresses());
  write_tss(w, guest_addresses());
  w.copy(kEdgeIdt, kIdt, kEdgeIdtVectors * 16);
  w.copy(kEdgeBeforeReadOnly - kEdgeGdtBytes, kGdt, kEdgeGdtBytes);
  w.copy(kEdgeBeforeUnmapped - kEdgeGdtBytes, kGdt, kEdgeGdtBytes);
  for (const u64 code : {kUserCode, kSupervisorCode}) w.fill(code + kUndefinedFrom, kLandingBytes, {0x0F, 0x0B});
  return region;
}

}  // namespace bhvm::oracle
