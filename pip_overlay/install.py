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
# Stands in the __init__.py or package.xml of each, and in nobody else's.
MARK = 'Written for machines without a ROS installation'


def is_wanted(name: str) -> bool:
    """Tell whether no package of this name is there, or only one that this overlay put there."""
    sys.path = [entry for entry in sys.path if Path(entry or '.').resolve() != OVERLAY]
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        return True
    folder = Path(spec.origin).parent
    if folder.parent != Path(sysconfig.get_path('purelib')):
        return False
    mark = folder / '__init__.py'
    if name in MESSAGE_PACKAGES:
        mark = Path(sys.prefix) / 'share' / name / 'package.xml'
    return not mark.is_file() or MARK in mark.read_text(encoding='utf-8')


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
        if is_wanted(name):
            install(name, target)
    missing = [name for name in MESSAGE_PACKAGES if is_wanted(name)]
    sys.stdout.write('\n'.join(missing))
    return 0


if __name__ == '__main__':
    sys.exit(main())
