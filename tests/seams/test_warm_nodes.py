"""Warm nodes between plan, document, controller, machines and the state of the next plan."""

from datetime import timedelta
from itertools import pairwise
from random import Random

import pytest
from by_hand import START, cohorts, pool, problem, site

from models.availability import Outage
from models.setpoint import SetPoint
from models.state import PoolState
from models.workload import InteractiveWorkload
from optimizer.audit import audit
from optimizer.fallback import carry_over
from optimizer.solve import optimise
from scenarios.feed import initial_state
from scenarios.rolling import Course, roll
from service.documents import sealed, site_document
from service.in_force import InForce
from service.simulate import SimulatedSite
from service.site_client import SiteClient
from service.state_carry import Observed, carried_state
from service.store.records import TelemetryPoint

HOUR = timedelta(hours=1)
MIN = timedelta(minutes=1)
CHAT = InteractiveWorkload(
    name="chat", price_usd_per_mwork=10.0, routing_usd_per_mwork={"texas": 0.0}, model="llama", unserved_usd_per_mwork=0.0
)


@pytest.fixture(scope="module")
def planned():
    """Two nodes busy, one put by, two busy, none: what pays."""
    made = pool(warm_w=1000, wake_s=60, load_s=1800, min_up_s=3600, start_cost_usd=5.0)
    of = problem(
        site(gpu_pools=(made,)), workloads=[CHAT], demand={"chat": (5_400_000, 1_800_000, 5_400_000, 0)}, step_s=(3600,) * 4,
        pools={"nodes": PoolState(started=cohorts((2, 90_000)))}, draw_w=16_000,
    )  # fmt: skip
    plan = optimise(of, gap=1e-6, budget_s=20, now=START).plan
    assert plan.sites["pecos"].pools["nodes"].nodes_on == (2, 1, 2, 0)
    assert plan.sites["pecos"].pools["nodes"].nodes_warm == (0, 1, 0, 0)
    return of, plan


def document(of, plan) -> SetPoint:
    return site_document(
        plan, of.fleet.sites[0], version=1, epoch=1, issued=START, input_digest=of.digest, audit=audit(of, plan)
    )  # fmt: skip


def carried(of, plan, at, points=()):
    told = InForce(1, plan, of, {"pecos": START + 4 * HOUR})
    seen = {"pecos": Observed(points=tuple(points))}
    assumed = initial_state(of.fleet, at).sites
    return carried_state(of.fleet, [told], seen, now=at, at=at, assumed=assumed).sites["pecos"].pools["nodes"]


def test_a_document_says_how_many_are_warm_and_a_controller_takes_it(planned):
    of, plan = planned
    told = document(of, plan)
    assert [step.nodes_warm for step in told.steps[:2]] == [{"nodes": 0}, {"nodes": 1}]
    assert told.failsafe.nodes_on == {"nodes": 4}
    client = SiteClient(of.fleet.sites[0], None, None, lambda: START)
    assert client.faults(told) == []


def test_a_controller_refuses_more_warm_nodes_than_there_are_or_can_be(planned):
    of, plan = planned
    told = document(of, plan)
    crowded = told.steps[1].model_copy(update={"nodes_warm": {"nodes": 4}})
    client = SiteClient(of.fleet.sites[0], None, None, lambda: START)
    said = client.faults(sealed(told.model_copy(update={"steps": (told.steps[0], crowded, *told.steps[2:])})))
    assert said == ["step 05 13:00: 5 nodes of nodes, there are 4"]
    cold = of.fleet.sites[0].model_copy(update={"gpu_pools": (pool(),)})
    assert "step 05 13:00: 1 warm nodes of nodes, whose nodes are on or off" in SiteClient(
        cold, None, None, lambda: START
    ).faults(told)


def test_machines_do_what_they_are_told_and_draw_what_was_planned(planned):
    of, plan = planned
    plant = SimulatedSite(of.fleet.sites[0], lambda _at: 20.0, Random(1))
    plant.begin(of.state.sites["pecos"], START)
    assert plant.measure(START).nodes_warm == {"nodes": 0}
    steps = document(of, plan).steps
    for step in steps:
        plant.apply(step, step.start)
        shown = plant.measure(step.start)
        assert (shown.nodes_on, shown.nodes_warm) == (step.nodes_on, step.nodes_warm)
        assert shown.draw_w == pytest.approx(step.draw_w, abs=2)
    assert plant.stopped_early == []
    plant.fail_safe(document(of, plan).failsafe, START + 4 * HOUR)
    assert plant.measure(START + 4 * HOUR).nodes_warm == {"nodes": 0}


def test_the_next_plan_begins_with_as_many_warm_nodes_as_were_commanded(planned):
    of, plan = planned
    state = carried(of, plan, START + HOUR + MIN)
    assert (state.nodes_on, state.nodes_warm) == (1, 1)


