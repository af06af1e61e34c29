#include "machine/cpu_dump.h"

#include <fmt/format.h>

#include <array>

#include "machine/linear_view.h"

namespace bhvm {
namespace {

constexpr std::array<const char*, 16> kGprNames = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                                   "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
constexpr std::array<const char*, kSegmentCount> kSegmentNames = {"es", "cs", "ss", "ds", "fs", "gs"};
constexpr std::size_t kCodeBytes = 16;
constexpr std::size_t kStackWords = 8;

std::string segment_line(const char* name, const SegmentState& segment) {
  return fmt::format("{:<4} {:04x} base {:016x} limit {:08x} attributes {:04x}\n", name, segment.selector, segment.base,
                     segment.limit, segment.attributes);
}

std::string code_bytes(const LinearView& view, u64 linear) {
  std::array<u8, kCodeBytes> bytes{};
  const std::size_t size = view.read({linear}, bytes);
  if (size == 0) return " not readable";
  std::string out;
  for (std::size_t i = 0; i < size; ++i) out += fmt::format(" {:02x}", bytes[i]);
  return out;
}

}  // namespace

std::string dump_cpu(const CpuState& cpu, const GuestMemory& memory, const ElfImage* kernel) {
  const LinearView view(memory, cpu);
  const bool code64 = (cpu.segments[kCs].attributes & descriptor::kLong) != 0;
  const u64 code_base = code64 ? 0 : cpu.segments[kCs].base;
  const u64 stack_base = code64 ? 0 : cpu.segments[kSs].base;
  const auto symbol = [&](u64 address) {
    const std::string name = kernel != nullptr ? kernel->symbolise(address) : std::string();
    return name.empty() ? name : " " + name;
  };
  std::string out = fmt::format("rip {:016x}{} after {} instructions{}\n", cpu.rip, symbol(cpu.rip), cpu.instructions,
                                cpu.halted ? ", halted" : "");
  out += fmt::format("code{}\n", code_bytes(view, cpu.rip + code_base));
  for (std::size_t i = 0; i < kGprNames.size(); ++i) {
    out += fmt::format("{:<4}{:016x}{}", kGprNames[i], cpu.gpr[i], i % 4 == 3 ? "\n" : "  ");
  }
  out += fmt::format("rflags {:08x}  cpl {}  mxcsr {:08x}\n", cpu.rflags, cpu.cpl, cpu.mxcsr);
  for (std::size_t i = 0; i < kSegmentCount; ++i) out += segment_line(kSegmentNames[i], cpu.segments[i]);
  out += segment_line("ldtr", cpu.ldtr) + segment_line("tr", cpu.tr);
  out += fmt::format("gdtr {:016x} limit {:04x}  idtr {:016x} limit {:04x}\n", cpu.gdtr.base, cpu.gdtr.limit,
                     cpu.idtr.base, cpu.idtr.limit);
  out += fmt::format("cr0 {:016x}  cr2 {:016x}  cr3 {:016x}  cr4 {:016x}  xcr0 {:x}\n", cpu.cr0, cpu.cr2, cpu.cr3,
                     cpu.cr4, cpu.xcr0);
  out += fmt::format("dr0 {:016x}  dr1 {:016x}  dr2 {:016x}  dr3 {:016x}  dr6 {:08x}  dr7 {:08x}\n", cpu.dr[0],
                     cpu.dr[1], cpu.dr[2], cpu.dr[3], cpu.dr6, cpu.dr7);
  out +=
      fmt::format("efer {:x}  lstar {:x}  kernel_gs_base {:x}\n", cpu.msr.efer, cpu.msr.lstar, cpu.msr.kernel_gs_base);
  std::array<u8, kStackWords * 8> stack{};
  const std::size_t words = view.read({cpu.gpr[kRsp] + stack_base}, stack) / 8;
  for (std::size_t i = 0; i < words; ++i) {
    u64 word = 0;
    for (std::size_t byte = 0; byte < 8; ++byte) word |= u64{stack[i * 8 + byte]} << (8 * byte);
    out += fmt::format("rsp+{:02x} {:016x}{}\n", i * 8, word, symbol(word));
  }
  return out;
}

}  // namespace bhvm
