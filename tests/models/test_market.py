"""Hashprice against the values that Luxor and others published for the same inputs (PARAMETERS sheet, section 4)."""

from datetime import UTC, datetime, timedelta

import pytest

from models.market import (
    DifficultyStep,
    NetworkState,
    blocks_per_ph_day,
    break_even_usd_per_mwh,
    fees_from_share,
    stepped_hashprice,
)
from models.time_grid import TimeGrid

PUBLISHED_BTC = {
    # name: difficulty, fee share of the reward, published BTC per PH/s and day, tolerance as stated with the example
    "12 January 2026": (146.47e12, 0.0055, 0.00043143, 0.0004),
    "5 January 2026": (148.26e12, 0.0055, 0.00042676, 0.001),
    "3 March 2025": (110.57e12, 0.0193, 0.00057612, 0.007),
}


def network(difficulty, fee_share, btc_price_usd=1.0):
    return NetworkState(difficulty=difficulty, btc_price_usd=btc_price_usd, fees_btc=fees_from_share(3.125, fee_share))


@pytest.mark.parametrize("case", PUBLISHED_BTC)
def test_hashprice_in_btc_is_what_was_published(case):
    difficulty, fee_share, published, tolerance = PUBLISHED_BTC[case]
    assert network(difficulty, fee_share).hashprice_btc_per_ph_day == pytest.approx(published, rel=tolerance)


@pytest.mark.parametrize(
    ("difficulty", "btc_price_usd", "published", "tolerance"),
    [(146.47e12, 91_132.0, 39.53, 0.006), (133.79e12, 70_370.0, 33.30, 0.002)],
    ids=["12 January 2026", "21 March 2026"],
)
def test_hashprice_in_usd_is_what_was_published(difficulty, btc_price_usd, published, tolerance):
    assert network(difficulty, 0.0055, btc_price_usd).hashprice_usd_per_ph_day == pytest.approx(published, rel=tolerance)


def test_the_worked_example_in_full():
    assert blocks_per_ph_day(146.47e12) == pytest.approx(1.373425e-4, rel=1e-6)
    assert 3.125 + fees_from_share(3.125, 0.0055) == pytest.approx(3.142282, rel=1e-6)
    assert network(146.47e12, 0.0055).hashprice_btc_per_ph_day == pytest.approx(4.31569e-4, rel=1e-6)


@pytest.mark.parametrize(("efficiency_j_per_th", "published"), [(17.0, 97), (22.0, 75), (32.3, 51)])
def test_break_even_is_what_luxor_publishes_per_class(efficiency_j_per_th, published):
    assert break_even_usd_per_mwh(39.53, efficiency_j_per_th) == pytest.approx(published, abs=0.6)


def test_fees_of_the_whole_reward_are_refused():
    with pytest.raises(ValueError, match="fee_share"):
        fees_from_share(3.125, 1.0)


START = datetime(2026, 3, 20, 12, tzinfo=UTC)


def stepped(hashprice, step_s, *changes):
    """Changes are (minutes after the start, share)."""
    steps = [DifficultyStep(at=START + timedelta(minutes=m), change_share=share) for m, share in changes]
    return stepped_hashprice(hashprice, TimeGrid(start=START, step_s=step_s), steps)


def test_a_difficulty_that_rises_takes_its_share_of_the_hashprice_from_then_on():
    """42 USD at 5 % more difficulty are 40; a change 15 minutes before an hour ends leaves (45 x 42 + 15 x 40) / 60 = 41.50."""
    hour = (3600,) * 3
    assert stepped((42.0, 42.0, 21.0), hour) == (42.0, 42.0, 21.0)
    assert stepped((42.0, 42.0, 21.0), hour, (60, 0.05)) == pytest.approx((42.0, 40.0, 20.0))
    assert stepped((42.0, 42.0, 21.0), hour, (45, 0.05)) == pytest.approx((41.5, 40.0, 20.0))
    assert stepped((42.0, 42.0, 21.0), hour, (-5, 0.05)) == pytest.approx((40.0, 40.0, 20.0))
    assert stepped((42.0, 42.0, 21.0), hour, (180, 0.05)) == (42.0, 42.0, 21.0)


def test_changes_of_the_difficulty_multiply_and_fall_too():
    """Twice as hard and then a quarter less: 60, 30, 40; both inside one step of 90 minutes, 30 minutes apart."""
    assert stepped((60.0,), (5400,), (30, 1.0), (60, -0.25)) == pytest.approx([(60 + 30 + 40) / 3])
    assert stepped((60.0,), (5400,), (60, -0.25), (30, 1.0)) == pytest.approx([(60 + 30 + 40) / 3])


def test_the_hashprice_after_a_change_is_that_of_the_new_difficulty():
    """Published: 146.47 T on 12 January 2026, 39.53 USD; at 133.79 T and the same price the formula and the step agree."""
    before, after = network(146.47e12, 0.0055, 91_132.0), network(133.79e12, 0.0055, 91_132.0)
    told = stepped((before.hashprice_usd_per_ph_day,), (3600,), (0, 133.79 / 146.47 - 1))
    assert told == pytest.approx([after.hashprice_usd_per_ph_day])
