"""Forecasters that work day by day on the rows of `slices.Cut`: what they share, whatever rule gives the middle.

A rule learns from rows what the row `lead` days after a base row will be; here stand what is known at an instant, the errors
of the past that make quantiles and mean (`spread`), and the yardstick. Errors of days in training are of days left out of it,
those of later days are real. A step that is known at the instant already is given as it is, with no spread.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.base import iso
from models.forecast import LEVELS_PPM, Forecast
from models.time_grid import TimeGrid
from scenarios.forecast.naive import better, repeated
from scenarios.forecast.slices import MOST_ROWS, Cut, known_parts, shifted, steps_of
from scenarios.forecast.spread import likely, quantiles, tamed
from scenarios.local_clock import HOUR_S, Seconds
from scenarios.timed import Floats, Timed

WINDOW_DAYS = 1_456
"""Four years, the longest window of published LEAR models; what is known of them, where it is less."""


class Learned(Protocol):
    """What a rule has learned for one lead."""

    @property
    def held_out(self) -> Floats:
        """Errors on the rows trained on (target row × slot), of models that had not seen them; in the rule's own units."""
        ...

    @property
    def used(self) -> str:
        """What it stands on beside the series itself, in words."""
        ...

    def ahead(self, cut: Cut) -> Floats:
        """Return what it says, in its own units: the value in row i is that of row i + lead, told at row i."""
        ...

    def into(self, prices: Floats) -> Floats:
        """Turn prices into its own units."""
        ...

    def out(self, values: Floats) -> Floats:
        """Turn its own units into prices."""
        ...


class Rule(Protocol):
    """A way to learn from rows."""

    @property
    def name(self) -> str:
        """Name and version."""
        ...

    @property
    def window_days(self) -> int:
        """How many days it learns from at most."""
        ...

    def learn(self, cut: Cut, lead: int) -> Learned:
        """Learn what the row `lead` days after a base row will be.

        Raises:
            ValueError: too few whole days to learn from.
        """
        ...


@dataclass(frozen=True, eq=False)
class FittedRows:
    """A rule and what it may learn from; it learns a time of day and a lead when it is first asked for them."""

    rule: Rule
    step_s: int
    known: Timed
    beside: tuple[Timed, ...]
    trained_until: datetime
    learned: dict[tuple[int, ...], tuple[Learned, Cut]] = field(default_factory=dict)

    def forecast(self, past: Timed, at: datetime, grid: TimeGrid, beside: Sequence[Timed] = ()) -> Forecast:
        """Return the forecast of a grid's steps from what was known at an instant.

        past: the series. beside: the series that it was trained with, in the same order.

        Raises:
            ValueError: the grid reaches further than nine days beyond what is known, or its past is missing; in words.
        """
        known = known_parts(past, at, self.step_s)
        others = [known_parts(one, at, self.step_s) for one in beside]
        cut = Cut.of(known, others, self.rule.window_days)
        starts_s = steps_of(grid, past.name, self.step_s)
        found = known.at(starts_s)
        rows, slots = cut.place(starts_s)
        ahead = np.isnan(found)
        _expect_reachable(past.name, cut, grid, rows, ahead)
        values, mean, yardstick = np.tile(found, (len(LEVELS_PPM), 1)), found.copy(), found.copy()
        used = []
        for row in np.unique(rows[ahead]):
            chosen = ahead & (rows == row)
            level, middle, words = self._row(cut, int(row), past.name)
            values[:, chosen], mean[chosen] = level[:, slots[chosen]], middle[slots[chosen]]
            yardstick[chosen] = repeated(cut, better(cut), int(row))[slots[chosen]]
            used.append(words)
        return Forecast(
            name=past.name,
            unit=past.unit,
            issued_at=at,
            grid=grid,
            values=tuple(tuple(row) for row in values.tolist()),
            mean=tuple(mean.tolist()),
            model=f"{self.rule.name}{used[0] if used else ''}",
            trained_until=self.trained_until,
            yardstick=tuple(yardstick.tolist()),
        )

    def _row(self, cut: Cut, lead: int, name: str) -> tuple[Floats, Floats, str]:
        """Quantiles (levels × slots) and mean of a whole row, and what it stands on."""
        learned, trained = self._learned(cut, lead)
        told = learned.ahead(cut)
        if np.isnan(told[-1]).any():
            raise ValueError(
                f"{name}: expected prices of the seven days before {iso(cut.until)}, got none for some hours of the day"
            )
        errors = learned.into(cut.y) - shifted(told, lead)
        first = trained.base - len(trained.y) - (cut.base - len(cut.y))  # of the rows trained on, among today's
        here, there = max(0, first), max(0, -first)
        held_out = learned.held_out[there : there + len(errors) - here]
        known = errors[here : here + len(held_out)]
        errors[here : here + len(held_out)] = np.where(np.isnan(held_out), known, held_out)
        samples, weights = likely(errors[:-1], lead)
        levels = learned.out(told[-1] + quantiles(samples, weights))
        prices = np.clip(learned.out(told[-1] + tamed(samples, weights)), cut.lowest, cut.highest)
        return np.clip(levels, cut.lowest, cut.highest), (prices * weights).sum(axis=0), learned.used

    def _learned(self, cut: Cut, lead: int) -> tuple[Learned, Cut]:
        key = (cut.cut_s, lead, *(one.known_steps for one in cut.beside))
        if key not in self.learned:
            rows = Cut.of(self.known, self.beside, self.rule.window_days, cut.cut_s)
            told = zip(rows.beside, cut.beside, strict=True)  # what is told in advance is so at every past day alike
            rows = replace(rows, beside=tuple(replace(one, known_steps=now.known_steps) for one, now in told))
            self.learned[key] = self.rule.learn(rows, lead), rows
        return self.learned[key]


@dataclass(frozen=True)
class RowForecaster:
    """Forecasts by a rule that works on rows. step_s: length of the steps it tells apart; finer prices enter as means."""

    rule: Rule
    step_s: int = HOUR_S

    @property
    def name(self) -> str:
        """Name and version of the rule."""
        return self.rule.name

    def fit(self, past: Timed, at: datetime, beside: Sequence[Timed] = ()) -> FittedRows:
        """Return what can be learned from what was known at an instant.

        past: the series to be forecast. beside: others that may be known further ahead, such as day-ahead prices.

        Raises:
            ValueError: nothing is known, or not in these steps; in words.
        """
        known = known_parts(past, at, self.step_s)
        if not len(known):
            raise ValueError(f"{past.name}: expected prices known by {iso(at)}, got none")
        if known.step_s != self.step_s:
            raise ValueError(f"{past.name}: expected steps of {self.step_s} s at most, got {known.step_s} s")
        return FittedRows(self.rule, self.step_s, known, tuple(known_parts(one, at, self.step_s) for one in beside), at)


def _expect_reachable(name: str, cut: Cut, grid: TimeGrid, rows: Seconds, ahead: NDArray[np.bool_]) -> None:
    if (past := ahead & (rows < 0)).any():
        at = grid.starts[int(past.argmax())]
        raise ValueError(
            f"{name}: the price of {iso(at)} is missing, though later ones are known: expected steps after {iso(cut.until)}"
        )
    if ahead.any() and rows.max() >= MOST_ROWS:
        raise ValueError(
            f"{name}: known until {iso(cut.until)}; expected a grid that ends within {MOST_ROWS} days of it, got {iso(grid.end)}"
        )
