#!/usr/bin/env python3
"""An unmodified Debian on its own init: systemd, udev and D-Bus come up, and the machine turns itself off.

BHVM_DEBIAN_EXT4 is guest/build-image debian.ext4 with the folder debian/ laid over it: a service that says how many
units failed, and turns the machine off.
"""

import support


def boot(*options, append="", **how):
    words = support.arguments(f"root=/dev/vda rw {append}", initrd=None)
    return support.bhvm([*words, "--disk", support.part("BHVM_DEBIAN_EXT4"), "--memory", "512M", "--no-stdin",
                         "--max-time", "120s", *options], **how)


class Tests(support.TestCase):
    def check(self, run):
        self.assertStatus(0, run)
        self.assertEqual("power-off", run.stats["exit"])
        self.assertIn("report: 0 failed units\n", run.text)
        return run

    def test_comes_up_and_turns_itself_off(self):
        first = self.check(boot("--seed", "5", "--hash-every", "100M"))
        self.assertGreater(len(first.hashes), 5)
        again = self.check(boot("--seed", "5", "--hash-every", "100M"))
        self.assertSameRun(first, again)

    def test_offers_a_login(self):
        run = boot("--max-instructions", "4000M", append="systemd.mask=report.service")
        self.assertIn("bhvm login:", run.text)
        self.assertStatus(123, run)


if __name__ == "__main__":
    support.main()
