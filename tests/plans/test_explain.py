"""Explanations say in USD what was really computed: by hand on two-step worlds, and against other solvers on random ones."""

import random
import sys
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from by_hand import cohorts, group, pool, problem, site
from scipy.optimize import Bounds, LinearConstraint, milp
from worlds import world

from models.contract import FixedPrice
from models.explanation import Explanation
from models.problem import Problem
from models.state import PoolState
from models.workload import InteractiveWorkload, ReservedWorkload
from optimizer.compiled import Compiled
from optimizer.explain import Ground, UnexplainedError, UnpricedError, explain, ground
from optimizer.fallback import rule_plan
from optimizer.formulation import build
from optimizer.hubs import hubs
from optimizer.moves import alternatives
from optimizer.reasons import smallest_unit_w
from optimizer.recovery import recover
from optimizer.sets import world as world_of
from optimizer.solve import optimise
from optimizer.variants import Variant, solve_variants
from optimizer.worker import GIB

NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)


def planned(given: Problem) -> Ground | None:
    made = optimise(given, gap=1e-6, budget_s=30.0, now=NOW)
    return None if made.plan is None else ground(given, made.plan, deadline_s=30.0, memory_bytes=GIB)


def mining(limit_w: int, price: float, **more) -> Problem:
    """Two blocks; one earns 2 USD/h for 30 kW in eco, 3 USD/h for 50 kW in turbo."""
    contract = FixedPrice(price_usd_per_mwh=price)
    return problem(site(asic_groups=(group(),), connection_limit_w=limit_w, contract=contract), **more)


def explained(given: Problem, step: int = 0) -> Explanation:
    on = planned(given)
    assert on is not None
    return explain(on, "pecos", step)


def test_one_block_in_turbo_and_a_limit_between_two():
    """At 40 USD/MWh eco leaves 0.80, turbo 1.00 USD/h; 90 kW hold one of each, worth 1.80; 140 kW hold two turbo, worth 2.00."""
    told = explained(mining(90_000, 40.0))
    assert told.marginal_usd_per_mwh == pytest.approx(10.0)  # turbo in place of eco: 0.20 USD for 20 kWh
    assert told.next_block.block_w == 50_000
    assert told.next_block.value_usd_per_mwh == pytest.approx(4.0)  # 0.20 USD for 50 kWh
    changes = {(a.move, a.fits): a.change_usd for a in told.alternatives}
    assert changes == {
        ("lower_mode", True): pytest.approx(-0.20),
        ("stop_block", True): pytest.approx(-0.80),
        ("raise_mode", False): None,
    }
    assert told.next_best is not None
    assert told.next_best.move == "lower_mode"
    assert told.binding == ("the limit of 0.090 MW (connection) leaves 0.010 MW",)
    assert told.reason == (
        "row runs 1 in eco, 1 in turbo of 2 blocks; draws 0.080 of 0.090 MW; next best: lower a block of row from turbo to eco, "
        "-0.20 USD; the limit of 0.090 MW (connection) leaves 0.010 MW; "
        "a block of 0.050 MW more limit is worth 4.00 USD/MWh (+0.20 USD)"
    )
    assert told.left_usd == pytest.approx(0.0, abs=1e-6)


def test_break_evens_are_those_of_the_pocket_calculator():
    told = explained(mining(90_000, 40.0))
    by_mode = {b.mode: b for b in told.break_evens}
    assert by_mode["eco"].power_usd_per_mwh == pytest.approx(2000 / 30)  # 2 USD for 30 kWh
    assert by_mode["turbo"].power_usd_per_mwh == pytest.approx(60.0)
    assert by_mode["turbo"].step_up_usd_per_mwh == pytest.approx(50.0)  # 1 USD more for 20 kWh more
    assert by_mode["eco"].hashprice_usd_per_ph_day == pytest.approx(28.8)  # 30 kW x 24 h x 0.04 USD
    assert by_mode["turbo"].hashprice_usd_per_ph_day == pytest.approx(32.0)
    assert told.energy_usd_per_mwh == pytest.approx(40.0)


