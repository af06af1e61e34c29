#!/usr/bin/env python3
"""Proves that bhvm-diff sees errors: every planted fault (base/planted_fault.h) must be found, and nothing without one.

Usage: planted_faults_test.py PROGRAM [--jobs N] [NAME...]

PROGRAM is a bhvm-diff of the preset `planted`. For each fault, or each one NAMEd, the same cases run twice: as they are,
which must show no difference, and with the fault, which must show one that is confirmed and is of the fault's forms.
A fault that is how another vendor's processors do it is told by one vendor's only; on the others it must show nothing. So
must one that is how QEMU does it, too, where the host's processor cannot be asked (docs/ORACLE.md). A line a fault says
how many cases it took. Exit status 0 when all of that held, 1 when not, 77 when PROGRAM is not there.
"""

import argparse
import concurrent.futures
import dataclasses
import json
import os
import re
import subprocess
import sys
import tempfile

SKIPPED = 77
TIMEOUT_S = 100


@dataclasses.dataclass(frozen=True)
class Plant:
    """A fault's name, and the cases of seed 1 that are to show it."""
    name: str
    kind: str
    form: str
    count: int
    vendor: str = ""  # whose processors alone tell the fault: the others, and QEMU, do the same as the fault
    processor: bool = False  # QEMU does the same as the fault: only a processor tells


PLANTS = (
    Plant("adc-byte-af", "instruction", r"^adc r8", 512),
    Plant("shl-word-of", "instruction", r"^shl r16", 512),
    Plant("flags-before-fault", "instruction", r"^(inc|dec|neg) m", 1024, processor=True),
    Plant("cmov-upper-half", "instruction", r"^cmovn?[zs] r32, r32", 512),
    Plant("cmpxchg-byte-flags", "instruction", r"^cmpxchg r8", 512),
    Plant("bt-negative-offset", "instruction", r"^bt[src]? m16, r16", 512),
    Plant("imul-word-cf", "instruction", r"^imul r16", 2048),
    Plant("lahf-fixed-bit", "instruction", r"^lahf", 512),
    Plant("div-boundary", "instruction", r"^div (r|m)16", 2048),
    Plant("dead-flags", "instruction", r"^(adc|sbb) r16", 4096),
    Plant("rcl-byte-count", "instruction", r"^rcl r8", 1024),
    Plant("accessed-of-dirty", "instruction", r"^(mov|add) (r32, m32|m32, r32)", 1024),
    Plant("accessed-of-directory", "instruction", r"^mov r(32|64), m", 512),
    Plant("dirty-of-second-page", "instruction", r"^mov m(32|64), r", 2048),
    Plant("stack-fault-vector", "instruction", r"^(push|pop) r64", 1024, processor=True),
    Plant("split-load", "instruction", r"^mov r(32|64), m", 2048),
    Plant("word-alignment", "instruction", r"^(mov|add) (r16, m16|m16, r16)", 4096, processor=True),
    Plant("fetch-error-code", "instruction", r"^jmp", 2048),
    Plant("reserved-user-bit", "instruction", r"^(mov|add) (r32, m32|m32, r32)", 2048),
    Plant("truncation-edge", "instruction", r"^cvttsd2si", 2048),
    Plant("denormal-not-sticky", "instruction", r"^(add|mul|div)(ss|sd|ps|pd)", 1024),
    Plant("string-index", "instruction", r"^pcmp[ei]stri", 1024),
    Plant("pshufb-top-bit", "instruction", r"^pshufb mm", 512),
    Plant("rounded-up-single", "instruction", r"^(fadd|fmul|fdiv|fsub) ", 2048, processor=True),
    Plant("abridged-tag", "instruction", r"^fxsave", 512),
    Plant("rep-count", "instruction", r"^rep (movs|stos)", 2048),
    Plant("cmps-flags", "instruction", r"^repn?e cmps", 2048, "GenuineIntel"),
    Plant("iretd-nt", "system", r"^iretd", 512),
    Plant("mov-ss-shadow", "system", r"^single step over mov ss", 512),
    Plant("sti-shadow", "system", r"^interrupt after sti, (cli|ud2|pushf)", 512),
    Plant("syscall-saved-flags", "system", r"^syscall", 512),
    Plant("syscall-keeps-ac", "system", r"^syscall", 1024),
    Plant("lsl-granularity", "instruction", r"^lsl", 1024),
)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """One run of the program: its exit status and what it found."""
    status: int
    message: str
    cases: int
    differences: int
    kinds: dict
    confirmed: int


