#!/usr/bin/env python3
"""Holds the tree to its own rules: include layers, formatting, file sizes, dead files.

Usage: check_tree.py ROOT CHECK, where CHECK is layers, format, size or dead.
Exit status 0 when the rule holds, 1 with a line a violation when it does not.
"""

import pathlib
import re
import shutil
import subprocess
import sys

# A folder may include from itself and from the folders named. Everything above may include everything below, but for
# pairs that stand side by side.
LAYERS = {
    "base": [],
    "state": ["base"],
    "scheduler": ["base"],
    "softmmu": ["base", "scheduler", "state"],
    "bus": ["base", "scheduler", "state", "softmmu"],
    "cpu": ["base", "scheduler", "state", "softmmu", "bus"],
    "devices": ["base", "scheduler", "state", "softmmu", "bus"],
    "vnet": ["base", "state"],
    "machine": ["base", "scheduler", "state", "softmmu", "bus", "cpu", "devices"],
    "cluster": ["base", "scheduler", "state", "devices", "machine", "vnet"],
    "include": ["base", "scheduler", "state", "softmmu", "bus", "cpu", "devices", "machine"],
}
UPPER = ["cli", "oracle", "bench", "tests", "examples"]
MOST_LINES = 700
SOURCES = {".h", ".cpp"}


def sources(root):
    folders = list(LAYERS) + UPPER
    for folder in folders:
        base = root / folder
        if base.is_dir():
            yield from (path for path in sorted(base.rglob("*")) if path.suffix in SOURCES)


def check_layers(root):
    for path in sources(root):
        folder = path.relative_to(root).parts[0]
        if folder not in LAYERS:
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = re.match(r'\s*#\s*include\s+"([^"/]+)/', line)
            if not match:
                continue
            target = match.group(1)
            known = target in LAYERS or target in UPPER
            if known and target != folder and target not in LAYERS[folder]:
                yield f"{path.relative_to(root)}:{number}: {folder}/ may not include from {target}/"


def check_format(root):
    tool = shutil.which("clang-format-19")
    if tool is None:
        sys.exit("clang-format-19 is missing: install the package clang-format-19")
    files = [str(path) for path in sources(root)]
    result = subprocess.run([tool, "--dry-run", "-Werror", *files], capture_output=True, text=True, cwd=root)
    if result.returncode != 0:
        for line in result.stderr.splitlines():
            if "error:" in line:
                yield line


def check_size(root):
    for path in sources(root):
        lines = len(path.read_text().splitlines())
        if lines > MOST_LINES:
            yield f"{path.relative_to(root)}: {lines} lines; a file has one subject and at most {MOST_LINES}"


def check_dead(root):
    listed = ""
    for path in root.rglob("CMakeLists.txt"):
        if "build" not in path.relative_to(root).parts:
            listed += path.read_text()
    text = {path: path.read_text() for path in sources(root)}
    included = set(re.findall(r'#\s*include\s+"([^"]+)"', "\n".join(text.values())))
    for path in text:
        name = path.relative_to(root)
        if path.suffix == ".cpp" and path.name not in listed:
            yield f"{name}: no CMakeLists.txt builds it"
        names = {name.as_posix(), path.name if name.parts[0] == "tests" else name.as_posix()}
        if path.suffix == ".h" and name.parts[0] != "include" and not names & included:
            yield f"{name}: nobody includes it"


CHECKS = {"layers": check_layers, "format": check_format, "size": check_size, "dead": check_dead}


def main():
    if len(sys.argv) != 3 or sys.argv[2] not in CHECKS:
        sys.exit(__doc__)
    problems = list(CHECKS[sys.argv[2]](pathlib.Path(sys.argv[1]).resolve()))
    print("\n".join(problems))
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
