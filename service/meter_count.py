"""Counts what a site's meter counts: energy and the highest quarter of an hour, by the months of the site's calendar."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from models.billing import LONGEST_LOOK_BACK, MonthTotals, later_month, month_of, split_by_month

INTERVAL = timedelta(minutes=15)
"""Over which a demand is averaged, as utilities do."""
S_PER_H = 3600


class MeterCount:
    """Totals by month, to which stretches of time at one draw are added.

    A quarter of an hour that is only known in part counts as if nothing had been drawn in the rest of it: a peak that is
    sunk already must not be overstated, or plans would take it for free.
    """

    def __init__(self, zone: str, months: Mapping[str, MonthTotals]) -> None:
        self.zone, self.months = zone, dict(months)
        self.watt_s: dict[str, int] = {}
        self.quarters: dict[datetime, int] = {}

    def add(self, draw_w: int, start: datetime, end: datetime) -> None:
        """Count a draw that held from one instant to another."""
        for month, seconds in split_by_month(self.zone, start, end):
            self.watt_s[month] = self.watt_s.get(month, 0) + draw_w * seconds
        at = start
        while at < end:
            quarter = at - (at - datetime.min.replace(tzinfo=at.tzinfo)) % INTERVAL
            until = min(end, quarter + INTERVAL)
            self.quarters[quarter] = self.quarters.get(quarter, 0) + draw_w * int((until - at).total_seconds())
            at = until

    def totals(self, at: datetime) -> dict[str, MonthTotals]:
        """Return the totals of all months that may still matter at an instant."""
        peaks_w = {month: totals.peak_w for month, totals in self.months.items()}
        for quarter, watt_s in self.quarters.items():
            month = month_of(self.zone, quarter)
            peaks_w[month] = max(peaks_w.get(month, 0), watt_s // int(INTERVAL.total_seconds()))
        present = month_of(self.zone, at)
        oldest = later_month(present, -LONGEST_LOOK_BACK)
        found = {}
        for month in sorted({*peaks_w, *self.watt_s}):
            if oldest <= month <= present:
                before_wh = self.months[month].energy_wh if month in self.months else 0
                energy_wh = before_wh + self.watt_s.get(month, 0) // S_PER_H
                found[month] = MonthTotals(peak_w=peaks_w.get(month, 0), energy_wh=energy_wh)
        return found
