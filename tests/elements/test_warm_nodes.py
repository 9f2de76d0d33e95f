"""Warm nodes, on figures worked out by hand: 8 kW on, 1 kW warm; half an hour to load, a minute to wake."""

import numpy as np
import pytest
from by_hand import START, alone, cohorts, pool, problem, site, solved, usd, values

from models.availability import Outage, Pin
from models.cooling import Cooling
from models.state import PoolState
from models.workload import InteractiveWorkload
from optimizer.audit import audit
from optimizer.elements.gpu import gpu_inference
from optimizer.explain import explain, ground
from optimizer.fallback import rule_plan, safe_plan
from optimizer.formulation import build
from optimizer.solve import optimise
from optimizer.valuation import broken, place_sites

CHAT = InteractiveWorkload(
    name="chat", price_usd_per_mwork=10.0, routing_usd_per_mwork={"texas": 0.0}, model="llama", unserved_usd_per_mwork=0.0
)
GIB = 1 << 30


def sleeper(**changes):
    given = {"warm_w": 1000, "wake_s": 60, "load_s": 1800, "min_up_s": 3600, "start_cost_usd": 5.0}
    return pool(**given | changes)


def asked(made, *, on=(), warm=0, tokens=None, more=None, **world):
    steps = len(world.get("step_s", (0, 0)))
    states = {"nodes": PoolState(started=cohorts(*on), nodes_warm=warm)}
    demand = {"chat": tokens or (10**9,) * steps}
    return problem(site(gpu_pools=(made,), **more or {}), workloads=[CHAT], demand=demand, pools=states, **world)


def course(of, on, warm):
    """Most work and the start costs with a given course of nodes, or None where that is unlawful."""
    compiled = alone(gpu_inference, of)
    x = solved(compiled, {"node_work": 1.0, "node_wake": -1e-6}, nodes_on=[on], nodes_warm=[warm])
    return None if x is None else (values(compiled, x, "node_work")[0].tolist(), usd(compiled, x, "gpu_start_cost").tolist())


def told_by_the_audit(of, on, warm):
    """What the audit says of a course without work, with all that follows from it told right; and the rows that it breaks."""
    plan = rule_plan(of, START)
    made = plan.sites["pecos"].pools["nodes"].model_copy(update={"nodes_on": on, "nodes_warm": warm, "work_per_h": {}})
    here = plan.sites["pecos"].model_copy(update={"pools": {"nodes": made}})
    plan = plan.model_copy(update={"sites": {"pecos": here}})
    compiled = build(of)
    rows = [r.label for r in broken(compiled, place_sites(of, compiled, plan.sites))]
    said = [line for line in audit(of, plan).broken if "nodes: " in line]
    return said, rows


def test_a_node_that_wakes_serves_after_a_minute_and_one_that_starts_after_half_an_hour():
    of = asked(sleeper(), on=((2, 90_000),), warm=1)
    work, money = course(of, (3, 3), (0, 0))
    assert work == pytest.approx([3 - 60 / 3600, 3])
    assert money == [0, 0]
    work, money = course(of, (4, 4), (0, 0))
    assert work == pytest.approx([4 - 0.5 - 60 / 3600, 4])
    assert money == [-5, 0]
    work, money = course(of, (3, 3), (1, 1))  # one loads, nobody wakes
    assert work == pytest.approx([2.5, 3])
    assert money == [-5, 0]


def test_a_wake_is_over_with_its_step():
    of = asked(sleeper(wake_s=300), warm=1, step_s=(60, 3600, 3600))
    assert course(of, (1, 1, 1), (0, 0, 0))[0] == pytest.approx([0, 1, 1])
    assert course(of, (0, 1, 1), (1, 0, 0))[0] == pytest.approx([0, 1 - 300 / 3600, 1])


@pytest.mark.parametrize(
    ("on", "warm", "words"),
    [
        ((0, 0), (1, 0), "nodes get warm that were off"),
        ((0, 0), (3, 3), None),
        ((2, 0), (0, 3), "stop before they ran 3600 s"),
        ((3, 3), (2, 0), "5 nodes on or warm, there are 4"),
        ((0, 0), (0, 0), None),
    ],
)
def test_only_nodes_that_are_on_and_have_run_their_minimum_get_warm(on, warm, words):
    before = {"on": ((3, 90_000),)} if words is None else {}
    of = asked(sleeper(), **before)
    assert (course(of, on, warm) is None) == (words is not None)
    said, rows = told_by_the_audit(of, on, warm)
    assert bool(rows) == (words is not None)
    assert [line for line in said if words and words in line] or words is None


