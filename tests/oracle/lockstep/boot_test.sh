#!/bin/bash
# The first million instructions of a boot in lockstep with QEMU, and what the tool says when it cannot start.
#
#   boot_test.sh BHVM-LOCKSTEP [WORD...]
set -euo pipefail
tool=$1
shift
skip() { echo "$*" >&2; exit 77; }
[ -f "${BHVM_KERNEL:-}" ] || skip "BHVM_KERNEL names no file"
[ -f "${BHVM_INITRAMFS_TINY:-}" ] || skip "BHVM_INITRAMFS_TINY names no file"
command -v qemu-system-x86_64 > /dev/null || skip "qemu-system-x86_64 is missing: install the package qemu-system-x86"

status=0
said=$("$tool" --kernel "$BHVM_KERNEL" --qemu /no/such/qemu 2>&1 > /dev/null) || status=$?
[ $status = 2 ] || { echo "without QEMU the status is $status, not 2"; exit 1; }
[[ $said == *"'/no/such/qemu' cannot be run"* ]] || { echo "without QEMU it says: $said"; exit 1; }

exec "$tool" --kernel "$BHVM_KERNEL" --initrd "$BHVM_INITRAMFS_TINY" --instructions 1M --compare-ram-every 500K "$@"
