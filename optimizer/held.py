"""Plans the rest of a fleet around sites that are held as they stand in another plan, such as the rule plan.

A site whose own input is missing must not be optimised on a guess, nor may it keep the others from their plan. `without`
takes held sites and the work that they do out of a problem; `joined` puts them back and values the whole anew.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta

from models.fleet import Fleet, StepGuard
from models.gap import gap_percent
from models.plan import REVENUE_TERMS, Basis, MoneyLine, Plan
from models.problem import Problem
from models.service_level import PeriodWork, ServiceLevel
from models.site import Site
from models.state import Lot
from optimizer.decisions import decisions_of, workload_plans
from optimizer.elements.service_level import level_seconds
from optimizer.formulation import build
from optimizer.recovery import recover
from optimizer.sets import world
from optimizer.valuation import money_lines, place_sites

S_PER_H = 3600


def without(problem: Problem, held: Collection[str], plan: Plan) -> Problem:
    """Return the problem of the other sites: what held sites do in `plan` is served already.

    problem: of the whole fleet. held: names of sites. plan: of the same problem.

    Raises:
        ValueError: no site is left.
    """
    left = tuple(site for site in problem.fleet.sites if site.name not in held)
    if not left:
        raise ValueError("expected a site that is not held, got none")
    regions = {site.region for site in left}
    workloads, demand, backlog, service = [], {}, {}, {}
    for workload in problem.fleet.workloads:
        routes = {r: usd for r, usd in workload.routing_usd_per_mwork.items() if r in regions}
        if not any(problem.fleet.admits(workload, site) for site in left):
            continue
        workloads.append(workload.model_copy(update={"routing_usd_per_mwork": routes}))
        asked = problem.demand_work_per_h[workload.name]
        served = _served(plan, held, workload.name, problem.grid.steps)
        demand[workload.name] = tuple(max(0, a - s) for a, s in zip(asked, served, strict=True))
        if lots := problem.state.backlog.get(workload.name):
            beyond = [max(0, s - a) * length for a, s, length in zip(asked, served, problem.grid.step_s, strict=True)]
            backlog[workload.name] = _less(lots, -(-sum(beyond) // S_PER_H))
        if workload.kind != "batch" and workload.service_level is not None:
            service[workload.name] = _also_served(problem, workload.service_level, workload.name, served)
    state = problem.state.model_copy(
        update={
            "sites": {n: s for n, s in problem.state.sites.items() if n not in held},
            "backlog": {n: b for n, b in backlog.items() if b},
            "service": service,
        }
    )
    content = {name: getattr(problem, name) for name in Problem.model_fields}
    fleet = {name: getattr(problem.fleet, name) for name in Fleet.model_fields} | {
        "sites": left, "workloads": tuple(workloads), "step_guard": _guard_of(problem.fleet, left),
    }  # fmt: skip
    content |= {
        "fleet": Fleet.model_validate(fleet), "state": state, "demand_work_per_h": demand,
        "limit_w": {name: w for name, w in problem.limit_w.items() if name not in held},
        "awards": tuple(award for award in problem.awards if award.site not in held),
        "orders": tuple(order for order in problem.orders if order.site not in held),
        "feeder_limit_w": {name: series for name, series in problem.feeder_limit_w.items() if name not in held},
        "outlook": {name: outlook for name, outlook in problem.outlook.items() if name not in held},
        "outages": tuple(outage for outage in problem.outages if outage.site not in held),
        "pins": tuple(pin for pin in problem.pins if pin.site not in held),
    }  # fmt: skip
    return Problem.model_validate(content)


def joined(problem: Problem, rest: Plan, held: Mapping[str, Basis], plan: Plan) -> Plan:
    """Return the plan of the whole fleet: `rest` for the sites that it plans, `plan` for the held ones.

    held: the rung of the ladder that each of them stands on by its decisions in `plan`.
    Its gap is that of the rest: the bound holds for plans that hold the same sites.
    """
    sites = {s.name: (plan if s.name in held else rest).sites[s.name] for s in problem.fleet.sites}
    recovered = recover(problem)
    compiled = build(problem, release=recovered.release)
    money = money_lines(compiled, place_sites(problem, compiled, sites))
    objective = sum(sum(line.usd) for line in money)
    gap_usd = rest.proof.gap_usd
    return rest.model_copy(
        update={
            "problem_name": problem.name,
            "problem_digest": problem.digest,
            "recoveries": recovered.records,
            "reasons": (*rest.reasons, *_rungs_in_words(held)),
            "sites": sites,
            "workloads": workload_plans(problem, [decisions_of(made) for made in sites.values()]),
            "money": money,
            "proof": rest.proof.model_copy(
                update={
                    "objective_usd": objective,
                    "bound_usd": None if gap_usd is None else objective + gap_usd,
                    "gap_percent": _percent(gap_usd, objective, money),
                    "status": "feasible",
                }
            ),
            "audit": None,
        }
    )


def _guard_of(fleet: Fleet, left: Sequence[Site]) -> StepGuard | None:
    """Return the part of the step guard that belongs to some sites: they have the shares that they had among all."""
    if (guard := fleet.step_guard) is None:
        return None
    most_w = guard.most_change_w * sum(site.connection_limit_w for site in left) // fleet.connection_w
    return guard.model_copy(update={"most_change_w": most_w})


def _served(plan: Plan, sites: Collection[str], workload: str, steps: int) -> list[int]:
    total = [0] * steps
    for name in sites:
        for pool in plan.sites[name].pools.values():
            for t, rate in enumerate(pool.work_per_h.get(workload, ())):
                total[t] += rate
    return total


def _also_served(problem: Problem, level: ServiceLevel, workload: str, served: Sequence[int]) -> dict[str, PeriodWork]:
    """Return the state of a level with what held sites serve of its periods in the horizon as if it were done already.

    Of the state, a plan settles only its share of the time that is left of a period: so much more is told to be done.
    """
    found = dict(problem.state.service.get(workload, {}))
    for period, inside in level_seconds(world(problem), level).items():
        start, end = level.span(period)
        left_s = (end - max(start, problem.grid.start)) // timedelta(seconds=1)
        done = sum(served[t] * s for t, s in inside.items()) * left_s // (sum(inside.values()) * S_PER_H)
        before = found.get(period, PeriodWork())
        found[period] = PeriodWork(demanded_work=before.demanded_work + done, served_work=before.served_work + done)
    return found


def _less(lots: Sequence[Lot], work: int) -> tuple[Lot, ...]:
    """Take work off the lots, the first due first."""
    left = []
    for lot in sorted(lots, key=lambda lot: lot.due):
        taken = min(lot.work, work)
        work -= taken
        if lot.work > taken:
            left.append(Lot(work=lot.work - taken, due=lot.due))
    return tuple(left)


def _rungs_in_words(held: Mapping[str, Basis]) -> list[str]:
    """Name the held sites, rung by rung."""
    return [
        f"held on their {basis.replace('_', ' ')} plan: {', '.join(sorted(s for s in held if held[s] == basis))}"
        for basis in sorted(set(held.values()))
    ]


def _percent(gap_usd: float | None, objective_usd: float, money: Sequence[MoneyLine]) -> float | None:
    if gap_usd is None:
        return None
    return gap_percent(gap_usd, objective_usd, sum(sum(line.usd) for line in money if line.term in REVENUE_TERMS))
