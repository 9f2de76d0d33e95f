r"""Take-or-pay: what is not taken of a period's least take costs its shortfall price.

Variables
    shortfall[s,p]    missing of the budget of period p     0 ..   [MWh]

Constraints
    take_covers       take_budget_mwh[s,p] - sum over t of take_mwh_per_kw[s,p,t] * draw[s,t] <= shortfall[s,p]

Contributes
    take_shortfall    -sum over p of shortfall_usd_per_mwh[s,p,t] * shortfall[s,p]

Periods are runs of months of the site's own calendar, known by their first month. The budget is what the period still
misses of its least take, by what the meter has counted so far, times (horizon left / period left): a period longer than
the horizon must not be made up for, nor given up, in the part of it that is seen. Where a look-ahead over the period says
what another MWh is worth (`models.outlook`), that takes the place of the shortfall price, and the budget is all that is
missing, though no more than the connection can carry in the horizon. The money of a period is spread evenly over its steps
in the horizon; take_mwh_per_kw is the time of a step that lies in the period.
"""

import numpy as np

from models.billing import month_span
from models.outlook import Outlook
from optimizer.compiled import Floats, Ints
from optimizer.contribution import Contribution, Earning
from optimizer.data import Data, by_pair, pairs
from optimizer.declare import STEPS, Expr, Model, Reading, Rule
from optimizer.sets import World

W_PER_KW = 1000
KW_S_PER_MWH = 3_600_000


def take_or_pay(model: Model, draw_kw: Rule) -> Contribution:
    """Price the missing take of the sites that have a least one."""
    model.axis("PERIODS")
    model.sparse("TAKES", "SITES", "PERIODS")
    model.sparse("TAKEN", "SITES", "PERIODS", STEPS)
    model.sparse("TAKE_STEPS", "SITES", STEPS)
    model.ragged("STEPS_OF", by=["TAKES"], of=[STEPS])
    model.ragged("PERIODS_OF", by=["TAKE_STEPS"], of=["PERIODS"])
    model.parameter("take_budget_mwh", "TAKES")
    model.parameter("take_mwh_per_kw", "TAKEN")
    model.parameter("shortfall_usd_per_mwh", "TAKEN")
    model.sources.append(take_data)
    model.variable("shortfall", "TAKES")

    @model.constraint("TAKES")
    def take_covers(m: Reading, s: Expr, p: Expr) -> Expr:
        taken = sum(m.take_mwh_per_kw[s, p, t] * draw_kw(m, s, t) for t in m.STEPS_OF[s, p])
        return m.take_budget_mwh[s, p] - taken - m.shortfall[s, p] <= 0

    def missing(m: Reading, s: Expr, t: Expr) -> Expr:
        return -sum(m.shortfall_usd_per_mwh[s, p, t] * m.shortfall[s, p] for p in m.PERIODS_OF[s, t])

    return Contribution(money=(Earning("take_shortfall", ("TAKE_STEPS",), missing),))


def take_data(world: World) -> Data:
    """Return sets and parameters of the least takes of a world."""
    budget: dict[tuple[int, str], float] = {}
    seconds: dict[tuple[int, str], Ints] = {}
    usd: dict[tuple[int, str], Floats] = {}
    steps: dict[tuple[int, str], Ints] = {}
    for n, site in enumerate(world.sites):
        if (contract := site.take_or_pay) is None:
            continue
        here: dict[str, Ints] = {}
        for k, month in enumerate(world.months):
            if world.month_s[n, k].any():
                period = contract.period_of(month)
                here[period] = here.get(period, 0) + world.month_s[n, k]
        for period, inside in here.items():
            months = contract.months_of(period)
            start, end = month_span(site.zone, months[0])[0], month_span(site.zone, months[-1])[1]
            left_s = (end - max(start, world.problem.grid.start)).total_seconds()
            seen_s = int(inside.sum())
            missing_mwh = contract.missing_mwh(period, world.problem.state.sites[site.name].months)
            worth_usd = world.problem.outlook.get(site.name, Outlook()).take_usd_per_mwh.get(period)
            if worth_usd is None:
                budget[n, period] = missing_mwh * seen_s / left_s
            else:
                budget[n, period] = min(missing_mwh, site.connection_limit_w / W_PER_KW * seen_s / KW_S_PER_MWH)
            seconds[n, period] = inside[inside > 0]
            usd[n, period] = (contract.shortfall_usd_per_mwh if worth_usd is None else worth_usd) * seconds[n, period] / seen_s
            steps[n, period] = np.flatnonzero(inside)
    periods, keys = sorted({period for _, period in budget}), sorted(budget)
    places = [np.column_stack(np.broadcast_arrays(n, periods.index(p), steps[n, p])) for n, p in keys]
    taken = np.concatenate([np.zeros((0, 3), dtype=np.int64), *places])
    take_steps, periods_of = by_pair(taken[:, [0, 2, 1]])
    return {
        "PERIODS": periods,
        "TAKES": pairs((n, periods.index(p)) for n, p in keys),
        "TAKEN": taken,
        "TAKE_STEPS": take_steps,
        "STEPS_OF": by_pair(taken)[1],
        "PERIODS_OF": periods_of,
        "take_budget_mwh": [budget[key] for key in keys],
        "take_mwh_per_kw": np.concatenate([np.zeros(0), *(seconds[key] / KW_S_PER_MWH for key in keys)]),
        "shortfall_usd_per_mwh": np.concatenate([np.zeros(0), *(usd[key] for key in keys)]),
    }
