"""Measurements as values, printed as a table and kept as JSON."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One figure, what it is compared with in the same run, and the ratio to the first of those."""

    name: str
    value: float
    unit: str
    beside: dict[str, float] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        first = next(iter(self.beside.values()), None)
        return self.value / first if first else None


def show(measurements: Iterable[Measurement]) -> None:
    """Print the table."""
    table = Table("measurement", "value", "beside", "ratio")
    for one in measurements:
        beside = "\n".join(f"{name} {value:,.4g}" for name, value in one.beside.items())
        ratio = "" if one.ratio is None else f"{one.ratio:.2f}"
        table.add_row(one.name, f"{one.value:,.4g} {one.unit}", beside, ratio)
    Console().print(table)


def keep(measurements: Iterable[Measurement], path: Path) -> None:
    """Write the figures: name → value, unit, beside, ratio; those of earlier runs stay until measured again."""
    known = json.loads(path.read_text()) if path.exists() else {}
    for one in measurements:
        known[one.name] = {"value": one.value, "unit": one.unit, "beside": one.beside, "ratio": one.ratio}
    path.write_text(json.dumps(known, indent=2) + "\n")
