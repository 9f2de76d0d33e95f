"""Carries service levels from plan to plan: what was asked of each workload since its period began, and what of it was done.

What sites did is counted on their walk (`service.state_carry`, `service.work_count`): what they measured, and else the work of
the plan that a site carries out, while it carries it out; of a pool of which fewer nodes are known to run than the plan has
on, their share of it. The state says how much of the sum was measured. Nothing is measured yet of the time between the
making of a plan and its first step: there the plan in force counts, until the next plan is made (`service.late_work`).
"""

from collections.abc import Sequence
from datetime import datetime

from models.fleet import Fleet
from models.service_level import PeriodWork, ServiceLevel
from service.in_force import InForce, Segment
from service.work_count import UNIT, Piece

S_PER_H = 3600
Counted = dict[tuple[str, str], int]
"""An amount by workload and period."""


def levels(fleet: Fleet) -> dict[str, ServiceLevel]:
    """Return the service levels of a fleet by workload."""
    return {w.name: w.service_level for w in fleet.workloads if w.kind != "batch" and w.service_level is not None}


def carried_service(
    fleet: Fleet, base: InForce, run: Sequence[Segment], done: Sequence[Piece], at: datetime
) -> dict[str, dict[str, PeriodWork]]:
    """Return the work of each level's present period at `at`.

    base: the plan in force at the beginning, whose state counts what was before. run: what was in force since then.
    done: what sites did in that time.
    """
    asked: Counted = {}
    for segment in run:
        for workload, level in levels(fleet).items():
            rates = segment.plan.problem.demand_work_per_h.get(workload)
            for period, seconds in level.split(segment.start, segment.end):
                key = workload, period
                asked[key] = asked.get(key, 0) + (rates[segment.step] if rates else 0) * seconds
    served, measured = _by_period(fleet, done), _by_period(fleet, [piece for piece in done if piece.is_measured])
    found = {}
    for workload, level in levels(fleet).items():
        period = level.period_of(at)
        before = base.problem.state.service.get(workload, {}).get(period, PeriodWork())
        demanded = before.demanded_work + asked.get((workload, period), 0) // S_PER_H
        done_work = min(demanded, before.served_work + served.get((workload, period), 0) // UNIT)
        told = min(done_work, before.measured_work + measured.get((workload, period), 0) // UNIT)
        found[workload] = {period: PeriodWork(demanded_work=demanded, served_work=done_work, measured_work=told)}
    return found


def _by_period(fleet: Fleet, done: Sequence[Piece]) -> Counted:
    counted: Counted = {}
    for piece in done:
        if (level := levels(fleet).get(piece.workload)) is not None:
            for period, amount in piece.by_period(level):
                key = piece.workload, period
                counted[key] = counted.get(key, 0) + amount
    return counted
