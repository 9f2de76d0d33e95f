"""Workloads and hubs alone, on figures worked out by hand."""

from datetime import timedelta

import numpy as np
import pytest
from by_hand import START, alone, pool, problem, site, solved, usd, values

from models.state import Lot
from models.workload import BatchWorkload, InteractiveWorkload, ReservedWorkload
from optimizer.contribution import Contribution
from optimizer.elements.hub import hub_balances
from optimizer.elements.workload import inference_demand
from optimizer.formulation import build
from optimizer.hubs import hubs

CHAT = InteractiveWorkload(
    name="chat", price_usd_per_mwork=2.0, routing_usd_per_mwork={"texas": 0.25}, model="llama", unserved_usd_per_mwork=5.0
)
TAGS = BatchWorkload(
    name="tags",
    price_usd_per_mwork=1.0,
    routing_usd_per_mwork={"texas": 0.0},
    model="llama",
    deadline_s=5400,
    late_usd_per_mwork_h=0.5,
)
RENT = ReservedWorkload(
    name="rent", price_usd_per_mwork=3.0, routing_usd_per_mwork={"texas": 0.0}, gpu_type="h100", unserved_usd_per_mwork=4.0
)
M = 1_000_000


def asked(*workloads, demand, **world):
    return alone(inference_demand, problem(site(gpu_pools=(pool(),)), workloads=workloads, demand=demand, **world))


def test_prompt_work_is_served_or_unserved():
    compiled = asked(CHAT, demand={"chat": (3 * M, 5 * M)}, step_s=(3600, 900))
    x = solved(compiled, routed=[[3, 4]])
    assert values(compiled, x, "unserved").tolist() == [[0, 1]]
    assert usd(compiled, x, "inference_revenue") == pytest.approx([3 * 2, 4 * 2 / 4])
    assert usd(compiled, x, "unserved_penalty") == pytest.approx([0, -1 * 5 / 4])
    assert usd(compiled, x, "routing_cost") == pytest.approx([-3 * 0.25, -4 * 0.25 / 4])
    assert solved(compiled, routed=[[3.1, 4]]) is None


def test_rented_nodes_are_paid_whether_used_or_not():
    compiled = asked(RENT, demand={"rent": (2 * M, 1 * M)}, step_s=(3600, 1800))
    for routed, credited in (([[2, 1]], [0, 0]), ([[0, 0.5]], [-8, -0.5 * 4 / 2])):
        x = solved(compiled, routed=routed)
        assert usd(compiled, x, "reserved_revenue") == pytest.approx([6, 1.5])
        assert usd(compiled, x, "unserved_penalty") == pytest.approx(credited)
    assert compiled.offset == pytest.approx(7.5)
    assert "chat" not in compiled.axes["WORKLOADS"]


def late(demand, routed, *, step_s, deadline_s, backlog=()):
    tags = TAGS.model_copy(update={"deadline_s": deadline_s})
    compiled = asked(tags, demand={"tags": demand}, step_s=step_s, backlog={"tags": tuple(backlog)})
    x = solved(compiled, routed=[routed])
    if x is None:
        return None
    overdue, waiting = values(compiled, x, "late")[0], values(compiled, x, "backlog")[0]
    hours = np.array(step_s) / 3600
    assert usd(compiled, x, "late_penalty") == pytest.approx(-0.5 * overdue * hours)
    assert usd(compiled, x, "inference_revenue") == pytest.approx(np.array(routed) * hours)
    return waiting.tolist(), overdue.tolist()


def test_batch_work_waits_until_its_deadline_and_is_late_after_it():
    # 6 M arrive evenly in the first hour; at its end none is due, half an hour later what came in its first half is
    waiting, overdue = late((6 * M, 0, 0), (0, 0, 0), step_s=(3600, 1800, 3600), deadline_s=3600)
    assert waiting == [6, 6, 6]
    assert overdue == pytest.approx([0, 3, 6])
    assert late((6 * M, 0, 0), (0, 6, 3), step_s=(3600, 1800, 3600), deadline_s=3600)[1] == [0, 0, 0]


def test_batch_work_comes_at_its_rate_for_the_length_of_the_step():
    assert late((6 * M, 4 * M), (1, 2), step_s=(3600, 1800), deadline_s=90_000) == ([5, 5 + 2 - 1], [0, 0])


def test_batch_work_with_no_time_is_late_at_the_end_of_its_step():
    assert late((6 * M, 0), (4, 0), step_s=(3600, 3600), deadline_s=0) == ([2, 2], [2, 2])


