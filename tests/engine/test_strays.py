"""Sites together: what one strays by is wanted of the others, and only what is better for all of them is kept."""

import numpy as np
import pytest

from benchmarks.fleets import fleet
from benchmarks.measuring import arrays_of
from optimizer.blocks import program_of, split
from optimizer.formulation import build
from optimizer.highs_models import columns_of, highs_of, is_optimal
from optimizer.integers import Effort, Site, stiffness
from optimizer.recovery import recover
from optimizer.strays import NOTABLE, Strays

OPTIONS = {"threads": 1, "random_seed": 1}
EFFORT = Effort(5.0, 10, 1, 0)


@pytest.fixture(scope="module")
def relaxed():
    """Blocks of a tight fleet whose sites serve the same hubs, prices of the rows in which they meet, and relaxed columns."""
    problem = fleet(4, 6, seed=2, kind="identical")
    compiled = build(problem, release=recover(problem).release)
    blocks = split(program_of(arrays_of(compiled)), compiled.site_of_column)
    highs = highs_of(blocks.whole, OPTIONS)
    highs.run()
    assert is_optimal(highs)
    return blocks, blocks.bounded(np.array(highs.getSolution().row_dual)[blocks.meeting]), columns_of(highs)


def test_what_is_wanted_of_all_adds_up_to_the_relaxation_whatever_one_strays_by(relaxed):
    blocks, prices, x = relaxed
    everyone = Strays(blocks, prices, x)
    begun = {n: aim.brings for n, aim in everyone.wanted(range(4)).items()}
    everyone.keep({0: np.zeros(blocks.sites[0].columns.size)})  # brings nothing
    alone = everyone.wanted([1])[1].brings
    assert np.abs(begun[0]).max() > 1
    assert alone == pytest.approx(begun[1] + begun[0])
    together = everyone.wanted([1, 2, 3])
    assert sum(aim.brings for aim in together.values()) == pytest.approx(sum(begun.values()))


def test_only_columns_that_are_better_for_all_are_kept(relaxed):
    blocks, prices, x = relaxed
    everyone = Strays(blocks, prices, x)
    for n, block in enumerate(blocks.sites):
        wanted = everyone.wanted([n])
        found = Site(block, OPTIONS).settle(prices, wanted[n], EFFORT)
        assert found is not None
        assert np.abs(found[block.program.integer] - np.round(found[block.program.integer])).max() < 1e-6
        everyone.keep({n: found})
    before_usd, at = everyone.together_usd(), everyone.at.copy()
    assert np.isfinite(before_usd)
    everyone.keep({0: np.zeros(blocks.sites[0].columns.size), 1: None})
    assert everyone.together_usd() == before_usd
    assert (everyone.at == at).all()
    wanted = everyone.wanted(range(4))
    moves = Effort(0.0, 0, moves=40, firmness=0.5)
    tried = {n: Site(b, OPTIONS).exchange(prices, wanted[n], at[b.columns], moves) for n, b in enumerate(blocks.sites)}
    everyone.keep(tried)
    assert everyone.together_usd() >= before_usd


def test_what_missing_a_row_costs_is_learned_from_a_plan_where_it_matters(relaxed):
    """One site brings nothing. In the plan a unit of the row that this misses most is worth 50 USD more than its price."""
    blocks, prices, x = relaxed
    everyone = Strays(blocks, prices, x)
    nothing = {n: np.zeros(block.columns.size) for n, block in enumerate(blocks.sites)}
    settled = {n: x[block.columns] for n, block in enumerate(blocks.sites)}
    everyone.keep(settled | {0: nothing[0]})
    missed = -everyone.wanted([0])[0].brings  # what 0 should bring, and does not
    row = int(np.abs(missed).argmax())
    dearer = prices.copy()
    dearer[row] += 50 * np.sign(missed[row])
    cost_usd = 50 * abs(missed[row])
    before_usd = everyone.together_usd()

    everyone.learn(dearer, short_usd=cost_usd / NOTABLE)
    everyone.learn(np.full(prices.size, np.nan), short_usd=0.0)
    aim = everyone.wanted([0])[0]
    assert (aim.above.max(), aim.below.max()) == (0.0, 0.0), "less than a notable part, or not known at all"
    assert everyone.together_usd() == before_usd

    everyone.learn(dearer, short_usd=0.9 * (cost_usd - stiffness(prices)[row] * abs(missed[row])) / NOTABLE)
    aim = everyone.wanted([0])[0]
    learned, other = (aim.above, aim.below) if missed[row] > 0 else (aim.below, aim.above)
    assert (np.flatnonzero(learned).tolist(), other.max()) == ([row], 0.0)
    assert learned[row] == pytest.approx(50)
    assert everyone.together_usd() == pytest.approx(before_usd - cost_usd + stiffness(prices)[row] * abs(missed[row]))
    found = Site(blocks.sites[0], OPTIONS).settle(prices, aim, EFFORT)
    assert abs(blocks.sites[0].meets.times(found)[row] - aim.brings[row]) < abs(missed[row])
