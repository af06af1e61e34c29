// bhvm: a deterministic x86-64 machine in software, as a library.
//
//   bhvm::VmConfig config;
//   config.kernel = "vmlinux";
//   config.initrd = "rootfs.cpio";
//   bhvm::Vm vm(config);
//   vm.on_console([](std::string_view text) { std::cout << text; });
//   bhvm::VmStop stop = vm.run();
//
// What a machine does is a function of its configuration, its images and what is typed at it at which moment. Cutting a
// run into pieces, taking snapshots and forking change nothing. Moments are retired instructions and virtual
// nanoseconds since power-on, both counted and never measured.
//
// A Vm is used by one thread at a time; any number of them may live in one process, forks included. What is wrong with
// a file or a configuration is thrown as VmError, one sentence that says what to do about it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace bhvm {

class VmError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct VmConfig {
  std::string kernel;              // path of an x86-64 vmlinux
  std::string initrd;              // path; empty: none
  std::vector<std::string> disks;  // paths of raw images, read and never written
  std::string command_line;        // console=ttyS0 is added unless it names a console
  std::uint64_t memory_bytes = std::uint64_t{256} << 20;
  std::uint64_t seed = 0;
  std::uint64_t machine_id = 0;               // tells machines of one seed apart
  std::uint64_t rate_numerator = 1;           // virtual nanoseconds ...
  std::uint64_t rate_denominator = 1;         // ... per this many instructions
  std::uint64_t rtc_epoch_s = 1'700'000'000;  // the date at power-on, in seconds since 1970
};

enum class VmStopReason {
  kInstructionLimit,
  kTimeLimit,
  kIdle,           // VmLimits::stop_when_idle: halted, with an event to come
  kStopRequest,    // Vm::request_stop()
  kHaltedForever,  // halted, and nothing but console input can wake it
  kPowerOff,
  kGuestExit,  // through the exit port; VmStop::status is the guest's
  kPanic,
  kReset,
  kTripleFault,
  kUnsupported,  // an instruction or mode that bhvm does not have; see VmStop::message
  kHostError,    // a disk image cannot be read any more; see VmStop::message
};

struct VmStop {
  VmStopReason reason = VmStopReason::kInstructionLimit;
  std::uint32_t status = 0;
  std::string message;
  /// Did the machine end, so that running it again does nothing?
  bool ended() const { return reason >= VmStopReason::kPowerOff; }
};

/// "power-off", "triple-fault", ...
std::string_view to_string(VmStopReason reason);

/// When a run is to come back: absolute, since power-on.
struct VmLimits {
  std::uint64_t instructions = ~std::uint64_t{0};
  std::uint64_t time_ns = ~std::uint64_t{0};
  bool stop_when_idle = false;
};

struct VmStatistics {
  std::uint64_t instructions = 0;    // retired
  std::uint64_t rep_iterations = 0;  // of REP string instructions, counted apart
  std::uint64_t idle_ns = 0;         // skipped while halted
  std::uint64_t virtual_ns = 0;
  std::uint64_t events = 0;      // dispatched by this object
  std::uint64_t interrupts = 0;  // acknowledged by this object
};

/// 128 bits over everything that the guest can observe, now or later.
struct VmHash {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  friend bool operator==(const VmHash&, const VmHash&) = default;
};
/// 32 hexadecimal digits.
std::string to_string(const VmHash& hash);

/// The general registers in their encoding order (rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8 to r15), and more.
struct VmRegisters {
  std::array<std::uint64_t, 16> gpr{};
  std::uint64_t rip = 0;
  std::uint64_t rflags = 0;
  std::array<std::array<std::uint64_t, 2>, 16> xmm{};
  std::array<std::uint16_t, 6> segment_selectors{};  // es, cs, ss, ds, fs, gs; not written back
  std::uint64_t fs_base = 0;
  std::uint64_t gs_base = 0;
  std::uint64_t cr0 = 0;  // the control registers are not written back
  std::uint64_t cr2 = 0;
  std::uint64_t cr3 = 0;
  std::uint64_t cr4 = 0;
  std::uint64_t efer = 0;
  unsigned cpl = 0;
};

class VmSnapshot;

class Vm {
 public:
  /// A machine at power-on, its kernel loaded.
  explicit Vm(const VmConfig& config);
  /// A machine that goes on where the snapshot was taken.
  explicit Vm(VmSnapshot& snapshot);
  /// A machine that goes on where the file was saved. Of `resources` count the kernel (for symbols; may be empty) and
  /// the disks, which must be the same files.
  static Vm load(const std::string& path, const VmConfig& resources = {});
  Vm(Vm&&) noexcept;
  Vm& operator=(Vm&&) noexcept;
  ~Vm();

  /// Runs until a limit is reached or the machine ends.
  VmStop run(const VmLimits& limits = {});
  /// Ends the current run(), or the next one if none is going on, as soon as possible. From any thread.
  void request_stop();

  std::uint64_t instructions() const;
  std::uint64_t now_ns() const;

  /// Who gets what the guest writes to its console.
  void on_console(std::function<void(std::string_view)> output);
  /// Types at the guest's console, now, and returns how many bytes were taken: what the guest has not taken waits, and
  /// a few thousand bytes may.
  std::size_t type(std::string_view text);

  VmRegisters registers() const;
  void set_registers(const VmRegisters& registers);
  /// Guest RAM by physical address; false, with nothing done, when any byte of it is not RAM.
  bool read_physical(std::uint64_t address, std::span<std::byte> bytes) const;
  bool write_physical(std::uint64_t address, std::span<const std::byte> bytes);
  /// By linear address, through the page tables of this moment and without regard for rights; how many bytes were done.
  std::size_t read_linear(std::uint64_t address, std::span<std::byte> bytes) const;
  std::size_t write_linear(std::uint64_t address, std::span<const std::byte> bytes);
  /// "function+0x12", or empty.
  std::string symbolise(std::uint64_t address) const;
  std::optional<std::uint64_t> find_symbol(std::string_view name) const;
  /// All registers as text.
  std::string describe_cpu() const;

  VmHash state_hash();
  VmSnapshot snapshot();
  Vm fork();
  void save(const std::string& path);
  /// What differs between two machines, a line a field; "" when nothing but memory may.
  static std::string diff(const Vm& a, const Vm& b);

  VmStatistics statistics() const;

 private:
  struct Impl;
  explicit Vm(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// A machine at one moment, sharing memory and disks with the machine it was taken of and those made of it.
class VmSnapshot {
 public:
  VmSnapshot(VmSnapshot&&) noexcept;
  VmSnapshot& operator=(VmSnapshot&&) noexcept;
  ~VmSnapshot();

 private:
  friend class Vm;
  struct Impl;
  explicit VmSnapshot(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace bhvm
