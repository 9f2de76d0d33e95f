"""A new plan stays next to the standing one at no more than the stated cost, and gives way to it where it gains too little."""

from datetime import timedelta
from random import Random

import pytest
from by_hand import START, cohorts, group, problem, site
from worlds import world

from models.order import LimitOrder
from models.state import GroupState
from optimizer.audit import audit
from optimizer.changes import changed_cells
from optimizer.solve import optimise
from optimizer.stability import Steadiness
from scenarios.advance import advance
from scenarios.compare import compare

EVEN = 43.2
"""USD/PH/day at which a block in eco (30 kW, 1 PH/s) earns its 1.80 USD/h of energy, and turbo does not."""
RUNNING = {"row": GroupState(mode_blocks={"eco": 2}, started=cohorts((2, 90_000)))}
STEPS = (3600,) * 4


def asked(hashprice, **changes):
    given = {"step_s": STEPS, "groups": RUNNING, "draw_w": 60_000}
    return problem(site(asic_groups=(group(),)), **given | changes, hashprice=hashprice)


def planned(of, standing=None, **wish):
    result = optimise(of, gap=1e-6, budget_s=30, now=START, standing=standing, steadiness=Steadiness(**wish))
    assert result.ending == "planned", result.why
    assert audit(of, result.plan).passed
    return result.plan


def blocks(plan):
    return [sum(row) for row in zip(*plan.sites["pecos"].groups["row"].mode_blocks.values(), strict=True)]


@pytest.fixture(scope="module")
def running():
    plan = planned(asked(EVEN + 1))
    assert blocks(plan) == [2, 2, 2, 2]
    return plan


@pytest.fixture(scope="module")
def resting():
    plan = planned(asked(EVEN - 1))
    assert blocks(plan) == [0, 0, 0, 0]
    return plan


def test_what_is_worth_the_same_stays_as_it_was(running, resting):
    for standing in (running, resting):
        plan = planned(asked(EVEN), standing)
        assert blocks(plan) == blocks(standing)
        assert plan.stability.changed == 0
        assert plan.stability.given_up_usd == pytest.approx(0, abs=1e-6)


def test_what_loses_a_little_stays_only_if_so_much_may_be_given_up(running):
    of = asked(EVEN - 0.06)  # 2 blocks lose 0.0025 USD/h each
    assert blocks(planned(of, running)) == [0, 0, 0, 0]
    plan = planned(of, running, give_up_usd=0.03)
    assert blocks(plan) == [2, 2, 2, 2]
    assert plan.stability.given_up_usd == pytest.approx(8 * 0.0025)
    assert plan.proof.gap_usd == pytest.approx(8 * 0.0025, abs=1e-6)
    partly = planned(of, running, give_up_usd=0.011)
    assert sum(blocks(partly)) == 4, "a cent buys four block-hours"
    assert partly.stability.given_up_usd <= 0.011


def test_a_plan_that_gains_too_little_gives_way_and_says_so(running):
    of = asked(EVEN - 0.06)
    plan = planned(of, running, gain_usd=0.021)
    assert plan.stability.kept
    assert plan.stability.gain_usd == pytest.approx(8 * 0.0025)
    assert plan.basis == "optimised"
    assert plan.reasons[0] == f"kept: plan {running.plan_id} of 2026-01-05T12:00Z goes on"
    assert blocks(plan) == [2, 2, 2, 2]
    assert compare(running, plan).stability == plan.stability
    assert plan.stability.words == f"kept plan {running.plan_id}: a new one would gain 0.02 USD, of 0.02 USD asked for"
    other = planned(of, running, gain_usd=0.019)
    assert not other.stability.kept
    assert blocks(other) == [0, 0, 0, 0]
    assert f"replaced plan {running.plan_id} (a new one would gain 0.02 USD): 4 of 4 decisions changed" in other.stability.words
    assert compare(plan, other).stability is None, "that plan did not stand when this one was made"
    assert (other.stability.changed_before, other.stability.changed, other.stability.decisions) == (4, 4, 4)


def test_a_standing_plan_that_breaks_an_order_does_not_hold_whatever_a_new_one_gains(running):
    order = LimitOrder(name="call", site="pecos", start=START + timedelta(hours=2), end=None, limit_w=40_000)
    plan = planned(asked(EVEN + 1, orders=(order,)), running, gain_usd=1e6, give_up_usd=1e6)
    assert plan.stability.gain_usd is None
    assert not plan.stability.kept
    assert blocks(plan) == [2, 2, 1, 1]


def test_steps_that_only_one_plan_has_are_not_compared(running):
    of = asked(EVEN)
    later = asked(EVEN, start=START + timedelta(hours=1)).model_copy(update={"state": advance(of, running)})
    plan = planned(later, running)
    assert plan.stability.decisions == 3
    assert blocks(plan)[:3] == [2, 2, 2]


@pytest.mark.parametrize("seed", range(12))
def test_on_random_worlds_no_more_is_given_up_than_stated_and_no_more_changes_than_before(seed):
    rng = Random(seed)
    of = world(rng, sites=1 + seed % 3, steps=2 + seed % 5)
    first = optimise(of, gap=1e-3, budget_s=30, now=START)
    if first.plan is None:
        assert first.ending == "infeasible"
        return
    prices = {name: tuple(p + rng.choice((-6.0, 0.0, 2.0)) for p in series) for name, series in of.prices_usd_per_mwh.items()}
    of = of.model_copy(update={"prices_usd_per_mwh": prices})
    give_up = rng.choice((0.0, 5.0, 200.0))
    best = optimise(of, gap=1e-3, budget_s=30, now=START).plan
    plan = optimise(of, gap=1e-3, budget_s=30, now=START, standing=first.plan, steadiness=Steadiness(give_up, 0.0)).plan
    assert audit(of, plan).passed
    record = plan.stability
    assert record.changed <= record.changed_before
    assert record.changed == changed_cells(first.plan, plan)[0]
    assert best.profit_usd - plan.profit_usd == pytest.approx(record.given_up_usd, abs=0.02)
    assert record.given_up_usd <= give_up + 0.02
    assert plan.proof.bound_usd >= plan.proof.objective_usd
    assert plan.proof.gap_usd == pytest.approx(plan.proof.bound_usd - plan.proof.objective_usd)
