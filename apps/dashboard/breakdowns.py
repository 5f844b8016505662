"""Tables of figures by the groups of a dimension, and of who reviews how much."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from apps.dashboard.team_sections import NAMES_OF_GROUPS, Breakdown
from apps.metrics.figures import FIGURES, Asked, Figure, FigureQuery, read_figures
from apps.metrics.figures.figure_reader import figures_for
from apps.metrics.figures.figure_result import Group
from apps.metrics.figures.formatting import as_words
from apps.metrics.figures.suppression import least_of, suppressed_parts, words_of
from apps.metrics.review_pairs import ReviewPair, read_review_pairs

MOST_ROWS = 30
TOO_FEW = "too few"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """The value of a figure in a group, and of how many rows."""

    words: str
    value: float | None
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A group with its figures."""

    key: str
    name: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The figures of a breakdown by group, those with the most rows first."""

    breakdown: Breakdown
    figures: tuple[Figure, ...]
    rows: tuple[Row, ...]
    further: int
    suppressed: str = ""
    """Why some values are not shown."""


def read_table(query: FigureQuery, breakdown: Breakdown) -> Table | None:
    """Return the table; None if there is nothing to compare."""
    fitting = {one.key for one in figures_for(query, keys=None, group_by=breakdown.dimension)}
    keys = [key for key in breakdown.keys if key in fitting]
    if not keys:
        return None
    readings = read_figures(query, keys=keys, asked=Asked(group_by=breakdown.dimension))
    by_figure = [{group.key: group for group in reading.groups or ()} for reading in readings]
    counts: dict[str, int] = {}
    names: dict[str, str] = {}
    for groups in by_figure:
        for key, group in groups.items():
            counts[key] = max(group.n, counts.get(key, 0))
            names[key] = NAMES_OF_GROUPS.get(breakdown.dimension, {}).get(key) or group.name or key
    if len(counts) < 2:  # noqa: PLR2004  one group is the whole
        return None
    order = sorted(counts, key=lambda key: (-counts[key], names[key]))
    figures = tuple(FIGURES[key] for key in keys)
    rows = (
        Row(
            key=key,
            name=names[key],
            cells=tuple(_cell(groups.get(key), figure) for groups, figure in zip(by_figure, figures, strict=True)),
        )
        for key in order[:MOST_ROWS]
    )
    is_suppressed = any(group.is_suppressed for groups in by_figure for group in groups.values())
    return Table(
        breakdown=breakdown,
        figures=figures,
        rows=tuple(rows),
        further=max(0, len(order) - MOST_ROWS),
        suppressed=words_of(least_of(query)) if is_suppressed else "",
    )


def _cell(group: Group | None, figure: Figure) -> Cell:
    if group is None:
        return Cell(words=as_words(None, unit=figure.unit), value=None, n=0)
    words = TOO_FEW if group.is_suppressed else as_words(group.value, unit=figure.unit)
    return Cell(words=words, value=group.value, n=group.n)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewer:
    """An account with its reviews, and of whose pull requests they were."""

    login: str
    n: int
    share: float
    authors: tuple[tuple[str, int], ...]

    def without_few(self, least: int) -> "Reviewer":
        """Return the reviewer without the authors of whom they reviewed little."""
        hidden = suppressed_parts(dict(self.authors), least=least)
        return replace(self, authors=tuple(one for one in self.authors if one[0] not in hidden))

    @property
    def percent(self) -> str:
        return f"{self.share:.0%}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewLoad:
    """Who reviewed how much; only those who may see figures of people have the reviewers."""

    is_visible: bool
    reviewers: tuple[Reviewer, ...] = ()
    further: int = 0
    suppressed: str = ""
    """Why some reviewers are not shown."""


def read_review_load(query: FigureQuery, *, may_see_people: bool) -> ReviewLoad:
    """Return the reviewers, those with the most reviews first, as far as the user may see figures of people."""
    if not may_see_people or "reviews" not in {one.key for one in figures_for(query, keys=None)}:
        return ReviewLoad(is_visible=may_see_people)
    everybody = sorted(_reviewers(read_review_pairs(query)), key=lambda one: (-one.n, one.login))
    least = least_of(query)
    hidden = suppressed_parts({one.login: one.n for one in everybody}, least=least)
    reviewers = [one.without_few(least) for one in everybody if one.login not in hidden]
    return ReviewLoad(
        is_visible=True,
        reviewers=tuple(reviewers[:MOST_ROWS]),
        further=max(0, len(reviewers) - MOST_ROWS),
        suppressed=words_of(least) if hidden else "",
    )


def _reviewers(pairs: Sequence[ReviewPair]) -> list[Reviewer]:
    authors: dict[str, list[tuple[str, int]]] = {}
    for pair in pairs:
        authors.setdefault(pair.reviewer, []).append((pair.author, pair.n))
    total = sum(pair.n for pair in pairs)
    counts = {login: sum(n for _, n in found) for login, found in authors.items()}
    return [
        Reviewer(login=login, n=counts[login], share=counts[login] / total, authors=tuple(found))
        for login, found in authors.items()
    ]
