"""Plans that begin with what the last one left behind: as true as any other, whatever it says."""

from random import Random

import numpy as np
import pytest
from worlds import world

from benchmarks.fleets import fleet
from benchmarks.measuring import arrays_of
from models.plan import Plan
from models.problem import Problem
from optimizer import engine
from optimizer.audit import audit
from optimizer.beginning import KEEPS, Beginning, worth_keeping
from optimizer.blocks import MANY_SITES, Program, program_of, split
from optimizer.compiled import Compiled
from optimizer.engine import plan_fleet
from optimizer.formulation import build
from optimizer.hearing import fault_of
from optimizer.highs_models import highs_of
from optimizer.integers import Site, fixed
from optimizer.recovery import recover
from optimizer.solve import optimise
from optimizer.warm import Warm, beginning, left_behind
from optimizer.worker import OPTIONS
from scenarios.advance import advance
from scenarios.rolling import window

GAP = 2e-3
LOOSE = 2e-2
"""A gap in which all counts of the hour before have room."""
BUDGET_S = 120.0
STEPS = 8
FLEETS, SOME = 60, 3
KEPT = "counts of the plan before"


@pytest.fixture(scope="module")
def history() -> Problem:
    return fleet(32, STEPS + 1, seed=6)


@pytest.fixture(scope="module")
def first(history: Problem):
    """The first window, planned cold, and what it left behind."""
    problem = window(history, 0, STEPS, history.state)
    result = optimise(problem, gap=GAP, budget_s=BUDGET_S, now=problem.grid.start)
    assert result.plan is not None, result.why
    assert result.warm is not None
    return problem, result.plan, result.warm


def planned(problem: Problem, gap: float = GAP, **known) -> Plan:
    result = optimise(problem, gap=gap, budget_s=BUDGET_S, now=problem.grid.start, **known)
    assert result.plan is not None, result.why
    assert audit(problem, result.plan).passed
    return result.plan


def agree(one: Plan, other: Plan) -> None:
    """Two plans of one problem differ by no more than both may be wrong, and neither earns more than the other's bound."""
    assert abs(one.proof.objective_usd - other.proof.objective_usd) <= one.proof.gap_usd + other.proof.gap_usd
    for a, b in ((one, other), (other, one)):
        assert a.proof.objective_usd <= b.proof.bound_usd * (1 + 1e-9)


def test_the_next_hour_begins_with_the_last_plan_and_agrees_with_a_cold_one(history, first):
    problem, plan, warm = first
    later = window(history, 1, STEPS, advance(problem, plan))
    moved, cold = planned(later, warm=warm), planned(later)
    assert moved.engine["way"].startswith("prices of")
    assert moved.proof.gap_percent <= 100 * GAP
    agree(moved, cold)
    agree(planned(later, warm=Warm(plan=plan)), cold)  # after a restart the prices are lost


def test_new_prices_begin_with_the_last_plan_and_agree_with_a_cold_one(first):
    problem, _, warm = first
    prices = {index: tuple(1.1 * usd for usd in series) for index, series in problem.prices_usd_per_mwh.items()}
    dearer = problem.model_copy(update={"prices_usd_per_mwh": prices})
    refreshed = planned(dearer, warm=warm)
    assert KEPT in refreshed.engine["way"]
    agree(refreshed, planned(dearer))


def test_the_same_problem_again_keeps_every_count(first):
    problem, plan, warm = first
    again = planned(problem, warm=warm)
    assert again.proof.objective_usd >= plan.proof.objective_usd - 1e-6 * abs(plan.proof.objective_usd)
    for name, site in plan.sites.items():
        assert again.sites[name].groups == site.groups


def test_it_survives_being_written_down_and_gives_the_same_plan_with_any_number_of_workers(history, first):
    problem, plan, warm = first
    read = Warm.model_validate_json(warm.model_dump_json())
    assert read == warm
    assert warm.prices
    later = window(history, 1, STEPS, advance(problem, plan))
    decided = {planned(later, warm=known, workers=n).decisions_digest for known, n in ((warm, 1), (read, 1), (warm, 2))}
    assert len(decided) == 1


