"""Over random fleets: neither the model of futures nor knowing them is worth less than nothing; merging changes no optimum."""

from random import Random

import numpy as np
import pytest
from chances import futures_of, split
from solver_child import SolverChild, solver_child
from worlds import world

from models.futures import Risk, mean_problem
from optimizer.collapse import nodes
from optimizer.formulation import build
from optimizer.joint import OPTIONS, Block, join
from optimizer.recovery import recover
from optimizer.stages import asks, shared_columns

FLEETS = 100
RISKS = (Risk(), Risk(weight_share=0.5, level_share=0.7), Risk(weight_share=1.0, level_share=0.9))
SLACK = 2e-6


@pytest.fixture(scope="module")
def child():
    with solver_child() as found:
        yield found


class Fleet:
    """One random world with futures, and optima of it that do not go through the front door."""

    def __init__(self, seed: int, child: SolverChild) -> None:
        rng = Random(f"futures {seed}")
        self.child, self.risk = child, RISKS[seed % len(RISKS)]
        self.base = world(rng, sites=rng.randint(1, 2), steps=rng.randint(2, 5), prices=rng.choice(("calm", "equal", "mixed")))
        self.futures = futures_of(rng, self.base, rng.randint(2, 4))
        self.problems = self.futures.problems(self.base)
        self.weights = [future.probability_ppm for future in self.futures.scenarios]

    def compiled(self, problem):
        return build(problem, release=recover(problem).release)

    def sharing(self, compiled, stage):
        return shared_columns(compiled, self.base.grid, self.futures, stage)

    def joint(self, weighted, sharing=None):
        """The joint model of (weight, problem) with the base problem, which weighs nothing."""
        blocks = [
            Block(f"block-{n}", ppm, self.compiled(problem), asks(problem))
            for n, (ppm, problem) in enumerate([(0, self.base), *weighted])
        ]
        return join(blocks, sharing or self.sharing, self.risk)

    def best(self, joint):
        """Optimum of a joint model and slack of the comparison, or None where scenarios have no decisions in common."""
        if joint.clash.size or (x := self.child.solve(joint.compiled, options=OPTIONS).x) is None:
            return None
        money = float(np.abs(joint.compiled.cost * x).sum())
        return joint.compiled.objective(x), max(1e-4, SLACK * money)

    def weighted(self):
        return list(zip(self.weights, self.problems, strict=True))


def test_neither_the_model_of_futures_nor_knowing_them_is_worth_less_than_nothing(child):
    kept = gained = knew = 0
    for seed in range(FLEETS * 2):
        fleet = Fleet(seed, child)
        joint = fleet.joint(fleet.weighted())
        if (found := fleet.best(joint)) is None:
            continue
        usd, slack = found
        alone = []
        for ppm, problem in fleet.weighted():
            answer = child.solve(model := fleet.compiled(problem), options=OPTIONS)
            alone.append((ppm, model.objective(answer.x)))
        knowing = fleet.risk.objective_usd(alone)
        assert knowing >= usd - slack, seed
        for_the_mean = held_for_the_mean(fleet, joint)
        assert for_the_mean is None or usd >= for_the_mean - slack, seed
        kept += 1
        knew += knowing > usd + slack
        gained += for_the_mean is not None and usd > for_the_mean + slack
        if kept == FLEETS:
            break
    assert kept == FLEETS
    assert knew >= FLEETS // 4
    assert gained >= 5


def held_for_the_mean(fleet, joint):
    """Objective with the counts of the mean problem's best plan, or None where they break rules in a future."""
    mean = fleet.compiled(mean_problem(fleet.weighted()))
    x, base = child_columns(fleet, mean), fleet.compiled(fleet.base)
    numbers, values = [], []
    for stage in ("commitment", "set_point"):
        numbers.append(joint.columns[0][fleet.sharing(base, stage)])
        values.append(np.round(x[fleet.sharing(mean, stage)]))
    found = fleet.best(joint.fixed(np.concatenate(numbers), np.concatenate(values)))
    return None if found is None else found[0]


def child_columns(fleet, compiled):
    return fleet.child.solve(compiled, options=OPTIONS).x


def test_equal_futures_may_be_counted_apart_or_together(child):
    seen = 0
    for seed in range(20):
        fleet = Fleet(seed, child)
        first, *others = fleet.weighted()
        ppm = first[0] // 3
        apart = [(ppm, first[1]), (first[0] - ppm, first[1]), *others]
        together, twice = fleet.best(fleet.joint(fleet.weighted())), fleet.best(fleet.joint(apart))
        assert (together is None) == (twice is None), seed
        if together is not None:
            assert twice[0] == pytest.approx(together[0], abs=together[1]), seed
            seen += 1
        twins = split(fleet.futures, [ppm, first[0] - ppm])
        merged = nodes(fleet.base, twins.problems(fleet.base), twins, fleet.risk)
        plain = nodes(fleet.base, fleet.problems, fleet.futures, fleet.risk)
        assert [node.ppm for node in merged] == [node.ppm for node in plain], seed
    assert seen >= 10


def test_prices_of_shared_steps_may_be_replaced_by_their_mean(child):
    """Futures that differ only in prices of the first hour: their mean is worth as much as all of them together."""
    risk_free, seen = Risk(), 0
    for seed in range(25):
        fleet = Fleet(seed, child)
        fleet.risk = risk_free
        shared = sum(offset < 3600 for offset in fleet.base.grid.offset_s[:-1])
        problems = [first_hour_only(fleet.base, problem, shared) for problem in fleet.problems]
        found = nodes(fleet.base, problems, fleet.futures, risk_free)
        if fleet.base.awards:  # what is kept of them may answer to prices
            assert len(found) == len({problem.digest for problem in (fleet.base, *problems)})
            continue
        (node,) = found
        answer = child.solve(model := fleet.compiled(node.problem), options=OPTIONS)
        apart = fleet.best(fleet.joint(list(zip(fleet.weights, problems, strict=True))))
        assert apart is not None
        assert model.objective(answer.x) == pytest.approx(apart[0], abs=apart[1]), seed
        seen += len({problem.digest for problem in problems}) > 1
    assert seen >= 10


def first_hour_only(base, other, steps):
    """The base problem with the prices and hashprice of another in its first steps."""
    later = base.prices_usd_per_mwh
    prices = {name: (*series[:steps], *later[name][steps:]) for name, series in other.prices_usd_per_mwh.items()}
    hashprice = (*other.hashprice_usd_per_ph_day[:steps], *base.hashprice_usd_per_ph_day[steps:])
    return base.model_copy(update={"prices_usd_per_mwh": prices, "hashprice_usd_per_ph_day": hashprice})
