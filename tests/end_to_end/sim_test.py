"""`bhvm sim` and `bhvm replay` with real guests: outcomes, exit statuses, the output folder, images of every kind."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import time
import unittest

import support

# Two nodes: `server` answers one line to each connection, `client` asks five times and says what it heard.
SCENARIO = """
name = "pair"
max_time = "12s"
quiet = "2s"
timer_jitter = "20us"
kernel = "{kernel}"
{top}
[images.small]
{image}

[[nodes]]
name = "server"
image = "small"
memory = "64M"
command = "while true; do echo answer $ROLE | nc -l -p 7000 >/dev/null; done"
environment = {{ ROLE = "nine" }}

[[nodes]]
name = "client"
image = "small"
memory = "64M"
role = "workload"
command = "{client}"
{more}
"""
CLIENT = ("sleep 1; for i in 1 2 3 4 5; do echo heard: $(nc -w 1 server 7000 </dev/null); "
          "cat /proc/sys/kernel/random/uuid; sleep 0.2; done")
PACKAGES = 'packages = ["busybox-static"]'


class Tests(support.TestCase):
    def scenario(self, folder, client=CLIENT, more="", top="", image=PACKAGES):
        path = folder / "pair.toml"
        path.write_text(SCENARIO.format(kernel=support.part("BHVM_KERNEL"), client=client, more=more, top=top, image=image))
        return path

    def bhvm(self, *words):
        return subprocess.run([support.part("BHVM_BINARY"), *map(str, words)], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=support.TIMEOUT_S, check=False)

    def sim(self, scenario, *words, status=0):
        done = self.bhvm("sim", scenario, *words)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done

    def test_output_folder(self):
        with support.folder() as folder:
            out = folder / "out"
            done = self.sim(self.scenario(folder), "--seed", 5, "--out", out, "--jobs", 2)
            stats = json.loads((out / "stats.json").read_text())
            manifest = json.loads((out / "manifest.json").read_text())
            self.assertIn("all 4 properties held", done.stdout)
            self.assertTrue(stats["ok"] and manifest["ok"])
            self.assertEqual((out / "state_hash").read_text().strip(), stats["state_hash"])
            self.assertEqual(manifest["state_hash"], stats["state_hash"])
            self.assertEqual(manifest["seed"], 5)
            for file in manifest["files"]:
                self.assertTrue(os.path.exists(file["path"]), file)
            client = (out / "client.console.log").read_text()
            self.assertEqual(client.count("heard: answer nine"), 5, client)
            self.assertRegex(client, r"(?m)^\[    1\.\d{9}\] heard")
            events = [json.loads(line) for line in (out / "events.jsonl").read_text().splitlines()]
            self.assertEqual(events[0]["event"], "run-begins")
            self.assertEqual(events[-1]["event"], "run-ends")
            self.assertEqual([event["id"] for event in events], list(range(1, len(events) + 1)))
            times = [event["time_ns"] for event in events]
            self.assertEqual(times, sorted(times))
            hashes = [json.loads(line) for line in (out / "hashes.jsonl").read_text().splitlines()]
            self.assertGreaterEqual(len(hashes), 3)
            self.assertEqual([record["time_ns"] for record in hashes], [s * 10**9 for s in range(1, len(hashes) + 1)])
            trace = json.loads((out / "timeline.json").read_text())
            names = {event["args"]["name"] for event in trace["traceEvents"] if event["name"] == "process_name"}
            self.assertEqual(names, {"cluster", "server", "client"})

    def test_capture_opens_in_tshark(self):
        if shutil.which("tshark") is None:
            raise unittest.SkipTest("tshark is not installed")
        with support.folder() as folder:
            out = folder / "out"
            self.sim(self.scenario(folder), "--out", out)
            lines = subprocess.run(
                ["tshark", "-r", out / "network.pcapng", "-Y", "tcp.flags.syn == 1", "-T", "fields", "-e",
                 "frame.interface_name", "-e", "frame.time_epoch", "-e", "ip.src"],
                capture_output=True, text=True, check=True).stdout.splitlines()
            self.assertTrue(lines)
            interface, moment, source = lines[0].split("\t")
            self.assertEqual(interface, "client")
            self.assertEqual(source, "10.0.0.2")
            self.assertTrue(1 <= float(moment) < 2, "the time is virtual")

    def test_same_for_any_number_of_jobs(self):
        with support.folder() as folder:
            scenario = self.scenario(folder)
            left = {}
            for jobs in (1, 2, 4):
                out = folder / f"out{jobs}"
                self.sim(scenario, "--out", out, "--jobs", jobs)
                left[jobs] = {name: (out / name).read_bytes() for name in (
                    "state_hash", "events.jsonl", "hashes.jsonl", "client.console.log", "server.console.log",
                    "network.pcapng", "timeline.json")}
            self.assertEqual(left[1], left[2])
            self.assertEqual(left[1], left[4])

    def test_seed_makes_another_run(self):
        with support.folder() as folder:
            scenario = self.scenario(folder)
            texts = []
            for seed in (1, 2):
                self.sim(scenario, "--out", folder / str(seed), "--seed", seed)
                texts.append((folder / str(seed) / "client.console.log").read_text())
            self.assertNotEqual(texts[0], texts[1], "the nodes' random numbers come from the seed")

    def test_replay(self):
        with support.folder() as folder:
            out = folder / "out"
            self.sim(self.scenario(folder), "--out", out, "--seed", 3, "--jobs", 2)
            same = self.bhvm("replay", out, "--jobs", 1)
            self.assertEqual(same.returncode, 0, same.stdout + same.stderr)
            self.assertIn("The same run", same.stdout)
            # Another seed under the same name is another run, and the first difference is named.
            manifest = json.loads((out / "manifest.json").read_text())
            manifest["seed"] = 4
            (out / "manifest.json").write_text(json.dumps(manifest))
            other = self.bhvm("replay", out)
            self.assertEqual(other.returncode, 1, other.stdout + other.stderr)
            self.assertIn("ANOTHER RUN", other.stdout)
            self.assertRegex(other.stdout, r"hashes are the same up to 0\.0+ s and differ at \d\.\d{9} s, in node server")
            self.assertIn("The first line that differs is at", other.stdout)
            # Another root file system is no replay at all.
            manifest["files"][2]["hash"] = "0" * 32
            (out / "manifest.json").write_text(json.dumps(manifest))
            wrong = self.bhvm("replay", out)
            self.assertEqual(wrong.returncode, 2)
            self.assertIn("is not what it was", wrong.stderr)

    def test_failed_property(self):
        more = '[[properties]]\nname = "silence"\nnever = "heard: answer"\nnode = "client"\n'
        with support.folder() as folder:
            scenario = self.scenario(folder, more=more)
            first = self.sim(scenario, "--seed", 11, "--out", folder / "out", status=1)
            last = first.stdout.splitlines()[-3:]
            self.assertEqual(last[0], "FAILED: silence")
            self.assertRegex(last[1], r"^  at 1\.\d{9} s on client: .*heard: answer nine")
            self.assertEqual(last[2], f"repeat it: bhvm sim {scenario} --seed 11")
            again = self.sim(scenario, "--seed", 11, "--jobs", 1, status=1)
            hash_of = [line for line in first.stdout.splitlines() if line.startswith("state hash")]
            self.assertIn(hash_of[0], again.stdout)
            self.assertEqual(again.stdout.splitlines()[-3:-1], last[:2], "the same failure at the same nanosecond")
            self.assertEqual(self.bhvm("replay", folder / "out").returncode, 0, "a failed run is repeated like any other")

    def test_ways_to_fail(self):
        check = '[[checks]]\nname = "c"\nnode = "server"\n'
        cases = {
            "an exit status": dict(client="exit 3", words="exit"),
            "a signal": dict(client="sleep 1; kill -SEGV $$", words="SIGSEGV"),
            "eventually": dict(more='[[properties]]\neventually = "never said"\n', words="never said"),
            "a check's status": dict(more=check + 'command = "exit 1"\n', words="exit"),
            "a check's output": dict(more=check + 'command = "echo this"\noutput = "that"\n', words="this"),
        }
        for what, case in cases.items():
            with self.subTest(what), support.folder() as folder:
                words = case.pop("words")
                done = self.sim(self.scenario(folder, **case), "--quiet", status=1)
                self.assertIn("FAILED: ", done.stdout)
                self.assertIn(words, done.stdout)

    def test_expected_failures_are_none(self):
        more = ('expected_status = 3\n[[checks]]\nname = "c"\nnode = "server"\ncommand = "hostname; exit 4"\n'
                'expected_status = 4\noutput = "^server"\n')
        with support.folder() as folder:
            self.sim(self.scenario(folder, client="exit 3", more=more))

    def test_no_faults(self):
        more = '[[faults]]\nkind = "kill"\nat = "500ms"\nnodes = "server"\nduration = "8s"\n'
        with support.folder() as folder:
            scenario = self.scenario(folder, more=more + '[[properties]]\neventually = "heard: answer nine"\n')
            self.sim(scenario, status=1)
            done = self.sim(scenario, "--no-faults", "--out", folder / "out")
            self.assertIn("--no-faults", done.stdout.splitlines()[-1], "the command that repeats it says so")
            self.assertEqual(self.bhvm("replay", folder / "out").returncode, 0)

    def interrupted(self, folder, number, client, until):
        """A run that gets the signal when `until` stands in its events; what it left in --out, and what it said."""
        scenario = self.scenario(folder, client=client, top='hash_every = "50ms"',
                                 more="[builtin]\nlive_lock = false\ncommand_end = false")
        out = folder / "out"
        with subprocess.Popen([support.part("BHVM_BINARY"), "sim", scenario, "--out", out, "--max-time", "24h"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
            events = out / "events.jsonl"
            while run.poll() is None and not (events.exists() and until in events.read_text()):
                time.sleep(0.05)
            run.send_signal(number)
            text, errors = run.communicate(timeout=60)
        self.assertEqual(run.returncode, 130, text + errors)
        self.assertIn("stopped by the user", text)
        self.assertIn("the run ends (stopped, ", errors)
        return out, text

    def assertComplete(self, out, text):
        """Every file of docs/SCENARIO.md is there, whole, and of one end."""
        manifest = json.loads((out / "manifest.json").read_text())
        stats = json.loads((out / "stats.json").read_text())
        state_hash = (out / "state_hash").read_text().strip()
        self.assertEqual(manifest["end"], "stopped")
        self.assertEqual(stats["end"], "stopped")
        self.assertEqual({manifest["state_hash"], stats["state_hash"]}, {state_hash})
        self.assertIn(f"state hash {state_hash}", text)
        events = [json.loads(line) for line in (out / "events.jsonl").read_text().splitlines()]
        self.assertEqual(events[-1]["event"], "run-ends")
        self.assertEqual(events[-1]["time_ns"], manifest["end_ns"])
        self.assertIn(state_hash, events[-1]["detail"])
        for line in (out / "hashes.jsonl").read_text().splitlines():
            self.assertLessEqual(json.loads(line)["time_ns"], manifest["end_ns"])
        self.assertTrue(json.loads((out / "timeline.json").read_text())["traceEvents"])
        for name in ("scenario.toml", "client.console.log", "server.console.log"):
            text = (out / name).read_text()
            self.assertTrue(text == "" or text.endswith("\n"), name)
        if shutil.which("tshark") is not None:
            read = subprocess.run(["tshark", "-r", out / "network.pcapng"], capture_output=True, text=True, check=False)
            self.assertEqual(read.returncode, 0, read.stderr)
            self.assertNotIn("cut short", read.stderr)

    def test_interrupted(self):
        busy = "while true; do echo $(nc -w 1 server 7000 </dev/null); sleep 0.1; done"
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number.name), support.folder() as folder:
                out, text = self.interrupted(folder, number, busy, until="node-started")
                self.assertComplete(out, text)
                self.assertEqual(self.bhvm("replay", out).returncode, 2, "there is nothing to compare with")
                again = self.bhvm("sim", folder / "pair.toml", "--out", out, "--max-time", "3s")
                self.assertNotEqual(again.returncode, 2, "the folder can be used again: " + again.stderr)

    def test_interrupted_while_it_boots(self):
        with support.folder() as folder:
            out, text = self.interrupted(folder, signal.SIGINT, "sleep 100000", until="")
            self.assertComplete(out, text)

    def test_interrupted_while_images_are_built(self):
        """The terminal sends Ctrl-C to the tool that builds images, too: it has nothing to add."""
        with support.folder() as folder:
            scenario = folder / "scenario.toml"
            scenario.write_text(f'kernel = "{support.part("BHVM_KERNEL")}"\n[images.all]\n'
                                'packages = ["bash", "perl", "python3", "redis-server"]\n'
                                '[[nodes]]\nname = "one"\nimage = "all"\ncommand = "sleep 1000"\n')
            environment = os.environ | {"BHVM_CACHE": str(folder / "cache")}  # nothing is built there yet
            with subprocess.Popen([support.part("BHVM_BINARY"), "sim", scenario], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True) as run:
                time.sleep(1)
                os.killpg(run.pid, signal.SIGINT)
                text, errors = run.communicate(timeout=60)
            self.assertEqual(run.returncode, 130, text + errors)
            self.assertIn("Stopped before the run began.", errors)
            self.assertNotIn("Traceback", errors)

    def test_interrupted_while_nobody_computes(self):
        with support.folder() as folder:
            out, text = self.interrupted(folder, signal.SIGINT, "sleep 100000", until="node-started")
            self.assertComplete(out, text)

    def test_images_from_a_folder_and_from_oci(self):
        for tool in ("skopeo", "umoci"):
            if shutil.which(tool) is None:
                raise unittest.SkipTest(f"{tool} is not installed")
        build = pathlib.Path(__file__).resolve().parents[2] / "guest" / "rootfs" / "build"

        def run(*words):
            return subprocess.run(list(map(str, words)), check=True, capture_output=True, text=True).stdout.strip()

        with support.folder() as folder:
            root = run(build, "--packages", "busybox-static", "--format", "dir")
            layout = folder / "layout"
            run("umoci", "init", "--layout", layout)
            run("umoci", "new", "--image", f"{layout}:v1")
            run("umoci", "unpack", "--rootless", "--image", f"{layout}:v1", folder / "bundle")
            shutil.copytree(root, folder / "bundle" / "rootfs", symlinks=True, dirs_exist_ok=True)
            run("umoci", "repack", "--image", f"{layout}:v1", folder / "bundle")
            run("tar", "-C", layout, "-cf", folder / "image.tar", ".")
            hashes = set()
            for image in (f'folder = "{root}"', 'oci = "image.tar"', 'oci = "layout"\ntag = "v1"'):
                self.sim(self.scenario(folder, image=image), "--out", folder / "out")
                hashes.add((folder / "out" / "state_hash").read_text())
            self.assertEqual(len(hashes), 1, "the same files make the same run, wherever they come from")

    def test_programs_and_folders_are_added(self):
        with support.folder() as folder:
            (folder / "said.c").write_text('#include <stdio.h>\nint main(void) { puts("compiled"); return 0; }\n')
            (folder / "data").mkdir()
            (folder / "data" / "file").write_text("laid over\n")
            image = PACKAGES + '\nprograms = "said.c"\nadd = [{ from = "data", to = "/srv" }]'
            more = '[[properties]]\neventually = "^compiled laid over"\n'
            self.sim(self.scenario(folder, image=image, client="echo $(said) $(cat /srv/file)", more=more))
            (folder / "said.c").write_text("int main(void) { return; }\n")
            done = self.sim(self.scenario(folder, image=image), status=2)
            self.assertIn("Image small could not be made", done.stderr)
            self.assertIn("said.c", done.stderr)

    def test_a_package_that_is_none(self):
        with support.folder() as folder:
            done = self.sim(self.scenario(folder, image='packages = ["no-such-package-here"]'), status=2)
            self.assertIn("no-such-package-here", done.stderr)

    def test_the_date_alone_is_set(self):
        more = """[[faults]]