@pytest.mark.parametrize(("limit_w", "price", "words"), [(150_000, 40.0, "0.050 MW are free"), (60_000, 55.0, "none pays")])
def test_more_limit_that_brings_nothing_is_said_to_be_worth_nothing(limit_w: int, price: float, words: str):
    told = explained(mining(limit_w, price))
    assert told.next_block.value_usd_per_mwh == 0.0
    assert told.marginal_usd_per_mwh == pytest.approx(0.0)
    assert words in told.next_block.words


def test_a_dark_site_wakes_up_with_a_block_more():
    """A base load of 10 kW does not fit under 5 kW; with 55 kW a block runs in eco: 0.80 USD less 0.40 for the base load."""
    given = mining(90_000, 40.0, limits={"pecos": (5_000, 90_000)})
    base = given.fleet.sites[0].model_copy(update={"base_load_w": 10_000})
    given = given.model_copy(update={"fleet": given.fleet.model_copy(update={"sites": (base,)})})
    told = explained(given)
    assert told.binding == ("dark: the limit of 0.005 MW lies below base load and sleep",)
    assert told.next_block.value_usd_per_mwh == pytest.approx(0.40 / 0.05)


@pytest.mark.parametrize(("limit_w", "value"), [(1_000_000, 1.0 - 10 * 0.06 / 3.6), (20_000, -2.0)])
def test_one_more_million_tokens_earn_price_less_power_or_cost_the_penalty(limit_w: int, value: float):
    """Two nodes serve all that is asked for 10 kW each; where the limit holds no third, more is unserved at 2 USD."""
    chat = InteractiveWorkload(
        name="chat", model="llama", price_usd_per_mwork=1.0, unserved_usd_per_mwork=2.0, routing_usd_per_mwork={"texas": 0.0}
    )
    here = site(gpu_pools=(pool(),), connection_limit_w=limit_w)
    asked = 7_200_000 if limit_w > 20_000 else 7_300_000
    told = explained(problem(here, workloads=[chat], demand={"chat": (asked, asked)}))
    assert told.workloads[0].value_usd_per_mwork == pytest.approx(value)


CHAT = InteractiveWorkload(
    name="chat", model="llama", price_usd_per_mwork=1.0, unserved_usd_per_mwork=0.2, routing_usd_per_mwork={"texas": 0.25}
)


@pytest.mark.parametrize(
    ("start_cost_usd", "limit_w", "fits", "value"),
    [
        (0.0, 1_000_000, True, (3.6 * 0.75 - 0.6) / 3.6),  # a second node of 10 kW at 60 USD/MWh
        (1.5, 1_000_000, True, (3.6 * 0.75 - 0.6 - 1.5) / 3.6),  # it has to be started for this hour alone
        (4.0, 1_000_000, True, -0.2),  # which costs more than leaving the work unserved
        (0.0, 19_999, False, -0.2),  # and here the limit holds no second node
    ],
)
def test_a_nodes_work_more_is_worth_its_price_less_what_the_site_loses(start_cost_usd, limit_w, fits, value):
    """One node is on and busy with what is asked; the block is the 3.6 Mtok of another."""
    nodes = pool(nodes=2, start_cost_usd=start_cost_usd)
    given = problem(
        site(gpu_pools=(nodes,), connection_limit_w=limit_w), workloads=[CHAT], demand={"chat": (3_600_000,) * 2},
        pools={"nodes": PoolState(started=cohorts((1, 90_000)))}, draw_w=10_000,
    )  # fmt: skip
    told = explained(given).workloads[0]
    assert told.next_block.mwork == pytest.approx(3.6)
    assert (told.next_block.fits, told.next_block.value_usd_per_mwork) == (fits, pytest.approx(value))


