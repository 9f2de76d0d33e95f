"""Demand of a workload: a level that moves, times the shape of a week, with quantiles from days left out.

In logarithms z = ln(demand + c), c a hundredth of its median, a slot of a day is

    z = level + of the weekday + of the slot on such a day + error.

The level is the mean of what the others leave, of recent slots more than of old ones. What a weekday and its slots have of
their own is shrunk towards what all days share: by the variance between weekdays against that within them for the level
(nothing before two weeks are known), by three days' worth for the slots. Quantiles are those of errors at days that neither
the shape nor the level knew, by how many days ahead; the mean is that over the same errors. Demand is never below 0.
"""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from models.forecast import LEVELS_PPM, Forecast
from models.time_grid import TimeGrid
from scenarios.local_clock import DAY_S, Seconds, local_s, seconds
from scenarios.timed import Floats, Timed

NAME = "demand-shape 1"
LEVEL_DAYS = 2.0
"""Half-life of the level."""
SHRUNK_DAYS = 3.0
WEEK = 7
LEAST_DAYS, MOST_DAYS = 5, 120
AHEAD_DAYS = 3
"""Errors are told apart by today, tomorrow, and later."""
Days = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Table:
    """Logarithms of demand by local day and slot of the day; not a number where nothing is known."""

    days: Days
    z: Floats
    offset: float

    @property
    def weekday(self) -> Days:
        """Day of the week, 0 for Monday."""
        return np.asarray((self.days + 3) % WEEK, np.int64)  # 1 January 1970 was a Thursday


@dataclass(frozen=True, eq=False)
class Shape:
    """What a weekday (7) and a slot of it (7 × slots) have beside the level, in logarithms."""

    weekday: Floats
    slot: Floats

    def at(self, days: Days) -> Floats:
        """Return what each slot of some days has beside the level: days × slots."""
        of = (days + 3) % WEEK
        return np.asarray(self.weekday[of][:, None] + self.slot[of], np.float64)


