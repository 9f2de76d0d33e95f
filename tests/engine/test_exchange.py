"""Moves from a site's counts: what they find keeps every rule, is worth what it says, and is the best in plain cases."""

import numpy as np
import pytest

from benchmarks.fleets import fleet
from benchmarks.measuring import arrays_of
from optimizer.blocks import Block, Program, Sparse, program_of, split
from optimizer.exchange import ceiling, following, improved, refusal, stepwise
from optimizer.formulation import build
from optimizer.highs_models import SITE_LP, columns_of, found_plan, highs_of, is_optimal
from optimizer.integers import fixed
from optimizer.recovery import recover

OPTIONS = {"threads": 1, "random_seed": 1}
GOOD, ROUGH = {"mip_max_nodes": 1}, {"mip_rel_gap": 0.03}
STEPS = 6


def fills(limit_kw: float) -> Program:
    """Blocks in two modes in every step, under a limit of what they draw: eco earns 7 of 5 kW, normal 10 of 8 kW."""
    steps = np.arange(STEPS)
    matrix = Sparse(
        2 * np.arange(STEPS + 1), np.column_stack([steps, steps + STEPS]).ravel(), np.tile([5.0, 8.0], STEPS), 2 * STEPS
    )
    return Program(
        matrix, np.repeat([7.0, 10.0], STEPS), np.zeros(2 * STEPS), np.full(2 * STEPS, 4.0),
        np.full(STEPS, -np.inf), np.full(STEPS, limit_kw), np.ones(2 * STEPS, dtype=np.bool_),
    )  # fmt: skip


def tight_sites(seed: int) -> list[Block]:
    problem = fleet(4, 12, seed=seed, kind="tight")
    compiled = build(problem, release=recover(problem).release)
    return list(split(program_of(arrays_of(compiled)), compiled.site_of_column).sites)


def found_by_highs(program: Program, limits: dict[str, float]) -> tuple[np.ndarray, float, float]:
    """Columns, what they are worth, and a bound on what any are worth."""
    highs = highs_of(program, OPTIONS | limits, whole=True)
    highs.run()
    assert found_plan(highs)
    return columns_of(highs), highs.getInfo().objective_function_value, highs.getInfo().mip_dual_bound


def broken_by(program: Program, x: np.ndarray) -> float:
    """By how much columns miss rows, bounds and whole numbers at most."""
    rows, counts = program.matrix.times(x), x[program.integer]
    misses = [program.row_lower - rows, rows - program.row_upper, program.col_lower - x, x - program.col_upper]
    return max(float(np.max(miss)) for miss in [*misses, np.abs(counts - np.round(counts))])


@pytest.mark.parametrize("limit_kw", [18.0, 23.0, 26.0, 31.0])
def test_units_are_exchanged_where_another_mode_fits_better_under_a_limit(limit_kw):
    program = fills(limit_kw)
    _, best_usd, _ = found_by_highs(program, {"mip_rel_gap": 0.0})
    rounded = np.concatenate([np.full(STEPS, min(4.0, limit_kw // 5)), np.zeros(STEPS)])
    found = improved(program, rounded, OPTIONS, tries=400)
    assert found is not None
    x, worth_usd = found
    assert broken_by(program, x) < 1e-6
    assert worth_usd == pytest.approx(best_usd)


def test_counts_that_break_a_rule_lead_nowhere():
    assert improved(fills(18.0), np.full(2 * STEPS, 4.0), OPTIONS, tries=10) is None


@pytest.mark.parametrize("seed", [1, 2])
def test_moves_at_tight_sites_keep_every_rule_and_gain_what_they_say(seed):
    gained = 0.0
    for site in tight_sites(seed):
        begun, begun_usd, bound_usd = found_by_highs(site.program, ROUGH)
        found, again = (improved(site.program, begun, OPTIONS, tries=60) for _ in range(2))
        assert found is not None
        assert again is not None
        x, worth_usd = found
        assert broken_by(site.program, x) < 1e-5
        assert worth_usd == pytest.approx(float(site.program.cost @ x), abs=1e-3)
        assert begun_usd - 1e-3 <= worth_usd <= bound_usd + 1e-3
        assert again[1] == worth_usd
        assert (again[0] == x).all()
        gained += worth_usd - begun_usd
    assert gained > 0


def test_what_programmes_say_of_all_counts_holds_for_good_ones():
    rng, said = np.random.default_rng(1), {"ceilings": 0, "refusals": 0}
    for site in tight_sites(3):
        program, table = site.program, stepwise(site.program)
        assert table.shape[1] == 12
        best, best_usd, _ = found_by_highs(program, GOOD)
        lp = highs_of(program, OPTIONS | SITE_LP)
        for _ in range(30):
            x = best.copy()
            rows, steps = rng.integers(table.shape[0], size=3), rng.integers(12, size=3)
            x[table[rows, steps]] += rng.integers(-2, 3, size=3)
            x = np.clip(np.round(x), program.col_lower, program.col_upper)
            columns = table.ravel()
            lp.changeColsBounds(columns.size, columns, x[columns], x[columns])
            lp.run()
            if is_optimal(lp):
                limit = ceiling(lp, table)
                assert limit.value + (limit.slopes * best)[table].sum() >= best_usd - 1e-3
                said["ceilings"] += 1
            elif (refused := refusal(program, lp, table, x)) is not None:
                assert (refused.slopes * x)[table].sum() < refused.value
                assert (refused.slopes * best)[table].sum() >= refused.value - 1e-5 * max(1.0, abs(refused.value))
                said["refusals"] += 1
    assert min(said.values()) > 5


def test_whole_numbers_that_follow_are_found_and_come_out_whole():
    for site in tight_sites(4):
        program, table = site.program, stepwise(site.program)
        follows = following(program, table)
        assert follows.sum() > 0
        assert not follows[table].any()
        best, _, _ = found_by_highs(program, ROUGH)
        lp = highs_of(fixed(program, table.ravel(), best[table.ravel()]), OPTIONS | SITE_LP)
        lp.run()
        counts = columns_of(lp)[follows]
        assert np.abs(counts - np.round(counts)).max() < 1e-6
