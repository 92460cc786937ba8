"""`pip install --no-build-isolation .`: runs the CMake build of the ROS package for pip.

CMake installs into a staging folder; what belongs to Python goes into the wheel's packages, the
rest (interfaces, launch files, configuration) into its data files.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from xml.etree import ElementTree

from setuptools import Distribution, setup
from setuptools.command.build_py import build_py

SOURCE = Path(__file__).resolve().parent
PACKAGE = 'hand_pose_ros'
STAGING = SOURCE / 'build' / 'pip'


class CMakeBuild(build_py):
    """Builds with CMake instead of copying modules."""

    def run(self) -> None:
        """Build, install into the staging folder and sort the files."""
        build, stage = STAGING / 'build', STAGING / 'stage'
        shutil.rmtree(STAGING, ignore_errors=True)
        STAGING.mkdir(parents=True)
        (STAGING / 'COLCON_IGNORE').touch()
        environment = dict(os.environ)
        scripts = sysconfig.get_path('scripts')
        environment['PATH'] = os.pathsep.join([scripts, environment.get('PATH', '')])
        prefixes = [environment.get('AMENT_PREFIX_PATH', ''), sys.prefix]
        environment['AMENT_PREFIX_PATH'] = os.pathsep.join(filter(None, prefixes))
        options = [
            '-DBUILD_TESTING=OFF',
            '-DCMAKE_BUILD_TYPE=Release',
            f'-DCMAKE_PREFIX_PATH={sys.prefix}',
            f'-DCMAKE_INSTALL_PREFIX={stage}',
            f'-DPython3_EXECUTABLE={sys.executable}',
        ]
        commands = [
            ['cmake', '-S', SOURCE, '-B', build, *options],
            ['cmake', '--build', build, '--parallel'],
            ['cmake', '--install', build],
        ]
        for command in commands:
            subprocess.run(command, check=True, env=environment)
        self._sort(stage)

    def _sort(self, stage: Path) -> None:
        [module] = stage.rglob(f'{PACKAGE}/__init__.py')
        staged = module.parent
        shutil.copytree(staged, Path(self.build_lib) / PACKAGE, dirs_exist_ok=True)
        shutil.rmtree(staged.parent)
        folders: dict[str, list[str]] = {}
        for file in sorted(path for path in stage.rglob('*') if path.is_file()):
            folder = file.parent.relative_to(stage).as_posix()
            folders.setdefault(folder, []).append(str(file.relative_to(SOURCE)))
        self.distribution.data_files = list(folders.items())


class BinaryDistribution(Distribution):
    """Makes the wheel belong to this platform and Python version."""

    def has_ext_modules(self) -> bool:
        """Tell that there are compiled modules."""
        return True


setup(
    name=PACKAGE,
    version=ElementTree.parse(SOURCE / 'package.xml').getroot().findtext('version'),
    packages=[PACKAGE],
    install_requires=(SOURCE / 'requirements' / 'runtime.txt').read_text().splitlines(),
    cmdclass={'build_py': CMakeBuild},
    distclass=BinaryDistribution,
)
