#!/usr/bin/env python3
"""What is compiled for hosts with more instructions defines no slow handler but in their namespace: hosts without them
run these, and the linker may take them from any file.

  host_objects_test.py OBJECT...
"""

import subprocess
import sys
import unittest

SLOW = "ThroughE1E"  # Through::kSlow in a mangled name
OF_HOST = "sse42_host"


class HostObjects(unittest.TestCase):
    def test_no_slow_handler_is_defined(self):
        self.assertTrue(OBJECTS)
        for path in OBJECTS:
            lines = subprocess.run(["nm", path], check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
            symbols = [line.split() for line in lines]
            slow = [(kind, name) for *_, kind, name in symbols if SLOW in name]
            self.assertTrue(slow, f"{path} names no slow handler: is {SLOW} still how they are mangled?")
            self.assertEqual([], [name for kind, name in slow if kind != "U" and OF_HOST not in name], path)


if __name__ == "__main__":
    OBJECTS = sys.argv[1:]
    unittest.main(argv=sys.argv[:1])
