"""Carries batch work from plan to plan: what waited, what arrived since, less what sites did of it (`service.work_count`)."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from models.fleet import Fleet
from models.state import Lot
from models.workload import BatchWorkload
from service.in_force import InForce, Segment
from service.work_count import UNIT, Piece


def carried_backlog(
    fleet: Fleet, base: InForce, run: Sequence[Segment], done: Sequence[Piece]
) -> dict[str, tuple[Lot, ...]]:  # fmt: skip
    """Return the lots of each batch workload that wait at the end of a run of segments, the first due first.

    done: what sites did in that time.
    """
    waiting = {}
    for workload in fleet.workloads:
        if isinstance(workload, BatchWorkload):
            lots: dict[datetime, int] = {}
            for lot in base.problem.state.backlog.get(workload.name, ()):
                lots[lot.due] = lots.get(lot.due, 0) + lot.work
            for segment in run:
                due, arrived = _arrivals(workload, segment)
                lots[due] = lots.get(due, 0) + arrived
                amounts = (p.within(segment.start, segment.end) for p in done if p.workload == workload.name)
                lots = _served(lots, sum(amounts) // UNIT)
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


def _served(lots: dict[datetime, int], work: int) -> dict[datetime, int]:
    left = {}
    for due, waiting in sorted(lots.items()):
        done = min(waiting, work)
        work -= done
        left[due] = waiting - done
    return left


def _seconds(segment: Segment) -> int:
    return int((segment.end - segment.start).total_seconds())
