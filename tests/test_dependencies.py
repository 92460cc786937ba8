"""Every import has a declared dependency, and every dependency has a reason."""

import ast
import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
EXPLAINED = (REPOSITORY / 'docs' / 'dependencies.md').read_text()
DECLARED = {
    element.text: element.tag
    for element in ElementTree.parse(REPOSITORY / 'package.xml').getroot().iter()
    if element.tag.endswith('depend') and element.text
}
# Names under which a package is imported, where they differ from its name in requirements.
IMPORTED_AS = {
    'ai-edge-litert': 'ai_edge_litert',
    'opencv-python-headless': 'cv2',
    'PyYAML': 'yaml',
    'dex-retargeting': 'dex_retargeting',
}
# What torch.onnx, torch.utils.tensorboard and dex-retargeting import.
IMPORTED_BY_OTHERS = {'onnx', 'onnxscript', 'six', 'tensorboard'}
# Python packages with a rosdep key that a released package may depend on.
KEYS = {
    'cv2': 'python3-opencv',
    'matplotlib': 'python3-matplotlib',
    'numba': 'python3-numba',
    'numpy': 'python3-numpy',
    'rich': 'python3-rich',
    'scipy': 'python3-scipy',
    'torch': 'python3-torch',
    'yaml': 'python3-yaml',
}


def requirements(name: str) -> set[str]:
    lines = (REPOSITORY / 'requirements' / f'{name}.txt').read_text().splitlines()
    return {re.split(r'[<>=~!]', line)[0] for line in lines if line and not line.startswith('#')}


RUNTIME = {
    IMPORTED_AS.get(name, name)
    for file in ('runtime', 'training', 'onnx', 'export', 'retargeting', 'realsense', 'ray')
    for name in requirements(file)
}
EXPLAINED_ONES = set().union(
    *(
        requirements(name)
        for name in (
            'runtime',
            'training',
            'onnx',
            'export',
            'retargeting',
            'realsense',
            'ray',
            'develop',
        )
    )
)
ROS = {tag for tag in DECLARED if not tag.startswith('python3-')}


def third_party() -> set[str]:
    """Top-level names that the package imports from elsewhere."""
    found = set()
    for path in (REPOSITORY / 'hand_pose_ros').rglob('*.py'):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found.update(alias.name.split('.')[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.split('.')[0])
    return found - set(sys.stdlib_module_names) - {'hand_pose_ros'}


@pytest.mark.parametrize('name', sorted(third_party()))
def test_every_import_is_declared(name):
    assert name in RUNTIME | ROS, f'{name} is neither in the requirements nor in package.xml'
    if name in KEYS:
        assert KEYS[name] in DECLARED


def test_every_runtime_requirement_is_imported():
    unused = RUNTIME - third_party() - IMPORTED_BY_OTHERS
    assert not unused, f'nothing imports {sorted(unused)}'


@pytest.mark.parametrize('name', sorted(EXPLAINED_ONES))
def test_every_requirement_has_a_range_and_a_reason(name):
    text = ''.join(path.read_text() for path in (REPOSITORY / 'requirements').glob('*.txt'))
    assert re.search(rf'^{re.escape(name)}[<>=~]', text, re.M), f'{name} has no version'
    assert f'| {name}' in EXPLAINED or f'{name},' in EXPLAINED or f', {name}' in EXPLAINED


@pytest.mark.parametrize('name', sorted(ROS))
def test_every_ros_dependency_has_a_reason(name):
    assert name in EXPLAINED


def test_wheels_are_pinned_exactly():
    for line in (REPOSITORY / 'requirements' / 'ros.txt').read_text().splitlines():
        assert not line.startswith('ros-') or re.fullmatch(r'ros-[\w-]+==[\d.]+', line)
    assert 'torch==2.13.0' in (REPOSITORY / 'requirements' / 'runtime.txt').read_text()