def test_a_site_says_what_known_counts_lose_at_prices_at_least_and_forgets_them(first):
    problem, _, warm = first
    compiled = build(problem, release=recover(problem).release)
    blocks, known = split(program_of(arrays_of(compiled)), compiled.site_of_column), beginning(warm, compiled, problem.grid)
    prices, options = known.prices[blocks.meeting], {name: value for name, value in OPTIONS.items() if name != "threads"}
    for block in blocks.sites[:6]:
        site, counts = Site(block, options), known.counts[block.columns]
        ceiling_usd = site.price(prices).value_usd
        alone = highs_of(fixed(Program(**{**vars(block.program), "cost": block.cost_at(prices)}), *of_known(counts)), OPTIONS)
        alone.run()
        assert site.hold(prices, counts) == pytest.approx(alone.getInfo().objective_function_value, abs=1e-4)
        assert site.hold(prices, counts) <= ceiling_usd + 1e-6
        assert site.hold(prices, np.full(counts.size, np.nan)) == pytest.approx(ceiling_usd)
        assert site.price(prices).value_usd == pytest.approx(ceiling_usd)
        first_count = int(block.counts[0])
        spoilt = np.where(np.arange(counts.size) == first_count, block.program.col_upper[first_count] + 1, counts)
        assert site.hold(prices, spoilt) == -np.inf


def of_known(counts):
    """The positions of known counts, and the counts."""
    known = np.flatnonzero(np.isfinite(counts))
    return known, counts[known]


def test_as_many_sites_keep_their_counts_as_the_asked_gap_has_room_for():
    lost_usd = {0: 5.0, 1: 1.0, 2: np.inf, 3: 3.0, 4: 1.0}
    assert worth_keeping(lost_usd, 100.0, 0.0) == [0, 1, 3, 4]
    assert worth_keeping(lost_usd, 10.0 / KEEPS, 1.0) == [1, 3, 4]  # 5 and two settled anew, of 10; with 0 it would be 11
    assert worth_keeping(lost_usd, 10.0, 0.0) == [1, 3, 4]
    assert worth_keeping(lost_usd, 9.9, 0.0) == []  # together they lose more than is asked
    assert worth_keeping(lost_usd, 100.0, 60.0) == []  # even what is settled anew leaves no room
    assert worth_keeping({}, 1.0, 0.0) == []


def test_sites_whose_counts_hold_no_more_are_settled_anew_and_the_others_keep_theirs(history, first):
    problem, plan, warm = first
    later = window(history, 1, STEPS, advance(problem, plan))
    name, made = max(
        plan.sites.items(), key=lambda pair: max(max(m) for g in pair[1].groups.values() for m in g.mode_blocks.values())
    )
    spoilt_groups = {
        group: blocks.model_copy(
            update={"mode_blocks": {mode: tuple(10_000 for _ in series) for mode, series in blocks.mode_blocks.items()}}
        )
        for group, blocks in made.groups.items()
    }
    spoilt = plan.model_copy(update={"sites": {**plan.sites, name: made.model_copy(update={"groups": spoilt_groups})}})
    sound, moved = (planned(later, LOOSE, warm=known) for known in (warm, warm.model_copy(update={"plan": spoilt})))
    kept, left = (int(plan.engine["way"].partition(f"{KEPT} at ")[2].partition(" ")[0]) for plan in (sound, moved))
    assert 30 >= left >= kept - 1 >= 20
    agree(moved, sound)


def test_a_step_gets_the_prices_and_counts_of_its_own_instant(history, first):
    problem, plan, warm = first
    later = window(history, 1, STEPS, advance(problem, plan))
    compiled = build(later, release=recover(later).release)
    known = beginning(warm, compiled, later.grid)
    hubs = known.prices[compiled.rows["hub_balance"]]
    labels = compiled.row_families["hub_balance"].labels[0]
    for label, series in zip(labels, hubs, strict=True):
        np.testing.assert_allclose(series[:-1], warm.prices[f"hub_balance[{label}]"][1:])
        assert np.isnan(series[-1])
    nodes = dict(zip(compiled.column_families["nodes_on"].labels[0], known.counts[compiled.columns["nodes_on"]], strict=True))
    for label, series in nodes.items():
        site, pool = label.split("/")
        np.testing.assert_array_equal(series[:-4], plan.sites[site].pools[pool].nodes_on[1:-3])
        assert np.isnan(series[-4:]).all()  # the new step, and the last three hours of the old plan


def test_a_shorter_step_has_a_price_in_proportion(first):
    problem, _, warm = first
    compiled = build(problem, release=recover(problem).release)
    half = problem.grid.model_copy(update={"step_s": (1800,) * STEPS})
    hubs = compiled.rows["hub_balance"]
    whole_hours, half_hours = (beginning(warm, compiled, grid).prices[hubs] for grid in (problem.grid, half))
    np.testing.assert_allclose(half_hours[:, 0], whole_hours[:, 0] / 2)
    np.testing.assert_allclose(half_hours[:, 1], whole_hours[:, 0] / 2)


@pytest.mark.parametrize("other", [fleet(32, STEPS, seed=9), fleet(9, 6, seed=2)], ids=["same names", "smaller"])
def test_what_another_fleet_left_behind_does_no_harm(first, other):
    _, _, foreign = first
    agree(planned(other, warm=foreign), planned(other))


