#include "cpu/system/tss.h"

#include "cpu/system/descriptors.h"
#include "cpu/system/implicit_access.h"

namespace bhvm {

namespace {

bool read_tss_u64(Cpu& cpu, u32 offset, u64& value, u32 ext) {
  const SegmentState& tr = cpu.s.tr;
  if ((tr.attributes & descriptor::kPresent) == 0 || u64{offset} + 7 > tr.limit) {
    return cpu.raise(vector::kInvalidTss, selector_error(tr.selector) | ext);
  }
  return read_implicit(cpu, tr.base + offset, value);
}

struct Stack32 {
  u32 esp;
  u16 ss;
  u16 unused;
};
struct Stack16 {
  u16 sp;
  u16 ss;
};

}  // namespace

bool read_tss_rsp(Cpu& cpu, unsigned level, u64& rsp, u32 ext) { return read_tss_u64(cpu, 4 + 8 * level, rsp, ext); }

bool read_tss_ist(Cpu& cpu, unsigned ist, u64& rsp, u32 ext) { return read_tss_u64(cpu, 36 + 8 * (ist - 1), rsp, ext); }

bool load_inner_stack(Cpu& cpu, u8 level, u32 ext, SegmentState& ss, u32& sp) {
  const SegmentState& tr = cpu.s.tr;
  const bool wide = (tr.attributes & 8) != 0;  // a 32-bit TSS
  const u32 offset = wide ? 4 + 8u * level : 2 + 4u * level;
  const u32 last = offset + (wide ? 5 : 3);
  if ((tr.attributes & descriptor::kPresent) == 0 || last > tr.limit) {
    return cpu.raise(vector::kInvalidTss, selector_error(tr.selector) | ext);
  }
  const u64 linear = static_cast<u32>(tr.base + offset);
  u16 selector = 0;
  if (wide) {
    Stack32 stack{};
    if (!cpu.read_linear(linear, &stack, 6, Privilege::kSupervisor)) return false;
    selector = stack.ss;
    sp = stack.esp;
  } else {
    Stack16 stack{};
    if (!read_implicit(cpu, linear, stack)) return false;
    selector = stack.ss;
    sp = stack.sp;
  }
  if (is_null(selector)) return cpu.raise(vector::kInvalidTss, ext);
  Descriptor d;
  if (!fetch_or_raise(cpu, selector, d, vector::kInvalidTss, ext)) return false;
  const u32 error = selector_error(selector) | ext;
  if (rpl_of(selector) != level || d.dpl() != level || !d.writable_data()) return cpu.raise(vector::kInvalidTss, error);
  if (!d.present()) return cpu.raise(vector::kStackFault, error);
  if (!set_accessed(cpu, d)) return false;
  ss = d.segment(selector);
  return true;
}

}  // namespace bhvm
