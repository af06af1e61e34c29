#!/usr/bin/env python3
"""bench/successors without its runs: the table that it makes of counts.

  successors_test.py
"""

import collections
import pathlib
import re
import tempfile
import unittest

from tools import load

TOP = pathlib.Path(__file__).resolve().parents[2]


class Table(unittest.TestCase):
    def test_rows_and_who_follows(self):
        successors = load("successors")
        names = {1: "b", 2: "a", 3: "c"}  # 4 has none; 3 is rare
        shares = collections.Counter({((1, 0), 2): 0.2, ((1, 0), 1): 0.15, ((1, 0), 4): 0.1, ((1, 0), 3): 0.01,
                                      ((1, 1), 1): 0.1, ((1, 1), 2): 0.01, ((2, 0), 1): 0.3, ((4, 0), 2): 0.1299,
                                      ((3, 0), 1): 0.000005})
        rows = successors.table(shares, names)
        self.assertEqual([("a", ["b"], []), ("b", ["a", "b"], ["b"])], rows)
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "rows.inc"
            successors.write(file, rows)
            self.assertEqual(["BHVM_GUIDED_ROW(1, (2), (), a)", "BHVM_GUIDED_ROW(2, (1, 2), (2), b)"],
                             file.read_text().splitlines()[2:])

    def test_what_was_recorded_is_counted_by_handler_and_way(self):
        successors = load("successors")
        successors.records.WORKLOADS = ["one"]
        # 5, then 7; 7 is followed by 5 where its jump is taken, and by 7.
        successors.records.recorded = lambda *_: [5 << 1, 7 << 1, 5 << 1 | 1, 7 << 1, 7 << 1]
        shares = successors.count(None, None)
        self.assertEqual({((5, 0), 7): 2 / 5, ((7, 1), 5): 1 / 5, ((7, 0), 7): 1 / 5}, dict(shares))

    def test_the_committed_table_is_whole(self):
        rows = re.findall(r"^BHVM_GUIDED_ROW\((\d+), \(([\d, ]*)\), \(([\d, ]*)\), (.+)\)$",
                          (TOP / "cpu/guided_rows.inc").read_text(), re.MULTILINE)
        self.assertGreater(len(rows), 1000)
        self.assertEqual([str(i + 1) for i in range(len(rows))], [row[0] for row in rows])
        self.assertEqual(len(rows), len({row[3] for row in rows}))
        for row in rows:
            for way in row[1:3]:
                followers = [int(number) for number in way.split(",") if number]
                self.assertLessEqual(len(followers), 3)
                self.assertEqual(len(followers), len(set(followers)))
                self.assertTrue(all(1 <= number <= len(rows) for number in followers))


if __name__ == "__main__":
    unittest.main()
