"""Known changes of the difficulty reach the plan at once, lower what hashing earns after them, and none counts twice."""

from dataclasses import replace
from datetime import timedelta

import pytest
from inputs.test_entered import newest, quick
from inputs.test_gathering import FLEET, HOUR, gathered, notes
from seams.fleets import NOON, post_series
from seams.simulation import simulation

from models.market import DifficultyStep
from models.time_grid import hourly
from scenarios.feed import initial_state
from service.inputs import gather
from service.optimiser import real_engine
from service.store.entry_records import DifficultyEntry
from service.store.series_records import SeriesPoint

MIN = timedelta(minutes=1)


def enter(store, at, share, name="d1"):
    said = DifficultyStep(at=at, change_share=share)
    return store.difficulty.add(
        DifficultyEntry(entry_id=name, created_at=NOON, created_by="test", entered_as="feed", difficulty=said)
    )


def declare(store, difficulty):
    (declared,) = store.series.declarations("hashprice")
    store.series.declare(declared.model_copy(update={"difficulty": difficulty}), at=NOON)


def shares(found) -> list[float]:
    return [step.change_share for step in found.difficulty_steps]


def test_a_change_to_come_is_in_the_problem_and_what_is_paid_for_hash_follows(store):
    declare(store, "constant")
    enter(store, NOON + 3 * HOUR, 0.15)
    enter(store, NOON + 6 * HOUR, 0.5, "beyond")
    enter(store, NOON + 2 * HOUR, 0.5, "withdrawn")
    store.difficulty.withdraw("withdrawn", by="test", at=NOON)
    enter(store, NOON - HOUR, 0.5, "past")
    found = gathered(store)
    assert shares(found) == [0.15]
    problem = found.problem(initial_state(FLEET, NOON))
    assert problem.hashprice_usd_per_ph_day == (46.0,) * 6
    assert problem.paid_hashprice_usd_per_ph_day == pytest.approx((46.0,) * 3 + (40.0,) * 3)


def test_a_change_counts_until_the_series_has_told_something_newer_and_not_after(store):
    declare(store, "constant")
    at = NOON + HOUR
    enter(store, at, 0.15)
    late = NOON + 3 * HOUR
    found = gather(store, FLEET, hourly(late, 4), now=late)
    assert shares(found) == [0.15], "all that the series says is of before the change"
    assert found.problem(initial_state(FLEET, late)).paid_hashprice_usd_per_ph_day == pytest.approx((40.0,) * 4)
    news = [SeriesPoint(start=late + n * HOUR, value=40.5, known_at=at + MIN) for n in range(4)]
    store.series.add("hashprice-all", news)
    found = gather(store, FLEET, hourly(late, 4), now=late)
    assert shares(found) == []
    assert found.hashprice_usd_per_ph_day == (40.5,) * 4


@pytest.mark.parametrize(
    ("declared", "words"),
    [("expected", "counts expected changes of the difficulty itself"), (None, "does not say whether its values count changes")],
)
def test_what_a_series_may_count_itself_is_not_applied_and_that_is_said(store, declared, words):
    enter(store, NOON + 3 * HOUR, 0.15)
    declare(store, declared)
    found = gathered(store)
    assert shares(found) == []
    (note,) = notes(found, "difficulty_ignored")
    assert note.startswith("difficulty_ignored: +15 % at 2026-11-22T15:00:00Z is not applied: series hashprice-all")
    assert words in note


def test_a_change_is_planned_with_at_once_and_again_without_it_when_it_is_withdrawn(tmp_path):
    engine = replace(real_engine(), optimise=quick)
    run = simulation(tmp_path, FLEET, NOON + 5 * MIN, ambient=lambda _n, _t: 15.0, engine=engine, horizon_h=6, budget_s=2.0)
    post_series(run.store, NOON, 80)
    declare(run.store, "constant")
    desk, planner, now = run.service.desk, run.service.planner, run.clock()
    assert desk.turn()
    for change, told in ((lambda: enter(run.store, NOON + 2 * HOUR, 1.0), [1.0]), (lambda: drop(run.store, now), [])):
        desk.entry_changed(change())
        assert not planner.is_current(now)
        desk.turn(desk._owed.pop())
        published, _, problem = newest(run)
        assert published.occasion.startswith("difficulty-d1")
        assert shares(problem) == told
        assert planner.is_current(now)
        assert planner.is_current(NOON + 2 * HOUR), "what has come is told by the series from then on"
    run.close()


def drop(store, now):
    return store.difficulty.withdraw("d1", by="test", at=now)
