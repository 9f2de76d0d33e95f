"""Real ERCOT weeks, re-planned every hour: one lawful sequence, every hour optimised, and what it cost to stay steady."""

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from optimizer.stability import Steadiness
from scenarios.history import HUBS, from_folder, history, storm
from scenarios.rolling import Course, Rolled, roll

DAY = 24
FEBRUARY_2021, AUGUST_2023 = datetime(2021, 2, 13, tzinfo=UTC), datetime(2023, 8, 6, tzinfo=UTC)
USD_PER_SITE = 5.0
"""What the second pass may give up, and what a new plan must gain, a site and plan."""


def course(steps, sites, per_site=USD_PER_SITE):
    steady = Steadiness(give_up_usd=per_site * sites, gain_usd=per_site * sites)
    return Course(steps=steps, window=DAY, gap=2e-3, budget_s=60, steadiness=steady)


def check(rolled: Rolled, allowed_usd: float) -> dict[str, float]:
    assert rolled.broken == ()
    assert rolled.without_optimised == []
    assert all(r.stability.given_up_usd <= allowed_usd + 0.5 for r in rolled.replans if r.stability)
    told = rolled.changes()
    assert told["changed_after_per_replan"] <= told["changed_before_per_replan"]
    return told


def test_the_end_of_a_storm_hour_by_hour():
    """From 9,000 to -32 USD/MWh in two days, four sites: all that slept starts again, and stays."""
    of = history(storm(), sites=4)
    rolled = roll(of, course(24, 4))
    told = check(rolled, 20.0)
    assert told["decisions_per_replan"] == 23 * sum(len(s.asic_groups) + len(s.gpu_pools) for s in of.fleet.sites)
    mining = [sum(site.hashing_w[t] for site in rolled.joined.sites.values()) for t in range(24)]
    assert max(mining[2:8]) == 0, "nobody mines at 9,000 USD/MWh once blocks have run their minimum"
    assert min(mining[14:24]) > 50e6


def test_prices_come_out_of_the_larger_data_with_what_is_missing_told(larger_data):
    hours = from_folder(larger_data, FEBRUARY_2021, 15 * DAY)
    assert dict(hours.from_day_ahead) == dict.fromkeys(HUBS, 4)
    noon = hours.grid.starts.index(datetime(2021, 2, 15, 12, tzinfo=UTC))
    assert hours.prices_usd_per_mwh["HB_WEST"][noon] > 1000
    assert "4 of 1440 quarters are missing and taken from the day-ahead price" in history(hours).sources["ERCOT_HB_WEST"]
    shipped, read = storm(), from_folder(larger_data, storm().grid.start, storm().grid.steps)
    for hub in HUBS:
        assert shipped.prices_usd_per_mwh[hub] == pytest.approx(read.prices_usd_per_mwh[hub], rel=1e-5, abs=1e-4)
    assert shipped.ambient_c == read.ambient_c


@pytest.mark.long
@pytest.mark.timeout(4 * 3600)
@pytest.mark.parametrize("how", ["steady", "alone", "two-days"])
@pytest.mark.parametrize("start", [FEBRUARY_2021, AUGUST_2023], ids=["february-2021", "august-2023"])
def test_fourteen_days_of_ten_sites(start, how, larger_data, tmp_path, capsys):
    """336 plans; `steady` reports what the second pass kept and cost, `alone` is every plan for itself, both 24 hours ahead.

    `two-days` looks 48 hours ahead at half the gap, with the second pass: what that takes and earns beside `steady`.
    """
    hours = from_folder(larger_data, start, 16 * DAY)
    of, way = history(hours), course(14 * DAY, 10)
    if how == "alone":
        way = replace(way, steadiness=Steadiness())
    if how == "two-days":
        way = replace(way, window=2 * DAY, gap=1e-3)
    keep = os.environ.get("WATTSPLIT_TEST_RUNS")  # a run that is broken off goes on from there
    folder = Path(keep) / f"replay-{start:%Y-%m-%d}-{how}" if keep else tmp_path
    rolled = roll(of, way, folder=folder)
    told = check(rolled, 0.0 if how == "alone" else 50.0)
    with capsys.disabled():
        print(f"\n{start:%Y-%m-%d}, {how}, quarters from day-ahead {max(hours.from_day_ahead.values())}:")
        print("  " + ", ".join(f"{name} {value:,.2f}" for name, value in told.items()))
