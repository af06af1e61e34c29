"""What the end-to-end tests share: where the parts are, runs of the command, and what a run leaves behind.

The environment names the parts (scripts/test sets it): BHVM_BINARY, BHVM_KERNEL, BHVM_INITRAMFS_TINY,
BHVM_PROGRAMS_INITRAMFS, BHVM_PROGRAMS_EXT4, BHVM_DEBIAN_EXT4 and BHVM_OTHER_BINARIES (the command built by other
compilers, ':' between).
A test whose parts are not there is skipped, and says which one it misses.

A test file has one class, Tests, and ends with support.main(); CTest calls it with the name of one test.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

SKIPPED = 77  # what CMakeLists.txt tells CTest to take for "skipped"
TIMEOUT_S = 600


def part(name):
    """The file that the environment variable names; skips the test when there is none."""
    path = os.environ.get(name, "")
    if not path:
        raise unittest.SkipTest(f"{name} is not set")
    if not os.path.exists(path):
        raise unittest.SkipTest(f"{name}={path}: there is no such file")
    return path


def other_binaries():
    binaries = [path for path in os.environ.get("BHVM_OTHER_BINARIES", "").split(":") if path]
    if not binaries:
        raise unittest.SkipTest("BHVM_OTHER_BINARIES is not set")
    return binaries


@dataclasses.dataclass
class Run:
    """How one run of the command ended, and what it left."""
    status: int
    console: bytes
    stderr: str
    stats: dict
    hashes: list

    @property
    def text(self):
        return self.console.decode(errors="replace").replace("\r\n", "\n")

    @property
    def outcome(self):
        """All that must be equal for two runs to have been the same."""
        same = ("exit", "exit_status", "instructions", "rep_iterations", "idle_ns", "virtual_ns", "state_hash",
                "console_bytes")
        return {name: self.stats[name] for name in same} | {"console": self.console, "hashes": self.hashes}


def arguments(append="", command=None, initrd="BHVM_INITRAMFS_TINY"):
    """The words of `bhvm run` that boot the guest: `command` is what its init runs (no double quotes)."""
    words = ["--kernel", part("BHVM_KERNEL"), "--append", f"quiet {append}".strip()]
    if command is not None:
        assert '"' not in command, "the kernel command line has no way to quote a double quote"
        words[-1] += f' bhvm.command="{command}"'
    if initrd:
        words += ["--initrd", part(initrd)]
    return words


def bhvm(words, binary=None, stdin=subprocess.DEVNULL, env=None, cwd=None, timeout_s=TIMEOUT_S):
    """Runs `bhvm run WORD...`, with statistics, console and hashes in files that it reads back."""
    binary = binary or part("BHVM_BINARY")
    with tempfile.TemporaryDirectory(prefix="bhvm-end-to-end-") as folder:
        stats, hashes, console = (os.path.join(folder, name) for name in ("stats", "hashes", "console"))
        command = [binary, "run", "--quiet", "--stats", stats, "--console", console, *words]
        if "--hash-every" in words:
            command += ["--hashes", hashes]
        done = subprocess.run(command, stdin=stdin, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                              env=os.environ | (env or {}), cwd=cwd, timeout=timeout_s)
        return Run(done.returncode, read(console), done.stderr.decode(errors="replace"),
                   json.loads(read(stats) or b"{}"), read(hashes).decode().splitlines())


def boot(command, *options, append="", initrd="BHVM_INITRAMFS_TINY", **how):
    return bhvm([*arguments(append, command, initrd), *options], **how)


def read(path):
    path = pathlib.Path(path)
    return path.read_bytes() if path.exists() else b""


@contextlib.contextmanager
def folder():
    with tempfile.TemporaryDirectory(prefix="bhvm-end-to-end-") as path:
        yield pathlib.Path(path)


class TestCase(unittest.TestCase):
    longMessage = True
    maxDiff = 4000

    def assertStatus(self, status, run):
        if run.status != status:
            self.fail(f"exit status {run.status}, not {status}\n{run.stderr}\nconsole:\n{run.text[-3000:]}")

    def assertSameRun(self, first, second, what=""):
        """Compares the outcomes; names the first checkpoint at which two runs with --hash-every differ."""
        for number, (one, other) in enumerate(zip(first.hashes, second.hashes)):
            if one != other:
                before = first.hashes[number - 1].split()[0] if number else "0"
                self.fail(f"{what}: the runs part between instruction {before} and {one.split()[0]}")
        self.assertEqual(first.outcome, second.outcome, what)


def main():
    """Runs the tests named on the command line, or all. Exit status 77 when all of them were skipped."""
    names = [f"Tests.{name}" for name in sys.argv[1:]] or ["Tests"]
    program = unittest.main(argv=[sys.argv[0], "-v", *names], exit=False)
    result = program.result
    if not result.wasSuccessful():
        sys.exit(1)
    sys.exit(SKIPPED if len(result.skipped) >= result.testsRun else 0)
