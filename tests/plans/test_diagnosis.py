"""Diagnosis: what is missing, where and how much; with just that there is a plan, and with any less there is none."""

import random
from collections.abc import Iterator

import pytest
from contradictions import KINDS, Planted, Said, plant
from solver_child import SolverChild, solver_child
from solver_processes import SLEEPS
from worlds import START, world

from models.problem import Problem
from optimizer.audit import audit
from optimizer.compiled import Compiled
from optimizer.diagnose import WITHOUT_PRESOLVE, Conflict, Finding, diagnose
from optimizer.elastic import FIXED, RULES, stiff
from optimizer.outcome import Outcome
from optimizer.recovery import recover
from optimizer.solve import Result, optimise
from optimizer.worker import GIB

EACH = 8
"""Contradictions of each kind: 200 in all."""
KW = 1e-6


@pytest.fixture(scope="module")
def child() -> Iterator[SolverChild]:
    with solver_child() as known:
        yield known


def outcome(child: SolverChild, compiled: Compiled, gap: float = 0.0, options=None, **_) -> Outcome:
    """What `optimizer.worker.solve` returns, from a child that is not started anew each time."""
    answer = child.solve(compiled, gap=gap, options=options)
    infeasible = answer.x is None and answer.status in ("Infeasible", "UnboundedOrInfeasible")
    status = "optimal" if answer.x is not None else "infeasible" if infeasible else "failed"
    return Outcome(status, answer.status, answer.x, None, None, 0.0, 0.0, 0, ())


def diagnosed(child: SolverChild, problem: Problem) -> Finding:
    sites = [site.name for site in problem.fleet.sites]
    return diagnose(stiff(problem, sites=sites), deadline_s=60.0, solve=lambda *a, **k: outcome(child, *a, **k))


def there_is_a_plan(child: SolverChild, problem: Problem, gives) -> bool:
    """Whether a stiff model has a solution when so much is given; "no" counts only if the search without presolve says so too."""
    model = stiff(problem, sites=[site.name for site in problem.fleet.sites]).given_way(gives)
    found = [outcome(child, model, options=options) for options in ({}, WITHOUT_PRESOLVE)]
    assert all(answer.status != "failed" for answer in found), found
    return any(answer.x is not None for answer in found)


def as_said(c: Conflict) -> tuple:
    return (c.thing, c.step, c.steps, c.rule, round(c.present, 6), round(c.needed, 6), c.unit)


def wanted(s: Said) -> tuple:
    return (s.thing, s.step, s.steps, s.rule, round(float(s.present), 6), round(float(s.needed), 6), s.unit)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_planted_contradiction_is_found_and_what_is_offered_is_enough_and_not_too_much(kind, child):
    for number in range(EACH):
        case = plant(kind, number)
        finding = diagnosed(child, case.problem)
        assert finding.verdict == "conflict", number
        offered, blocking = finding.diagnosis.offered, finding.diagnosis.blocking
        assert sorted(map(as_said, offered)) == sorted(map(wanted, case.offered)), (number, finding.diagnosis.words)
        assert {c.rule for c in blocking} == case.against, (number, finding.diagnosis.words)
        assert_worded(case.problem, (*offered, *blocking))
        assert_enough_and_not_too_much(child, case.problem, finding)
        assert_mended(child, case, offered[0])


def assert_worded(problem: Problem, conflicts) -> None:
    for c in conflicts:
        assert c.site == problem.fleet.sites[0].name
        assert c.short_by == pytest.approx(abs(c.needed - c.present), abs=2 * KW)
        assert c.short_by > 0
        assert c.words.startswith(f"{c.thing} step {c.step}")
        assert 0 <= c.step < c.step + c.steps <= problem.grid.steps


def assert_enough_and_not_too_much(child: SolverChild, problem: Problem, finding: Finding) -> None:
    """All of it makes a plan possible; one place less does not, nor one place given a little less."""
    gives = list(finding.gives)
    assert not there_is_a_plan(child, problem, [])
    assert there_is_a_plan(child, problem, gives)
    for n, (place, by) in enumerate(gives):
        rest = gives[:n] + gives[n + 1 :]
        assert not there_is_a_plan(child, problem, rest), place
        less = by - (0.001 if RULES[place.key].unit == "kW" else 1)
        assert not there_is_a_plan(child, problem, [*rest, (place, max(0.0, less))]), place


