"""Later looks at one site: a tree around known counts never loses, and ceilings from its root are never below the optimum."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.fleets import fleet
from benchmarks.measuring import arrays_of
from optimizer.blocks import Block, Blocks, program_of, split
from optimizer.formulation import build
from optimizer.highs_models import highs_of, is_optimal
from optimizer.integers import Aim, Answer, Effort, Site, fixed, stiffness
from optimizer.looks import DEEPER, FEW_COUNTS, LEAST_GAIN, LOOKS, hands_over, looks_at
from optimizer.one_model import enough
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


def relaxed_sites(seed: int) -> Iterator[tuple[Block, Site, np.ndarray, Answer]]:
    """Blocks of a tight fleet, each as a site, with prices of the meeting rows and what its relaxation does at them."""
    blocks = blocks_of(seed)
    prices = np.linspace(2.0, 9.0, blocks.meeting.size)
    for block in blocks.sites:
        site = Site(block, OPTIONS)
        relaxed = site.price(prices)
        assert relaxed is not None
        yield block, site, prices, relaxed


@pytest.mark.parametrize("seed", [1, 3])
def test_a_look_around_known_counts_keeps_every_rule_and_never_loses(seed):
    gained_usd = 0.0
    for block, site, prices, relaxed in relaxed_sites(seed):
        begun = site.settle(prices, Aim.at(relaxed.brings), Effort(1e6, 1, 1, 0))
        assert begun is not None
        found = site.polish(prices, Aim.at(relaxed.brings), begun, ROOT)
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
    lowered_usd = 0.0
    for block, site, prices, relaxed in relaxed_sites(seed):
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


def test_a_small_fleet_goes_on_as_a_whole_where_polishing_its_sites_wins_little():
    moves, polish = (next(look for look in LOOKS if look.how == how) for how in ("exchange", "polish"))
    assert hands_over(FEW_COUNTS, polish, 0.9 * LEAST_GAIN, 1.0)
    assert not hands_over(FEW_COUNTS, polish, LEAST_GAIN, 1.0)
    assert not hands_over(FEW_COUNTS, moves, 0.0, 1.0)
    assert not hands_over(FEW_COUNTS + 1, polish, 0.0, 1.0)


USD = st.floats(1.0, 1e8) | st.floats(-1e8, -1.0)


@given(bound=USD, gap=st.floats(0.0, 0.9), beside=st.sampled_from([-1e-3, -1e-6, 1e-6, 1e-3]))
def test_an_objective_is_enough_just_where_the_gap_is_as_asked(bound, gap, beside):
    least = enough(bound, gap)
    objective = least + beside * abs(least)
    assert (bound - objective <= gap * abs(objective)) == (beside > 0)


@pytest.mark.parametrize("window", [1, 2])
def test_counts_of_a_few_steps_refitted_keep_every_rule_and_win_what_single_moves_do_not(window):
    gained_usd, short_usd = 0.0, 0.0
    for seed in (1, 3):
        for block, site, prices, relaxed in relaxed_sites(seed):
            aim = Aim.at(relaxed.brings)
            begun = site.settle(prices, aim, Effort(1e6, 1, 1, 0))
            assert begun is not None
            moved = site.exchange(prices, aim, begun, Effort(0.0, 0, moves=60))
            assert moved is not None
            found = site.refit(prices, aim, moved, Effort(0.5, 50, window=window))
            before = worth_usd(block, prices, relaxed.brings, moved)
            short_usd += relaxed.value_usd - before
            if found is None:
                continue
            counts = np.flatnonzero(block.program.integer)
            assert np.abs(found[counts] - np.round(found[counts])).max() < 1e-6
            held = highs_of(fixed(block.program, counts, found[counts]), OPTIONS)
            held.run()
            assert is_optimal(held), "the counts keep every rule of the site"
            after = worth_usd(block, prices, relaxed.brings, found)
            assert after >= before - 1e-3
            gained_usd += after - before
    assert gained_usd > 0.01 * short_usd


def test_no_tree_is_grown_where_no_window_could_win_enough():
    for block, site, prices, relaxed in relaxed_sites(1):
        aim = Aim.at(relaxed.brings)
        begun = site.settle(prices, aim, Effort(1e6, 1, 1, 0))
        assert begun is not None
        could_win_usd = relaxed.value_usd - worth_usd(block, prices, relaxed.brings, begun)
        assert site.refit(prices, aim, begun, Effort(could_win_usd + 1.0, 50)) is None
