"""Which published plan holds when: the newest version that has begun, from its first step on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
    holds_until: Mapping[str, datetime] = field(default_factory=dict)
    """End of the document of each site: past it, sites do not follow the plan any more."""

    def ends(self, site: str | None) -> datetime:
        """Return when the plan ends, or when a site stops to follow it."""
        return min(self.plan.grid.end, self.holds_until.get(site, self.plan.grid.end)) if site else self.plan.grid.end


@dataclass(frozen=True)
class Segment:
    """A stretch of one step of one plan that was, or will be, in force."""

    start: datetime
    end: datetime
    plan: InForce
    step: int


def in_force(plans: Sequence[InForce], at: datetime, site: str | None = None) -> InForce | None:
    """Return the plan that holds at an instant: the newest version that has begun and not ended, for the fleet or a site."""
    begun = [p for p in plans if p.plan.grid.start <= at < p.ends(site)]
    return max(begun, key=lambda p: p.version, default=None)


def segments(plans: Sequence[InForce], start: datetime, end: datetime, site: str | None = None) -> list[Segment]:
    """Return what is in force from `start` to `end`, cut at every step and at every newer plan's beginning.

    For a site, there is nothing where its last document had ended: what it did then only its measurements tell.
    """
    cuts = {p.ends(site) for p in plans} | {s for p in plans for s in p.plan.grid.starts}
    times = sorted({start, end, *(c for c in cuts if start < c < end)})
    found: list[Segment] = []
    for a, b in pairwise(times):
        if (plan := in_force(plans, a, site)) is not None:
            step = sum(s <= a for s in plan.plan.grid.starts) - 1
            if found and (found[-1].end, found[-1].plan, found[-1].step) == (a, plan, step):
                a = found.pop().start  # another plan's end is no new command of this one
            found.append(Segment(a, b, plan, step))
    return found
