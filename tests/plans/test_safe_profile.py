"""The safe profile has one reading: what a plan of it holds is what a controller falls back to."""

from datetime import timedelta

import pytest
from by_hand import START, group, pool, problem, site

from models.site import SafeProfile
from optimizer.fallback import safe_plan
from service.documents import failsafe

LIMIT_W = 20_000_000


@pytest.mark.parametrize(
    ("share", "blocks", "nodes"), [(0.29, 29, 8), (0.95, 95, 28), (0.58, 58, 17), (0.0, 0, 0), (1.0, 100, 30)]
)
def test_a_plan_of_the_safe_profile_and_a_controller_on_its_own_run_as_many_machines(share, blocks, nodes):
    """No more than their share of 100 blocks and of 30 nodes; 0.29 and 0.58 of 100 are a little less as floats."""
    here = site(
        connection_limit_w=LIMIT_W, asic_groups=(group(blocks=100),), gpu_pools=(pool(nodes=30),),
        safe=SafeProfile(mining_share=share, gpu_share=share),
    )  # fmt: skip
    made, alone = safe_plan(problem(here), START).sites["pecos"], failsafe(here, LIMIT_W, timedelta(hours=2))
    assert made.groups["row"].mode_blocks["eco"][-1] == alone.mode_blocks["row"].get("eco", 0) == blocks
    assert made.pools["nodes"].nodes_on[-1] == alone.nodes_on["nodes"] == nodes
