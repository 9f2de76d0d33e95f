"""One rule on one site by the quarter hour: a published kind of study, repeated by hand and on three years of a market."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from backtest.by_the_hour import timed

from scenarios.backtest.alone import alone
from scenarios.local_clock import DAY_S
from scenarios.markets import read_market
from scenarios.markets.network import read_network

QUARTER_S = 900
HASHPRICE = [36.0]
"""At 30 J/TH a MWh earns 36 x 1000 / (24 x 30) = 50 USD."""
PRICES = [40.0, 49.0, 51.0, -20.0, 300.0, 60.0, 10.0, 45.0]


def quarters(rule, **changes):
    price = timed("HUB", PRICES, step_s=QUARTER_S)
    return alone(price, timed("hashprice", HASHPRICE, step_s=DAY_S), rule, efficiency_j_per_th=30.0, **changes)


def test_mining_whenever_the_quarters_margin_is_positive():
    """On at 40, 49, -20, 10 and 45: 5 quarters, 1.25 MWh at 24.8 USD each on average, which earn 50 each."""
    found = quarters("margin")
    assert (found.energy_mwh, found.uptime_share) == (1.25, 5 / 8)
    assert found.paid_usd_per_mwh == pytest.approx((40 + 49 - 20 + 10 + 45) / 5)
    assert found.profit_usd == pytest.approx((10 + 1 + 70 + 40 + 5) / 4)
    assert found.always_usd_per_mwh == pytest.approx(sum(PRICES) / 8)
    assert found.saved_share == pytest.approx(1 - 124 / 535)


def test_mining_always_earns_the_plain_sum():
    found = quarters("always")
    assert found.profit_usd == pytest.approx((8 * 50 - sum(PRICES)) / 4)
    assert found.saved_share == 0.0


def test_the_margin_of_the_interval_before_pays_for_being_late():
    """On after 40, 49, -20, 10 and at first: quarters of 40, 49, 51, 300 and 45."""
    found = quarters("margin_of_the_last")
    assert found.power_usd == pytest.approx((40 + 49 + 51 + 300 + 45) / 4)
    assert found.hash_usd == pytest.approx(5 * 50 / 4)


def test_fees_and_adders_move_the_margin():
    found = quarters("margin", paid_share=0.96, adder_usd_per_mwh=3.0)
    assert found.uptime_share == 3 / 8, "48 USD a MWh against the price and 3: 40, -20 and 10; 45 just earns nothing"
    assert found.profit_usd == pytest.approx((48 * 3 - (43 - 17 + 13)) / 4)


def test_a_strike_looks_at_the_price_alone():
    assert quarters("strike", low_usd_per_mwh=50.0).uptime_share == 5 / 8


def test_what_the_record_lacks_is_left_out_and_counted():
    whole = timed("HUB", PRICES, step_s=QUARTER_S)
    torn = whole._where(whole.values != 51.0)
    found = alone(torn, timed("hashprice", HASHPRICE, step_s=DAY_S), "margin", efficiency_j_per_th=30.0)
    assert (found.intervals, found.missing) == (7, 1)
    assert found.profit_usd == quarters("margin").profit_usd


@pytest.mark.skipif("WATTSPLIT_DATA" not in os.environ, reason="needs the folder of larger data (WATTSPLIT_DATA)")
def test_what_miners_paid_for_power_in_texas_by_the_break_even_rule():
    """Published of 2022 to 2024: 31 to 34 USD/MWh on average while mining by break-even, by load zone.

    Repeated at the hubs, whose prices are not those of the load zones, with miners of 25 J/TH (assumed).
    """
    data = Path(os.environ["WATTSPLIT_DATA"])
    hashprice = read_network(data, "hashprice_usd_ph_day")
    for hub in ("houston", "north", "south", "west"):
        price = read_market(data, f"ercot_{hub}").between(datetime(2022, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC))
        found = alone(price, hashprice, "margin", efficiency_j_per_th=25.0)
        assert 26 < found.paid_usd_per_mwh < 37, hub
        assert found.paid_usd_per_mwh < found.always_usd_per_mwh
