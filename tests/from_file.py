"""Modules that are no part of a package: scripts and benchmarks."""

import importlib.util
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]


def module_from(path):
    """Return the module in a file of the repository."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, REPOSITORY / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
