"""Carries service levels from plan to plan: what was asked of each workload since its period began, and what of it was done.

What sites did is counted on their walk (`service.state_carry`): the work of the plan that a site carries out, while it
carries it out, and of a pool of which fewer nodes are known to run than the plan has on, their share of it.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from models.fleet import Fleet
from models.service_level import PeriodWork, ServiceLevel
from service.in_force import InForce, Segment

S_PER_H = 3600
Counted = dict[tuple[str, str], int]
"""Work x 3600, by workload and period."""


def levels(fleet: Fleet) -> dict[str, ServiceLevel]:
    """Return the service levels of a fleet by workload."""
    return {w.name: w.service_level for w in fleet.workloads if w.kind != "batch" and w.service_level is not None}


class WorkCount:
    """Counts the work of one site by workload and period, for the workloads that have a service level."""

    def __init__(self, site: str, of: Mapping[str, ServiceLevel]) -> None:
        self.site, self.levels = site, of
        self.done: Counted = {}

    def add(self, segment: Segment | None, nodes: Mapping[str, int], start: datetime, end: datetime) -> None:
        """Count what a site did of a segment from one instant to another; `nodes` are on, by pool."""
        plan = segment.plan.plan.sites.get(self.site) if segment is not None else None
        if segment is None or plan is None:
            return
        start, end = max(start, segment.start), min(end, segment.end)
        for name, pool in plan.pools.items():
            told = pool.nodes_on[segment.step]
            there = min(told, nodes.get(name, 0))
            for workload, level in self.levels.items():
                if there and workload in pool.work_per_h:
                    rate = pool.work_per_h[workload][segment.step] * there // told
                    _count(self.done, workload, level, rate, start, end)


def carried_service(
    fleet: Fleet, base: InForce, run: Sequence[Segment], done: Iterable[Counted], at: datetime
) -> dict[str, dict[str, PeriodWork]]:
    """Return the work of each level's present period at `at`.

    base: the plan in force at the beginning, whose state counts what was before. run: what was in force since then.
    done: what each site did in that time.
    """
    asked: Counted = {}
    for segment in run:
        for workload, level in levels(fleet).items():
            rates = segment.plan.problem.demand_work_per_h.get(workload)
            _count(asked, workload, level, rates[segment.step] if rates else 0, segment.start, segment.end)
    served: Counted = {}
    for counted in done:
        for key, work in counted.items():
            served[key] = served.get(key, 0) + work
    found = {}
    for workload, level in levels(fleet).items():
        period = level.period_of(at)
        before = base.problem.state.service.get(workload, {}).get(period, PeriodWork())
        demanded = before.demanded_work + asked.get((workload, period), 0) // S_PER_H
        done_work = before.served_work + served.get((workload, period), 0) // S_PER_H
        found[workload] = {period: PeriodWork(demanded_work=demanded, served_work=min(demanded, done_work))}
    return found


def _count(counted: Counted, workload: str, level: ServiceLevel, rate: int, start: datetime, end: datetime) -> None:
    for period, seconds in level.split(start, end):
        counted[workload, period] = counted.get((workload, period), 0) + rate * seconds
