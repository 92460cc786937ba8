"""What every protocol returns: tables, curves and headline figures with their conditions."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One measure.

    Attributes:
        name: what it is, with its conditions.
        unit: of the values; empty for numbers without one.
        values: one per column of the table; NaN where nothing was compared.
        digits: after the decimal point.
    """

    name: str
    unit: str
    values: tuple[float, ...]
    digits: int = 2


@dataclass(frozen=True, kw_only=True)
class Table:
    """Measures by column, such as left hand, right hand and both."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Curve:
    """A share over error thresholds.

    Attributes:
        name: what is counted.
        thresholds: (T,) mm.
        percent: (T,).
    """

    name: str
    thresholds: Array
    percent: Array


@dataclass(frozen=True, kw_only=True, eq=False)
class ProtocolResult:
    """The outcome of one protocol.

    Attributes:
        protocol: its name.
        title: for people.
        conditions: what the numbers depend on, by name: grids, constants, counts.
        headline: the figures that papers publish, by metric, mm or px.
        tables: all figures.
        curves: success or PCK curves.
        joints: mean error per joint by name, mm; NaN where nothing was compared.
        joints_space: what these errors are relative to.
        comparable: whether published results of this protocol are on the same data.
    """

    protocol: str
    title: str
    conditions: dict[str, str]
    headline: dict[str, float]
    tables: tuple[Table, ...]
    curves: tuple[Curve, ...]
    joints: dict[str, float]
    joints_space: str = 'camera frame'
    comparable: bool = True

    def as_dict(self) -> dict[str, Any]:
        """Everything, fit for JSON: NaN becomes None."""
        return {
            'protocol': self.protocol,
            'title': self.title,
            'conditions': self.conditions,
            'headline': {name: finite(value) for name, value in self.headline.items()},
            'tables': [
                {
                    'title': table.title,
                    'columns': list(table.columns),
                    'rows': [
                        {
                            'name': row.name,
                            'unit': row.unit,
                            'values': [finite(value) for value in row.values],
                        }
                        for row in table.rows
                    ],
                }
                for table in self.tables
            ],
            'curves': [
                {
                    'name': curve.name,
                    'thresholds_mm': [finite(value) for value in curve.thresholds],
                    'percent': [finite(value) for value in curve.percent],
                }
                for curve in self.curves
            ],
            'joints_mm': {name: finite(value) for name, value in self.joints.items()},
        }


def finite(value: float) -> float | None:
    """The number, or None if it is not one."""
    return float(value) if np.isfinite(value) else None
