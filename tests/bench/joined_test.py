#!/usr/bin/env python3
"""bench/joined without its runs: words of records, rows of words, and the tables.

  joined_test.py
"""

import collections
import pathlib
import re
import tempfile
import unittest

from tools import load

TOP = pathlib.Path(__file__).resolve().parents[2]
MOVE = "plain<MovRegReg<u64>, Through::kTlb, Onward>"
PUSH = "plain<Push64, Through::kTlb, Onward>"
VECTOR = "plain<Compute<zero_extend, From::kRegister, Into::kXmm>, Through::kTlb, Onward>"
TEST = "integer::fused<Condition::kE, FuseTest, u64, false, true, JumpKind::kInPage, Onward>"
CALL = "integer::call<Stack64, JumpKind::kAcross, Through::kTlb, Onward>"
GO = "go_in_page_by<Onward>"
NAMES = {1: MOVE, 2: PUSH, 3: VECTOR, 4: TEST, 5: CALL, 6: GO}


class Joined(unittest.TestCase):
    def setUp(self):
        self.joined = load("joined")
        self.letters = self.joined.Letters()

    def word(self, *names):
        return "".join(map(self.letters.of, names))

    def words(self, *handlers):
        """Of a record, where a handler below 0 was entered by a jump that was taken."""
        return dict(self.joined.words_of([abs(h) << 1 | (h < 0) for h in handlers], NAMES, self.letters))

    def test_words_end_with_jumps_and_strangers(self):
        self.assertEqual({self.word(MOVE, PUSH, CALL): 2, self.word(MOVE): 1},
                         self.words(1, 2, 5, 1, 99, 1, 2, 5))

    def test_words_go_on_behind_conditional_jumps_that_are_not_taken(self):
        self.assertEqual({self.word(MOVE, TEST, PUSH): 1, self.word(MOVE, TEST): 1, self.word(PUSH): 1},
                         self.words(1, 4, 2, 99, 1, 4, -2))

    def test_joined_as_the_program_does_it(self):
        a, b, c = map(self.letters.of, (MOVE, PUSH, TEST))
        self.assertEqual([a + b + a, c, a + b, b], self.joined.joined(a + b + a + c + a + b + b, {a + b, a + b + a}))

    def test_the_most_frequent_are_learned_and_those_replaced_go(self):
        a, b, c = map(self.letters.of, (MOVE, PUSH, GO))
        self.joined.AT_ONCE = 1
        self.assertEqual({a + b: 0.5, b: 0.3, c: 0.3}, self.joined.learn({a + b: 0.5, b + c: 0.3}, 1, self.letters))
        self.assertEqual({a + b + c: 0.5}, self.joined.learn({a + b + c: 0.5}, 2, self.letters))

    def test_pushes_behind_each_other_are_one(self):
        def runs(*ops):
            return "".join(self.letters.of(f"plain<PushRun<{n}>, Through::kTlb, Onward>") for n in ops)

        move, push = self.word(MOVE), self.word(PUSH)
        self.assertEqual({move + runs(2) + move + push: 1}, self.words(1, 2, 2, 1, 2))
        self.assertEqual({runs(6) + push: 1, runs(6, 2): 1}, self.words(*[2] * 7, 99, *[2] * 8))
        self.assertEqual("PushRun<3>", self.joined.part(self.letters.names[runs(3)]))
        self.assertEqual("then<PushRun<3>>", self.joined.chain([self.letters.names[runs(3)]]))

    def test_rows_with_vectors_end_with_nothing_that_has_a_slow_twin(self):
        self.assertFalse(self.joined.may_join(self.word(VECTOR, CALL), self.letters))
        self.assertTrue(self.joined.may_join(self.word(VECTOR, TEST), self.letters))
        self.assertTrue(self.joined.may_join(self.word(MOVE, CALL), self.letters))

    def test_the_tables(self):
        uses = {self.word(PUSH, CALL): 0.1, self.word(MOVE, TEST, PUSH, GO): 0.4, self.word(VECTOR, MOVE, TEST, PUSH): 0.2,
                self.word(GO): 0.2, self.word(MOVE): 0.1}
        with tempfile.TemporaryDirectory() as folder:
            self.joined.records.TOP = pathlib.Path(folder)
            for path in ("cpu/integer", "cpu/sse"):
                (pathlib.Path(folder) / path).mkdir(parents=True)
            self.joined.write_tables(collections.Counter(uses), self.letters)
            lines = {path: (pathlib.Path(folder) / path).read_text().splitlines()[1:]
                     for path in ("cpu/integer/joined_parts.inc", "cpu/sse/joined_parts.inc", "cpu/integer/joined_rows.inc",
                                  "cpu/sse/joined_rows.inc", "cpu/shared_handlers.inc")}
        fused = "Condition::kE, FuseTest, u64, false, true, JumpKind::kInPage"
        parts = ["GoInPage", "MovRegReg<u64>", "Call<Stack64, JumpKind::kAcross>", f"Fused<{fused}>", "Push64"]
        vector = "Compute<zero_extend, From::kRegister, Into::kXmm>"
        self.assertEqual([f"BHVM_JOINED_PART({i}, {part})" for i, part in enumerate(parts, 1)],
                         lines["cpu/integer/joined_parts.inc"])
        self.assertEqual([f"BHVM_JOINED_PART(6, {vector})"], lines["cpu/sse/joined_parts.inc"])
        self.assertEqual([f"BHVM_JOINED_ROW(MovRegReg<u64>, Fused<{fused}>, Push64, GoInPage)",
                          "BHVM_JOINED_ROW(Push64, Call<Stack64, JumpKind::kAcross>)"],
                         lines["cpu/integer/joined_rows.inc"])
        self.assertEqual([f"BHVM_JOINED_ROW({vector}, MovRegReg<u64>, Fused<{fused}>, Push64)"],
                         lines["cpu/sse/joined_rows.inc"])
        def alone(part, through="kTlb", onward="ByJump"):
            return f"plain<{part}, Through::{through}, {onward}, PartKind<{part}>>"

        def compare(onward):
            return f"fused<{fused}, {onward}, PartKind<Fused<{fused}>>>"

        push = f"Straight<{alone('Push64')}>"
        self.assertEqual(sorted(f"BHVM_SHARED_HANDLER({name})" for name in (
            f"plain<{vector}>", f"plain<{vector}, Through::kSlow>", alone("MovRegReg<u64>"), alone("Push64"),
            alone("MovRegReg<u64>", "kSlow"), alone("Push64", "kSlow"),
            "integer::call<Stack64, JumpKind::kAcross, Through::kSlow, ByJump, PartKind<Call<Stack64, JumpKind::kAcross>>>",
            f"integer::{compare('ByJump')}", f"integer::{compare(push)}", f"then<MovRegReg<u64>, Fused<{fused}>, Push64>")) +
            [f"BHVM_VECTOR_HANDLER({alone(vector, 'kSlow')})"], lines["cpu/shared_handlers.inc"])

    def test_parts_of_every_kind(self):
        self.assertEqual(
            ["JumpIf<Condition::kE, JumpKind::kInPage, true>", "Jump<JumpKind::kAcross, true>",
             "JumpIndirect<true, true, false>", "CallIndirect<Stack64, false, false>", "Ret<Stack64, false>", "GoAcross"],
            list(map(self.joined.part, (
                "integer::jump_if<Condition::kE, JumpKind::kInPage, true, Onward>",
                "integer::jump<JumpKind::kAcross, true, Onward>",
                "integer::jump_indirect<true, true, false, Through::kTlb, Onward>",
                "integer::call_indirect<Stack64, false, false, Through::kTlb, Onward>",
                "integer::ret<Stack64, false, Through::kTlb, Onward>", "go_across_by<Onward>"))))

    def test_handlers_of_small_ops_are_the_parts_where_there_are_any(self):
        small, large = MOVE[:-1] + ", RegisterOp>", MOVE[:-1] + ", Op>"
        store = VECTOR[:-1] + ", Op>"
        self.assertEqual({1: MOVE, 3: store, 4: GO},
                         self.joined.records.of_parts({1: small, 2: large, 3: store, 4: GO[:-1] + ", JumpOp>"}))
        self.assertEqual(self.joined.part(VECTOR), self.joined.part(store))
        self.assertTrue(self.joined.inner(store))

    def test_the_committed_tables_have_each_row_once(self):
        number = 0
        for folder, vector in (("integer", False), ("sse", True)):
            rows = re.findall(r"^BHVM_JOINED_ROW\((.+)\)$", (TOP / f"cpu/{folder}/joined_rows.inc").read_text(), re.MULTILINE)
            self.assertGreater(len(rows), 100)
            self.assertEqual(len(rows), len(set(rows)))
            self.assertTrue(all(("Compute" in row) == vector for row in rows))
            for part in re.findall(r"^BHVM_JOINED_PART\((\d+), .+\)$",
                                   (TOP / f"cpu/{folder}/joined_parts.inc").read_text(), re.MULTILINE):
                number += 1
                self.assertEqual(number, int(part))


if __name__ == "__main__":
    unittest.main()
