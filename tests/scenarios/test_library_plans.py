"""What must come of each what-if does come of it: at once with rule plans, and in the long tests with optimised ones."""

from datetime import UTC, datetime

import pytest

from models.plan import Plan
from models.problem import Problem
from optimizer.fallback import rule_plan
from optimizer.solve import optimise
from scenarios.compare import compare
from scenarios.feed import reference_problem
from scenarios.library import load_scenario, scenario_names

NOW = datetime(2026, 11, 24, 5, 50, tzinfo=UTC)
PATCHED = [name for name in scenario_names() if load_scenario(name).patches]
CLOCKS = [name for name in scenario_names() if not load_scenario(name).patches]


@pytest.mark.parametrize("name", PATCHED)
def test_a_what_if_comes_out_as_its_file_says_with_rule_plans(name):
    scenario = load_scenario(name)
    problem = scenario.problem()
    found = compare(_rule(scenario.base_problem()), rule_plan(problem, NOW))
    assert scenario.unmet(problem, found) == []


@pytest.mark.parametrize("name", CLOCKS)
def test_days_of_23_and_25_hours_are_planned_step_by_step(name):
    scenario = load_scenario(name)
    problem = scenario.problem()
    plan = rule_plan(problem, NOW)
    assert plan.grid == problem.grid
    assert all(len(site.draw_w) == problem.grid.steps for site in plan.sites.values())
    assert scenario.unmet(problem, compare(plan, plan)) == []


@pytest.mark.long
@pytest.mark.parametrize("name", PATCHED)
def test_a_what_if_comes_out_as_its_file_says_with_optimised_plans(name):
    scenario = load_scenario(name)
    problem = scenario.problem()
    found = compare(_optimised(scenario.base_problem()), _optimised(problem))
    assert found.plus_minus_usd is not None
    assert scenario.unmet(problem, found) == []


def test_in_a_rule_plan_too_more_than_a_third_of_the_blocks_change_mode_within_48_hours():
    problem = reference_problem(datetime(2026, 11, 22, 9, tzinfo=UTC))
    assert _share_that_changes(problem, _rule(problem)) == pytest.approx(0.62, abs=0.05)


@pytest.mark.long
def test_in_an_optimised_plan_too_more_than_a_third_of_the_blocks_change_mode_within_48_hours():
    problem = reference_problem(datetime(2026, 11, 22, 9, tzinfo=UTC))
    assert _share_that_changes(problem, _optimised(problem)) == pytest.approx(0.71, abs=0.04)


def _share_that_changes(problem: Problem, plan: Plan) -> float:
    """The smallest share of blocks that the counts by mode allow: a block that changes nothing stays in one mode all along."""
    blocks = changing = 0
    for site in problem.fleet.sites:
        for group in site.asic_groups:
            counts = list(plan.sites[site.name].groups[group.name].mode_blocks.values())
            asleep = [group.blocks - sum(step) for step in zip(*counts, strict=True)]
            blocks += group.blocks
            changing += group.blocks - min(asleep) - sum(map(min, counts))
    return changing / blocks


_plans: dict[str, Plan] = {}


def _rule(problem: Problem) -> Plan:
    key = f"rule {problem.digest}"
    if key not in _plans:
        _plans[key] = rule_plan(problem, NOW)
    return _plans[key]


def _optimised(problem: Problem) -> Plan:
    if (known := _plans.get(problem.digest)) is None:
        result = optimise(problem, gap=1e-3, budget_s=250, now=NOW)
        assert result.plan is not None, result.why
        known = _plans[problem.digest] = result.plan
    return known
