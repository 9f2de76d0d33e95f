"""What contracts cost is worked out twice, by the model and by the audit, to the same cent in every step."""

from random import Random

import pytest
from worlds import START, moved, world

from models.plan import MoneyLine
from optimizer.audit import audit
from optimizer.fallback import rule_plan
from optimizer.solve import optimise

TERMS = ("demand_charge", "take_shortfall", "block_cost", "resale_revenue", "coincident_peak", "tier_cost", "carbon_cost")


def worlds_with(term, count):
    """Worlds that have a term, every other one at the end of a month."""
    found, seed = [], 0
    while len(found) < count:
        seed += 1
        problem = world(Random(seed), sites=1 + seed % 3, steps=3 + seed % 5)
        problem = moved(problem) if seed % 2 else problem
        if any(line.term == term for line in rule_plan(problem, START).money):
            found.append(problem)
    return found


@pytest.mark.parametrize("term", TERMS)
def test_plans_by_rule_are_valued_as_the_audit_values_them(term):
    worth = 0
    for problem in worlds_with(term, 40):
        plan = rule_plan(problem, START)
        assert audit(problem, plan).broken == ()
        worth += any(usd for line in plan.money if line.term == term for usd in line.usd)
    assert worth >= 10


@pytest.mark.parametrize("term", TERMS)
def test_plans_of_the_optimiser_are_valued_as_the_audit_values_them(term):
    for problem in worlds_with(term, 3):
        result = optimise(problem, gap=1e-6, budget_s=30, now=START)
        assert result.ending == "planned", result.why


@pytest.mark.parametrize("term", TERMS)
def test_a_dollar_off_is_found_with_its_site_and_step(term):
    problem = worlds_with(term, 1)[0]
    plan = rule_plan(problem, START)
    line = next(line for line in plan.money if line.term == term)
    off = MoneyLine(term=line.term, owner=line.owner, usd=(line.usd[0] + 1.0, *line.usd[1:]))
    money = tuple(off if other is line else other for other in plan.money)
    said = audit(problem, plan.model_copy(update={"money": money})).broken
    assert any(words.startswith(f"{line.owner} step 0") and term in words for words in said)
    without = tuple(other for other in plan.money if other.term != term)
    if any(abs(usd) > 0.01 for usd in line.usd):
        assert any(term in words for words in audit(problem, plan.model_copy(update={"money": without})).broken)
