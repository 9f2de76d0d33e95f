"""SCIP, from a file of the row-by-row reading, agrees with what HiGHS made of the arrays; and a lie is noticed."""

import random
from datetime import UTC, datetime

import pytest
from worlds import world

from optimizer.second_opinion import second_opinion
from optimizer.solve import optimise

NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)


def planned(seed, sites=2, steps=5):
    problem = world(random.Random(seed), sites=sites, steps=steps)
    result = optimise(problem, gap=1e-6, budget_s=30, now=NOW)
    return problem, result.plan


def test_a_second_solver_agrees():
    judged = 0
    for seed in range(4):
        problem, plan = planned(seed)
        if plan is not None:
            opinion = second_opinion(problem, plan, gap=1e-6, deadline_s=30)
            assert opinion.verdict == "agrees", opinion.words
            assert opinion.objective_usd == pytest.approx(plan.proof.objective_usd, rel=2e-6, abs=0.02)
            judged += 1
    assert judged >= 3


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_second_solver_agrees_on_fifty_small_fleets():
    judged = 0
    for seed in range(100, 170):
        problem, plan = planned(seed, sites=3, steps=6)
        if plan is not None and judged < 50:
            opinion = second_opinion(problem, plan, gap=1e-6, deadline_s=60)
            assert opinion.verdict == "agrees", f"seed {seed}: {opinion.words}"
            judged += 1
    assert judged == 50


def test_a_plan_that_claims_too_much_is_noticed():
    problem, plan = planned(2)
    lie = plan.proof.model_copy(update={"objective_usd": plan.proof.objective_usd + 100.0})
    opinion = second_opinion(problem, plan.model_copy(update={"proof": lie}), gap=1e-6, deadline_s=30)
    assert opinion.verdict == "disagrees"
    assert "more than the second solver's bound" in opinion.words


def test_a_bound_that_is_too_low_is_noticed():
    problem, plan = planned(2)
    low = plan.proof.objective_usd - 50.0
    lie = plan.proof.model_copy(update={"objective_usd": low, "bound_usd": low})
    opinion = second_opinion(problem, plan.model_copy(update={"proof": lie}), gap=1e-6, deadline_s=30)
    assert opinion.verdict == "disagrees"
    assert "more than the plan's bound" in opinion.words


def test_no_answer_in_time_is_said():
    problem, plan = planned(0)
    opinion = second_opinion(problem, plan, deadline_s=0.05)
    assert opinion.verdict == "silent"
    assert "no answer: deadline" in opinion.words


def test_a_plan_of_another_problem_is_refused():
    _, plan = planned(0)
    other = world(random.Random(1), sites=2, steps=5)
    with pytest.raises(ValueError, match="another problem"):
        second_opinion(other, plan, deadline_s=1)
