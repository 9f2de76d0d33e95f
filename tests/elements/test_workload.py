"""Workloads and hubs alone, on figures worked out by hand."""

from datetime import timedelta

import numpy as np
import pytest
from by_hand import START, alone, pool, problem, site, solved, usd, values

from models.contract import FixedPrice
from models.state import Lot
from models.workload import BatchWorkload, InteractiveWorkload, Latency, ReservedWorkload
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


def test_residency_and_latency_part_the_pools_into_hubs():
    """Two sites of one region in two countries, and one far away: each rule closes some of them, and splits their hub."""
    here = site(gpu_pools=(pool(name="a"),))
    abroad = site(name="juarez", country="MX", gpu_pools=(pool(name="a"),))
    far = site(name="kiruna", region="nordic", country="SE", gpu_pools=(pool(name="a"),))
    routes = {"routing_usd_per_mwork": {"texas": 0.25, "nordic": 0.25}}
    table = {"austin": {"texas": 20, "nordic": 130}, "oslo": {"texas": 120, "nordic": 25}}
    everyone = [("pecos", "a"), ("juarez", "a"), ("kiruna", "a")]

    def hubs_of(*workloads):
        named = [w.model_copy(update={"name": f"w{n}"}) for n, w in enumerate(workloads)]
        demand = {w.name: (0, 0) for w in named}
        return [list(h.pools) for h in hubs(problem(here, abroad, far, workloads=named, demand=demand, latency_ms=table))]

    anywhere = CHAT.model_copy(update=routes)
    at_home = anywhere.model_copy(update={"countries": ("US", "SE")})
    near = anywhere.model_copy(update={"latency": Latency(users="austin", most_ms=20)})
    nearly = anywhere.model_copy(update={"latency": Latency(users="austin", most_ms=130)})
    assert hubs_of(anywhere) == hubs_of(nearly) == [everyone]
    assert hubs_of(at_home) == [[everyone[0], everyone[2]]]
    assert hubs_of(near) == [everyone[:2]]
    assert hubs_of(anywhere, at_home, near) == [[everyone[0]], [everyone[1]], [everyone[2]]]


def served_at(workload, most_ms=None, countries=None):
    """Nodes on by site: power is cheap in the north and dear in Texas, where the users are; 2 nodes' work is asked."""
    workload = workload.model_copy(
        update={
            "routing_usd_per_mwork": {"texas": 0.0, "nordic": 0.0}, "countries": countries,
            "latency": None if most_ms is None else Latency(users="austin", most_ms=most_ms),
        }
    )  # fmt: skip
    cheap = FixedPrice(price_usd_per_mwh=6.0)
    of = problem(
        site(gpu_pools=(pool(name="a"),)),
        site(name="kiruna", region="nordic", country="SE", gpu_pools=(pool(name="b"),), contract=cheap),
        workloads=[workload], demand={"chat": (7_200_000, 7_200_000)}, latency_ms={"austin": {"texas": 20, "nordic": 130}},
    )  # fmt: skip
    compiled = build(of)
    x = solved(compiled)
    profit = sum(term.usd(x).sum() for term in compiled.money.values())
    return values(compiled, x, "nodes_on")[:, 0].round().tolist(), profit


def test_work_goes_where_it_may_though_power_is_dearer_there():
    """2 nodes of 10 kW for 2 hours cost 2.40 USD at 60 USD/MWh and 0.24 at 6; 14.4 Mtok earn 28.80 USD."""
    assert served_at(CHAT) == ([0, 2], pytest.approx(28.8 - 0.24))
    assert served_at(CHAT, most_ms=130, countries=("US", "SE")) == ([0, 2], pytest.approx(28.8 - 0.24))
    assert served_at(CHAT, most_ms=129) == ([2, 0], pytest.approx(28.8 - 2.4))
    assert served_at(CHAT, countries=("US",)) == ([2, 0], pytest.approx(28.8 - 2.4))


def test_a_workload_that_no_site_may_serve_is_refused():
    texas = site(gpu_pools=(pool(),))
    swedish = CHAT.model_copy(update={"countries": ("SE",)})
    with pytest.raises(ValueError, match=r"chat: expected a site that may serve it, got none for regions .*, countries \['SE'\]"):
        problem(texas, workloads=[swedish], demand={"chat": (0, 0)})
    hasty = CHAT.model_copy(update={"latency": Latency(users="austin", most_ms=19)})
    with pytest.raises(ValueError, match=r"got none for regions \['texas'\], at most 19 ms from austin"):
        problem(texas, workloads=[hasty], demand={"chat": (0, 0)}, latency_ms={"austin": {"texas": 20}})
    with pytest.raises(ValueError, match=r"chat: expected latency_ms.austin for its regions, missing \['texas'\]"):
        problem(texas, workloads=[hasty], demand={"chat": (0, 0)})


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
