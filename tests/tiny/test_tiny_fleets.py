"""On fleets small enough to try everything, HiGHS on the compiled model and exact enumeration come to the same profit.

At most 2 sites, 4 steps and 2,000 whole decisions a case; prices in turn calm, negative, zero, equal, with spikes of
5,000 USD/MWh, and mixed. The solver's gap is 0. Profits agree within a millionth of the money that changes hands, or a
thousandth of a cent: one unit of work is a millionth of what the solver counts in, and it may be off by about that.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from random import Random

import pytest
from exact import best_profit, integer_points, knows
from simplex import maximise
from solver_child import SolverChild, solver_child
from worlds import PRICES, START, world

from models.problem import Problem
from optimizer.formulation import build
from optimizer.recovery import recover
from optimizer.solve import optimise

MOST_POINTS = 2_000
RELATIVE = 1e-6
LEAST_USD = 1e-5
CASES, LONG_CASES = 85, 400
"""Per kind of price and block of cases."""


@pytest.fixture(scope="module")
def child() -> Iterator[SolverChild]:
    with solver_child() as started:
        yield started


def tiny_worlds(prices: str, seed: int) -> Iterator[Problem]:
    """Worlds in which something is to be decided, and not too much."""
    rng = Random(f"{prices} {seed}")
    while True:
        problem = world(rng, sites=rng.randint(1, 2), steps=rng.randint(1, 4), prices=prices)
        if 2 < integer_points(problem) <= MOST_POINTS and knows(problem):
            yield problem


@dataclass
class Compared:
    """Both profits of one case, in USD; None where there is no plan."""

    problem: Problem
    exact: Fraction | None
    solved: float | None
    status: str
    slack: float

    @property
    def agrees(self) -> bool:
        if self.exact is None or self.solved is None:
            return self.exact is None and self.solved is None and self.status == "Infeasible"
        return abs(float(self.exact) - self.solved) <= self.slack


def compare(problem: Problem, child: SolverChild) -> Compared:
    compiled = build(problem, release=recover(problem).release)
    answer = child.solve(compiled)
    solved = None if answer.x is None else compiled.objective(answer.x)
    gross = 0.0 if answer.x is None else sum(abs(term.usd(answer.x)).sum() for term in compiled.money.values())
    return Compared(problem, best_profit(problem), solved, answer.status, max(LEAST_USD, RELATIVE * gross))


def all_agree(prices: str, seed: int, cases: int, child: SolverChild) -> int:
    feasible = 0
    for number, problem in enumerate(islice(tiny_worlds(prices, seed), cases)):
        both = compare(problem, child)
        told = f"{prices} {seed}, case {number}: exact {both.exact and float(both.exact)}, solver {both.solved} ({both.status})"
        assert both.agrees, told
        feasible += both.exact is not None
    return feasible


@pytest.mark.parametrize("prices", PRICES)
def test_both_ways_to_the_best_plan_agree(prices, child):
    assert all_agree(prices, 0, CASES, child) >= 0.95 * CASES


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(1, 10))
@pytest.mark.parametrize("prices", PRICES)
def test_twenty_thousand_cases_agree(prices, seed, child):
    assert all_agree(prices, seed, LONG_CASES, child) >= 0.95 * LONG_CASES


def test_the_front_door_comes_to_the_exact_profit():
    for number, prices in enumerate(PRICES):
        problem = next(tiny_worlds(prices, 1_000 + number))
        result = optimise(problem, gap=0.0, budget_s=60, now=START)
        assert result.ending == "planned", result.why
        exact = float(best_profit(problem))
        gross = sum(abs(usd) for line in result.plan.money for usd in line.usd)
        assert result.plan.profit_usd == pytest.approx(exact, abs=max(LEAST_USD, RELATIVE * gross))


def test_cases_are_worth_trying():
    """Most cases leave work to route after the whole decisions, and many have ramps, orders, batches and recoveries."""
    problems = [p for prices in PRICES for p in islice(tiny_worlds(prices, 0), CASES)]
    share = {
        "routed": sum(any(s.gpu_pools for s in p.fleet.sites) and bool(p.fleet.workloads) for p in problems),
        "mining": sum(any(s.asic_groups for s in p.fleet.sites) for p in problems),
        "batch": sum(any(w.kind == "batch" for w in p.fleet.workloads) for p in problems),
        "ramp": sum(any(s.ramp_w_per_min is not None for s in p.fleet.sites) for p in problems),
        "order": sum(bool(p.orders) for p in problems),
        "recovery": sum(bool(recover(p).records) for p in problems),
        "steps": sum(p.grid.steps > 1 for p in problems),
        "mixed lengths": sum(len(set(p.grid.step_s)) > 1 for p in problems),
    }
    assert all(count >= 0.05 * len(problems) for count in share.values()), share


def test_the_exact_method_on_a_programme_done_by_hand():
    """Maximise 3x + 2y with x + y <= 4, x + 3y <= 6, x <= 3: (3, 1) gives 11, at prices 2, 0 and 1."""
    one = Fraction(1)
    rows = [{0: one, 1: one}, {0: one, 1: 3 * one}, {0: one}]
    answer = maximise([3 * one, 2 * one], rows, [4 * one, 6 * one, 3 * one])
    assert answer.value == 11
    assert answer.prices == [2, 0, 1]
    impossible = maximise([one], [{0: one}, {0: -one}], [one, -2 * one])
    assert impossible.value is None
    assert impossible.prices[0] * 1 + impossible.prices[1] * -2 < 0
