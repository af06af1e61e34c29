#!/usr/bin/env python3
"""Disks and snapshot files, through the command: what the guest writes stays in the machine and goes into its snapshot."""

import hashlib
import os
import random

import support

MIB = 1 << 20
# Makes a file system, fills it, reads it back past the cache.
USE_DISK = ("mke2fs -q /dev/vda; mkdir /d; mount /dev/vda /d; cp /bin/busybox /d/; seq 1 20000 > /d/numbers; "
            "umount /d; echo 3 > /proc/sys/vm/drop_caches; mount /dev/vda /d; cmp /bin/busybox /d/busybox && "
            "echo same; sha256sum < /d/numbers; echo end; umount /d")


def numbers_digest():
    return hashlib.sha256("".join(f"{n}\n" for n in range(1, 20001)).encode()).hexdigest()


class Tests(support.TestCase):
    def host_file(self, folder, name, size, seed):
        path = folder / name
        path.write_bytes(random.Random(seed).randbytes(size))
        os.utime(path, (1, 1))
        return path

    def state_of(self, path):
        info = path.stat()
        return (hashlib.sha256(path.read_bytes()).hexdigest(), info.st_mtime_ns, info.st_size, info.st_mode)

    def test_disk_files_are_never_written(self):
        with support.folder() as folder:
            disk = self.host_file(folder, "disk", 16 * MIB, 1)
            other = self.host_file(folder, "other", MIB + 512, 2)
            before = self.state_of(disk), self.state_of(other)
            expected = hashlib.sha256(other.read_bytes()).hexdigest()
            command = f"sha256sum < /dev/vdb; {USE_DISK}; dd if=/dev/zero of=/dev/vdb bs=512 count=8 conv=fsync"
            words = ["--disk", str(disk), "--disk", str(other), "--hash-every", "20M"]
            run = support.boot(command, *words)
            self.assertStatus(0, run)
            for text in (expected, "same\n", numbers_digest(), "end\n"):
                self.assertIn(text, run.text)
            self.assertEqual(before, (self.state_of(disk), self.state_of(other)))
            self.assertSameRun(run, support.boot(command, *words))
            # Read-only files, and a link to one, do as well.
            for path in (disk, other):
                path.chmod(0o400)
            os.symlink(disk, folder / "link")
            self.assertSameRun(run, support.boot(command, "--disk", str(folder / "link"), *words[2:]))

    def test_a_disk_is_part_of_the_state(self):
        with support.folder() as folder:
            one, other = (self.host_file(folder, f"disk{seed}", MIB, seed) for seed in (1, 2))
            runs = [support.boot("exit 0", "--disk", str(disk)) for disk in (one, other)]
            self.assertEqual(runs[0].console, runs[1].console)
            self.assertNotEqual(runs[0].stats["state_hash"], runs[1].stats["state_hash"])

    def test_saved_and_loaded_runs_go_on_the_same(self):
        command = f"{USE_DISK}; cat /proc/uptime; head -c 16 /dev/urandom | od -x; exit 3"
        with support.folder() as folder:
            disk, snapshot = self.host_file(folder, "disk", 16 * MIB, 1), str(folder / "snapshot")
            drive = ["--disk", str(disk)]
            whole = support.boot(command, *drive)
            self.assertStatus(3, whole)
            end = whole.stats["instructions"]
            for cut in sorted(random.Random(5).randrange(end) for _ in range(6)):
                first = support.boot(command, *drive, "--max-instructions", str(cut), "--save", snapshot)
                self.assertStatus(123, first)
                second = support.bhvm(["--load", snapshot, *drive])
                self.assertStatus(3, second)
                self.assertEqual(cut, second.stats["instructions_at_start"])
                self.assertEqual(whole.console, first.console + second.console)
                for name in ("state_hash", "instructions", "rep_iterations", "idle_ns", "virtual_ns"):
                    self.assertEqual(whole.stats[name], second.stats[name], f"{name}, cut at {cut}")

    def test_a_chain_of_snapshots(self):
        """Saved and loaded every 10 M instructions, with the same file written again and again."""
        command = "seq 1 3000 | sha256sum; ps; exit 6"
        with support.folder() as folder:
            snapshot = str(folder / "snapshot")
            whole = support.boot(command)
            self.assertStatus(6, whole)
            run = support.boot(command, "--max-instructions", "10M", "--save", snapshot)
            console, at = run.console, 10_000_000
            while run.status == 123:
                at += 10_000_000
                run = support.bhvm(["--load", snapshot, "--max-instructions", str(at), "--save", snapshot])
                console += run.console
            self.assertStatus(6, run)
            self.assertEqual(whole.console, console)
            self.assertEqual(whole.stats["state_hash"], run.stats["state_hash"])
            # The end was saved too: a machine that has ended stays so.
            again = support.bhvm(["--load", snapshot])
            self.assertStatus(6, again)
            self.assertEqual(whole.stats["state_hash"], again.stats["state_hash"])


if __name__ == "__main__":
    support.main()
