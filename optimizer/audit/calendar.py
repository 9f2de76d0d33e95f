"""Months and hours of a site's own calendar, read off the clock of its zone and nothing else."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from models.local_hours import LocalHours
from models.problem import Problem
from models.site import Site

When = tuple[int, int]
"""Year and month."""


@dataclass(frozen=True)
class LocalMonth:
    """A month of a site's calendar that the horizon touches: seconds of it in each step, and left of it at the start."""

    when: When
    step_s: list[int]
    left_s: int

    @property
    def name(self) -> str:
        """The month as the state writes it."""
        return f"{self.when[0]:04d}-{self.when[1]:02d}"


def local_months(problem: Problem, site: Site) -> list[LocalMonth]:
    """Return the months that the horizon touches at a site, in order."""
    grid, found = problem.grid, []
    first = grid.start.astimezone(ZoneInfo(site.zone))
    when = (first.year, first.month)
    while (begins := _begins(site, when)) < grid.end.timestamp():
        after = month_before(when, -1)
        ends = _begins(site, after)
        step_s = [
            max(0, int(min(ends, t.timestamp() + s) - max(begins, t.timestamp())))
            for t, s in zip(grid.starts, grid.step_s, strict=True)
        ]
        found.append(LocalMonth(when, step_s, int(ends - max(begins, grid.start.timestamp()))))
        when = after
    return found


def month_before(when: When, months: int) -> When:
    """Return the month so many months before another, or after it where `months` is negative."""
    year, month = divmod(when[0] * 12 + when[1] - 1 - months, 12)
    return year, month + 1


def length_s(site: Site, when: When) -> int:
    """Return the length of a whole local month."""
    return int(_begins(site, month_before(when, -1)) - _begins(site, when))


def _begins(site: Site, when: When) -> float:
    return datetime(*when, 1, tzinfo=ZoneInfo(site.zone)).timestamp()


def seconds_in(zone: str, hours: LocalHours, start: datetime, length_s: int) -> int:
    """Return how many seconds of a step lie in some local hours, minute by minute."""
    inside, at, end = 0, start, start + timedelta(seconds=length_s)
    allowed = {h % 24 for h in range(hours.from_h, hours.to_h + (24 if hours.to_h < hours.from_h else 0))}
    while at < end:
        clock = at.astimezone(ZoneInfo(zone))
        until = min(end, at + timedelta(seconds=60 - clock.second))
        if clock.hour in allowed and clock.month in hours.months and clock.weekday() in hours.week_days:
            inside += round((until - at).total_seconds())
        at = until
    return inside
