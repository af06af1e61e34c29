#!/usr/bin/env python3
"""Runs one check of guest/programs/ in the guest, or shows that a failing one is noticed.

Usage: programs_test.py initramfs|ext4 NAME
"""

import sys
import unittest

import support

# 276 MB of files in RAM, twice while they are unpacked; the disk's guest has what a small server has.
MEDIA = {
    "initramfs": {"initrd": "BHVM_PROGRAMS_INITRAMFS", "memory": "1536M"},
    "ext4": {"initrd": None, "memory": "1G"},
}
MOST_INSTRUCTIONS = "100000M"


def run_all(medium, names):
    """Boots the medium and runs the checks in it."""
    where = MEDIA[medium]
    options = ["--memory", where["memory"], "--max-instructions", MOST_INSTRUCTIONS, "--no-stdin"]
    append = ""
    if medium == "ext4":
        options += ["--disk", support.part("BHVM_PROGRAMS_EXT4")]
        append = "root=/dev/vda rw init=/sbin/bhvm-init"
    return support.boot(f"/programs/run-all {names}", *options, append=append, initrd=where["initrd"])


class Programs(support.TestCase):
    medium = ""
    name = ""

    def test_program(self):
        run = run_all(self.medium, self.name)
        print(run.text)
        lines = run.text.splitlines()
        verdicts = [line for line in lines if line.startswith(("PASS ", "FAIL "))]
        if self.name == "no-such-check":
            self.assertEqual(["FAIL no-such-check: there is no such check"], verdicts)
            self.assertIn("programs: 0 passed, 1 failed", lines)
            self.assertEqual("guest-exit", run.stats["exit"])
            self.assertStatus(1, run)
            return
        self.assertEqual([f"PASS {self.name}"], verdicts, run.stderr)
        self.assertIn("programs: 1 passed, 0 failed", lines)
        self.assertEqual("power-off", run.stats["exit"])
        self.assertStatus(0, run)


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in MEDIA:
        sys.exit(__doc__)
    Programs.medium, Programs.name = sys.argv[1:]
    result = unittest.main(argv=[sys.argv[0], "-v"], exit=False).result
    sys.exit(1 if not result.wasSuccessful() else support.SKIPPED if result.skipped else 0)


if __name__ == "__main__":
    main()
