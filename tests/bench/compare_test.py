#!/usr/bin/env python3
"""bench/compare without its engines: what it makes of what they print and take, and what it refuses.

  compare_test.py
"""

import contextlib
import importlib.machinery
import importlib.util
import io
import pathlib
import subprocess
import sys
import tempfile
import unittest

COMPARE = pathlib.Path(__file__).resolve().parents[2] / "bench/compare"


def load():
    sys.dont_write_bytecode = True
    loader = importlib.machinery.SourceFileLoader("compare", str(COMPARE))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("compare", loader))
    loader.exec_module(module)
    return module


class Measured(unittest.TestCase):
    """measure() with engines that answer from a list."""

    def setUp(self):
        self.compare = load()
        self.runs = []
        self.outputs = {}
        self.seconds = {"bhvm": [2.0, 3.0, 2.5], "tcg": [1.0, 1.0, 1.0], "icount": [4.0, 5.0, 90.0]}
        self.compare.run_bhvm = lambda context, workload: (*self.run_of("bhvm"), 1_000_000_000)
        self.compare.run_qemu = lambda context, workload, icount: self.run_of("icount" if icount else "tcg")

    def run_of(self, engine):
        self.runs.append(engine)
        return self.outputs.get(engine, "sum 42\n"), self.seconds[engine][self.runs.count(engine) - 1]

    def test_engines_take_turns_and_medians_are_compared(self):
        result = self.compare.measure(None, "integer", 3)
        self.assertEqual(self.runs, ["bhvm", "tcg", "icount"] * 3)
        self.assertEqual(result["median_s"], {"bhvm": 2.5, "tcg": 1.0, "icount": 5.0})
        self.assertAlmostEqual(result["mips"]["bhvm"], 400)
        self.assertAlmostEqual(result["against_icount"], 2.0)
        self.assertAlmostEqual(result["against_tcg"], 0.4)
        table = self.compare.table([result, dict(result, workload="boot", against_icount=50.0)])
        self.assertIn("geometric mean of all but boot: 2.00 times icount, 0.40 times TCG", table)
        self.assertEqual(self.compare.chart([result]).count("<rect"), 1 + 3 + 3)

    def test_an_engine_whose_guest_prints_something_else_is_not_compared(self):
        for engine in ("tcg", "icount"):
            self.runs, self.outputs = [], {engine: "sum 43\n"}
            said = io.StringIO()
            with self.subTest(engine), contextlib.redirect_stderr(said), self.assertRaises(SystemExit) as end:
                self.compare.measure(None, "integer", 3)
            self.assertEqual(end.exception.code, 2)
            self.assertIn(f"printed something else in {self.compare.ENGINES[engine]} than in bhvm", said.getvalue())
            self.assertIn("sum 43", said.getvalue())


class Usage(unittest.TestCase):
    def refusal(self, *arguments):
        done = subprocess.run([sys.executable, COMPARE, *map(str, arguments)], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=60)
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        return done.stderr

    def test_mistakes_are_sentences_before_anything_runs(self):
        self.assertIn("no workload 'nothing'", self.refusal("--workloads", "nothing"))
        self.assertIn("--rounds must be 1 or more", self.refusal("--rounds", 0))
        self.assertIn("--core 99999 is none of the cores", self.refusal("--core", 99999))
        self.assertIn("cannot be written", self.refusal("--json", "/nonexistent/compare.json"))
        self.assertIn("cannot be written", self.refusal("--svg", "/"))

    def test_a_build_that_is_not_there_is_named(self):
        with tempfile.TemporaryDirectory() as empty:
            said = self.refusal("--build", empty, "--kernel", COMPARE, "--disk", COMPARE)
            self.assertIn("is not there; build it first", said)


if __name__ == "__main__":
    unittest.main()
