#!/bin/bash
# python3: its standard library, threads, processes, and C through ctypes.
. "$(dirname "$0")/lib.sh"
expect_output "python.py" python.expected python3 "$programs/python.py"
finish
