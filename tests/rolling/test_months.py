"""A month re-planned hourly over a day ahead earns what one plan of the whole month earns, if it looks beyond the day."""

import os
from datetime import timedelta
from pathlib import Path

import pytest
from rolling.months import (
    HOURS,
    JUNE,
    OF_JUNE_2023,
    OF_THE_WEEK,
    mine,
    month,
    month_profit_usd,
    real_prices,
    replayed_prices,
    sites_of,
)

from models.demand_charge import DemandCharge
from models.problem import Problem
from optimizer.audit import audit
from optimizer.look_ahead import look_ahead, rest_of_periods
from optimizer.solve import optimise
from scenarios.rolling import Course, Rolled, roll, window

DAY = 24
NEAR = 0.05
LOOK_EVERY_H = 12


def best_usd(history):
    """What one plan of the whole time earns, by the bills."""
    plan = optimise(history, gap=1e-3, budget_s=600, now=history.grid.start).plan
    assert audit(history, plan).passed
    assert plan.profit_usd == pytest.approx(month_profit_usd(history, plan), abs=0.01), "a whole month is charged as it is billed"
    return plan.profit_usd


def re_planned(history, terminal, folder=None) -> Rolled:
    course = Course(
        steps=history.grid.steps,
        window=DAY,
        gap=1e-3,
        budget_s=60,
        steadiness=None,
        terminal=terminal,
        look_ahead_every=LOOK_EVERY_H,
    )
    rolled = roll(history, course, folder=folder)
    assert rolled.broken == ()
    assert rolled.without_optimised == []
    return rolled


def test_the_last_week_of_a_month_from_peak_0():
    """Running the 5.1 MW that the week is worth loses money on some days: a day alone does not see that it pays."""
    history = month((mine("ERCOT_HB_WEST", 22.0, 1.2),), replayed_prices(), JUNE + timedelta(days=23))
    best = best_usd(history)
    rolled = re_planned(history, "look_ahead")
    assert month_profit_usd(history, rolled.joined) >= best - NEAR * abs(best)
    assert max(rolled.joined.sites["ERCOT_HB_WEST"].draw_w) == 5_100_000
    assert {r.outlook["ERCOT_HB_WEST"].peaks_w["2026-06"] for r in rolled.replans} == {5_100_000}


def test_what_a_look_ahead_says_is_what_the_month_is_worth():
    """The least take is worth what it costs to run at the hours that are still needed for it: a price between 0 and 20."""
    history = month(sites_of(OF_THE_WEEK), replayed_prices(), JUNE + timedelta(days=23))
    found = look_ahead(history, deadline_s=120)
    plan = optimise(history, gap=1e-4, budget_s=120, now=history.grid.start).plan
    for name, outlook in found.items():
        assert outlook.peaks_w["2026-06"] == pytest.approx(max(plan.sites[name].draw_w), rel=0.02)
    assert found["ERCOT_HB_NORTH"].take_usd_per_mwh["2026-06"] == 20.0, "60 % of a month cannot be taken in a week any more"
    shorter = window(history, 0, history.grid.steps - 1, history.state)
    assert all(not o.peaks_w and not o.take_usd_per_mwh for o in look_ahead(shorter, deadline_s=120).values())


def test_the_rest_of_a_period_is_cut_into_even_steps_from_the_full_hour_on():
    grid = rest_of_periods(JUNE + timedelta(minutes=40), JUNE + timedelta(hours=9), step_h=4)
    assert grid.step_s == (1200, 14_400, 14_400)
    assert rest_of_periods(JUNE, JUNE + timedelta(hours=5), step_h=4).step_s == (14_400, 3600)


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("terminal", ["look_ahead", "pro_rata", "none"])
@pytest.mark.parametrize("prices", ["week", "june-2023"])
def test_a_month_of_five_sites_from_peak_0(prices, terminal, tmp_path, request, capsys):
    """720 plans of a day ahead against one plan of the month; with the look-ahead they come within 5 %."""
    if prices == "week":
        history = month(sites_of(OF_THE_WEEK), replayed_prices())
    else:
        history = month(sites_of(OF_JUNE_2023), real_prices(request.getfixturevalue("larger_data")))
    best = best_usd(history)
    keep = os.environ.get("WATTSPLIT_TEST_RUNS")  # a run that is broken off goes on from there
    rolled = re_planned(history, terminal, Path(keep) / f"month-{prices}-{terminal}" if keep else tmp_path)
    profit = month_profit_usd(history, rolled.joined)
    with capsys.disabled():
        print(f"\n{prices}, {terminal}: {profit:,.0f} USD of {best:,.0f} in one plan ({100 * (profit / best - 1):+.1f} %)")
        for site in history.fleet.sites:
            print(f"  {site.name}: peak {max(rolled.joined.sites[site.name].draw_w) / 1e6:.2f} MW")
    if terminal == "look_ahead":
        assert profit >= best - NEAR * abs(best)
    if terminal == "none":
        assert profit < best - NEAR * abs(best), "a day alone never buys a month's peak"


@pytest.mark.parametrize(("ratchet", "peak_w"), [(0.0, 7_000_000), (0.8, 50_000)])
def test_a_look_over_two_months_knows_what_a_ratchet_will_remember(ratchet, peak_w):
    """Two cheap days of June bring 2 USD a kW and its peak costs 1, but 80 % of it 3.20 more in a July too dear to run in.

    Miners asleep draw 40 kW in July in any case, which are 80 % of 50.
    """
    charge = DemandCharge(usd_per_kw_month=(1.0,) * 6 + (4.0,) * 6, ratchet_share=ratchet)
    site = mine("NYISO_WEST", 19.0, 1.0).model_copy(update={"demand_charge": charge})
    short = month((site,), {"NYISO_WEST": (20.0,) * HOURS}, JUNE + timedelta(days=28))
    grid = rest_of_periods(short.grid.start, short.grid.end + timedelta(days=31), step_h=4)
    prices = (20.0,) * 12 + (500.0,) * (grid.steps - 12)
    series = {"hashprice_usd_per_ph_day": (33.25,) * grid.steps, "ambient_c": {"air": (15.0,) * grid.steps}}
    both = Problem.model_validate(dict(short) | series | {"grid": grid, "prices_usd_per_mwh": {"NYISO_WEST": prices}})
    found = look_ahead(both, deadline_s=60)["NYISO_WEST"].peaks_w
    assert found["2026-06"] == peak_w
    assert found["2026-07"] == 40_000
