"""Counts the work that one site did: what it measured, else the plan that it carries out, for as many nodes as run.

Amounts are work × `UNIT`, so that a rate per hour over any number of microseconds is a whole number.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from models.service_level import ServiceLevel
from service.in_force import Segment
from service.store.records import TelemetryPoint

MICROSECOND = timedelta(microseconds=1)
UNIT = 3_600_000_000
"""Microseconds of an hour."""


class Piece(NamedTuple):
    """Work that was done evenly over a stretch of time."""

    workload: str
    start: datetime
    end: datetime
    amount: int
    is_measured: bool

    def within(self, start: datetime, end: datetime) -> int:
        """Return how much of it was done from one instant to another, rounded down."""
        start, end = max(start, self.start), min(end, self.end)
        return self.amount * ((end - start) // MICROSECOND) // ((self.end - self.start) // MICROSECOND) if start < end else 0

    def by_period(self, level: ServiceLevel) -> Iterator[tuple[str, int]]:
        """Yield how much of it was done in each of a level's periods."""
        at = self.start
        while at < self.end:
            period = level.period_of(at)
            until = min(self.end, level.span(period)[1])
            yield period, self.within(at, until)
            at = until


class WorkCount:
    """Counts the work of one site from `begun` until `ends`, for some workloads."""

    def __init__(
        self, site: str, workloads: Collection[str], points: Iterable[TelemetryPoint], begun: datetime, ends: datetime
    ) -> None:
        self.site, self.workloads = site, workloads
        self.measured = {name: measured for name in workloads if (measured := list(_measured(name, points, begun, ends)))}
        self.pieces = [piece for measured in self.measured.values() for piece in measured]

    def add(self, segment: Segment | None, nodes: Mapping[str, int], start: datetime, end: datetime) -> None:
        """Count what a site did of a segment from one instant to another, where it measured nothing; `nodes` are on, by pool."""
        plan = segment.plan.plan.sites.get(self.site) if segment is not None else None
        if segment is None or plan is None:
            return
        start, end = max(start, segment.start), min(end, segment.end)
        for name, pool in plan.pools.items():
            told = pool.nodes_on[segment.step]
            if not (there := min(told, nodes.get(name, 0))):
                continue
            for workload, rates in pool.work_per_h.items():
                if workload in self.workloads:
                    rate = rates[segment.step] * there // told
                    for a, b in _gaps(self.measured.get(workload, ()), start, end):
                        self.pieces.append(Piece(workload, a, b, rate * ((b - a) // MICROSECOND), False))


def _measured(workload: str, points: Iterable[TelemetryPoint], begun: datetime, ends: datetime) -> Iterator[Piece]:
    """Yield what points tell of a workload between two instants, by time; of stretches that overlap, the first told counts."""
    told_until = begun
    for point in sorted(points, key=lambda p: p.at):
        if point.done is None or workload not in point.done.work:
            continue
        whole = Piece(workload, point.done.since, point.at, point.done.work[workload] * UNIT, True)
        start, end = max(whole.start, told_until), min(whole.end, ends)
        if start < end:
            yield whole._replace(start=start, end=end, amount=whole.within(start, end))
            told_until = end


def _gaps(covered: Sequence[Piece], start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Yield the stretches from one instant to another that no piece covers; pieces come by time and do not overlap."""
    for piece in covered:
        if start < min(piece.start, end):
            yield start, min(piece.start, end)
        start = max(start, piece.end)
    if start < end:
        yield start, end
