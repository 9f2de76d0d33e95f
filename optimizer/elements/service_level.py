r"""Service levels: what is missing of the share of a period's work that must be served costs the contract's price.

Variables
    missing[w,p]        missing of the level of period p              0 ..   [Mwork]

Constraints
    level_kept          sum over t of level_h[w,p,t] * unserved[w,t] - missing[w,p] <= may_miss[w,p]

Contributes
    service_shortfall   -sum over p of missing_usd_per_mwork[w,p,t] * missing[w,p]

Periods p are local days or months of the contract's zone that the horizon touches; level_h[w,p,t] are the hours of step t
that lie in p. With the level's share a (served_ppm / 1,000,000), what the state counts of the period so far (demanded and
served work D and S), and the work A = sum over t of level_h[w,p,t] * demand[w,t] that the horizon asks for in it,

    may_miss[w,p] = (1 - a) * A - (a * D - S) * seen_s / left_s

where left_s is the time that is left of the period at the start (all of it, where it begins later) and seen_s the part of
that in the horizon. What is owed so far, a * D - S, negative where more was served than was due, enters pro rata of what
is left: a period longer than the horizon must neither be made up for nor given up in the part that is seen. A period that
ends inside the horizon has seen_s = left_s and settles whole: then missing = max(0, a * (D + A) - S - served). The money
of a period is spread over its steps in the horizon by time.
"""

from models.service_level import PARTS, PeriodWork, ServiceLevel
from models.workload import BatchWorkload
from optimizer.contribution import Contribution, Earning
from optimizer.data import Data, by_pair, pairs
from optimizer.declare import STEPS, Expr, Model, Reading, Rule
from optimizer.sets import World

WORK_PER_MWORK = 1_000_000
S_PER_H = 3600


def service_levels(model: Model, unserved: Rule) -> Contribution:
    """Price what is missing of the levels of the workloads that have one; `unserved` is rule(m, w, t) in Mwork/h."""
    model.axis("LEVEL_PERIODS")
    model.sparse("LEVELS", "WORKLOADS", "LEVEL_PERIODS")
    model.sparse("LEVEL_SPANS", "WORKLOADS", "LEVEL_PERIODS", STEPS)
    model.sparse("LEVEL_STEPS", "WORKLOADS", STEPS)
    model.ragged("STEPS_OF_LEVEL", by=["LEVELS"], of=[STEPS])
    model.ragged("LEVELS_OF", by=["LEVEL_STEPS"], of=["LEVEL_PERIODS"])
    model.parameter("may_miss", "LEVELS")
    model.parameter("level_h", "LEVEL_SPANS")
    model.parameter("missing_usd_per_mwork", "LEVEL_SPANS")
    model.sources.append(level_data)
    model.variable("missing", "LEVELS")

    @model.constraint("LEVELS")
    def level_kept(m: Reading, w: Expr, p: Expr) -> Expr:
        left_out = sum(m.level_h[w, p, t] * unserved(m, w, t) for t in m.STEPS_OF_LEVEL[w, p])
        return left_out - m.missing[w, p] <= m.may_miss[w, p]

    def shortfall(m: Reading, w: Expr, t: Expr) -> Expr:
        return -sum(m.missing_usd_per_mwork[w, p, t] * m.missing[w, p] for p in m.LEVELS_OF[w, t])

    return Contribution(money=(Earning("service_shortfall", ("LEVEL_STEPS",), shortfall),))


def level_data(world: World) -> Data:
    """Return sets and parameters of the service levels of a world."""
    may_miss: dict[tuple[int, str], float] = {}
    hours: dict[tuple[int, str, int], float] = {}
    usd: dict[tuple[int, str, int], float] = {}
    for w, workload in enumerate(world.workloads):
        if isinstance(workload, BatchWorkload) or (level := workload.service_level) is None:
            continue
        counted = world.problem.state.service.get(workload.name, {})
        for period, inside in level_seconds(world, level).items():
            seen_s = sum(inside.values())
            start, end = level.span(period)
            left_s = (end - max(start, world.problem.grid.start)).total_seconds()
            demand = world.problem.demand_work_per_h[workload.name]
            asked = sum(demand[t] * s for t, s in inside.items()) / S_PER_H
            owed = _owed(level, counted.get(period, PeriodWork())) * seen_s / left_s
            may_miss[w, period] = ((PARTS - level.served_ppm) / PARTS * asked - owed) / WORK_PER_MWORK
            for t, s in inside.items():
                hours[w, period, t] = s / S_PER_H
                usd[w, period, t] = level.shortfall_usd_per_mwork * s / seen_s
    periods = sorted({period for _, period in may_miss})
    spans = [(w, periods.index(p), t) for w, p, t in sorted(hours)]
    steps, levels_of = by_pair((w, t, p) for w, p, t in spans)
    return {
        "LEVEL_PERIODS": periods,
        "LEVELS": pairs((w, p) for w, p, _ in spans),
        "LEVEL_SPANS": pairs(spans, 3),
        "LEVEL_STEPS": steps,
        "STEPS_OF_LEVEL": by_pair(spans)[1],
        "LEVELS_OF": levels_of,
        "may_miss": [may_miss[key] for key in sorted(may_miss)],
        "level_h": [hours[key] for key in sorted(hours)],
        "missing_usd_per_mwork": [usd[key] for key in sorted(usd)],
    }


def level_seconds(world: World, level: ServiceLevel) -> dict[str, dict[int, int]]:
    """Return by period that the horizon touches, and by step in it, the seconds of the step that lie in the period."""
    found: dict[str, dict[int, int]] = {}
    grid = world.problem.grid
    ends = (*grid.starts[1:], grid.end)
    for t, (start, end) in enumerate(zip(grid.starts, ends, strict=True)):
        for period, seconds in level.split(start, end):
            found.setdefault(period, {})[t] = seconds
    return found


def _owed(level: ServiceLevel, counted: PeriodWork) -> float:
    return level.served_ppm * counted.demanded_work / PARTS - counted.served_work
