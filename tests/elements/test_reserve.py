"""Reserves alone, on figures worked out by hand; and the blocks of the local clock that they are sold by."""

from datetime import UTC, datetime, timedelta

import pytest
from by_hand import START, alone, group, problem, site, solved, usd, values

from models.order import LimitOrder
from models.problem import Problem
from models.reserve import Award, Reserve
from models.time_grid import hourly
from optimizer.contribution import Contribution, earn
from optimizer.elements.reserve import reserve_sales

HOUR = 3600
EIGHT = START + timedelta(hours=2)  # 08:00 in Chicago
PLAIN = {"sleep_power_w": 0, "warm_up_s": 0, "start_wear_usd": 0.0, "pool_fee": 0.0, "uptime": 1.0, "stale_share": 0.0}


def programme(**changes):
    """Blocks of two hours at 10 USD/MW-h, clawed back at 30."""
    given = {"name": "ecrs", "block_hours": 2, "notice_s": 600, "duration_s": HOUR}
    return Reserve(**given | {"capacity_usd_per_mw_h": 10.0, "claw_back_usd_per_mw_h": 30.0} | changes)


def selling(*reserves, awards=(), orders=(), steps=4, machines=None, **changes):
    place = site(reserves=reserves, asic_groups=(group(**PLAIN | (machines or {})),), **changes)
    of = problem(place, step_s=(HOUR,) * steps, orders=orders)
    return Problem.model_validate({**of.model_dump(), "awards": tuple(award.model_dump() for award in awards)})


def award(kw, start=START, reserve="ecrs"):
    return Award(site="pecos", reserve=reserve, start=start, kw=kw)


def sales(of):
    def declare(model):
        model.variable("load", "SITES", "STEPS")
        earn(model, [reserve_sales(model, [Contribution(shed_kw=lambda m, s, t: m.load[s, t])])])

    return alone(declare, of)


def sold(of, *shed_kw):
    compiled = sales(of)
    x = solved(compiled, load=[shed_kw])
    money = {term: usd(compiled, x, term).round(9).tolist() for term in compiled.money}
    return values(compiled, x, "reserve").tolist(), values(compiled, x, "unkept").tolist(), money


def test_a_site_without_reserves_has_no_rows_and_no_money():
    compiled = sales(selling())
    assert compiled.matrix.shape[0] == 0
    assert all(not term.step.size for term in compiled.money.values())


def test_an_open_block_sells_what_every_hour_of_it_can_shed():
    kw, _, money = sold(selling(programme()), 100, 100, 60.9, 80)
    assert kw == [60]  # whole kW; the block that has begun cannot be sold any more
    assert money["reserve_capacity"] == pytest.approx([0.6, 0.6])


def test_no_offer_below_the_least_size_nor_above_what_all_blocks_draw():
    assert sold(selling(programme(least_kw=61)), 100, 100, 60.9, 80)[0] == [0]
    assert sold(selling(programme(most_kw=40)), 100, 100, 60.9, 80)[0] == [40]
    assert sold(selling(programme()), 900, 900, 900, 900)[0] == [100]


def test_a_block_is_open_until_its_gate_and_only_as_a_whole():
    assert sales(selling(programme(gate_s=2 * HOUR))).columns["reserve"].size == 0
    assert sales(selling(programme(gate_s=2 * HOUR - 1))).columns["reserve"].size == 1
    assert sales(selling(programme(), steps=3)).columns["reserve"].size == 0


def test_a_megawatt_is_sold_once_and_the_dearer_reserve_has_it():
    other = programme(name="rrs", capacity_usd_per_mw_h=11.0, most_kw=50)
    kw, _, money = sold(selling(programme(), other), 100, 100, 80, 80)
    assert kw == [30, 50]
    assert money["reserve_capacity"] == pytest.approx([0.03 * 10 + 0.05 * 11] * 2)


def test_the_ramp_must_shed_it_within_the_notice():
    quick = programme(name="rrs", capacity_usd_per_mw_h=9.0, notice_s=60)
    kw, _, _ = sold(selling(programme(), quick, ramp_w_per_min=4_500), 100, 100, 80, 80)
    assert kw == [45, 0]  # 45 kW in ten minutes for both together; the quick one earns less
    kw, _, _ = sold(selling(quick, ramp_w_per_min=4_500), 100, 100, 80, 80)
    assert kw == [4]