def assert_mended(child: SolverChild, case: Planted, offered: Conflict) -> None:
    """The input itself, changed by the shortage, contradicts itself no more; changed by one less, it still does."""
    if case.mended is not None:
        assert diagnosed(child, case.mended(offered.short_by)).verdict == "feasible"
        assert diagnosed(child, case.mended(offered.short_by - 1)).verdict == "conflict"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_strict_plan_ends_with_the_diagnosis_and_the_mended_input_is_planned(kind):
    case = plant(kind, 0)
    strict = planned(case.problem, strict=True)
    assert strict.ending == "infeasible"
    assert strict.diagnosis is not None
    assert sorted(map(as_said, strict.diagnosis.offered)) == sorted(map(wanted, case.offered))
    assert all(c.words in strict.why for c in strict.diagnosis.offered)
    if case.mended is not None:
        assert_planned(case.mended(strict.diagnosis.offered[0].short_by), planned, strict=True)


@pytest.mark.parametrize("kind", KINDS[::4], ids=lambda kind: kind.__name__)
def test_without_strict_what_contradicts_gives_way_and_is_named(kind):
    case = plant(kind, 0)
    result = planned(case.problem)
    assert result.ending == "planned", result.why
    assert result.plan is not None
    assert result.plan.recoveries


def planned(problem: Problem, **more) -> Result:
    return optimise(problem, gap=1e-3, budget_s=30, now=START, **more)


def assert_planned(problem: Problem, by, **more) -> None:
    result = by(problem, **more)
    assert result.ending == "planned", result.why
    assert result.plan is not None
    assert audit(problem, result.plan).broken == ()


def test_random_states_and_pins_are_diagnosed_to_the_least_that_must_give_way(child):
    """Worlds with everything in them: whatever recovery lets go is either no contradiction at all, or found, and the least."""
    found = 0
    for seed in range(50):
        problem = world(random.Random(seed), sites=1, steps=1 + seed % 4)
        finding = diagnosed(child, problem)
        if not recover(problem).records:
            assert finding.verdict == "feasible", seed
            continue
        if finding.verdict == "conflict":
            assert_enough_and_not_too_much(child, problem, finding)
            assert_worded(problem, (*finding.diagnosis.offered, *finding.diagnosis.blocking))
            assert not {c.rule for c in finding.diagnosis.offered} & {RULES[key].name for key in FIXED}
            found += 1
    assert found >= 15


def test_a_grid_limit_is_shown_as_blocking_and_never_offered():
    """Nothing that a planner may change helps where the grid takes a draw that sleeping machines cannot leave."""
    problem = world(random.Random(1), sites=1, steps=3).model_copy(update={"pins": (), "outages": ()})
    model = stiff(problem, sites=[problem.fleet.sites[0].name])
    place = next(p for p in model.places if p.key == "limit" and p.step == 1)
    narrow = model.compiled.row_upper.copy()
    narrow[place.row] = -5.0  # even with all released, no draw is below nothing
    model.compiled.row_upper[:] = narrow
    finding = diagnose(model, deadline_s=30.0, memory_bytes=GIB)
    assert finding.verdict == "conflict"
    assert all(c.rule != "limit" for c in finding.diagnosis.offered)
    blocking = [c for c in finding.diagnosis.blocking if c.rule == "limit"]
    assert [(c.step, c.present, c.unit) for c in blocking] == [(1, -5.0, "kW")]


def test_a_feeder_is_told_by_all_that_it_carries():
    """What sleeps below a feeder counts in what is said of it, as it does in its limit."""
    case = plant(next(kind for kind in KINDS if kind.__name__ == "pin_against_feeder"), 1)
    finding = diagnose(stiff(case.problem, sites=["pecos"]), deadline_s=30.0, memory_bytes=GIB)
    feeder = case.problem.fleet.sites[0].feeders[0]
    assert {(c.rule, c.thing, c.present) for c in finding.diagnosis.blocking} == {
        ("feeder_limit", "pecos/container", feeder.limit_w / 1000)
    }


def test_without_time_it_claims_nothing():
    model = stiff(world(random.Random(5), sites=3, steps=6))
    assert diagnose(model, deadline_s=0.1, memory_bytes=GIB, program=SLEEPS).verdict == "unknown"


def test_a_strict_plan_without_the_time_to_look_is_no_plan():
    case = plant(KINDS[0], 0)
    result = optimise(case.problem, budget_s=0.3, now=START, strict=True, program=SLEEPS)
    assert result.ending == "no_plan"
    assert result.why.startswith("deadline")


def test_a_strict_plan_that_is_cancelled_while_it_looks_is_neither_late_nor_failed():
    result = optimise(plant(KINDS[0], 0).problem, budget_s=20.0, now=START, strict=True, cancelled=lambda: True)
    assert (result.ending, result.plan) == ("cancelled", None)
    assert result.why.startswith("cancelled")
