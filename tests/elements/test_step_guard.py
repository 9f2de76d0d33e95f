"""The fleet's step guard: shares by connection, kept as ramps by every site, and the sum of all of them by the audit."""

from datetime import timedelta

import pytest
from by_hand import START, group, problem, site

from models.contract import FixedPrice
from models.fleet import StepGuard
from models.order import LimitOrder
from models.problem import Problem
from optimizer.audit import audit
from optimizer.fallback import rule_plan
from optimizer.held import without
from optimizer.solve import optimise

FIVE = 300


def fleet_of(guard_w, *, prices=(20.0, 20.0), step_s=(FIVE,) * 6, running=False, limits=None, orders=(), ramp=None):
    """Two sites of 4 x 50 kW behind 300 and 100 kW, on cheap power: both want to run at once."""
    places = [
        site(
            name=name, connection_limit_w=limit_w, ramp_w_per_min=ramp, asic_groups=(group(name=f"row-{name}", blocks=4),),
            contract=FixedPrice(price_usd_per_mwh=price),
        )
        for (name, limit_w), price in zip((("pecos", 300_000), ("odessa", 100_000)), prices, strict=True)
    ]  # fmt: skip
    of = problem(*places, step_s=step_s, limits=limits, orders=orders)
    raw = of.model_dump()
    raw["fleet"]["step_guard"] = None if guard_w is None else {"most_change_w": guard_w, "source": ""}
    if running:
        since = START - timedelta(days=1)
        for name, blocks in (("pecos", 4), ("odessa", 2)):
            raw["state"]["sites"][name] |= {"draw_w": 50_000 * blocks}
            raw["state"]["sites"][name]["groups"][f"row-{name}"] |= {
                "mode_blocks": {"turbo": blocks}, "started": ({"count": blocks, "since": since},),
            }  # fmt: skip
    return Problem.model_validate(raw)


def changes_w(of, plan):
    names = [s.name for s in of.fleet.sites]
    before = [of.state.sites[name].draw_w for name in names]
    found = []
    for t in range(of.grid.steps):
        now = [plan.sites[name].draw_w[t] for name in names]
        found.append(sum(now) - sum(before))
        before = now
    return found


def planned(of):
    result = optimise(of, gap=0.0, budget_s=30.0, now=START)
    assert result.ending == "planned", result.why
    return result.plan


def test_shares_are_dealt_by_connection_and_a_slower_ramp_stays():
    fleet = fleet_of(400_000).fleet
    assert [fleet.ramp_w_per_min(s) for s in fleet.sites] == [60_000, 20_000]
    assert [fleet.ramp_w_per_min(s) for s in fleet_of(400_000, ramp=30_000).fleet.sites] == [30_000, 20_000]
    free = fleet_of(None).fleet
    assert [free.ramp_w_per_min(s) for s in free.sites] == [None, None]


def test_a_fleet_starts_no_faster_than_its_guard():
    """200 kW in five minutes: three blocks in turbo at pecos, one at odessa; without a guard all start at once."""
    assert changes_w(of := fleet_of(None), planned(of))[0] == 290_000
    of = fleet_of(200_000)
    for plan in (planned(of), rule_plan(of, START)):
        steps = changes_w(of, plan)
        assert all(abs(change) <= 200_000 for change in steps)
        assert sum(steps) == 290_000
        assert audit(of, plan).passed


def test_a_longer_step_may_change_by_more():
    of = fleet_of(200_000, step_s=(2 * FIVE,) * 3)
    assert changes_w(of, planned(of))[0] == 290_000


def test_orders_are_exempt():
    order = LimitOrder(name="call", site="pecos", start=START + timedelta(seconds=2 * FIVE), limit_w=0)
    of = fleet_of(100_000, running=True, orders=(order,))
    plan = planned(of)
    assert plan.sites["pecos"].draw_w[2] == 0
    assert min(changes_w(of, plan)) < -100_000
    assert plan.recoveries == ()


def test_a_limit_that_falls_faster_is_met_before_it_does_and_from_the_start_by_recovery():
    falling = {"pecos": (300_000,) * 4 + (60_000,) * 2}
    plan = planned(of := fleet_of(160_000, running=True, limits=falling))
    assert all(abs(change) <= 160_000 for change in changes_w(of, plan))
    assert plan.sites["pecos"].draw_w[4] <= 60_000
    at_once = fleet_of(160_000, running=True, limits={"pecos": (60_000,) * 6})
    for plan in (planned(at_once), rule_plan(at_once, START)):
        assert [(r.site, r.step, r.rule) for r in plan.recoveries] == [("pecos", 0, "ramp")]
        assert audit(at_once, plan).passed


def test_the_audit_adds_all_sites_up():
    """Sound for a looser guard, the plan breaks a tighter one, as every site alone and as the whole fleet."""
    loose, tight = fleet_of(400_000), fleet_of(200_000)
    plan = planned(loose).model_copy(update={"problem_digest": tight.digest})
    broken = audit(tight, plan).broken
    assert any("the draws of 2 sites change by 0.29 MW in all, the step guard allows 0.2 MW" in words for words in broken)
    assert any(words.startswith("pecos step 0") and "the ramp lets it change by 0.15 MW" in words for words in broken)


def test_sites_that_are_held_leave_the_others_their_shares():
    of = fleet_of(400_000)
    rest = without(of, ["pecos"], rule_plan(of, START)).fleet
    assert rest.ramp_w_per_min(rest.sites[0]) == 20_000


def test_controllers_are_told_the_share_as_their_ramp():
    told = fleet_of(400_000).fleet.guarded_site_by_name
    assert (told["pecos"].ramp_w_per_min, told["odessa"].ramp_w_per_min) == (60_000, 20_000)


def test_a_guard_that_leaves_a_site_nothing_is_refused():
    with pytest.raises(ValueError, match="step_guard: expected at least 1 W per minute for each site"):
        fleet_of(19)
    with pytest.raises(ValueError, match="greater than 0"):
        StepGuard(most_change_w=0)
