#include "oracle/generate/forms.h"

#include <fmt/format.h>

#include <array>
#include <set>
#include <string_view>
#include <unordered_map>

#include "oracle/generate/form_names.h"
#include "oracle/generate/qemu_lenience.h"

namespace bhvm::oracle {
namespace {

struct Prefixes {
  u8 repeat;
  bool operand_size;
};
constexpr Prefixes kPrefixes[] = {{0, false}, {0, true}, {0xF2, false}, {0xF3, false}, {0xF2, true}, {0xF3, true}};

constexpr const char* kMapNames[] = {"", " 0f", " 0f38", " 0f3a"};

constexpr unsigned kModrms = 128;  // 64 register forms, 64 memory forms of which those with rm = 3 are used

/// Bytes of the one-byte map that are prefixes, escapes, or (in this mode) the start of VEX and its kin.
bool is_prefix_byte(u8 opcode, bool code64) {
  switch (opcode) {
    case 0x0F:
    case 0x26:
    case 0x2E:
    case 0x36:
    case 0x3E:
    case 0x64:
    case 0x65:
    case 0x66:
    case 0x67:
    case 0xF0:
    case 0xF2:
    case 0xF3:
      return true;
    case 0x62:
    case 0xC4:
    case 0xC5:
      return code64;
    default:
      return code64 && opcode >= 0x40 && opcode <= 0x4F;
  }
}

/// ModRM values that would make the opcode the start of VEX, EVEX or XOP.
bool is_enclosing_modrm(OpcodeMap map, u8 opcode, unsigned modrm) {
  if (map != OpcodeMap::kOneByte) return false;
  if (opcode == 0x8F) return (modrm >> 3 & 7) != 0;
  return (opcode == 0x62 || opcode == 0xC4 || opcode == 0xC5) && modrm >= 0xC0;
}

class Walk {
 public:
  explicit Walk(Catalogue& catalogue) : catalogue_(catalogue) {}

  void mode(bool code64) {
    code64_ = code64;
    for (const OpcodeMap map : {OpcodeMap::kOneByte, OpcodeMap::k0F, OpcodeMap::k0F38, OpcodeMap::k0F3A}) {
      for (unsigned opcode = 0; opcode < 256; ++opcode) {
        if (map == OpcodeMap::kOneByte && is_prefix_byte(static_cast<u8>(opcode), code64)) continue;
        if (map == OpcodeMap::k0F && (opcode == 0x38 || opcode == 0x3A || opcode == 0x0F)) continue;
        walk_opcode(map, static_cast<u8>(opcode));
      }
    }
    add_escaped("3dnow", OpcodeMap::k3DNow, true);
    add_escaped("vex (c5)", OpcodeMap::kVex2, true);
    add_escaped("vex (c4)", OpcodeMap::kVex3, true);
    add_escaped("evex", OpcodeMap::kEvex, true);
    leave_out({.map = OpcodeMap::kXop}, "xop");
    leave_out({.lock = true}, "lock");
    add_escaped("more than 15 bytes", OpcodeMap::kTooLong, false);
  }

 private:
  struct Found {
    bool decoded = false;
    u64 signature = 0;
  };

  void walk_opcode(OpcodeMap map, u8 opcode) {
    plain_ = {};
    for (const Prefixes& prefixes : kPrefixes) {
      if (prefixes.repeat != 0 && prefixes.operand_size && map != OpcodeMap::k0F38) continue;
      for (unsigned wide = 0; wide < (code64_ ? 2U : 1U); ++wide) {
        Encoding e;
        e.map = map;
        e.opcode = opcode;
        e.repeat = prefixes.repeat;
        e.operand_size = prefixes.operand_size;
        e.rex_w = wide != 0;
        walk_modrm(e);
        if (map == OpcodeMap::k0F && opcode >= 0x20 && opcode <= 0x23 && code64_) {
          e.rex_r = true;
          walk_modrm(e);
        }
      }
    }
  }

  /// All ModRM values that can select an instruction; one encoding is enough where there is no ModRM.
  void walk_modrm(const Encoding& prefixed) {
    const bool first = prefixed.repeat == 0 && !prefixed.operand_size && !prefixed.rex_w && !prefixed.rex_r;
    for (unsigned i = 0; i < kModrms; ++i) {
      const bool memory = i >= 64;
      if (memory && (i & 7) != 3) continue;
      const unsigned modrm = memory ? i & 0x3F : 0xC0 | i;
      if (is_enclosing_modrm(prefixed.map, prefixed.opcode, modrm)) continue;
      Encoding e = prefixed;
      e.has_modrm = true;
      e.memory = memory;
      e.modrm = memory ? u64{1} << (i & 0x38) : u64{1} << i;
      const bool has_modrm = visit(e, modrm, first ? nullptr : &plain_[i], first ? &plain_[i] : nullptr);
      if (!has_modrm) break;
    }
  }

  /// Enters one encoding, and with LOCK and an address size where they matter. Returns whether it has a ModRM byte.
  bool visit(Encoding e, unsigned modrm, const Found* plain, Found* found) {
    Instruction insn;
    const bool decoded = decode(e, modrm, insn);
    const bool has_modrm = !decoded || insn.has(ZYDIS_ATTRIB_HAS_MODRM);
    if (!has_modrm) {
      e.has_modrm = e.memory = false;
      e.modrm = 1;
    }
    const u64 signature = decoded ? signature_of(insn) : 0;
    if (found != nullptr) *found = {decoded, signature};
    // A prefix that changes nothing is left to the random ones.
    if (plain != nullptr && plain->decoded == decoded && plain->signature == signature) return has_modrm;
    enter(e, decoded, signature, insn);
    if (!decoded) return has_modrm;
    if (e.memory && insn.has(ZYDIS_ATTRIB_ACCEPTS_LOCK)) variant(e, modrm, &Encoding::lock);
    if (address_size_matters(insn)) variant(e, modrm, &Encoding::address_size);
    return has_modrm;
  }

