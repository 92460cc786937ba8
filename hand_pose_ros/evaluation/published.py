"""What others have published, to be shown beside a run: tables and curves with their sources."""

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from hand_pose_ros.evaluation.results import Curve
from hand_pose_ros.resources import asset


@dataclass(frozen=True, kw_only=True)
class PublishedRow:
    """One method.

    Attributes:
        name: of the method.
        values: one per column of the table, None where not published.
    """

    name: str
    values: tuple[float | None, ...]


@dataclass(frozen=True, kw_only=True)
class PublishedTable:
    """Methods on one data set.

    Attributes:
        title: data set and what is compared.
        columns: names with units.
        metrics: per column the name in ``ProtocolResult.headline``.
        rows: methods.
        source: title and reference.
        note: what to know about the numbers; may be empty.
    """

    title: str
    columns: tuple[str, ...]
    metrics: tuple[str, ...]
    rows: tuple[PublishedRow, ...]
    source: str
    note: str


def published_tables(protocol: str) -> tuple[PublishedTable, ...]:
    """Return the tables of a protocol; none for one that nobody has published on."""
    content = _content()
    return tuple(
        PublishedTable(
            title=table['title'],
            columns=tuple(
                f'{column["name"]}, {column["unit"]}' if column['unit'] else column['name']
                for column in table['columns']
            ),
            metrics=tuple(column['metric'] for column in table['columns']),
            rows=tuple(
                PublishedRow(name=row['name'], values=tuple(row['values'])) for row in table['rows']
            ),
            source=_source(content, table['source']),
            note=table['note'],
        )
        for table in content['tables']
        if protocol in table['protocols']
    )  # fmt: skip


def published_curves(protocol: str) -> tuple[Curve, ...]:
    """Return points of published curves: the name is the method and what is counted."""
    return tuple(
        Curve(
            name=f'{curve["method"]}, {curve["name"]}',
            thresholds=np.array(curve['thresholds_mm'], np.float64),
            percent=np.array(curve['percent'], np.float64),
        )
        for curve in _content()['curves']
        if curve['protocol'] == protocol
    )


def _source(content: dict[str, Any], name: str) -> str:
    source = content['sources'][name]
    return f'{source["title"]}, {source["reference"]}'


@cache
def _content() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(asset('published_results.json').read_text('utf-8'))
    return content
