"""Whatever the solver does, sites get an audited plan in time, labelled with its rung, and nothing is left running."""

import sqlite3
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from seams.fleets import NOON, post_series, small_fleet
from seams.simulation import simulation
from sqlalchemy import insert

from models.order import LimitOrder
from models.plan import Plan
from models.problem import Problem
from optimizer.child import ROOT
from service.engine import Answer, Ask, Engine
from service.ladder import NoRungError
from service.optimiser import real_engine
from service.scheduler import Errand
from service.store.schema import fleet_version
from service.store.series_records import SeriesPoint

MIN = timedelta(minutes=1)
BUDGET_S = 2.0
CALM = lambda _name, _at: 15.0  # noqa: E731  # an ambient that does not change
PREAMBLE = f"""
import os, sys, time
sys.path.insert(0, {str(ROOT)!r})
import numpy as np
from optimizer import highs_wire as wire
header, arrays = wire.read(sys.stdin.buffer)
def final(x): wire.write(sys.stdout.buffer, {{"kind": "final", "status": "Optimal", "objective": 9e9, "bound": 9e9}}, {{"x": x}})
"""
HOSTILE = {
    "sleeps for ever": "time.sleep(1000)",
    "eats memory": "held = []\nwhile True: held.append(bytearray(16 << 20))",
    "answers that nothing runs": "final(np.zeros(arrays['cost'].size))",
    "answers that everything runs": "final(np.where(np.isfinite(arrays['col_upper']), arrays['col_upper'], 1e6))",
    "answers halves": "final(np.full(arrays['cost'].size, 0.5))",
    "dies": "os.abort()",
}


def planned_with(folder, engine: Engine, sites: int = 2):
    made = simulation(
        folder, small_fleet(sites), NOON + 5 * MIN, ambient=CALM, engine=engine, horizon_h=6, budget_s=BUDGET_S, memory_mib=512
    )
    post_series(made.store, NOON, 80)
    return made


def alarms(made) -> list[str]:
    return [e.detail["words"] for e in made.store.audit_log.page(limit=500).items if e.action == "alarm"]


@pytest.mark.parametrize("fault", HOSTILE)
def test_a_solver_child_that_misbehaves_costs_the_optimum_and_nothing_else(tmp_path, fault):
    made = planned_with(tmp_path, real_engine((sys.executable, "-c", PREAMBLE + HOSTILE[fault])))
    began = time.monotonic()
    assert made.service.desk.turn()
    assert time.monotonic() - began < BUDGET_S + 8.0  # two rule plans and audits included, on a machine with other things to do
    start, hourly = reversed(made.store.publications.page().items)
    assert (start.occasion, start.basis) == ("start", "rule")
    assert (hourly.occasion, hourly.basis) == ("hourly", "rule"), "nothing optimised was ever published, so the rule plan is next"
    document = made.store.publications.setpoint("pecos")
    assert document.basis == "rule"
    assert document.audit_passed
    assert any("no optimised plan" in reason for reason in document.reasons)
    assert any("no optimised plan" in words for words in alarms(made))
    assert not made.service.desk.freshness(made.clock()).fresh
    made.close()


def test_the_last_good_plan_comes_before_the_rule_plan(tmp_path):
    made = planned_with(tmp_path, real_engine())
    assert made.service.desk.turn()
    assert made.store.publications.newest().basis == "optimised"
    made.clock.at = NOON + 40 * MIN
    made.service.planner.engine = real_engine((sys.executable, "-c", "import sys; sys.exit(1)"))
    assert made.service.desk.turn()
    newest = made.store.publications.newest()
    assert (newest.slot, newest.basis) == (NOON + 60 * MIN, "last_good")
    freshness = made.service.desk.freshness(made.clock())
    assert (freshness.fresh, freshness.next_run_at) == (False, NOON + 100 * MIN)
    assert made.service.desk.freshness(NOON + 39 * MIN).next_run_at == NOON + 40 * MIN
    made.close()


