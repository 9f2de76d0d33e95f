"""Reads stored series by the steps of a plan: means of what is averaged, lowest values of what must hold.

What no value covers is either lawful to fill, by a declared rule and counted, or makes the series unusable. What comes
after the last value known is a forecast: feeds such as day-ahead prices never reach as far as a plan does. Limits are
never unusable: a limit that was told must hold, whatever else is missing.
"""

import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from models.base import iso
from models.time_grid import TimeGrid
from service.store.series_records import SeriesDeclaration, SeriesPoint

MOST_FILLED = 2
"""Longest gap that a declared rule may fill; a longer one makes the series unusable. [intervals]"""


SURELY_KNOWN = timedelta(hours=1)
"""What must be known of a plan's beginning before the rest may be a forecast."""
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Forecast:
    """Steps that lie beyond what is known: from when on, how many, and by which rule they have values, in words."""

    since: datetime
    steps: int
    rule: str


@dataclass(frozen=True)
class ByStep:
    """One value for each step, and how many intervals (of a mean) or steps (of a limit) no point of their own covers.

    `forecast` is there where a mean had to go beyond the last point.
    """

    values: tuple[float, ...]
    not_told: int
    forecast: Forecast | None = None


@dataclass(frozen=True)
class Model:
    """What a trained model makes of a series after its end: a value for every instant of [since, until), and that in words."""

    since: datetime
    until: datetime
    value: Callable[[datetime], float]
    words: str


def back(declaration: SeriesDeclaration) -> timedelta:
    """Return how long before a grid's start `means` wants points: a day to forecast by, and what may fill a gap."""
    return DAY + timedelta(seconds=declaration.resolution_s) * (MOST_FILLED + 1)


def means(
    declaration: SeriesDeclaration,
    points: Sequence[SeriesPoint],
    grid: TimeGrid,
    model: Callable[[], Model | None] = lambda: None,
) -> ByStep | str:
    """Return the mean of a series over each step, or in words why it cannot be had.

    Points are complete at the series' resolution (intake writes out what curve type A03 leaves out), by start, from `back`
    before the grid on. `model` is asked where they end before the grid does; what it does not cover whole is not taken.
    """
    length, most = timedelta(seconds=declaration.resolution_s), _most_filled(declaration)
    ends = points[-1].start + length if points else grid.start
    if ends < min(grid.start + SURELY_KNOWN, grid.end):
        return f"series {declaration.name} has no value for {iso(max(ends, grid.start))}"
    beyond, rule = _forecast(declaration, points, ends)
    if ends < grid.end and (made := model()) is not None and made.since <= ends and grid.end <= made.until:
        beyond, rule = made.value, made.words
    filled, guessed, values = 0, 0, []
    for start, step_s in zip(grid.starts, grid.step_s, strict=True):
        total, at, end = 0.0, start, start + timedelta(seconds=step_s)
        guessed += end > ends
        while at < end:
            index = bisect.bisect_right(points, at, key=_start) - 1
            gap = (at - points[index].start) // length if index >= 0 else most + 1
            if at < ends and gap > most:
                return f"series {declaration.name} has no value for {iso(at)}"
            filled += gap > 0 and at < ends
            ahead = min(at + length - (at - points[index].start) % length, end)
            value = points[index].value if at < ends else beyond(at)
            total += value * (ahead - at).total_seconds()
            at = ahead
        values.append(total / step_s)
    return ByStep(tuple(values), filled, Forecast(ends, guessed, rule) if guessed else None)


def _most_filled(declaration: SeriesDeclaration) -> int:
    return MOST_FILLED if declaration.fill == "previous" else 0


def _forecast(
    declaration: SeriesDeclaration, points: Sequence[SeriesPoint], ends: datetime
) -> tuple[Callable[[datetime], float], str]:
    """Return what a series is taken to be after its end, and that rule in words.

    It is what it was in the same local hour of its last day, where all of that is known, else its last value. In days of
    a clock change, an hour that there was twice counts as it was last, one that there was not takes the hour before it.
    """
    length, zone = timedelta(seconds=declaration.resolution_s), ZoneInfo(declaration.zone)
    last = [point for point in points if point.start + length > ends - DAY]
    longest = timedelta(seconds=declaration.resolution_s * (_most_filled(declaration) + 1))
    if last[0].start > ends - DAY or any(b.start - a.start > longest for a, b in pairwise(last)):
        return lambda _: points[-1].value, f"the last value known, {points[-1].value:g}"
    by_clock = {_second_of_day(point.start, zone): point.value for point in last}
    seconds = sorted(by_clock)

    def same_hour(at: datetime) -> float:
        return by_clock[seconds[bisect.bisect_right(seconds, _second_of_day(at, zone)) - 1]]

    return same_hour, f"the value of the same hour in {declaration.zone} of the last 24 h known"


def _second_of_day(instant: datetime, zone: ZoneInfo) -> int:
    local = instant.astimezone(zone)
    return local.hour * 3600 + local.minute * 60 + local.second


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
