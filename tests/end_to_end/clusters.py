"""Runs of `bhvm sim` for tests: a scenario's text in, everything in --out read back."""

import dataclasses
import json
import os
import pathlib
import re
import subprocess

import support

# Two nodes of the smallest image: one pings, the other is there. A test adds its faults.
PING = '''
name = "ping"
max_time = "200s"
quiet = "1s"
[images.tiny]
packages = ["busybox-static"]
[[nodes]]
name = "a"
role = "workload"
memory = "64M"
command = "ping -W 20 -c {count} b; cat /proc/net/snmp"
[[nodes]]
name = "b"
role = "free"
memory = "64M"
command = "{other}"
'''


@dataclasses.dataclass
class Line:
    seconds: float
    text: str


@dataclasses.dataclass
class Reply:
    seq: int
    ms: float
    duplicate: bool
    seconds: float  # when the line was written


@dataclasses.dataclass
class ClusterRun:
    status: int
    stderr: str
    folder: pathlib.Path
    stats: dict
    events: list

    def console(self, node):
        lines = []
        for line in (self.folder / f"{node}.console.log").read_text(errors="replace").splitlines():
            match = re.match(r"\[ *(\d+\.\d{9})\] (.*)", line)
            if match:
                lines.append(Line(float(match.group(1)), match.group(2)))
        return lines

    def text(self, node):
        return "\n".join(line.text for line in self.console(node))

    def replies(self, node):
        """What ping on a node saw."""
        found = []
        for line in self.console(node):
            match = re.search(r"seq=(\d+) ttl=\d+ time=([\d.]+) ms( \(DUP!\))?", line.text)
            if match:
                found.append(Reply(int(match.group(1)), float(match.group(2)), match.group(3) is not None,
                                   line.seconds))
        return found

    def link(self, source, target):
        for link in self.stats["links"]:
            if (link["from"], link["to"]) == (source, target):
                return link
        raise AssertionError(f"no frame went from {source} to {target}")

    def counter(self, node, protocol, name):
        """A counter that the node's command printed from /proc/net/snmp."""
        rows = [line.text.split() for line in self.console(node) if line.text.startswith(f"{protocol}: ")]
        return int(rows[1][rows[0].index(name)])

    @property
    def capture(self):
        return self.folder / "network.pcapng"


def sim(scenario, folder, *options, timeout_s=support.TIMEOUT_S):
    """Runs the text of a scenario that names no kernel, with its outputs in `folder`."""
    binary = support.part("BHVM_BINARY")
    kernel = support.part("BHVM_KERNEL")
    folder = pathlib.Path(folder)
    path = folder / "scenario.toml"
    path.write_text(f'kernel = "{kernel}"\n{scenario}')
    out = folder / "out"
    done = subprocess.run([binary, "sim", str(path), "--out", str(out), *options], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout_s)
    text = done.stdout.decode(errors="replace")
    stats = json.loads(support.read(out / "stats.json") or b"{}")
    events = [json.loads(line) for line in support.read(out / "events.jsonl").decode().splitlines()]
    return ClusterRun(done.returncode, text, out, stats, events)


def tshark(capture, *words, fields=()):
    """Rows of fields (or lines) of what tshark reads in a capture."""
    command = ["tshark", "-r", str(capture), *words]
    if fields:
        command += ["-T", "fields", "-E", "separator=/t", "-E", "aggregator=,"]
        for field in fields:
            command += ["-e", field]
    environment = os.environ | {"HOME": str(pathlib.Path(capture).parent)}
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, check=True)
    lines = done.stdout.decode().splitlines()
    return [line.split("\t") for line in lines] if fields else lines