def run(program, plant, number):
    """Runs the plant's cases, with fault `number` or without any (0)."""
    with tempfile.TemporaryDirectory() as folder:
        report = os.path.join(folder, "report.json")
        words = [program, "--kind", plant.kind, "--form", plant.form, "--count", str(plant.count), "--seed", "1",
                 "--jobs", "1", "--minimise", "1", "--json", report]
        if number:
            words += ["--plant", str(number)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        if not os.path.exists(report):
            return Outcome(done.returncode, done.stderr.strip(), 0, 0, {}, 0)
        with open(report, encoding="utf-8") as file:
            found = json.load(file)
    kinds = {each["kind"]: each["cases"] for each in found.get("kinds", [])}
    confirmed = sum(each["confirmed"] for each in found.get("findings", []))
    return Outcome(done.returncode, done.stderr.strip(), found["cases"], found["differences"], kinds, confirmed)


def host_vendor():
    """The processor's, as CPUID tells it."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        found = re.search(r"^vendor_id\s*: (\S+)", file.read(), re.MULTILINE)
    return found.group(1) if found else ""


def host_can_be_asked():
    """Has the processor what the native runner needs?"""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        found = re.search(r"^flags\s*:(.*)", file.read(), re.MULTILINE)
    return found is not None and {"fsgsbase", "avx2"} <= set(found.group(1).split())


def check(program, plant, number):
    """A line for a person and whether all held."""
    sound = run(program, plant, 0)
    faulty = run(program, plant, number)
    wrong = []
    if sound.status != 0:
        wrong.append(f"without the fault: exit status {sound.status} {sound.message} {sound.kinds}")
    only = ""
    if plant.vendor and plant.vendor != host_vendor():
        only = f"only {plant.vendor} tells"
    elif plant.processor and not host_can_be_asked():
        only = "only a processor tells, and this host's cannot be asked"
    if only:
        if faulty.status != 0:
            wrong.append(f"with the fault ({only}): exit status {faulty.status} {faulty.message} {faulty.kinds}")
        line = f"{number:>3}  {plant.name:<22} {plant.form:<44} "
        return line + (only if not wrong else "FAILED: " + "; ".join(wrong)), not wrong
    if faulty.status != 1:
        wrong.append(f"with the fault: exit status {faulty.status} {faulty.message}")
    elif not faulty.confirmed:
        wrong.append("with the fault: no difference was confirmed")
    stray = [kind for kind in faulty.kinds if not re.search(plant.form, kind, re.IGNORECASE)]
    if stray:
        wrong.append(f"with the fault: differences in other forms: {stray}")
    each = f"1 in {faulty.cases / faulty.differences:.0f}" if faulty.differences else "none"
    line = f"{number:>3}  {plant.name:<22} {plant.form:<44} {faulty.differences:>5} of {faulty.cases:<5} {each:<10}"
    return line + ("found" if not wrong else "FAILED: " + "; ".join(wrong)), not wrong


def numbers(program):
    """The numbers of all faults that the program has, by name."""
    listed = subprocess.run([program, "--list-plants"], capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    if listed.returncode != 0:
        sys.exit(f"{program} --list-plants: {listed.stderr.strip()}")
    return {name: int(number) for number, name in (line.split()[:2] for line in listed.stdout.splitlines())}


def main():
    parser = argparse.ArgumentParser(description="Every planted fault must be found.")
    parser.add_argument("program")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    if not os.path.exists(options.program):
        print(f"{options.program} is not there: cmake --preset planted && cmake --build --preset planted")
        return SKIPPED
    number_of = numbers(options.program)
    unproven = set(number_of) ^ {plant.name for plant in PLANTS}
    if unproven:
        sys.exit(f"The program's faults and this file's are not the same: {', '.join(sorted(unproven))}")
    plants = [plant for plant in PLANTS if not options.names or plant.name in options.names]
    found = 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for line, held in pool.map(lambda plant: check(options.program, plant, number_of[plant.name]), plants):
            print(line, flush=True)
            found += held
    print(f"{found} of {len(plants)} planted faults as expected.")
    return 0 if found == len(plants) else 1


if __name__ == "__main__":
    sys.exit(main())
