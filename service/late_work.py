"""Settles what was measured of work between the making of a plan and its first step, which is some twenty minutes an hour.

When a plan is made, the plan in force counts for that time: nothing is measured of it yet. When the next one is made, it is,
and the state with which the plan began is settled by the difference:

    settled = counted then + (what is known now of the time before its first step − what was known when it was made)

for the work done of each service level's period and for the batch work that waits. Where nothing was measured, the plan
counts still, for as many nodes as are known to have run.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from models.service_level import PeriodWork
from models.state import Lot, State


def settled(counted: State, then: State, known: State) -> State:
    """Return the state with which a plan began, as it is known by now.

    counted: as the plan has it. then, known: the state at the same instant out of the plans before, as it was known when the
    plan was made, and as it is known now. What one of them does not tell stays as it was counted.
    """
    service = {
        workload: {
            period: _settled_period(work, then.service.get(workload, {}).get(period), known.service.get(workload, {}).get(period))
            for period, work in periods.items()
        }
        for workload, periods in counted.service.items()
    }
    backlog = {}
    for workload in {**counted.backlog, **known.backlog}:
        lots = [_by_due(state.backlog.get(workload, ())) for state in (counted, then, known)]
        if left := _settled_lots(*lots):
            backlog[workload] = left
    return counted.model_copy(update={"service": service, "backlog": backlog})


def counted_in_words(state: State) -> tuple[str, ...]:
    """Return what is counted of each service level's period at a plan's start, and how much of it sites measured."""
    return tuple(
        f"service_level: of what was asked of {workload} in {period}, {work.served_work / work.demanded_work:.2%} counts as "
        f"served when the plan begins; {work.measured_work / work.demanded_work:.2%} was measured, plans tell the rest"
        for workload, periods in sorted(state.service.items())
        for period, work in sorted(periods.items())
        if work.demanded_work
    )


def _settled_period(counted: PeriodWork, then: PeriodWork | None, known: PeriodWork | None) -> PeriodWork:
    if then is None or known is None:
        return counted
    served = counted.served_work + known.served_work - then.served_work
    measured = counted.measured_work + known.measured_work - then.measured_work
    served = min(max(0, served), counted.demanded_work)
    return PeriodWork(demanded_work=counted.demanded_work, served_work=served, measured_work=min(max(0, measured), served))


def _settled_lots(
    counted: Mapping[datetime, int], then: Mapping[datetime, int], known: Mapping[datetime, int]
) -> tuple[Lot, ...]:
    left = {due: counted.get(due, 0) + known.get(due, 0) - then.get(due, 0) for due in {*counted, *known}}
    return tuple(Lot(work=work, due=due) for due, work in sorted(left.items()) if work > 0)


def _by_due(lots: Sequence[Lot]) -> dict[datetime, int]:
    found: dict[datetime, int] = {}
    for lot in lots:
        found[lot.due] = found.get(lot.due, 0) + lot.work
    return found
