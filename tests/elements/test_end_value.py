"""What machines that still run are worth at the end, on figures worked out by hand."""

import pytest
from by_hand import START, cohorts, group, pool, problem, site

from models.gpu import GpuPool
from models.state import GroupState, PoolState
from models.workload import InteractiveWorkload
from optimizer.audit import audit
from optimizer.fallback import rule_plan
from optimizer.solve import optimise

WARM_UP_USD = 0.5
"""A quarter of an hour of 1 PH/s at 48 USD/PH/day."""
WORN = {"start_wear_usd": 3.0, "warm_up_s": 900, "min_up_s": 900}
RUNNING = {"row": GroupState(mode_blocks={"eco": 2}, started=cohorts((2, 90_000)))}


def planned(of):
    result = optimise(of, gap=1e-6, budget_s=30, now=START)
    assert result.ending == "planned", result.why
    assert audit(of, result.plan).passed
    return result.plan


def mining(share, *prices, groups=None, **changes):
    """Two blocks that earn 2 USD/h each in eco, less 30 kW at prices by hour [USD/MWh]."""
    machines = group(**WORN | {"end_value_share": share} | changes)
    of = site(asic_groups=(machines,), contract={"kind": "index", "index": "hub"})
    given = {"groups": groups, "draw_w": 60_000} if groups else {}
    return problem(of, step_s=(3600,) * len(prices), prices={"hub": prices}, **given)


def blocks(plan):
    return [sum(row) for row in zip(*plan.sites["pecos"].groups["row"].mode_blocks.values(), strict=True)]


def told(plan, term):
    return next((line.usd for line in plan.money if line.term == term), None)


def test_a_running_block_is_worth_the_share_of_the_start_that_it_saves():
    plan = planned(mining(0.5, 20.0, 20.0, groups=RUNNING))
    assert blocks(plan) == [2, 2]
    assert told(plan, "asic_end_value") == pytest.approx((0, 2 * 0.5 * (3.0 + WARM_UP_USD)))


def test_without_a_share_there_is_no_such_money():
    assert told(planned(mining(0.0, 20.0, 20.0, groups=RUNNING)), "asic_end_value") is None


def test_a_small_loss_at_the_end_stops_no_block_but_a_large_one_does():
    # 30 kW at 100 USD/MWh cost 3 USD, 1 more than eco earns; a start saved is worth 3.50
    assert blocks(planned(mining(0.0, 20.0, 100.0, groups=RUNNING))) == [2, 0]
    assert blocks(planned(mining(1.0, 20.0, 100.0, groups=RUNNING))) == [2, 2]
    assert blocks(planned(mining(0.2, 20.0, 100.0, groups=RUNNING))) == [2, 0], "a fifth of 3.50 is less than 1"
    assert blocks(planned(mining(1.0, 20.0, 220.0, groups=RUNNING))) == [2, 0], "6.60 cost 4.60 more than 2 earn"


def test_a_start_late_in_the_window_need_not_pay_for_itself_in_what_is_left_of_it():
    # the last hour brings 1.40 a block, a start costs 3.50
    assert blocks(planned(mining(0.0, 300.0, 20.0))) == [0, 0]
    plan = planned(mining(1.0, 300.0, 20.0))
    assert blocks(plan) == [0, 2]
    assert told(plan, "asic_end_value") == pytest.approx((0, 2 * 3.50))


def test_no_start_pays_by_its_end_value_alone():
    """Blocks that still warm up at the end have their wear back, not the warm-up that is still to come."""
    slow = {"warm_up_s": 7200, "min_up_s": 7200}
    assert blocks(planned(mining(1.0, 300.0, 70.0, **slow))) == [0, 0]
    plan = planned(mining(1.0, 300.0, -10.0, **slow))  # paid for drawing, so they start, and earn no hash yet
    assert blocks(plan) == [0, 2]
    assert told(plan, "asic_end_value") == pytest.approx((0, 2 * 3.0))
    assert told(plan, "hashing_revenue")[1] == pytest.approx(2 * 1.0), "turbo, less the lowest mode's hash"


def test_a_node_is_worth_a_share_of_its_start():
    chat = InteractiveWorkload(
        name="chat", model="llama", price_usd_per_mwork=1.0, unserved_usd_per_mwork=0.0, routing_usd_per_mwork={"texas": 0.0}
    )
    on = {"nodes": PoolState(started=cohorts((2, 90_000)))}

    def nodes_on(share):
        machines: GpuPool = pool(start_cost_usd=5.0, end_value_share=share)
        of = problem(site(gpu_pools=(machines,)), workloads=(chat,), demand={"chat": (7_200_000, 0)}, pools=on, draw_w=20_000)
        plan = planned(of)
        return plan.sites["pecos"].pools["nodes"].nodes_on, told(plan, "gpu_end_value")

    assert nodes_on(0.0) == ((2, 0), None)
    assert nodes_on(1.0) == ((2, 2), pytest.approx((0, 10.0))), "an idle node costs 0.48 an hour, a start 5"


def test_a_warm_node_saves_a_start_as_well():
    chat = InteractiveWorkload(
        name="chat", model="llama", price_usd_per_mwork=1.0, unserved_usd_per_mwork=0.0, routing_usd_per_mwork={"texas": 0.0}
    )
    machines = pool(start_cost_usd=5.0, end_value_share=0.2, warm_w=1000)
    state = {"nodes": PoolState(started=cohorts((2, 90_000)))}
    plan = planned(problem(site(gpu_pools=(machines,)), workloads=(chat,), demand={"chat": (7_200_000, 0)}, pools=state))
    assert plan.sites["pecos"].pools["nodes"].nodes_warm == (0, 2), "0.06 USD an hour for a dollar each"
    assert told(plan, "gpu_end_value") == pytest.approx((0, 2.0))


@pytest.mark.parametrize(("share", "expected"), [(0.0, [0, 0]), (1.0, [0, 2])])
def test_the_rule_plan_starts_by_it_too(share, expected):
    of = mining(share, 300.0, 20.0)
    plan = rule_plan(of, START)
    assert audit(of, plan).passed
    assert blocks(plan) == expected


def test_the_audit_tells_an_end_value_that_is_not_there():
    of = mining(1.0, 20.0, 20.0, groups=RUNNING)
    plan = planned(of)
    money = tuple(line for line in plan.money if line.term != "asic_end_value")
    said = audit(of, plan.model_copy(update={"money": money})).broken
    assert any("pecos step 1" in words and "asic_end_value is 7.0000 USD, the plan says 0.0000 USD" in words for words in said)