def test_work_within_the_nodes_that_are_on_costs_only_their_slope_and_rented_nodes_are_paid_anyhow():
    """Two nodes must stay on, one is busy: the second's work draws 2 kW more for 0.12 USD; a rented one is paid at 3 USD."""
    rent = ReservedWorkload(
        name="rent", gpu_type="h100", price_usd_per_mwork=3.0, unserved_usd_per_mwork=1.0, routing_usd_per_mwork={"texas": 0.0}
    )
    given = problem(
        site(gpu_pools=(pool(nodes=2, min_up_s=7_200),)), workloads=[CHAT, rent],
        demand={"chat": (3_600_000,) * 2, "rent": (0, 0)}, pools={"nodes": PoolState(started=cohorts((2, 0)))}, draw_w=10_000,
    )  # fmt: skip
    chat, rented = explained(given).workloads
    assert chat.next_block.value_usd_per_mwork == pytest.approx((3.6 * 0.75 - 0.12) / 3.6)
    assert (rented.next_block.mwork, rented.next_block.value_usd_per_mwork) == (pytest.approx(1.0), pytest.approx(3.0 - 0.12))


def test_where_a_workload_may_not_be_served_there_is_no_block_of_it():
    north = site(name="kiruna", region="nordic", country="SE", gpu_pools=(pool(),))
    given = problem(north, site(gpu_pools=(pool(),)), workloads=[CHAT], demand={"chat": (3_600_000,) * 2})
    on = planned(given)
    assert explain(on, "kiruna", 0).workloads[0].next_block is None
    assert explain(on, "pecos", 0).workloads[0].next_block is not None


def test_what_is_not_there_cannot_be_explained():
    given = mining(90_000, 40.0)
    on = planned(given)
    assert on is not None
    with pytest.raises(UnexplainedError, match="the plan has no site"):
        explain(on, "atlantis", 0)
    with pytest.raises(UnexplainedError, match="expected 0 to 1, got 2"):
        explain(on, "pecos", 2)
    with pytest.raises(UnexplainedError, match="another problem"):
        ground(mining(90_000, 41.0), on.plan, deadline_s=5.0, memory_bytes=GIB)
    with pytest.raises(UnpricedError, match="could not be found"):
        ground(given, on.plan, deadline_s=0.001, memory_bytes=GIB)


def test_without_time_nothing_is_guessed():
    on = planned(mining(90_000, 40.0))
    assert on is not None
    told = explain(on, "pecos", 0, deadline_s=0.001)
    assert told.next_best is None
    assert told.marginal_usd_per_mwh is None
    assert told.next_block.value_usd_per_mwh is None
    assert all(a.change_usd is None for a in told.alternatives)
    assert not told.is_whole
    others = f"{sum(a.fits for a in told.alternatives)} of {len(told.alternatives)} other uses"
    assert told.missing[:4] == ("the best schedule of the site", "one more MW", "the next block", others)


def best(compiled: Compiled, forced: Variant | None = None) -> float | None:
    """The optimum of another solver's front door: scipy's."""
    low, high = compiled.col_lower.copy(), compiled.col_upper.copy()
    if forced is not None:
        low[forced.columns], high[forced.columns] = forced.lower, forced.upper
    if (low > high).any():
        return None
    rows = LinearConstraint(compiled.matrix, compiled.row_lower, compiled.row_upper)
    options = {"mip_rel_gap": 0.0}
    found = milp(
        -compiled.cost, integrality=compiled.integer.astype(int), bounds=Bounds(low, high), constraints=rows, options=options
    )
    assert found.status in (0, 2), found.message
    return None if found.x is None else compiled.objective(found.x)


def with_more(given: Problem, name: str, step: int, by_w: int) -> Problem:
    """The problem with another limit in one step, by way of its own fields: connection, series and orders."""
    here = world_of(given, [name])
    limits = here.effective_limit_w[0].tolist()
    limits[step] += by_w
    old = given.fleet.site_by_name[name]
    sites = tuple(
        s.model_copy(update={"connection_limit_w": old.connection_limit_w + by_w}) if s.name == name else s
        for s in given.fleet.sites
    )
    orders = tuple(o.model_copy(update={"limit_w": 10**9}) if o.site == name else o for o in given.orders)
    return given.model_copy(
        update={
            "fleet": given.fleet.model_copy(update={"sites": sites}),
            "limit_w": {**given.limit_w, name: tuple(limits)},
            "orders": orders,
        }
    )


