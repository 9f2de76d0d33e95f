"""Hashprice forward with quantiles: a price that may go anywhere, a difficulty that is known until the next retarget.

The middle is the formula of `models.network_path`: the last price, the difficulty that follows from the pace of the blocks
so far, the subsidy by height, and fees that go back from those of the last days to those of the last weeks. How far it may
be off is history: at every past day the same forecast is made of what was known then, and its errors by lead,

    e_price = ln P(o + l) / P(o) - its mean      e_fees = ln F(o + l) / F̂(o, l)      e_difficulty = ln D(o + l) / D̂(o, l),

are kept together as they came, so that what rises together does. Each such day gives a course of today's hashprice,
exp(e_price - e_difficulty) × (subsidy part + fee part × exp(e_fees)), price errors scaled to today's volatility (filtered
historical simulation: Barone-Adesi, Giannopoulos, Vosper 1999); quantiles and mean are those of all courses. A price has no
drift: nobody knows it. Figures of a day are told after it; the yardstick is the hashprice of the last day.
"""

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from models.forecast import LEVELS_PPM, Forecast
from models.market import NetworkState
from models.network_path import chain_path, hashprice_path, subsidy_btc
from models.time_grid import TimeGrid
from scenarios.forecast.network_days import Days, Network, days_of
from scenarios.local_clock import DAY_S
from scenarios.timed import Floats

NAME = "hashprice-forward 1"
UNIT = "USD/(PH/s day)"
HISTORY_DAYS = 540
"""Origins whose errors are kept."""
LEAST_ORIGINS = 60
LONGEST_LEAD_DAYS = 45
FAST_DAYS, SLOW_DAYS, FADE_DAYS = 1.0, 21.0, 7.0
"""Half-lives of the means of fees, of the last days and weeks, and of the way from one to the other."""
VOLATILITY_DAYS, MOST_SCALED = 20.0, 2.0
"""Half-life of the volatility, and by how much errors of another time are stretched at most to be like today's."""
NEVER_BELOW_BTC = 1e-4
"""Fees of a block under it are not told apart."""


@dataclass(frozen=True, eq=False)
class FittedHashprice:
    """Errors of the same forecast at past days: origin × lead, in logarithms; the volatility then; when it was trained."""

    price: Floats
    fees: Floats
    difficulty: Floats
    price_volatility: Floats
    fees_volatility: Floats
    trained_until: datetime

    def forecast(self, past: Network, at: datetime, grid: TimeGrid) -> Forecast:
        """Return quantiles of the hashprice over a grid, from what was known at an instant.

        Raises:
            ValueError: the grid begins before the last day known ends, or reaches further than the errors of history do.
        """
        days = days_of(past.known_by(at))
        last = len(days) - 1
        ends = np.array([(s - days.chain(last).at).total_seconds() for s in (*grid.starts, grid.end)]) / DAY_S
        longest = self.price.shape[1]
        if ends[0] < 0 or ends[-1] > longest:
            raise ValueError(
                f"hashprice: expected a grid within {longest} days from {days.chain(last).at:%Y-%m-%dT%H:%MZ} on, "
                f"got {grid.start:%Y-%m-%dT%H:%MZ} to {grid.end:%Y-%m-%dT%H:%MZ}"
            )
        subsidy, fees = middle(days, last, grid, ends[1:])
        courses = self._courses(days, subsidy, fees, ends[1:])
        levels = np.quantile(courses, np.array(LEVELS_PPM) / 1e6, axis=0)
        return Forecast(
            name="hashprice", unit=UNIT, issued_at=at, grid=grid, values=tuple(map(tuple, levels.tolist())),
            mean=tuple(courses.mean(axis=0).tolist()), model=NAME, trained_until=self.trained_until,
            yardstick=(days.hashprice(last),) * grid.steps,
        )  # fmt: skip

    def _courses(self, days: Days, subsidy: Floats, fees: Floats, ends: Floats) -> Floats:
        """Return a course by origin: origins × steps."""
        lead = np.maximum(1, np.ceil(ends).astype(int))
        fades = np.exp(-lead / LONGEST_LEAD_DAYS)
        now_price, now_fees = (values[-1] for values in volatilities(days))
        like_now = [
            np.clip(now / then, 1 / MOST_SCALED, MOST_SCALED)[:, None] ** fades
            for now, then in ((now_price, self.price_volatility), (now_fees, self.fees_volatility))
        ]
        price = self.price[:, lead - 1] * like_now[0] * np.sqrt(ends / lead)
        of_fees = self.fees[:, lead - 1] * like_now[1]
        return np.asarray(np.exp(price - self.difficulty[:, lead - 1]) * (subsidy + fees * np.exp(of_fees)), np.float64)


