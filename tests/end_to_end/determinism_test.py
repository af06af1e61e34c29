#!/usr/bin/env python3
"""The same seed gives the same run, whatever the host does and whoever compiled the command."""

import contextlib
import os
import shutil
import subprocess
import sys

import support

# Interrupts while a loop spins, idle time, forks, randomness, the clock, floating point, hashes.
WORKLOAD = ("cat /proc/sys/kernel/random/uuid /proc/uptime; date; "
            "while :; do :; done & sleep 0.05; kill $!; "
            "seq 1 5000 | sha256sum; seq 1 2000 | gzip -c | md5sum; "
            "awk 'BEGIN {for (i = 1; i < 5000; i++) s += sin(i) * exp(i % 7) / sqrt(i); print s}'; "
            "ps; cat /proc/self/maps /proc/interrupts /proc/meminfo /proc/schedstat; "
            "head -c 64 /dev/urandom | od -x; exit 5")
CHECKPOINTS = ["--hash-every", "5M"]


def workload(*options, **how):
    return support.boot(WORKLOAD, *CHECKPOINTS, *options, **how)


@contextlib.contextmanager
def busy_host(processes=4, limit_s=120):
    """Keeps the host's processors busy; the loops end by themselves after `limit_s` whatever happens here."""
    loop = f"import time\nend = time.monotonic() + {limit_s}\nwhile time.monotonic() < end: pass"
    spinning = [subprocess.Popen([sys.executable, "-c", loop], stdin=subprocess.DEVNULL) for _ in range(processes)]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()


class Tests(support.TestCase):
    def test_same_seed_same_run(self):
        first = workload("--seed", "7")
        self.assertStatus(5, first)
        self.assertGreater(len(first.hashes), 15)
        self.assertIn("MemTotal", first.text)
        self.assertSameRun(first, workload("--seed", "7"))

    def test_busy_host(self):
        idle = workload()
        self.assertStatus(5, idle)
        with busy_host():
            busy = workload()
        self.assertSameRun(idle, busy)

    def test_other_circumstances(self):
        """Other folder, environment, memory contents, libraries' choices, addresses, file names, file descriptors."""
        usual = workload()
        self.assertStatus(5, usual)
        with support.folder() as folder:
            initrd = folder / ("a-rather-long-name-" * 8)
            shutil.copyfile(support.part("BHVM_INITRAMFS_TINY"), initrd)
            words = support.arguments(command=WORKLOAD, initrd=None) + ["--initrd", str(initrd), *CHECKPOINTS]
            env = {"LC_ALL": "C.UTF-8", "TZ": "Asia/Kathmandu", "MALLOC_PERTURB_": "165", "MALLOC_ARENA_MAX": "1",
                   "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-AVX512F,-FMA,-ERMS,-FSRM,-BMI2",
                   "PADDING": "x" * 50_000}
            self.assertSameRun(usual, support.bhvm(words, env=env, cwd=folder), "another environment")
        with open("/dev/zero", "rb") as zero:
            self.assertSameRun(usual, workload("--no-stdin", stdin=zero), "standard input not read")
        setarch = shutil.which("setarch")
        if setarch:
            fixed = subprocess.run([setarch, "-R", "true"], capture_output=True).returncode == 0
            if fixed:  # a container may forbid it
                with support.folder() as folder:
                    script = folder / "bhvm"
                    script.write_text(f'#!/bin/sh\nexec {setarch} -R {support.part("BHVM_BINARY")} "$@"\n')
                    script.chmod(0o755)
                    self.assertSameRun(usual, workload(binary=str(script)), "fixed addresses")

    def test_other_builds(self):
        ours = workload("--seed", "3")
        self.assertStatus(5, ours)
        for binary in support.other_binaries():
            self.assertSameRun(ours, workload("--seed", "3", binary=binary), binary)

    def test_other_builds_run_programs(self):
        """x87, 32-bit code, perl's and python's arithmetic, from a disk."""
        if not support.other_binaries():
            return
        disk = support.part("BHVM_PROGRAMS_EXT4")
        words = support.arguments("root=/dev/vda rw init=/sbin/bhvm-init", "/programs/run-all m32 perl", initrd=None)
        words += ["--disk", disk, "--memory", "512M", "--hash-every", "50M"]
        ours = support.bhvm(words)
        self.assertStatus(0, ours)
        for binary in support.other_binaries():
            self.assertSameRun(ours, support.bhvm(words, binary=binary), binary)

    def test_other_seed(self):
        command = "cat /proc/sys/kernel/random/uuid; cat /proc/self/maps; seq 1 100 | sha256sum; exit 9"
        runs = [support.boot(command, "--seed", seed) for seed in ("1", "2")]
        runs.append(support.boot(command, "--seed", "1", "--machine-id", "1"))
        seen = set()
        for run in runs:
            self.assertStatus(9, run)
            lines = [line for line in run.text.splitlines() if not line.startswith("[")]
            uuid, maps = lines[0], [line for line in lines if "[stack]" in line or "[vdso]" in line]
            self.assertRegex(uuid, "^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")
            self.assertEqual(2, len(maps), run.text)
            self.assertIn("93d4e5c77838e0aa5cb6647c385c810a7c2782bf769029e6c420052048ab22bb  -", run.text)
            seen.add((uuid, maps[0].split()[0], maps[1].split()[0], run.stats["state_hash"]))
        for column in zip(*seen):
            self.assertEqual(3, len(set(column)), f"two seeds agree in {column}")

    def test_rate_is_part_of_the_machine(self):
        """Half a nanosecond an instruction: another run, but as repeatable."""
        first = workload("--rate", "1/2")
        self.assertStatus(5, first)
        self.assertEqual(first.stats["instructions"] // 2 + first.stats["idle_ns"], first.stats["virtual_ns"])
        self.assertSameRun(first, workload("--rate", "1/2"))
        self.assertNotEqual(first.stats["state_hash"], workload().stats["state_hash"])


if __name__ == "__main__":
    support.main()
