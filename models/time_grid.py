"""The time grid: a run of steps, each with its own length, in UTC; and the days of 23 and 25 hours of a zone."""

from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from itertools import accumulate
from typing import Annotated, Self
from zoneinfo import ZoneInfo, available_timezones

from annotated_types import Ge, Le, Len
from pydantic import AfterValidator, Field, model_validator

from models.base import MAX_STEPS, Instant, Record, iso

StepSeconds = Annotated[int, Ge(60), Le(86_400)]


def _known_zone(name: str) -> str:
    if name not in _zones():
        raise ValueError(f"expected an IANA zone such as America/Chicago, got {name!r}")
    return name


_ZONES: set[str] = set()


def _zones() -> set[str]:
    if not _ZONES:
        _ZONES.update(available_timezones())
    return _ZONES


Zone = Annotated[str, AfterValidator(_known_zone)]


class LocalDays(Record):
    """The whole local days that a grid declares to cover: their steps are counted against the zone's clock changes."""

    zone: Zone
    first: Annotated[date, Field(strict=False)]
    days: Annotated[int, Ge(1), Le(31)]

    @model_validator(mode="after")
    def lie_within_the_calendar(self) -> Self:
        """Refuse days whose midnights the calendar does not hold."""
        try:
            _ = self.start, self.end
        except OverflowError:
            raise ValueError(f"first: expected {self.days} day(s) of the years 1 to 9999, got {self.first}") from None
        return self

    @property
    def start(self) -> datetime:
        """Local midnight of the first day, as an instant."""
        return local_midnight(self.zone, self.first)

    @property
    def end(self) -> datetime:
        """Local midnight after the last day, as an instant."""
        return local_midnight(self.zone, self.first + timedelta(days=self.days))


class TimeGrid(Record):
    """Half-open steps [start, start + step_s[0]), … that follow each other without gap or overlap.

    Fields: `start` (instant, on a whole second), `step_s` (length of each step in seconds), and optionally the
    local days that the grid must cover exactly (23-, 24- and 25-hour days are then told apart).
    """

    start: Instant
    step_s: Annotated[tuple[StepSeconds, ...], Len(1, MAX_STEPS)]
    local_days: LocalDays | None = None

    @model_validator(mode="after")
    def covers_what_it_declares(self) -> Self:
        """Refuse fractions of a second, and declared local days that the steps do not cover exactly."""
        if self.start.microsecond:
            raise ValueError(f"start: expected a whole second, got {iso(self.start)}")
        if (days := self.local_days) is not None:
            expected_s = int((days.end - days.start).total_seconds())
            if self.start != days.start or sum(self.step_s) != expected_s:
                raise ValueError(
                    f"step_s: {days.days} local day(s) from {days.first} in {days.zone} run from {iso(days.start)} to "
                    f"{iso(days.end)} ({expected_s / 3600:g} h); "
                    f"the steps run from {iso(self.start)} to {iso(self.end)} ("
                    f"{len(self.step_s)} steps, {sum(self.step_s) / 3600:g} h)"
                )
        return self

    @property
    def steps(self) -> int:
        """Number of steps."""
        return len(self.step_s)

    @cached_property
    def offset_s(self) -> tuple[int, ...]:
        """Seconds from the grid's start to each step's start, and to the end of the last: steps + 1 values."""
        return tuple(accumulate(self.step_s, initial=0))

    @cached_property
    def starts(self) -> tuple[datetime, ...]:
        """Start of each step."""
        return tuple(self.start + timedelta(seconds=s) for s in self.offset_s[:-1])

    @property
    def end(self) -> datetime:
        """End of the last step."""
        return self.start + timedelta(seconds=sum(self.step_s))

    @property
    def hours(self) -> tuple[float, ...]:
        """Length of each step in hours."""
        return tuple(s / 3600 for s in self.step_s)


def hourly(start: datetime, hours: int) -> TimeGrid:
    """Return a grid of whole hours from `start`."""
    return TimeGrid(start=start, step_s=(3600,) * hours)


def local_date(zone: str, instant: datetime) -> date:
    """Return the day of a zone's calendar in which an instant lies."""
    return instant.astimezone(ZoneInfo(zone)).date()


def local_midnight(zone: str, day: date) -> datetime:
    """Return the first instant of a local day in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).astimezone(UTC)


def local_day_steps(zone: str, day: date, step_s: int) -> int:
    """Return how many steps of `step_s` seconds a local day has: it may be 23, 23.5, 24, 24.5 or 25 hours long."""
    seconds = (local_midnight(zone, day + timedelta(days=1)) - local_midnight(zone, day)).total_seconds()
    return int(seconds // step_s)


def local_day_grid(zone: str, first: date, days: int = 1, step_s: int = 3600) -> TimeGrid:
    """Return the grid of whole local days, clock changes included."""
    declared = LocalDays(zone=zone, first=first, days=days)
    steps = int((declared.end - declared.start).total_seconds()) // step_s
    return TimeGrid(start=declared.start, step_s=(step_s,) * steps, local_days=declared)