def test_calls_that_are_expected_pay_save_energy_lose_the_dearest_hash_and_wear():
    """0.1 calls of half an hour in a block of two: 0.025 hours of call, 0.05 calls, in each hour.

    At 48 USD/PH/day a kW of eco hashes for 2 / 30 USD an hour, one of turbo for 3 / 50; a start wears 6 USD for 30 kW, and
    loses ten minutes of eco.
    """
    calls = programme(calls_per_block=0.1, mean_call_s=1800, energy_usd_per_mwh=200.0, most_kw=50)
    kw, _, money = sold(selling(calls, machines={"start_wear_usd": 6.0, "warm_up_s": 600, "min_up_s": 600}), 100, 100, 100, 100)
    assert kw == [50]
    assert money["reserve_capacity"] == pytest.approx([0.5] * 2)
    assert money["reserve_energy"] == pytest.approx([0.2 * 0.025 * 50] * 2)
    assert money["reserve_saved_energy"] == pytest.approx([0.06 * 0.025 * 50] * 2)
    assert money["reserve_lost_hash"] == pytest.approx([-(2 / 30) * (0.025 + 0.05 / 6) * 50] * 2)
    assert money["reserve_starts"] == pytest.approx([-0.2 * 0.05 * 50] * 2)


def test_a_reserve_that_costs_more_than_it_earns_is_not_offered():
    worn = selling(programme(calls_per_block=0.2), machines={"start_wear_usd": 6.0})
    assert sold(worn, 100, 100, 100, 100)[0] == [0]


def test_an_award_is_kept_as_far_as_it_can_be_and_clawed_back_beyond():
    kw, unkept, money = sold(selling(programme(), awards=[award(90)], steps=2), 100, 70)
    assert (kw, unkept) == ([90], [0, 20])
    assert money["reserve_capacity"] == pytest.approx([0.9, 0.7])
    assert money["reserve_claw_back"] == pytest.approx([0, -0.02 * 30])


def test_of_two_awards_the_one_that_costs_less_is_given_up():
    other = programme(name="rrs", claw_back_usd_per_mw_h=90.0)
    _, unkept, _ = sold(selling(programme(), other, awards=[award(60), award(60, reserve="rrs")], steps=2), 100, 100)
    assert unkept == [20, 20, 0, 0]


def test_in_a_call_nothing_need_stand_ready_and_its_energy_is_paid():
    paid = programme(energy_usd_per_mwh=200.0, calls_per_block=0.5, mean_call_s=600)
    half_past = START + timedelta(minutes=30)
    call = LimitOrder(
        name="call", site="pecos", start=half_past, end=half_past + timedelta(minutes=20), limit_w=0, reserve="ecrs"
    )
    _, unkept, money = sold(selling(paid, awards=[award(90)], orders=[call], steps=2), 0, 90)
    assert unkept == [0]  # the second hour only
    assert money["reserve_energy"][0] == pytest.approx(0.09 * 200 / 3)
    assert money["reserve_lost_hash"][0] == 0
    utility = call.model_copy(update={"reserve": None})
    assert sold(selling(paid, awards=[award(90)], orders=[utility], steps=2), 0, 90)[1] == [90, 0]


def starts(zone, block_hours, start, hours):
    reserve = programme(block_hours=block_hours)
    return [(begins.hour, (ends - begins) // timedelta(hours=1)) for begins, ends in reserve.blocks(zone, hourly(start, hours))]


def test_blocks_follow_the_local_clock_through_both_changes():
    chicago, paris = "America/Chicago", "Europe/Paris"
    assert starts(chicago, 4, datetime(2026, 1, 5, 12, tzinfo=UTC), 8) == [(10, 4), (14, 4), (18, 4)]
    assert starts(paris, 4, datetime(2026, 3, 28, 23, tzinfo=UTC), 6) == [(23, 3), (2, 4)]
    assert starts(paris, 4, datetime(2026, 10, 24, 22, tzinfo=UTC), 6) == [(22, 5), (3, 4)]
    assert starts(paris, 1, datetime(2026, 10, 24, 23, tzinfo=UTC), 4) == [(23, 1), (0, 2), (2, 1)]
    assert starts(paris, 1, datetime(2026, 3, 29, 0, tzinfo=UTC), 2) == [(0, 1), (1, 1)]


def test_awards_and_calls_of_what_a_site_does_not_sell_are_refused():
    with pytest.raises(ValueError, match="awards: unknown reserve pecos/rrs"):
        selling(programme(), awards=[award(5, reserve="rrs")])
    with pytest.raises(ValueError, match="expected the start of a block such as 2026-01-05T12:00:00Z"):
        selling(programme(), awards=[award(5, start=START + timedelta(hours=1))])
    with pytest.raises(ValueError, match="at most one for a block"):
        selling(programme(), awards=[award(5), award(6)])
    with pytest.raises(ValueError, match="call of unknown reserve pecos/rrs"):
        selling(programme(), orders=[LimitOrder(name="call", site="pecos", start=START, limit_w=0, reserve="rrs")])


@pytest.mark.parametrize(
    "change", [{"least_kw": 9, "most_kw": 8}, {"mean_call_s": 3601}, {"calls_per_block": 8, "mean_call_s": 1800}]
)
def test_programmes_that_cannot_be_are_refused(change):
    with pytest.raises(ValueError, match="reserve ecrs: expected"):
        programme(**change)
