"""No number of a plan can change without the audit's notice; and nothing that is a plan at all makes it stumble."""

from collections.abc import Iterator
from copy import deepcopy
from random import Random
from typing import Any

import pytest
from worlds import START, world

from models.plan import Plan
from optimizer.audit import audit
from optimizer.fallback import rule_plan

NOT_JUDGED = {"schema_version", "wall_s", "cpu_s", "seed", "audit", "asked_gap", "step_s"}
"""What no rule speaks of; the grid has tests of its own."""


def numbers(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of all numbers that the audit has to judge."""
    if isinstance(value, dict):
        for key, member in value.items():
            if key not in NOT_JUDGED:
                yield from numbers(member, (*path, key))
    elif isinstance(value, list | tuple):
        for n, member in enumerate(value):
            yield from numbers(member, (*path, n))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path


def changed(plan: Plan, path: tuple[Any, ...], rng: Random) -> Plan:
    """The same plan with one other number, by a little or by much."""
    raw = listed(deepcopy(plan.model_dump()))
    at = raw
    for key in path[:-1]:
        at = at[key]
    old = at[path[-1]]
    if isinstance(old, float):
        gross = sum(abs(usd) for line in plan.money for usd in line.usd)
        at[path[-1]] = old + rng.choice((1, 1_000)) * (0.03 + 1e-5 * gross)
    else:
        at[path[-1]] = rng.choice([old + 1, old + 1_000] + [old - 1, 0] * (old > 0))
    return Plan.model_validate(tupled(raw))


def listed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: listed(member) for key, member in value.items()}
    return [listed(member) for member in value] if isinstance(value, list | tuple) else value


def tupled(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: tupled(member) for key, member in value.items()}
    return tuple(tupled(member) for member in value) if isinstance(value, list | tuple) else value


@pytest.mark.parametrize("seed", range(40))
def test_no_number_can_change_unnoticed(seed):
    rng = Random(seed)
    problem = world(rng, sites=1 + seed % 3, steps=1 + seed % 4)
    plan = rule_plan(problem, START)
    paths = list(numbers(plan.model_dump()))
    for path in rng.sample(paths, min(25, len(paths))):
        report = audit(problem, changed(plan, path, rng))
        assert not report.passed, path


@pytest.mark.parametrize("seed", range(30))
def test_any_plan_gets_a_report(seed):
    """Plans of other worlds, and plans with a dozen wrong numbers: refused, never an exception."""
    rng = Random(seed)
    problem = world(rng, sites=2, steps=3)
    plan = rule_plan(problem, START)
    for path in rng.sample(list(numbers(plan.model_dump())), 12):
        plan = changed(plan, path, rng)
    assert not audit(problem, plan).passed
    other = world(Random(1_000 + seed), sites=1 + seed % 3, steps=1 + seed % 5)
    assert not audit(other, plan).passed


def test_words_have_an_end():
    """Thousands of missing names are cut off, not an error of their own."""
    problem = world(Random(5), sites=400, steps=1)
    plan = rule_plan(problem, START)
    report = audit(problem, plan.model_copy(update={"sites": {}}))
    assert not report.passed
    assert all(len(line) <= 2_000 for line in report.broken)


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("place", ["money", "objective", "bound and gap"])
def test_no_amount_that_is_no_number_passes(place, odd):
    problem = world(Random(3), sites=2, steps=3)
    plan = rule_plan(problem, START)
    if place == "money":
        line = plan.money[0]
        spoilt = plan.model_copy(update={"money": (line.model_copy(update={"usd": (odd, *line.usd[1:])}), *plan.money[1:])})
    elif place == "objective":
        spoilt = plan.model_copy(update={"proof": plan.proof.model_copy(update={"objective_usd": odd})})
    else:
        claims = {"bound_usd": odd, "gap_usd": odd, "gap_percent": odd, "asked_gap": 0.005, "status": "feasible"}
        spoilt = plan.model_copy(update={"basis": "optimised", "proof": plan.proof.model_copy(update=claims)})
    assert not audit(problem, spoilt).passed
