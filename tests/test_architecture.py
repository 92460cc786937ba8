"""The rules of the house, checked on the source: floors, ROS, circles, documentation, sizes."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGE = REPOSITORY / 'hand_pose_ros'
MODULES = sorted(PACKAGE.rglob('*.py'))
FLOORS = {
    'cli': 9,
    'review': 8,
    'ros': 7,
    'annotation': 7,
    'exporting': 7,
    'calibration': 6,
    'estimators': 6,
    'cameras': 6,
    'training': 6,
    'simulation': 5,
    'networks': 5,
    'datasets': 4,
    'evaluation': 4,
    'sessions': 3,
    'rig': 2,
    'hand_model': 2,
    'bags': 2,
    'geometry': 1,
    'resources': 1,
    'skeleton': 0,
    'errors': 0,
    'interrupts': 0,
    'inert_pickle': 0,
    'whole_file': 0,
}
ROS_PACKAGES = {
    'action_msgs', 'ament_index_python', 'builtin_interfaces', 'cv_bridge', 'diagnostic_msgs',
    'diagnostic_updater', 'geometry_msgs', 'launch', 'launch_ros', 'lifecycle_msgs',
    'message_filters', 'rcl_interfaces', 'rclpy', 'rosbag2_py', 'rosgraph_msgs',
    'rosidl_runtime_py', 'sensor_msgs', 'sensor_msgs_py', 'shape_msgs', 'std_msgs', 'std_srvs',
    'tf2_geometry_msgs', 'tf2_msgs', 'tf2_ros', 'visualization_msgs',
}  # fmt: skip
MOST_LINES = 600


def name_of(path: Path) -> str:
    relative = path.relative_to(REPOSITORY).with_suffix('')
    return '.'.join(part for part in relative.parts if part != '__init__')


NAMES = {name_of(path): path for path in MODULES}


def room(name: str) -> str:
    return name.split('.')[1] if '.' in name else ''


def imports(tree: ast.AST) -> Iterator[str]:
    """Full names of everything a module imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f'line {node.lineno}: a relative import'
            yield from (f'{node.module}.{alias.name}' for alias in node.names)


def own_modules(path: Path, tree: ast.AST | None = None) -> set[str]:
    """Names of the modules of this package that a module imports."""
    found = set()
    for name in imports(tree or ast.parse(path.read_text())):
        if name.split('.')[0] != 'hand_pose_ros':
            continue
        while name not in NAMES and '.' in name:
            name = name.rpartition('.')[0]
        found.add(name)
    return found - {name_of(path)}


def outside_functions(tree: ast.Module) -> ast.Module:
    """The module without the bodies of functions: what importing it runs."""

    class Emptied(ast.NodeTransformer):
        def visit_FunctionDef(self, node):
            return None

        visit_AsyncFunctionDef = visit_FunctionDef

    return Emptied().visit(tree)


def public(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    """Public functions, classes and methods of public classes."""
    nodes = list(tree.body)
    while nodes:
        node = nodes.pop(0)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            if node.name.startswith('_'):
                continue
            yield node
            if isinstance(node, ast.ClassDef):
                nodes.extend(node.body)


every_module = pytest.mark.parametrize('path', MODULES, ids=[name_of(path) for path in MODULES])


@every_module
def test_rooms_import_only_from_floors_below(path):
    own = room(name_of(path))
    if not own:
        return
    for name in own_modules(path):
        other = room(name)
        if other not in ('', own):
            assert FLOORS[other] < FLOORS[own], f'floor {FLOORS[own]} imports {name}'


@every_module
def test_only_the_ros_room_imports_ros(path):
    name = name_of(path)
    if room(name) == 'ros':
        return
    used = {imported.split('.')[0] for imported in imports(ast.parse(path.read_text()))}
    assert not used & ROS_PACKAGES
    generated = {'hand_pose_ros.msg', 'hand_pose_ros.srv'}
    assert not any(i.startswith(tuple(generated)) for i in imports(ast.parse(path.read_text())))


@every_module
def test_the_ros_room_is_imported_only_when_it_is_needed(path):
    if room(name_of(path)) in ('ros', ''):
        return
    eager = own_modules(path, outside_functions(ast.parse(path.read_text())))
    assert not any(room(name) == 'ros' for name in eager)


def test_no_import_circles():
    uses = {name: own_modules(path) for name, path in NAMES.items()}
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, ' -> '.join((*way[way.index(name) :], name))
        if name not in done:
            for other in sorted(uses[name]):
                visit(other, (*way, name))
            done.add(name)

    for name in NAMES:
        visit(name, ())


@every_module
def test_public_api_is_documented_and_annotated(path):
    tree = ast.parse(path.read_text())
    documentation = ast.get_docstring(tree)
    assert documentation, 'the module has no docstring'
    for node in public(tree):
        overload = any('overload' in ast.dump(decorator) for decorator in node.decorator_list)
        assert ast.get_docstring(node) or overload, f'{node.name} has no docstring'
        if isinstance(node, ast.ClassDef):
            continue
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        arguments += [a for a in (node.args.vararg, node.args.kwarg) if a is not None]
        bare = [a.arg for a in arguments if a.annotation is None and a.arg not in ('self', 'cls')]
        assert not bare, f'{node.name}: {bare} have no type'
        assert node.returns is not None, f'{node.name} has no return type'


@every_module
def test_modules_are_short(path):
    assert len(path.read_text().splitlines()) <= MOST_LINES


def test_modules_are_short_in_the_middle():
    lengths = sorted(len(path.read_text().splitlines()) for path in MODULES)
    assert lengths[len(lengths) // 2] < 150


@pytest.mark.parametrize('path', sorted(REPOSITORY.glob('msg/*.msg')), ids=lambda path: path.stem)
def test_every_message_field_is_commented(path):
    lines = path.read_text().splitlines()
    assert lines[0].startswith('# '), 'the message itself has no comment'
    for above, line in zip(['', *lines], lines, strict=False):
        constant = re.fullmatch(r'\S+ [A-Z][A-Z0-9_]* *=.*', line)
        if line and not line.startswith('#') and not constant:
            assert above.startswith('#') or '#' in line, f'{line!r} has no comment'


def test_the_version_is_the_same_everywhere():
    import hand_pose_ros

    stated = re.search(r'<version>(.*)</version>', (REPOSITORY / 'package.xml').read_text())
    assert stated is not None
    assert stated[1] == hand_pose_ros.__version__


def test_every_room_imports_without_ros():
    """Modules outside of ros/ import where no ROS package exists."""
    import subprocess
    import sys

    names = [name for name in NAMES if room(name) != 'ros']
    program = f"""
import importlib, sys
class NoRos:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in {sorted(ROS_PACKAGES)!r}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, NoRos())
for name in {names!r}:
    importlib.import_module(name)
"""
    result = subprocess.run(
        [sys.executable, '-c', program],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-2000:]
