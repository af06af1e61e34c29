// Loads and stores off the fast path: TLB misses, page crossings, devices, decoded code, checks.
#include <algorithm>

#include "base/planted_fault.h"
#include "cpu/cpu.h"
#include "cpu/memory.h"
#include "cpu/system/debug.h"

namespace bhvm {
namespace {

/// Who makes the access: the current instruction, or the system on its behalf.
struct Accessor {
  bool user;
  bool over_user;
};

Accessor accessor(const Cpu& cpu, Privilege privilege) {
  const bool access_control = (cpu.s.rflags & rflags::kAc) != 0;
  if (privilege == Privilege::kCurrent) {
    return {cpu.user != 0, !cpu.mmu.controls().smap || access_control};
  }
  // Implicit supervisor accesses ignore EFLAGS.AC (SDM 3, 4.6.1).
  return {false, !cpu.mmu.controls().smap};
}

DataMode mode_of(Accessor who) {
  if (who.user) return DataMode::kUser;
  return who.over_user ? DataMode::kSupervisorOverUser : DataMode::kSupervisor;
}

/// The fast entry where such an accessor's page would be. A hit is exactly what translate() and the memory would do.
const FastEntry& fast_entry(Cpu& cpu, u64 linear, Accessor who) {
  return cpu.mmu.fast(mode_of(who))[data_tlb_index(linear)];
}

/// Does `tag` stand for the page that all of an access lies in?
bool covers(u64 tag, u64 linear, unsigned size) {
  return data_tag(linear) == tag && data_tag(linear + size - 1) == tag;
}

/// One page's part of an access.
struct Part {
  u64 linear;
  unsigned size;
  PhysicalAddress physical;
};

struct Parts {
  Part part[2];
  unsigned count;
};

u64 next_page(const Cpu& cpu, u64 linear) {
  const u64 next = (linear & kPageMask) + kPageSize;
  return cpu.code64() ? next : next & 0xFFFFFFFF;
}

bool translate(Cpu& cpu, u64 linear, unsigned size, Access access, Accessor who, Parts& parts) {
  if (cpu.long_mode() && !(cpu.is_canonical(linear) && cpu.is_canonical(linear + size - 1))) {
    return cpu.raise_non_canonical();
  }
  const unsigned in_first = static_cast<unsigned>(std::min<u64>(size, kPageSize - (linear & kPageOffsetMask)));
  parts.part[0] = {linear, in_first, {}};
  parts.count = 1;
  if (in_first < size) {
    parts.part[1] = {next_page(cpu, linear), size - in_first, {}};
    parts.count = 2;
  }
  // Of two pages the first one faults first, but gets no A or D bit when it is the second one that faults.
  if (parts.count == 2) {
    const Translation t = cpu.mmu.probe_data({linear}, access, who.user, who.over_user);
    if (!t.ok) return cpu.raise_page_fault(linear, t.error_code);
  }
  for (unsigned i = parts.count; i-- > 0;) {
    Part& part = parts.part[i];
    const bool clean = planted(PlantedFault::kDirtyOfSecondPage) && i == 1 &&
                       cpu.mmu.probe_data({part.linear}, access, who.user, who.over_user).ok;
    const Translation t =
        cpu.mmu.translate_data({part.linear}, clean ? Access::kRead : access, who.user, who.over_user);
    if (!t.ok) return cpu.raise_page_fault(part.linear, t.error_code);
    part.physical = {t.page.value | (part.linear & kPageOffsetMask)};
  }
  return true;
}

/// May a device be touched now? Otherwise the instruction is run again by itself.
bool may_touch_board(Cpu& cpu) {
  if (cpu.alone) {
    cpu.touched_board = true;
    return true;
  }
  cpu.fault.kind = PendingFault::Kind::kAlone;
  return false;
}

bool is_device(Cpu& cpu, const Part& part) { return !cpu.mmu.memory().is_ram(part.physical); }

/// A device sees naturally sized pieces, in ascending order.
unsigned device_piece(u64 address, unsigned left) {
  unsigned piece = 8;
  while (piece > left || (address & (piece - 1)) != 0) piece /= 2;
  return piece;
}

void read_part(Cpu& cpu, const Part& part, u8* bytes) {
  if (!is_device(cpu, part)) {
    cpu.mmu.memory().read(part.physical, bytes, part.size);
    return;
  }
  for (unsigned done = 0; done < part.size;) {
    const u64 address = part.physical.value + done;
    // An access of a size the bus knows goes out whole, aligned or not; anything else in pieces.
    const bool whole = part.size == 1 || part.size == 2 || part.size == 4 || part.size == 8;
    const unsigned piece = whole ? part.size : device_piece(address, part.size - done);
    const u64 value = cpu.port.read_physical({address}, piece);
    std::memcpy(bytes + done, &value, piece);
    done += piece;
  }
}

void write_part(Cpu& cpu, const Part& part, const u8* bytes) {
  if (!is_device(cpu, part)) {
    cpu.mmu.memory().write(part.physical, bytes, part.size);
    return;
  }
  for (unsigned done = 0; done < part.size;) {
    const u64 address = part.physical.value + done;
    const bool whole = part.size == 1 || part.size == 2 || part.size == 4 || part.size == 8;
    const unsigned piece = whole ? part.size : device_piece(address, part.size - done);
    u64 value = 0;
    std::memcpy(&value, bytes + done, piece);
    cpu.port.write_physical({address}, piece, value);
    done += piece;
  }
}

bool ready_to_read(Cpu& cpu, const Parts& parts) {
  for (unsigned i = 0; i < parts.count; ++i) {
    if (is_device(cpu, parts.part[i]) && !may_touch_board(cpu)) return false;
  }
  return true;
}

bool ready_to_write(Cpu& cpu, const Parts& parts) {
  for (unsigned i = 0; i < parts.count; ++i) {
    const Part& part = parts.part[i];
    if (is_device(cpu, part)) {
      if (!may_touch_board(cpu)) return false;
    } else if (!cpu.alone && cpu.mmu.memory().touches_code(part.physical, part.size)) {
      cpu.fault.kind = PendingFault::Kind::kAlone;  // decoded code changes: no block may be in the middle of running
      return false;
    }
  }
  return true;
}

/// Instruction data accesses in DataMode::kChecked.
bool extra_checks(Cpu& cpu, u64 linear, unsigned size, bool write) {
  if (BHVM_LIKELY(cpu.data_mode != DataMode::kChecked)) return true;
  // 16-byte operands have alignment rules of their own (#GP); an 80-bit one is aligned to 8 bytes (SDM 3, table 6-7).
  if (size <= 10 && !cpu.check_alignment(linear, size == 10 ? 8 : size)) return false;
  check_data_breakpoints(cpu, linear, size, write);
  return true;
}

bool read_bytes(Cpu& cpu, u64 linear, unsigned size, Accessor who, u8* bytes) {
  const FastEntry& entry = fast_entry(cpu, linear, who);
  if (covers(entry.read_tag, linear, size)) {
    std::memcpy(bytes, reinterpret_cast<const void*>(linear + entry.addend), size);
    return true;
  }
  Parts parts;
  if (!translate(cpu, linear, size, Access::kRead, who, parts) || !ready_to_read(cpu, parts)) return false;
  if (parts.count == 1 && !is_device(cpu, parts.part[0])) {
    cpu.mmu.fill_read({linear & kPageMask}, mode_of(who), parts.part[0].physical.page());
  }
  read_part(cpu, parts.part[0], bytes);
  if (parts.count == 2) read_part(cpu, parts.part[1], bytes + parts.part[0].size);
  return true;
}

bool write_bytes(Cpu& cpu, u64 linear, unsigned size, Accessor who, const u8* bytes) {
  const FastEntry& entry = fast_entry(cpu, linear, who);
  if (covers(entry.write_tag, linear, size)) {
    std::memcpy(reinterpret_cast<void*>(linear + entry.addend), bytes, size);
    return true;
  }
  Parts parts;
  if (!translate(cpu, linear, size, Access::kWrite, who, parts) || !ready_to_write(cpu, parts)) return false;
  if (parts.count == 1 && !is_device(cpu, parts.part[0])) {
    cpu.mmu.fill_write({linear & kPageMask}, mode_of(who), parts.part[0].physical.page());
  }
  write_part(cpu, parts.part[0], bytes);
  if (parts.count == 2) write_part(cpu, parts.part[1], bytes + parts.part[0].size);
  return true;
}

}  // namespace

bool load_slow(Cpu& cpu, u64 linear, unsigned size) {
  if (!extra_checks(cpu, linear, size, false)) return false;
  const Accessor who = accessor(cpu, Privilege::kCurrent);
  Parts parts;
  if (!translate(cpu, linear, size, Access::kRead, who, parts) || !ready_to_read(cpu, parts)) return false;
  if (planted(PlantedFault::kSplitLoad) && parts.count == 2 && parts.part[0].size == 1) ++parts.part[1].physical.value;
  if (parts.count == 1 && !is_device(cpu, parts.part[0])) {
    const u8* page = cpu.mmu.fill_read({linear & kPageMask}, cpu.data_mode, parts.part[0].physical.page());
    if (page != nullptr) {
      std::memcpy(cpu.slow_value.data(), page + (linear & kPageOffsetMask), size);
      return true;
    }
  }
  read_part(cpu, parts.part[0], cpu.slow_value.data());
  if (parts.count == 2) read_part(cpu, parts.part[1], cpu.slow_value.data() + parts.part[0].size);
  return true;
}

bool store_slow(Cpu& cpu, u64 linear, unsigned size, const void* bytes) {
  if (!extra_checks(cpu, linear, size, true)) return false;
  const Accessor who = accessor(cpu, Privilege::kCurrent);
  const u8* from = static_cast<const u8*>(bytes);
  Parts parts;
  if (!translate(cpu, linear, size, Access::kWrite, who, parts) || !ready_to_write(cpu, parts)) return false;
  if (parts.count == 1 && !is_device(cpu, parts.part[0])) {
    u8* page = cpu.mmu.fill_write({linear & kPageMask}, cpu.data_mode, parts.part[0].physical.page());
    if (page != nullptr) {
      std::memcpy(page + (linear & kPageOffsetMask), from, size);
      return true;
    }
  }
  write_part(cpu, parts.part[0], from);
  if (parts.count == 2) write_part(cpu, parts.part[1], from + parts.part[0].size);
  return true;
}

bool load_for_update_slow(Cpu& cpu, u64 linear, unsigned size) {
  if (!extra_checks(cpu, linear, size, true)) return false;
  const Accessor who = accessor(cpu, Privilege::kCurrent);
  Parts parts;
  if (!translate(cpu, linear, size, Access::kWrite, who, parts) || !ready_to_write(cpu, parts)) return false;
  read_part(cpu, parts.part[0], cpu.slow_value.data());
  if (parts.count == 2) read_part(cpu, parts.part[1], cpu.slow_value.data() + parts.part[0].size);
  return true;
}

bool Cpu::check_alignment(u64 linear, u64 alignment) {
  if (planted(PlantedFault::kWordAlignment) && alignment == 2) return true;
  constexpr u64 kCr0Am = 1 << 18;
  const bool on = user != 0 && (s.rflags & rflags::kAc) != 0 && (s.cr0 & kCr0Am) != 0;
  // A non-canonical address is #GP or #SS first.
  if (!on || (linear & (alignment - 1)) == 0 || (code64() && !is_canonical(linear))) return true;
  return raise(vector::kAlignmentCheck);
}

bool Cpu::read_linear(u64 linear, void* bytes, unsigned size, Privilege privilege) {
  return read_bytes(*this, linear, size, accessor(*this, privilege), static_cast<u8*>(bytes));
}

bool Cpu::write_linear(u64 linear, const void* bytes, unsigned size, Privilege privilege) {
  return write_bytes(*this, linear, size, accessor(*this, privilege), static_cast<const u8*>(bytes));
}

bool Cpu::probe_write(u64 linear, unsigned size, Privilege privilege) {
  const Accessor who = accessor(*this, privilege);
  if (covers(fast_entry(*this, linear, who).write_tag, linear, size)) return true;
  Parts parts;
  return translate(*this, linear, size, Access::kWrite, who, parts) && ready_to_write(*this, parts);
}

bool Cpu::raise(u8 vector, u32 error_code) {
  fault = {};
  fault.kind = PendingFault::Kind::kException;
  fault.vector = vector;
  fault.error_code = error_code;
  return false;
}

bool Cpu::raise_page_fault(u64 linear, u32 error_code) {
  raise(vector::kPageFault, error_code);
  fault.address = linear;
  return false;
}

bool Cpu::raise_non_canonical() {
  raise(vector::kGeneralProtection);
  fault.non_canonical = true;
  return false;
}

bool Cpu::unsupported(const char* message) {
  fault = {};
  fault.kind = PendingFault::Kind::kUnsupported;
  fault.message = message;
  return false;
}

}  // namespace bhvm
