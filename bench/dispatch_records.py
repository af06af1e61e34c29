"""Records of what bhvm-workload dispatches (cpu/dispatch_record.cpp), and the names of handlers in them."""

import array
import os
import pathlib
import re
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent
WORKLOADS = ["boot", "integer", "float", "python", "awk", "shell", "syscalls", "ext4", "gzip", "zstd", "openssl",
             "sqlite", "gcc", "redis"]
MAY_HAVE_ROWS = re.compile(r"(then|plain|go_in_page_by|go_across_by|integer::(jump|jump_if|jump_indirect|fused|call|"
                           r"call_indirect|ret))<")
TYPES = {"unsigned char": "u8", "unsigned short": "u16", "unsigned int": "u32", "unsigned long": "u64",
         "signed char": "i8", "short": "i16", "int": "i32", "long": "i64", "float": "f32", "double": "f64"}
SCALARS = {"f32": "float", "f64": "double"}
SMALL = re.compile(r", (RegisterOp|(?:Simple|Wide)?(?:Load|Store)Op|StoreNumberOp|CallOp|JumpOp|AcrossOp|ReturnOp|CompareOp|CompareNumberOp)>$")  # kinds of op (cpu/small_ops.h)


def die(text):
    print(f"{sys.argv[0]}: {text}", file=sys.stderr)
    sys.exit(2)


def run(*command, **options):
    try:
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, **options).stdout
    except FileNotFoundError:
        die(f"'{command[0]}' is not there; ./scripts/setup installs what is needed.")
    except subprocess.CalledProcessError as error:
        die(f"'{' '.join(map(str, command))}' failed with status {error.returncode}.")


# Names: from what the linker knows to what the compiler reads.

def enumerators():
    """The names of scoped enumerators, by the enumeration's name."""
    found = {}
    for header in (TOP / "cpu").rglob("*.h"):
        for name, body in re.findall(r"enum class (\w+) : u8 \{(.*?)\};", header.read_text(), re.DOTALL):
            found[name] = re.findall(r"\bk\w+", re.sub(r"//.*", "", body))
    return found


def without_function_types(name):
    """As template arguments, `&(R f<A>(P))`, `&R f<A>(P)` and `&f` are written `f<A>` and `f`."""
    out = ""
    while True:
        at = name.find("&")
        if at < 0:
            return out + name
        out += name[:at]
        name = name[at + 1:]
        end = argument_end(name)
        signature = name[1:end - 1] if name.startswith("(") else name[:end]
        out += without_function_types(function_name(signature))
        name = name[end:]


def argument_end(text):
    """Where the template argument at the front ends."""
    depth = 0
    for i, c in enumerate(text):
        if depth == 0 and c in ",>":
            return i
        depth += (c in "<(") - (c in ">)")
    return len(text)


def function_name(signature):
    """`f<A>` of `R f<A>(P)`."""
    depth, start, end = 0, 0, len(signature)
    for i, c in enumerate(signature):
        if depth == 0 and signature.startswith("bhvm::", i) and (i == 0 or signature[i - 1] in " &"):
            start = i
        if depth == 0 and c == "(" and i > start and signature[start:start + 6] == "bhvm::":
            end = i
            break
        depth += (c in "<(") - (c in ">)")
    return signature[start:end]


def source_name(demangled, enums):
    """As it stands in the table, or None when the handler can't be named there."""
    name = function_name(demangled)
    if not MAY_HAVE_ROWS.match(name.removeprefix("bhvm::")) or "(anonymous namespace)" in name:
        return None
    name = without_function_types(name)
    name = re.sub(r"\(bhvm::(?:\w+::)*(\w+)\)(\d+)", lambda m: f"{m[1]}::{enums[m[1]][int(m[2])]}", name)
    types = "|".join(sorted(TYPES, key=len, reverse=True))
    name = re.sub(rf"\b({types})\b vector\[(\d+)\]", lambda m: f"{TYPES[m[1]]}x{m[2]}", name)
    name = re.sub(rf"\b({types})\b", lambda m: SCALARS.get(TYPES[m[1]], TYPES[m[1]]), name)
    name = name.replace("bhvm::ByJump", "Onward").replace("bhvm::", "")
    name = re.sub(r"\b(any_host|sse42_host)::", "", name)
    head, rest = re.match(r"(integer::)?(.*)", name).groups()
    return (head or "") + rest.replace("integer::", "").replace("sse::", "")


def names_of(program):
    """Names in the table, by distance from record_dispatch()."""
    enums = enumerators()
    symbols = [line.split() for line in run("llvm-nm-19", program).splitlines()]
    at = {name: int(address, 16) for address, kind, name in (s for s in symbols if len(s) == 3) if kind in "TtWw"}
    base = next(address for name, address in at.items() if "record_dispatch" in name)
    mangled = [name for name in at if name.startswith("_ZN4bhvm")]
    plain = run("llvm-cxxfilt-19", input="\n".join(mangled)).splitlines()
    names = {}
    for symbol, demangled in zip(mangled, plain):
        name = source_name(demangled, enums)
        if name is not None:
            names[(at[symbol] - base) & 0x7FFFFFFF] = name
    return of_parts(names)


def of_parts(names):
    """Without the small kind of op. Where there is one, no other op of that handler can be joined."""
    small = {SMALL.sub(">", name) for name in names.values() if SMALL.search(name)}
    return {at: SMALL.sub(">", name) for at, name in names.items() if name.replace(", Op>", ">") not in small}


# Recording.

def add_arguments(parser):
    """Those of every tool that records."""
    parser.add_argument("--kernel")
    parser.add_argument("--disk")
    parser.add_argument("--build", type=pathlib.Path, default=TOP / "build/record")


def built_program(arguments):
    """bhvm-workload with records of its dispatches, and the arguments with a kernel and a disk."""
    arguments.kernel = arguments.kernel or run(TOP / "kernel-config/build").strip()
    arguments.disk = arguments.disk or run(TOP / "guest/build-image", "bench.ext4", "--size", "480M").strip()
    run("cmake", "--preset", "bench", "-S", TOP, "-B", arguments.build, "-DBHVM_TESTS=OFF", "-DBHVM_RECORD_DISPATCH=ON")
    run("cmake", "--build", arguments.build, "--target", "bhvm-workload")
    return arguments.build / "bench/bhvm-workload"


def recorded(program, arguments, workload, **environment):
    """A run's entries (cpu/dispatch_record.cpp), in order."""
    file = arguments.build / f"{workload}.record"
    print(f"  {workload}", flush=True)
    run(program, "--kernel", arguments.kernel, "--disk", arguments.disk, workload,
        env=os.environ | {"BHVM_DISPATCH_RECORD": str(file)} | environment)
    entries = array.array("I", file.read_bytes())
    file.unlink()
    return entries
