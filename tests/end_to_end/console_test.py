#!/usr/bin/env python3
"""The guest's console: a shell on a terminal, input through a pipe, and input recorded and replayed."""

import hashlib
import os
import pty
import random
import re
import select
import signal
import subprocess
import termios
import time

import support

PATIENCE_S = 120  # a host may be busy
PROMPT = r"# (\x1b\[6n)?\Z"  # busybox asks where the cursor is
CTRL_A, CTRL_C, CTRL_D = "\x01", "\x03", "\x04"


class Terminal:
    """The command on a pseudo-terminal of its own."""

    def __init__(self, words):
        binary = support.part("BHVM_BINARY")
        self.seen = ""
        self.status = None
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                os.execv(binary, [binary, "run", *words])
            finally:
                os._exit(99)
        self.modes_before = termios.tcgetattr(self.fd)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)

    def expect(self, pattern):
        """Waits for the pattern in what was not yet looked at, and takes everything up to its end."""
        end = time.monotonic() + PATIENCE_S
        while True:
            match = re.search(pattern, self.seen, re.MULTILINE)
            if match:
                taken, self.seen = self.seen[:match.end()], self.seen[match.end():]
                return taken
            if time.monotonic() > end or not self.read(end - time.monotonic()):
                raise AssertionError(f"the terminal never showed {pattern!r}; it showed:\n{self.seen[-3000:]}")

    def read(self, timeout_s):
        ready, _, _ = select.select([self.fd], [], [], max(0, timeout_s))
        if not ready:
            return False
        try:
            data = os.read(self.fd, 65536)
        except OSError:  # EIO: the other side is gone
            return False
        self.seen += data.decode(errors="replace").replace("\r", "")
        return bool(data)

    def type(self, text):
        os.write(self.fd, text.encode())

    def wait(self):
        end = time.monotonic() + PATIENCE_S
        while self.status is None:
            self.read(0.05)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
            elif time.monotonic() > end:
                raise AssertionError(f"the command does not end; the terminal showed:\n{self.seen[-3000:]}")
        return self.status


