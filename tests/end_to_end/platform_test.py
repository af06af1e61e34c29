#!/usr/bin/env python3
"""The guest kernel uses each of the machine's clocks, consoles, disks and memory sizes, as its command line tells it to."""

import hashlib

import support

COMMAND = ("cat /sys/devices/system/clocksource/clocksource0/current_clocksource; sleep 0.2; date -u; "
           "seq 1 1000 | sha256sum; grep MemTotal /proc/meminfo; exit 9")
DIGEST = hashlib.sha256("".join(f"{n}\n" for n in range(1, 1001)).encode()).hexdigest()


class Tests(support.TestCase):
    def check(self, append, *options):
        run = support.boot(COMMAND, "--no-stdin", "--max-time", "60s", *options, append=append)
        with self.subTest(append=append, options=options):
            self.assertStatus(9, run)
            self.assertIn(DIGEST, run.text)
            self.assertIn("Tue Nov 14 22:13:20 UTC 2023", run.text)  # power-on at 1,700,000,000 s
            if append != "idle=poll":  # 0.2 s of sleep are 0.2 s of idle time by every clock, a tick more or less
                self.assertLess(abs(run.stats["idle_ns"] - 200_000_000), 5_000_000)
        return run

    def test_clocks(self):
        for append, clock in (("", "tsc"), ("clocksource=hpet", "hpet"), ("clocksource=acpi_pm", "acpi_pm"),
                              ("notsc", "hpet"), ("tsc=unstable", "hpet"), ("hpet=disable", "tsc"),
                              ("notsc hpet=disable", "acpi_pm")):
            self.assertIn(f"{clock}\n", self.check(append).text, append)

    def test_ticks(self):
        for append in ("lapic=notscdeadline", "nohz=off", "highres=off", "highres=off nohz=off", "threadirqs", "irqpoll"):
            self.check(append)
        self.assertEqual(0, self.check("idle=poll").stats["idle_ns"])

    def test_processor_features(self):
        for append in ("nosmap nosmep", "pti=on", "nopat", "noxsave", "noxsaveopt", "nofsgsbase", "nogbpages", "noexec=off",
                       "clearcpuid=erms", "clearcpuid=rdrand", "clearcpuid=constant_tsc", "norandmaps",
                       "init_on_alloc=1 init_on_free=1", "transparent_hugepage=always", "slub_debug=FZPU"):
            self.check(append)

    def test_memory_sizes(self):
        for size, mib in (("40M", 40), ("64M", 64), ("3G", 3072), ("4G", 4096), ("9G", 9216)):
            run = self.check("", "--memory", size)
            total_kib = int(run.text.split("MemTotal:")[1].split()[0])
            self.assertLess(total_kib, mib * 1024)
            self.assertGreater(total_kib, (mib * 0.9 - 16) * 1024, size)

    def test_virtio_console(self):
        run = self.check("console=hvc0")
        self.assertSameRun(run, self.check("console=hvc0"))

    def test_four_disks(self):
        """As many as the board has slots for, of odd sizes, read through and past the page cache."""
        with support.folder() as folder:
            words, expected = [], []
            for number, size in enumerate((512, 4096 * 3 + 512, 1 << 20, (5 << 20) + 1024)):
                data = bytes((number * 31 + i * i) & 0xFF for i in range(size))
                (folder / str(number)).write_bytes(data)
                words += ["--disk", str(folder / str(number))]
                expected.append(hashlib.sha256(data).hexdigest())
            run = support.boot("for d in a b c d; do sha256sum /dev/vd$d; dd if=/dev/vd$d bs=512 iflag=direct | sha256sum; "
                               "done; exit 2", *words)
            self.assertStatus(2, run)
            for digest in expected:
                self.assertEqual(2, run.text.count(digest), run.text)


if __name__ == "__main__":
    support.main()
