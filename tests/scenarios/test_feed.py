"""The reference feed replays its week at the right local weekday and hour, whatever the clocks do."""

import time
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.problem import Problem
from models.time_grid import TimeGrid, hourly, local_day_grid
from scenarios.feed import initial_state, reference_problem, replay, week_weights
from scenarios.reference import reference_feed, reference_fleet, week_table

START = datetime(2026, 11, 22, 8, tzinfo=UTC)
instants = st.datetimes(datetime(2025, 1, 1), datetime(2030, 12, 31)).map(
    lambda t: t.replace(tzinfo=UTC, minute=0, second=0, microsecond=0)
)


@given(instants)
def test_each_hour_has_the_price_of_its_local_weekday_and_hour(start: datetime):
    series = replay(hourly(start, 3))
    for name, spec in reference_feed().prices_usd_per_mwh.items():
        for t in range(3):
            local = (start + timedelta(hours=t)).astimezone(ZoneInfo(spec.zone))
            assert series.prices_usd_per_mwh[name][t] == week_table("prices.csv")[name][local.weekday() * 24 + local.hour]


def test_the_week_comes_again_seven_days_later():
    assert replay(hourly(START, 48)) == replay(hourly(START + timedelta(days=7), 48))


def test_over_a_change_of_clocks_the_local_hours_come_again_and_the_instants_do_not():
    before, after = datetime(2026, 10, 26, 5, tzinfo=UTC), datetime(2026, 11, 2, 6, tzinfo=UTC)  # Monday 00:00 in Chicago
    series = [replay(hourly(start, 24)).prices_usd_per_mwh["ERCOT_HB_NORTH"] for start in (before, after)]
    assert series[0] == series[1] == week_table("prices.csv")["ERCOT_HB_NORTH"][:24]


def test_the_autumn_day_has_25_hours_and_one_twice():
    grid = local_day_grid("America/Chicago", date(2026, 11, 1))
    prices = replay(grid).prices_usd_per_mwh["ERCOT_HB_WEST"]
    sunday = week_table("prices.csv")["ERCOT_HB_WEST"][144:]
    assert prices == (*sunday[:2], sunday[1], *sunday[2:])


def test_the_spring_day_has_23_hours_and_none_from_two():
    grid = local_day_grid("America/Chicago", date(2027, 3, 14))
    prices = replay(grid).prices_usd_per_mwh["ERCOT_HB_WEST"]
    sunday = week_table("prices.csv")["ERCOT_HB_WEST"][144:]
    assert prices == (*sunday[:2], *sunday[3:])


def test_the_turn_of_the_year_is_a_night_like_any_other():
    grid = local_day_grid("America/New_York", date(2026, 12, 31), days=2)  # a Thursday and a Friday
    assert replay(grid).prices_usd_per_mwh["PJM_DOM"] == week_table("prices.csv")["PJM_DOM"][72:120]


def test_steps_of_five_minutes_repeat_the_hour_and_longer_steps_take_the_mean():
    fine = replay(TimeGrid(start=START, step_s=(300,) * 24)).prices_usd_per_mwh["NYISO_NORTH"]
    hours = replay(hourly(START, 4)).prices_usd_per_mwh["NYISO_NORTH"]
    assert fine == (hours[0],) * 12 + (hours[1],) * 12
    coarse = replay(TimeGrid(start=START, step_s=(14_400,))).prices_usd_per_mwh["NYISO_NORTH"]
    assert coarse[0] == pytest.approx(sum(hours) / 4, abs=1e-3)


def test_a_partial_first_step_has_the_figures_of_its_hour():
    start = START + timedelta(minutes=17, seconds=5)
    grid = TimeGrid(start=start, step_s=(2_575, 3_600))
    assert replay(grid).prices_usd_per_mwh["PJM_DOM"] == replay(hourly(START, 2)).prices_usd_per_mwh["PJM_DOM"]


@given(instants, st.lists(st.integers(60, 20_000), min_size=1, max_size=5), st.sampled_from(["America/Asuncion", "Asia/Kolkata"]))
def test_the_shares_of_a_step_add_up_to_one(start: datetime, lengths: list[int], zone: str):
    for step in week_weights(TimeGrid(start=start, step_s=tuple(lengths)), zone):
        assert sum(share for _, share in step) == pytest.approx(1)


def test_assumed_temperatures_stay_between_their_bounds_and_are_warmest_in_the_afternoon():
    grid = local_day_grid("Asia/Muscat", date(2026, 11, 22))
    celsius = replay(grid).ambient_c["SALALAH"]
    assert (min(celsius), max(celsius)) == (24.0, 30.0)
    assert celsius.index(30.0) == 15


