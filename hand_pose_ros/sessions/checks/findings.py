"""What a check found, and how bad it is."""

from dataclasses import dataclass
from typing import Literal, get_args

# ``unusable``: no session can be made of it; ``lossy``: something is missing; ``warning``: look.
Severity = Literal['unusable', 'lossy', 'warning']
SEVERITIES: tuple[Severity, ...] = get_args(Severity)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is not as it should be.

    Attributes:
        severity: how bad it is.
        subject: the stream or topic it is about, empty for the whole bag.
        text: a sentence with the figures and what to do.
    """

    severity: Severity
    subject: str
    text: str
