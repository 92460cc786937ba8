"""The tests that the conformance page names exist."""

import re
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
NAMED = re.findall(
    r'`(tests/[\w/]+\.py)::(test_\w+)`', (REPOSITORY / 'docs' / 'conformance.md').read_text()
)


def test_every_named_test_exists():
    assert len(NAMED) > 50
    missing = [
        f'{file}::{name}'
        for file, name in NAMED
        if not re.search(rf'^def {name}\(', (REPOSITORY / file).read_text(), re.M)
    ]
    assert not missing
