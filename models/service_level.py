"""Service levels: the share of the work demanded in each local day or month that must be served."""

from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from typing import Annotated, Literal, Self

from annotated_types import Ge, Le, Len
from pydantic import StringConstraints, model_validator

from models.base import NonNegative, Record, Text, Work
from models.billing import later_month, month_of, month_span
from models.time_grid import Zone, local_date, local_midnight

PARTS = 1_000_000
PeriodName = Annotated[str, StringConstraints(pattern=r"^\d{4}-(0[1-9]|1[0-2])(-\d{2})?$")]
"""A local day such as 2026-11-22, or a local month such as 2026-11."""


class ServiceLevel(Record):
    """Of the work demanded in each period of a zone's calendar, `served_ppm` millionths must be served.

    What is missing when the period ends costs `shortfall_usd_per_mwork`, on top of what unserved work costs at once.
    """

    served_ppm: Annotated[int, Ge(0), Le(PARTS)]
    period: Literal["day", "month"] = "month"
    zone: Zone
    shortfall_usd_per_mwork: NonNegative
    source: Text = ""

    def period_of(self, instant: datetime) -> str:
        """Return the name of the period in which an instant lies."""
        return month_of(self.zone, instant) if self.period == "month" else local_date(self.zone, instant).isoformat()

    def span(self, period: str) -> tuple[datetime, datetime]:
        """Return the first instant of a period and that of the one after it."""
        if self.period == "month":
            return month_span(self.zone, period)
        day = date.fromisoformat(period)
        return local_midnight(self.zone, day), local_midnight(self.zone, day + timedelta(days=1))

    def split(self, start: datetime, end: datetime) -> Iterator[tuple[str, int]]:
        """Yield the periods that a stretch of time touches, in order, and the seconds of it in each."""
        at = start
        while at < end:
            period = self.period_of(at)
            until = min(end, self.span(period)[1])
            yield period, (until - at) // timedelta(seconds=1)
            at = until

    def misnamed(self, periods: Iterable[str]) -> list[str]:
        """Return the names that are no periods of this level's kind."""
        return [name for name in periods if not self._names(name)]

    def _names(self, period: str) -> bool:
        try:
            return (later_month(period, 0) if self.period == "month" else date.fromisoformat(period).isoformat()) == period
        except ValueError:
            return False


class PeriodWork(Record):
    """Work of one period outside the plan: what was demanded, what of it was served, and what of that sites measured.

    The rest of what was served is what plans said, for as many nodes as were known to run.
    """

    demanded_work: Work = 0
    served_work: Work = 0
    measured_work: Work = 0

    @model_validator(mode="after")
    def serves_no_more_than_is_asked(self) -> Self:
        """Refuse more work served than demanded, and more measured than served."""
        if self.served_work > self.demanded_work:
            raise ValueError(f"served_work: expected at most demanded_work {self.demanded_work}, got {self.served_work}")
        if self.measured_work > self.served_work:
            raise ValueError(f"measured_work: expected at most served_work {self.served_work}, got {self.measured_work}")
        return self


PeriodsWork = Annotated[dict[PeriodName, PeriodWork], Len(0, 100)]
