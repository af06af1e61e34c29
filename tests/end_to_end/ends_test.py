#!/usr/bin/env python3
"""How runs end: the guest's own status, power-off, panic, reset, limits, the user, and commands that make no sense."""

import signal
import subprocess
import time

import support


class Tests(support.TestCase):
    def check(self, status, name, *boot, **how):
        run = support.boot(*boot, "--no-stdin", "--max-instructions", "5000M", **how)
        self.assertStatus(status, run)
        self.assertEqual(name, run.stats["exit"])
        return run

    def test_guest_status(self):
        for status in (1, 7, 42, 255):
            self.check(status, "guest-exit", f"exit {status}")
        self.check(128 + 11, "guest-exit", "sh -c 'kill -SEGV $$'")
        self.check(3, "guest-exit", "bhvm-exit 3; echo not reached")
        self.assertIn("not found", self.check(127, "guest-exit", "no-such-command").text)

    def test_words_for_init(self):
        run = self.check(4, "guest-exit", None, append='-- /bin/sh -c "echo $# words: $*; exit 4" sh one two')
        self.assertIn("2 words: one two\n", run.text)

    def test_power_off(self):
        self.check(0, "power-off", "exit 0")
        self.check(0, "power-off", "poweroff -f")

    def test_panic(self):
        run = self.check(120, "panic", "echo c > /proc/sysrq-trigger")
        self.assertIn("Kernel panic - not syncing: sysrq triggered crash", run.text)
        self.assertIn("Kernel panic", self.check(120, "panic", None, append="rdinit=/no/such/init").text)

    def test_reset(self):
        self.check(125, "reset", "reboot -f")

    def test_triple_fault(self):
        run = self.check(121, "triple-fault", "reboot -f", append="reboot=t")
        self.assertRegex(run.stderr, r"rip ffffffff[0-9a-f]{8} native_machine_emergency_restart\+0x")

    def test_halted_for_ever(self):
        self.check(124, "halted-forever", "halt -f")

    def test_instruction_limit(self):
        for instructions in (0, 1, 12_345_678):
            run = support.boot("exit 0", "--max-instructions", str(instructions))
            self.assertStatus(123, run)
            self.assertEqual("instruction-limit", run.stats["exit"])
            self.assertEqual(instructions, run.stats["instructions"])

    def test_time_limit(self):
        for time_ns, text in ((20_000_000, "20ms"), (2_000_000_000, "2s")):
            run = support.boot("sleep 1000", "--max-time", text)
            self.assertStatus(123, run)
            self.assertEqual("time-limit", run.stats["exit"])
            self.assertEqual(time_ns, run.stats["virtual_ns"])
        self.assertGreater(run.stats["idle_ns"], 1_500_000_000)

    def test_stopped_by_a_signal(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with support.folder() as folder:
                stats = folder / "stats"
                words = [support.part("BHVM_BINARY"), "run", "--stats", str(stats), "--no-stdin",
                         *support.arguments(command="echo spinning; while :; do :; done")]
                with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
                    while b"spinning" not in process.stdout.readline():
                        pass
                    time.sleep(0.1)
                    process.send_signal(number)
                    process.communicate(timeout=60)
                    self.assertEqual(130, process.returncode)
                self.assertEqual("stopped-by-user", support.json.loads(support.read(stats))["exit"])

    def test_nonsense_is_a_sentence(self):
        kernel, initrd = support.part("BHVM_KERNEL"), support.part("BHVM_INITRAMFS_TINY")
        with support.folder() as folder:
            broken = folder / "broken"
            broken.write_bytes(support.read(kernel)[:100_000])
            nonsense = (
                [], ["--kernel"], ["--no-such-option"], ["--kernel", "/no/such/kernel"], ["--kernel", initrd],
                ["--kernel", str(broken)], ["--kernel", kernel, "--initrd", "/no/such/initrd"],
                ["--kernel", str(folder)], ["--kernel", kernel, "--disk", "/no/such/disk"],
                ["--kernel", kernel, "--memory", "much"], ["--kernel", kernel, "--memory", "1M"],
                ["--kernel", kernel, "--memory", "0"], ["--kernel", kernel, "--memory", "99999G"],
                ["--kernel", kernel, "--initrd", initrd, "--memory", "8M"], ["--kernel", kernel, "--seed", "-1"],
                ["--kernel", kernel, "--rate", "0"], ["--kernel", kernel, "--rate", "1/0"],
                ["--kernel", kernel, "--max-time", "5 parsecs"], ["--kernel", kernel, "--input", "/no/such/input"],
                ["--kernel", kernel, "--input", initrd], ["--kernel", kernel, "--load", "/no/such/snapshot"],
                ["--load", kernel], ["--kernel", kernel, "--hashes", "x"], ["--kernel", kernel, "--append", "x" * 5000],
                ["--kernel", kernel, "--console", str(folder / "no" / "console")],
                ["--kernel", kernel, "--stats", str(folder / "no" / "stats"), "--max-instructions", "1"],
                ["--kernel", kernel, "--save", str(folder / "no" / "snapshot"), "--max-instructions", "1"],
            )
            for words in nonsense:
                done = subprocess.run([support.part("BHVM_BINARY"), "run", "--quiet", "--no-stdin", *words],
                                      stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
                self.assertEqual(2, done.returncode, f"{words}: {done.stderr}")
                self.assertRegex(done.stderr, r"\Abhvm: [^\n]{10,}\n\Z", words)
        for words in ([], ["walk"]):
            self.assertEqual(2, subprocess.run([support.part("BHVM_BINARY"), *words], capture_output=True).returncode)


if __name__ == "__main__":
    support.main()
