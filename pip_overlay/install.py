"""Install the overlay's Python packages into this environment, each only where its name is missing.

Run it with the Python of a virtual environment. It prints the names of packages with messages
that are missing too and have to be built with CMake.
"""

import importlib.util
import shutil
import sys
import sysconfig
from pathlib import Path

OVERLAY = Path(__file__).resolve().parent
PYTHON_PACKAGES = ('message_filters', 'sensor_msgs_py', 'tf2_ros')
MESSAGE_PACKAGES = ('tf2_msgs',)
MARKER = 'OVERLAY'


def installed_elsewhere(name: str) -> bool:
    """Tell whether Python finds a package of this name that did not come from this overlay."""
    sys.path = [entry for entry in sys.path if Path(entry or '.').resolve() != OVERLAY]
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        return spec is not None
    folder = Path(next(iter(spec.submodule_search_locations)))
    share = Path(sys.prefix) / 'share' / name
    return not ((folder / MARKER).exists() or (share / MARKER).exists())


def install(name: str, target: Path) -> None:
    """Put a copy of a package into ``target`` by renaming: nobody sees half of it."""
    new, old = target / f'.{name}.new', target / f'.{name}.old'
    for leftover in (new, old):
        shutil.rmtree(leftover, ignore_errors=True)
    shutil.copytree(OVERLAY / name, new, ignore=shutil.ignore_patterns('__pycache__'))
    if (target / name).exists():
        (target / name).rename(old)
    new.rename(target / name)
    shutil.rmtree(old, ignore_errors=True)


def main() -> int:
    """Install what is missing and print what remains to be built."""
    target = Path(sysconfig.get_path('purelib'))
    for name in PYTHON_PACKAGES:
        if not installed_elsewhere(name):
            install(name, target)
    missing = [name for name in MESSAGE_PACKAGES if not installed_elsewhere(name)]
    sys.stdout.write('\n'.join(missing))
    return 0


if __name__ == '__main__':
    sys.exit(main())
