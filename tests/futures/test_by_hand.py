"""Futures whose best decisions, tails and values can be worked out by hand."""

from fractions import Fraction
from itertools import product

import pytest
from by_hand import START, group, pool, problem, site

from models.asic import Mode
from models.contract import IndexPrice
from models.futures import Future, Futures, Risk, mean_problem
from models.reserve import Reserve
from models.workload import InteractiveWorkload
from optimizer.declare import STEPS
from optimizer.formulation import formulate
from optimizer.futures import optimise_futures

EXACT = {"gap": 1e-7, "budget_s": 30, "now": START}
ECO = Mode(name="eco", miner_power_w=3000, miner_hash_th_per_s=100.0)


def hour_of_hashing(usd_per_mwh=20.0, **machines):
    """One hour; a block of 1 PH/s earns 2 USD in it and takes 0.03 MWh at an index."""
    here = site(contract=IndexPrice(index="hub"), asic_groups=(group(**{"blocks": 1, "modes": (ECO,)} | machines),))
    return problem(here, step_s=(3600,), hashprice=48.0, prices={"hub": (usd_per_mwh,)})


def priced(*chances, recourse_after_s=0):
    """Futures of one hour: (probability in ppm, USD/MWh)."""
    scenarios = [
        Future(name=f"at-{n}", probability_ppm=ppm, prices_usd_per_mwh={"hub": (usd,)}) for n, (ppm, usd) in enumerate(chances)
    ]
    return Futures(name="prices", recourse_after_s=recourse_after_s, scenarios=tuple(scenarios))


def blocks(found, name="row"):
    """Blocks in each mode in the first step of the published plan."""
    return {mode: counts[0] for mode, counts in found.plan.sites["pecos"].groups[name].mode_blocks.items()}


@pytest.mark.parametrize(
    ("weight", "level", "runs", "objective_usd"),
    [
        (0.0, 0.8, 1, 0.92),  # 0.8 x 1.4 - 0.2 x 1.0
        (0.47, 0.8, 1, 0.53 * 0.92 - 0.47),  # the worst fifth loses 1 USD
        (0.49, 0.8, 0, 0.0),  # at weights above 0.92 / 1.92 nobody hashes
        (1.0, 0.8, 0, 0.0),
        (1.0, 0.6, 1, 0.2),  # the worst two fifths: (0.2 x -1.0 + 0.2 x 1.4) / 0.4
    ],
)
def test_the_tail_of_one_block_by_hand(weight, level, runs, objective_usd):
    """At 20 USD/MWh the hour earns 1.40 USD, at 100 USD/MWh it loses 1.00 USD."""
    chances = priced((800_000, 20.0), (200_000, 100.0))
    result = optimise_futures(hour_of_hashing(), chances, Risk(weight_share=weight, level_share=level), **EXACT)
    assert blocks(result.found) == {"eco": runs}
    assert result.found.objective_usd == pytest.approx(objective_usd, abs=1e-6)
    assert result.found.bound_usd == pytest.approx(objective_usd, abs=1e-5)


def test_the_tail_at_weight_one_equals_the_best_of_all_decisions():
    """Three blocks, two modes, four prices: the best of all ten decisions by exact tails, at several levels."""
    chances = [(350_000, -15.0), (300_000, 35.0), (250_000, 62.0), (100_000, 240.0)]
    turbo = Mode(name="turbo", miner_power_w=5000, miner_hash_th_per_s=150.0)
    for level in (0.0, 0.5, 0.75, 0.9, 0.95):
        tails = {}
        for eco, fast in product(range(4), repeat=2):
            if eco + fast <= 3:
                mwh, ph = Fraction(3 * eco + 5 * fast, 100), Fraction(2 * eco + 3 * fast, 2)
                tails[eco, fast] = tail([(ppm, 2 * ph - mwh * int(usd)) for ppm, usd in chances], Fraction(str(level)))
        here = hour_of_hashing(35.0, blocks=3, modes=(ECO, turbo))
        found = optimise_futures(here, priced(*chances), Risk(weight_share=1.0, level_share=level), **EXACT).found
        best = max(tails.values())
        assert found.cvar_usd == pytest.approx(float(best), abs=1e-6)
        assert float(tails[tuple(blocks(found).values())]) == pytest.approx(float(best), abs=1e-6)


def tail(profits, level):
    """The mean of the worst share of profits, exactly."""
    left = whole = (1 - level) * 1_000_000
    total = Fraction(0)
    for ppm, usd in sorted(profits, key=lambda profit: profit[1]):
        part = min(left, ppm)
        total, left = total + part * usd, left - part
    return total / whole


def nodes_for_a_rush():
    """Two hours. A node that serves in the second must load in the first: 1 USD to start, 0.96 USD to be on.

    A rush asks for two nodes' work in the second hour; a node's work then earns 7.20 USD less 0.12 USD of power.
    """
    work = InteractiveWorkload(
        name="chat", model="llama", price_usd_per_mwork=2.0, unserved_usd_per_mwork=0.0, routing_usd_per_mwork={"texas": 0.0}
    )
    nodes = pool(load_s=3600, min_up_s=3600, start_cost_usd=1.0)
    return problem(site(gpu_pools=(nodes,)), workloads=(work,), demand={"chat": (0, 0)})


