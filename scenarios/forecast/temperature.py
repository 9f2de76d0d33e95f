"""Temperature where nobody gives a forecast: what the season and the hour tell, and how far today is off it.

Climatology is a regression on harmonics of the year (2) and of the local day (3), and their products of first order. What
is left, the anomaly, goes on: the anomaly at a lead of l hours is regressed on that of the last hour known, the mean of the
last day, and that of the same hour a day before, for each lead by itself. Quantiles are those of the errors at that lead.
"""

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from models.forecast import LEVELS_PPM, Forecast
from models.time_grid import TimeGrid
from scenarios.local_clock import DAY_S, HOUR_S, Seconds, local_s, seconds
from scenarios.timed import Floats, Timed

NAME = "temperature-anomaly 1"
YEAR_S = 365.2425 * DAY_S
OF_YEAR, OF_DAY = 2, 3
LONGEST_LEAD_H = 240
LEAST_DAYS, MOST_DAYS = 60, 1_100
SEASONS_DAYS = 300
"""Of less history the season is not told: the anomaly carries it."""


@dataclass(frozen=True, eq=False)
class FittedTemperature:
    """Coefficients of the climatology, of the anomaly by lead (leads × 4), and quantiles of the errors (levels × leads)."""

    zone: str
    climate: Floats
    seasons: bool
    carry: Floats
    errors: Floats
    mean_error: Floats
    trained_until: datetime

    def forecast(self, past: Timed, at: datetime, grid: TimeGrid) -> Forecast:
        """Return quantiles of the temperature over a grid, from what was known at an instant.

        Raises:
            ValueError: nothing is known of the day before, the grid begins before what is known ends, or it reaches further
                than ten days; or it is no grid of whole hours.
        """
        known = past.known_by(at)
        end = int(known.starts_s[-1]) + HOUR_S if len(known) else 0
        start = seconds(grid.start)
        leads = (start - end) // HOUR_S + np.arange(sum(grid.step_s) // HOUR_S)
        if any(s % HOUR_S for s in grid.step_s) or (start - end) % HOUR_S or leads[0] < 0 or leads[-1] >= LONGEST_LEAD_H:
            raise ValueError(
                f"{past.name}: expected whole hours within {LONGEST_LEAD_H} h from the end of what is known on, got "
                f"{grid.start:%Y-%m-%dT%H:%MZ} to {grid.end:%Y-%m-%dT%H:%MZ}"
            )
        day = end + HOUR_S * np.arange(-24, 0, dtype=np.int64)
        anomaly = known.at(day) - self._climate(day)
        if np.isnan(anomaly).any():
            raise ValueError(f"{past.name}: expected the 24 hours before {grid.start:%Y-%m-%dT%H:%MZ} to be known")
        starts = end + HOUR_S * leads
        regressors = np.stack([np.ones(len(leads)), np.full(len(leads), anomaly[-1]), np.full(len(leads), anomaly.mean()),
                               anomaly[leads % 24]], axis=1)  # fmt: skip
        middle = self._climate(starts) + (regressors * self.carry[leads]).sum(axis=1)
        rows = np.vstack([middle + self.errors[:, leads], middle + self.mean_error[leads], known.at(day)[leads % 24]])
        firsts = np.concatenate(([0], np.cumsum(np.array(grid.step_s) // HOUR_S)[:-1]))
        steps = np.add.reduceat(rows, firsts, axis=1) / (np.array(grid.step_s) // HOUR_S)
        return Forecast(
            name=past.name, unit=past.unit, issued_at=at, grid=grid, values=tuple(map(tuple, steps[:-2].tolist())),
            mean=tuple(steps[-2].tolist()), model=NAME, trained_until=self.trained_until, yardstick=tuple(steps[-1].tolist()),
        )  # fmt: skip

    def _climate(self, starts: Seconds) -> Floats:
        return np.asarray(_harmonics(self.zone, starts, seasons=self.seasons) @ self.climate, np.float64)


class TemperatureAnomaly:
    """The forecaster of one place's temperature by the hour."""

    name = NAME

    def fit(self, past: Timed, at: datetime, leads: int = LONGEST_LEAD_H) -> FittedTemperature:
        """Return climatology and persistence of what was known at an instant.

        Raises:
            ValueError: less than sixty days of hours are known, or steps of another length.
        """
        known = past.known_by(at)
        known = known.between(datetime.fromtimestamp(max(0, seconds(at) - MOST_DAYS * DAY_S), at.tzinfo), at)
        if known.step_s != HOUR_S or len(known) < LEAST_DAYS * 24:
            raise ValueError(f"{past.name}: expected at least {LEAST_DAYS} days of hours, got {len(known)} of {known.step_s} s")
        seasons = len(known) >= SEASONS_DAYS * 24
        design = _harmonics(known.zone, known.starts_s, seasons=seasons)
        climate = np.asarray(np.linalg.lstsq(design, known.values, rcond=None)[0], np.float64)
        hours = (known.starts_s - known.starts_s[0]) // HOUR_S
        anomaly = np.full(int(hours[-1]) + 1, np.nan)
        anomaly[hours] = known.values - design @ climate
        found = [_carried(anomaly, lead) for lead in range(leads)]
        carry, errors, means = (np.array(column) for column in zip(*found, strict=True))
        return FittedTemperature(known.zone, climate, seasons, carry, errors.T, means, at)


def _carried(anomaly: Floats, lead: int) -> tuple[Floats, Floats, float]:
    """Return how the anomaly goes on to a lead, and quantiles and mean of what that leaves."""
    sums = np.cumsum(np.concatenate(([0.0], np.nan_to_num(anomaly))))  # hours in a gap count as none off the climatology
    last = np.arange(23, len(anomaly) - lead - 1)
    day = (sums[last + 1] - sums[last - 23]) / 24
    same = anomaly[last - 23 + lead % 24]
    x = np.stack([np.ones(len(last)), anomaly[last], day, same], axis=1)
    y = anomaly[last + 1 + lead]
    whole = np.isfinite(x).all(axis=1) & np.isfinite(y)
    coefficients = np.linalg.lstsq(x[whole], y[whole], rcond=None)[0]
    errors = y[whole] - x[whole] @ coefficients
    return coefficients, np.quantile(errors, np.array(LEVELS_PPM) / 1e6), float(errors.mean())


def _harmonics(zone: str, starts: Seconds, *, seasons: bool) -> Floats:
    day = 2 * np.pi * (local_s(zone, starts) % DAY_S) / DAY_S
    year = 2 * np.pi * starts / YEAR_S
    of_day = [wave(n * day) for n in range(1, OF_DAY + 1) for wave in (np.sin, np.cos)]
    of_year = [wave(n * year) for n in range(1, OF_YEAR + 1) for wave in (np.sin, np.cos)] if seasons else []
    both = [a * b for a in of_day[:2] for b in of_year[:2]]
    return np.stack([np.ones(len(starts)), *of_day, *of_year, *both], axis=1)
