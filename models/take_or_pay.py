"""Take-or-pay: energy that is paid for whether it is taken or not."""

from typing import Annotated, Literal

from annotated_types import Ge, Le

from models.base import NonNegative, Positive, Record, Text
from models.billing import MONTHS_A_YEAR, Meter, calendar_month, later_month

WH_PER_MWH = 1_000_000


class TakeOrPay(Record):
    """A least take in each period of whole local months; what is missing at its end costs the shortfall price.

    Periods follow each other; one of them begins with calendar month `first_month`.
    """

    least_mwh: Positive
    period_months: Literal[1, 2, 3, 4, 6, 12] = 1
    first_month: Annotated[int, Ge(1), Le(MONTHS_A_YEAR)] = 1
    shortfall_usd_per_mwh: NonNegative
    source: Text = ""

    def period_of(self, month: str) -> str:
        """The first month of the period in which a month lies."""
        return later_month(month, -((calendar_month(month) - self.first_month) % self.period_months))

    def months_of(self, period: str) -> tuple[str, ...]:
        """All months of the period that begins with a month."""
        return tuple(later_month(period, n) for n in range(self.period_months))

    def missing_mwh(self, period: str, meter: Meter) -> float:
        """What is still to be taken in a period, by what the meter has counted so far."""
        taken_wh = sum(meter[month].energy_wh for month in self.months_of(period) if month in meter)
        return max(0.0, self.least_mwh - taken_wh / WH_PER_MWH)
