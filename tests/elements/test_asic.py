"""ASIC groups alone, on figures worked out by hand."""

from datetime import timedelta

import numpy as np
import pytest
from by_hand import START, alone, cohorts, group, problem, site, solved, usd, values

from models.asic import Mode
from models.cooling import Cooling
from models.derating import HeatDerating
from models.state import GroupState
from optimizer.contribution import power_at
from optimizer.elements.asic import asic_mining
from optimizer.sets import Release


def mining(*groups, **world):
    release = {"release": world.pop("release")} if "release" in world else {}
    return alone(asic_mining, problem(site(asic_groups=groups), **world), **release)


def possible(compiled, *on):
    """Whether a course of running blocks is possible for the only group."""
    return solved(compiled, on=[on]) is not None


def test_hash_is_paid_after_fees_stale_shares_and_down_time():
    compiled = mining(group(pool_fee=0.01, firmware_fee=0.02, stale_share=0.005, uptime=0.9))
    x = solved(compiled, in_mode=[[1, 0], [1, 2]])
    paid = 0.99 * 0.98 * 0.995 * 0.9
    assert values(compiled, x, "paid_hash") == pytest.approx(np.array([[2.5 * paid, 3.0 * paid]]))
    assert usd(compiled, x, "hashing_revenue") == pytest.approx([2.5 * paid * 48 / 24, 3.0 * paid * 48 / 24])


def test_revenue_follows_the_length_of_the_step():
    compiled = mining(group(), step_s=(300, 5400))
    x = solved(compiled, in_mode=[[2, 2], [0, 0]])
    assert usd(compiled, x, "hashing_revenue") == pytest.approx([2 * 2.0 / 12, 2 * 2.0 * 1.5])


def power_kw(of, ambient=20.0, limits=None, **in_mode):
    """Metered power by step of the groups of one site, at given blocks by mode."""

    def metered(model):
        part = asic_mining(model)
        model.variable("power", "SITES", "STEPS")

        @model.constraint("SITES", "STEPS")
        def adds_up(m, s, t):
            return m.power[s, t] == power_at([part], m, s, t)

    compiled = alone(metered, problem(site(asic_groups=(of,)), ambient=ambient, limits=limits))
    x = solved(compiled, {}, **in_mode)
    return None if x is None else values(compiled, x, "power")[0].tolist()


def test_blocks_draw_their_mode_or_sleep_times_the_pue_of_the_hour():
    hot = group(sleep_power_w=25, cooling=Cooling(base_pue_milli=1050, rise_milli_per_c=10, above_c=25.0))
    # 2 asleep: 2 x 10 x 25 W; 1 eco + 1 asleep: 30 kW + 0.25 kW; PUE 1.05, at 31 degrees 1.05 + 6 x 0.01
    assert power_kw(hot, in_mode=[[0, 1], [0, 0]]) == pytest.approx([0.5 * 1.05, 30.25 * 1.05])
    assert power_kw(hot, ambient=31.0, in_mode=[[0, 1], [0, 0]]) == pytest.approx([0.5 * 1.11, 30.25 * 1.11])
    assert power_kw(hot, in_mode=[[0, 1], [2, 1]]) == pytest.approx([100 * 1.05, 80 * 1.05])


def test_nothing_hashes_or_sleeps_in_the_dark():
    limits = {"pecos": (0, 1_000_000)}
    sleeper = group(sleep_power_w=25)
    assert power_kw(sleeper, limits=limits, in_mode=[[0, 0], [0, 0]]) == pytest.approx([0.0, 0.5])
    assert power_kw(sleeper, limits=limits, in_mode=[[1, 0], [0, 0]]) is None


def test_a_start_loses_its_warm_up_minutes_of_the_lowest_mode():
    compiled = mining(group(min_up_s=900, warm_up_s=900))
    x = solved(compiled, in_mode=[[0, 0], [1, 1]])  # turbo 1.5 PH/s, less a quarter hour of eco's 1 PH/s
    assert values(compiled, x, "paid_hash") == pytest.approx(np.array([[1.5 - 0.25, 1.5]]))


def test_warm_up_spreads_over_short_steps_by_time():
    compiled = mining(group(min_up_s=900, warm_up_s=720), step_s=(300, 300, 300, 3600))
    x = solved(compiled, in_mode=[[1, 1, 1, 1], [0, 0, 0, 0]])
    assert values(compiled, x, "paid_hash") == pytest.approx(np.array([[0, 0, 1 - 120 / 300, 1]]), abs=1e-9)


