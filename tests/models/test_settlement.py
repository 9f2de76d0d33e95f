"""Bills of whole months and years, against figures worked out by others and by hand."""

from datetime import UTC, datetime, timedelta

import pytest
from by_hand import site

from models.billing import MonthTotals, later_month, month_of, month_span, split_by_month
from models.block_power import BlockPower
from models.carbon import Carbon
from models.coincident_peak import CoincidentPeak, PeakHours
from models.contract import IndexPrice, TimeOfUse
from models.demand_charge import DemandCharge
from models.energy_tier import EnergyTier
from models.local_hours import LocalHours
from models.settlement import (
    coincident_bill_usd,
    demand_bill_usd,
    meter_by_month,
    month_bill_usd,
    shortfall_bill_usd,
    tier_bill_usd,
)
from models.take_or_pay import TakeOrPay
from models.time_grid import hourly

ZONE = "Etc/GMT+6"
YEAR_BEGINS = datetime(2025, 1, 1, 6, tzinfo=UTC)
MONTHS = [f"2025-{month:02d}" for month in range(1, 13)]


def year(flat_kw, **peaks_kw):
    """A year of hourly draws; peaks by hour of the year, counted from 1, as `h8=100`."""
    draw_w = [flat_kw * 1000] * 8760
    for hour, kw in peaks_kw.items():
        draw_w[int(hour[1:]) - 1] = kw * 1000
    return meter_by_month(ZONE, YEAR_BEGINS, 3600, draw_w)


def the_year_before(meter):
    return {later_month(month, -12): totals for month, totals in meter.items()}


def test_one_hour_in_january_is_paid_all_year():
    cold, warm = 10.5, 11.5
    charge = DemandCharge(
        usd_per_kw_month=(cold, cold, cold, warm, warm, warm, warm, warm, warm, cold, cold, cold), ratchet_share=0.35
    )
    meter = year(1, h8=100)
    assert meter["2025-01"] == MonthTotals(peak_w=100_000, energy_wh=744_000 + 99_000)
    assert sum(demand_bill_usd(charge, meter, month) for month in MONTHS) == pytest.approx(5_302.50, abs=1e-9)


RATES = (10, 10, 20, 50, 20, 10, 20, 20, 20, 20, 20, 5)


def test_a_ratchet_remembers_the_peaks_of_its_own_months_only():
    charge = DemandCharge(usd_per_kw_month=RATES, ratchet_share=0.75, counted_months=(1, 4, 12))
    meter = year(100, h22=200, h2403=400, h4088=500, h8333=300)
    settled = {**the_year_before(meter), **meter}
    bills = [demand_bill_usd(charge, settled, month) for month in MONTHS]
    assert bills == pytest.approx([3_000, 3_000, 6_000, 20_000, 6_000, 5_000, *[6_000] * 5, 1_500])
    assert sum(bills) == pytest.approx(74_500)


def test_a_first_year_of_service_has_no_peaks_before_it():
    charge = DemandCharge(usd_per_kw_month=RATES, ratchet_share=0.75, counted_months=(1, 4, 12))
    meter = year(100, h22=200, h2403=400, h4088=500, h8333=300)
    bills = [demand_bill_usd(charge, meter, month) for month in MONTHS]
    assert bills[:3] == pytest.approx([200 * 10, 150 * 10, 150 * 20])
    assert sum(bills) == pytest.approx(69_000)


def test_the_look_back_ends_after_its_months():
    charge = DemandCharge(usd_per_kw_month=(1.0,) * 12, ratchet_share=0.5, look_back_months=2)
    meter = {"2025-01": MonthTotals(peak_w=80_000), **{m: MonthTotals(peak_w=10_000) for m in MONTHS[1:]}}
    assert [demand_bill_usd(charge, meter, month) for month in MONTHS[:5]] == [80, 40, 40, 10, 10]
    assert charge.remembered_months("2025-01") == ("2024-12", "2024-11")
    assert DemandCharge(usd_per_kw_month=(1.0,) * 12).remembered_months("2025-01") == ()


def test_months_are_those_of_the_zone():
    paris = "Europe/Paris"
    assert month_of(paris, datetime(2025, 2, 28, 23, 30, tzinfo=UTC)) == "2025-03"
    begins, ends = month_span(paris, "2025-03")
    assert ends - begins == timedelta(days=31, hours=-1)
    stretch = datetime(2025, 3, 31, 21, tzinfo=UTC), datetime(2025, 3, 31, 23, tzinfo=UTC)
    assert split_by_month(paris, *stretch) == [("2025-03", 3600), ("2025-04", 3600)]
    assert later_month("2025-12", 1) == "2026-01"
    assert later_month("2025-01", -13) == "2023-12"


def test_a_stretch_over_midnight_counts_in_both_months():
    meter = meter_by_month("Etc/UTC", datetime(2025, 1, 31, 23, tzinfo=UTC), 7200, [30_000])
    assert meter == {month: MonthTotals(peak_w=30_000, energy_wh=30_000) for month in ("2025-01", "2025-02")}