class Tests(support.TestCase):
    def test_shell_on_a_terminal(self):
        with Terminal(support.arguments()) as terminal:
            terminal.expect(PROMPT)
            raw = termios.tcgetattr(terminal.fd)
            self.assertFalse(raw[3] & (termios.ECHO | termios.ICANON | termios.ISIG), "the terminal is not raw")
            terminal.type("echo $((6*7))\r")
            terminal.expect("^42$")
            terminal.expect(PROMPT)
            terminal.type("tty; stty -a | grep -o isig; set -o | grep monitor\r")
            terminal.expect(r"/dev/ttyS0[^#]*isig[^#]*monitor\s+on")
            terminal.expect(PROMPT)
            terminal.type("echo $((6*8))\x7f\x7f\x7f9))\r")  # three keys taken back
            terminal.expect("^54$")
            terminal.expect(PROMPT)
            terminal.type("exit 3\r")
            self.assertEqual(3, terminal.wait())
            self.assertEqual(terminal.modes_before, termios.tcgetattr(terminal.fd), "the terminal is left changed")

    def test_ctrl_c_ends_the_run(self):
        for keys in (CTRL_C, CTRL_A + "x"):
            with Terminal(support.arguments()) as terminal:
                terminal.expect(PROMPT)
                terminal.type(keys)
                self.assertEqual(130, terminal.wait())
                self.assertEqual(terminal.modes_before, termios.tcgetattr(terminal.fd), "the terminal is left changed")
            with Terminal(support.arguments(command="echo spinning; while :; do :; done")) as terminal:
                terminal.expect("spinning")
                terminal.type(keys)
                self.assertEqual(130, terminal.wait())

    def test_ctrl_a_c_reaches_the_guest(self):
        with Terminal(support.arguments()) as terminal:
            for command in ("sleep 100000", "while :; do :; done", "cat"):
                terminal.expect(PROMPT)
                terminal.type(command + "\r")
                terminal.expect(re.escape(command))
                time.sleep(0.2)
                terminal.type(CTRL_A + "c")
                terminal.expect(r"\^C")
            terminal.expect(PROMPT)
            terminal.type("echo status $?\r")
            terminal.expect("^status 130$")
            terminal.type(CTRL_D)
            self.assertEqual(0, terminal.wait())

    def test_a_guest_on_a_terminal_idles_in_real_time(self):
        with Terminal(support.arguments(command="echo before; sleep 2; echo after")) as terminal:
            terminal.expect("before")
            start = time.monotonic()
            terminal.expect("after")
            self.assertGreater(time.monotonic() - start, 1.5)
            self.assertEqual(0, terminal.wait())

    def test_what_was_typed_at_a_terminal_replays(self):
        with support.folder() as folder:
            record, stats = str(folder / "record"), str(folder / "stats")
            with Terminal([*support.arguments(), "--record", record, "--stats", stats, "--seed", "4"]) as terminal:
                for command in ("cat /proc/sys/kernel/random/uuid /proc/uptime", "sleep 0.3; ps", "seq 1 300 | md5sum"):
                    terminal.expect(PROMPT)
                    for key in command:
                        terminal.type(key)
                        time.sleep(random.uniform(0, 0.01))
                    terminal.type("\r")
                terminal.expect(PROMPT)
                terminal.type("exit 6\r")
                self.assertEqual(6, terminal.wait())
            self.check_replay(record, support.json.loads(support.read(stats)), "4")

    def check_replay(self, record, stats, seed):
        replay = support.boot(None, "--input", record, "--seed", seed)
        self.assertStatus(stats["exit_status"], replay)
        for name in ("instructions", "virtual_ns", "idle_ns", "state_hash", "console_bytes"):
            self.assertEqual(stats[name], replay.stats[name], name)
        self.assertSameRun(replay, support.boot(None, "--input", record, "--seed", seed))
        return replay

    def feed(self, pieces, *options):
        """Runs a shell whose standard input is a pipe that the pieces arrive through, some wall time between them."""
        reader, writer = os.pipe()
        words = [support.part("BHVM_BINARY"), "run", "--quiet", *support.arguments(), *options, "--max-time", "1000s"]
        with subprocess.Popen(words, stdin=reader, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
            os.close(reader)
            try:
                with os.fdopen(writer, "wb") as pipe:
                    for piece, pause_s in pieces:
                        pipe.write(piece)
                        pipe.flush()
                        time.sleep(pause_s)
                output, _ = process.communicate(timeout=PATIENCE_S)
            finally:
                process.kill()
            return process.returncode, output

    def test_what_came_through_a_pipe_replays(self):
        with support.folder() as folder:
            record, stats = str(folder / "record"), str(folder / "stats")
            pieces = [(line.encode(), random.uniform(0, 0.1)) for line in (
                "cat /proc/uptime\n", "for i in 1 2 3; do seq 1 ", "1000 | sha256sum; done\n", "sleep 0.1; date\n",
                "head -c 8 /dev/urandom | od -x\n", "exit 8\n")]
            status, output = self.feed(pieces, "--record", record, "--stats", stats, "--seed", "12")
            self.assertEqual(8, status, output)
            replay = self.check_replay(record, support.json.loads(support.read(stats)), "12")
            self.assertEqual(output, replay.console)

    def test_a_large_paste_arrives_whole(self):
        text = "".join(f"line {number} of something long enough to fill buffers on its way\n" for number in range(400))
        paste = f"stty -echo; cat > /tmp/pasted <<'END'\n{text}END\nsha256sum < /tmp/pasted; exit 4\n"
        status, output = self.feed([(paste.encode(), 0)])
        self.assertEqual(4, status, output[-3000:])
        self.assertIn(hashlib.sha256(text.encode()).hexdigest(), output.decode())

    def test_console_to_a_closed_pipe_is_a_sentence(self):
        words = [support.part("BHVM_BINARY"), "run", *support.arguments(command="while :; do echo more; done"),
                 "--no-stdin", "--max-time", "100s"]
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            process.stdout.readline()
            process.stdout.close()
            message = process.stderr.read().decode()
            self.assertEqual(2, process.wait(timeout=PATIENCE_S))
        self.assertRegex(message, r"bhvm: .*standard output.*")


if __name__ == "__main__":
    support.main()