def lied(problem: Problem, plan: Plan) -> Plan:
    """Add a block to every step, and say that nothing else changed."""
    site = plan.sites["pecos"]
    modes = site.groups["row"].mode_blocks
    more = {name: tuple(n + 9 for n in counts) for name, counts in modes.items()}
    wrong = site.model_copy(update={"groups": {"row": site.groups["row"].model_copy(update={"mode_blocks": more})}})
    return plan.model_copy(update={"sites": plan.sites | {"pecos": wrong}})


LIES = {
    "more blocks than there are": lied,
    "a limit of its own": lambda _, p: p.model_copy(
        update={"sites": p.sites | {"pecos": p.sites["pecos"].model_copy(update={"limit_w": (9_000_000_000,) * p.grid.steps})}}
    ),
    "another problem": lambda _, p: p.model_copy(update={"problem_digest": "sha256:" + "0" * 64}),
    "a profit that is not there": lambda _, p: p.model_copy(
        update={"proof": p.proof.model_copy(update={"objective_usd": p.proof.objective_usd * 1.1 + 10})}
    ),
    "one site less": lambda _, p: p.model_copy(update={"sites": {n: s for n, s in p.sites.items() if n != "pecos"}}),
}


@pytest.mark.parametrize("lie", LIES)
def test_an_optimiser_that_lies_is_not_believed_even_with_an_audit_of_its_own(tmp_path, lie):
    real = real_engine()

    def lying(problem, ask, **how) -> Answer:
        plan = real.optimise(problem, ask, **how).plan
        return Answer("planned", LIES[lie](problem, plan))  # the honest audit report is still in it

    made = planned_with(tmp_path, replace(real, optimise=lying))
    assert made.service.desk.turn()
    assert made.store.publications.newest().basis == "rule"
    assert any("no optimised plan" in words for words in alarms(made))
    made.close()


def test_every_rung_that_falls_is_said_and_the_safe_plan_is_the_last(tmp_path):
    def broken(*_args, **_more):
        raise RuntimeError("out of order")

    engine = replace(real_engine(), optimise=broken, rule_plan=broken, carry_over=broken)
    made = planned_with(tmp_path, engine)
    assert made.service.desk.turn()
    newest = made.store.publications.newest()
    assert newest.basis == "safe"
    reasons = made.store.publications.setpoint("pecos").reasons
    assert [r.split(":")[0] for r in reasons[:3]] == ["no optimised plan", "no last_good plan", "no rule plan"]
    made.close()


def test_nothing_unaudited_is_published_where_no_rung_holds(tmp_path):
    real = real_engine()

    def refusing(problem, plan):
        return real.audit(problem, plan).model_copy(update={"passed": False, "broken": ("everything",)})

    made = planned_with(tmp_path, replace(real, audit=refusing))
    assert not made.service.desk.turn()
    assert made.store.publications.newest() is None
    assert made.store.plans.newest() is None
    assert any(NoRungError.__name__ in words for words in alarms(made))
    made.close()


# --- orders -----------------------------------------------------------------------------------------------------------


def order(made, name: str, limit_w: int, site: str = "pecos"):
    event = LimitOrder(name=name, site=site, start=made.clock(), end=made.clock() + timedelta(hours=3), limit_w=limit_w)
    return made.store.events.add(name, "curtailment", event, by="utility", at=made.clock())


