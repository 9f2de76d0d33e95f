"""What was planned meets what came: demand that did not come, demand that did, heat, and limits."""

import pytest
from by_hand import START, pool, problem, site
from by_hand import group as machines

from models.asic import Mode
from models.cooling import Cooling
from models.workload import BatchWorkload, InteractiveWorkload, ReservedWorkload
from optimizer.audit import audit
from optimizer.solve import optimise
from scenarios.advance import advance
from scenarios.backtest.realise import realise
from scenarios.joining import first_step, join
from scenarios.rolling import window

NODE_H = 3_600_000
"""Tokens of a node in an hour."""


def chat(**changes):
    given = {"name": "chat", "model": "llama", "price_usd_per_mwork": 10.0, "unserved_usd_per_mwork": 5.0}
    return InteractiveWorkload(**given | {"routing_usd_per_mwork": {"texas": 0.0}} | changes)


def met(seen, came):
    """Plan what is seen; carry it out on what came."""
    plan = optimise(seen, gap=1e-4, budget_s=30, now=START).plan
    return plan, realise(came)(0, seen, plan)


def served(happened, workload="chat", site="pecos"):
    return sum(pool.work_per_h.get(workload, (0,))[0] for pool in happened.plan.sites[site].pools.values())


def joined_is_sound(came, happened):
    cut = window(came, 0, 1, came.state)
    assert audit(cut, join(cut, [first_step(happened.plan)])).broken == ()


