"""What is known of a series at an instant, as days that begin at the first step that is not known yet.

The rows of a `Cut` are local days of 24 h that all begin at the time of day of the first unknown step, so that the row before
that step is the newest 24 h, whatever the hour a forecast is made at, and whether a market tells its prices step by step or
a day ahead at noon. Columns are the steps of such a day. The hour that autumn repeats is one column and takes the mean of
both; the one that spring leaves out is not a number. Row 0 is the day to be forecast, row -1 the last known.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Self

import numpy as np

from models.time_grid import TimeGrid
from scenarios.local_clock import DAY_S, Seconds, instant, local_s, seconds
from scenarios.timed import Floats, Timed

WEEK = 7
MOST_ROWS = 9
"""Furthest row that is forecast: a week and what a late source lacks."""


@dataclass(frozen=True, eq=False)
class Beside:
    """Another series on the same rows, and how many steps after the first unknown one are known of it already."""

    name: str
    values: Floats
    known_steps: int


@dataclass(frozen=True, eq=False)
class Cut:
    """Rows of days up to row 0, which holds nothing.

    cut_s: time of the day at which rows begin. base: days since 1970 of row 0. y: (known rows + 1) × slots. beside: the same
    rows and MOST_ROWS more. until: the first step that is not known. lowest, highest: range of all that is known.
    """

    zone: str
    step_s: int
    cut_s: int
    base: int
    y: Floats
    beside: tuple[Beside, ...]
    until: datetime
    lowest: float
    highest: float

    @classmethod
    def of(cls, known: Timed, beside: Sequence[Timed], window_days: int, cut_s: int | None = None) -> Self:
        """Return the rows of what is known, at most `window_days` of them and a week for their lags.

        cut_s: where rows are to begin; at the first unknown step if it is not given.

        Raises:
            ValueError: nothing is known.
        """
        if not len(known):
            raise ValueError(f"{known.name}: expected prices known before the forecast, got none")
        until_s = int(known.starts_s[-1]) + known.step_s
        wall = int(local_s(known.zone, np.array([until_s]))[0])
        cut_s = wall % DAY_S if cut_s is None else cut_s
        base = (wall - cut_s) // DAY_S
        first = max(base - window_days - WEEK, int(_wall(known)[0] - cut_s) // DAY_S)
        y = _rows(known, cut_s, first, base - first + 1)
        y[-1] = np.nan
        others = []
        for one in beside:
            if len(one):
                end = int(local_s(known.zone, one.starts_s[-1:])[0]) + one.step_s
                steps = max(0, (end - (base * DAY_S + cut_s)) // known.step_s)
                others.append(Beside(one.name, _rows(one, cut_s, first, len(y) + MOST_ROWS, known.zone), steps))
        extent = float(known.values.min()), float(known.values.max())
        return cls(known.zone, known.step_s, cut_s, base, y, tuple(others), instant(until_s), *extent)

    def place(self, starts_s: Seconds) -> tuple[Seconds, Seconds]:
        """Return the rows, counted from row 0, and the columns of instants."""
        wall = local_s(self.zone, starts_s) - self.cut_s
        return wall // DAY_S - self.base, wall % DAY_S // self.step_s

    @cached_property
    def lags(self) -> Floats:
        """The rows, where a missing step takes the value of the same step of the nearest of the seven days before."""
        return filled(self.y)

    @property
    def weekdays(self) -> Seconds:
        """Day of the week of each row, 0 for Monday."""
        return np.asarray((np.arange(len(self.y)) + self.base - len(self.y) + 1 + 3) % WEEK, np.int64)

    @property
    def years(self) -> Floats:
        """How much of its year each row begins at, in turns."""
        return np.asarray((np.arange(len(self.y)) + self.base - len(self.y) + 1) % 365.2425 / 365.2425, np.float64)


def known_parts(past: Timed, at: datetime, step_s: int) -> Timed:
    """Return what of a series was known at an instant, in steps of `step_s`; finer ones as their means."""
    known = past.known_by(at)
    return known if known.step_s >= step_s else known.means(step_s)


def steps_of(grid: TimeGrid, name: str, step_s: int) -> Seconds:
    """Return the starts of a grid's steps.

    Raises:
        ValueError: a step reaches over the end of a step of the series.
    """
    starts_s = seconds(grid.start) + np.array(grid.offset_s[:-1], np.int64)
    across = starts_s % step_s + np.array(grid.step_s) > step_s
    if across.any():
        at = grid.starts[int(across.argmax())]
        raise ValueError(
            f"{name}: expected steps that lie inside the {step_s} s steps of its forecast, got one over the end at {at}"
        )
    return starts_s


def shifted(rows: Floats, by: int) -> Floats:
    """Return rows moved down by some days: what stood in row i - by stands in row i."""
    return np.vstack([np.full((by, rows.shape[1]), np.nan), rows[: len(rows) - by]]) if by else rows


def filled(rows: Floats) -> Floats:
    """Return rows whose missing values are those of the same column in the nearest of the seven rows before."""
    found = rows.copy()
    for by in range(1, WEEK + 1):
        found = np.where(np.isnan(found), shifted(rows, min(by, len(rows))), found)
    return found


def _wall(series: Timed) -> Seconds:
    return local_s(series.zone, series.starts_s[:1])


def _rows(series: Timed, cut_s: int, first: int, count: int, zone: str = "") -> Floats:
    late = series.starts_s >= first * DAY_S - 2 * DAY_S  # a margin for zones and cuts
    starts_s, values = series.starts_s[late], series.values[late]
    wall = local_s(zone or series.zone, starts_s) - cut_s
    slots = DAY_S // series.step_s
    place = (wall // DAY_S - first) * slots + wall % DAY_S // series.step_s
    inside = (place >= 0) & (place < count * slots)
    sums = np.bincount(place[inside], values[inside], count * slots)
    counts = np.bincount(place[inside], minlength=count * slots)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan).reshape(count, slots)
