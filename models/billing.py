"""Billing months: what a site's meter has counted, by the months of the site's own calendar."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated
from zoneinfo import ZoneInfo

from annotated_types import Ge, Le, Len
from pydantic import StringConstraints

from models.base import Record, Watts

Month = Annotated[str, StringConstraints(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")]
"""A month of a site's own calendar, such as 2026-11."""

WattHours = Annotated[int, Ge(0), Le(10**14)]
MONTHS_A_YEAR = 12
LONGEST_LOOK_BACK = 24
"""Months that may still matter for a bill, the present one left out."""


class MonthTotals(Record):
    """What the meter has counted in one month: the highest draw of a demand interval, and energy."""

    peak_w: Watts = 0
    energy_wh: WattHours = 0


Months = Annotated[dict[Month, MonthTotals], Len(0, 120)]
Meter = Mapping[str, MonthTotals]
"""Totals by month; a month that is not there was not counted."""


@lru_cache(maxsize=65_536)
def month_of(zone: str, instant: datetime) -> str:
    """Return the month of a zone's calendar in which an instant lies."""
    return f"{instant.astimezone(ZoneInfo(zone)):%Y-%m}"


@lru_cache(maxsize=4_096)
def month_span(zone: str, month: str) -> tuple[datetime, datetime]:
    """Return the first instant of a local month and that of the month after it."""
    first, after = (datetime(int(m[:4]), int(m[5:]), 1, tzinfo=ZoneInfo(zone)) for m in (month, later_month(month, 1)))
    return first.astimezone(UTC), after.astimezone(UTC)


def later_month(month: str, months: int) -> str:
    """Return the month so many months later, or earlier where `months` is negative."""
    number = int(month[:4]) * MONTHS_A_YEAR + int(month[5:]) - 1 + months
    return f"{number // MONTHS_A_YEAR:04d}-{number % MONTHS_A_YEAR + 1:02d}"


def calendar_month(month: str) -> int:
    """Return 1 for January to 12 for December."""
    return int(month[5:])


def split_by_month(zone: str, start: datetime, end: datetime) -> list[tuple[str, int]]:
    """Return the months that a stretch of time touches, in order, and the seconds of it in each."""
    found, at = [], start
    while at < end:
        month = month_of(zone, at)
        until = min(end, month_span(zone, month)[1])
        found.append((month, (until - at) // timedelta(seconds=1)))
        at = until
    return found
