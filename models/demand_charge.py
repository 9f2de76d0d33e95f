"""Demand charge: what a grid connection costs by the highest draw of each month, whatever energy costs."""

from typing import Annotated

from annotated_types import Ge, Le, Len

from models.base import NonNegative, Record, Share, Text
from models.billing import LONGEST_LOOK_BACK, MONTHS_A_YEAR, Meter, calendar_month, later_month
from models.local_hours import CalendarMonth


class DemandCharge(Record):
    """A price per kW of each month's billed peak, and the ratchet that lets past peaks count.

    The billed peak is the month's own highest draw, but no less than `ratchet_share` of the highest peak of the
    `look_back_months` months before it. Months that were not counted (a first year of service) have no peak.
    """

    usd_per_kw_month: Annotated[tuple[NonNegative, ...], Len(MONTHS_A_YEAR, MONTHS_A_YEAR)]
    """By calendar month, January first."""
    ratchet_share: Share = 0.0
    look_back_months: Annotated[int, Ge(0), Le(LONGEST_LOOK_BACK)] = 11
    counted_months: Annotated[tuple[CalendarMonth, ...], Len(0, MONTHS_A_YEAR)] = tuple(range(1, MONTHS_A_YEAR + 1))
    """Calendar months whose peaks the ratchet remembers: all, or only those of a season."""
    source: Text = ""

    def price_usd_per_kw(self, month: str) -> float:
        """What a kW of the billed peak of a month costs."""
        return self.usd_per_kw_month[calendar_month(month) - 1]

    def remembered_months(self, month: str) -> tuple[str, ...]:
        """Months before a month whose peaks its bill remembers, the latest first."""
        if not self.ratchet_share:
            return ()
        before = (later_month(month, -n) for n in range(1, self.look_back_months + 1))
        return tuple(m for m in before if calendar_month(m) in self.counted_months)

    def sunk_peak_w(self, month: str, meter: Meter) -> float:
        """The billed peak of a month that cannot be avoided any more, by what the meter has counted so far."""
        so_far = meter[month].peak_w if month in meter else 0
        before = max((meter[m].peak_w for m in self.remembered_months(month) if m in meter), default=0)
        return max(so_far, self.ratchet_share * before)