def test_who_woke_did_not_start_and_may_stop_at_once(planned):
    of, plan = planned
    state = carried(of, plan, START + 2 * HOUR + MIN)
    assert (state.nodes_on, state.nodes_warm) == (2, 0)
    assert all(cohort.since <= START + HOUR + MIN for cohort in state.started)


def test_what_is_measured_outranks_what_was_commanded(planned):
    of, plan = planned
    at = START + HOUR + 10 * MIN
    point = TelemetryPoint(at=at - MIN, draw_w=17_000, nodes_on={"nodes": 2}, nodes_warm={"nodes": 1})
    state = carried(of, plan, at, [point])
    assert (state.nodes_on, state.nodes_warm) == (2, 1)
    assert max(cohort.since for cohort in state.started) == at - MIN  # one more is loaded than was: that one started
    silent = TelemetryPoint(at=at - MIN, draw_w=9_000, nodes_on={"nodes": 1})
    assert carried(of, plan, at, [silent]).nodes_warm == 1


def busy(seed: int):
    """A pool whose demand comes and goes, so that it pays to put nodes by, with starts before and warm ones in the state."""
    rng = Random(seed)
    made = pool(
        nodes=5, warm_w=1000, wake_s=rng.choice((0, 60, 300)), load_s=rng.choice((600, 1800, 5400)),
        min_up_s=rng.choice((5400, 7200)), start_cost_usd=rng.choice((0.5, 5.0)),
        **({"nodes_per_container": 2, "container_base_w": 2_500} if rng.random() < 0.5 else {}),
    )  # fmt: skip
    length_s = rng.choice((900, 1800, 3600))
    state = {"nodes": PoolState(started=cohorts((1, 90_000), (1, rng.choice((300, 3600)))), nodes_warm=rng.randint(0, 3))}
    rates = tuple(3_600_000 * rng.randint(0, 4) + rng.choice((0, 900_000)) for _ in range(16))
    here = site(gpu_pools=(made,), connection_limit_w=rng.choice((38_000, 200_000)))
    return problem(here, workloads=[CHAT], demand={"chat": rates}, step_s=(length_s,) * 16, pools=state, draw_w=16_000)


def test_plans_joined_from_their_first_steps_keep_every_rule_of_warmth():
    warm = woken = 0
    for seed in range(4):
        rolled = roll(busy(seed), Course(steps=6, window=8, gap=1e-4, budget_s=20))
        assert rolled.broken == ()
        assert all(replan.basis == "optimised" for replan in rolled.replans)
        nodes = rolled.joined.sites["pecos"].pools["nodes"]
        warm += sum(nodes.nodes_warm)
        woken += sum(a > b for a, b in pairwise((0, *nodes.nodes_warm)))
    assert warm > 4
    assert woken > 1


def test_what_is_left_of_a_plan_keeps_its_nodes_warm(planned):
    of, plan = planned
    later = of.model_copy(update={"name": "later"})
    left = carry_over(later, plan, START)
    assert left is not None
    assert audit(later, left).passed
    nodes = left.sites["pecos"].pools["nodes"]
    assert (nodes.nodes_on, nodes.nodes_warm) == ((2, 1, 2, 0), (0, 1, 0, 0))
    assert carried(later, left, START + HOUR + MIN).nodes_warm == 1
    woken = carried(later, left, START + 2 * HOUR + MIN)
    assert (woken.nodes_on, woken.nodes_warm) == (2, 0)
    assert left.money_by_term_usd.get("gpu_start_cost", 0.0) == plan.money_by_term_usd.get("gpu_start_cost", 0.0) == 0.0


def test_what_is_left_of_a_plan_lets_its_warm_nodes_go_where_there_is_no_room(planned):
    of, plan = planned
    one_out = Outage(name="o", site="pecos", machine="nodes", count=3, start=START + HOUR, end=START + 2 * HOUR)
    left = carry_over(of.model_copy(update={"outages": (one_out,)}), plan, START)
    assert left is not None
    assert left.sites["pecos"].pools["nodes"].nodes_warm == (0, 0, 0, 0)
    assert "without its warm nodes" in left.reasons[0]


def test_what_is_left_of_a_plan_keeps_no_node_warm_that_can_be_warm_no_more(planned):
    of, plan = planned
    cold = of.fleet.sites[0].gpu_pools[0].model_copy(update={"warm_w": None})
    changed = of.fleet.sites[0].model_copy(update={"gpu_pools": (cold,)})
    left = carry_over(of.model_copy(update={"fleet": of.fleet.model_copy(update={"sites": (changed,)})}), plan, START)
    assert left is not None
    assert left.sites["pecos"].pools["nodes"].nodes_warm is None
