"""Bills of whole months and years in plain arithmetic: what contracts cost once everything was measured.

Nothing here looks ahead: plans price what a period still owes (`optimizer.elements`), a settlement knows all of it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from models.base import iso
from models.billing import MonthTotals, month_of, month_span, split_by_month
from models.coincident_peak import CoincidentPeak
from models.contract import energy_price_usd_per_mwh
from models.demand_charge import DemandCharge
from models.energy_tier import EnergyTier
from models.site import Site
from models.take_or_pay import TakeOrPay
from models.time_grid import TimeGrid

W_PER_KW = 1000
W_PER_MW = 1_000_000
KG_PER_T = 1000
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


def coincident_bill_usd(charge: CoincidentPeak, draws_at_peaks_w: Sequence[int]) -> float:
    """Return what is billed for the draws in the system peaks that turned out to be billed."""
    return charge.usd_per_kw_peak * sum(draws_at_peaks_w) / W_PER_KW


def month_bill_usd(
    site: Site,
    grid: TimeGrid,
    draw_w: Sequence[int],
    meter: Mapping[str, MonthTotals],
    *,
    prices_usd_per_mwh: Mapping[str, Sequence[float]],
    usd_per_unit: Mapping[str, Sequence[float]] | None = None,
    carbon_kg_per_mwh: Mapping[str, Sequence[float]] | None = None,
) -> dict[str, float]:
    """Return what a site is billed for one whole local month, by money term; what it earns by resale is negative.

    A period of a least take is billed with its last month. System peaks are known a year later (`coincident_bill_usd`).

    grid: the steps of the month. draw_w: mean draw in each step. meter: totals of the month and of those before it.

    Raises:
        ValueError: the grid is not one whole month of the site's calendar.
    """
    month = month_of(site.zone, grid.start)
    if (grid.start, grid.end) != month_span(site.zone, month):
        raise ValueError(f"expected the whole of {month} in {site.zone}, got {iso(grid.start)} to {iso(grid.end)}")
    price = energy_price_usd_per_mwh(site.contract, prices_usd_per_mwh, usd_per_unit or {}, grid, site.zone)
    mwh = [watts / W_PER_MW * hours for watts, hours in zip(draw_w, grid.hours, strict=True)]
    bill = {"energy_cost": sum(p * e for p, e in zip(price, mwh, strict=True))}
    if (block := site.block_power) is not None:
        block_mwh = [block.block_w / W_PER_MW * hours for hours in grid.hours]
        resale = [p - block.resale_fee_usd_per_mwh for p in prices_usd_per_mwh[block.resale_index]]
        bill["energy_cost"] = sum(p * max(0.0, e - b) for p, e, b in zip(price, mwh, block_mwh, strict=True))
        bill["block_cost"] = block.price_usd_per_mwh * sum(block_mwh)
        bill["resale_revenue"] = -sum(p * max(0.0, b - e) for p, e, b in zip(resale, mwh, block_mwh, strict=True))
    if site.energy_tiers:
        bill["tier_cost"] = tier_bill_usd(site.energy_tiers, meter, month)
    if site.demand_charge is not None:
        bill["demand_charge"] = demand_bill_usd(site.demand_charge, meter, month)
    if (take := site.take_or_pay) is not None and take.months_of(take.period_of(month))[-1] == month:
        bill["take_shortfall"] = shortfall_bill_usd(take, meter, take.period_of(month))
    if (carbon := site.carbon) is not None:
        series = (carbon_kg_per_mwh or {})[carbon.intensity] if carbon.intensity else [carbon.intensity_kg_per_mwh] * grid.steps
        bill["carbon_cost"] = carbon.usd_per_t * sum(kg * e for kg, e in zip(series, mwh, strict=True)) / KG_PER_T
    return bill
