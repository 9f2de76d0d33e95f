"""Hours of the local calendar: months, weekdays and hours of the day of a zone, clock changes included."""

from datetime import datetime, timedelta
from functools import lru_cache
from typing import Annotated, Self
from zoneinfo import ZoneInfo

from annotated_types import Ge, Le, Len
from pydantic import model_validator

from models.base import Record
from models.time_grid import TimeGrid

HOURS_A_DAY = 24
S_PER_H = 3600

CalendarMonth = Annotated[int, Ge(1), Le(12)]
Weekday = Annotated[int, Ge(0), Le(6)]


class LocalHours(Record):
    """Hours from `from_h` until `to_h` on some weekdays of some months; an hour that the clock repeats counts twice.

    Hours are read off the local clock, so `from_h` 13 and `to_h` 17 are the four hours that begin at 13, 14, 15 and 16.
    Where `to_h` is below `from_h`, they run over midnight; the weekday is that of each hour itself.
    """

    months: Annotated[tuple[CalendarMonth, ...], Len(1, 12)] = tuple(range(1, 13))
    week_days: Annotated[tuple[Weekday, ...], Len(1, 7)] = tuple(range(7))
    """0 is Monday."""
    from_h: Annotated[int, Ge(0), Le(23)] = 0
    to_h: Annotated[int, Ge(0), Le(24)] = 24

    @model_validator(mode="after")
    def holds_an_hour(self) -> Self:
        """Refuse a window without hours."""
        if self.from_h == self.to_h:
            raise ValueError(f"to_h: expected another hour than from_h {self.from_h}")
        return self

    def includes(self, local: datetime) -> bool:
        """Whether a local time lies in these hours."""
        inside = (
            self.from_h <= local.hour < self.to_h
            if self.from_h < self.to_h
            else local.hour >= self.from_h or local.hour < self.to_h
        )
        return inside and local.weekday() in self.week_days and local.month in self.months


@lru_cache(maxsize=1_024)
def shares_inside(zone: str, hours: LocalHours, grid: TimeGrid) -> tuple[float, ...]:
    """Return the share of each step of a grid that lies in some local hours of a zone."""
    return tuple(
        sum(s for local, s in pieces if hours.includes(local)) / length_s
        for pieces, length_s in zip(_local_pieces(zone, grid), grid.step_s, strict=True)
    )


@lru_cache(maxsize=256)
def _local_pieces(zone: str, grid: TimeGrid) -> tuple[tuple[tuple[datetime, int], ...], ...]:
    """Return, for each step, its parts that lie in one local hour each: when they begin on the local clock, and seconds."""
    place, steps = ZoneInfo(zone), []
    for start, length_s in zip(grid.starts, grid.step_s, strict=True):
        pieces, at, end = [], start, start + timedelta(seconds=length_s)
        while at < end:
            local = at.astimezone(place)
            until = min(end, at + timedelta(seconds=S_PER_H - (local.minute * 60 + local.second)))
            pieces.append((local, int((until - at).total_seconds())))
            at = until
        steps.append(tuple(pieces))
    return tuple(steps)
