"""Figures: one definition each, computed when they are read from the derived rows.

query = FigureQuery(team=team, window=Window.last(30, time_zone=team.time_zone))
read_figure("cycle_time", query).median
list_entities("cycle_time", query, limit=50)
"""

from apps.metrics.figures.entities import Entity, list_entities
from apps.metrics.figures.figure import Figure
from apps.metrics.figures.figure_query import FigureQuery
from apps.metrics.figures.figure_reader import Asked, read_figure, read_figures
from apps.metrics.figures.figure_result import FigureReading
from apps.metrics.figures.filter_values import AI, Attribution, Bots, Hours
from apps.metrics.figures.registry import FIGURES, UnknownFigureError, figure_of
from apps.metrics.figures.windows import Granularity, Window

__all__ = [
    "AI",
    "FIGURES",
    "Asked",
    "Attribution",
    "Bots",
    "Entity",
    "Figure",
    "FigureQuery",
    "FigureReading",
    "Granularity",
    "Hours",
    "UnknownFigureError",
    "Window",
    "figure_of",
    "list_entities",
    "read_figure",
    "read_figures",
]
