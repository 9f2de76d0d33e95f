"""Later looks at one site: a tree around known counts never loses, and ceilings from its root are never below the optimum."""

import numpy as np
import pytest

from benchmarks.fleets import fleet
from benchmarks.measuring import arrays_of
from optimizer.blocks import Block, Blocks, program_of, split
from optimizer.formulation import build
from optimizer.highs_models import highs_of, is_optimal
from optimizer.integers import Effort, Site, fixed, stiffness
from optimizer.looks import DEEPER, FEW_COUNTS, LOOKS, looks_at
from optimizer.recovery import recover

OPTIONS = {"threads": 1, "random_seed": 1}
ROOT = Effort(0.0, 1, reach=2)


def blocks_of(seed: int) -> Blocks:
    problem = fleet(4, 6, seed=seed, kind="tight")
    compiled = build(problem, release=recover(problem).release)
    return split(program_of(arrays_of(compiled)), compiled.site_of_column)


def worth_usd(block: Block, prices: np.ndarray, wanted: np.ndarray, x: np.ndarray) -> float:
    """What columns earn at prices, less what it costs to miss what is wanted."""
    return float(block.cost_at(prices) @ x - stiffness(prices) @ np.abs(block.meets.times(x) - wanted))


def optimum(block: Block, prices: np.ndarray) -> float:
    """What the site's whole numbers earn at prices at most, by HiGHS with all it has."""
    program = block.program
    priced = type(program)(**{**vars(program), "cost": block.cost_at(prices)})
    highs = highs_of(priced, OPTIONS | {"mip_rel_gap": 0.0, "mip_abs_gap": 1e-6}, whole=True)
    highs.run()
    assert is_optimal(highs)
    return float(highs.getInfo().objective_function_value)


@pytest.mark.parametrize("seed", [1, 3])
def test_a_look_around_known_counts_keeps_every_rule_and_never_loses(seed):
    blocks, gained_usd = blocks_of(seed), 0.0
    prices = np.linspace(2.0, 9.0, blocks.meeting.size)
    for block in blocks.sites:
        site = Site(block, OPTIONS)
        relaxed = site.price(prices)
        assert relaxed is not None
        begun = site.settle(prices, relaxed.brings, Effort(1e6, 1, 1, 0))
        assert begun is not None
        found = site.polish(prices, relaxed.brings, begun, ROOT)
        assert found is not None
        counts = np.flatnonzero(block.program.integer)
        assert np.abs(found[counts] - np.round(found[counts])).max() < 1e-6
        assert np.abs(found[counts] - begun[counts]).max() <= ROOT.reach + 1e-6
        held = highs_of(fixed(block.program, counts, found[counts]), OPTIONS)
        held.run()
        assert is_optimal(held), "the counts keep every rule of the site"
        before, after = (worth_usd(block, prices, relaxed.brings, x) for x in (begun, found))
        assert after >= before - 1e-3
        gained_usd += after - before
    assert gained_usd > 1.0


@pytest.mark.parametrize("seed", [1, 3])
def test_a_ceiling_lies_between_the_optimum_and_the_relaxation_and_is_lower_than_that_somewhere(seed):
    blocks, lowered_usd = blocks_of(seed), 0.0
    prices = np.linspace(2.0, 9.0, blocks.meeting.size)
    for block in blocks.sites:
        site = Site(block, OPTIONS)
        relaxed = site.price(prices)
        assert relaxed is not None
        ceiling_usd = site.tighten(prices, Effort(0.0, 1))
        assert ceiling_usd >= optimum(block, prices) - 1e-4
        assert ceiling_usd <= relaxed.value_usd + 1e-4
        lowered_usd += relaxed.value_usd - ceiling_usd
    assert lowered_usd > 1.0


def test_large_fleets_are_looked_at_for_longer():
    assert looks_at(FEW_COUNTS) == LOOKS
    assert looks_at(FEW_COUNTS + 1) == LOOKS + DEEPER
    nodes = [look.effort.nodes for look in LOOKS + DEEPER if look.how == "polish"]
    assert nodes == sorted(nodes)