def rush(recourse_after_s=7200):
    return Futures(
        name="rush",
        recourse_after_s=recourse_after_s,
        scenarios=(
            Future(name="rush", probability_ppm=500_000, demand_work_per_h={"chat": (0, 7_200_000)}),
            Future(name="calm", probability_ppm=500_000),
        ),
    )


def test_nodes_that_must_load_ahead_by_hand():
    """Each of two nodes earns 0.5 x 7.08 - 1.96 = 1.58 USD; for the mean of the futures one node would be started.

    Who knew the rush would start both then, and none otherwise: 0.5 x 2 x (7.08 - 1.96) = 5.12 USD.
    """
    found = optimise_futures(nodes_for_a_rush(), rush(), knowledge=True, **EXACT).found
    assert found.plan.sites["pecos"].pools["nodes"].nodes_on == (2, 2)
    assert found.objective_usd == pytest.approx(3.16, abs=1e-4)
    assert [s.profit_usd for s in found.scenarios] == pytest.approx([2 * (7.08 - 1.96), -2 * 1.96], abs=1e-4)
    assert found.knowledge.stochastic_usd == pytest.approx(1.58, abs=1e-4)
    assert found.knowledge.perfect_usd == pytest.approx(1.96, abs=1e-4)


def test_with_recourse_after_the_first_hour_idle_nodes_are_stopped():
    """In the calm future both nodes stop after the hour that they loaded: 1.48 USD each instead of 1.96."""
    found = optimise_futures(nodes_for_a_rush(), rush(recourse_after_s=3600), **EXACT).found
    calm = found.scenarios[1].plan.sites["pecos"].pools["nodes"]
    assert calm.nodes_on == (2, 0)
    assert found.scenarios[1].profit_usd == pytest.approx(-2 * 1.48, abs=1e-4)
    assert found.plan.sites["pecos"].pools["nodes"].nodes_on == (2, 0)  # the base problem is the calm future


def test_prices_of_what_is_decided_once_are_solved_at_their_mean():
    found = optimise_futures(hour_of_hashing(), priced((800_000, 20.0), (200_000, 100.0)), **EXACT).found
    assert found.solved.startswith("no recourse")
    assert blocks(found) == {"eco": 1}
    assert found.expected_usd == pytest.approx(0.92, abs=1e-9)
    assert [s.profit_usd for s in found.scenarios] == pytest.approx([1.4, -1.0])
    assert found.gap_usd == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize(("cheap_ppm", "promised_kw", "objective_usd"), [(800_000, 30, 4.48), (500_000, 0, 0.2 + 0.7 + 1.4)])
def test_what_is_promised_holds_in_every_future(cheap_ppm, promised_kw, objective_usd):
    """An hour of hashing earns 1.40 USD where power is cheap and loses 1.00 USD where it is dear.

    Thirty kW in reserve for the third and fourth hour bring 0.60 USD, and keep the miners running there: 2.00 USD lost where
    power is dear. At 0.8 for cheap that is 0.8 x 3.40 - 0.2 x 1.40 = 2.44 USD against 2.24 USD; at 0.5 it is less than 1.40.
    """
    ready = Reserve(
        name="ecrs", block_hours=2, notice_s=600, duration_s=3600, capacity_usd_per_mw_h=10.0, claw_back_usd_per_mw_h=30.0
    )
    miners = group(blocks=1, modes=(ECO,), warm_up_s=0, start_wear_usd=0.0)
    here = site(contract=IndexPrice(index="hub"), reserves=(ready,), asic_groups=(miners,))
    base = problem(here, step_s=(3600,) * 4, hashprice=48.0, prices={"hub": (20.0,) * 4})
    futures = Futures(
        name="promise",
        recourse_after_s=0,
        scenarios=(
            Future(name="cheap", probability_ppm=cheap_ppm),
            Future(name="dear", probability_ppm=1_000_000 - cheap_ppm, prices_usd_per_mwh={"hub": (100.0,) * 4}),
        ),
    )
    found = optimise_futures(base, futures, **EXACT).found
    for plan in (found.plan, *(made.plan for made in found.scenarios)):
        assert sum(offer.kw for offer in plan.sites["pecos"].reserves) == promised_kw
    assert found.objective_usd == pytest.approx(objective_usd, abs=1e-5)
    dear = found.scenarios[1].plan.sites["pecos"].groups["row"].mode_blocks["eco"]
    assert dear == (1, 0, *((1, 1) if promised_kw else (0, 0)))


def test_the_mean_of_problems_is_theirs_where_they_agree_and_whole_for_work():
    here = nodes_for_a_rush()
    busy, calm = rush().problems(here)
    mean = mean_problem([(300_000, busy), (700_000, calm)])
    assert mean.demand_work_per_h["chat"] == (0, 2_160_000)
    assert mean.hashprice_usd_per_ph_day == here.hashprice_usd_per_ph_day
    assert mean_problem([(300_000, calm), (700_000, here)]) is here  # nothing differs


def test_every_whole_decision_says_when_it_is_taken():
    """A new count must not become recourse by being forgotten; containers and sales follow from nodes and draws."""
    follows = {"containers_on", "selling"}
    for variable in formulate().variables.values():
        if variable.integer:
            assert (variable.stage == "follows") == (variable.name in follows), variable.name
        if variable.stage in ("commitment", "set_point", "service"):
            assert variable.over[-1] == STEPS, variable.name
