// The catalogue of instruction forms, found by walking the opcode space.
//
// Every opcode of every map is decoded with every prefix that can matter and every ModRM that can select, in 64-bit and
// in 32-bit code. What Zydis decodes and bhvm's translator takes is an accepted form; everything else must be #UD and
// makes up the forms of the family "undefined". Encodings whose operands are of the same kinds and widths are one form,
// with all of them kept.
#pragma once

#include <string>
#include <vector>

#include "oracle/generate/encoding.h"

namespace bhvm::oracle {

struct Form {
  std::string name;      // "add r32, m32"; forms of 32-bit code end in " [32]"
  std::string mnemonic;  // "add"; of undefined ones the mnemonic of a processor that has it, or "undecodable"
  std::string family;    // "integer alu", "x87", ...: see kFamilies in form_names.cpp
  ZydisMnemonic zydis = ZYDIS_MNEMONIC_INVALID;
  ZydisISAExt extension = ZYDIS_ISA_EXT_INVALID;
  u64 signature = 0;  // of each of its encodings: signature_of()
  bool code64 = true;
  bool accepted = false;
  /// In kernel modes it belongs to system cases: it would change what the guest program rests on. Here it runs in user
  /// modes only.
  bool user_only = false;
  /// Register operands and the stack at most, no control flow but conditional jumps: fit to stand before or behind
  /// another instruction.
  bool simple = false;
  /// Its result is undefined, random, or the machine's own: nothing that could use it stands behind it.
  bool last = false;
  /// It stores state of which some may differ: flags and addresses are those of the input.
  bool first = false;
  std::vector<Encoding> encodings;
};

struct Catalogue {
  std::vector<Form> forms;
  /// Names of forms that decode but stop a bhvm machine with a message (docs/CPU.md): nothing is generated of them.
  std::vector<std::string> unsupported;
  /// What is #UD here and on processors, but not in QEMU, with the reason (qemu_lenience.h): not generated either.
  std::vector<std::string> lenient;
};

/// Walks the opcode space: about a second of work. The same list every time.
Catalogue build_catalogue();

/// Accepted: a translator takes it. `builder` is scratch space.
bool accepted_by_translator(const Instruction& insn, BlockBuilder& builder);

}  // namespace bhvm::oracle
