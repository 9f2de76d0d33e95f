"""A look beyond the horizon: what is worth its price in periods that are longer than a plan.

All that is left of the periods is planned coarsely, site by site, on declared forecasts, with no count whole: a linear
programme. Its highest draw in a month is the billed peak worth paying for, and the dual of a least take is what another
MWh of it is worth. The answer enters a plan as its `outlook`: a figure to plan by, never a command.

Sites are looked at one by one; the others hold the rule plan, so that work goes where the merit order would send it.
"""

import math
from collections.abc import Callable
from datetime import datetime, timedelta

import numpy as np

from models.billing import month_span
from models.outlook import Outlook
from models.plan import Plan
from models.problem import Problem
from models.site import Site
from models.time_grid import TimeGrid
from optimizer.compiled import Compiled, Floats
from optimizer.fallback import rule_plan
from optimizer.formulation import build
from optimizer.held import without
from optimizer.recovery import recover
from optimizer.variants import Variant, solve_variants
from optimizer.worker import GIB, Stopwatch

W_PER_KW = 1000
HOUR = timedelta(hours=1)
TRACE_KW = 1e-6
"""A draw is rounded up to whole watts, but not for a thousandth of one."""


def rest_of_periods(start: datetime, end: datetime, step_h: int = 1) -> TimeGrid:
    """Return coarse steps from an instant until the end of the longest period: one up to the full hour, then even ones.

    step_h: length of a step; the last may be shorter. [h]
    """
    full = start.replace(minute=0, second=0, microsecond=0)
    lengths = [] if full == start else [int((full + HOUR - start).total_seconds())]
    left_s = int((end - start).total_seconds()) - sum(lengths)
    whole, rest_s = divmod(max(0, left_s), step_h * 3600)
    return TimeGrid(start=start, step_s=(*lengths, *(step_h * 3600,) * whole, *((rest_s,) if rest_s else ())))


def look_ahead(
    problem: Problem, *, deadline_s: float, memory_bytes: int = GIB, cancelled: Callable[[], bool] = lambda: False
) -> dict[str, Outlook]:
    """Return the outlook of each site whose bills run over months; a site that time did not suffice for has none.

    problem: what is left of the periods, in coarse steps, on forecasts; periods that it does not reach the end of are left
    out, and so owed pro rata.
    deadline_s: wall time for all sites together. [s]
    """
    watch, found = Stopwatch(), {}
    wanted = [site for site in problem.fleet.sites if site.demand_charge is not None or site.take_or_pay is not None]
    rule = rule_plan(problem, problem.grid.start) if wanted and len(problem.fleet.sites) > 1 else None
    for n, site in enumerate(wanted):
        share_s = (deadline_s - watch.seconds) / (len(wanted) - n)
        if share_s <= 0 or cancelled():
            break
        alone = _alone(problem, site, rule)
        compiled = build(alone, release=recover(alone).release)
        (answer,) = solve_variants(
            compiled, [Variant(is_relaxed=True)], deadline_s=share_s, memory_bytes=memory_bytes, cancelled=cancelled
        )
        if answer.x is not None:
            found[site.name] = _outlook(alone, site, compiled, answer.x, answer.row_dual)
    return found


def _alone(problem: Problem, site: Site, rule: Plan | None) -> Problem:
    """The problem of one site: what the others do by rule is served already, and no outlook is believed again."""
    alone = problem if rule is None else without(problem, {s.name for s in problem.fleet.sites} - {site.name}, rule)
    return alone.model_copy(update={"outlook": {}})


def _outlook(problem: Problem, site: Site, compiled: Compiled, x: Floats, row_dual: Floats | None) -> Outlook:
    return Outlook(
        peaks_w={} if site.demand_charge is None else _peaks_w(problem, site, compiled, x),
        take_usd_per_mwh={} if site.take_or_pay is None or row_dual is None else _takes(problem, site, compiled, row_dual),
        source=f"look-ahead from {problem.grid.start:%Y-%m-%dT%H:%MZ}, {problem.grid.steps} steps",
    )


def _peaks_w(problem: Problem, site: Site, compiled: Compiled, x: Floats) -> dict[str, int]:
    """The highest draw of each month that the steps reach the end of."""
    grid, peaks_w = problem.grid, {}
    draw_kw = x[compiled.columns["draw"][0]]
    for month in compiled.axes["MONTHS"]:
        begins, ends = month_span(site.zone, month)
        inside = [b < ends and b + timedelta(seconds=s) > begins for b, s in zip(grid.starts, grid.step_s, strict=True)]
        if ends <= grid.end:
            peaks_w[month] = max(0, math.ceil((draw_kw[np.array(inside)].max() - TRACE_KW) * W_PER_KW))
    return peaks_w


def _takes(problem: Problem, site: Site, compiled: Compiled, row_dual: Floats) -> dict[str, float]:
    """What another MWh is worth in each period that the steps reach the end of."""
    contract, found = site.take_or_pay, {}
    if contract is None:
        return {}
    rows = dict(zip(compiled.row_families["take_covers"].labels[0], compiled.rows["take_covers"].tolist(), strict=True))
    for label, row in rows.items():
        period = label.rsplit(" ", 1)[1]
        if month_span(site.zone, contract.months_of(period)[-1])[1] <= problem.grid.end:
            found[period] = min(contract.shortfall_usd_per_mwh, max(0.0, float(row_dual[row])))
    return found
