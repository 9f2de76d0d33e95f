"""Training of one series: the model of its kind, how it did lately against the naive, and all of it in plain JSON.

The score is out of sample: a model that was trained four weeks ago (or at three quarters of a shorter history) forecasts
two days from the same hour of every day since, from what was known then. A value that was told days after its step, as
when a year is read in at once, counts as known at the end of its step: the score then takes the feed to have been prompt.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

import numpy as np

from models.forecast import Forecast
from models.time_grid import TimeGrid, hourly
from scenarios.forecast.demand import DemandShape
from scenarios.forecast.price import price_forecaster
from scenarios.forecast.rows import FittedRows
from scenarios.forecast.stored import Made, as_json
from scenarios.forecast.temperature import TemperatureAnomaly
from scenarios.forecast.walk import Walk
from scenarios.local_clock import DAY_S, HOUR_S, instant, seconds
from scenarios.timed import Floats, Timed

SCORED_DAYS = 28
SCORED_HOURS = 48
IN_BULK_S = 2 * DAY_S
PRICE_DAYS, MADE_HOURS = 364, 72
REQUIRED = (100_000, 500_000, 900_000)


class Fitted(Protocol):
    """A trained model."""

    def forecast(self, past: Timed, at: datetime, grid: TimeGrid) -> Forecast:
        """Return quantiles over a grid, from what was known at an instant."""
        ...


class Forecaster(Protocol):
    """Trains models of one kind; `name` is its name and version."""

    @property
    def name(self) -> str:
        """Name and version."""
        ...

    def fit(self, past: Timed, at: datetime) -> Fitted:
        """Return a model trained on what was known at an instant."""
        ...


@dataclass(frozen=True)
class Score:
    """How forecasts did: mean absolute error of the median, that of the better naive, pinball, and what 10-90 held."""

    origins: int
    steps: int
    mae: float
    naive_mae: float
    pinball: float
    coverage_share: float


def forecaster_of(kind: str) -> Forecaster | None:
    """Return the forecaster of a kind of series; None where there is none."""
    forecasters: dict[str, Callable[[], Forecaster]] = {
        "price": lambda: price_forecaster(PRICE_DAYS), "demand": DemandShape, "ambient": TemperatureAnomaly,
        "hashprice": Walk, "exchange": Walk,
    }  # fmt: skip
    return forecasters[kind]() if kind in forecasters else None


def kept(forecaster: Forecaster, past: Timed, at: datetime) -> Any:
    """Return a trained model as JSON content; of one that learns anew for every hour, the forecast of three days.

    Raises:
        ValueError: history is too short, or not what the model can learn from.
    """
    known = in_hours(past, at)
    fitted = forecaster.fit(known, at)
    if not isinstance(fitted, FittedRows):
        return as_json(fitted)
    made = fitted.forecast(known, at, ahead(known, at, MADE_HOURS))
    return as_json(Made(made.model_dump_json()))


def in_hours(past: Timed, at: datetime) -> Timed:
    """Return what was known at an instant, of finer series the means of whole hours."""
    known = past.known_by(at)
    return known.means() if known.step_s < HOUR_S and HOUR_S % known.step_s == 0 else known


def ahead(known: Timed, at: datetime, hours: int) -> TimeGrid:
    """Return the hours after what is known, until so many after an instant, at least one."""
    end = instant(-(-(int(known.starts_s[-1]) + known.step_s) // HOUR_S) * HOUR_S)
    return hourly(end, max(1, -(-int((at + timedelta(hours=hours) - end).total_seconds()) // HOUR_S)))


def score(forecaster: Forecaster, past: Timed, at: datetime) -> Score | None:
    """Return how a forecaster would have done lately; None where history is too short to say."""
    prompt = _prompt(past.known_by(at))
    if not len(prompt):
        return None
    first, quarter = prompt.first, timedelta(seconds=(seconds(at) - seconds(prompt.first)) // 4)
    cut = at - min(timedelta(days=SCORED_DAYS), quarter)
    try:
        fitted = forecaster.fit(in_hours(prompt, cut), cut)
    except ValueError:
        return None
    rows: list[Floats] = []
    origins = [origin for n in range(SCORED_DAYS) if first < (origin := cut + timedelta(days=n)) < at]
    for origin in origins:
        known = in_hours(prompt, origin)
        try:
            made = fitted.forecast(known, origin, ahead(known, origin, SCORED_HOURS))
        except ValueError:
            continue
        truth = prompt.on(made.grid)
        rows.append(np.stack([truth, *(made.at_level(ppm) for ppm in REQUIRED), made.yardstick, _yesterday(known, made.grid)]))
    found = np.concatenate(rows, axis=1) if rows else np.zeros((6, 0))
    found = found[:, np.isfinite(found).all(axis=0)]
    return _scored(found, len(rows)) if found.shape[1] else None


def _scored(found: Floats, origins: int) -> Score:
    truth, low, middle, high, yardstick, yesterday = found
    off = [np.abs(row - truth).mean() for row in (middle, yardstick, yesterday)]
    pinball = [np.maximum(t * (truth - q), (t - 1) * (truth - q)).mean() for t, q in ((0.1, low), (0.5, middle), (0.9, high))]
    inside = float(((truth >= low) & (truth <= high)).mean())
    return Score(origins, len(truth), float(off[0]), float(min(off[1:])), float(np.mean(pinball)), inside)


def _prompt(known: Timed) -> Timed:
    ends = known.starts_s + known.step_s
    return replace(known, known_s=np.where(known.known_s > ends + IN_BULK_S, ends, known.known_s))


def _yesterday(known: Timed, grid: TimeGrid) -> Floats:
    """Return the value of the same hour of the last day known."""
    end = int(known.starts_s[-1]) + known.step_s
    starts = np.array([seconds(start) for start in grid.starts])
    return known.at(starts - DAY_S * ((starts - end) // DAY_S + 1))
