"""Fleets of many short steps: whole numbers step by step, and prices that outlive what HiGHS cannot solve."""

import numpy as np
import pytest

from benchmarks.fleets import START, fleet
from benchmarks.measuring import arrays_of
from optimizer import coordinate as coordination
from optimizer import engine, integers
from optimizer.blocks import Blocks, Program, Sparse, program_of, split
from optimizer.compiled import Compiled
from optimizer.dive import dived
from optimizer.formulation import build
from optimizer.hearing import fault_of
from optimizer.highs_models import columns_of, found_plan, highs_of
from optimizer.recovery import recover
from optimizer.solve import optimise
from optimizer.team import Team
from optimizer.worker import OPTIONS

HIGHS = dict(OPTIONS) | {"random_seed": 0}
FIVE_MINUTES_S = 300
PLENTY = {"mip_rel_gap": 1e-3, "mip_max_nodes": 200}


def compiled_of(sites: int, steps: int, seed: int = 1) -> Compiled:
    problem = fleet(sites, steps, step_s=FIVE_MINUTES_S, seed=seed)
    return build(problem, release=recover(problem).release)


def blocks_of(compiled: Compiled) -> Blocks:
    return split(program_of(arrays_of(compiled)), compiled.site_of_column)


def broken_by(program: Program, x: np.ndarray) -> float:
    """By how much columns miss rows, bounds and whole numbers at most."""
    rows, counts = program.matrix.times(x), x[program.integer]
    misses = [program.row_lower - rows, rows - program.row_upper, program.col_lower - x, x - program.col_upper]
    return max(float(np.max(miss)) for miss in [*misses, np.abs(counts - np.round(counts))])


def best_of(program: Program) -> tuple[float, float]:
    """What the best whole numbers that one programme finds are worth, and its bound."""
    highs = highs_of(program, HIGHS | PLENTY, whole=True)
    highs.run()
    assert found_plan(highs)
    return float(program.cost @ columns_of(highs)), float(highs.getInfo().mip_dual_bound)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("narrow", [0.0, 1.0])
def test_it_is_lawful_within_the_bound_and_near_what_one_programme_finds(seed, narrow):
    for block in blocks_of(compiled_of(4, 10, seed)).sites[:2]:
        best_usd, bound_usd = best_of(block.program)
        found = dived(block.program, HIGHS, 0.01, 100, narrow)
        assert found is not None
        x, worth_usd = found
        assert broken_by(block.program, x) < 1e-5
        assert worth_usd == pytest.approx(block.program.cost @ x)
        assert worth_usd <= bound_usd + 1e-4 * abs(bound_usd)
        assert best_usd - worth_usd <= 0.03 * np.abs(block.program.cost * x).sum()


def ramp_down(steps: int, blocks: float, ramp: float, dear_from: int) -> Program:
    """Blocks of one unit of draw that earn 1 a step, and lose 10 a step from some step on; draws change by `ramp` at most.

    Columns: counts by step, then draws; rows: draw == count, and the ramp between two draws.
    """
    count, draw = np.arange(steps), steps + np.arange(steps)
    pairs = np.column_stack([draw[:-1], draw[1:]]).ravel()
    start = np.concatenate([2 * np.arange(steps), 2 * steps + 2 * np.arange(steps)])
    value = np.concatenate([np.tile([-1.0, 1.0], steps), np.tile([-1.0, 1.0], steps - 1)])
    matrix = Sparse(start, np.concatenate([np.column_stack([count, draw]).ravel(), pairs]), value, 2 * steps)
    earns = np.where(np.arange(steps) < dear_from, 1.0, -10.0)
    high = np.full(2 * steps, blocks)
    return Program(
        matrix, np.concatenate([earns, np.zeros(steps)]), np.zeros(2 * steps), high,
        np.concatenate([np.zeros(steps), np.full(steps - 1, -ramp)]), np.concatenate([np.zeros(steps), np.full(steps - 1, ramp)]),
        np.concatenate([np.ones(steps), np.zeros(steps)]).astype(np.bool_),
    )  # fmt: skip


def test_narrower_ramps_see_that_whole_blocks_ramp_more_slowly():
    program = ramp_down(30, 20.0, 2.75, 15)
    best_usd, _ = best_of(program)
    plain, ahead = (dived(program, HIGHS, 0.0, 100, narrow) for narrow in (0.0, 1.0))
    assert plain is not None
    assert ahead is not None
    assert plain[1] < ahead[1]
    assert ahead[1] == pytest.approx(best_usd)


