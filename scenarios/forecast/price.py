"""Prices with quantiles: one lasso for each step of the day on the week before, the calendar, and prices told a day ahead.

Prices of all kinds of markets are made alike by z = arsinh((p - median) / width), width the median absolute deviation over
0.6745 (Uniejewski, Weron, Ziel 2018): near the median it is a straight line, far away a logarithm, of either sign. For each
step of the day and each day ahead z is a lasso (`lasso`) on

    z of all steps of the days d-1, d-2, d-3 and d-7 before the first unknown step, least and greatest z of d-1,
    weekdays, two waves of the year, and of each series beside it (the day-ahead price of a real-time market; a temperature):
    all its steps of d-1 and those of d and of the target's day that are known when the forecast is made.

So every regressor is known. Where days begin is the first unknown step (`slices`), so a forecast at any hour uses all that
came in since the last. What a lag lacks is the same step of the day before it; days that lack a target teach nothing. The
method is LEAR (Lago, Marcjasz, De Schutter, Weron 2021) with one long window; quantiles and the mean are those of `spread`.
"""

from dataclasses import dataclass

import numpy as np

from scenarios.forecast.lasso import Lassos, lassos
from scenarios.forecast.rows import WINDOW_DAYS, RowForecaster
from scenarios.forecast.slices import WEEK, Beside, Cut, filled, shifted
from scenarios.timed import Floats

LEAST_DAYS = 60
LEAST_SHARE = 0.8
"""Share of the days that must hold a series beside before it is used."""
SUN_ROUND = 2 * np.pi
FURTHEST = 15.0
"""Largest |z| that is turned back: a million times the width."""


@dataclass(frozen=True)
class Scale:
    """The transform of one series: its median and its width."""

    median: float
    width: float

    @classmethod
    def of(cls, rows: Floats) -> "Scale":
        """Return the scale of what rows hold."""
        median = float(np.nanmedian(rows))
        return cls(median, max(float(np.nanmedian(np.abs(rows - median))) / 0.6745, 1e-3))

    def into(self, values: Floats) -> Floats:
        """Return z of values."""
        return np.asarray(np.arcsinh((values - self.median) / self.width), np.float64)

    def out(self, z: Floats) -> Floats:
        """Return the values of z."""
        return np.asarray(np.sinh(np.clip(z, -FURTHEST, FURTHEST)) * self.width + self.median, np.float64)


@dataclass(frozen=True, eq=False)
class LearnedPrice:
    """Lassos of one time of day and lead, the scales they work in, and which series beside they use."""

    models: Lassos
    scale: Scale
    beside: dict[str, Scale]
    lead: int
    held_out: Floats

    @property
    def used(self) -> str:
        """What it stands on beside the series itself."""
        return f" with {', '.join(self.beside)}" if self.beside else ""

    def ahead(self, cut: Cut) -> Floats:
        """Return for each row z of the row `lead` days after it."""
        return self.models(regressors(cut, self.scale, self.beside, self.lead))

    def into(self, prices: Floats) -> Floats:
        """Return z of prices."""
        return self.scale.into(prices)

    def out(self, values: Floats) -> Floats:
        """Return the prices of z."""
        return self.scale.out(values)


@dataclass(frozen=True)
class Lear:
    """The rule."""

    window_days: int = WINDOW_DAYS
    name: str = "lear 1"

    def learn(self, cut: Cut, lead: int) -> LearnedPrice:
        """Fit the lassos of a row.

        Raises:
            ValueError: fewer than 60 whole days with the week before them.
        """
        scale = Scale.of(cut.y)
        beside = {one.name: Scale.of(one.values) for one in cut.beside if _is_there(one, cut, lead)}
        x = regressors(cut, scale, beside, lead)
        targets = np.vstack([scale.into(cut.y)[lead:], np.full((lead, cut.y.shape[1]), np.nan)])
        whole = np.flatnonzero(~np.isnan(x).any(axis=1) & ~np.isnan(targets).any(axis=1))
        if len(whole) < LEAST_DAYS:
            raise ValueError(f"{self.name}: expected at least {LEAST_DAYS} whole days to learn from, got {len(whole)}")
        models = lassos(x[whole], targets[whole])
        held_out = np.full(cut.y.shape, np.nan)
        held_out[whole + lead] = models.held_out
        return LearnedPrice(models, scale, beside, lead, held_out)


def price_forecaster(window_days: int = WINDOW_DAYS, step_s: int = 3600) -> RowForecaster:
    """Return the forecaster of prices, by hour unless told otherwise."""
    return RowForecaster(Lear(window_days), step_s)


def regressors(cut: Cut, scale: Scale, beside: dict[str, Scale], lead: int) -> Floats:
    """Return what a row is told by, known at its beginning: rows × regressors."""
    z = scale.into(cut.lags)
    last = shifted(z, 1)
    year = SUN_ROUND * cut.years[:, None] * np.array([1, 2])
    told = [
        last,
        shifted(z, 2),
        shifted(z, 3),
        shifted(z, WEEK),
        last.min(axis=1, keepdims=True),
        last.max(axis=1, keepdims=True),
    ]
    told += [np.eye(WEEK)[cut.weekdays], np.sin(year), np.cos(year)]
    for one in cut.beside:
        if one.name in beside:
            told.append(beside[one.name].into(_known(one, len(z), lead)))
    return np.hstack(told)


def _known(one: Beside, rows: int, lead: int) -> Floats:
    """What is known of a series beside at each row's beginning: its day before, and what is told in advance."""
    values = filled(one.values)
    slots = values.shape[1]
    found = [shifted(values, 1)[:rows]]
    for day in sorted({0, lead}):
        found.append(values[day : day + rows, : max(0, min(slots, one.known_steps - day * slots))])
    return np.hstack(found)


def _is_there(one: Beside, cut: Cut, lead: int) -> bool:
    """Whether a series beside is there today and on most days."""
    there = np.isfinite(_known(one, len(cut.y), lead)).all(axis=1).astype(float)
    mostly = np.isfinite(cut.lags).all(axis=1)
    return bool(there[-1] and mostly.any() and np.mean(there[mostly]) >= LEAST_SHARE)