def test_warm_up_spills_from_a_short_step_into_a_long_one():
    compiled = mining(group(min_up_s=1500, warm_up_s=1500), step_s=(300, 3600))
    x = solved(compiled, in_mode=[[1, 1], [0, 0]])
    assert values(compiled, x, "paid_hash") == pytest.approx(np.array([[0, 1 - 1200 / 3600]]), abs=1e-9)


def test_blocks_that_were_started_before_the_plan_finish_their_warm_up():
    warming = GroupState(mode_blocks={"eco": 2}, started=cohorts((1, 300), (1, 9000)))
    compiled = mining(group(min_up_s=1500, warm_up_s=1500), groups={"row": warming})
    x = solved(compiled, in_mode=[[2, 2], [0, 0]])
    assert values(compiled, x, "paid_hash") == pytest.approx(np.array([[2 - 1200 / 3600, 2]]))


def test_a_start_costs_wear_whatever_the_price():
    running = GroupState(mode_blocks={"eco": 1}, started=cohorts((1, 9000)))
    compiled = mining(group(start_wear_usd=7.5), hashprice=0.0, groups={"row": running})
    x = solved(compiled, on=[[1, 2]])
    assert usd(compiled, x, "asic_start_wear").tolist() == [0.0, -7.5]
    assert usd(compiled, solved(compiled, on=[[0, 2]]), "asic_start_wear").tolist() == [0.0, -15.0]


def test_blocks_run_at_least_min_up_by_time_not_by_steps():
    compiled = mining(group(min_up_s=600), step_s=(300, 300, 3600))
    assert not possible(compiled, 1, 0, 0)
    assert possible(compiled, 1, 1, 0)
    assert not possible(compiled, 0, 1, 0)  # the last step begins 300 s after the start
    assert possible(compiled, 0, 0, 2)
    longer = mining(group(min_up_s=601), step_s=(300, 300, 3600))
    assert not possible(longer, 1, 1, 0)
    assert possible(longer, 2, 1, 1) is False
    assert possible(longer, 1, 2, 2)


def test_blocks_rest_at_least_min_down():
    state = {"row": GroupState(mode_blocks={"eco": 2}, started=cohorts((2, 90_000)))}
    compiled = mining(group(min_down_s=3600), step_s=(1800, 1800, 1800), groups=state)
    assert not possible(compiled, 1, 2, 2)
    assert not possible(compiled, 2, 1, 2)
    assert possible(compiled, 1, 1, 2)


def test_blocks_started_or_stopped_before_the_plan_are_still_held():
    young = GroupState(mode_blocks={"eco": 1}, started=cohorts((1, 1800)), stopped=cohorts((1, 3000)))
    compiled = mining(group(min_up_s=5400, min_down_s=3600), step_s=(600, 3000, 3600), groups={"row": young})
    assert not possible(compiled, 0, 0, 0)
    assert not possible(compiled, 1, 0, 0)  # at 600 s the block has run 2400 s of 5400 s
    assert possible(compiled, 1, 1, 0)
    assert not possible(compiled, 2, 2, 2)  # the other has rested 3000 s of 3600 s
    assert possible(compiled, 1, 2, 2)


def test_what_a_recovery_releases_no_longer_holds():
    young = GroupState(mode_blocks={"eco": 2}, started=cohorts((1, 600), (1, 1200)))
    of = group(min_up_s=7200, warm_up_s=3000)
    held = mining(of, groups={"row": young})
    assert not possible(held, 1, 1)
    free = mining(of, groups={"row": young}, release=Release(blocks={("pecos", "row"): (1, 1)}))
    assert possible(free, 1, 1)
    assert not possible(free, 0, 0)
    x = solved(free, in_mode=[[1, 1], [0, 0]])  # who ran longest stops, so the younger one warms up for 2400 s
    assert values(free, x, "paid_hash") == pytest.approx(np.array([[1 - 2400 / 3600, 1]]))


