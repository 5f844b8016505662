"""Measurements as values, printed as a table, kept as JSON and written into docs/performance.md."""

import json
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "performance.md"
FIGURES = DOCUMENT.with_name("performance.json")
_TABLE = re.compile(r"(<!-- table of the benchmarks -->\n).*?(<!-- end of the table -->)", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One figure, its rounds, what it is compared with in the same run, and the ratio to the first of those."""

    name: str
    value: float
    unit: str
    beside: dict[str, float] = field(default_factory=dict)
    rounds: tuple[float, ...] = ()

    @property
    def ratio(self) -> float | None:
        first = next(iter(self.beside.values()), None)
        return self.value / first if first else None

    def as_json(self) -> dict[str, Any]:
        """Return what bench.json says of it; `min`, `max` and `rounds` only where there was more than one round."""
        spread = {"min": min(self.rounds), "max": max(self.rounds), "rounds": len(self.rounds)} if self.rounds else {}
        return {"value": self.value, "unit": self.unit, "beside": self.beside, "ratio": self.ratio, **spread}


def median_of(name: str, rounds: Sequence[float], *, unit: str, beside: dict[str, float] | None = None) -> Measurement:
    """Return the median of several rounds as a measurement."""
    value = statistics.median(rounds)
    return Measurement(name=name, value=value, unit=unit, beside=beside or {}, rounds=tuple(rounds))


def show(measurements: Iterable[Measurement]) -> None:
    """Print the table."""
    table = Table("measurement", "value", "min to max", "beside", "ratio")
    for one in measurements:
        table.add_row(*_cells(one.name, one.as_json(), separator="\n"))
    Console().print(table)


def keep(measurements: Iterable[Measurement], path: Path) -> None:
    """Write the figures; those of earlier runs stay until they are measured again."""
    known = json.loads(path.read_text()) if path.exists() else {}
    known |= {one.name: one.as_json() for one in measurements}
    path.write_text(json.dumps(known, indent=2) + "\n")


def as_document(figures: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the figures of a bench.json as a table in Markdown."""
    rows = [("measurement", "value", "min to max", "beside", "ratio"), ("---",) * 5]
    rows += [_cells(name, one, separator="; ") for name, one in figures.items()]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in rows)


def document(figures: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the figures into docs/performance.md, between its markers, and beside it as they are."""
    FIGURES.write_text(json.dumps(figures, indent=2) + "\n")
    table = as_document(figures)
    DOCUMENT.write_text(_TABLE.sub(lambda found: found[1] + table + found[2], DOCUMENT.read_text()))


def _cells(name: str, one: Mapping[str, Any], *, separator: str) -> tuple[str, ...]:
    spread = f"{_short(one['min'])} to {_short(one['max'])} ({one['rounds']} rounds)" if "rounds" in one else ""
    beside = separator.join(f"{other} {_short(value)}" for other, value in one["beside"].items())
    ratio = "" if one["ratio"] is None else f"{one['ratio']:.2f}"
    return name, f"{_short(one['value'])} {one['unit']}", spread, beside, ratio


def _short(value: float) -> str:
    """Return a number with three digits that mean something."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"  # noqa: PLR2004
