"""Bills of whole months and years in plain arithmetic: what contracts cost once everything was measured.

Nothing here looks ahead: plans price what a period still owes (`optimizer.elements`), a settlement knows all of it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from models.billing import MonthTotals, split_by_month
from models.demand_charge import DemandCharge
from models.take_or_pay import TakeOrPay

W_PER_KW = 1000
S_PER_H = 3600


def meter_by_month(zone: str, start: datetime, step_s: int, draw_w: Sequence[int]) -> dict[str, MonthTotals]:
    """Return what a meter counts in each local month.

    zone: of the site's calendar. start: of the first interval. step_s: length of every interval. draw_w: mean draw in each.
    """
    peak_w: dict[str, int] = {}
    watt_s: dict[str, int] = {}
    for n, watts in enumerate(draw_w):
        begin = start + timedelta(seconds=n * step_s)
        for month, seconds in split_by_month(zone, begin, begin + timedelta(seconds=step_s)):
            peak_w[month] = max(peak_w.get(month, 0), watts)
            watt_s[month] = watt_s.get(month, 0) + watts * seconds
    return {month: MonthTotals(peak_w=peak_w[month], energy_wh=round(watt_s[month] / S_PER_H)) for month in peak_w}


def demand_bill_usd(charge: DemandCharge, meter: Mapping[str, MonthTotals], month: str) -> float:
    """Return what the demand charge bills for one whole month; `meter` holds the month and those before it."""
    return charge.price_usd_per_kw(month) * charge.sunk_peak_w(month, meter) / W_PER_KW


def shortfall_bill_usd(contract: TakeOrPay, meter: Mapping[str, MonthTotals], period: str) -> float:
    """Return what is billed for energy that a whole period did not take; a period is known by its first month."""
    return contract.shortfall_usd_per_mwh * contract.missing_mwh(period, meter)
