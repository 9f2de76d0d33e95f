"""What waits when the horizon ends is worth something: on figures worked out by hand."""

import pytest
from by_hand import pool, problem, site

from models.contract import IndexPrice
from models.workload import BatchWorkload
from optimizer.audit import audit
from optimizer.fallback import rule_plan
from optimizer.formulation import build
from optimizer.solve import optimise

M = 1_000_000
TAGS = BatchWorkload(
    name="tags", price_usd_per_mwork=1.0, routing_usd_per_mwork={"texas": 0.0}, model="llama", deadline_s=48 * 3600,
    late_usd_per_mwork_h=0.5,
)  # fmt: skip


def nightly(prices, share, work=3_600_000, nodes=1, **changes):
    """A node of 10 kW serves 3.6 Mtok an hour at these prices; all of the work comes in the first hour."""
    tags = TAGS.model_copy(update={"end_value_share": share, **changes})
    here = site(gpu_pools=(pool(nodes=nodes),), contract=IndexPrice(index="hub"))
    steps = len(prices)
    return problem(
        here, workloads=[tags], demand={"tags": (work, *(0,) * (steps - 1))}, step_s=(3600,) * steps, prices={"hub": prices}
    )


def planned(of):
    result = optimise(of, gap=0.0, budget_s=20, now=of.grid.start)
    assert result.ending == "planned", result.why
    return result.plan


def waits(plan):
    return plan.workloads["tags"].backlog_work[-1]


def told(plan, term):
    return [list(line.usd) for line in plan.money if line.term == term]


def test_without_a_value_whatever_earns_anything_is_served_before_the_end():
    """Both hours cost 300 USD/MWh: 3.00 USD of power for 3.60 of work, though a later hour may cost a tenth."""
    plan = planned(nightly((300.0, 300.0), 0.0))
    assert waits(plan) == 0
    assert told(plan, "backlog_end_value") == []


@pytest.mark.parametrize(("share", "left", "profit_usd"), [(1.0, 3_600_000, 3.4 + 2.2), (0.5, 0, 3.4 + 1.6), (0.0, 0, 3.4 + 1.6)])
def test_work_that_can_wait_is_left_where_its_power_is_dearer_than_usual(share, left, profit_usd):
    """Two hours of work, each for 3.60 USD: one is done in the hour at 20 USD/MWh; the other costs 2.00 now, 1.40 at the mean."""
    plan = planned(nightly((200.0, 200.0, 20.0), share, work=7_200_000))
    assert waits(plan) == left
    assert plan.profit_usd == pytest.approx(profit_usd)


def test_what_is_left_is_worth_the_share_of_price_less_mean_cost():
    """Power costs 330 USD/MWh in an hour of two, in the other it is cut off: 1.65 USD an hour on average."""
    prices = (330.0, 0.0)
    of = nightly(prices, 0.5)
    limited = type(of).model_validate({**dict(of), "limit_w": {"pecos": (1_000_000, 0)}})
    plan = planned(limited)
    value = 0.5 * (1.0 - 1.65 / 3.6)
    assert waits(plan) == 3_600_000
    assert told(plan, "backlog_end_value") == [[0.0, pytest.approx(3.6 * value)]]
    assert plan.profit_usd == pytest.approx(3.6 * value)


def test_what_is_late_is_worth_nothing_more():
    """Work that is due at once is served at 300 USD/MWh: 3.60 USD for 3.00; it would be worth 0.60 only if it could wait."""
    plan = planned(nightly((300.0, 300.0), 1.0, deadline_s=0))
    assert waits(plan) == 0
    none = planned(nightly((450.0, 450.0), 1.0, deadline_s=0, late_usd_per_mwork_h=0.0))
    assert waits(none) == 3_600_000
    assert told(none, "backlog_end_value") == [[0.0, 0.0]]


def test_the_pool_with_the_least_mean_cost_decides_and_none_means_nothing():
    tags = TAGS.model_copy(update={"end_value_share": 1.0, "routing_usd_per_mwork": {"texas": 0.25, "nordic": 0.0}})
    cheap = site(gpu_pools=(pool(),))
    dear = site(name="kiruna", region="nordic", gpu_pools=(pool(name="b", node_fixed_w=28_000),))
    of = problem(cheap, dear, workloads=[tags], demand={"tags": (M, 0)})
    compiled = build(of)
    (value,) = compiled.cost[compiled.columns["backlog"]][:, -1] + 0
    assert value == pytest.approx(1.0 - min(0.25 + 0.6 / 3.6, 1.8 / 3.6))
    nobody = problem(
        site(), workloads=[tags.model_copy(update={"routing_usd_per_mwork": {"texas": 0.0}})], demand={"tags": (M, 0)}
    )
    compiled = build(nobody)
    assert compiled.cost[compiled.columns["backlog"]][:, -1].tolist() == [0.0]


def test_the_audit_tells_a_backlog_value_that_is_not_there():
    of = nightly((20.0, 20.0), 0.9)
    plan = rule_plan(of, of.grid.start)
    assert audit(of, plan).passed
    line = next(line for line in plan.money if line.term == "backlog_end_value")
    spoilt = line.model_copy(update={"usd": (0.0, 1.0)})
    money = tuple(spoilt if each is line else each for each in plan.money)
    said = audit(of, plan.model_copy(update={"money": money})).broken
    assert any("tags step 1" in words and "backlog_end_value is" in words for words in said)