def test_where_no_rounding_keeps_the_rules_earlier_steps_are_looked_at_again():
    """The draws of three steps add up to 3: the relaxation likes 1.5, 1.5, 0, and no rounding of the last step mends 2, 2."""
    matrix = Sparse(np.array([0, 3]), np.arange(3), np.array([2.0, 2.0, 3.0]), 3)
    worth = np.array([4.0, 3.9, 1.0])
    table = Sparse(np.array([0, 1, 2, 3, 6]), np.array([0, 1, 2, 0, 1, 2]), np.array([1.0, 1.0, 1.0, 2.0, 2.0, 3.0]), 3)
    low, high = np.array([0.0, 0.0, 0.0, 7.0]), np.array([2.0, 2.0, 1.0, 7.0])
    program = Program(table, worth, np.zeros(3), np.full(3, 2.0), low, high, np.ones(3, dtype=np.bool_))
    found = dived(program, HIGHS, 0.0, 100)
    assert matrix.times(np.array([2.0, 0.0, 1.0]))[0] == 7.0
    assert found is not None
    assert found[0].tolist() == [2.0, 0.0, 1.0]
    assert found[1] == pytest.approx(9.0)


def test_where_there_are_no_whole_numbers_nothing_is_found():
    table = Sparse(np.array([0, 1, 2, 4]), np.array([0, 1, 0, 1]), np.array([1.0, 1.0, 2.0, 2.0]), 2)
    low, high = np.array([0.0, 0.0, 3.0]), np.array([2.0, 2.0, 3.0])
    program = Program(table, np.ones(2), np.zeros(2), np.full(2, 2.0), low, high, np.ones(2, dtype=np.bool_))
    assert dived(program, HIGHS, 0.0, 100) is None


def planned(compiled: Compiled, gap: float) -> engine.Found | None:
    options = HIGHS | {"mip_rel_gap": gap, "time_limit": 600.0}
    return engine.plan_fleet(blocks_of(compiled), options, compiled.offset, 1, lambda **_: None, lambda: None)


def test_a_fleet_that_is_settled_step_by_step_gets_a_lawful_plan_below_its_bound_and_always_the_same(monkeypatch):
    monkeypatch.setattr(integers, "MANY_COUNTS", 0)
    compiled = compiled_of(8, 36)
    found = planned(compiled, 1e-2)
    assert found is not None
    assert not fault_of(compiled, found.x)
    assert 0 <= found.bound_usd - found.objective_usd <= 0.1 * abs(found.objective_usd)
    assert compiled.objective(found.x) == pytest.approx(found.objective_usd)
    again = planned(compiled, 1e-2)
    assert again is not None
    assert (again.objective_usd, again.bound_usd, again.how) == (found.objective_usd, found.bound_usd, found.how)
    assert np.array_equal(again.x, found.x)


@pytest.mark.long
def test_a_day_of_five_minute_steps_gets_an_audited_plan_with_a_certified_gap():
    result = optimise(fleet(8, 288, step_s=FIVE_MINUTES_S), gap=3e-2, budget_s=300, now=START)
    assert result.plan is not None, result.why
    assert result.plan.proof.gap_percent <= 3.0


class Tiring(Team):
    """A team of which one site has no answer any more after some rounds, as where HiGHS loses its way."""

    rounds = 2

    def price(self, prices: np.ndarray) -> list[integers.Answer | None]:
        self.rounds -= 1
        return [None if n == 0 and self.rounds < 0 else answer for n, answer in enumerate(super().price(prices))]


@pytest.mark.parametrize("fails", ["a site", "the master"])
def test_bound_and_mix_so_far_serve_where_highs_fails_in_a_later_round(fails, monkeypatch):
    compiled = compiled_of(8, 12)
    blocks = blocks_of(compiled)
    highs = highs_of(blocks.whole, HIGHS, offset=compiled.offset)
    highs.run()
    best_usd = highs.getInfo().objective_function_value
    team = (Tiring if fails == "a site" else Team)(blocks.sites, HIGHS, 1, lambda: None)
    runs = 0

    def solved(lp) -> bool:
        nonlocal runs
        runs += 1
        return real(lp) and runs <= 4  # the shared block and the master take turns

    real = coordination.solved
    if fails == "the master":
        monkeypatch.setattr(coordination, "solved", solved)
    found = coordination.coordinate(blocks, team, HIGHS, compiled.offset, 1e-5)
    assert found is not None
    assert found.rounds == 3
    assert found.gap > 1e-5
    assert found.bound_usd >= best_usd - 1e-6 * abs(best_usd)
    assert found.ceilings_usd.sum() + found.rest_usd == pytest.approx(found.bound_usd)
    for site in blocks.sites:  # a mix of answers keeps the rules of each site
        inside = site.program.matrix.times(found.x[site.columns])
        assert (inside >= site.program.row_lower - 1e-5).all()
        assert (inside <= site.program.row_upper + 1e-5).all()


def test_where_highs_fails_in_the_first_round_there_is_no_bound():
    blocks = blocks_of(compiled_of(8, 12))
    options = HIGHS | {"simplex_iteration_limit": 20}
    assert coordination.coordinate(blocks, Team(blocks.sites, options, 1, lambda: None), options, 0.0, 1e-5) is None
