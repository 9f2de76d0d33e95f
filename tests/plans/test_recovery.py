"""Recovery: a plan exists from every measured state, and what gives way for it is named, no more than must."""

import random
from datetime import timedelta

import numpy as np
import pytest
from worlds import START, world

from models.asic import AsicGroup, Mode
from models.availability import Outage
from models.contract import FixedPrice
from models.feeder import Feeder
from models.fleet import Fleet
from models.gpu import GpuPool
from models.order import LimitOrder
from models.problem import Problem
from models.site import Site
from models.state import Cohort, GroupState, PoolState, SiteState, State
from models.time_grid import hourly
from models.workload import InteractiveWorkload
from optimizer.audit.forced import forced_by_state
from optimizer.audit.ground import site_facts
from optimizer.formulation import build, build_world
from optimizer.recovery import recover
from optimizer.sets import Release
from optimizer.solve import optimise

BLOCK_W, NODE_W = 100_000, 10_000


def fleet_of(running: int, nodes_on: int, *, draw_w: int | None = None, ramp_w_per_min: int | None = None, **more) -> Problem:
    """One site: 10 blocks of 100 kW that must run 2 h, 10 nodes of 10 kW that must run 4 h; all that run started just now."""
    site = Site(
        name="pecos", region="texas", country="US", zone="America/Chicago", ambient="inland", connection_limit_w=1_200_000,
        ramp_w_per_min=ramp_w_per_min, contract=FixedPrice(price_usd_per_mwh=40.0),
        asic_groups=(
            AsicGroup(
                name="row", model="test", blocks=10, miners_per_block=100, min_up_s=7_200,
                modes=(Mode(name="normal", miner_power_w=BLOCK_W // 100, miner_hash_th_per_s=50.0),),
            ),
        ),
        gpu_pools=(GpuPool(name="pool", gpu_type="h100", nodes=10, node_fixed_w=NODE_W, min_up_s=4 * 3_600),),
    )  # fmt: skip
    now = Cohort(count=1, since=START)
    group = GroupState(mode_blocks={"normal": running}, started=(now.model_copy(update={"count": running}),) if running else ())
    pool = PoolState(started=(now.model_copy(update={"count": nodes_on}),) if nodes_on else ())
    measured_w = running * BLOCK_W + nodes_on * NODE_W if draw_w is None else draw_w
    state = SiteState(draw_w=measured_w, groups={"row": group}, pools={"pool": pool}, source="measured", as_of=START)
    return Problem(
        name="recovery", grid=hourly(START, 6), fleet=Fleet(name="one", sites=(site,)), hashprice_usd_per_ph_day=(50.0,) * 6,
        ambient_c={"inland": (20.0,) * 6}, state=State(at=START, sites={"pecos": state}), **more,
    )  # fmt: skip


def order(limit_w: int, begins_h: int, ends_h: int | None = None) -> LimitOrder:
    ends = None if ends_h is None else START + timedelta(hours=ends_h)
    return LimitOrder(name="cut", site="pecos", start=START + timedelta(hours=begins_h), end=ends, limit_w=limit_w)


def told(problem: Problem) -> list[tuple[str, int, float, str]]:
    return [(r.rule, r.step, r.shortfall, r.unit) for r in recover(problem).records]


def test_nothing_gives_way_without_need():
    problem = fleet_of(10, 10)
    recovered = recover(problem)
    assert recovered.records == ()
    assert (dict(recovered.release.blocks), dict(recovered.release.nodes), recovered.release.ramps) == ({}, {}, frozenset())


def test_just_as_many_blocks_stop_as_the_order_demands_and_before_any_node():
    assert told(fleet_of(10, 10, orders=(order(650_000, 0),))) == [("min_up", 0, 5, "blocks")]


def test_nodes_stop_only_where_all_blocks_together_are_not_enough():
    assert told(fleet_of(10, 10, orders=(order(35_000, 0),))) == [("min_up", 0, 10, "blocks"), ("min_up", 0, 7, "nodes")]


def test_who_fits_below_every_limit_in_the_end_stays_held():
    """A feeder of 17.5 kW lets a node of 3.5 kW go for two of 8.2 kW; an order of 14 kW then lets one of those go as well.

    One of 8.2 kW and that of 3.5 kW fit below both, so that the small one has no reason to stop.
    """
    problem = fleet_of(0, 0, orders=(order(14_000, 0),))
    small = GpuPool(name="small", gpu_type="h100", nodes=1, node_fixed_w=3_500, min_up_s=3_600)
    large = GpuPool(name="large", gpu_type="b200", nodes=2, node_fixed_w=8_200, min_up_s=3_600)
    container = Feeder(name="container", limit_w=17_500, members=("small", "large"))
    site = problem.fleet.sites[0].model_copy(update={"asic_groups": (), "gpu_pools": (small, large), "feeders": (container,)})
    just_now = Cohort(count=1, since=START)
    pools = {
        "small": PoolState(started=(just_now,)),
        "large": PoolState(started=(just_now.model_copy(update={"count": 2}),)),
    }
    now = SiteState(draw_w=19_900, pools=pools, source="measured", as_of=START)
    update = {"fleet": Fleet(name="one", sites=(site,)), "state": State(at=START, sites={"pecos": now})}
    recovered = recover(problem.model_copy(update=update))
    assert [(r.step, r.shortfall, r.unit, r.words) for r in recovered.records] == [
        (0, 1, "nodes", "large: 1 nodes stop before their minimum run, since the limit is 14000 W")
    ]
    assert recovered.release.nodes == {("pecos", "large"): [1, 0, 0, 0, 0, 0]}


def test_a_dark_site_lets_go_of_all_and_has_no_ramp():
    dark = fleet_of(10, 10, ramp_w_per_min=1, limit_w={"pecos": (0,) * 6})
    lit_w = dark.fleet.sites[0].model_copy(update={"base_load_w": 5})
    problem = dark.model_copy(update={"fleet": Fleet(name="one", sites=(lit_w,))})
    assert told(problem) == [("min_up", 0, 10, "blocks"), ("min_up", 0, 10, "nodes")]


def test_who_was_let_go_stays_free_when_the_order_is_over():
    recovered = recover(fleet_of(4, 0, orders=(order(150_000, 0, 1),)))
    assert recovered.release.blocks["pecos", "row"] == [1, 1, 0, 0, 0, 0]


def test_a_forced_stop_wears_for_every_hour_of_the_minimum_run_that_it_misses():
    """Five of ten blocks stop at once for an order, two hours before they might: 5 x 2 h at 3 USD, decided by nobody."""
    problem = fleet_of(10, 0, orders=(order(550_000, 0),))
    site = problem.fleet.sites[0]
    worn = site.asic_groups[0].model_copy(update={"forced_stop_usd_per_block_h": 3.0})
    fleet = Fleet(name="one", sites=(site.model_copy(update={"asic_groups": (worn,)}),))
    result = optimise(problem.model_copy(update={"fleet": fleet}), gap=0.0, budget_s=30, now=START)
    assert result.plan is not None, result.why
    [line] = [line for line in result.plan.money if line.term == "forced_stop_wear"]
    assert line.usd == (-15.0, -15.0, 0.0, 0.0, 0.0, 0.0)


def test_nodes_let_go_while_they_load_are_off_and_not_warm():
    """Ten nodes began to load five hours of it just now, and an order takes all for an hour; warm they would draw nothing.

    Whatever is on later has started again, for 7 USD each: nothing was loaded that could have been kept.
    """
    problem = fleet_of(0, 10, orders=(order(1_000, 0, 1),))
    site = problem.fleet.sites[0]
    served = {"throughput_tokens_per_s": {"mistral-7b": 2_000}, "start_cost_usd": 7.0, "warm_w": 0, "wake_s": 60}
    pool = site.gpu_pools[0].model_copy(update={**served, "load_s": 3_600, "min_up_s": 3_600})
    chat = InteractiveWorkload(
        name="chat", model="mistral-7b", price_usd_per_mwork=4.0, routing_usd_per_mwork={"texas": 0.0}, unserved_usd_per_mwork=0.0
    )
    fleet = Fleet(name="one", sites=(site.model_copy(update={"gpu_pools": (pool,)}),), workloads=(chat,))
    demand = {"chat": (72_000_000,) * 6}
    result = optimise(problem.model_copy(update={"fleet": fleet, "demand_work_per_h": demand}), gap=0.0, budget_s=30, now=START)
    assert result.plan is not None, result.why
    made = result.plan.sites["pecos"].pools["pool"]
    assert (made.nodes_on, made.nodes_warm) == ((0, 10, 10, 10, 10, 10), (0,) * 6)
    [line] = [line for line in result.plan.money if line.term == "gpu_start_cost"]
    assert line.usd == (0.0, -70.0, 0.0, 0.0, 0.0, 0.0)


def test_an_order_after_the_minimum_run_needs_no_recovery():
    assert told(fleet_of(10, 0, orders=(order(100_000, 2),))) == []


def test_a_draw_far_above_a_lowered_limit_falls_faster_than_the_ramp_and_says_by_how_much():
    """1,100 kW measured, a ramp of 300 kW in an hour less one block of 100 kW, and a limit of 600 kW without an order."""
    problem = fleet_of(0, 0, draw_w=1_100_000, ramp_w_per_min=5_000, limit_w={"pecos": (600_000,) * 6})
    assert told(problem) == [("ramp", 0, 300_000, "W")]
    assert recover(problem).release.ramps == {("pecos", 0)}


def test_tripped_miners_that_must_rest_cannot_hold_the_draw_that_was_measured():
    problem = fleet_of(0, 0, draw_w=1_000_000, ramp_w_per_min=5_000)
    site = problem.fleet.sites[0]
    resting = site.asic_groups[0].model_copy(update={"min_down_s": 7_200})
    state = problem.state.sites["pecos"]
    tripped = GroupState(stopped=(Cohort(count=10, since=START),))
    problem = problem.model_copy(
        update={
            "fleet": Fleet(name="one", sites=(site.model_copy(update={"asic_groups": (resting,)}),)),
            "state": State(at=START, sites={"pecos": state.model_copy(update={"groups": {"row": tripped}})}),
        }
    )
    assert told(problem) == [("ramp", 0, 1_000_000 - (300_000 - BLOCK_W) - 10 * NODE_W, "W")]


def test_a_ramp_that_can_be_met_in_time_is_met_and_not_released():
    """From 1,100 kW to 100 kW: 300 kW an hour less one block are just enough, if the fall begins at once."""
    falling = tuple(max(100_000, 1_100_000 - 200_000 * step) for step in range(1, 7))
    assert told(for_long(fleet_of(10, 10, ramp_w_per_min=5_000, limit_w={"pecos": falling}))) == []


def test_nothing_is_started_to_hold_the_draw_that_could_not_run_its_minimum():
    """All blocks trip, 900 kW less in one step; nodes could draw 100 kW of it, and an order stops them in their first hours."""
    tripped = Outage(name="fire", site="pecos", machine="row", count=10, start=START)
    problem = for_long(fleet_of(10, 0, ramp_w_per_min=16_000, outages=(tripped,)))
    assert told(problem) == [("ramp", 0, 10 * (BLOCK_W - NODE_W) - (960_000 - BLOCK_W), "W")]
    stopped = problem.model_copy(update={"orders": (order(50_000, 3),)})
    assert told(stopped) == [("ramp", 0, 10 * BLOCK_W - 5 * NODE_W - (960_000 - BLOCK_W), "W")]
    dark = problem.model_copy(update={"orders": (order(0, 3),)})
    assert told(dark) == [("ramp", 0, 10 * BLOCK_W - (960_000 - BLOCK_W), "W")]
    later = problem.model_copy(update={"orders": (order(0, 4),)})
    assert told(later) == told(problem)
    for some in (problem, stopped, dark, later):
        assert optimise(some, budget_s=20.0, now=START).ending == "planned"


def for_long(problem: Problem) -> Problem:
    """The same, with all that runs running for a day."""
    state = problem.state.sites["pecos"]
    past = {"since": START - timedelta(days=1)}
    groups = {
        n: g.model_copy(update={"started": tuple(c.model_copy(update=past) for c in g.started)}) for n, g in state.groups.items()
    }
    pools = {
        n: p.model_copy(update={"started": tuple(c.model_copy(update=past) for c in p.started)}) for n, p in state.pools.items()
    }
    site = state.model_copy(update={"groups": groups, "pools": pools})
    return problem.model_copy(update={"state": State(at=START, sites={"pecos": site})})


@pytest.mark.parametrize("sites", [1, 3])
def test_the_audit_derives_the_same_recoveries_by_its_own_reading(sites: int):
    named = 0
    for seed in range(300):
        problem = world(random.Random(seed), sites=sites, steps=6)
        ours = sorted((r.site, r.rule, r.step, r.unit, r.shortfall) for r in recover(problem).records)
        theirs = [
            (site.name, rule, step, unit, shortfall)
            for site in problem.fleet.sites
            for rule, step, unit, shortfall in forced_by_state(site_facts(problem, site), problem.grid).entries
        ]
        assert ours == sorted(theirs), seed
        named += len(ours)
    assert named > 50


def test_the_world_that_is_handed_on_is_the_one_that_would_be_made_anew():
    """What the released rules change is worked out again; all else was worked out before they were known."""
    freed = 0
    for seed in range(120):
        problem = world(random.Random(seed), sites=3, steps=6)
        recovered = recover(problem)
        handed_on, anew = build_world(recovered.world), build(problem, release=recovered.release)
        assert handed_on.matrix.shape == anew.matrix.shape, seed
        assert (handed_on.matrix != anew.matrix).nnz == 0, seed
        for name in ("cost", "integer", "col_lower", "col_upper", "row_lower", "row_upper"):
            assert np.array_equal(getattr(handed_on, name), getattr(anew, name)), (seed, name)
        freed += recovered.release != Release()
    assert freed > 20
