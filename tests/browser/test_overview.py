"""What the page draws adds up, for any fleet: no browser needed."""

from random import Random

import pytest
from worlds import START, world

from models.plan import MoneyLine, Plan, Recovery
from models.problem import Problem
from optimizer.fallback import rule_plan
from service.web.document import Overview, Power
from service.web.overview import UnknownSiteError, levels, overview

SEEDS = range(25)


def planned(seed: int) -> tuple[Problem, Plan]:
    problem = world(Random(seed), sites=3, steps=5)
    return problem, rule_plan(problem, START)


def parts(power: Power, step: int) -> int:
    return power.inference_w[step] + power.standby_w[step] + sum(power.hashing_w[level][step] for level in power.hashing_w)


def adds_up(shown: Overview) -> None:
    for step in range(len(shown.step_s)):
        power = shown.power
        assert parts(power, step) == power.draw_w[step]
        if power.draw_w[step] <= power.limit_w[step]:
            assert power.draw_w[step] + power.headroom_w[step] == power.limit_w[step]
        assert shown.price.low_usd_per_mwh[step] - 1e-9 <= shown.price.mean_usd_per_mwh[step]
        assert shown.price.mean_usd_per_mwh[step] <= shown.price.high_usd_per_mwh[step] + 1e-9


@pytest.mark.parametrize("seed", SEEDS)
def test_power_adds_up_to_the_watt_and_money_to_the_cent(seed: int):
    problem, plan = planned(seed)
    fleet = overview(problem, plan)
    adds_up(fleet)
    assert sum(term.usd for term in fleet.terms) == pytest.approx(plan.profit_usd, abs=1e-6)
    assert sum(fleet.usd) == pytest.approx(plan.profit_usd, abs=1e-6)
    assert {term.term: term.usd for term in fleet.terms} == pytest.approx(plan.money_by_term_usd, abs=1e-6)
    assert [row.name for row in fleet.sites] == [site.name for site in problem.fleet.sites]


@pytest.mark.parametrize("seed", SEEDS)
def test_the_sites_add_up_to_the_fleet(seed: int):
    problem, plan = planned(seed)
    fleet = overview(problem, plan)
    sites = [overview(problem, plan, name) for name in plan.sites]
    for one in sites:
        adds_up(one)
    for step in range(len(fleet.step_s)):
        assert sum(one.power.draw_w[step] for one in sites) == fleet.power.draw_w[step]
        assert sum(one.power.hashing_w["eco"][step] for one in sites) == fleet.power.hashing_w["eco"][step]
        assert sum(one.hash_ph_per_s[step] for one in sites) == pytest.approx(fleet.hash_ph_per_s[step])
    assert sum(one.served_usd for one in sites) == pytest.approx(fleet.served_usd)
    owned = sum(sum(line.usd) for line in plan.money if line.owner in plan.sites)
    assert sum(one.profit_usd for one in sites) == pytest.approx(owned, abs=1e-6)


def test_a_site_shows_what_it_sells_of_reserves_and_the_fleet_none():
    shown = 0
    for seed in SEEDS:
        problem, plan = planned(seed)
        assert overview(problem, plan).reserves == ()
        for name, made in plan.sites.items():
            rows = {row.name: row.kw for row in overview(problem, plan, name).reserves}
            assert set(rows) == {sold.reserve for sold in made.reserves}
            for sold in made.reserves:
                inside = [
                    kw for start, kw in zip(plan.grid.starts, rows[sold.reserve], strict=True) if sold.start <= start < sold.end
                ]
                assert max(inside, default=sold.kw) >= sold.kw > 0
            shown += len(rows)
    assert shown > 5


def test_modes_are_classed_by_their_place_around_normal():
    group = world(Random(1), sites=1, steps=1).fleet.sites[0].asic_groups[0]

    def named(*names: str) -> dict[str, str]:
        low = group.modes[0]
        modes = tuple(
            low.model_copy(update={"name": name, "miner_power_w": low.miner_power_w + n, "miner_hash_th_per_s": 100.0 + n})
            for n, name in enumerate(names)
        )
        return dict(levels(group.model_copy(update={"modes": modes})))

    assert named("low", "normal", "high") == {"low": "eco", "normal": "normal", "high": "turbo"}
    assert named("eco", "normal") == {"eco": "eco", "normal": "normal"}
    assert named("one") == {"one": "normal"}
    assert named("a", "b", "c", "d", "e") == {"a": "eco", "b": "eco", "c": "normal", "d": "turbo", "e": "turbo"}


def test_a_site_that_is_not_in_the_plan_is_refused():
    with pytest.raises(UnknownSiteError):
        overview(*planned(0), "atlantis")


def test_a_site_is_told_what_is_of_itself_and_of_the_fleet_and_no_recovery_twice():
    problem, plan = planned(0)
    one, other, third = plan.sites
    recovery = Recovery(site=one, step=0, rule="ramp", shortfall=1.0, unit="W", words="the draw must fall")
    fleets, own, foreign = (
        "fallback: no optimised plan",
        f"limit_missing: series of {one}; {other} too",
        f"pin_ignored: {other}/row",
    )
    said = plan.model_copy(update={"recoveries": (recovery,), "reasons": (recovery.reason, fleets, own, foreign)})
    assert overview(problem, said).reasons == (fleets, own, foreign)
    assert overview(problem, said, one).reasons == (fleets, own)
    assert overview(problem, said, other).reasons == (fleets, own, foreign)
    assert overview(problem, said, third).reasons == (fleets,)


def test_terms_that_are_nothing_in_every_step_are_marked():
    problem, plan = planned(0)
    lines = (
        MoneyLine(term="routing_cost", owner=next(iter(plan.sites)), usd=(0.0,) * 5),
        MoneyLine(term="carbon_cost", owner=next(iter(plan.sites)), usd=(3.0, -3.0, 0.0, 0.0, 0.0)),
    )
    shown = overview(problem, plan.model_copy(update={"money": lines}))
    assert {term.term: term.is_zero for term in shown.terms} == {"routing_cost": True, "carbon_cost": False}
