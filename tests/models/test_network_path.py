"""The hashprice to come by the rules of the chain: retargets, halvings, and what the two do to what hashing earns."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from models.market import HASHES_PER_DIFFICULTY, NetworkState
from models.network_path import Chain, ChainPath, chain_path, hashprice_path, hashrate_ph_per_s, subsidy_btc
from models.time_grid import TimeGrid, hourly

AT = datetime(2026, 3, 21, tzinfo=UTC)
DIFFICULTY = 133.79e12
STEADY_PH = DIFFICULTY * HASHES_PER_DIFFICULTY / 600 / 1e15
"""The hashrate at which blocks of this difficulty come every ten minutes."""


def chain(into_epoch=1_008, epoch=470, took_s=None, difficulty=DIFFICULTY):
    began = AT - timedelta(seconds=600 * into_epoch if took_s is None else took_s)
    return Chain(at=AT, height_blocks=epoch * 2_016 + into_epoch, difficulty=difficulty, epoch_began_at=began)


def test_the_subsidy_halves_every_210_000_blocks():
    assert [subsidy_btc(h) for h in (0, 209_999, 210_000, 840_000, 1_049_999, 1_050_000)] == [50, 50, 25, 3.125, 3.125, 1.5625]


def test_blocks_that_come_every_ten_minutes_change_nothing_and_the_next_retarget_is_known_by_their_count():
    path = chain_path(chain(), STEADY_PH, AT + timedelta(days=30))
    assert [step.at for step in path.retargets] == [AT + timedelta(days=7), AT + timedelta(days=21)]
    assert [step.change_share for step in path.retargets] == pytest.approx([0, 0], abs=1e-9)
    assert path.halvings == ()


def test_an_epoch_that_runs_a_quarter_fast_ends_early_and_makes_the_next_harder_by_a_third():
    """1,008 blocks in 5.25 days, the others at the same pace: 10.5 days for 14, so 14 / 10.5 - 1 = 1/3; then all is steady."""
    path = chain_path(chain(took_s=5.25 * 86_400), STEADY_PH * 4 / 3, AT + timedelta(days=20))
    assert [step.at for step in path.retargets] == [AT + timedelta(days=5.25), AT + timedelta(days=19.25)]
    assert [step.change_share for step in path.retargets] == pytest.approx([1 / 3, 0], abs=1e-9)


def test_a_hashrate_that_grows_ends_an_epoch_when_the_work_is_done():
    """At g a day, n days' worth of blocks are there after ln(1 + g n) / g days: 7 days at 5 % take 6.0021."""
    path = chain_path(chain(), STEADY_PH, AT + timedelta(days=10), growth_share_per_day=0.05)
    assert (path.retargets[0].at - AT).total_seconds() / 86_400 == pytest.approx(6.0021, abs=1e-4)
    assert chain_path(chain(), STEADY_PH, AT + timedelta(days=400), growth_share_per_day=-0.2) == ChainPath((), ())


def test_no_retarget_exceeds_four_times_or_a_quarter():
    fast = chain_path(chain(into_epoch=2_015, took_s=86_400), STEADY_PH, AT + timedelta(days=1))
    slow = chain_path(chain(into_epoch=2_015, took_s=100 * 86_400), STEADY_PH, AT + timedelta(days=1))
    assert fast.retargets[0].change_share == 3.0
    assert slow.retargets[0].change_share == pytest.approx(-0.75, abs=1e-6)


def test_the_hashprice_is_that_of_the_formula_before_and_after_a_retarget():
    known, grid = chain(into_epoch=2_010), hourly(AT, 4)
    path = chain_path(known, STEADY_PH, grid.end)
    before = NetworkState(difficulty=DIFFICULTY, btc_price_usd=70_370.0, fees_btc=0.0173).hashprice_usd_per_ph_day
    factor = 1 + path.retargets[0].change_share
    told = hashprice_path(grid, known, path, (70_370.0,) * 4, (0.0173,) * 4)
    assert path.retargets[0].at == AT + timedelta(hours=1)
    assert told == pytest.approx((before, before / factor, before / factor, before / factor))
    assert told[0] == pytest.approx(33.30, rel=0.007)  # published for 21 March 2026


def test_a_halving_halves_the_subsidy_and_leaves_the_fees():
    """Block 1,050,000 comes after an hour and a half: half of the second hour, all of the third."""
    height = 1_050_000 - 9
    known = Chain(
        at=AT, height_blocks=height, difficulty=DIFFICULTY, epoch_began_at=AT - timedelta(seconds=600 * (height % 2_016))
    )
    grid = hourly(AT, 3)
    path = chain_path(known, STEADY_PH, grid.end)
    told = hashprice_path(grid, known, path, (100_000.0,) * 3, (0.5,) * 3)
    blocks = NetworkState(difficulty=DIFFICULTY, btc_price_usd=100_000.0, subsidy_btc=1.0).hashprice_usd_per_ph_day
    assert [step.at for step in path.halvings] == [AT + timedelta(minutes=90)]
    assert path.retargets == ()
    assert told == pytest.approx([blocks * s for s in (3.625, (3.625 + 2.0625) / 2, 2.0625)])


def test_the_hashrate_is_what_the_blocks_say():
    assert hashrate_ph_per_s(144, DIFFICULTY, 86_400) == pytest.approx(STEADY_PH)
    with pytest.raises(ValueError, match="hashrate_ph_per_s: expected a hashrate above 0, got 0"):
        chain_path(chain(), 0.0, AT + timedelta(days=1))
    with pytest.raises(ValidationError, match="epoch_began_at"):
        Chain(at=AT, height_blocks=1, difficulty=1.0, epoch_began_at=AT + timedelta(seconds=1))


def test_prices_that_move_move_the_hashprice_with_them():
    grid = TimeGrid(start=AT, step_s=(3_600, 900))
    path = chain_path(chain(), STEADY_PH, grid.end)
    one, two = hashprice_path(grid, chain(), path, (50_000.0, 60_000.0), (0.0, 0.0))
    assert two / one == pytest.approx(1.2)
