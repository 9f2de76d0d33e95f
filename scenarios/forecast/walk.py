"""A walk: what is worth nothing to foretell stays where it is, and how far it may get is what it did before.

For hashprice and rates of exchange. The middle is the last value, which is the yardstick as well; quantiles are those of
ln x(t + l) - ln x(t) by lead l over history, their mean taken out. The mean is that of the same changes.
"""

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from models.forecast import LEVELS_PPM, Forecast
from models.time_grid import TimeGrid
from scenarios.local_clock import DAY_S, seconds
from scenarios.timed import Floats, Timed

NAME = "walk 1"
LONGEST_LEAD_S = 10 * DAY_S
LEAST_CHANGES, MOST_DAYS = 20, 400


@dataclass(frozen=True, eq=False)
class FittedWalk:
    """Quantiles (levels × leads, in steps of the series) and means of changes, as factors of the last value."""

    step_s: int
    factors: Floats
    means: Floats
    trained_until: datetime

    def forecast(self, past: Timed, at: datetime, grid: TimeGrid) -> Forecast:
        """Return quantiles over a grid, from what was known at an instant.

        Raises:
            ValueError: nothing is known, or the grid lies beyond the longest lead of history or before the end of what is known.
        """
        known = past.known_by(at)
        if not len(known):
            raise ValueError(f"{past.name}: expected a value known by {at:%Y-%m-%dT%H:%MZ}, got none")
        end = int(known.starts_s[-1]) + known.step_s
        ends = np.cumsum(np.array(grid.step_s)) + seconds(grid.start) - end
        lead = -(-ends // self.step_s)
        if seconds(grid.start) < end or lead[-1] > len(self.means):
            raise ValueError(
                f"{past.name}: expected a grid within {len(self.means) * self.step_s // DAY_S} days from the end of what is "
                f"known on, got {grid.start:%Y-%m-%dT%H:%MZ} to {grid.end:%Y-%m-%dT%H:%MZ}"
            )
        last = float(known.values[-1])
        rows = last * self.factors[:, lead - 1]
        return Forecast(
            name=past.name, unit=past.unit, issued_at=at, grid=grid, values=tuple(map(tuple, rows.tolist())),
            mean=tuple((last * self.means[lead - 1]).tolist()), model=NAME, trained_until=self.trained_until,
            yardstick=(last,) * grid.steps,
        )  # fmt: skip


class Walk:
    """The forecaster of what stays where it is."""

    name = NAME

    def fit(self, past: Timed, at: datetime) -> FittedWalk:
        """Return how far the series got, by lead, up to ten days.

        Raises:
            ValueError: a value that is not above 0, or less than two steps more than the longest lead and twenty changes.
        """
        known = past.known_by(at)
        known = known.between(datetime.fromtimestamp(max(0, seconds(at) - MOST_DAYS * DAY_S), at.tzinfo), at)
        if len(known) and known.values.min() <= 0:
            raise ValueError(f"{past.name}: expected values above 0, got {known.values.min():g}")
        longest = LONGEST_LEAD_S // known.step_s
        if len(known) < longest + LEAST_CHANGES:
            raise ValueError(f"{past.name}: expected at least {longest + LEAST_CHANGES} steps to learn from, got {len(known)}")
        steps = (known.starts_s - known.starts_s[0]) // known.step_s
        logs = np.full(int(steps[-1]) + 1, np.nan)
        logs[steps] = np.log(known.values)
        factors, means = np.empty((len(LEVELS_PPM), longest)), np.empty(longest)
        for lead in range(1, longest + 1):
            changes = logs[lead:] - logs[:-lead]
            changes = changes[np.isfinite(changes)]
            changes = changes - changes.mean()
            factors[:, lead - 1] = np.exp(np.quantile(changes, np.array(LEVELS_PPM) / 1e6))
            means[lead - 1] = np.exp(changes).mean()
        return FittedWalk(known.step_s, factors, means, at)
