"""Work that is measured between the making of a plan and its first step is counted by the next plan, once."""

from datetime import datetime, timedelta

import pytest
from seams.fleets import NOON, post_series, small_fleet
from seams.simulation import simulation

from models.service_level import PeriodWork
from models.state import Lot, State
from service.late_work import settled
from service.store.records import StoredTelemetry, TelemetryPoint, WorkDone

MIN = timedelta(minutes=1)
HOUR = timedelta(hours=1)


class Planned:
    """A service of one site that plans at minute 40 of the hours from noon on."""

    def __init__(self, folder) -> None:
        self.made = simulation(folder, small_fleet(1), NOON + 5 * MIN, ambient=lambda *_: 15.0, horizon_h=6, budget_s=10.0)
        post_series(self.made.store, NOON, 80)

    def plan(self, at: datetime):
        """Plan at an instant; return the plan and the problem that it answers."""
        self.made.clock.at = at
        assert self.made.service.desk.turn()
        plan = self.made.store.plans.get(self.made.store.publications.newest().plan_id)
        return plan, self.made.store.plans.problem(plan.problem_digest)

    def told(self, since: datetime, at: datetime, received: datetime, **work: int) -> None:
        """Report work that the site measured."""
        point = TelemetryPoint(at=at, draw_w=1_000_000, done=WorkDone(since=since, work=work))
        self.made.store.telemetry.add("pecos", [StoredTelemetry(point=point, received_at=received)])


def three_plans(folder, *points, **work: int):
    """Plan at 12:05, 12:40 and 13:40, with work reported at 13:05 of what was done since 12:40; the first plan and the last."""
    planned = Planned(folder)
    first, _ = planned.plan(NOON + 5 * MIN)
    planned.plan(NOON + 40 * MIN)
    if work:
        planned.told(NOON + 40 * MIN, NOON + 60 * MIN, NOON + 65 * MIN, **work)
    last, problem = planned.plan(NOON + 100 * MIN)
    planned.made.close()
    return first, last, problem.state


@pytest.mark.parametrize("chat", [0, 12_345_678])
def test_what_is_measured_before_a_plan_begins_is_counted_by_the_next_instead_of_what_was_planned(tmp_path, chat):
    first, _, commanded = three_plans(tmp_path / "commanded")
    _, last, measured = three_plans(tmp_path / "measured", chat=chat, nightly=0)
    rates = first.sites["pecos"].pools["h100"].work_per_h
    (before,), (after,) = commanded.service["chat"].values(), measured.service["chat"].values()
    assert first.grid.starts[0] <= NOON + 40 * MIN < first.grid.starts[1]
    planned = rates["chat"][0] // 3
    assert planned > chat, "else less would have been served than is told"
    assert before.measured_work == 0
    assert after.measured_work == chat
    assert before.served_work - after.served_work == pytest.approx(planned - chat, abs=2)
    assert before.demanded_work == after.demanded_work
    undone = sum(lot.work for lot in measured.backlog.get("nightly", ()))
    undone -= sum(lot.work for lot in commanded.backlog.get("nightly", ()))
    assert undone == pytest.approx(rates["nightly"][0] // 3, abs=2)
    served = f"{after.served_work / after.demanded_work:.2%} counts as served"
    words = f"service_level: of what was asked of chat in 2026-11-22, {served}"
    (said,) = [reason for reason in last.reasons if reason.startswith(words)]
    assert said.endswith(f"; {chat / after.demanded_work:.2%} was measured, plans tell the rest")


def test_what_was_known_when_a_plan_was_made_is_not_counted_twice(tmp_path):
    planned = Planned(tmp_path)
    planned.plan(NOON + 5 * MIN)
    planned.told(NOON + 10 * MIN, NOON + 30 * MIN, NOON + 31 * MIN, chat=1_000_000)
    _, problem = planned.plan(NOON + 40 * MIN)
    (work,) = problem.state.service["chat"].values()
    assert work.measured_work == 1_000_000
    _, problem = planned.plan(NOON + 100 * MIN)
    (again,) = problem.state.service["chat"].values()
    assert again.measured_work == 1_000_000
    planned.made.close()


def test_what_comes_in_later_still_of_the_time_before_a_plan_was_made_is_settled_too(tmp_path):
    planned = Planned(tmp_path)
    planned.plan(NOON + 5 * MIN)
    planned.plan(NOON + 40 * MIN)
    planned.told(NOON + 10 * MIN, NOON + 30 * MIN, NOON + 65 * MIN, chat=1_000_000)
    _, problem = planned.plan(NOON + 100 * MIN)
    (work,) = problem.state.service["chat"].values()
    assert work.measured_work == 1_000_000
    planned.made.close()


def state(served: int, waits: int) -> State:
    work = PeriodWork(demanded_work=100, served_work=served, measured_work=served // 2)
    lots = (Lot(work=waits, due=NOON + HOUR),) if waits else ()
    return State(at=NOON, sites={}, service={"chat": {"2026-11-22": work}}, backlog={"nightly": lots} if lots else {})


def test_nothing_is_settled_below_nothing_or_above_what_was_asked():
    (low,) = settled(state(10, 5), state(80, 20), state(20, 0)).service["chat"].values()
    assert low == PeriodWork(demanded_work=100, served_work=0, measured_work=0)
    (high,) = settled(state(90, 5), state(20, 0), state(80, 0)).service["chat"].values()
    assert high == PeriodWork(demanded_work=100, served_work=100, measured_work=75)
    assert settled(state(10, 5), state(80, 20), state(20, 0)).backlog == {}
    assert settled(state(10, 0), state(80, 0), state(20, 7)).backlog == {"nightly": (Lot(work=7, due=NOON + HOUR),)}
