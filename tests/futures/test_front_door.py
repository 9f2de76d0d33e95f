"""The answer to futures: decisions shared, recourse audited, figures that add up, and reasons where there is none."""

import sys
from datetime import UTC, datetime
from itertools import pairwise
from random import Random

import pytest
from by_hand import START, cohorts, group, problem, site
from chances import futures_of, split
from solver_processes import SLEEPS
from worlds import world

from models.asic import Mode
from models.cooling import Cooling
from models.futures import CERTAIN_PPM, Future, Futures, Risk
from models.futures_plan import FuturesPlan
from models.state import GroupState
from optimizer.audit import audit
from optimizer.child import ROOT
from optimizer.futures import optimise_futures
from optimizer.solve import optimise

NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)
EXACT = {"gap": 1e-7, "budget_s": 60, "now": NOW}


def answered(seed, risk=None, **how):
    """A world with futures that have decisions in common, and the answer to them."""
    for turn in range(5):
        rng = Random(f"front door {seed} {turn}")
        base = world(rng, sites=2, steps=5, prices="mixed")
        futures = futures_of(rng, base, 3, recourse_after_s=7_200)
        result = optimise_futures(base, futures, risk, **EXACT, **how)
        if result.ending == "planned":
            return base, futures, result.found
        assert "no decisions for now suit all scenarios" in result.why
    raise AssertionError("none of five worlds has decisions that suit all its scenarios")


@pytest.fixture(scope="module", params=[0, 1])
def some(request):
    return answered(request.param, Risk(weight_share=0.4 * request.param, level_share=0.8))


def test_every_recourse_is_an_audited_plan_of_its_own_problem(some):
    base, futures, found = some
    for made, its_own in zip(found.scenarios, futures.problems(base), strict=True):
        assert made.plan.problem_digest == its_own.digest
        assert audit(its_own, made.plan).passed
        assert made.profit_usd == pytest.approx(sum(made.profit_by_term_usd.values()))
    assert audit(base, found.plan).passed
    assert found.plan.problem_digest == base.digest


def test_what_is_decided_now_is_the_same_in_all_plans(some):
    _, _, found = some
    assert found.commitment_steps >= found.set_point_steps >= 1
    for plan in (made.plan for made in found.scenarios):
        for name, site_plan in found.plan.sites.items():
            other = plan.sites[name]
            for group_name, blocks in site_plan.groups.items():
                modes = other.groups[group_name].mode_blocks
                assert running(blocks.mode_blocks, found.commitment_steps) == running(modes, found.commitment_steps)
                for mode, counts in blocks.mode_blocks.items():
                    assert counts[: found.set_point_steps] == modes[mode][: found.set_point_steps]
            for pool_name, pool in site_plan.pools.items():
                assert pool.nodes_on[: found.commitment_steps] == other.pools[pool_name].nodes_on[: found.commitment_steps]
            assert offers(site_plan) == offers(other)


def offers(site_plan):
    return [(reserve.reserve, reserve.start, reserve.kw) for reserve in site_plan.reserves]


def running(mode_blocks, steps):
    return [sum(counts[t] for counts in mode_blocks.values()) for t in range(steps)]


def test_the_figures_are_those_of_the_plans(some):
    _, futures, found = some
    profits = [(f.probability_ppm, made.plan.profit_usd) for f, made in zip(futures.scenarios, found.scenarios, strict=True)]
    assert found.expected_usd == pytest.approx(sum(ppm * usd for ppm, usd in profits) / CERTAIN_PPM)
    assert found.cvar_usd <= found.expected_usd + 1e-9
    weight = found.risk.weight_share
    assert found.objective_usd == pytest.approx((1 - weight) * found.expected_usd + weight * found.cvar_usd)
    assert found.bound_usd >= found.objective_usd
    assert found.status == "optimal"
    assert FuturesPlan.model_validate_json(found.model_dump_json()) == found


def test_one_scenario_is_the_deterministic_plan():
    base = world(Random(4), sites=2, steps=4)
    certain = Futures(name="certain", recourse_after_s=0, scenarios=(Future(name="as-expected", probability_ppm=CERTAIN_PPM),))
    plain = optimise(base, **EXACT).plan
    for risk in (Risk(), Risk(weight_share=1.0)):
        found = optimise_futures(base, certain, risk, **EXACT).found
        assert found.plan.decisions_digest == found.scenarios[0].plan.decisions_digest == plain.decisions_digest
        assert found.objective_usd == found.expected_usd == found.cvar_usd == plain.profit_usd
        assert found.plan.proof.bound_usd == plain.proof.bound_usd
        assert found.solved == "no recourse: all scenarios are the base problem, which is solved once"


def test_one_scenario_other_than_the_base_is_planned_as_if_it_were_certain():
    base = world(Random(4), sites=2, steps=4)
    dear = tuple(usd * 1.5 for usd in base.hashprice_usd_per_ph_day)
    certain = Futures(
        name="certain", recourse_after_s=0,
        scenarios=(Future(name="dear", probability_ppm=CERTAIN_PPM, hashprice_usd_per_ph_day=dear),),
    )  # fmt: skip
    (problem_then,) = certain.problems(base)
    found = optimise_futures(base, certain, **EXACT).found
    assert found.objective_usd == pytest.approx(optimise(problem_then, **EXACT).plan.profit_usd, rel=1e-6, abs=0.02)


