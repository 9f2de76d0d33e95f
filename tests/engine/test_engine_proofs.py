"""What an engine's plan claims is true: another solver confirms it, stopping spoils nothing, and it comes out the same again."""

import subprocess
import sys
from functools import cache
from random import Random

import numpy as np
import pytest

from benchmarks import given_fleet
from benchmarks.fleets import START, fleet
from benchmarks.measuring import arrays_of
from models.plan import Plan
from models.problem import Problem
from optimizer.audit import audit
from optimizer.blocks import program_of
from optimizer.fallback import rule_plan
from optimizer.formulation import build
from optimizer.hearing import fault_of
from optimizer.highs_models import highs_of
from optimizer.recovery import recover
from optimizer.solve import optimise
from optimizer.valuation import place
from optimizer.worker import OPTIONS

TOLERANCE = 1e-7
"""Of the objective, in what two solvers may differ."""
RUNS = 10
MOMENTS = 20
AGAIN = """
import sys
from benchmarks.fleets import START, fleet
from optimizer.solve import optimise
sites, steps, workers = map(int, sys.argv[1:])
plan = optimise(fleet(sites, steps), gap=1e-3, budget_s=600, now=START, workers=workers).plan
print(plan.proof.objective_usd.hex(), plan.proof.bound_usd.hex(), plan.proof.gap_usd.hex(), plan.decisions_digest)
"""


def confirmed(problem: Problem, gap: float, budget_s: float) -> None:
    """Let HiGHS begin with a plan in the whole model and look on from there for a while."""
    plan = optimise(problem, gap=gap, budget_s=600, now=START).plan
    assert plan is not None
    assert plan.proof.gap_percent <= 100 * gap
    compiled = build(problem, release=recover(problem).release)
    x = place(problem, compiled, plan)
    assert not fault_of(compiled, x)
    objective, bound = plan.proof.objective_usd, plan.proof.bound_usd
    slack = TOLERANCE * abs(objective)
    assert compiled.objective(x) == pytest.approx(objective, abs=slack)

    options = {**OPTIONS, "mip_rel_gap": 1e-6, "time_limit": budget_s}
    highs = highs_of(program_of(arrays_of(compiled)), options, whole=True, offset=compiled.offset)
    counts = np.flatnonzero(compiled.integer).astype(np.int32)
    highs.setSolution(counts.size, counts, np.round(x[counts]))
    highs.run()
    info = highs.getInfo()
    assert info.objective_function_value >= objective - slack, "HiGHS did not take the plan to begin with"
    assert info.objective_function_value <= bound + slack, "HiGHS found a plan above the bound"
    assert info.mip_dual_bound >= objective - slack, "HiGHS proved a bound below the plan"


def test_the_whole_model_confirms_a_plan_and_beats_no_bound():
    confirmed(fleet(10, 12, seed=3), gap=2e-3, budget_s=2.0)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_the_whole_model_confirms_45_sites_and_24_hours():
    confirmed(fleet(45, 24), gap=5e-4, budget_s=120.0)


@cache
def hurried_fleet() -> tuple[Problem, float, float]:
    """A fleet, what some plan of it earns, and the optimum of its relaxation."""
    problem = fleet(40, 24, seed=2)
    plan = optimise(problem, gap=1e-3, budget_s=600, now=START).plan
    assert plan is not None
    compiled = build(problem, release=recover(problem).release)
    highs = highs_of(program_of(arrays_of(compiled)), {"threads": 1}, offset=compiled.offset)
    highs.run()
    return problem, plan.proof.objective_usd, highs.getInfo().objective_function_value


def stopped(seed: int) -> Plan:
    """Stop a plan after a random time; what is in hand then is audited, and its gap true, or it is the rule plan by name."""
    problem, known_usd, most_usd = hurried_fleet()
    result = optimise(problem, gap=1e-5, budget_s=Random(seed).uniform(0.5, 6.0), now=START)
    if (plan := result.plan) is None:
        assert (result.ending, result.why) == ("no_plan", "deadline: no plan was found in the time")
        plan = rule_plan(problem, START)
        assert plan.basis == "rule"
        assert plan.proof.bound_usd is None
        assert plan.proof.gap_percent is None
    else:
        proof, slack = plan.proof, TOLERANCE * known_usd
        assert plan.basis == "optimised"
        assert proof.objective_usd <= most_usd + slack
        if proof.bound_usd is None:
            assert proof.gap_usd is None
        else:
            assert proof.bound_usd >= known_usd - slack, "the bound lies below a plan"
            assert proof.gap_usd == pytest.approx(proof.bound_usd - proof.objective_usd, abs=0.01)
    found = audit(problem, plan)
    assert found.passed, found
    return plan


@pytest.mark.parametrize("seed", range(2))
def test_stopped_at_any_moment_there_is_an_audited_plan_with_a_true_gap_or_the_rule_plan(seed):
    stopped(seed)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2, MOMENTS))
def test_stopped_at_twenty_moments(seed):
    stopped(seed)


def again(root, sites: int, steps: int, runs: int) -> set[str]:
    """Plan a fleet in processes of their own, with one worker and two by turns; return what came out."""
    words = [sys.executable, "-c", AGAIN, str(sites), str(steps)]
    return {subprocess.check_output([*words, str(1 + n % 2)], cwd=root, text=True) for n in range(runs)}


def test_three_runs_give_the_same_objective_bound_gap_and_plan(root):
    assert len(again(root, 10, 8, 3)) == 1


@pytest.mark.long
@pytest.mark.timeout(900)
def test_ten_runs_of_ten_give_the_same_objective_bound_gap_and_plan(root):
    assert len(again(root, 45, 24, RUNS)) == 1


def test_the_given_fleet_compiles_to_its_known_relaxation():
    """Another model than the product's, by the same layer: the optimum of its relaxation was handed over with it."""
    try:
        path = given_fleet.instance()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    compiled = given_fleet.compiled(path)
    highs = highs_of(program_of(arrays_of(compiled)), {"threads": 1}, offset=compiled.offset)
    highs.run()
    assert highs.getInfo().objective_function_value == pytest.approx(given_fleet.RELAXATION_USD, rel=1e-6)
