"""When things are due, and what a set-point document says of its own time."""

from datetime import timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seams.fleets import NOON, small_fleet
from worlds import world

from models.setpoint import SetPoint
from optimizer.audit import audit
from optimizer.fallback import rule_plan
from service.documents import digest_of, documents, failsafe, next_due
from service.slots import budget_s, ceil_minute, first_step, grid_from, missed_slots, target_slot

MIN = timedelta(minutes=1)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("minute", "slot", "begins"),
    [
        (0, NOON, NOON + 4 * MIN),
        (39, NOON, NOON + 43 * MIN),
        (40, NOON + HOUR, NOON + HOUR),
        (56, NOON + HOUR, NOON + HOUR),
        (58, NOON + HOUR, NOON + 62 * MIN),
    ],
)
def test_the_hour_is_planned_from_minute_40_of_the_hour_before(minute, slot, begins):
    now = NOON + minute * MIN
    assert target_slot(now) == slot
    assert first_step(now, slot, budget_s(now, slot, 180.0)) == begins


def test_an_hourly_plan_is_ready_ten_minutes_before_its_slot():
    assert budget_s(NOON + 40 * MIN, NOON + HOUR, 3600.0) == 10 * 60 - 15
    assert budget_s(NOON + 40 * MIN, NOON + HOUR, 180.0) == 180.0
    assert budget_s(NOON + 49 * MIN + timedelta(seconds=50), NOON + HOUR, 180.0) == 15.0
    assert budget_s(NOON + 49 * MIN + timedelta(seconds=50), NOON + HOUR, 2.0) == 2.0


@given(st.integers(0, 7199), st.integers(2, 50))
def test_a_grid_begins_where_it_is_told_and_then_keeps_to_whole_hours(seconds, horizon_h):
    begins = NOON + timedelta(seconds=seconds)
    grid = grid_from(begins, horizon_h)
    assert grid.start == begins
    assert grid.steps == horizon_h
    assert min(grid.step_s) >= 60
    assert all(start.minute == start.second == 0 for start in grid.starts[1:])


def test_missed_slots_are_those_between():
    assert missed_slots(None, NOON) == []
    assert missed_slots(NOON, NOON + HOUR) == []
    assert missed_slots(NOON, NOON + 5 * HOUR) == [NOON + n * HOUR for n in (1, 2, 3, 4)]


def test_a_document_is_due_again_when_the_hour_that_it_serves_ends():
    assert next_due(NOON + 20 * MIN) == NOON + HOUR
    assert next_due(NOON + 56 * MIN) == NOON + 2 * HOUR
    assert next_due(NOON + HOUR) == NOON + 2 * HOUR
    assert ceil_minute(NOON) == NOON


def made(issued, plan, problem, standing=None) -> dict[str, SetPoint]:
    return documents(
        plan,
        problem.fleet.site_by_name,
        version=7,
        epoch=3,
        issued=issued,
        input_digest=problem.digest,
        audit=audit(problem, plan),
        standing=standing or {},
        reasons={},
    )


@settings(max_examples=25)
@given(st.integers(0, 300), st.integers(-3, 90))
def test_documents_of_random_plans_hang_together(seed, minutes):
    problem = world(Random(seed), sites=2, steps=6)
    plan = rule_plan(problem, problem.grid.start)
    issued = min(problem.grid.start + minutes * MIN, problem.grid.end - MIN)
    for site, document in made(issued, plan, problem).items():
        assert document.digest == digest_of(document)
        assert (document.site, document.version, document.epoch) == (site, 7, 3)
        ends = [s.start + timedelta(seconds=s.duration_s) for s in document.steps]
        assert [s.start for s in document.steps[1:]] == ends[:-1]
        assert document.steps[0].start <= max(document.valid_from, issued)
        assert document.valid_from < document.stale_after <= document.valid_until <= ends[-1]
        assert document.failsafe.after_s == (document.valid_until - document.issued).total_seconds()
        assert all(s.draw_w <= s.limit_w or s.limit_w == 0 for s in document.steps)


def test_a_document_says_what_reserve_is_sold_in_each_step():
    told = 0
    for seed in range(40):
        problem = world(Random(seed), sites=2, steps=6)
        plan = rule_plan(problem, problem.grid.start)
        awards = {(a.site, a.reserve, a.start): a.kw for a in problem.awards}
        for site, document in made(problem.grid.start, plan, problem).items():
            place = problem.fleet.site_by_name[site]
            for step in document.steps:
                last = step.start + timedelta(seconds=step.duration_s - 1)
                sold = {}
                for reserve in place.reserves:
                    blocks = {reserve.block_at(place.zone, at)[0] for at in (step.start, last)}
                    if kw := max(awards.get((site, reserve.name, begins), 0) for begins in blocks):
                        sold[reserve.name] = kw
                assert step.reserve_kw == sold
                told += len(sold)
            assert SetPoint.model_validate_json(document.model_dump_json()) == document
    assert told > 20
    assert "reserve_kw" in SetPoint.model_json_schema()["$defs"]["SetPointStep"]["properties"]


def test_what_stands_until_the_plan_begins_is_led_in_word_for_word():
    problem = world(Random(3), sites=2, steps=6)
    plan = rule_plan(problem, problem.grid.start)
    standing = made(problem.grid.start, plan, problem)
    later = problem.grid.starts[1]
    second = problem.model_copy(update={"grid": problem.grid.model_copy(update={"start": later}), "state": problem.state})
    moved = plan.model_copy(update={"grid": second.grid})
    for site, document in made(problem.grid.start + MIN, moved, second, standing).items():
        assert document.steps[0] == standing[site].steps[0]
        assert document.steps[1].start == later
        assert document.valid_from == problem.grid.start


def test_a_document_with_more_reasons_than_it_carries_says_how_many_more():
    problem = world(Random(3), sites=1, steps=2)
    plan = rule_plan(problem, problem.grid.start)
    few, many = (plan.model_copy(update={"reasons": tuple(f"reason {n}" for n in range(n))}) for n in (12, 60))
    (document,) = made(problem.grid.start, few, problem).values()
    recoveries = len(document.reasons) - 12
    assert document.reasons[recoveries:] == few.reasons
    (document,) = made(problem.grid.start, many, problem).values()
    assert len(document.reasons) == 20
    assert document.reasons[-1] == f"and {60 + recoveries - 19} more reasons, which the plan names"


def test_a_failsafe_fits_under_the_lowest_limit_and_into_the_dark():
    site = small_fleet(1).sites[0]
    full = failsafe(site, site.connection_limit_w, HOUR)
    assert full.mode_blocks == {"row": {"eco": 4}}
    assert full.nodes_on == {"h100": 6}
    tight = failsafe(site, 80_000, HOUR)
    assert tight.mode_blocks == {"row": {}}
    assert 0 < tight.nodes_on["h100"] < 6
    dark = failsafe(site, 0, HOUR)
    assert (dark.mode_blocks, dark.nodes_on) == ({"row": {}}, {"h100": 0})
