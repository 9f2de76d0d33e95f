"""A plan as CSV: one row for each site and step; for one site also what each of its machines does."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence

from models.base import iso
from models.plan import Plan, SitePlan
from models.problem import Problem
from models.site import Site
from service.price_bands import Band, at_meter, first_step

COLUMNS = (
    "start", "duration_s", "site", "draw_w", "hashing_w", "inference_w", "limit_w", "energy_price_usd_per_mwh",
    "energy_price_p10_usd_per_mwh", "energy_price_p90_usd_per_mwh", "site_usd",
)  # fmt: skip


def plan_csv(problem: Problem, plan: Plan, site: str | None = None, bands: Mapping[str, Band] | None = None) -> bytes:
    """Return a plan as CSV in UTF-8. `site_usd` is all money of the site in the step; workloads' money belongs to no site.

    bands: how sure the prices are (`service.price_bands`); p10 and p90 are empty where a price is known, or its forecast gives
    none.
    Names begin with a letter or a digit, so that no cell reads as a formula to a spreadsheet.
    """
    sites = [s for s in problem.fleet.sites if s.name in plan.sites and site in (None, s.name)]
    machines = [] if site is None else list(_machines(plan.sites[site]))
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    out.writerow([*COLUMNS, *(name for name, _ in machines)])
    for each in sites:
        for t, row in enumerate(_rows(problem, plan, each, bands or {})):
            out.writerow([*row, *(counts[t] for _, counts in machines)])
    return text.getvalue().encode()


def _rows(
    problem: Problem, plan: Plan, site: Site, bands: Mapping[str, Band]
) -> Iterator[list[str | int | float]]:  # fmt: skip
    band = at_meter(problem, site, bands)
    quantiles = band.rows if band else None
    since = first_step(plan.grid, band.since) if band else plan.grid.steps
    got, prices = plan.sites[site.name], problem.energy_price_usd_per_mwh(site)
    usd = [0.0] * plan.grid.steps
    for line in plan.money:
        if line.owner == site.name:
            usd = [total + more for total, more in zip(usd, line.usd, strict=True)]
    for t, (start, length_s) in enumerate(zip(plan.grid.starts, plan.grid.step_s, strict=True)):
        watts = got.draw_w[t], got.hashing_w[t], got.inference_w[t], got.limit_w[t]
        sure = [round(row[t], 4) for row in quantiles] if quantiles and t >= since else ["", ""]
        yield [iso(start), length_s, site.name, *watts, round(prices[t], 4), *sure, round(usd[t], 4)]


def _machines(got: SitePlan) -> Iterator[tuple[str, Sequence[int]]]:
    """Give a column for each mode of each group, and for each pool."""
    for group, blocks in got.groups.items():
        for mode, counts in blocks.mode_blocks.items():
            yield f"{group}.{mode}_blocks", counts
    for pool, nodes in got.pools.items():
        yield f"{pool}.nodes_on", nodes.nodes_on