def cells(seeds: range):
    """Random worlds' sites and steps, those first whose limit binds."""
    for seed in seeds:
        given = world(random.Random(seed), sites=1 + seed % 3, steps=2 + seed % 4)
        given = given.model_copy(update={"outlook": {}})  # whose budgets follow the connection, which `with_more` changes
        if (on := planned(given)) is None:
            continue
        room = {(s, t): made.limit_w[t] - made.draw_w[t] for s, made in on.plan.sites.items() for t in range(given.grid.steps)}
        yield seed, on, min(room, key=lambda cell: room[cell])


def agrees(on: Ground, name: str, step: int) -> Explanation:
    """Return an explanation all of whose figures are what another solver finds on problems made in other ways."""
    told = explain(on, name, step)
    alone, x = on.site_alone(name)
    free = best(alone)
    assert free is not None
    near = 0.02 + 1e-6 * abs(free)
    assert told.left_usd == pytest.approx(free - alone.objective(x), abs=told.left_plus_minus_usd + near)
    others = {a.words: a for a in alternatives(on.problem.fleet.site_by_name[name], on.plan.sites[name], step)}
    for said in told.alternatives:
        there = best(alone, others[said.words.partition(":")[0]].forced(alone, step))
        assert said.fits == (there is not None), said
        if there is not None:
            assert said.change_usd == pytest.approx(there - free, abs=said.plus_minus_usd + near), said
    for said in told.workloads:
        if (block := said.next_block) is not None and block.fits:
            assert block.value_usd_per_mwork == pytest.approx(
                worth(on, alone, x, name, step, said.workload), abs=block.plus_minus_usd_per_mwork + near / block.mwork
            )
    if told.next_block.block_w:
        more = with_more(on.problem, name, step, told.next_block.block_w)
        raised = best(on.prices.priced(build(more, "sites", sites=[name], release=on.release)))
        assert raised is not None
        mwh = told.next_block.block_w / 1e6 * on.problem.grid.hours[step]
        close = told.next_block.plus_minus_usd_per_mwh + near / mwh
        assert told.next_block.value_usd_per_mwh == pytest.approx((raised - free) / mwh, abs=close)
    return told


def worth(on: Ground, alone: Compiled, x: np.ndarray, name: str, step: int, workload: str) -> float:
    """A node's work more of a workload at a site, per million units: by another solver, through whichever hub is best."""
    number = [w.name for w in on.problem.fleet.workloads].index(workload)
    asked = on.problem.fleet.workloads[number]
    found = [] if asked.kind == "batch" else [-asked.unserved_usd_per_mwork]
    if asked.kind == "reserved":
        found[0] += asked.price_usd_per_mwork
    for column in alone.columns["supplied"][:, step]:
        label = alone.column_label(column)
        hub = next(h for h in hubs(on.problem) if f"{name} {h.label}," in label)
        if number not in hub.work_per_node_h:
            continue
        usd = []
        for more in (0.0, 1.0):
            at_least = Variant(np.array([column]), np.array([x[column] + more]), np.array([np.inf]))
            usd.append(best(alone, at_least))
        if usd[1] is not None:
            mwork = hub.work_per_node_h[number] * on.problem.grid.hours[step] / 1e6
            cost = usd[0] - usd[1] + on.prices.node_usd[hub.label][step]
            found.append(asked.price_usd_per_mwork - hub.routing_usd_per_mwork[number] - cost / mwork)
    return max(found)


def test_on_random_worlds_every_figure_is_what_another_solver_finds():
    told = [agrees(on, name, step) for _, on, (name, step) in cells(range(12))]
    assert len(told) >= 6


