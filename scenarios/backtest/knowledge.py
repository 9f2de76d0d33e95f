"""What a window sees of what is yet to come: as it came, by plain rules, or by trained models.

Whoever is asked gets the instant at which the window begins, and reads the past through `known_by` of that instant: the price
of the step that begins is not known yet where it is a real-time one. What is declared beforehand (limits, exchange rates,
emissions of the grid) is known to all.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import numpy as np

from models.base import iso
from models.outlook import Outlook
from models.problem import Problem
from models.state import State
from models.time_grid import TimeGrid
from scenarios.backtest.history import AHEAD, AMBIENT, DEMAND, HASHPRICE, PRICE, History
from scenarios.backtest.records import KnowledgeKind, StandInReason
from scenarios.local_clock import DAY_S, Seconds, seconds
from scenarios.rolling import See, window
from scenarios.timed import Floats, Timed

WEEK_S = 7 * DAY_S
MOST_SEASONS = 6
"""How far back a value of the same hour is looked for, beyond the length of the window."""
LEAST_USD_PER_MWH, MOST_USD_PER_MWH = -20_000.0, 20_000.0

StoodIn = Mapping[str, tuple[StandInReason, str]]
"""By name of the series in the history's past, why a plain rule told it in place of a model, and in words."""


@dataclass(frozen=True)
class Families:
    """The uncertain series of a window, by name and step; and which of them a plain rule told in place of a model."""

    prices_usd_per_mwh: Mapping[str, tuple[float, ...]]
    hashprice_usd_per_ph_day: tuple[float, ...]
    demand_work_per_h: Mapping[str, tuple[int, ...]]
    ambient_c: Mapping[str, tuple[float, ...]]
    stood_in: StoodIn = field(default_factory=dict)


class Knowledge(Protocol):
    """Who says what a window sees."""

    @property
    def kind(self) -> KnowledgeKind:
        """By which a specification asks for it."""

    @property
    def words(self) -> str:
        """What it is, for people."""

    def families(self, history: History, first: int, steps: int) -> Families:
        """Return what a window of so many steps, from the step `first` of the history on, sees.

        Raises:
            ValueError: nothing is known of a series that could stand for its future.
        """


class Perfect:
    """Sees what came."""

    kind: KnowledgeKind = "perfect"
    words = "every window sees what came"

    def families(self, history: History, first: int, steps: int) -> Families:
        """Return the window of the history itself."""
        problem, part = history.problem, slice(first, first + steps)
        return Families(
            {name: values[part] for name, values in problem.prices_usd_per_mwh.items()},
            problem.hashprice_usd_per_ph_day[part],
            {name: values[part] for name, values in problem.demand_work_per_h.items()},
            {name: values[part] for name, values in problem.ambient_c.items()},
        )


class Naive:
    """Plain rules: published prices where they are out, else the same hour of the day before; demand as a week ago.

    Day-ahead prices stand for real-time ones. The temperature is that of the same hour yesterday, the hashprice the last known.
    """

    kind: KnowledgeKind = "naive"
    words = (
        "day-ahead prices where they are published, else the same hour of the day before; demand of the same hour last week; "
        "the last hashprice; the temperature of the same hour yesterday"
    )

    def families(self, history: History, first: int, steps: int) -> Families:
        """Return what the rules make of what was known when the window begins."""
        grid = part_of(history.problem.grid, first, steps)
        return Families(
            {name: as_tuple(self.price(history, name, grid)) for name in history.problem.prices_usd_per_mwh},
            as_tuple(self.hashprice(history, grid)),
            {name: as_work(self.demand(history, name, grid)) for name in history.problem.demand_work_per_h},
            {name: as_tuple(self.ambient(history, name, grid)) for name in history.problem.ambient_c},
        )

    def price(self, history: History, name: str, grid: TimeGrid) -> Floats:
        """Return the price of an index by step."""
        real, starts = history.past[PRICE + name].known_by(grid.start), starts_of(grid)
        found = real.at(starts)  # a day-ahead market's own price may be out already
        if (ahead := history.past.get(AHEAD + name)) is not None:
            told = ahead.known_by(grid.start).at(starts)
            found = np.where(np.isnan(found), told, found)
        return _filled(found, real, starts, DAY_S, grid.start)

    def hashprice(self, history: History, grid: TimeGrid) -> Floats:
        """Return the hashprice by step."""
        return np.full(grid.steps, _last(history.past[HASHPRICE].known_by(grid.start), grid.start))

    def demand(self, history: History, name: str, grid: TimeGrid) -> Floats:
        """Return the demand of a workload by step."""
        starts, known = starts_of(grid), history.past[DEMAND + name].known_by(grid.start)
        return _filled(np.full(grid.steps, np.nan), known, starts, WEEK_S, grid.start)

    def ambient(self, history: History, name: str, grid: TimeGrid) -> Floats:
        """Return the temperature by step."""
        starts, known = starts_of(grid), history.past[AMBIENT + name].known_by(grid.start)
        return _filled(np.full(grid.steps, np.nan), known, starts, DAY_S, grid.start)


def see_through(history: History, knowledge: Knowledge, note: Callable[[int, StoodIn], None] = lambda *_: None) -> See:
    """Return how a run over a history sees its windows by some knowledge.

    note: told of each window, from which step on and what a plain rule told of it in place of a model.
    """

    def see(first: int, steps: int, state: State, outlook: Mapping[str, Outlook]) -> Problem:
        known = knowledge.families(history, first, steps)
        note(first, known.stood_in)
        return window(history.problem, first, steps, state, outlook).model_copy(
            update={
                "prices_usd_per_mwh": dict(known.prices_usd_per_mwh),
                "hashprice_usd_per_ph_day": known.hashprice_usd_per_ph_day,
                "demand_work_per_h": dict(known.demand_work_per_h),
                "ambient_c": dict(known.ambient_c),
            }
        )

    return see


def part_of(grid: TimeGrid, first: int, steps: int) -> TimeGrid:
    """Return the grid of so many steps of a grid, from one on."""
    return TimeGrid(start=grid.starts[first], step_s=grid.step_s[first : first + steps])


def starts_of(grid: TimeGrid) -> Seconds:
    """Return the starts of a grid's steps, as seconds since 1970."""
    return seconds(grid.start) + np.array(grid.offset_s[:-1], np.int64)


def as_tuple(values: Floats) -> tuple[float, ...]:
    """Return values as a problem holds them."""
    return tuple(round(float(value), 4) for value in np.clip(values, LEAST_USD_PER_MWH, MOST_USD_PER_MWH))


def as_work(values: Floats) -> tuple[int, ...]:
    """Return work as a problem holds it: whole units, none below zero."""
    return tuple(max(0, int(value)) for value in values)


def _filled(found: Floats, known: Timed, starts: Seconds, season_s: int, at: datetime) -> Floats:
    """Give what is missing the value a season before, or the seasons before that; then the last value that is known."""
    reach = int(starts[-1] - starts[0]) // season_s if starts.size else 0
    for back in range(1, MOST_SEASONS + reach + 1):
        if not (missing := np.isnan(found)).any():
            return found
        found = np.where(missing, known.at(starts - back * season_s), found)
    return np.where(np.isnan(found), _last(known, at), found) if np.isnan(found).any() else found


def _last(known: Timed, at: datetime) -> float:
    if not len(known):
        raise ValueError(f"{known.name}: expected at least one value known by {iso(at)}, got none")
    return float(known.values[-1])