def test_what_a_period_did_not_take_is_billed_at_its_end():
    meter = year(1_000)  # 744, 672, 744, 720 ... MWh a month
    monthly = TakeOrPay(least_mwh=730.0, shortfall_usd_per_mwh=30.0)
    bills = [shortfall_bill_usd(monthly, meter, month) for month in MONTHS]
    assert bills == [0, 58 * 30, 0, 300, 0, 300, 0, 0, 300, 0, 300, 0]
    yearly = TakeOrPay(least_mwh=9_000.0, period_months=12, shortfall_usd_per_mwh=30.0)
    assert shortfall_bill_usd(yearly, meter, "2025-01") == pytest.approx(240 * 30)
    quarters = TakeOrPay(least_mwh=2_200.0, period_months=3, first_month=2, shortfall_usd_per_mwh=1.0)
    assert quarters.period_of("2025-01") == "2024-11"
    assert quarters.months_of("2025-02") == ("2025-02", "2025-03", "2025-04")
    assert shortfall_bill_usd(quarters, meter, "2025-02") == pytest.approx(2_200 - 672 - 744 - 720)


def test_energy_beyond_a_tier_costs_its_adder_month_by_month():
    tiers = (EnergyTier(above_mwh=700.0, adder_usd_per_mwh=2.0), EnergyTier(above_mwh=730.0, adder_usd_per_mwh=5.0))
    bills = [tier_bill_usd(tiers, year(1_000), month) for month in MONTHS]
    long_month, short_month = 44 * 2 + 14 * 5, 20 * 2
    assert bills == [
        long_month, 0, long_month, short_month, long_month, short_month,
        long_month, long_month, short_month, long_month, short_month, long_month,
    ]  # fmt: skip


def hours_of(month):
    begins, ends = month_span("America/Phoenix", month)
    return hourly(begins, int((ends - begins) / timedelta(hours=1)))


def test_a_block_is_paid_in_full_and_its_unused_part_earns_the_index():
    block = BlockPower(block_w=2_000_000, price_usd_per_mwh=30.0, resale_index="hub", resale_fee_usd_per_mwh=1.0)
    here = site(zone="America/Phoenix", contract=IndexPrice(index="hub", adder_usd_per_mwh=5.0), block_power=block)
    grid = hours_of("2025-02")
    draws, index = [2_000_000] * 672, [40.0] * 672
    draws[:4], index[:4] = [2_000_000, 500_000, 3_000_000, 0], [40.0, 250.0, 20.0, -10.0]
    meter = meter_by_month(here.zone, grid.start, 3600, draws)
    assert month_bill_usd(here, grid, draws, meter, prices_usd_per_mwh={"hub": index}) == {
        "energy_cost": pytest.approx(25.0),
        "block_cost": pytest.approx(672 * 60.0),
        "resale_revenue": pytest.approx(-1.5 * 249 + 2 * 11),
    }


def test_twelve_joined_months_are_what_they_come_to_by_hand():
    """1 MW flat and 2 MW for an hour of every month but March, with every contract at once."""
    here = site(
        zone="America/Phoenix",  # no clock changes
        contract=IndexPrice(
            index="hub", adder_usd_per_mwh=5.0, loss_share=0.02,
            time_of_use=(TimeOfUse(hours=LocalHours(from_h=16, to_h=20), adder_usd_per_mwh=10.0),),
        ),
        block_power=BlockPower(block_w=500_000, price_usd_per_mwh=30.0, resale_index="hub"),
        energy_tiers=(EnergyTier(above_mwh=730.0, adder_usd_per_mwh=2.0),),
        demand_charge=DemandCharge(usd_per_kw_month=RATES, ratchet_share=0.8, look_back_months=1),
        take_or_pay=TakeOrPay(least_mwh=2_200.0, period_months=3, shortfall_usd_per_mwh=30.0),
        carbon=Carbon(usd_per_t=20.0, intensity_kg_per_mwh=300.0),
        connection_limit_w=2_000_000,
    )  # fmt: skip
    meter, total, by_hand = {}, 0.0, 0.0
    index_price, quarter_mwh = 49 / 0.98 + 5, 0
    for number, month in enumerate(MONTHS):
        grid = hours_of(month)
        draws = [1_000_000] * grid.steps
        spikes = month != "2025-03"
        draws[9] += spikes * 1_000_000
        meter |= meter_by_month(here.zone, grid.start, 3600, draws)
        total += sum(month_bill_usd(here, grid, draws, meter, prices_usd_per_mwh={"hub": [49.0] * grid.steps}).values())

        hours = grid.steps
        by_hand += (0.5 * hours + spikes) * index_price + 0.5 * hours / 24 * 4 * 10
        by_hand += 0.5 * hours * 30
        by_hand += max(0, hours + spikes - 730) * 2
        by_hand += (2_000 if spikes else 1_600) * RATES[number]
        by_hand += (hours + spikes) * 6
        quarter_mwh += hours + spikes
        if number % 3 == 2:
            by_hand += max(0, 2_200 - quarter_mwh) * 30
            quarter_mwh = 0
    assert total == pytest.approx(by_hand, rel=1e-12)


def test_part_of_a_month_has_no_bill():
    with pytest.raises(ValueError, match="expected the whole of 2025-02"):
        month_bill_usd(site(), hours_of("2025-02"), [0] * 672, {}, prices_usd_per_mwh={})


def test_billed_peaks_cost_their_price_for_each_kw():
    charge = CoincidentPeak(usd_per_kw_peak=12.0, likely=(PeakHours(hours=LocalHours(), probability_share=0.01),))
    assert coincident_bill_usd(charge, [1_000_000, 0, 250_000, 0]) == 15_000