def test_demand_that_did_not_come_is_not_served():
    at = site(gpu_pools=(pool(),))
    seen = problem(at, workloads=(chat(),), demand={"chat": (3 * NODE_H, 3 * NODE_H)})
    came = problem(at, workloads=(chat(),), demand={"chat": (NODE_H // 2, NODE_H)})
    plan, happened = met(seen, came)
    assert plan.sites["pecos"].pools["nodes"].work_per_h["chat"][0] == 3 * NODE_H
    assert served(happened) == NODE_H // 2
    assert happened.plan.sites["pecos"].pools["nodes"].nodes_on[0] == 3, "the nodes were told to be on"
    assert happened.execution_usd == 0.0
    joined_is_sound(came, happened)


def test_demand_beyond_the_plan_is_served_where_nodes_that_are_on_have_time():
    at = site(gpu_pools=(pool(),))
    seen = problem(at, workloads=(chat(),), demand={"chat": (5 * NODE_H // 2, NODE_H)})
    came = problem(at, workloads=(chat(),), demand={"chat": (4 * NODE_H, NODE_H)})
    plan, happened = met(seen, came)
    assert plan.sites["pecos"].pools["nodes"].nodes_on[0] == 3
    assert served(happened) == 3 * NODE_H
    assert happened.plan.workloads["chat"].unserved_work_per_h[0] == NODE_H
    joined_is_sound(came, happened)


def test_pools_give_up_their_share_of_what_did_not_come():
    two = (pool(name="first", nodes=1), pool(name="second", nodes=1))
    seen = problem(site(gpu_pools=two), workloads=(chat(),), demand={"chat": (2 * NODE_H, 0)})
    came = problem(site(gpu_pools=two), workloads=(chat(),), demand={"chat": (NODE_H, 0)})
    _, happened = met(seen, came)
    assert [p.work_per_h["chat"][0] for p in happened.plan.sites["pecos"].pools.values()] == [NODE_H // 2, NODE_H // 2]


def test_the_dearest_of_what_came_beyond_the_plan_goes_first():
    cheap = chat(name="cheap", price_usd_per_mwork=1.0, unserved_usd_per_mwork=0.0)
    at = site(gpu_pools=(pool(nodes=1),))
    seen = problem(at, workloads=(cheap, chat()), demand={"cheap": (0, 0), "chat": (NODE_H // 4, NODE_H)})
    came = problem(at, workloads=(cheap, chat()), demand={"cheap": (NODE_H, 0), "chat": (NODE_H // 2, NODE_H)})
    _, happened = met(seen, came)
    assert (served(happened), served(happened, "cheap")) == (NODE_H // 2, NODE_H // 2)


def test_rented_nodes_are_paid_whatever_happens_and_served_as_far_as_they_are_asked_for():
    rented = ReservedWorkload(
        name="rent", gpu_type="h100", price_usd_per_mwork=3.0, unserved_usd_per_mwork=6.0, routing_usd_per_mwork={"texas": 0.0}
    )
    at = site(gpu_pools=(pool(),))
    seen = problem(at, workloads=(rented,), demand={"rent": (3_000_000, 0)})
    came = problem(at, workloads=(rented,), demand={"rent": (2_000_000, 0)})
    assert served(met(seen, came)[1], "rent") == 2_000_000


def test_batch_work_is_done_as_planned_as_far_as_it_is_there():
    batch = BatchWorkload(
        name="train", model="llama", price_usd_per_mwork=2.0, deadline_s=3600, late_usd_per_mwork_h=9.0,
        routing_usd_per_mwork={"texas": 0.0},
    )  # fmt: skip
    at = site(gpu_pools=(pool(),))
    seen = problem(at, workloads=(batch,), demand={"train": (3 * NODE_H, 0)})
    less = problem(at, workloads=(batch,), demand={"train": (NODE_H, 0)})
    more = problem(at, workloads=(batch,), demand={"train": (4 * NODE_H, 0)})
    plan, happened = met(seen, less)
    planned = plan.sites["pecos"].pools["nodes"].work_per_h["train"][0]
    assert served(happened, "train") == min(planned, NODE_H)
    _, happened = met(seen, more)
    assert served(happened, "train") == planned
    left = advance(happened.problem, happened.plan).backlog["train"]
    assert sum(lot.work for lot in left) == 4 * NODE_H - planned


def test_blocks_in_a_mode_that_the_heat_bars_go_down_and_what_that_costs_is_told():
    """Two turbo blocks fall to eco: 1 PH/s lost at 48 USD/PH/day, 40 kW less at 60 USD/MWh, for an hour."""
    modes = (
        Mode(name="eco", miner_power_w=3000, miner_hash_th_per_s=100.0),
        Mode(name="turbo", miner_power_w=5000, miner_hash_th_per_s=150.0, max_ambient_c=30.0),
    )
    at = site(asic_groups=(machines(modes=modes),))
    seen, came = problem(at, hashprice=120.0, ambient=20.0), problem(at, hashprice=120.0, ambient=35.0)
    plan, happened = met(seen, came)
    assert plan.sites["pecos"].groups["row"].mode_blocks["turbo"][0] == 2
    made = happened.plan.sites["pecos"].groups["row"].mode_blocks
    assert (made["eco"][0], made["turbo"][0]) == (2, 0)
    assert happened.execution_usd == pytest.approx(2 * 0.5 * 120 / 24 - 2 * 0.020 * 60)
    joined_is_sound(came, happened)


def test_physics_wins_where_work_beyond_the_plan_would_break_a_limit():
    """The work that came beyond the plan would draw 2 kW more than the connection carries: it is left unserved."""
    at = site(gpu_pools=(pool(nodes=1),), connection_limit_w=9_100)
    seen = problem(at, workloads=(chat(),), demand={"chat": (NODE_H // 2, 0)})
    came = problem(at, workloads=(chat(),), demand={"chat": (NODE_H, 0)})
    _, happened = met(seen, came)
    assert served(happened) == NODE_H // 2
    joined_is_sound(came, happened)


def test_physics_wins_where_heat_makes_the_cooling_draw_too_much():
    """Cooling of 1.0 at 20 C and 1.3 at 35 C: two blocks of 50 kW draw 130 kW of 105; mining gives way by rule."""
    hot = machines(cooling=Cooling(base_pue_milli=1000, rise_milli_per_c=30, above_c=25.0))
    at = site(asic_groups=(hot,), connection_limit_w=105_000)
    seen, came = problem(at, hashprice=120.0, ambient=20.0), problem(at, hashprice=120.0, ambient=35.0)
    plan, happened = met(seen, came)
    assert plan.sites["pecos"].draw_w[0] == 100_000
    assert happened.plan.sites["pecos"].draw_w[0] <= 105_000
    assert sum(counts[0] for counts in happened.plan.sites["pecos"].groups["row"].mode_blocks.values()) == 2
    assert happened.execution_usd > 0
    joined_is_sound(came, happened)
