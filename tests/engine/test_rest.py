"""A fleet with counts held: what is left of it earns what the whole does, time after time, or says that it cannot."""

import numpy as np
import pytest

from benchmarks.fleets import fleet
from benchmarks.measuring import arrays_of
from optimizer.blocks import Program, Sparse, program_of
from optimizer.formulation import build
from optimizer.highs_models import columns_of, found_plan, highs_of, is_optimal
from optimizer.incumbent import Incumbent
from optimizer.integers import fixed
from optimizer.recovery import recover
from optimizer.rest import Rest

OPTIONS = {"threads": 1, "random_seed": 1}


@pytest.fixture(scope="module")
def whole():
    problem = fleet(4, 12, seed=5)
    return program_of(arrays_of(build(problem, release=recover(problem).release)))


def plan_of(whole: Program, gap: float) -> np.ndarray:
    highs = highs_of(whole, OPTIONS | {"mip_rel_gap": gap}, whole=True)
    highs.run()
    assert found_plan(highs)
    return columns_of(highs)


def test_it_earns_what_the_whole_does_with_the_same_counts_one_time_after_another(whole):
    counts = np.flatnonzero(whole.integer)
    rest = Rest(whole, counts, OPTIONS)
    for gap in (0.5, 0.02, 0.5):
        y = np.round(plan_of(whole, gap)[counts])
        found, highs = rest.solve(y), highs_of(fixed(whole, counts, y), OPTIONS)
        highs.run()
        assert is_optimal(highs)
        assert found is not None
        x, value_usd = found
        assert value_usd == pytest.approx(highs.getInfo().objective_function_value, rel=1e-9)
        assert value_usd == pytest.approx(float(whole.cost @ x), rel=1e-9)
        rows = whole.matrix.times(x)
        assert (rows >= whole.row_lower - 1e-5).all()
        assert (rows <= whole.row_upper + 1e-5).all()


def test_counts_that_break_a_rule_have_no_rest(whole):
    counts = np.flatnonzero(whole.integer)
    y = np.round(plan_of(whole, 0.5)[counts])
    rest = Rest(whole, counts, OPTIONS)
    assert rest.solve(np.where(np.arange(y.size) == 0, whole.col_upper[counts] + 1, y)) is None, "beyond a bound"
    assert rest.solve(whole.col_upper[counts]) is None, "all machines in all modes at once"
    assert rest.solve(y) is not None, "and it goes on with counts that keep all rules"


def test_a_row_of_held_columns_alone_is_checked_all_the_same():
    pair = Sparse(np.array([0, 2, 3]), np.array([0, 1, 2]), np.ones(3), 3)
    integer = np.array([True, True, False])
    program = Program(
        pair, np.array([1.0, 2.0, 3.0]), np.zeros(3), np.full(3, 4.0), np.full(2, -np.inf), np.array([5.0, 2.0]), integer
    )
    rest = Rest(program, np.array([0, 1]), OPTIONS)
    assert rest.solve(np.array([2.0, 4.0])) is None
    found = rest.solve(np.array([1.0, 4.0]))
    assert found is not None
    assert found[1] == pytest.approx(1 + 8 + 6)


def test_counts_of_which_some_are_unknown_are_held_as_far_as_they_are_known(whole):
    told: list[float] = []
    best = Incumbent(whole, OPTIONS, 10.0, lambda _, usd: told.append(usd))
    x, counts = plan_of(whole, 1e-3), np.flatnonzero(whole.integer)
    known = np.where(whole.integer, np.round(x), np.nan)
    assert best.hold(known, 1e-3, 60.0)
    some = known.copy()
    some[counts[::3]] = np.nan
    assert best.hold(some, 1e-6, 60.0)
    assert best.objective_usd >= float(whole.cost @ x) + 10.0 - 1e-3
    assert told == sorted(told)
    assert np.abs(best.x[counts] - np.round(best.x[counts])).max() < 1e-6
    broken = known.copy()
    broken[counts[0]] = whole.col_upper[counts[0]] + 1
    assert not best.hold(broken, 1e-3, 60.0)
