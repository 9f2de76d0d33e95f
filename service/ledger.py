"""Counts that remember: how many machines run, since when, and when the others were stopped.

First in, first out, both ways: whoever stops is taken from those that have run longest, whoever starts from those that
have been off longest. Where a measurement says only that fewer run, the survivors are so held for the youngest; the
minimum times that follow from that are never shorter than the true ones.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from models.state import Cohort


@dataclass
class Ledger:
    """The machines of one group or pool, by when they changed; those without a date have been off for long."""

    started: list[Cohort] = field(default_factory=list)
    stopped: list[Cohort] = field(default_factory=list)
    total: int = 0
    starts: list[Cohort] = field(default_factory=list)
    """All starts since the ledger was opened, also of machines that stopped again."""

    @property
    def running(self) -> int:
        """Machines that run."""
        return sum(cohort.count for cohort in self.started)

    def wake(self, count: int, since: datetime) -> None:
        """Let machines run again that were only put by: they have run since an instant that holds them no more."""
        if count > 0:
            self.started = [Cohort(count=count, since=since), *self.started]

    def set_running(self, count: int, at: datetime) -> bool:
        """Start or stop machines at an instant until `count` run; return whether anything changed."""
        more = count - self.running
        if more > 0:
            undated = max(0, self.total - self.running - sum(cohort.count for cohort in self.stopped))
            self.stopped = _without_oldest(self.stopped, max(0, more - undated))
            self.started = [*self.started, Cohort(count=more, since=at)]
            self.starts = [*self.starts, Cohort(count=more, since=at)]
        elif more < 0:
            self.started = _without_oldest(self.started, -more)
            self.stopped = [*self.stopped, Cohort(count=-more, since=at)]
        return more != 0

    def starts_since(self, instant: datetime) -> int:
        """Return how many machines were started from an instant on."""
        return sum(cohort.count for cohort in self.starts if cohort.since >= instant)

    def running_since(self, at: datetime, min_up: timedelta) -> tuple[Cohort, ...]:
        """Return those that run at an instant by their start; whoever has run its minimum is one cohort."""
        return _merged(self.started, at, min_up)

    def stopped_since(self, at: datetime, min_down: timedelta) -> tuple[Cohort, ...]:
        """Return those whose minimum rest is not over at an instant; the others may start at any time."""
        return tuple(c for c in _merged(self.stopped, at, min_down) if c.since > at - min_down)


def _without_oldest(cohorts: Iterable[Cohort], count: int) -> list[Cohort]:
    left = []
    for cohort in sorted(cohorts, key=lambda c: c.since):
        taken = min(cohort.count, count)
        count -= taken
        if cohort.count > taken:
            left.append(Cohort(count=cohort.count - taken, since=cohort.since))
    return left


def _merged(cohorts: Iterable[Cohort], at: datetime, minimum: timedelta) -> tuple[Cohort, ...]:
    """Join what changed at the same time, and all whose minimum is over: they are dated by the youngest of them."""
    counts: dict[datetime, int] = {}
    over = [c for c in cohorts if c.since <= at - minimum]
    if over:
        counts[max(c.since for c in over)] = sum(c.count for c in over)
    for cohort in cohorts:
        if cohort.since > at - minimum:
            since = min(cohort.since, at)
            counts[since] = counts.get(since, 0) + cohort.count
    return tuple(Cohort(count=count, since=since) for since, count in sorted(counts.items()))
