"""Reads stored series by the steps of a plan: means of what is averaged, lowest values of what must hold.

What no value covers is either lawful to fill, by a declared rule and counted, or makes the series unusable. Limits are
never unusable: a limit that was told must hold, whatever else is missing.
"""

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from models.base import iso
from models.time_grid import TimeGrid
from service.store.records import SeriesDeclaration, SeriesPoint

MOST_FILLED = 2
"""Longest gap that a declared rule may fill; a longer one makes the series unusable. [intervals]"""


@dataclass(frozen=True)
class ByStep:
    """One value for each step, and how many intervals (of a mean) or steps (of a limit) no point of their own covers."""

    values: tuple[float, ...]
    not_told: int


def means(declaration: SeriesDeclaration, points: Sequence[SeriesPoint], grid: TimeGrid) -> ByStep | str:
    """Return the mean of a series over each step, or in words why it cannot be had.

    Points are complete at the series' resolution (intake writes out what curve type A03 leaves out), by start.
    """
    length = timedelta(seconds=declaration.resolution_s)
    most = MOST_FILLED if declaration.fill == "previous" else 0
    filled, values = 0, []
    for start, step_s in zip(grid.starts, grid.step_s, strict=True):
        total, at, end = 0.0, start, start + timedelta(seconds=step_s)
        while at < end:
            index = bisect.bisect_right(points, at, key=_start) - 1
            gap = (at - points[index].start) // length if index >= 0 else most + 1
            if gap > most:
                return f"series {declaration.name} has no value for {iso(at)}"
            filled += gap > 0
            ahead = min(at + length - (at - points[index].start) % length, end)
            total += points[index].value * (ahead - at).total_seconds()
            at = ahead
        values.append(total / step_s)
    return ByStep(tuple(values), filled)


def lowest(declaration: SeriesDeclaration, points: Sequence[SeriesPoint], grid: TimeGrid) -> ByStep:
    """Return the lowest value that a series has in each step; where it has none, the lower of the values around the gap.

    Arguments as for `means`; `points` hold at least one.
    """
    length = timedelta(seconds=declaration.resolution_s)
    values, held = [], 0
    for start, step_s in zip(grid.starts, grid.step_s, strict=True):
        end = start + timedelta(seconds=step_s)
        first = max(0, bisect.bisect_right(points, start, key=_start) - 1)
        after = bisect.bisect_left(points, end, key=_start)
        around = points[first:after]
        if not _covers(around, start, end, length):
            held += 1
            around = points[first : after + 1]
        values.append(min(point.value for point in around))
    return ByStep(tuple(values), held)


def _covers(points: Sequence[SeriesPoint], start: datetime, end: datetime, length: timedelta) -> bool:
    at = start
    for point in points:
        if point.start > at:
            return False
        at = max(at, point.start + length)
    return at >= end


def _start(point: SeriesPoint) -> datetime:
    return point.start
