"""Loading and saving rig descriptions: the way in for every other room."""

from pathlib import Path

from hand_pose_ros.errors import RigError
from hand_pose_ros.resources import share_file
from hand_pose_ros.rig.depth import DepthValues
from hand_pose_ros.rig.model import CameraDescription, RigDescription
from hand_pose_ros.rig.parsing import read_yaml
from hand_pose_ros.rig.rig_file import parse_rig, write_rig
from hand_pose_ros.rig.synchronizer import SynchronizerConfig
from hand_pose_ros.rig.thermal import ThermalValues
from hand_pose_ros.rig.thermohands import read_calibration, rig_from_calibration

__all__ = [
    'CameraDescription',
    'DepthValues',
    'RigDescription',
    'SynchronizerConfig',
    'ThermalValues',
    'find_rig',
    'load_rig',
    'save_rig',
    'shipped_rigs',
]


def load_rig(path: str | Path) -> RigDescription:
    """Load a rig file (YAML) or a ThermoHands ``ego_calib.json`` / ``exo_calib.json``.

    Raises:
        RigError: naming the file, the key path and the fix.
    """
    path = Path(path)
    if path.suffix == '.json':
        return rig_from_calibration(read_calibration(path))
    return parse_rig(read_yaml(path), str(path))


def save_rig(rig: RigDescription, path: str | Path) -> None:
    """Write a rig file that ``load_rig`` reads back bit for bit."""
    write_rig(rig, Path(path))


def shipped_rigs() -> tuple[str, ...]:
    """Names of the rigs that come with the package, as ``find_rig`` takes them."""
    folder = share_file('config/simulated_head_rig.yaml').parent
    files = folder.glob('*.yaml')
    return tuple(sorted(path.stem for path in files if '\ncameras:' in path.read_text('utf-8')))


def find_rig(name_or_path: str | Path) -> RigDescription:
    """Load a rig by path, or by the name of one that comes with the package."""
    path = Path(name_or_path)
    if path.suffix in ('.yaml', '.yml', '.json') or path.exists():
        return load_rig(path)
    known = shipped_rigs()
    if str(name_or_path) not in known:
        raise RigError(
            f'{name_or_path}: no such file, and no rig of that name comes with the package '
            f'(there are {", ".join(known)})'
        )
    return load_rig(share_file(f'config/{name_or_path}.yaml'))