def test_mean_demand_of_a_week_is_what_the_feed_says():
    series = replay(hourly(datetime(2026, 11, 23, tzinfo=UTC), 168))
    for name, spec in reference_feed().demand_work_per_h.items():
        assert sum(series.demand_work_per_h[name]) / 168 == pytest.approx(spec.mean_work_per_h, rel=1e-6)


def test_the_problem_is_complete_labelled_and_survives_json():
    problem = reference_problem(START)
    assert problem.grid.steps == 48
    assert problem.labels == ("replayed",)
    assert set(problem.sources) >= {"hashprice", "PJM_DOM", "DALLAS", "chat-70b-us"}
    again = Problem.model_validate_json(problem.model_dump_json())
    assert again == problem
    assert again.digest == problem.digest


def test_a_problem_is_made_in_a_blink():
    reference_problem(START)  # reads the files once
    began = time.perf_counter()
    for hour in range(5):
        reference_problem(START + timedelta(hours=hour))
    assert (time.perf_counter() - began) / 5 < 0.5


def test_a_state_that_is_given_is_kept_and_one_of_steps_too():
    state = initial_state(reference_fleet(), START - timedelta(minutes=5))
    grid = TimeGrid(start=START, step_s=(900,) * 8)
    problem = reference_problem(START, state, grid=grid)
    assert problem.state == state
    assert problem.grid == grid


def test_the_assumed_state_fits_every_connection_and_says_that_it_is_assumed():
    state = initial_state(reference_fleet(), START)
    for site in reference_fleet().sites:
        now = state.sites[site.name]
        assert now.source == "assumed"
        assert 0 < now.draw_w <= site.connection_limit_w
        for group in site.asic_groups:
            assert now.groups[group.name].mode_blocks == {group.modes[0].name: group.blocks}
        for pool in site.gpu_pools:
            assert now.pools[pool.name].nodes_on == -(-pool.nodes * 3 // 4)


def test_a_connection_too_small_for_its_machines_is_filled_as_far_as_it_goes_or_dark():
    fleet = reference_fleet()
    for connection_w in (6_000_000, 300_000):
        site = fleet.sites[0].model_copy(update={"connection_limit_w": connection_w})
        small = fleet.model_copy(update={"sites": (site,), "workloads": ()})
        now = initial_state(small, START).sites[site.name]
        assert now.draw_w <= connection_w
        running = sum(group.running for group in now.groups.values())
        assert running < sum(group.blocks for group in site.asic_groups)
        assert (now.draw_w == 0) == (connection_w == 300_000)


def test_an_assumed_state_is_of_the_heat_that_there_is():
    fleet = reference_fleet()
    hot = {site.ambient: 45.0 for site in fleet.sites}
    mild, warm = initial_state(fleet, START), initial_state(fleet, START, hot)
    derated = [s for s in fleet.sites if any(g.derating.power_milli(45.0) > 1000 for g in s.asic_groups)]
    assert derated
    for site in derated:
        now = warm.sites[site.name]
        expected_mw = 1000 * site.base_load_w
        for group in site.asic_groups:
            low, running = group.modes[0], now.groups[group.name].running
            machine_w = running * group.block_power_w(low, 45.0) + (group.blocks - running) * group.block_sleep_w
            expected_mw += machine_w * group.cooling.pue_milli(45.0)
        for pool in site.gpu_pools:
            expected_mw += pool.power_w(now.pools[pool.name].nodes_on, pool.node_full_w) * pool.pue_milli(45.0)
        assert now.draw_w == -(-expected_mw // 1000) <= site.connection_limit_w
        assert now.draw_w > mild.sites[site.name].draw_w
    low = fleet.sites[0].asic_groups[0].modes[0].model_copy(update={"max_ambient_c": 40.0})
    group = fleet.sites[0].asic_groups[0].model_copy(update={"modes": (low,)})
    barred = fleet.sites[0].model_copy(update={"asic_groups": (group,), "gpu_pools": ()})
    alone = fleet.model_copy(update={"sites": (barred,), "workloads": ()})
    assert initial_state(alone, START, hot).sites[barred.name].groups[group.name].running == 0


def test_the_reference_problem_begins_in_the_heat_of_its_first_hour():
    problem = reference_problem(datetime(2026, 11, 22, 21, tzinfo=UTC))
    first = {name: values[0] for name, values in problem.ambient_c.items()}
    assert problem.state == initial_state(problem.fleet, problem.grid.start, first)
