"""GPU pools alone, on figures worked out by hand."""

import numpy as np
import pytest
from by_hand import alone, cohorts, pool, problem, site, solved, usd, values

from models.cooling import Cooling
from models.state import PoolState
from models.workload import InteractiveWorkload
from optimizer.contribution import power_at
from optimizer.elements.gpu import gpu_inference
from optimizer.sets import Release

CHAT = InteractiveWorkload(
    name="chat", price_usd_per_mwork=1.0, routing_usd_per_mwork={"texas": 0.0}, model="llama", unserved_usd_per_mwork=0.0
)


def asked(*pools, **world):
    """A problem in which there is something for the pools to do."""
    steps = len(world.get("step_s", (0, 0)))
    return problem(site(gpu_pools=pools), workloads=[CHAT], demand={"chat": (10**9,) * steps}, **world)


def serving(*pools, **world):
    release = {"release": world.pop("release")} if "release" in world else {}
    return alone(gpu_inference, asked(*pools, **world), **release)


def most_work(compiled, *nodes_on):
    """Most work in each step with a given course of nodes, or None where that is impossible."""
    x = solved(compiled, {"node_work": 1.0}, nodes_on=[nodes_on])
    return None if x is None else values(compiled, x, "node_work")[0].tolist()


def test_a_node_serves_when_its_model_is_loaded_within_a_long_step():
    compiled = serving(pool(load_s=600, min_up_s=600))
    assert most_work(compiled, 3, 3) == pytest.approx([3 * (1 - 600 / 3600), 3])
    assert most_work(compiled, 1, 3) == pytest.approx([1 - 600 / 3600, 1 + 2 * (1 - 600 / 3600)])


def test_loading_takes_minutes_also_where_steps_are_short():
    compiled = serving(pool(load_s=750, min_up_s=900), step_s=(300, 300, 300, 3600))
    assert most_work(compiled, 2, 2, 2, 2) == pytest.approx([0, 0, 2 * 150 / 300, 2])


def test_loading_longer_than_an_hour_spills_over():
    compiled = serving(pool(load_s=5400, min_up_s=5400))
    assert most_work(compiled, 1, 1) == pytest.approx([0, 0.5])
    assert most_work(compiled, 1, 0) is None


def test_nodes_that_were_loading_before_the_plan_go_on_loading():
    state = {"nodes": PoolState(started=cohorts((2, 600), (1, 90_000)))}
    compiled = serving(pool(load_s=1800, min_up_s=1800), pools=state)
    assert most_work(compiled, 3, 3) == pytest.approx([3 - 2 * 1200 / 3600, 3])
    assert most_work(compiled, 1, 1) is None  # two are held for 1200 s more
    assert most_work(compiled, 2, 0) == pytest.approx([2 - 2 * 1200 / 3600, 0])


def test_nodes_run_at_least_min_up():
    compiled = serving(pool(min_up_s=3600), step_s=(1800, 1800, 1800))
    assert most_work(compiled, 2, 1, 1) is None
    assert most_work(compiled, 2, 2, 0) == pytest.approx([2, 2, 0])


def test_what_a_recovery_releases_no_longer_holds_or_loads():
    state = {"nodes": PoolState(started=cohorts((2, 600), (1, 1200)))}
    free = serving(pool(load_s=1800, min_up_s=7200), pools=state, release=Release(nodes={("pecos", "nodes"): (1, 1)}))
    assert most_work(free, 1, 1) == pytest.approx([1 - 1200 / 3600, 1])
    assert most_work(free, 0, 0) is None


def power_kw(of, ambient=20.0, **fixed):
    def metered(model):
        part = gpu_inference(model)
        model.variable("power", "SITES", "STEPS")

        @model.constraint("SITES", "STEPS")
        def adds_up(m, s, t):
            return m.power[s, t] == power_at([part], m, s, t)

    compiled = alone(metered, asked(of, ambient=ambient))
    return values(compiled, solved(compiled, {}, **fixed), "power")[0].tolist()


def test_power_is_fixed_by_node_and_rises_with_work():
    warm = Cooling(base_pue_milli=1200, rise_milli_per_c=10, above_c=25.0)
    assert power_kw(pool(), nodes_on=[[2, 0]], node_work=[[1.5, 0]]) == pytest.approx([2 * 8 + 1.5 * 2, 0])
    assert power_kw(pool(cooling=warm), ambient=30.0, nodes_on=[[2, 0]], node_work=[[1.5, 0]]) == pytest.approx([19 * 1.25, 0])
    all_in = pool(cooling=warm, power_basis="all_in")
    assert power_kw(all_in, ambient=30.0, nodes_on=[[2, 0]], node_work=[[1.5, 0]]) == pytest.approx([19, 0])


def test_a_start_costs_money_once():
    compiled = serving(pool(start_cost_usd=25.0), pools={"nodes": PoolState(started=cohorts((1, 9000)))})
    x = solved(compiled, nodes_on=[[3, 3]])
    assert usd(compiled, x, "gpu_start_cost").tolist() == [-50.0, 0.0]


def test_nothing_runs_in_the_dark():
    compiled = serving(pool(), limits={"pecos": (1_000_000, 0)})
    energised_below_floor = problem(site(gpu_pools=(pool(),), base_load_w=1), limits={"pecos": (1, 0)})
    assert most_work(compiled, 2, 2) == [2, 2]  # limit 0 is enough for a floor of 0: the meter forbids it, not darkness
    assert most_work(alone(gpu_inference, energised_below_floor), 1, 1) is None


def test_pools_that_can_serve_nothing_burn_no_power_with_idle_work():
    compiled = serving(pool(throughput_tokens_per_s={"mistral": 500}))
    assert compiled.columns["supplied"].size == 0
    assert most_work(compiled, 4, 4) == [0, 0]


def test_pools_of_one_hub_are_supplied_together_and_others_apart():
    twins = (pool(name="a"), pool(name="b"), pool(name="c", throughput_tokens_per_s={"llama": 2000}))
    compiled = serving(*twins)
    assert compiled.columns["supplied"].shape == (2, 2)
    x = solved(compiled, {}, node_work=[[1, 0], [2, 0], [3, 4]], nodes_on=[[4, 4]] * 3)
    assert values(compiled, x, "supplied") == pytest.approx(np.array([[3, 0], [3, 4]]))