kind = "wall-clock"
at = "2s"
jump = "-1h"
nodes = "client"
[[fault_mix]]
kind = "wall-clock"
interval = ["200ms", "500ms"]
duration = "100ms"
jump = "10m"
nodes = "server"
[[properties]]
eventually = "^set back"
node = "client"
"""
        client = ("date +%s > /tmp/then; cut -d . -f 1 /proc/uptime > /tmp/up; sleep 4; "
                  "[ $(date +%s) -lt $(($(cat /tmp/then) - 3500)) ] && "
                  "[ $(cut -d . -f 1 /proc/uptime) -ge $(($(cat /tmp/up) + 3)) ] && echo set back")
        with support.folder() as folder:
            out = folder / "out"
            self.sim(self.scenario(folder, client=client, more=more), "--out", out)
            begun = [event for event in map(json.loads, (out / "events.jsonl").read_text().splitlines())
                     if event.get("fault") == "wall-clock"]
            self.assertEqual({event["event"] for event in begun}, {"fault-begins"}, "it has no end")
            self.assertIn("wall-clock client: -3600.000000 s", [event["detail"] for event in begun])
            self.assertGreater(len([event for event in begun if "server" in event["detail"]]), 2)
            marks = [event for event in json.loads((out / "timeline.json").read_text())["traceEvents"]
                     if event["name"] == "wall-clock"]
            self.assertEqual({mark["ph"] for mark in marks}, {"i"}, "a moment, not a stretch of time")
            self.assertEqual(len(marks), 2 * len(begun), "with the cluster and with the node")
            self.assertEqual(self.bhvm("replay", out, "--jobs", 1).returncode, 0)

    def test_block_sizes_of_disks(self):
        more = """[[nodes.disks]]