def test_a_scenario_given_as_two_with_its_probability_split_changes_nothing():
    base, futures, found = answered(2)
    ppm = futures.scenarios[0].probability_ppm
    twins = optimise_futures(base, split(futures, [ppm // 4, ppm - ppm // 4]), **EXACT).found
    assert twins.objective_usd == pytest.approx(found.objective_usd, abs=1e-6)
    assert twins.plan.decisions_digest == found.plan.decisions_digest
    assert twins.scenarios[0].plan.decisions_digest == twins.scenarios[1].plan.decisions_digest
    assert "1 more need no decisions of their own" in twins.solved


def test_more_weight_on_the_tail_never_lowers_it_nor_raises_the_mean():
    for seed in (0, 3):
        found = [answered(seed, Risk(weight_share=w, level_share=0.7))[2] for w in (0.0, 0.6, 1.0)]
        for before, after in pairwise(found):
            slack = 0.01 + 1e-5 * abs(before.expected_usd)
            assert after.cvar_usd >= before.cvar_usd - slack
            assert after.expected_usd <= before.expected_usd + slack


def test_what_knowing_more_is_worth_comes_on_request():
    base, futures, found = answered(5, knowledge=True)
    assert found.knowledge.stochastic_usd is None or found.knowledge.stochastic_usd >= -1e-6
    alone = [optimise(its_own, **EXACT).plan.profit_usd for its_own in futures.problems(base)]
    known_usd = sum(f.probability_ppm * usd for f, usd in zip(futures.scenarios, alone, strict=True)) / CERTAIN_PPM
    slack = 0.01 + found.knowledge.perfect_plus_minus_usd
    assert found.knowledge.perfect_usd == pytest.approx(known_usd - found.expected_usd, abs=slack)
    assert answered(5)[2].knowledge is None


def test_scenarios_that_leave_no_common_decision_are_told_apart():
    """Miners that are held on by their minimum run, but must stop where it is too hot to sleep and hash at once."""
    hot = site(connection_limit_w=100_000, asic_groups=(group(min_up_s=7200, cooling=fan()),))
    base = problem(hot, groups={"row": GroupState(mode_blocks={"eco": 2}, started=cohorts((2, 600)))})
    futures = Futures(
        name="heat", recourse_after_s=0,
        scenarios=(
            Future(name="mild", probability_ppm=600_000),
            Future(name="hot", probability_ppm=400_000, ambient_c={"pecos": (45.0, 45.0)}),
        ),
    )  # fmt: skip
    result = optimise_futures(base, futures, gap=1e-6, budget_s=30, now=START)
    assert result.ending == "infeasible"
    assert "no decisions for now suit all scenarios" in result.why
    assert "[pecos/row" in result.why
    assert "hot" in result.why


def fan():
    return Cooling(base_pue_milli=1000, rise_milli_per_c=50, above_c=20.0)


def test_a_scenario_without_any_plan_is_named_with_its_diagnosis():
    """Sleeping miners draw less once the air cools, faster than a ramp of 1 W per minute allows, and no block is small enough."""
    normal = Mode(name="normal", miner_power_w=3500, miner_hash_th_per_s=200.0)
    row = group(blocks=10, miners_per_block=100, sleep_power_w=25, modes=(normal,), cooling=fan())
    asleep = site(connection_limit_w=4_000_000, ramp_w_per_min=1, asic_groups=(row,))
    states = {"row": GroupState(stopped=cohorts((10, 90_000)))}
    base = problem(asleep, step_s=(3600,) * 3, ambient=40.0, draw_w=50_000, groups=states)
    cold = Future(name="cold-front", probability_ppm=CERTAIN_PPM, ambient_c={"pecos": (40.0, 20.0, 20.0)})
    result = optimise_futures(base, Futures(name="c", recourse_after_s=0, scenarios=(cold,)), gap=1e-6, budget_s=30, now=START)
    assert result.ending == "infeasible"
    assert result.why.startswith("cold-front: ")
    assert "pecos step 1" in result.why
    assert result.diagnosis


def test_no_time_is_said_and_nothing_is_claimed():
    base = world(Random(1), sites=3, steps=6)
    futures = futures_of(Random(1), base, 3, recourse_after_s=7_200)
    result = optimise_futures(base, futures, gap=0, budget_s=0.1, now=NOW, program=SLEEPS)
    assert result.ending in ("no_plan", "failed")
    assert result.found is None
    assert result.why


def test_a_caller_that_gives_up_ends_it():
    base = world(Random(1), sites=3, steps=6)
    futures = futures_of(Random(1), base, 3, recourse_after_s=7_200)
    result = optimise_futures(base, futures, gap=0, budget_s=30, now=NOW, cancelled=lambda: True)
    assert result.ending == "cancelled"


def test_futures_that_are_cancelled_while_it_is_asked_why_they_clash_are_not_called_impossible(tmp_path):
    """This child says infeasible of what it is asked first, and works for ever on what shall say why."""
    flag = tmp_path / "asked"
    lies = (
        f"import os, sys, time; sys.path.insert(0, {str(ROOT)!r})\n"
        "from optimizer import highs_wire as wire\n"
        f"if os.path.exists({str(flag)!r}): time.sleep(1000)\n"
        f"open({str(flag)!r}, 'w').close()\n"
        "wire.write(sys.stdout.buffer, {'kind': 'final', 'status': 'Infeasible'})"
    )
    rng = Random("cancelled futures")
    base = world(rng, sites=2, steps=5, prices="mixed")
    futures = futures_of(rng, base, 3, recourse_after_s=7_200)
    result = optimise_futures(base, futures, **EXACT, program=(sys.executable, "-c", lies), cancelled=flag.exists)
    assert flag.exists()
    assert (result.ending, result.why.split(":")[0]) == ("cancelled", "cancelled")