@pytest.mark.long
@pytest.mark.timeout(1_800)
def test_a_hundred_binding_limits(capsys: pytest.CaptureFixture[str]):
    told: list[Explanation] = []
    seed = 100
    while len(told) < 100:
        given = world(random.Random(seed), sites=1 + seed % 3, steps=2 + seed % 4)
        given = given.model_copy(update={"outlook": {}})  # whose budgets follow the connection, which `with_more` changes
        seed += 1
        if (on := planned(given)) is None:
            continue
        for name, made in on.plan.sites.items():
            here = world_of(given, [name], on.release)
            held = (t for t in range(given.grid.steps) if made.limit_w[t] - made.draw_w[t] < smallest_unit_w(here, t))
            lit = [t for t in held if here.energised[0, t]]
            told += [agrees(on, name, t) for t in lit[:1]]
    nothing = [sum(t.next_block.value_usd_per_mwh == 0 for t in told), sum(not t.marginal_usd_per_mwh for t in told)]
    with capsys.disabled():
        print(f"\nof {len(told)} binding limits the next block is worth 0 at {nothing[0]}, the marginal MW at {nothing[1]}")
    assert nothing[0] < len(told)


def test_the_prices_of_hubs_take_the_fleet_apart_without_loss():
    """With what hubs carry paid at their prices, and nothing else joining the sites, the relaxed optimum is the same."""
    checked = 0
    for seed in range(10):
        given = world(random.Random(seed), sites=3, steps=3)
        on = ground(given, rule_plan(given, NOW), deadline_s=30.0, memory_bytes=GIB)
        if not (rows := on.fleet.rows["hub_balance"].ravel()).size:
            continue
        usd = np.concatenate([on.prices.node_usd[hub] for hub in on.fleet.axes["HUBS"]])
        lower, upper = on.fleet.row_lower.copy(), on.fleet.row_upper.copy()
        lower[rows], upper[rows] = -np.inf, np.inf
        whole = replace(on.fleet, integer=np.zeros_like(on.fleet.integer))
        apart = replace(whole, cost=whole.cost + on.fleet.matrix[rows].T @ usd, row_lower=lower, row_upper=upper)
        assert best(apart) == pytest.approx(best(whole), rel=1e-6, abs=1e-4), seed
        checked += 1
    assert checked >= 3


def relaxed(given: Problem) -> float:
    compiled = build(given, release=recover(given).release)
    found = best(replace(compiled, integer=np.zeros_like(compiled.integer)))
    assert found is not None
    return found


def test_no_change_of_demand_gains_more_than_its_value_says():
    """The relaxed optimum is concave in what is asked: its slope at the demand lies above it everywhere."""
    checked = 0
    for seed in range(30):
        given = world(random.Random(seed), sites=2, steps=3)
        if not given.fleet.workloads:
            continue
        on = ground(given, rule_plan(given, NOW), deadline_s=30.0, memory_bytes=GIB)
        now = relaxed(given)
        for workload in given.fleet.workloads:
            asked = given.demand_work_per_h[workload.name]
            for change in (-min(asked[1], 500_000), 500_000):
                other = (asked[0], asked[1] + change, *asked[2:])
                there = relaxed(given.model_copy(update={"demand_work_per_h": {**given.demand_work_per_h, workload.name: other}}))
                slope = on.prices.work_usd_per_mwork[workload.name][1] * change / 1e6 * given.grid.hours[1]
                assert there <= now + slope + 1e-6 * (1 + abs(now)), (seed, workload.name, change)
                checked += 1
        if checked > 20:
            return
    pytest.fail(f"only {checked} changes of demand were tried")


def test_a_child_that_dies_or_lies_leaves_everything_unknown():
    alone = build(mining(90_000, 40.0))
    for body in ("raise SystemExit(3)", "print('nonsense', flush=True)", "import time; time.sleep(60)"):
        (answer,) = solve_variants(alone, [Variant(is_relaxed=True)], deadline_s=1.0, program=(sys.executable, "-c", body))
        assert (answer.status, answer.x, answer.row_dual) == ("unknown", None, None)