def test_young_nodes_of_the_state_stay_on_until_their_minimum_run_is_over():
    of = asked(sleeper(), on=((1, 600),), step_s=(1800, 1800, 1800))
    assert course(of, (1, 0, 0), (0, 1, 0)) is None
    assert course(of, (1, 1, 0), (0, 0, 1)) is not None
    said, rows = told_by_the_audit(of, (1, 0, 0), (0, 1, 1))
    assert rows
    assert any("of the state must go on" in line for line in said)


def test_what_is_warm_is_in_service_and_beside_the_pin():
    out = Outage(name="o", site="pecos", machine="nodes", count=3, start=START)
    of = asked(sleeper(), on=((4, 90_000),), outages=(out,))
    assert course(of, (0, 0), (1, 1)) is not None
    assert course(of, (1, 1), (1, 1)) is None
    assert "in service" in told_by_the_audit(of, (1, 1), (1, 1))[0][0]
    pin = Pin(name="p", owner="ann", site="pecos", machine="nodes", count=2, expires=START.replace(hour=20))
    of = asked(sleeper(), on=((4, 90_000),), pins=(pin,))
    assert course(of, (2, 2), (2, 1)) is not None
    assert course(of, (1, 2), (2, 1)) is None


def test_warm_nodes_draw_their_own_power_with_cooling_and_keep_their_container_on():
    made = sleeper(cooling=Cooling(base_pue_milli=1250), nodes_per_container=2, container_base_w=3000)
    compiled = build(asked(made, on=((3, 90_000),), warm=1))
    x = solved(compiled, nodes_on=[[1, 0]], nodes_warm=[[2, 1]], node_work=[[0, 0]])
    assert values(compiled, x, "draw")[0] == pytest.approx(np.array([8 + 2 + 2 * 3, 1 + 3]) * 1.25)


def test_a_node_is_put_by_over_an_hour_without_work():
    """Half a node's work, nothing, half a node's work: 18 USD an hour; warm costs 0.06 USD, idle 0.48, a start 5."""
    of = asked(sleeper(), on=((1, 90_000),), tokens=(1_800_000, 0, 1_800_000), step_s=(3600,) * 3)
    result = optimise(of, gap=1e-6, budget_s=20, now=START)
    assert result.ending == "planned", result.why
    made = result.plan.sites["pecos"].pools["nodes"]
    assert (made.nodes_on, made.nodes_warm) == ((1, 0, 1), (0, 1, 0))
    assert result.plan.sites["pecos"].draw_w == (9_000, 1_000, 9_000)
    assert result.plan.profit_usd == pytest.approx(2 * (18 - 0.54) - 0.06, abs=1e-4)
    for plan in (rule_plan(of, START), safe_plan(of, START)):
        assert audit(of, plan).broken == ()
        assert plan.sites["pecos"].pools["nodes"].nodes_warm == (0, 0, 0)


def test_warmth_is_explained_with_what_the_other_choices_cost():
    of = asked(sleeper(), on=((1, 90_000),), tokens=(1_800_000, 0, 1_800_000), step_s=(3600,) * 3)
    plan = optimise(of, gap=1e-6, budget_s=20, now=START).plan
    why = explain(ground(of, plan, deadline_s=20, memory_bytes=GIB), "pecos", 1, deadline_s=30)
    assert "nodes has 0 of 4 nodes on and 1 warm" in why.reason
    change = {a.move: a.change_usd for a in why.alternatives}
    assert change["serve_more"] == pytest.approx(-0.42, abs=0.02)  # at the hub price a waking minute is worth a cent
    assert change["warm_more"] <= 0
    assert change["warm_less"] <= 0


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"warm_w": 8001}, "expected warm_w of at most node_fixed_w 8000"),
        ({"wake_s": 300, "load_s": 200}, "wake_s of at most load_s 200"),
        ({"wake_s": 301}, "less than or equal to 300"),
        ({"warm_w": None}, "expected 0 without warm_w, got 60"),
    ],
)
def test_warmth_that_makes_no_sense_is_refused(wrong, words):
    with pytest.raises(ValueError, match=words):
        sleeper(**wrong)


@pytest.mark.parametrize(
    ("made", "warm", "words"),
    [(pool(), 1, "nodes_warm: expected 0, as the pool has no warm_w, got 1"), (sleeper(), 5, "0 nodes are on and 5 warm")],
)
def test_a_state_with_nodes_that_cannot_be_warm_is_refused(made, warm, words):
    with pytest.raises(ValueError, match=words):
        asked(made, warm=warm)
