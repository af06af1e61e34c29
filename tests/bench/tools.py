"""Programs of bench/ as modules."""

import importlib.machinery
import importlib.util
import pathlib
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]


def load(name):
    """bench/NAME, which finds the modules beside it."""
    sys.dont_write_bytecode = True
    if str(TOP / "bench") not in sys.path:
        sys.path.insert(0, str(TOP / "bench"))
    loader = importlib.machinery.SourceFileLoader(name, str(TOP / "bench" / name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    loader.exec_module(module)
    return module
