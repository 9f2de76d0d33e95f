"""Bills of whole months and years in plain arithmetic: what contracts cost once everything was measured.

Nothing here looks ahead: plans price what a period still owes (`optimizer.elements`), a settlement knows all of it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from models.billing import MonthTotals, split_by_month
from models.block_power import BlockPower
from models.demand_charge import DemandCharge
from models.energy_tier import EnergyTier
from models.take_or_pay import TakeOrPay

W_PER_KW = 1000
W_PER_MW = 1_000_000
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


def tier_bill_usd(tiers: Sequence[EnergyTier], meter: Mapping[str, MonthTotals], month: str) -> float:
    """Return what is billed for energy of one whole month beyond the thresholds of its tiers."""
    return sum(tier.adder_usd_per_mwh * tier.beyond_mwh(month, meter) for tier in tiers)


def block_bill_usd(
    block: BlockPower, step_s: int, draw_w: Sequence[int], index_usd_per_mwh: Sequence[float], price_usd_per_mwh: Sequence[float]
) -> float:
    """Return what energy costs with a block: the block, what is bought beyond it, less what is earned with its unused part.

    step_s: length of every interval. draw_w, index_usd_per_mwh, price_usd_per_mwh: by interval; the last is the price of
    the energy contract.
    """
    usd = 0.0
    for watts, index, price in zip(draw_w, index_usd_per_mwh, price_usd_per_mwh, strict=True):
        hours = step_s / S_PER_H
        net_mw = (watts - block.block_w) / W_PER_MW
        usd += block.block_w / W_PER_MW * hours * block.price_usd_per_mwh
        usd += net_mw * hours * (price if net_mw > 0 else index - block.resale_fee_usd_per_mwh)
    return usd