def test_batch_work_is_never_done_before_it_comes():
    assert late((6 * M, 2 * M), (6.1, 0), step_s=(3600, 3600), deadline_s=3600) is None
    assert late((6 * M, 2 * M), (6, 2), step_s=(3600, 3600), deadline_s=3600) == ([0, 0], [0, 0])


def test_work_that_waited_before_the_plan_keeps_its_own_deadline():
    lots = [Lot(work=4 * M, due=START + timedelta(hours=1)), Lot(work=1 * M, due=START + timedelta(minutes=61))]
    assert late((0, 0), (0, 0), step_s=(3600, 3600), deadline_s=60, backlog=lots) == ([5, 5], [4, 5])
    overdue = [Lot(work=4 * M, due=START - timedelta(hours=1))]
    assert late((0, 0), (4, 0), step_s=(3600, 3600), deadline_s=60, backlog=overdue) == ([0, 0], [0, 0])


def test_a_fleet_without_workloads_asks_nothing():
    compiled = asked(demand={})
    assert compiled.matrix.shape == (0, 0)
    assert compiled.offset == 0


def pools_of(problem_):
    return [hub.pools for hub in hubs(problem_)]


def test_a_hub_is_pools_with_the_same_work_at_the_same_cost():
    same, faster, other = pool(name="a"), pool(name="b", throughput_tokens_per_s={"llama": 2000}), pool(name="c", gpu_type="b200")
    texas = site(gpu_pools=(same, faster, other))
    twin = site(name="abilene", gpu_pools=(same,))
    north = site(name="kiruna", region="nordic", gpu_pools=(same, pool(name="idle", throughput_tokens_per_s={"mistral": 1})))
    demand = {"chat": (0, 0)}
    everywhere = {"texas": 0.25, "nordic": 0.25}
    here = CHAT.model_copy(update={"routing_usd_per_mwork": everywhere})
    kinds = [("pecos", "a"), ("pecos", "c"), ("abilene", "a"), ("kiruna", "a")]
    assert pools_of(problem(texas, twin, north, workloads=[here], demand=demand)) == [tuple(kinds), (("pecos", "b"),)]
    dearer = CHAT.model_copy(update={"routing_usd_per_mwork": everywhere | {"nordic": 0.5}})
    far = pools_of(problem(texas, twin, north, workloads=[dearer], demand=demand))
    assert far == [(("pecos", "a"), ("pecos", "c"), ("abilene", "a")), (("pecos", "b"),), (("kiruna", "a"),)]
    rented = problem(texas, twin, north, workloads=[CHAT, RENT], demand=demand | {"rent": (0, 0)})
    assert pools_of(rented) == [(("pecos", "a"), ("abilene", "a")), (("pecos", "b"),), (("pecos", "c"),)]


def test_a_hub_does_exactly_the_work_that_is_routed_to_it():
    of = problem(
        site(gpu_pools=(pool(name="a"), pool(name="b", throughput_tokens_per_s={"llama": 2000}))),
        workloads=[CHAT, RENT],
        demand={"chat": (9 * M, 0), "rent": (2 * M, 0)},
    )

    def coupled(model):
        demand = inference_demand(model)
        model.variable("nodes", "HUBS", "STEPS")
        supply = Contribution(work_nodes=lambda m, h, t: m.nodes[h, t])
        hub_balances(model, [supply, demand])

    compiled = alone(coupled, of)
    # routes in order: chat to hub 0 (3.6 M tokens per node-hour), chat to hub 1 (7.2 M), rent to both (1 node each)
    x = solved(compiled, routed=[[1.8, 0], [7.2, 0], [0.5, 0], [1.5, 0]])
    assert values(compiled, x, "nodes") == pytest.approx(np.array([[1.8 / 3.6 + 0.5, 0], [7.2 / 7.2 + 1.5, 0]]))


def test_routing_through_hubs_is_exact():
    """Two pools of one hub do together what they could do one by one: 3 + 1 nodes' worth, and no more."""
    of = problem(
        site(gpu_pools=(pool(name="a", nodes=3),)),
        site(name="abilene", gpu_pools=(pool(name="b", nodes=1),)),
        workloads=[CHAT],
        demand={"chat": (100 * M, 100 * M)},
    )
    compiled = build(of)
    x = solved(compiled, {"routed": 1.0})
    assert values(compiled, x, "routed")[0] == pytest.approx([4 * 3.6, 4 * 3.6])
