"""Carries batch work from plan to plan: what waited, what arrived since, less what the plans in force served."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from models.fleet import Fleet
from models.state import Lot
from models.workload import BatchWorkload
from service.in_force import InForce, Segment


def carried_backlog(fleet: Fleet, base: InForce, run: Sequence[Segment]) -> dict[str, tuple[Lot, ...]]:
    """Return the lots of each batch workload that wait at the end of a run of segments, the first due first."""
    waiting = {}
    for workload in fleet.workloads:
        if isinstance(workload, BatchWorkload):
            lots: dict[datetime, int] = {}
            for lot in base.problem.state.backlog.get(workload.name, ()):
                lots[lot.due] = lots.get(lot.due, 0) + lot.work
            for segment in run:
                due, arrived = _arrivals(workload, segment)
                lots[due] = lots.get(due, 0) + arrived
                lots = _served(lots, _served_work(workload.name, segment))
            if left := tuple(Lot(work=work, due=due) for due, work in sorted(lots.items()) if work):
                waiting[workload.name] = left
    return waiting


def _arrivals(workload: BatchWorkload, segment: Segment) -> tuple[datetime, int]:
    """Work that arrives in a segment, rounded up, and when it is due.

    Work comes evenly over a segment. Counted at the ends of whole steps, as plans count, that is the same as all of it
    having come at the segment's end.
    """
    rates = segment.plan.problem.demand_work_per_h.get(workload.name)
    rate = rates[segment.step] if rates else 0
    return segment.end + timedelta(seconds=workload.deadline_s), -(-rate * _seconds(segment) // 3600)


def _served_work(workload: str, segment: Segment) -> int:
    """Work that the plan did in a segment, rounded down."""
    pools = (pool for site in segment.plan.plan.sites.values() for pool in site.pools.values())
    rate = sum(pool.work_per_h[workload][segment.step] for pool in pools if workload in pool.work_per_h)
    return rate * _seconds(segment) // 3600


def _served(lots: dict[datetime, int], work: int) -> dict[datetime, int]:
    left = {}
    for due, waiting in sorted(lots.items()):
        done = min(waiting, work)
        work -= done
        left[due] = waiting - done
    return left


def _seconds(segment: Segment) -> int:
    return int((segment.end - segment.start).total_seconds())
