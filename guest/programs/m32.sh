#!/bin/bash
# A static 32-bit program on the 64-bit kernel: compatibility mode, int 0x80, i386 structures, the x87 as the only FPU.
# bin/m32 is m32.c, compiled when the root file system was made.
. "$(dirname "$0")/lib.sh"
expect_output "m32.c" m32.expected "$programs/bin/m32" argument "two words"
finish