def test_starts_are_counted_by_local_day_over_all_blocks_with_those_before_the_plan():
    """The plan begins at 22:00 in Chicago: two hours of the 4th, then the 5th."""
    evening = START - timedelta(hours=8)
    of = group(blocks=2, max_starts_per_day=1)
    fresh = mining(of, step_s=(3600,) * 5, start=evening)
    assert possible(fresh, 1, 2, 0, 2, 2)
    assert possible(fresh, 2, 0, 2, 0, 0)
    assert not possible(fresh, 2, 0, 2, 0, 1)
    assert possible(fresh, 0, 2, 1, 2, 1)
    once = {"row": GroupState(starts_today=1)}
    started = mining(of, step_s=(3600,) * 5, start=evening, groups=once)
    assert not possible(started, 0, 2, 2, 2, 2)
    assert possible(started, 0, 1, 2, 2, 2)
    assert possible(started, 0, 1, 0, 2, 0)
    too_many = mining(of, step_s=(3600,) * 5, start=evening, groups={"row": GroupState(starts_today=5)})
    assert possible(too_many, 0, 0, 2, 2, 2)
    assert not possible(too_many, 0, 1, 1, 1, 1)


HEAT = HeatDerating(above_c=30.0, hash_loss_milli_per_c=5, power_rise_milli_per_c=3)


def test_heat_takes_hash_and_adds_power_in_thousandths_and_whole_watts():
    """At 40 degrees: 50 thousandths less hash, 30 more power; a miner of 3,000 W draws 3,090, one of 5,000 W 5,150."""
    hot = group(derating=HEAT, min_up_s=900, warm_up_s=900, pool_fee=0.01)
    compiled = mining(hot, ambient=40.0)
    x = solved(compiled, in_mode=[[1, 0], [1, 2]])
    assert values(compiled, x, "paid_hash") == pytest.approx(np.array([[(2.5 - 2 * 0.25) * 0.95 * 0.99, 3.0 * 0.95 * 0.99]]))
    assert power_kw(hot, ambient=40.0, in_mode=[[1, 0], [1, 2]]) == pytest.approx([30.9 + 51.5, 103.0])
    assert power_kw(hot, ambient=30.0, in_mode=[[1, 0], [1, 2]]) == pytest.approx([80.0, 100.0])
    odd = group(derating=HEAT, modes=(Mode(name="eco", miner_power_w=3001, miner_hash_th_per_s=100.0),))
    assert power_kw(odd, ambient=31.0, in_mode=[[1, 2]]) == pytest.approx([30.11, 60.22])  # 3,010.003 W, rounded up
    capped = group(derating=HEAT.model_copy(update={"max_power_rise_milli": 10}))
    assert power_kw(capped, ambient=60.0, in_mode=[[1, 0], [0, 0]]) == pytest.approx([30.3, 0.0])


def test_a_mode_is_barred_above_its_temperature_and_with_the_lowest_the_whole_group():
    eco, turbo = group().modes
    warm = group(modes=(eco, turbo.model_copy(update={"max_ambient_c": 35.0})))
    assert solved(mining(warm, ambient=35.0), in_mode=[[0, 0], [1, 1]]) is not None
    assert solved(mining(warm, ambient=35.1), in_mode=[[0, 0], [1, 0]]) is None
    assert solved(mining(warm, ambient=35.1), in_mode=[[2, 2], [0, 0]]) is not None
    all_barred = group(modes=tuple(mode.model_copy(update={"max_ambient_c": 35.0}) for mode in (eco, turbo)))
    assert not possible(mining(all_barred, ambient=36.0), 1, 0)
    assert possible(mining(all_barred, ambient=36.0), 0, 0)


def test_a_higher_mode_never_outlasts_a_lower_one_in_the_heat():
    eco, turbo = group().modes
    with pytest.raises(ValueError, match="expected max_ambient_c not to rise from 'eco' to 'turbo'"):
        group(modes=(eco.model_copy(update={"max_ambient_c": 35.0}), turbo))


def test_modes_add_up_to_the_blocks_that_run():
    compiled = mining(group())
    assert solved(compiled, on=[[2, 2]], in_mode=[[1, 2], [0, 0]]) is None
    assert solved(compiled, in_mode=[[2, 2], [1, 0]]) is None
    best = solved(compiled)
    assert values(compiled, best, "in_mode").tolist() == [[0, 0], [2, 2]]


def test_a_site_without_groups_makes_no_hash():
    compiled = mining()
    assert values(compiled, solved(compiled), "paid_hash").tolist() == [[0, 0]]
