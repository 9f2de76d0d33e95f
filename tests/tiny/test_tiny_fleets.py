"""On fleets small enough to try everything, HiGHS on the compiled model and exact enumeration come to the same profit.

At most 2 sites, 4 steps and 2,000 whole decisions a case; prices in turn calm, negative, zero, equal, with spikes of
5,000 USD/MWh, and mixed. The solver's gap is 0. Profits agree within a millionth of the money that changes hands, or a
thousandth of a cent: one unit of work is a millionth of what the solver counts in.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from itertools import islice
from random import Random

import pytest
from exact import best_profit, integer_points, plain
from simplex import maximise
from solver_child import SolverChild, solver_child
from worlds import PRICES, START, world

from models.asic import AsicGroup, Mode
from models.contract import FixedPrice
from models.cooling import Cooling
from models.fleet import Fleet
from models.gpu import GpuPool
from models.problem import Problem
from models.site import Site
from models.state import Cohort, GroupState, Lot, PoolState, SiteState, State
from models.time_grid import TimeGrid
from models.workload import BatchWorkload, InteractiveWorkload
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
        if 2 < integer_points(problem) <= MOST_POINTS:
            yield plain(problem)


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


@pytest.mark.parametrize("work", [1, 2, 5, 10, 1_000])
def test_a_token_that_waits_costs_no_node(work, child):
    """Found by the cases above: with one token overdue, HiGHS at tolerances of 1e-7 started a node for 25 USD to do it."""
    problem = one_token_late(work)
    both = compare(problem, child)
    assert both.exact is not None
    assert both.agrees, f"exact {float(both.exact)}, solver {both.solved}"


def one_token_late(work: int) -> Problem:
    """A group that earns, a node that does not, and a little batch work that is overdue from the first step on."""
    group = AsicGroup(
        name="row", model="test", blocks=4, miners_per_block=180, sleep_power_w=15, min_up_s=900, min_down_s=3_600,
        warm_up_s=300, start_wear_usd=1.5, pool_fee=0.01, uptime=0.97, cooling=Cooling(base_pue_milli=1250, rise_milli_per_c=7),
        modes=(
            Mode(name="eco", miner_power_w=900, miner_hash_th_per_s=110.0),
            Mode(name="normal", miner_power_w=1_200, miner_hash_th_per_s=155.5),
        ),
    )  # fmt: skip
    pool = GpuPool(
        name="pool", gpu_type="b200", nodes=1, node_fixed_w=8_200, throughput_tokens_per_s={"mistral-7b": 20_000},
        load_s=600, min_up_s=5_400, start_cost_usd=25.0,
    )  # fmt: skip
    site = Site(
        name="pecos", region="texas", country="US", zone="America/Chicago", ambient="inland", connection_limit_w=610_540,
        contract=FixedPrice(price_usd_per_mwh=35.0), asic_groups=(group,), gpu_pools=(pool,),
    )  # fmt: skip
    common = {"price_usd_per_mwork": 1.2, "model": "mistral-7b"}
    chat = InteractiveWorkload(name="chat", routing_usd_per_mwork={"texas": 0.25}, unserved_usd_per_mwork=0.0, **common)
    batch = BatchWorkload(
        name="batch", routing_usd_per_mwork={"texas": 0.0}, deadline_s=9_000, late_usd_per_mwork_h=0.1, **common
    )
    running = GroupState(
        mode_blocks={"eco": 1, "normal": 1},
        started=(Cohort(count=1, since=START), Cohort(count=1, since=START - timedelta(hours=1))),
        stopped=(Cohort(count=1, since=START), Cohort(count=1, since=START - timedelta(minutes=4))),
    )
    now = SiteState(draw_w=0, groups={"row": running}, pools={"pool": PoolState()}, as_of=START)
    return Problem(
        name="token",
        grid=TimeGrid(start=START, step_s=(900,)),
        fleet=Fleet(name="one", sites=(site,), workloads=(chat, batch)),
        hashprice_usd_per_ph_day=(91.5,),
        ambient_c={"inland": (5.0,)},
        demand_work_per_h={"chat": (7_200_000,), "batch": (0,)},
        state=State(at=START, sites={"pecos": now}, backlog={"batch": (Lot(work=work, due=START),)}),
    )


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
        "feeder": sum(any(s.feeders for s in p.fleet.sites) for p in problems),
        "outage": sum(bool(p.outages) for p in problems),
        "pin": sum(bool(p.pins) for p in problems),
        "starts of the day": sum(any(g.max_starts_per_day for s in p.fleet.sites for g in s.asic_groups) for p in problems),
        "steps": sum(p.grid.steps > 1 for p in problems),
        "billed peak": sum(any(s.demand_charge for s in p.fleet.sites) for p in problems),
        "least take": sum(any(s.take_or_pay for s in p.fleet.sites) for p in problems),
        "tiers": sum(any(s.energy_tiers for s in p.fleet.sites) for p in problems),
        "difficulty": sum(bool(p.difficulty_steps) for p in problems),
        "service level": sum(bool(p.state.service) for p in problems),
        "block": sum(any(s.block_power for s in p.fleet.sites) for p in problems),
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