class HashpriceForward:
    """The forecaster: what it learns is how far it was off."""

    name = NAME

    def fit(self, past: Network, at: datetime, leads: int = LONGEST_LEAD_DAYS) -> FittedHashprice:
        """Return the errors of forecasts at the last two years of days that were known at an instant.

        Raises:
            ValueError: fewer than 60 days at which a forecast over all leads can be checked.
        """
        days = days_of(past.known_by(at))
        first = max(int(SLOW_DAYS), len(days) - leads - HISTORY_DAYS)
        origins = range(first, len(days) - leads)
        if len(origins) < LEAST_ORIGINS:
            need = int(SLOW_DAYS) + leads + LEAST_ORIGINS
            raise ValueError(f"hashprice: expected at least {need} days without a gap to learn from, got {len(days)}")
        errors = np.stack([_errors(days, origin, leads) for origin in origins])
        price = errors[:, 0] - errors[:, 0].mean(axis=0)
        of_price, of_fees = (values[origins.start : origins.stop] for values in volatilities(days))
        return FittedHashprice(price, errors[:, 1], errors[:, 2], of_price, of_fees, at)


def middle(days: Days, day: int, grid: TimeGrid, ends: Floats) -> tuple[Floats, Floats]:
    """Return the middle of the hashprice over a grid, as its subsidy part and its fee part.

    ends: of the steps, in days after the end of the day from which the forecast is made.
    """
    chain = days.chain(day)
    path = chain_path(chain, days.pace_ph_per_s(day), grid.end)
    price = (float(days.price_usd[day]),) * grid.steps
    subsidy = np.array(hashprice_path(grid, chain, path, price, (0.0,) * grid.steps))
    return subsidy, np.array(hashprice_path(grid, chain, path, price, tuple(fees_ahead(days, day, ends)))) - subsidy


def fees_ahead(days: Days, day: int, ends: Floats) -> Floats:
    """Return the fees of a block to come: from the mean of the last days back to that of the last weeks. [BTC]."""
    fast, slow = (_mean_fees(days, day, half) for half in (FAST_DAYS, SLOW_DAYS))
    return slow + (fast - slow) * 0.5 ** (ends / FADE_DAYS)


def _mean_fees(days: Days, day: int, half_life_days: float) -> float:
    since = max(0, day + 1 - int(6 * half_life_days))
    age = day - np.arange(since, day + 1)
    weights = 0.5 ** (age / half_life_days) * days.blocks[since : day + 1]
    return max(NEVER_BELOW_BTC, float(np.average(days.fees_btc[since : day + 1], weights=weights)))


def _errors(days: Days, day: int, leads: int) -> Floats:
    """Return what the forecast of a day got wrong by lead: price, fees, difficulty; 3 × leads."""
    chain = days.chain(day)
    grid = TimeGrid(start=chain.at, step_s=(DAY_S,) * leads)
    path = chain_path(chain, days.pace_ph_per_s(day), grid.end)
    unit = np.array(hashprice_path(grid, chain, path, (1.0,) * leads, (0.0,) * leads))
    ahead = slice(day + 1, day + 1 + leads)
    truth = np.array([_subsidy_part(days, d) for d in range(ahead.start, ahead.stop)])
    fees = np.log(np.maximum(days.fees_btc[ahead], NEVER_BELOW_BTC) / fees_ahead(days, day, np.arange(1.0, leads + 1)))
    return np.stack([np.log(days.price_usd[ahead] / days.price_usd[day]), fees, np.log(unit / truth)])


def _subsidy_part(days: Days, day: int) -> float:
    """What the subsidy alone earned on a day at 1 USD per BTC: so that a halving on another day than thought counts too."""
    subsidy = subsidy_btc(int(days.heights[day]) - 1)
    return NetworkState(difficulty=days.difficulty[day], btc_price_usd=1.0, subsidy_btc=subsidy).hashprice_usd_per_ph_day


def volatilities(days: Days) -> tuple[Floats, Floats]:
    """Return the volatility of price and of fees at the end of each day: daily, exponentially weighted, in logarithms."""
    return _volatility(np.log(days.price_usd)), _volatility(np.log(np.maximum(days.fees_btc, NEVER_BELOW_BTC)))


def _volatility(logs: Floats) -> Floats:
    squares = np.diff(logs, prepend=logs[0]) ** 2
    squares[0] = squares[1 : 1 + int(VOLATILITY_DAYS)].mean()
    found = [mean := float(squares[0])]
    keep = 0.5 ** (1 / VOLATILITY_DAYS)
    for square in squares[1:]:
        found.append(mean := keep * mean + (1 - keep) * float(square))
    return np.sqrt(found)