def test_what_has_no_name_in_common_is_as_good_as_nothing(first):
    problem, plan, _ = first
    stranger = world(Random("warm stranger"), sites=2, steps=3)
    own = optimise(stranger, gap=1e-6, budget_s=30, now=stranger.grid.start)
    result = optimise(problem, gap=GAP, budget_s=BUDGET_S, now=problem.grid.start, warm=own.warm)
    assert result.plan is not None
    assert result.plan.decisions_digest == plan.decisions_digest


# --- against exact optima ---------------------------------------------------------------------------------------------


def hostile(rng: np.random.Generator, compiled: Compiled) -> Beginning:
    """Counts and prices of any size and sign, infinite ones and NaN among them."""
    counts = rng.choice([np.nan, np.inf, -3.0, 0.0, 0.5, 1.0, 7.0, 1e12], compiled.cost.size)
    prices = rng.normal(size=compiled.row_lower.size) * 10.0 ** rng.integers(-3, 12, compiled.row_lower.size)
    return Beginning(counts, np.where(rng.random(prices.size) < 0.2, np.nan, prices), bool(rng.random() < 0.7))


def holds(seed: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Plan a small fleet by the engine from true, foreign and spoilt beginnings: no bound and no plan passes the optimum."""
    rng = Random(f"warm {seed}")
    problem = world(rng, sites=rng.randint(2, 4), steps=rng.randint(2, 5))
    compiled = build(problem, release=recover(problem).release)
    matrix = compiled.matrix
    arrays = {"start": matrix.indptr, "index": matrix.indices, "value": matrix.data, "cost": compiled.cost}
    arrays |= {n: getattr(compiled, n) for n in ("integer", "col_lower", "col_upper", "row_lower", "row_upper")}
    highs = highs_of(program_of(arrays), {**OPTIONS, "mip_rel_gap": 1e-9}, whole=True, offset=compiled.offset)
    highs.run()
    if highs.getModelStatus().name != "kOptimal":
        return False
    best = highs.getInfo().objective_function_value
    slack = 1e-6 * max(1.0, abs(best))
    own = optimise(problem, gap=1e-2, budget_s=30, now=problem.grid.start)
    noise = np.random.default_rng(seed)
    beginnings = [hostile(noise, compiled) for _ in range(2)]
    if own.plan is not None:
        beginnings.append(beginning(left_behind(own.plan, compiled, noise.normal(size=matrix.shape[0])), compiled, problem.grid))
    blocks = split(program_of(arrays), compiled.site_of_column)
    heard = False
    for known in beginnings:
        for meet in (1, MANY_SITES):
            monkeypatch.setattr(engine, "MANY_MEET", meet)
            bounds: list[float] = []

            def say(*, bound: float = float("inf"), heard_bounds: list[float] = bounds, **_) -> None:
                heard_bounds.append(bound)

            options = {**OPTIONS, "random_seed": 0, "mip_rel_gap": 1e-3, "time_limit": 60.0}
            found = plan_fleet(blocks, options, compiled.offset, 1, say, lambda: None, known)
            assert all(bound >= best - slack for bound in bounds), f"fleet {seed}: {min(bounds)} below the optimum {best}"
            if found is not None:
                heard = True
                assert not fault_of(compiled, found.x)
                assert found.objective_usd <= best + slack
    return heard


def test_no_beginning_makes_a_bound_or_a_plan_wrong(monkeypatch: pytest.MonkeyPatch):
    assert sum(holds(seed, monkeypatch) for seed in range(SOME)) >= 1


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_no_beginning_makes_a_bound_or_a_plan_wrong_on_60_fleets(monkeypatch: pytest.MonkeyPatch):
    assert sum(holds(seed, monkeypatch) for seed in range(FLEETS)) >= FLEETS // 3


@pytest.mark.parametrize("seed", [0, 1, 3])
def test_small_fleets_agree_with_cold_plans_from_any_beginning(seed):
    """Fewer sites than the engine takes are one model: the counts of the plan before are tried in it first."""
    rng = Random(f"warm small {seed}")
    one, two = (world(rng, sites=3, steps=4) for _ in range(2))
    cold = optimise(one, gap=1e-4, budget_s=60, now=one.grid.start)
    other = optimise(two, gap=1e-2, budget_s=60, now=two.grid.start)
    assert cold.plan is not None
    for left in (cold.warm, other.warm):
        if left is not None:
            result = optimise(one, gap=1e-4, budget_s=60, now=one.grid.start, warm=left)
            assert result.plan is not None, result.why
            agree(result.plan, cold.plan)
