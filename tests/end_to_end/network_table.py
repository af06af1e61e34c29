#!/usr/bin/env python3
"""Prints the table of docs/NETWORK.md: what each kind of fault does to a TCP transfer between two guests.

Usage: BHVM_BINARY=build/release/cli/bhvm BHVM_KERNEL="$(kernel-config/build)" tests/end_to_end/network_table.py
"""

import pathlib
import re
import sys

import clusters
import support

ROOT = pathlib.Path(__file__).resolve().parents[2]
BYTES = 16 << 20
PLAIN = {"latency": "500us", "jitter": "0s"}
ROWS = [
    ("none", {}),
    ("jitter 5 ms", {"jitter": "5ms"}),
    ("latency 10 ms", {"latency": "10ms"}),
    ("latency 50 ms", {"latency": "50ms"}),
    ("bandwidth 100 Mbit/s", {"bandwidth": "100Mbit"}),
    ("bandwidth 10 Mbit/s", {"bandwidth": "10Mbit"}),
    ("bandwidth 10 Mbit/s, queue 16 KiB", {"bandwidth": "10Mbit", "queue": "16K"}),
    ("loss 0.1%", {"loss": "0.1%"}),
    ("loss 1%", {"loss": "1%"}),
    ("loss 5%", {"loss": "5%"}),
    ("duplication 1%", {"duplicate": "1%"}),
    ("duplication 20%", {"duplicate": "20%"}),
    ("reordering 1%", {"reorder": "1%"}),
    ("reordering 20%", {"reorder": "20%"}),
    ("corruption 1%", {"corrupt": "1%"}),
    ("loss, duplication, reordering and corruption, 1% each",
     {"loss": "1%", "duplicate": "1%", "reorder": "1%", "corrupt": "1%"}),
]
FAULTS = [
    ("clog of 1 s in the middle", 'kind = "clog"\nat = "{at}"\nduration = "1s"\n'),
    ("partition of 1 s in the middle",
     'kind = "partition"\nshape = "node"\nnodes = ["sender"]\nat = "{at}"\nduration = "1s"\n'),
]
COLUMNS = ("frames", "lost", "duplicated", "reordered", "corrupted", "overflowed", "clogged", "blocked")


def transfer(settings, faults=""):
    """Runs one; the run, when the transfer began and ended, and how often a segment was sent again."""
    text = (ROOT / "scenarios/tcp-transfer.toml").read_text().replace("2097152", str(BYTES))
    lines = "".join(f'{name} = "{value}"\n' for name, value in (PLAIN | settings).items())
    text = re.sub(r"\[network\]\n(\w+ = .*\n)*", f"[network]\n{lines}", text) + faults
    with support.folder() as folder:
        run = clusters.sim(text, folder)
        times = {line.text: line.seconds for line in run.console("sender") if line.text in ("begin", "end")}
        if run.status != 0 or "intact" not in run.text("receiver"):
            sys.exit(f"the transfer failed with {settings} {faults}:\n{run.stderr}")
        return run, times["begin"], times["end"], run.counter("sender", "Tcp", "RetransSegs")


def main():
    print("| fault | Mbit/s | " + " | ".join(COLUMNS) + " | retransmitted |")
    print("|---|" + "---:|" * (len(COLUMNS) + 2))
    at = None
    for name, settings in ROWS:
        at = at or row(name, settings)
        if settings:
            row(name, settings)
    for name, fault in FAULTS:
        row(name, {}, "[[faults]]\n" + fault.format(at=f"{at:.3f}s"))


def row(name, settings, faults=""):
    run, begin, end, retransmitted = transfer(settings, faults)
    links = [run.link("sender", "receiver"), run.link("receiver", "sender")]
    counts = [sum(link[column] for link in links) for column in COLUMNS]
    print(f"| {name} | {BYTES * 8 / (end - begin) / 1e6:.1f} | " + " | ".join(map(str, counts)) +
          f" | {retransmitted} |", flush=True)
    return (begin + end) / 2


if __name__ == "__main__":
    main()
