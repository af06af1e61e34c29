#include "oracle/lockstep/log_parser.h"

#include <array>
#include <cstring>

namespace bhvm::lockstep {
namespace {

constexpr std::array<u8, 256> kHexDigits = [] {
  std::array<u8, 256> values{};
  values.fill(0xFF);
  for (unsigned i = 0; i < 10; ++i) values['0' + i] = static_cast<u8>(i);
  for (unsigned i = 0; i < 6; ++i) {
    values['a' + i] = static_cast<u8>(10 + i);
    values['A' + i] = static_cast<u8>(10 + i);
  }
  return values;
}();

/// Reads on until something does not fit; then `ok` is false for good.
struct Cursor {
  const char* at;
  const char* end;
  bool ok = true;

  bool starts(std::string_view word) const {
    return static_cast<std::size_t>(end - at) >= word.size() && std::memcmp(at, word.data(), word.size()) == 0;
  }
  void word(std::string_view text) {
    if (ok && starts(text)) {
      at += text.size();
    } else {
      ok = false;
    }
  }
  u64 hex() {
    u64 value = 0;
    const char* const first = at;
    for (; at != end; ++at) {
      const u8 digit = kHexDigits[static_cast<u8>(*at)];
      if (digit == 0xFF) break;
      value = value << 4 | digit;
    }
    ok = ok && at != first;
    return value;
  }
  void line_end() {
    const void* newline = ok ? std::memchr(at, '\n', static_cast<std::size_t>(end - at)) : nullptr;
    ok = newline != nullptr;
    if (ok) at = static_cast<const char*>(newline) + 1;
  }
};

struct RegisterName {
  std::string_view before;  // what stands in front of the value
  Gpr gpr;
};

constexpr RegisterName kNames64[] = {
    {"RAX=", kRax},   {" RBX=", kRbx}, {" RCX=", kRcx}, {" RDX=", kRdx}, {"\nRSI=", kRsi}, {" RDI=", kRdi},
    {" RBP=", kRbp},  {" RSP=", kRsp}, {"\nR8 =", kR8}, {" R9 =", kR9},  {" R10=", kR10},  {" R11=", kR11},
    {"\nR12=", kR12}, {" R13=", kR13}, {" R14=", kR14}, {" R15=", kR15},
};
constexpr RegisterName kNames32[] = {
    {"EAX=", kRax},   {" EBX=", kRbx}, {" ECX=", kRcx}, {" EDX=", kRdx},
    {"\nESI=", kRsi}, {" EDI=", kRdi}, {" EBP=", kRbp}, {" ESP=", kRsp},
};
constexpr std::string_view kSegmentNames[] = {"ES =", "CS =", "SS =", "DS =", "FS =", "GS ="};  // as QEMU orders them

void read_registers(Cursor& c, QemuState& state) {
  state.code64 = c.starts("RAX=");
  if (state.code64) {
    for (const RegisterName& name : kNames64) {
      c.word(name.before);
      state.gpr[name.gpr] = c.hex();
    }
    c.word("\nRIP=");
    state.rip = c.hex();
    c.word(" RFL=");
  } else {
    state.gpr = {};
    for (const RegisterName& name : kNames32) {
      c.word(name.before);
      state.gpr[name.gpr] = c.hex();
    }
    c.word("\nEIP=");
    state.rip = c.hex();
    c.word(" EFL=");
  }
  state.rflags = c.hex();
  c.word(" [");
  for (; c.ok && c.at != c.end && *c.at != ']'; ++c.at) {
  }
  c.word("] CPL=");
  state.cpl = static_cast<u8>(c.hex());
  c.word(" II=");
  state.shadow = c.hex() != 0;
  c.word(" A20=");
  c.hex();
  c.word(" SMM=");
  c.hex();
  c.word(" HLT=");
  state.halted = c.hex() != 0;
  c.word("\n");
}

void read_segment(Cursor& c, std::string_view name, QemuSegment& segment) {
  c.word(name);
  segment.selector = static_cast<u16>(c.hex());
  c.word(" ");
  segment.base = c.hex();
  c.word(" ");
  segment.limit = static_cast<u32>(c.hex());
  c.word(" ");
  segment.flags = static_cast<u32>(c.hex());
  c.line_end();
}

void read_table(Cursor& c, std::string_view name, QemuTable& table) {
  c.word(name);
  c.word("     ");
  table.base = c.hex();
  c.word(" ");
  table.limit = static_cast<u32>(c.hex());
  c.word("\n");
}

u64 read_named(Cursor& c, std::string_view before) {
  c.word(before);
  return c.hex();
}

void read_system(Cursor& c, QemuState& state) {
  for (std::size_t i = 0; i < std::size(kSegmentNames); ++i) read_segment(c, kSegmentNames[i], state.segments[i]);
  read_segment(c, "LDT=", state.ldtr);
  read_segment(c, "TR =", state.tr);
  read_table(c, "GDT=", state.gdtr);
  read_table(c, "IDT=", state.idtr);
  state.cr0 = read_named(c, "CR0=");
  state.cr2 = read_named(c, " CR2=");
  state.cr3 = read_named(c, " CR3=");
  state.cr4 = read_named(c, " CR4=");
  state.dr[0] = read_named(c, "\nDR0=");
  state.dr[1] = read_named(c, " DR1=");
  state.dr[2] = read_named(c, " DR2=");
  state.dr[3] = read_named(c, " DR3=");
  state.dr6 = read_named(c, " \nDR6=");
  state.dr7 = read_named(c, " DR7=");
  c.word("\nCCS=");  // how QEMU keeps the flags
  c.line_end();
  state.efer = read_named(c, "EFER=");
  c.word("\n");
}

void read_fpu(Cursor& c, bool code64, QemuFpu& fpu) {
  fpu.control_word = static_cast<u16>(read_named(c, "FCW="));
  fpu.status_word = static_cast<u16>(read_named(c, " FSW="));
  read_named(c, " [ST=");
  fpu.valid_mask = static_cast<u8>(read_named(c, "] FTW="));
  fpu.mxcsr = static_cast<u32>(read_named(c, " MXCSR="));
  for (unsigned i = 0; i < fpu.registers.size(); ++i) {
    c.word(i % 2 == 0 ? "\nFPR" : " FPR");
    c.hex();
    c.word("=");
    fpu.registers[i].significand = c.hex();
    c.word(" ");
    fpu.registers[i].exponent = static_cast<u16>(c.hex());
  }
  for (unsigned i = 0; i < (code64 ? 16u : 8u); ++i) {
    c.word(i % 2 == 0 ? "\nXMM" : " XMM");
    c.hex();
    c.word("=");
    fpu.xmm[i].q[1] = c.hex();
    c.word(" ");
    fpu.xmm[i].q[0] = c.hex();
  }
  c.word("\n");
}

void read_state(Cursor& c, bool fpu, QemuState& state) {
  read_registers(c, state);
  read_system(c, state);
  state.long_mode = (state.efer >> 10 & 1) != 0;
  state.has_fpu = fpu;
  if (fpu) read_fpu(c, state.code64, state.fpu);
}

/// "     0: v=0e e=0002 i=0 cpl=0 IP=0010:... pc=... SP=0018:... CR2=..."
void read_exception(Cursor& c, LogEvent& event) {
  while (c.ok && c.at != c.end && *c.at == ' ') ++c.at;
  c.hex();  // a decimal count, which nobody needs
  event.vector = static_cast<u8>(read_named(c, ": v="));
  event.error_code = static_cast<u32>(read_named(c, " e="));
  event.software = read_named(c, " i=") != 0;
  c.line_end();
}

bool is_exception_line(const Cursor& c) {
  const char* at = c.at;
  while (at != c.end && *at == ' ') ++at;
  return at != c.end && *at >= '0' && *at <= '9';
}

/// Lines that say nothing which another one does not.
bool is_idle_line(const Cursor& c) { return c.starts("check_exception "); }

}  // namespace

bool same_point(const QemuState& a, const QemuState& b) {
  return a.rip == b.rip && a.code64 == b.code64 && a.gpr == b.gpr && a.rflags == b.rflags && a.cpl == b.cpl &&
         a.cr0 == b.cr0 && a.cr3 == b.cr3 && a.cr4 == b.cr4 && a.efer == b.efer;
}

ParseResult parse_event(std::string_view text, bool fpu, LogEvent& event) {
  Cursor c{text.data(), text.data() + text.size()};
  event.kind = EventKind::kState;
  event.hardware = false;
  const char* line = c.at;
  while (c.ok) {
    line = c.at;
    if (c.starts("RAX=") || c.starts("EAX=")) {
      const bool with_fpu = fpu && event.kind == EventKind::kState;
      read_state(c, with_fpu, event.state);
      if (c.ok) return {ParseOutcome::kEvent, static_cast<std::size_t>(c.at - text.data()), {}};
    } else if (c.starts("Servicing hardware INT=0x")) {
      event.hardware = true;
      c.line_end();
    } else if (is_idle_line(c)) {
      c.line_end();
    } else if (is_exception_line(c)) {
      event.kind = EventKind::kException;
      read_exception(c, event);
    } else {
      c.ok = false;
    }
  }
  if (text.size() < kLongestEvent) return {};
  // The line that did not fit: the one that the cursor stopped in.
  const char* from = c.at < c.end ? c.at : line;
  while (from != text.data() && from[-1] != '\n') --from;
  const std::string_view rest(from, static_cast<std::size_t>(c.end - from));
  return {ParseOutcome::kMalformed, 0, rest.substr(0, std::min(rest.find('\n'), std::size_t{200}))};
}

}  // namespace bhvm::lockstep
