#include "oracle/generate/instruction_generator.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "oracle/generate/inputs.h"

namespace bhvm::oracle {
namespace {

constexpr unsigned kCasesPerGroup = 16;
constexpr unsigned kMaxPieces = 6;

/// Code of a group: the main instruction and a few others around it.
struct Sequence {
  std::array<Instance, kMaxPieces> pieces;
  unsigned count = 0;
  unsigned main = 0;

  unsigned bytes() const {
    unsigned total = 0;
    for (unsigned i = 0; i < count; ++i) total += pieces[i].bytes.size;
    return total;
  }
};

}  // namespace

struct InstructionGenerator::Implementation {
  Catalogue catalogue;
  Dice dice;
  PristineMemory pristine;
  InstanceMaker maker;
  Inputs inputs;
  std::vector<u32> order;
  std::size_t at = 0;
  std::vector<const Form*> simple64, simple32;

  Implementation(u64 seed, const std::regex* filter)
      : catalogue(build_catalogue()),
        dice(seed, "instruction cases"),
        pristine(make_pristine(dice)),
        maker(dice),
        inputs(dice, pristine) {
    neighbours = catalogue.forms;
    for (const Form& form : neighbours) {
      if (form.simple) (form.code64 ? simple64 : simple32).push_back(&form);
    }
    if (filter != nullptr)
      std::erase_if(catalogue.forms, [filter](const Form& form) { return !std::regex_search(form.name, *filter); });
    order.resize(catalogue.forms.size());
    for (u32 i = 0; i < order.size(); ++i) order[i] = i;
    for (u32 i = static_cast<u32>(order.size()); i > 1; --i) std::swap(order[i - 1], order[dice.below(i)]);
  }

  CaseGroup next();
  Mode choose_mode(const Form& form);
  Sequence choose_sequence(const Form& form);
  u32 choose_offset(const Form& form, u32 bytes, bool kernel);

  std::vector<Form> neighbours;  // all forms, whatever the filter says
};

/// Its frame must lie where it was laid: nothing that moves RSP may stand before it.
bool is_interrupt_return(const Form& form) {
  return form.zydis == ZYDIS_MNEMONIC_IRET || form.zydis == ZYDIS_MNEMONIC_IRETD || form.zydis == ZYDIS_MNEMONIC_IRETQ;
}

Mode InstructionGenerator::Implementation::choose_mode(const Form& form) {
  const bool kernel = !form.user_only && dice.one_in(5);
  if (form.code64) return kernel ? Mode::kKernel64 : Mode::kUser64;
  return kernel ? Mode::kKernel32 : Mode::kUser32;
}

Sequence InstructionGenerator::Implementation::choose_sequence(const Form& form) {
  Sequence sequence;
  const auto add = [&](const Form& f, bool plain) { sequence.pieces[sequence.count++] = maker.shape(f, plain); };
  const bool alone = !form.accepted || is_interrupt_return(form) || !dice.one_in(10);
  const auto& simple = form.code64 ? simple64 : simple32;
  const auto add_neighbours = [&](u32 count) {
    for (u32 i = 0; i < count; ++i) add(*dice.pick(std::span<const Form* const>(simple)), true);
  };
  if (!alone && !form.first) add_neighbours(dice.below(3));
  sequence.main = sequence.count;
  add(form, false);
  if (!alone && !form.last) add_neighbours(1 + dice.below(2));
  return sequence;
}

/// Mostly somewhere inside a code page; sometimes across two, and across the end of one into what cannot be fetched.
u32 InstructionGenerator::Implementation::choose_offset(const Form& form, u32 bytes, bool kernel) {
  const auto before_end_of = [&](unsigned page) {
    return static_cast<u32>((page + 1) * kPageBytes) - 1 - dice.below(std::max(bytes, 2U) - 1);
  };
  // How many bytes of an undefined instruction are fetched before it is known to be one, nobody says.
  const u32 r = form.accepted ? dice.below(100) : 100;
  if (r < 8) return before_end_of(1);
  if (r < 10) return before_end_of(2);
  if (r < 12) return before_end_of(4);
  unsigned page = dice.pick({1U, 2U, 4U, 1U, 2U, 4U, 27U});
  if (kernel && dice.one_in(4)) page = 26;
  constexpr u32 kMargin = 192;
  return static_cast<u32>(page * kPageBytes) + kMargin + dice.below(static_cast<u32>(kPageBytes) - 2 * kMargin - bytes);
}

namespace {

/// May the group run as a host process? Not what a kernel answers itself or what the host has more of than the guest.
bool runs_natively(const Form& form, const Plan& plan) {
  if (plan.kernel || plan.single_step || plan.odd_flags) return false;
  if (form.family == "system") return false;
  if (form.family == "undefined") return form.mnemonic == "undecodable";
  return form.extension != ZYDIS_ISA_EXT_XSAVE && form.extension != ZYDIS_ISA_EXT_XSAVEOPT;
}

}  // namespace

CaseGroup InstructionGenerator::Implementation::next() {
  BHVM_CHECK(!order.empty(), "the form filter left no form to generate");
  const Form& form = catalogue.forms[order[at]];
  at = (at + 1) % order.size();

  const Mode mode = choose_mode(form);
  const bool kernel = mode == Mode::kKernel64 || mode == Mode::kKernel32;
  Sequence sequence = choose_sequence(form);
  const u32 bytes = sequence.bytes();
  const u32 offset = choose_offset(form, bytes, kernel);
  const CodePlace place{kRegion + offset, kRegion + offset + bytes};

  CaseGroup out;
  out.form = form.name;
  out.mnemonic = form.mnemonic;
  out.family = form.family;
  out.group.code_offset = offset;
  out.group.code_bytes = static_cast<u16>(bytes);
  out.group.mode = mode;
  out.group.case_count = kCasesPerGroup;
  u64 address = place.start;
  u64 main_address = address;
  for (unsigned i = 0; i < sequence.count; ++i) {
    Instance& piece = sequence.pieces[i];
    maker.settle(piece, address, place, kernel);
    if (i == sequence.main) main_address = address;
    std::memcpy(out.group.code + (address - place.start), piece.bytes.data.data(), piece.bytes.size);
    address += piece.bytes.size;
  }

  Plan plan = make_plan(sequence.pieces[sequence.main], mode, place.start, main_address, place);
  plan.single_step = dice.one_in(16);
  plan.alignment_check = !kernel && dice.one_in(24);
  plan.odd_flags = dice.one_in(5);
  out.native = runs_natively(form, plan);
  out.cases.resize(kCasesPerGroup);
  for (Case& c : out.cases) inputs.fill(plan, c);
  return out;
}

InstructionGenerator::InstructionGenerator(u64 seed, const std::regex* form_filter)
    : implementation_(std::make_unique<Implementation>(seed, form_filter)) {}
InstructionGenerator::~InstructionGenerator() = default;

const Pristine& InstructionGenerator::pristine() const { return implementation_->pristine.bytes; }
const std::vector<Form>& InstructionGenerator::forms() const { return implementation_->catalogue.forms; }
const std::vector<std::string>& InstructionGenerator::unsupported() const {
  return implementation_->catalogue.unsupported;
}
const std::vector<std::string>& InstructionGenerator::lenient() const { return implementation_->catalogue.lenient; }
CaseGroup InstructionGenerator::next() { return implementation_->next(); }

}  // namespace bhvm::oracle