def waiting_for(check, timeout_s: float = 15.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def occasions(made) -> list[str]:
    return [p.occasion for p in reversed(made.store.publications.page(limit=100).items)]


def test_an_order_is_in_the_documents_before_anything_is_optimised(tmp_path):
    made = planned_with(tmp_path, real_engine())
    made.service.desk.turn()
    made.clock.at = NOON + timedelta(minutes=20, seconds=13)
    made.service.desk.event_changed(order(made, "storm", 0))
    made.service.desk.turn(made.service.desk._owed.pop())
    assert occasions(made) == ["start", "hourly", "event-storm", "event-storm-optimised"]
    rule, optimised = (made.store.publications.setpoint("pecos", v) for v in (3, 4))
    first, seconds = rule.steps[0], timedelta(seconds=13)
    assert (first.start, first.duration_s) == (NOON + 20 * MIN + seconds, 40 * 60 - 13), "the order binds from its own second on"
    assert (first.limit_w, first.draw_w) == (0, 0)
    assert all(step.draw_w == 0 for step in optimised.steps if step.start < NOON + 200 * MIN)
    other = made.store.publications.setpoint("abilene", 4)
    assert (other.version, other.steps[-1].limit_w) == (4, 3_400_000)
    made.close()


def test_a_plan_is_not_thrown_away_because_the_store_is_held_when_it_is_ready(tmp_path, monkeypatch):
    """Another process holds it for longer than a write waits: the plan took longer to make."""
    monkeypatch.setattr("service.store.database.BUSY_TIMEOUT_MS", 300)
    real, solved = real_engine(), []
    other = sqlite3.connect(tmp_path / "store.db", isolation_level=None, check_same_thread=False)

    def optimise(*args, **how) -> Answer:
        answer = real.optimise(*args, **how)
        solved.append(answer)
        other.execute("BEGIN EXCLUSIVE")
        threading.Timer(0.5, other.execute, ("ROLLBACK",)).start()
        return answer

    made = planned_with(tmp_path, replace(real, optimise=optimise))
    assert made.service.desk.turn()
    newest = made.store.publications.newest()
    assert (newest.occasion, newest.basis, newest.plan_id) == ("hourly", "optimised", solved[0].plan.plan_id)
    assert len(solved) == 1
    other.close()
    made.close()


def test_an_order_interrupts_what_is_being_optimised_without_knowing_of_it(tmp_path):
    real = real_engine()
    entered = threading.Event()

    def slow(problem, ask, *, cancelled, **how) -> Answer:
        if problem.orders:
            return real.optimise(problem, ask, cancelled=cancelled, **how)
        entered.set()
        waiting_for(cancelled)
        return Answer("cancelled", why="cancelled: on request")

    made = planned_with(tmp_path, replace(real, optimise=slow))
    made.service.desk.start()
    assert entered.wait(10)
    made.service.desk.event_changed(order(made, "storm", 500_000))
    waiting_for(lambda: "hourly" in occasions(made))
    assert occasions(made) == ["start", "event-storm", "hourly"], "the interrupted plan was never published"
    newest = made.store.publications.newest()
    assert made.store.plans.problem(made.store.plans.get(newest.plan_id).problem_digest).orders != ()
    made.close()


def test_a_withdrawn_order_is_planned_away_and_one_that_was_cut_off_is_caught_up(tmp_path):
    made = planned_with(tmp_path, real_engine())
    made.service.desk.turn()
    order(made, "storm", 0)  # stored, and then the process died before it planned
    assert made.service.desk.turn()
    assert occasions(made)[-2:] == ["catch-up-2", "catch-up-2-optimised"]
    assert made.store.publications.setpoint("pecos").steps[-1].draw_w == 0
    made.store.events.withdraw("storm", by="utility", at=made.clock())
    assert made.service.desk.turn()
    assert made.store.publications.setpoint("pecos").steps[-1].limit_w > 0
    assert not made.service.desk.turn()
    made.close()


def test_a_request_waits_for_an_order_and_is_done_after_it(tmp_path):
    made = planned_with(tmp_path, real_engine())
    desk = made.service.desk
    desk.turn()
    asked = Errand("request-a", rule_first=False, ask=Ask(0.05, 2.0, 512))
    desk.owe(asked)
    desk.event_changed(order(made, "storm", 0))
    assert [e.occasion for e in desk._owed] == ["event-storm", "request-a"]
    desk.start()
    assert asked.done.result(20).occasion == "request-a"
    assert occasions(made)[-3:] == ["event-storm", "event-storm-optimised", "request-a"]
    made.close()


# --- leaders ----------------------------------------------------------------------------------------------------------


def test_only_one_process_leads_and_a_deposed_one_cannot_publish(tmp_path):
    made = planned_with(tmp_path, real_engine())
    other = simulation(tmp_path, small_fleet(2), made.clock.at, ambient=CALM, leads=False, horizon_h=6)
    assert not other.service.leadership.lead()
    old = made.service.leadership.epoch
    made.service.leadership.resign()
    assert other.service.leadership.lead()
    assert other.service.leadership.epoch == old + 1
    assert not made.service.desk.turn(), "what the deposed one makes is refused at the store"
    assert made.store.publications.newest() is None
    assert other.service.desk.turn()
    assert made.store.publications.newest().epoch == old + 1
    made.close()
    other.close()


# --- input ------------------------------------------------------------------------------------------------------------


def test_a_site_without_input_is_held_on_its_rule_plan_and_keeps_nobody_from_the_optimum(tmp_path):
    fleet = small_fleet(3)
    lost = fleet.sites[1].model_copy(update={"contract": fleet.sites[1].contract.model_copy(update={"index": "silent"})})
    fleet = fleet.model_copy(update={"sites": (fleet.sites[0], lost, fleet.sites[2])})
    made = simulation(tmp_path, fleet, NOON + 5 * MIN, ambient=CALM, horizon_h=6, budget_s=10.0)
    post_series(made.store, NOON, 80)
    made.service.desk.turn()
    newest = made.store.publications.newest()
    assert newest.basis == "optimised", alarms(made)
    documents = made.store.publications.setpoints(newest.version)
    assert any(r.startswith("input_missing: no usable series of kind price for silent") for r in documents["abilene"].reasons)
    assert not any(r.startswith("input_missing") for r in documents["pecos"].reasons)
    plan = made.store.plans.get(newest.plan_id)
    rule = [made.store.plans.get(h.plan_id) for h in made.store.plans.page().items if h.basis == "rule"]
    assert plan.sites["abilene"].model_dump() in [r.sites["abilene"].model_dump() for r in rule]
    assert plan.proof.gap_percent is not None
    made.close()


def blocks(plan: Plan, site: str) -> dict[object, dict[str, int]]:
    """Blocks of the one group of a site in each mode, by the start of the step."""
    modes = plan.sites[site].groups["row"].mode_blocks
    return {start: {mode: counts[t] for mode, counts in modes.items()} for t, start in enumerate(plan.grid.starts)}


BRIEF = [20.0 + 60 * (n % 3) for n in range(80)]


def with_a_price_soon_overdue(folder, engine: Engine, horizon_h: int, others: Sequence[str] = ()):
    """Two sites, the second of which buys at an index that is told once, at noon, and is late after an hour.

    others: indices at which sites more buy.
    """
    fleet = small_fleet(2 + len(others))
    first, *rest = fleet.sites
    buys = [site.contract.model_copy(update={"index": index}) for site, index in zip(rest, ("brief", *others), strict=True)]
    rest = [site.model_copy(update={"contract": contract}) for site, contract in zip(rest, buys, strict=True)]
    fleet = fleet.model_copy(update={"sites": (first, *rest)})
    made = simulation(folder, fleet, NOON + 5 * MIN, ambient=CALM, engine=engine, horizon_h=horizon_h, budget_s=10.0)
    post_series(made.store, NOON, 80)
    hub = made.store.series.declaration("price-hub")
    made.store.series.declare(hub.model_copy(update={"name": "price-brief", "subject": "brief", "late_after_s": 3600}), at=NOON)
    told = [SeriesPoint(start=NOON + n * 60 * MIN, value=v, known_at=NOON) for n, v in enumerate(BRIEF)]
    made.store.series.add("price-brief", told)
    assert made.service.desk.turn()
    return made


def test_a_site_whose_price_is_overdue_keeps_to_its_last_good_plan_labelled_and_the_others_are_optimised(tmp_path):
    made = with_a_price_soon_overdue(tmp_path, real_engine(), horizon_h=6)
    first = made.store.plans.get(made.store.publications.newest().plan_id)
    assert made.service.desk.freshness(made.clock()).fresh
    for hours in (1, 2):
        made.clock.at = NOON + hours * 60 * MIN + 40 * MIN
        assert made.service.desk.turn()
        newest = made.store.publications.newest()
        documents = made.store.publications.setpoints(newest.version)
        assert (newest.basis, documents["pecos"].basis, documents["abilene"].basis) == ("optimised", "optimised", "last_good")
        assert (
            documents["abilene"].reasons[0].startswith("input_missing: stale: series price-brief: newest is of 2026-11-22T12:00")
        )
        plan = made.store.plans.get(newest.plan_id)
        before, after = blocks(first, "abilene"), blocks(plan, "abilene")
        both = before.keys() & after.keys()
        assert len(both) >= 6 - hours - 1
        assert {at: after[at] for at in both} == {at: before[at] for at in both}
        problem = made.store.plans.problem(plan.problem_digest)
        assert problem.prices_usd_per_mwh["brief"] == tuple(BRIEF[hours + 1 : hours + 7]), "what was told of its own hours"
        found = made.service.desk.freshness(made.clock())
        assert not found.fresh
        assert any(words.startswith("stale: abilene is held on its last good plan: stale: ") for words in found.reasons)
        assert any(words.startswith("abilene is held on its last good plan: stale: ") for words in alarms(made))
    made.close()


def next_hour(made, hours: int) -> tuple[str, dict[str, str]]:
    """Plan for the hour that begins so many hours after one o'clock; return the basis of the plan and of each document."""
    made.clock.at = NOON + hours * 60 * MIN + 40 * MIN
    assert made.service.desk.turn()
    newest = made.store.publications.newest()
    return newest.basis, {site: d.basis for site, d in made.store.publications.setpoints(newest.version).items()}


def test_a_site_stands_on_its_last_good_plan_no_longer_than_that_reaches(tmp_path):
    """What is left of it is gone on with by rule, hour by hour; when nothing of it is left, the rule is what holds the site."""
    made = with_a_price_soon_overdue(tmp_path, real_engine(), horizon_h=4)
    rungs = [next_hour(made, hours) for hours in (1, 2, 3, 4, 5)]
    assert [basis for basis, _ in rungs] == ["optimised"] * 5
    assert [documents["pecos"] for _, documents in rungs] == ["optimised"] * 5
    assert [documents["abilene"] for _, documents in rungs] == ["last_good", "last_good", "rule", "rule", "rule"]
    assert any(words.startswith("abilene is held on its rule plan: stale: ") for words in alarms(made))
    made.close()


def test_each_held_site_keeps_to_its_own_last_good_plan_whatever_the_others_have(tmp_path):
    """A site that never had a price is held on the rule, and costs the one whose price is overdue since nothing."""
    made = with_a_price_soon_overdue(tmp_path, real_engine(), horizon_h=6, others=["silent"])
    first = made.store.plans.get(made.store.publications.newest().plan_id)
    for hours in (1, 2):
        assert next_hour(made, hours) == ("optimised", {"pecos": "optimised", "abilene": "last_good", "massena": "rule"})
        plan = made.store.plans.get(made.store.publications.newest().plan_id)
        assert {"held on their last good plan: abilene", "held on their rule plan: massena"} <= set(plan.reasons)
        before, after = blocks(first, "abilene"), blocks(plan, "abilene")
        both = before.keys() & after.keys()
        assert len(both) >= 6 - hours - 1
        assert {at: after[at] for at in both} == {at: before[at] for at in both}
    assert any(words.startswith("massena is held on its rule plan: no usable series of kind price") for words in alarms(made))
    assert any(words.startswith("abilene is held on its last good plan: stale: ") for words in alarms(made))
    made.close()


def test_a_last_good_plan_that_cannot_be_made_costs_the_site_that_rung_and_nobody_the_plan(tmp_path):
    def breaks(*_) -> Plan:
        raise RuntimeError("what is left of it cannot be worked out")

    made = with_a_price_soon_overdue(tmp_path, replace(real_engine(), carry_each=breaks), horizon_h=4)
    assert next_hour(made, 1) == ("optimised", {"pecos": "optimised", "abilene": "rule"})
    made.close()


def test_a_hashprice_that_is_overdue_is_said_where_health_is_asked(tmp_path):
    made = simulation(tmp_path, small_fleet(2), NOON + 5 * MIN, ambient=CALM, horizon_h=6, budget_s=10.0)
    post_series(made.store, NOON - timedelta(days=40), 1100)
    assert made.service.desk.turn()
    found = made.service.desk.freshness(made.clock())
    assert not found.fresh
    assert any(words.startswith("hashprice_missing: stale: series hashprice-all: newest is of") for words in found.reasons)
    made.close()


def test_a_day_ahead_feed_is_enough_to_be_optimised_and_the_forecast_is_said(tmp_path):
    made = simulation(tmp_path, small_fleet(2), NOON + 5 * MIN, ambient=CALM, horizon_h=6, budget_s=10.0)
    post_series(made.store, NOON, 4)  # the plan reaches two hours further
    assert made.service.desk.turn()
    newest = made.store.publications.newest()
    assert newest.basis == "optimised", alarms(made)
    document = made.store.publications.setpoint("pecos")
    words = "price_forecast: series price-hub is known until 2026-11-22T16:00:00Z; 2 step(s) after it take the last value known"
    assert any(reason.startswith(words) for reason in document.reasons), document.reasons
    assert "forecast" in document.labels
    assert not any(reason.startswith("input_missing") for reason in document.reasons)
    assert made.service.desk.freshness(made.clock()).fresh
    assert alarms(made) == []
    made.close()


def test_a_workload_whose_demand_nobody_told_is_named_where_health_is_asked(tmp_path):
    fleet = small_fleet(2)
    silent = fleet.workloads[0].model_copy(update={"name": "search"})
    fleet = fleet.model_copy(update={"workloads": (*fleet.workloads, silent)})
    made = simulation(tmp_path, fleet, NOON + 5 * MIN, ambient=CALM, horizon_h=6, budget_s=10.0)
    post_series(made.store, NOON, 80)
    assert made.service.desk.turn()
    words = "demand_missing: workload search: no usable series of kind demand for search; 0 stands in"
    freshness = made.service.desk.freshness(made.clock())
    assert (freshness.basis, freshness.fresh, freshness.reasons) == ("optimised", False, (words,))
    assert words in alarms(made)
    assert words in made.store.publications.setpoint("pecos").reasons
    made.close()


def test_a_fleet_that_another_release_stored_is_not_planned_over_and_over(tmp_path):
    made = planned_with(tmp_path, real_engine())
    fleet = made.store.fleets.newest()
    with made.store._database.write() as connection:  # its digest is of the fields that there were then
        row = {"version": fleet.version + 1, "digest": "sha256:of-fewer-fields", "created_at": NOON, "created_by": "old release"}
        connection.execute(insert(fleet_version).values(**row, body=fleet.fleet.model_dump_json().encode()))
    while made.service.desk.turn():
        assert made.store.publications.newest().version < 4
    assert [p.occasion for p in made.store.publications.page().items] == ["hourly", "start"]
    made.close()


def test_what_a_catch_up_does_not_mend_is_not_tried_for_ever(tmp_path, monkeypatch):
    made = planned_with(tmp_path, real_engine())
    made.service.desk.turn()
    monkeypatch.setattr(made.service.planner, "is_current", lambda now: False)
    assert made.service.desk.turn()
    caught_up = made.store.publications.newest().version
    assert not made.service.desk.turn()
    assert made.store.publications.newest().version == caught_up
    made.close()


def test_a_replan_that_was_cut_off_after_its_rule_plan_is_finished_later(tmp_path):
    made = planned_with(tmp_path, real_engine())
    made.service.desk.turn()
    order(made, "storm", 0)
    made.service.planner.publish_rule("event-storm")  # and then the process died
    assert made.store.publications.newest().basis == "rule"
    assert made.service.desk.turn()
    assert occasions(made)[-2:] == ["event-storm", "event-storm-optimised"]
    assert made.store.publications.newest().basis == "optimised"
    assert not made.service.desk.turn()
    made.close()
