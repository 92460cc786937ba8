"""The documentation: links lead somewhere, examples run, commands and options exist."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from hand_pose_ros.cli.main import parser

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = sorted([*REPOSITORY.glob('*.md'), *REPOSITORY.glob('docs/**/*.md')])
every_page = pytest.mark.parametrize('page', PAGES, ids=[page.stem for page in PAGES])


def blocks(page: Path, *languages: str) -> Iterator[str]:
    """Fenced blocks of a page in one of some languages."""
    for language, text in re.findall(r'^```(\w+)\n(.*?)^```', page.read_text(), re.M | re.S):
        if language in languages:
            yield text


def commands(page: Path) -> Iterator[str]:
    """Shell commands of a page, continued lines joined, without comments and prompts."""
    for text in blocks(page, 'bash', 'sh', 'console', 'shell'):
        for line in text.replace('\\\n', ' ').splitlines():
            command = line.removeprefix('$ ').split(' #')[0].strip()
            if command and not command.startswith('#'):
                yield command


def anchor(heading: str) -> str:
    """The name under which a heading can be linked."""
    return re.sub(r'[^\w\- ]', '', heading.strip().lower()).replace(' ', '-')


@every_page
def test_links_lead_to_files_and_headings(page):
    text = re.sub(r'^```.*?^```', '', page.read_text(), flags=re.M | re.S)
    for target in re.findall(r'\]\(([^)\s]+)\)', text):
        if target.startswith(('http://', 'https://', 'mailto:')):
            continue
        name, _, heading = target.partition('#')
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), f'{target} does not exist'
        if heading and file.suffix == '.md':
            headings = re.findall(r'^#+ (.*)$', file.read_text(), re.M)
            assert heading in map(anchor, headings), f'{target}: there is no such heading'


@every_page
def test_paths_in_backticks_exist(page):
    for path in re.findall(
        r'`((?:docs|config|launch|tests|benchmarks)/[\w./-]+\.\w+)`', page.read_text()
    ):
        assert (REPOSITORY / path).exists(), f'{path} does not exist'


@every_page
def test_python_examples_run(page, tmp_path):
    program = '\n'.join(blocks(page, 'python'))
    if not program:
        return
    result = subprocess.run(
        [sys.executable, '-c', program],
        cwd=tmp_path,
        env={**os.environ, 'PYTHONPATH': str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-2000:]


@every_page
def test_yaml_and_json_examples_are_well_formed(page):
    for text in blocks(page, 'yaml'):
        assert yaml.safe_load(text) is not None
    for text in blocks(page, 'json'):
        json.loads(text)


@every_page
def test_hand_pose_commands_have_these_verbs_and_options(page):
    for command in commands(page):
        words = shlex.split(command.split('|')[0].split('&&')[-1])
        if words and Path(words[0]).name == 'hand-pose' and '--help' not in words:
            try:
                parser().parse_args(words[1:])
            except SystemExit:
                pytest.fail(f'{command!r} is not accepted')


@every_page
def test_make_commands_exist(page):
    targets = re.findall(r'^(\w+):', (REPOSITORY / 'Makefile').read_text(), re.M)
    used = re.findall(r'`make (\w+)[^`]*`', page.read_text())
    used += [command.split()[1] for command in commands(page) if command.startswith('make ')]
    assert set(used) <= set(targets)


def test_every_page_is_reachable_from_the_index():
    index = (REPOSITORY / 'docs' / 'index.md').read_text()
    pages = {page.name for page in PAGES if page.parent.name == 'docs'} - {'index.md'}
    missing = [name for name in sorted(pages) if f'({name}' not in index]
    assert not missing, f'docs/index.md does not link {missing}'
