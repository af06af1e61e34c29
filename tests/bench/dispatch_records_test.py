#!/usr/bin/env python3
"""bench/dispatch_records.py without runs: the names that it makes of symbols.

  dispatch_records_test.py
"""

import pathlib
import sys
import unittest

TOP = pathlib.Path(__file__).resolve().parents[2]
END = "(bhvm::Cpu&, bhvm::Op const*, long, bhvm::FastEntry*)"

sys.dont_write_bytecode = True
sys.path.insert(0, str(TOP / "bench"))
import dispatch_records as records  # noqa: E402


class Names(unittest.TestCase):
    def setUp(self):
        self.enums = records.enumerators()

    def assertName(self, expected, demangled):
        self.assertEqual(expected, records.source_name(demangled + END, self.enums))

    def test_enumerators_are_in_order(self):
        self.assertEqual(["kTlb", "kSlow"], self.enums["Through"])
        self.assertEqual(["kRegister", "kAligned", "kUnaligned", "kSimple", "kSlow"], self.enums["From"])

    def test_a_step(self):
        self.assertName("plain<MovRegMem<u64, true>, Through::kTlb, Onward>",
                        "void bhvm::plain<bhvm::integer::MovRegMem<unsigned long, true>, (bhvm::Through)0, bhvm::ByJump>")

    def test_a_jump_is_named_with_its_namespace(self):
        self.assertName("integer::fused<Condition::kE, FuseCmp, u8, false, true, JumpKind::kInPage, Onward>",
                        "void bhvm::integer::fused<(bhvm::Condition)4, bhvm::integer::FuseCmp, unsigned char, false, true, "
                        "(bhvm::JumpKind)0, bhvm::ByJump>")

    def test_joined_ops(self):
        inner = ("&void bhvm::plain<bhvm::integer::Logic<bhvm::integer::XorOf>, (bhvm::Through)0, bhvm::ByJump>" + END)
        self.assertName("then<Push64, plain<Logic<XorOf>, Through::kTlb, Onward>>",
                        f"void bhvm::then<bhvm::integer::Push64, {inner}>")
        in_brackets = f"&({inner[1:]})"
        self.assertName("then<Push64, plain<Logic<XorOf>, Through::kTlb, Onward>>",
                        f"void bhvm::then<bhvm::integer::Push64, {in_brackets}>")

    def test_a_conditional_jump_with_something_behind_it(self):
        behind = "&void bhvm::plain<bhvm::integer::Push64, (bhvm::Through)0, bhvm::ByJump>" + END
        self.assertName("integer::jump_if<Condition::kE, JumpKind::kInPage, true, Straight<plain<Push64, Through::kTlb, Onward>, "
                        "Onward>>",
                        "void bhvm::integer::jump_if<(bhvm::Condition)4, (bhvm::JumpKind)0, true, "
                        f"bhvm::Straight<{behind}, bhvm::ByJump>>")

    def test_vector_functions(self):
        self.assertName("plain<Compute<bit_xor<u64x2>, From::kRegister, Into::kXmm>, Through::kTlb, Onward>",
                        "void bhvm::plain<bhvm::sse::Compute<&unsigned long vector[2] bhvm::sse::sse42_host::bit_xor<unsigned "
                        "long vector[2]>(unsigned long vector[2], unsigned long vector[2]), (bhvm::sse::From)0, "
                        "(bhvm::sse::Into)0>, (bhvm::Through)0, bhvm::ByJump>")
        self.assertName("plain<Compute<aes::host::encrypt, From::kRegister, Into::kXmm>, Through::kTlb, Onward>",
                        "void bhvm::plain<bhvm::sse::Compute<&bhvm::sse::aes::host::encrypt, (bhvm::sse::From)0, "
                        "(bhvm::sse::Into)0>, (bhvm::Through)0, bhvm::ByJump>")

    def test_no_name_in_the_table(self):
        self.assertName(None, "void bhvm::system_op<&bhvm::far_return(bhvm::Cpu&, bhvm::Op const&)>")
        self.assertName(None, "bhvm::leave_fault")
        self.assertName(None, "void bhvm::plain<bhvm::integer::(anonymous namespace)::Secret, (bhvm::Through)0, bhvm::ByJump>")


if __name__ == "__main__":
    unittest.main()
