"""GPU containers: what their nodes make them draw, worked out by hand: nodes of 8 kW, two to a container of 3 kW."""

from datetime import timedelta

import numpy as np
import pytest
from by_hand import START, cohorts, pool, problem, site, solved, values

from models.contract import FixedPrice
from models.cooling import Cooling
from models.feeder import Feeder
from models.site import SafeProfile
from models.state import PoolState
from models.workload import InteractiveWorkload
from optimizer.audit import audit
from optimizer.fallback import rule_plan, safe_plan
from optimizer.formulation import build
from optimizer.recovery import recover
from optimizer.solve import optimise
from service.documents import failsafe

CHAT = InteractiveWorkload(
    name="chat", price_usd_per_mwork=10.0, routing_usd_per_mwork={"texas": 0.0}, model="llama", unserved_usd_per_mwork=0.0
)
DRAWS_KW = (0, 11, 19, 30, 38)
"""Of so many nodes on, without work."""


def boxed(**changes):
    return pool(**{"nodes_per_container": 2, "container_base_w": 3000} | changes)


def asked(*pools, tokens=(10**9, 10**9), more=None, **world):
    return problem(site(gpu_pools=pools, **more or {}), workloads=[CHAT], demand={"chat": tokens}, **world)


def plans(of):
    result = optimise(of, gap=1e-6, budget_s=20, now=START)
    assert result.ending == "planned", result.why
    found = [result.plan, rule_plan(of, START), safe_plan(of, START)]
    for plan in found:
        assert audit(of, plan).broken == ()
    return found


@pytest.mark.parametrize("nodes", range(5))
def test_a_container_draws_from_its_first_node_on(nodes):
    compiled = build(asked(boxed()))
    x = solved(compiled, nodes_on=[[nodes, 0]], node_work=[[0, 0]])
    assert values(compiled, x, "draw").tolist() == [[pytest.approx(DRAWS_KW[nodes]), 0]]
    assert boxed().power_w(nodes, 8000) == 1000 * DRAWS_KW[nodes]


def test_as_many_nodes_fit_as_draw_no_more_than_the_room():
    for room_w in range(0, 80_000, 500):
        fits = boxed().fitting(room_w, 8000)
        assert boxed().power_w(fits, 8000) <= room_w < boxed().power_w(fits + 1, 8000)


def test_containers_are_cooled_as_their_nodes_are():
    warm = Cooling(base_pue_milli=1250)
    for basis, factor in (("it", 1.25), ("all_in", 1.0)):
        compiled = build(asked(boxed(cooling=warm, power_basis=basis)))
        x = solved(compiled, nodes_on=[[3, 1]], node_work=[[0, 0]])
        assert values(compiled, x, "draw")[0] == pytest.approx(np.array([30, 11]) * factor)


def test_nobody_opens_an_empty_container_where_power_is_paid_for():
    of = asked(boxed(), tokens=(0, 0), more={"contract": FixedPrice(price_usd_per_mwh=-500.0)})
    compiled = build(of)
    x = solved(compiled, nodes_on=[[0, 2]])
    assert values(compiled, x, "containers_on").tolist() == [[0, 1]]


def test_the_limit_counts_the_container_to_the_watt():
    for limit_w, most in ((29_999, 2), (30_000, 3)):
        of = asked(boxed(node_span_w=0), more={"connection_limit_w": limit_w})
        for plan in plans(of)[:2]:
            assert plan.sites["pecos"].pools["nodes"].nodes_on == (most, most)
            assert plan.sites["pecos"].draw_w[0] == plan.sites["pecos"].inference_w[0] == 1000 * DRAWS_KW[most]


def test_a_feeder_carries_the_container_too():
    feeder = Feeder(name="line", limit_w=20_000, members=("nodes",))
    of = asked(boxed(node_span_w=0), more={"feeders": (feeder,)})
    for plan in plans(of)[:2]:
        assert plan.sites["pecos"].pools["nodes"].nodes_on == (2, 2)


@pytest.mark.parametrize(("limit_w", "stay"), [(38_000, 4), (37_999, 3), (29_999, 2), (18_999, 1), (10_999, 0)])
def test_as_many_young_nodes_stay_as_fit_with_their_containers(limit_w, stay):
    young = {"nodes": PoolState(started=cohorts((4, 60)))}
    of = asked(boxed(min_up_s=7200), more={"connection_limit_w": limit_w}, pools=young, draw_w=38_000)
    records = recover(of).records
    assert [(r.rule, r.step, r.shortfall, r.unit) for r in records] == ([("min_up", 0, 4 - stay, "nodes")] if stay < 4 else [])
    for plan in plans(of):
        assert plan.sites["pecos"].pools["nodes"].nodes_on[0] >= stay


def test_money_pays_for_the_container():
    """A node earns 36 USD an hour; at 3 MWh of base an hour and 60 USD each, the first of a container does not pay."""
    of = asked(boxed(container_base_w=3_000_000), more={"connection_limit_w": 9_000_000})
    best, rule, _ = plans(of)
    assert best.sites["pecos"].pools["nodes"].nodes_on == (0, 0)
    assert sum(best.money_by_term_usd.values()) >= sum(rule.money_by_term_usd.values())


def test_the_failsafe_leaves_room_for_containers():
    """In the worst heat two nodes of 10 kW and their container draw 23 kW, a third one 36."""
    here = site(gpu_pools=(boxed(),), safe=SafeProfile(gpu_share=1.0))
    for limit_w, nodes in ((23_000, 2), (22_999, 1), (35_999, 2), (36_000, 3)):
        assert failsafe(here, limit_w, timedelta(hours=2)).nodes_on == {"nodes": nodes}


@pytest.mark.parametrize("half", [{"nodes_per_container": 2}, {"container_base_w": 3000}])
def test_half_a_description_of_containers_is_refused(half):
    with pytest.raises(ValueError, match="expected nodes_per_container and a container_base_w above 0, or neither"):
        pool(**half)
