"""Which published plan holds when: the newest version that has begun, from its first step on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from models.plan import Plan
from models.problem import Problem


@dataclass(frozen=True)
class InForce:
    """A published plan, with its problem, and the version under which sites know it."""

    version: int
    plan: Plan
    problem: Problem


@dataclass(frozen=True)
class Segment:
    """A stretch of one step of one plan that was, or will be, in force."""

    start: datetime
    end: datetime
    plan: InForce
    step: int


def in_force(plans: Sequence[InForce], at: datetime) -> InForce | None:
    """Return the plan that holds at an instant: the newest version that has begun and not ended."""
    begun = [p for p in plans if p.plan.grid.start <= at < p.plan.grid.end]
    return max(begun, key=lambda p: p.version, default=None)


def segments(plans: Sequence[InForce], start: datetime, end: datetime) -> list[Segment]:
    """Return what is in force from `start` to `end`, cut at every step and at every newer plan's beginning."""
    cuts = {p.plan.grid.start for p in plans} | {s for p in plans for s in p.plan.grid.starts}
    times = sorted({start, end, *(c for c in cuts if start < c < end)})
    found = []
    for a, b in pairwise(times):
        if (plan := in_force(plans, a)) is not None:
            step = sum(s <= a for s in plan.plan.grid.starts) - 1
            found.append(Segment(a, b, plan, step))
    return found
