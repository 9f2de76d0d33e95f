"""What a programme awarded reaches the plan at once and outranks what was offered; until it is told, all offers are awarded."""

from dataclasses import replace
from datetime import timedelta

import pytest
from inputs.test_entered import newest, quick
from inputs.test_gathering import FLEET, HOUR, gathered, notes
from seams.fleets import NOON, post_series
from seams.simulation import simulation

from models.order import LimitOrder
from models.plan import ReservePlan
from models.reserve import Award, Reserve, ToldAward
from optimizer.audit import audit
from scenarios.feed import initial_state
from service.optimiser import real_engine
from service.reserve_carry import with_told
from service.store.entry_records import AwardEntry

MIN = timedelta(minutes=1)
ECRS = Reserve(
    name="ecrs", block_hours=2, gate_s=3_600, notice_s=1_800, duration_s=3_600, least_kw=100, capacity_usd_per_mw_h=0.0,
    claw_back_usd_per_mw_h=20.0,
)  # fmt: skip
SELLING = FLEET.model_copy(update={"sites": (FLEET.sites[0].model_copy(update={"reserves": (ECRS,)}), *FLEET.sites[1:])})
TWO = NOON + 2 * HOUR
"""A block from 14 to 16 UTC, 8 to 10 in Chicago; its gate closes at 13."""


def told(store, kw, name="a1", start=TWO, site="pecos", reserve="ecrs", at=NOON):
    said = ToldAward(name=f"award-{name}", site=site, reserve=reserve, start=start, end=start + 2 * HOUR, kw=kw)
    return store.awards.add(AwardEntry(entry_id=name, created_at=at, created_by="test", entered_as="feed", award=said))


def test_what_is_told_counts_instead_of_what_is_assumed(store):
    told(store, 300)
    told(store, 0, "a2", start=NOON)
    told(store, 200, "a3", start=NOON + 4 * HOUR)
    assumed = tuple(Award(site="pecos", reserve="ecrs", start=start, kw=700) for start in (NOON, TWO))
    found = gathered(store, fleet=SELLING)
    problem = found.problem(initial_state(SELLING, NOON), assumed)
    assert {(a.start, a.kw) for a in problem.awards} == {(TWO, 300), (NOON + 4 * HOUR, 200)}
    assert with_told(assumed, ()) == assumed


def test_what_the_fleet_no_longer_sells_is_left_out_and_said(store):
    told(store, 300, site="atlantis")
    told(store, 300, "a2", reserve="rrs")
    told(store, 300, "a3", start=TWO + HOUR)
    found = gathered(store, fleet=SELLING)
    assert found.awards == ()
    assert notes(found, "award_ignored") == [
        "award_ignored: an award is of atlantis/ecrs, which the fleet does not sell",
        "award_ignored: an award is of pecos/rrs, which the fleet does not sell",
        "award_ignored: an award is of pecos/ecrs from 2026-11-22T15:00:00Z to 2026-11-22T17:00:00Z, "
        "which is no block of it any more",
    ]


@pytest.fixture
def made(tmp_path):
    engine = replace(real_engine(), optimise=quick, rule_plan=offering)
    run = simulation(tmp_path, SELLING, NOON + 5 * MIN, ambient=lambda _name, _at: 15.0, engine=engine, horizon_h=6, budget_s=2.0)
    post_series(run.store, NOON, 80)
    assert run.service.desk.turn()
    yield run
    run.close()


def offering(problem, now):
    """Offer 500 kW of the block while its gate is open, which the rule plan does not; it earns nothing, so its money stays."""
    plan = real_engine().rule_plan(problem, now)
    if problem.grid.start >= TWO - HOUR:
        return plan
    offer = ReservePlan(reserve="ecrs", start=TWO, end=TWO + 2 * HOUR, kw=500)
    pecos = plan.sites["pecos"]
    return plan.model_copy(update={"sites": {**plan.sites, "pecos": pecos.model_copy(update={"reserves": (offer,)})}})


def sold(problem) -> dict:
    return {award.start: award.kw for award in problem.awards}


def test_offers_are_awarded_in_full_until_the_market_says_otherwise(made):
    desk, planner = made.service.desk, made.service.planner
    assert newest(made)[1].sites["pecos"].reserves[0].kw == 500
    made.clock.at = NOON + 65 * MIN
    desk.turn()
    assert sold(newest(made)[2]) == {TWO: 500}
    for number, kw in enumerate((200, 0, 350)):
        now = made.clock.at = made.clock.at + MIN
        assert planner.is_current(now)
        if number:
            made.store.awards.withdraw(f"a{number - 1}", by="test", at=now)
        desk.entry_changed(told(made.store, kw, f"a{number}", at=now))
        assert not planner.is_current(now)
        desk.turn(desk._owed.pop())
        published, plan, problem = newest(made)
        assert published.occasion.startswith(f"award-a{number}")
        assert sold(problem) == ({TWO: kw} if kw else {})
        assert [(made.kw, made.is_award) for made in plan.sites["pecos"].reserves] == ([(kw, True)] if kw else [])
        assert audit(problem, plan).passed
        assert planner.is_current(now)
    made.clock.at = TWO + MIN
    desk.turn()
    assert sold(newest(made)[2]) == {TWO: 350}
    assert planner.is_current(TWO + 2 * HOUR), "the block is over"


def test_a_call_of_what_was_not_sold_is_an_alarm_and_stands_in_the_plan(made):
    desk, now = made.service.desk, made.clock()
    order = LimitOrder(name="event-c1", site="pecos", start=now, end=now + HOUR, limit_w=1_000_000, reserve="ecrs")
    desk.event_changed(made.store.events.add("c1", "demand_response", order, by="test", at=now))
    desk.turn(desk._owed.pop())
    words = "call_unsold: pecos is known to have sold nothing of ecrs in the block from 2026-11-22T12:00:00Z to"
    (said,) = (reason for reason in newest(made)[1].reasons if reason.startswith("call_unsold"))
    assert said.startswith(words)
    alarms = [line.detail["words"] for line in made.store.audit_log.page(limit=50).items if line.subject == "call_unsold"]
    assert set(alarms) == {said}, "once for each publication"
    desk.entry_changed(told(made.store, 300, start=NOON, at=now))
    desk.turn(desk._owed.pop())
    assert not [reason for reason in newest(made)[1].reasons if reason.startswith("call_unsold")]
