"""What the page draws of prices: the mean over a scope, its cheapest and dearest site, and how sure what is forecast is."""

from collections.abc import Mapping, Sequence

from models.plan import Plan
from models.problem import Problem
from service.price_bands import Band, at_meter, first_step
from service.web.document import Price, SiteRow


def price_of(problem: Problem, plan: Plan, rows: Sequence[SiteRow], bands: Mapping[str, Band]) -> Price:
    """Return the prices of a scope by step; rows: its sites."""
    steps, sites = plan.grid.steps, problem.fleet.site_by_name
    found = {row.name: band for row in rows if (band := at_meter(problem, sites[row.name], bands)) is not None}
    since = min((first_step(plan.grid, band.since) for band in found.values()), default=steps)
    quantiles: tuple[tuple[float, ...], ...] = ((), ())
    if any(band.rows for band in found.values()):
        drawn = {name: band.rows for name, band in found.items() if band.rows}
        either = ([drawn[row.name][n] if row.name in drawn else row.price_usd_per_mwh for row in rows] for n in (0, 1))
        quantiles = tuple(_weighted(rows, prices) for prices in either)
    return Price(
        mean_usd_per_mwh=_weighted(rows, [row.price_usd_per_mwh for row in rows]),
        forecast_from=since if since < steps else None,
        p10_usd_per_mwh=quantiles[0],
        p90_usd_per_mwh=quantiles[1],
        low_usd_per_mwh=tuple(min(row.price_usd_per_mwh[t] for row in rows) for t in range(steps)),
        high_usd_per_mwh=tuple(max(row.price_usd_per_mwh[t] for row in rows) for t in range(steps)),
    )


def _weighted(rows: Sequence[SiteRow], prices: Sequence[Sequence[float]]) -> tuple[float, ...]:
    """Return the mean of sites' prices by step, weighted by what they draw; where nobody draws, the plain mean."""
    mean = []
    for t in range(len(rows[0].draw_w)):
        draw = sum(row.draw_w[t] for row in rows)
        weights = [row.draw_w[t] / draw for row in rows] if draw else [1 / len(rows)] * len(rows)
        mean.append(sum(w * price[t] for w, price in zip(weights, prices, strict=True)))
    return tuple(mean)
