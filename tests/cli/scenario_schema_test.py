"""docs/scenario.schema.json as an editor uses it: right scenarios are valid, wrong ones are not, and `bhvm sim` thinks so too.

That schema and parser know the same tables, keys and words is scenario_file_test.cpp's business.
"""

import datetime
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import tomllib
import unittest

try:
    import jsonschema
except ImportError:
    print("python3-jsonschema is not installed; scripts/setup installs it")
    sys.exit(77)

TOP = pathlib.Path(__file__).resolve().parents[2]
SCHEMA = json.loads((TOP / "docs/scenario.schema.json").read_text())

RIGHT = """
name = "right"
date = 2026-01-31T12:00:00Z
[images.a]
packages = "busybox-static"
[network]
loss = "1%"
[[nodes]]
name = "n"
count = 2
disks = [{ size = "8M", mount = "/data", logical_block = 512, physical_block = 4096 }]
"""
NO_IMAGE = '[[nodes]]\nname = "n"\n'
NO_NODE = '[images.a]\npackages = "busybox-static"\n'
IMAGE = RIGHT + "[images.b]\n"
NODE = RIGHT + '[[nodes]]\nname = "m"\nimage = "a"\n'
FAULT = RIGHT + '[[faults]]\nat = "1s"\n'
MIX = RIGHT + "[[fault_mix]]\n"
PROPERTY = RIGHT + "[[properties]]\n"
CHECK = RIGHT + "[[checks]]\n"

WRONG = {
    "nothing": "",
    "no image": NO_IMAGE,
    "no node": NO_NODE,
    "an unknown key": "nmae = 'x'\n" + RIGHT,
    "a time without a unit": "max_time = 5\n" + RIGHT,
    "a time that is none": "max_time = 'soon'\n" + RIGHT,
    "a seed that is a text": "seed = '1'\n" + RIGHT,
    "an unknown key of an image": IMAGE + "packages = 'x'\npackage = 'y'\n",
    "an image of two sources": IMAGE + "packages = 'x'\noci = 'y'\n",
    "an image of no source": IMAGE + "append = 'quiet'\n",
    "an unknown key of [network]": RIGHT.replace("loss =", "lose ="),
    "a probability that is none": RIGHT.replace("1%", "one in ten"),
    "a bandwidth of bytes": RIGHT.replace('loss = "1%"', 'bandwidth = "10MB"'),
    "an MTU that is too small": RIGHT.replace('loss = "1%"', "mtu = 60"),
    "a link from nowhere": RIGHT + "[[network.links]]\nto = 'n1'\n",
    "a node without a name": RIGHT + "[[nodes]]\nimage = 'a'\n",
    "a role that is none": NODE + "role = 'leader'\n",
    "a memory without a unit": NODE + "memory = 64\n",
    "a status out of range": NODE + "role = 'workload'\nexpected_status = 256\n",
    "a disk of nothing": NODE + "disks = [{ mount = '/d' }]\n",
    "a disk of two things": NODE + "disks = [{ size = '8M', image = 'x' }]\n",
    "a physical block of 1024": NODE + "disks = [{ size = '8M', physical_block = 1024 }]\n",
    "a logical block with a unit": NODE + "disks = [{ size = '8M', logical_block = '4K' }]\n",
    "a fault of no kind": FAULT,
    "a fault of an unknown kind": FAULT + "kind = 'earthquake'\n",
    "a fault at no time": RIGHT + "[[faults]]\nkind = 'pause'\n",
    "a shape that is none": FAULT + "kind = 'partition'\nshape = 'star'\n",
    "a jump without a unit": FAULT + "kind = 'wall-clock'\njump = 10\n",
    "requests that are none": FAULT + "kind = 'disk-error'\nrequests = ['erase']\n",
    "a mix of no kind": MIX,
    "a mix at a time": MIX + "kind = 'pause'\nat = '1s'\n",
    "a range of three": MIX + "kind = 'pause'\ninterval = ['1s', '2s', '3s']\n",
    "a property of nothing": PROPERTY + "name = 'x'\n",
    "a property of two things": PROPERTY + "never = 'x'\neventually = 'y'\n",
    "a check without a command": CHECK + "node = 'n1'\n",
    "a built-in property that is none": RIGHT + "[builtin]\nkernle = false\n",
    "a live lock without a unit": RIGHT + "[builtin]\nlive_lock = 20\n",
}


def plain(value):
    """As JSON has it: dates are texts."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value.isoformat() if isinstance(value, (datetime.date, datetime.time)) else value


def examples():
    """The project's scenarios, and those in its pages."""
    for path in sorted((TOP / "scenarios").glob("*.toml")):
        yield path.name, path.read_text()
    for page in sorted([TOP / "README.md", *(TOP / "docs").glob("*.md")]):
        for number, text in enumerate(re.findall(r"^```toml\n(.*?)^```", page.read_text(), re.M | re.S)):
            yield f"{page.name}, example {number + 1}", text


class Tests(unittest.TestCase):
    def setUp(self):
        self.validator = jsonschema.Draft7Validator(SCHEMA)

    def complaints(self, text):
        return [f"{'/'.join(map(str, error.absolute_path))}: {error.message}"
                for error in self.validator.iter_errors(plain(tomllib.loads(text)))]

    def test_the_schema_is_one(self):
        jsonschema.Draft7Validator.check_schema(SCHEMA)

    def test_every_definition_is_used(self):
        used = set(re.findall(r'"\$ref": "#/definitions/(\w+)"', json.dumps(SCHEMA)))
        self.assertEqual(used, set(SCHEMA["definitions"]))

    def test_right_scenarios_are_valid(self):
        names = []
        for name, text in [("the one above", RIGHT), *examples()]:
            names.append(name)
            self.assertEqual(self.complaints(text), [], name)
        self.assertIn("tcp-transfer.toml", names)
        self.assertIn("SCENARIO.md, example 1", names)

    def test_wrong_scenarios_are_not(self):
        for name, text in WRONG.items():
            with self.subTest(name):
                self.assertNotEqual(self.complaints(text), [])

    def test_the_parser_refuses_them_too(self):
        for name, text in WRONG.items():
            with self.subTest(name), tempfile.TemporaryDirectory(prefix="bhvm-schema-") as folder:
                path = pathlib.Path(folder) / "s.toml"
                path.write_text(text)
                done = subprocess.run([os.environ["BHVM_BINARY"], "sim", str(path)], capture_output=True, text=True,
                                      check=False, timeout=60)
                self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
                self.assertRegex(done.stderr, r"s\.toml:\d+: ", "file and line")


if __name__ == "__main__":
    unittest.main()