size = "16M"
mount = "/default"
[[nodes.disks]]
size = "16M"
mount = "/small"
physical_block = 512
[[nodes.disks]]
size = "16M"
mount = "/large"
logical_block = 4096
[[faults]]
kind = "torn-write"
at = "3s"
duration = "1s"
nodes = "client"
[[properties]]
never = "I/O error"
[[properties]]
eventually = "^again: vdb 512 4096 vdc 512 512 vdd 4096 4096 intact$"
[builtin]
command_end = false
"""
        client = ("cd /sys/block; for d in vdb vdc vdd; do echo $d $(cat $d/queue/logical_block_size "
                  "$d/queue/physical_block_size); done > /tmp/sizes; "
                  "if [ -e /large/x ]; then cmp /large/x /small/x && echo again: $(cat /tmp/sizes) intact; sleep 100; fi; "
                  "head -c 300000 /dev/urandom > /large/x; cp /large/x /small/x; sync; "
                  "while :; do cp /large/x /default/y; cp /large/x /large/y; cp /large/x /small/y; sync; done")
        with support.folder() as folder:
            out = folder / "out"
            scenario = self.scenario(folder, client=client, more=more)
            self.sim(scenario, "--out", out)
            self.assertEqual(self.bhvm("replay", out, "--jobs", 1).returncode, 0)
            scenario.write_text(scenario.read_text().replace("logical_block = 4096", "logical_block = 2048"))
            done = self.sim(scenario, status=2)
            self.assertRegex(done.stderr, r"pair\.toml:\d+: \"logical_block\" of a disk of node client must be 512 or 4096")

    def test_data_disk_survives_a_power_cut(self):
        more = """disks = [{ size = "16M", mount = "/data" }]
[[faults]]
kind = "kill"
at = "3s"
duration = "1s"
nodes = "client"
[[properties]]
eventually = "^found: first"
[builtin]
command_end = false
"""
        with support.folder() as folder:
            client = "test -e /data/x && echo found: $(cat /data/x); echo first > /data/x; sync; sleep 5"
            self.sim(self.scenario(folder, client=client, more=more))


if __name__ == "__main__":
    support.main()
