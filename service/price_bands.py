"""How sure the prices of a plan are: from when on each index is a forecast, and the 10 and 90 per cent that it gave.

A plan stores the means that it was made with, and among its reasons which version of which model they are from. So the
quantiles are worked out again, from what was known when the plan was made; where that does not lead to the plan's own
means (values came in that second, or the version is not kept any more), there is a beginning and no band.
"""

import bisect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from models.forecast import Forecast
from models.plan import Plan
from models.problem import Problem
from models.site import Site
from models.time_grid import TimeGrid
from service.forecasting import Forecasts
from service.store import Store
from service.store.series_records import SeriesDeclaration

LOW_PPM, HIGH_PPM = 100_000, 900_000
HOUR = timedelta(hours=1)
SAME = 1e-6
_TOLD = re.compile(r"price_forecast: series (\S+) is known until (\S+?); .* take (?:the mean of .*\(version (\d+),)?")
"""What `service.inputs` says of a price that goes on by forecast."""


@dataclass(frozen=True)
class Band:
    """From when on a price is a forecast; by step what it is undercut with 10 and exceeded with 10 per cent [USD/MWh].

    Up to `since` both rows are the price itself. They are absent where only a plain rule goes on.
    """

    since: datetime
    rows: tuple[tuple[float, ...], tuple[float, ...]] | None = None


def price_bands(store: Store, problem: Problem, plan: Plan) -> dict[str, Band]:
    """Return the bands of the price indexes of a plan, by index; those that are known over all of it have none."""
    found: dict[str, Band] = {}
    for told in filter(None, map(_TOLD.match, plan.reasons)):
        declared, since = store.series.declaration(told[1]), datetime.fromisoformat(told[2])
        index = declared.subject if declared else None
        if declared is None or index not in problem.prices_usd_per_mwh:
            continue
        made = None if told[3] is None else _again(store, declared, int(told[3]), plan)
        rows = None if made is None else _rows(made, since, problem.prices_usd_per_mwh[index], plan.grid)
        found[str(index)] = Band(since, rows)
    return found


def at_meter(problem: Problem, site: Site, bands: Mapping[str, Band]) -> Band | None:
    """Return the band of what a site pays for a MWh, by the same contract as the price; None where it is all known."""
    own = {index: bands[index] for index in site.price_names if index in bands}
    if not own or not _is_paid(problem, site, own):
        return None
    since = min(band.since for band in own.values())
    if any(band.rows is None for band in own.values()):
        return Band(since)
    low, high = (_paid(problem, site, {i: band.rows[n] for i, band in own.items() if band.rows}) for n in (0, 1))
    return Band(since, (low, high))


def first_step(grid: TimeGrid, since: datetime) -> int:
    """Return the first step that reaches beyond an instant; the number of steps where none does."""
    ends = (start + timedelta(seconds=length) for start, length in zip(grid.starts, grid.step_s, strict=True))
    return next((t for t, end in enumerate(ends) if end > since), grid.steps)


def _is_paid(problem: Problem, site: Site, own: Mapping[str, Band]) -> bool:
    """Whether an index is what a metered MWh costs, and not only what a block of power is sold at."""
    return site.contract.kind == "index" and site.contract.index in own


def _paid(problem: Problem, site: Site, rows: Mapping[str, tuple[float, ...]]) -> tuple[float, ...]:
    prices = problem.prices_usd_per_mwh | dict(rows)
    return problem.model_copy(update={"prices_usd_per_mwh": prices}).energy_price_usd_per_mwh(site)


def _again(store: Store, declared: SeriesDeclaration, version: int, plan: Plan) -> Forecast | None:
    """Return the forecast that a plan stood on; None where it cannot be had again, or is in another currency."""
    if declared.unit != "USD/MWh":
        return None
    try:
        return Forecasts(store).repeated(declared, version, plan.created_at, plan.grid.end)
    except (ValueError, KeyError):
        return None


def _rows(
    made: Forecast, since: datetime, prices: Sequence[float], grid: TimeGrid
) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Return the quantiles by step, or None where the same forecast's mean is not what the plan was made with."""
    if made.grid.start > since or made.grid.end < grid.end:
        return None
    first = bisect.bisect_left(grid.starts, since)
    mean = _by_step(made, made.mean, since, prices, grid)
    if any(abs(a - b) > SAME * max(1.0, abs(b)) for a, b in zip(mean[first:], prices[first:], strict=True)):
        return None
    low, high = (_by_step(made, made.at_level(ppm), since, prices, grid) for ppm in (LOW_PPM, HIGH_PPM))
    return low, high


def _by_step(made: Forecast, row: Sequence[float], since: datetime, prices: Sequence[float], grid: TimeGrid) -> tuple[float, ...]:
    """Return the mean of an hourly row over each step; of what lies before `since` the price."""
    values = []
    for price, start, step_s in zip(prices, grid.starts, grid.step_s, strict=True):
        total, at, end = 0.0, start, start + timedelta(seconds=step_s)
        while at < end:
            following = min(end, at.replace(minute=0, second=0, microsecond=0) + HOUR)
            value = price if at < since else row[bisect.bisect_right(made.grid.starts, at) - 1]
            total += value * (following - at).total_seconds()
            at = following
        values.append(total / step_s)
    return tuple(values)
