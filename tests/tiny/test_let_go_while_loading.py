"""Nodes that are let go while they load have nothing to keep warm: model, audit and enumeration agree, case by case.

One site of two nodes or three, whose last start is a few minutes ago, below an order that may not let them all go on; warm
nodes draw little or nothing, so that it would pay to have kept what was never loaded.
"""

from datetime import timedelta
from random import Random

import pytest
from exact import best_profit, integer_points
from worlds import START

from models.contract import FixedPrice
from models.fleet import Fleet
from models.gpu import GpuPool
from models.order import LimitOrder
from models.problem import Problem
from models.site import Site
from models.state import Cohort, PoolState, SiteState, State
from models.time_grid import TimeGrid
from models.workload import InteractiveWorkload
from optimizer.recovery import recover
from optimizer.solve import optimise

NODE_W = 8_000
CASES, LONG_CASES = 40, 1_000


def let_go(rng: Random) -> Problem:
    """Nodes that load or just loaded, some others warm, and an order from the first or the second step on."""
    step_s, steps = rng.choice((300, 600, 1_800)), rng.randint(2, 3)
    nodes = rng.randint(2, 3)
    load_s = rng.choice((600, 1_800, 5_400))
    pool = GpuPool(
        name="pool", gpu_type="b200", nodes=nodes, node_fixed_w=NODE_W, throughput_tokens_per_s={"mistral-7b": 20_000},
        load_s=load_s, min_up_s=load_s + rng.choice((0, 900)), start_cost_usd=rng.choice((0.0, 2.0)),
        warm_w=rng.choice((0, 500)), wake_s=rng.choice((0, 300)),
    )  # fmt: skip
    contract = FixedPrice(price_usd_per_mwh=rng.choice((35.0, 900.0)))
    site = Site(
        name="pecos", region="texas", country="US", zone="America/Chicago", ambient="inland", connection_limit_w=100_000,
        contract=contract, gpu_pools=(pool,),
    )  # fmt: skip
    chat = InteractiveWorkload(
        name="chat",
        model="mistral-7b",
        price_usd_per_mwork=1.2,
        routing_usd_per_mwork={"texas": 0.25},
        unserved_usd_per_mwork=0.1,
    )
    on = rng.randint(1, nodes)
    older = rng.randint(0, on - 1)
    ages_s = {rng.choice((60, 240, 700)): on - older, rng.choice((1_500, 9_000)): older}
    started = tuple(Cohort(count=n, since=START - timedelta(seconds=age_s)) for age_s, n in sorted(ages_s.items()) if n)
    now = PoolState(started=started, nodes_warm=rng.randint(0, nodes - on))
    begins_s = step_s * rng.randint(0, 1)
    order = LimitOrder(
        name="cut", site="pecos", start=START + timedelta(seconds=begins_s), limit_w=rng.choice((1_000, NODE_W + 1_000)),
        end=START + timedelta(seconds=begins_s + step_s),
    )  # fmt: skip
    state = SiteState(draw_w=NODE_W * on, pools={"pool": now}, source="measured", as_of=START)
    return Problem(
        name="let-go", grid=TimeGrid(start=START, step_s=(step_s,) * steps),
        fleet=Fleet(name="one", sites=(site,), workloads=(chat,)), hashprice_usd_per_ph_day=(50.0,) * steps,
        ambient_c={"inland": (20.0,) * steps}, demand_work_per_h={"chat": (rng.choice((72_000_000, 200_000_000)),) * steps},
        state=State(at=START, sites={"pecos": state}), orders=(order,),
    )  # fmt: skip


def compared(seed: str, cases: int) -> int:
    """Plan so many cases exactly in both ways; return in how many nodes were let go."""
    rng, forced = Random(seed), 0
    for number in range(cases):
        problem = let_go(rng)
        assert integer_points(problem) <= 2_000
        result = optimise(problem, gap=0.0, budget_s=60, now=START)
        assert result.plan is not None, f"{seed} {number}: {result.why}"
        assert result.ending == "planned", f"{seed} {number}: {result.why}"
        assert result.plan.profit_usd == pytest.approx(float(best_profit(problem)), abs=1e-5), f"{seed} {number}"
        forced += any(record.rule == "min_up" for record in recover(problem).records)
    return forced


def test_model_audit_and_enumeration_agree_on_nodes_let_go_while_they_load():
    assert compared("let go", CASES) >= CASES / 4


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_thousand_cases_agree():
    assert compared("let go at length", LONG_CASES) >= LONG_CASES / 4