  void variant(Encoding e, unsigned modrm, bool Encoding::* prefix) {
    e.*prefix = true;
    Instruction insn;
    if (decode(e, modrm, insn)) enter(e, true, signature_of(insn), insn);
  }

  bool decode(const Encoding& e, unsigned modrm, Instruction& insn) const {
    Choices choices;
    choices.mod = static_cast<u8>(modrm >> 6);
    choices.reg = static_cast<u8>(modrm >> 3 & 7);
    choices.rm = static_cast<u8>(modrm & 7);
    const Bytes bytes = assemble(e, choices, code64_);
    return oracle::decode(decoder_, {bytes.data.data(), bytes.size}, code64_, insn);
  }

  void enter(const Encoding& e, bool decoded, u64 signature, const Instruction& insn) {
    if (!decoded) return enter_undecodable(e);
    if (is_narrow_branch(insn)) {
      const auto [it, fresh] = unsupported_.try_emplace(signature, true);
      if (fresh) catalogue_.unsupported.push_back(form_name(insn));
      return;
    }
    const bool accepted = accepted_by_translator(insn, builder_);
    if (!accepted && leave_out(e, form_name(insn))) return;
    // What is not accepted is one form a mnemonic: its operands do not matter for #UD.
    const u64 key = accepted ? signature : insn.z.mnemonic * 2 + (code64_ ? 1U : 0U);
    Form& form = form_of(key);
    if (form.encodings.empty()) {
      form.mnemonic = ZydisMnemonicGetString(insn.z.mnemonic);
      form.zydis = insn.z.mnemonic;
      form.extension = insn.z.meta.isa_ext;
      form.signature = signature;
      form.accepted = accepted;
      if (accepted) {
        form.name = form_name(insn);
        form.family = family_of(insn);
        form.user_only = belongs_to_system_cases(insn);
        form.last = has_open_result(insn);
        form.first = stores_open_state(insn);
        form.simple = is_simple(insn) && !form.last;
      } else {
        name_undefined(form, form.mnemonic);
      }
    }
    append(form, e);
  }

  /// Lists what QEMU takes in spite of all; false for everything else.
  bool leave_out(const Encoding& e, const std::string& name) {
    const std::string_view why = qemu_lenience(e);
    if (why.empty()) return false;
    std::string line = fmt::format("{}: {}", name, why);
    if (lenient_.insert(line).second) catalogue_.lenient.push_back(std::move(line));
    return true;
  }

  void enter_undecodable(const Encoding& e) {
    const unsigned map = static_cast<unsigned>(e.map);
    if (leave_out(e, fmt::format("{}{:02x}{}", kMapNames[map], e.opcode, code64_ ? "" : " [32]"))) return;
    const u64 key = 0x10000U | (code64_ ? 0x8000U : 0U) | map << 8 | e.opcode >> 4;
    Form& form = form_of(key);
    if (form.encodings.empty()) {
      form.mnemonic = "undecodable";
      name_undefined(form, fmt::format("encoding{} {:x}x", kMapNames[map], e.opcode >> 4));
    }
    append(form, e);
  }

  void add_escaped(const char* name, OpcodeMap map, bool has_modrm) {
    Form& form = form_of(0x20000U | (code64_ ? 0x8000U : 0U) | static_cast<unsigned>(map));
    form.mnemonic = name;
    name_undefined(form, name);
    Encoding e;
    e.map = map;
    e.has_modrm = has_modrm;
    e.modrm = ~u64{0};
    form.encodings.push_back(e);
  }

  void name_undefined(Form& form, const std::string& what) const {
    form.name = "undefined " + what + (code64_ ? "" : " [32]");
    form.family = "undefined";
    form.user_only = true;
  }

  Form& form_of(u64 key) {
    const auto [it, fresh] = index_.try_emplace(key, catalogue_.forms.size());
    if (fresh) {
      Form& form = catalogue_.forms.emplace_back();
      form.code64 = code64_;
    }
    return catalogue_.forms[it->second];
  }

  /// Encodings that differ in ModRM alone become one.
  static void append(Form& form, const Encoding& e) {
    for (auto it = form.encodings.rbegin(); it != form.encodings.rend(); ++it) {
      if (it->map == e.map && it->opcode == e.opcode && it->repeat == e.repeat && it->operand_size == e.operand_size &&
          it->rex_w == e.rex_w && it->rex_r == e.rex_r && it->lock == e.lock && it->address_size == e.address_size &&
          it->has_modrm == e.has_modrm && it->memory == e.memory) {
        it->modrm |= e.modrm;
        return;
      }
      if (it->map != e.map || it->opcode != e.opcode) break;
    }
    form.encodings.push_back(e);
  }

  Catalogue& catalogue_;
  Decoder decoder_;
  BlockBuilder builder_;
  bool code64_ = true;
  std::array<Found, kModrms> plain_{};
  std::unordered_map<u64, std::size_t> index_;
  std::unordered_map<u64, bool> unsupported_;
  std::set<std::string> lenient_;
};

}  // namespace

bool accepted_by_translator(const Instruction& insn, BlockBuilder& builder) {
  const Translator translator = translators().find(insn.z.mnemonic);
  if (translator == nullptr) return false;
  builder.begin(insn.mode);
  builder.start_instruction(insn);
  return translator(builder, insn);
}

Catalogue build_catalogue() {
  Catalogue catalogue;
  Walk walk(catalogue);
  walk.mode(true);
  walk.mode(false);
  return catalogue;
}

}  // namespace bhvm::oracle
