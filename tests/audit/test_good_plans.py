"""Good plans pass: no rule of the audit is stricter than what machines, meter and contracts ask."""

import time
from datetime import timedelta
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from solver_child import solver_child
from worlds import START, world, worlds

from models.availability import Outage
from models.plan import Plan
from models.problem import Problem
from optimizer.audit import RULES_CHECKED, audit
from optimizer.fallback import carry_each, carry_over, rule_plan, safe_plan
from optimizer.recovery import recover
from optimizer.solve import optimise
from scenarios.feed import reference_problem


def accepted(problem: Problem, plan: Plan) -> None:
    report = audit(problem, plan)
    assert report.broken == ()
    assert report.passed
    assert report.rules_checked == RULES_CHECKED


@pytest.mark.parametrize("part", range(4))
def test_two_hundred_plans_by_rule_are_accepted(part):
    for seed in range(50 * part, 50 * part + 50):
        problem = world(Random(seed), sites=1 + seed % 3, steps=1 + seed % 7)
        accepted(problem, rule_plan(problem, START))


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(worlds())
def test_plans_by_rule_and_by_safe_profile_are_accepted_from_any_state(problem):
    accepted(problem, rule_plan(problem, START))
    accepted(problem, safe_plan(problem, START))


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(worlds(max_sites=2, max_steps=5), st.sampled_from((0, 600, 3_600)))
def test_what_is_left_of_a_plan_is_accepted_or_given_up(problem, later_s):
    plan = rule_plan(problem, START)
    today = problem.model_copy(update={"grid": problem.grid.model_copy(update={"start": START + timedelta(seconds=later_s)})})
    today = Problem.model_validate(today.model_dump())
    left = carry_over(today, plan, START)
    if left is not None:
        assert left.basis == "last_good"
        accepted(today, left)


def test_a_plan_that_is_carried_over_at_once_is_itself():
    kept = 0
    for seed in range(40):
        problem = world(Random(seed), sites=2, steps=4)
        plan = rule_plan(problem, START)
        left = carry_over(problem, plan, START)
        if left is not None:
            kept += 1
            assert {s: p.groups for s, p in left.sites.items()} == {s: p.groups for s, p in plan.sites.items()}
            assert left.profit_usd == pytest.approx(plan.profit_usd, abs=0.02, rel=1e-6)
    assert kept >= 30


def test_a_site_that_cannot_go_on_costs_no_other_its_plan():
    """All machines of the first site are taken out of service; the second goes on with its own plan."""
    alone = 0
    for seed in range(40):
        problem = world(Random(seed), sites=2, steps=4)
        plan = rule_plan(problem, START)
        stopped, other = problem.fleet.sites
        if carry_over(problem, plan, START) is None or not any(map(sum, running(plan, stopped.name))):
            continue
        outages = [
            Outage(name=f"out-{m.name}", site=stopped.name, machine=m.name, count=number, start=START)
            for m, number in [*((g, g.blocks) for g in stopped.asic_groups), *((p, p.nodes) for p in stopped.gpu_pools)]
        ]
        today = Problem.model_validate(problem.model_copy(update={"outages": tuple(outages), "pins": ()}).model_dump())
        assert carry_over(today, plan, START) is None
        carried = carry_each(today, dict.fromkeys(plan.sites, plan), START)
        if carried is not None:
            left, kept = carried
            assert kept == {other.name}
            assert left.sites[other.name].groups == plan.sites[other.name].groups
            accepted(today, left)
            alone += 1
    assert alone >= 10


def running(plan: Plan, site: str) -> list[tuple[int, ...]]:
    """Counts of blocks in each mode, and of nodes on, of all machines of a site."""
    of = plan.sites[site]
    return [*(counts for g in of.groups.values() for counts in g.mode_blocks.values()), *(p.nodes_on for p in of.pools.values())]


def test_plans_of_the_optimiser_are_accepted():
    for seed in range(6):
        problem = world(Random(seed), sites=2, steps=4)
        result = optimise(problem, gap=1e-6, budget_s=30, now=START)
        assert result.ending == "planned", result.why
        accepted(problem, result.plan)


def test_the_reference_fleet_is_planned_by_rule_and_audited_fast():
    problem = reference_problem(START)
    assert problem.digest
    begun_s = time.process_time()
    plan = rule_plan(problem, START)
    planned_s = time.process_time()
    accepted(problem, plan)
    audited_s = time.process_time()
    accepted(problem, safe_plan(problem, START))
    assert planned_s - begun_s < 0.05 * len(problem.fleet.sites)
    assert audited_s - planned_s < 1.0


def test_the_solver_child_of_the_tests_answers_one_model_after_the_other():
    from optimizer.formulation import build

    problem = world(Random(3), sites=1, steps=2)
    with solver_child() as child:
        answers = [child.solve(build(problem, release=recover(problem).release)) for _ in range(2)]
    assert answers[0].status == answers[1].status == "Optimal"
    assert (answers[0].x == answers[1].x).all()