@dataclass(frozen=True, eq=False)
class FittedDemand:
    """A shape, and the errors of forecasts of days left out: one array for each number of days ahead."""

    shape: Shape
    offset: float
    errors: tuple[Floats, ...]
    trained_until: datetime

    def forecast(self, past: Timed, at: datetime, grid: TimeGrid) -> Forecast:
        """Return quantiles of demand over a grid, from what was known at an instant.

        Raises:
            ValueError: a step of the grid is no whole number of the series' steps, or too little is known.
        """
        known = past.known_by(at)
        table = _table(known, self.offset)
        level = _level(table, self.shape, known)
        starts = _pieces(known, grid)
        here = local_s(known.zone, starts)
        days, slot = here // DAY_S, here % DAY_S // known.step_s
        middle = level + self.shape.weekday[(days + 3) % WEEK] + self.shape.slot[(days + 3) % WEEK, slot]
        ahead = np.clip((starts - int(known.starts_s[-1])) // DAY_S, 0, AHEAD_DAYS - 1)
        rows = np.empty((len(LEVELS_PPM) + 2, len(starts)))
        for place, errors in enumerate(self.errors):
            mine = ahead == place
            rows[:-2, mine] = middle[mine] + np.quantile(errors, np.array(LEVELS_PPM) / 1e6)[:, None]
            rows[-2, mine] = middle[mine] + np.log(np.mean(np.exp(errors)))
        rows[:-1] = np.maximum(0.0, np.exp(rows[:-1]) - self.offset)
        rows[-1] = naive(known, starts)
        steps = _by_step(rows, known, grid)
        return Forecast(
            name=past.name, unit=past.unit, issued_at=at, grid=grid, values=tuple(map(tuple, steps[:-2].tolist())),
            mean=tuple(steps[-2].tolist()), model=NAME, trained_until=self.trained_until, yardstick=tuple(steps[-1].tolist()),
        )  # fmt: skip


class DemandShape:
    """The forecaster of one workload's demand."""

    name = NAME

    def fit(self, past: Timed, at: datetime) -> FittedDemand:
        """Return the shape of what was known at an instant, and its errors at days left out.

        Raises:
            ValueError: fewer than five days with three quarters of their slots, or steps that do not divide a day.
        """
        known = past.known_by(at)
        known = known.between(datetime.fromtimestamp(max(0, seconds(at) - MOST_DAYS * DAY_S), at.tzinfo), at)
        if not len(known):
            raise ValueError(f"{past.name}: expected at least {LEAST_DAYS} days known by {at:%Y-%m-%dT%H:%MZ}, got none")
        table = _table(known, _offset(known.values))
        errors = tuple(np.concatenate(found) for found in zip(*(_left_out(table, n) for n in _testable(table)), strict=True))
        return FittedDemand(_shape(table, np.ones(len(table.days), bool)), table.offset, errors, at)


def left_out(past: Timed) -> tuple[Floats, Floats, Floats]:
    """Return what came, quantiles and the naive forecasts of every day, each left out of all that is learnt but the past level.

    Of a day, the shape and the errors are those of all other days, the level and the naive values those before it.
    Returns actual (days × slots), quantiles (levels × days × slots), naive (2 × days × slots): same slot of the day before,
    and of the week before, not a number where nothing is known.
    """
    table = _table(past, _offset(past.values))
    places = _testable(table)
    errors = [_left_out(table, n)[0] for n in places]
    quantiles, naives = [], []
    for place, n in enumerate(places):
        others = np.concatenate([e for other, e in enumerate(errors) if other != place])
        middle = table.z[n] - _errors(table, n, 0)
        levels = np.quantile(others, np.array(LEVELS_PPM) / 1e6)
        quantiles.append(np.maximum(0.0, np.exp(middle[None, :] + levels[:, None]) - table.offset))
        before = [np.flatnonzero(table.days == table.days[n] - back) for back in (1, WEEK)]
        naives.append([np.exp(table.z[b[0]]) - table.offset if len(b) else np.full(table.z.shape[1], np.nan) for b in before])
    return np.exp(table.z[places]) - table.offset, np.stack(quantiles, axis=1), np.stack(naives, axis=1)


def naive(known: Timed, starts: Seconds) -> Floats:
    """Return the value of the same hour a week before, or a day before where that is not known, else the last value."""
    found = np.full(len(starts), np.nan)
    for back in (WEEK, 1, 2, 3):
        missing = np.isnan(found)
        found[missing] = known.at(starts[missing] - back * DAY_S)
    return np.where(np.isnan(found), known.values[-1], found)


def _offset(values: Floats) -> float:
    return float(max(np.median(values) / 100, np.max(values) / 10_000, 1e-9))


def _table(known: Timed, offset: float) -> Table:
    """Return the days that have at least three quarters of their slots; an hour that autumn repeats counts as its mean."""
    if DAY_S % known.step_s:
        raise ValueError(f"{known.name}: expected steps that divide a day, got {known.step_s} s")
    slots = DAY_S // known.step_s
    here = known.local_s
    days, row = np.unique(here // DAY_S, return_inverse=True)
    cell = row * slots + here % DAY_S // known.step_s
    count = np.bincount(cell, minlength=len(days) * slots).astype(np.float64)
    count[count == 0] = np.nan
    mean = np.bincount(cell, np.maximum(0.0, known.values), len(days) * slots) / count
    z = np.log(mean + offset).reshape(len(days), slots)
    whole = np.isfinite(z).mean(axis=1) >= 0.75
    if whole.sum() < LEAST_DAYS:
        raise ValueError(f"{known.name}: expected at least {LEAST_DAYS} days to learn from, got {int(whole.sum())}")
    return Table(days[whole].astype(np.int64), z[whole], offset)


def _shape(table: Table, chosen: NDArray[np.bool_]) -> Shape:
    z, weekday = table.z[chosen], table.weekday[chosen]
    levels = np.nanmean(z, axis=1)
    rest = z - levels[:, None]
    common = np.nan_to_num(np.nanmean(rest, axis=0))
    of_day = np.zeros(WEEK)
    slot = np.tile(common, (WEEK, 1))
    between = _between(levels, weekday)
    for day in np.unique(weekday):
        mine = weekday == day
        of_day[day] = (levels[mine].mean() - levels.mean()) * between[day]
        slot[day] += np.nansum(rest[mine] - common, axis=0) / (np.isfinite(rest[mine]).sum(axis=0) + SHRUNK_DAYS)
    return Shape(of_day, slot)


def _between(levels: Floats, weekday: Days) -> Floats:
    """Return by weekday which share of its distance from the mean is its own: n b / (n b + w), b between and w within."""
    counts = np.bincount(weekday, minlength=WEEK)
    if len(levels) < 2 * WEEK:
        return np.zeros(WEEK)
    means = np.bincount(weekday, levels, WEEK) / np.maximum(counts, 1)
    within = float(((levels - means[weekday]) ** 2).sum() / max(1, len(levels) - WEEK))
    between = max(0.0, float(means[counts > 0].var()) - within * WEEK / len(levels))
    return np.asarray(counts * between / np.maximum(counts * between + within, 1e-12), np.float64)


def _level(table: Table, shape: Shape, known: Timed) -> float:
    """Return the level at the end of what is known, today's slots included."""
    here = known.local_s
    days = here // DAY_S
    beside = shape.weekday[(days + 3) % WEEK] + shape.slot[(days + 3) % WEEK, here % DAY_S // known.step_s]
    age = (here[-1] - here) / DAY_S
    weights = 0.5 ** (age / LEVEL_DAYS)
    return float(np.average(np.log(np.maximum(0.0, known.values) + table.offset) - beside, weights=weights))


def _testable(table: Table) -> Days:
    """The days with two days before them."""
    return np.arange(2, len(table.days))


def _left_out(table: Table, place: int) -> list[Floats]:
    """Return the errors of a day left out, forecast from one, two and three days before."""
    found = [_errors(table, place, back) for back in range(AHEAD_DAYS)]
    return [errors[np.isfinite(errors)] for errors in found]


def _errors(table: Table, place: int, back: int) -> Floats:
    """Return what came less what the days until `back` days before it tell: the shape of all other days, their level."""
    others = np.arange(len(table.days)) != place
    shape = _shape(table, others)
    before = np.flatnonzero(table.days < table.days[place] - back)
    if not len(before):
        return np.full(table.z.shape[1], np.nan)
    left = np.nanmean(table.z[before] - shape.at(table.days[before]), axis=1)
    age = table.days[before[-1]] - table.days[before]
    level = np.average(left, weights=0.5 ** (age / LEVEL_DAYS))
    return np.asarray(table.z[place] - level - shape.at(table.days[place : place + 1])[0], np.float64)


def _pieces(known: Timed, grid: TimeGrid) -> Seconds:
    """Return the starts of the series' steps that a grid is made of."""
    start = seconds(grid.start)
    if any(s % known.step_s for s in grid.step_s) or (start - int(known.starts_s[0])) % known.step_s:
        raise ValueError(f"{known.name}: expected a grid of whole steps of {known.step_s} s, got {sorted(set(grid.step_s))} s")
    return start + known.step_s * np.arange(sum(grid.step_s) // known.step_s, dtype=np.int64)


def _by_step(rows: Floats, known: Timed, grid: TimeGrid) -> Floats:
    counts = np.array(grid.step_s) // known.step_s
    firsts = np.concatenate(([0], np.cumsum(counts)[:-1]))
    return np.asarray(np.add.reduceat(rows, firsts, axis=1) / counts, np.float64)
