"""A period as it came, and all that was known of it when: the ground on which policies are compared.

What came is a `Problem` over the replayed steps and one window beyond them. What was known when are `Timed` series that begin
long before it: a window sees no other. A real-time interval that the market's record lacks takes the declared day-ahead price;
it is flagged, and the hours that it touches are left out of the score.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np

from models.base import iso
from models.problem import Problem
from models.time_grid import TimeGrid
from scenarios.backtest.records import DataFlag
from scenarios.forecast.network_days import Network
from scenarios.local_clock import HOUR_S, instant, seconds
from scenarios.timed import Floats, Timed, first_of

PRICE, AHEAD, DEMAND, AMBIENT, HASHPRICE = "price.", "ahead.", "demand.", "ambient.", "hashprice"
"""Names of the series in `History.past`: the family, then the name of the series in the problem."""


@dataclass(frozen=True)
class History:
    """A period and what was known of it.

    problem: what came, over `steps` that are replayed and what windows see beyond them. past: by family and name, values with the
    instant at which each was known. scored: by replayed step, whether it counts. notes: what a reader must know. network: of
    Bitcoin by day, for forecasts of the hashprice.
    """

    problem: Problem
    steps: int
    past: Mapping[str, Timed]
    scored: tuple[bool, ...]
    flags: tuple[DataFlag, ...] = ()
    notes: tuple[str, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    network: Network | None = None

    @property
    def hours(self) -> float:
        """Length of what is replayed."""
        return sum(self.problem.grid.hours[: self.steps])


@dataclass(frozen=True)
class Came:
    """A series over a grid, and what of it was taken from elsewhere."""

    values: Floats
    is_instead: tuple[bool, ...]
    flags: tuple[DataFlag, ...]


def price_on(grid: TimeGrid, name: str, real: Timed, ahead: Timed | None) -> Came:
    """Return the mean price of each step, missing intervals at the day-ahead price.

    Raises:
        ValueError: an interval has neither price.
    """
    piece_s = real.step_s
    starts_s = np.arange(seconds(grid.start), seconds(grid.end), piece_s, dtype=np.int64)
    values, which = first_of([real] if ahead is None else [real, ahead], starts_s)
    if (lacking := np.isnan(values)).any():
        first = instant(int(starts_s[lacking][0]))
        raise ValueError(
            f"{name}: {lacking.sum()} intervals have neither a price nor a day-ahead price, the first at {iso(first)}"
        )
    step = np.searchsorted(np.array(grid.offset_s) + seconds(grid.start), starts_s, side="right") - 1
    means = np.bincount(step, values, grid.steps) / np.bincount(step, minlength=grid.steps)
    instead = np.bincount(step, which == 1, grid.steps) > 0
    return Came(means, tuple(instead.tolist()), tuple(_flags(name, starts_s, which == 1, piece_s, ahead)))


def plain_on(grid: TimeGrid, name: str, series: Timed) -> Floats:
    """Return a series that has no second source over a grid.

    Raises:
        ValueError: a step is missing.
    """
    values = series.on(grid)
    if (lacking := np.isnan(values)).any():
        first = grid.starts[int(np.flatnonzero(lacking)[0])]
        raise ValueError(f"{name}: {lacking.sum()} of {grid.steps} steps have no value, the first at {iso(first)}")
    return values


def in_usd(price: Timed, usd_per_unit: Timed) -> Timed:
    """Return prices in USD by a series of exchange rates; they are known when the price is.

    Raises:
        ValueError: a price has no rate.
    """
    rate = usd_per_unit.at(price.starts_s)
    if np.isnan(rate).any():
        raise ValueError(f"{price.name}: no exchange rate at {iso(instant(int(price.starts_s[np.isnan(rate)][0])))}")
    return Timed(
        price.name, "USD/MWh", price.zone, price.step_s, price.starts_s, price.known_s, price.values * rate, "USD",
        f"{price.source}; {usd_per_unit.source}", price.licence,
    )  # fmt: skip


def hourly_means(series: Timed) -> Timed:
    """Return a series by the hour where its steps are shorter; hours that lack a part are absent."""
    return series.means(HOUR_S) if series.step_s < HOUR_S else series


def _flags(name: str, starts_s: np.ndarray, taken: np.ndarray, step_s: int, ahead: Timed | None) -> Sequence[DataFlag]:
    """One flag for each run of missing intervals."""
    found = []
    places = np.flatnonzero(taken)
    for run in np.split(places, np.flatnonzero(np.diff(places) > 1) + 1) if places.size else []:
        begin = instant(int(starts_s[run[0]]))
        found.append(
            DataFlag(
                series=name,
                start=begin,
                end=begin + timedelta(seconds=int(step_s) * run.size),
                intervals=int(run.size),
                what=f"missing in the market's record; taken from {ahead.source if ahead is not None else 'elsewhere'}",
                is_left_out=True,
            )
        )
    return found
