"""What a world is called, where it stands in lists, time and money, and what it is beside, changes nothing else."""

from datetime import timedelta

import numpy as np
from relations import (  # noqa: F401  # the tests themselves are collected here, over RELATIONS
    checked,
    joined,
    only_sites,
    renamed,
    test_relation_holds,
    test_relation_holds_a_thousand_times,
    with_money,
    with_sites,
    with_workloads,
    without_end_values,
    without_levels,
    without_work,
)
from worlds import START, moved

from models.contract import FixedPrice
from models.demand_charge import DemandCharge
from models.site import Site
from models.state import Lot, SiteState
from models.time_grid import TimeGrid
from models.workload import BatchWorkload, InteractiveWorkload
from optimizer.recovery import recover
from optimizer.sets import Release


def order_of_lists(bench, problem, rng):
    """Profit is a sum over sites and workloads, and a sum has no order."""

    def shuffled(members):
        return tuple(rng.sample(members, len(members)))

    fleet = problem.fleet
    fleet = fleet.model_copy(update={"sites": shuffled(fleet.sites), "workloads": shuffled(fleet.workloads)})
    return bench.same(problem, checked(problem, fleet=fleet, orders=shuffled(problem.orders), outages=shuffled(problem.outages)))


def names(bench, problem, rng):
    """A name is only what a thing is found by; the new ones also sort otherwise."""
    prefix = {}
    return bench.same(problem, renamed(problem, lambda name: f"{prefix.setdefault(name, rng.randrange(10**6))}-{name}"))


def a_site_with_nothing(bench, problem, rng):
    """A site without machines and base load draws nothing, and of what it owes for the past nothing is decided here."""
    dear = DemandCharge(usd_per_kw_month=(40.0,) * 12)
    empty = Site(
        name="empty", region=rng.choice(problem.fleet.sites).region, country="US", zone="America/Chicago", ambient="coast",
        connection_limit_w=rng.choice((1, 1_000_000)), ramp_w_per_min=rng.choice((None, 1)),
        contract=FixedPrice(price_usd_per_mwh=rng.choice((-48.0, 62.5))), demand_charge=dear,
    )  # fmt: skip
    sites = {**problem.state.sites, "empty": SiteState(draw_w=0, as_of=START)}
    fleet = problem.fleet.model_copy(update={"sites": (empty, *problem.fleet.sites)})
    return bench.same(problem, checked(problem, fleet=fleet, state=problem.state.model_copy(update={"sites": sites})))


def a_workload_that_nobody_asks_for(bench, problem, rng):
    """Where nothing is asked nothing can be served, though another workload may part the pools into other hubs."""
    served = {"model": "llama-70b", "routing_usd_per_mwork": {problem.fleet.sites[0].region: 0.0}}
    idle = rng.choice((
        InteractiveWorkload(name="idle", price_usd_per_mwork=100.0, unserved_usd_per_mwork=100.0, **served),
        BatchWorkload(name="idle", price_usd_per_mwork=100.0, deadline_s=0, late_usd_per_mwork_h=100.0, **served),
    ))  # fmt: skip
    fleet = problem.fleet.model_copy(update={"workloads": (idle, *problem.fleet.workloads)})
    demand = {**problem.demand_work_per_h, "idle": (0,) * problem.grid.steps}
    return bench.same(problem, checked(problem, fleet=fleet, demand_work_per_h=demand))


def a_workload_in_two_halves(bench, problem, rng):
    """Work is routed by amount, so that two like workloads are one with what both ask for, and what of both waits.

    It holds without service levels, which each workload has to keep on its own.
    """
    problem = without_levels(problem)
    if not problem.fleet.workloads:
        return False
    whole = rng.choice(problem.fleet.workloads)
    other = whole.model_copy(update={"name": "half"})
    fleet = problem.fleet.model_copy(update={"workloads": (*problem.fleet.workloads, other)})
    asked, lots = problem.demand_work_per_h[whole.name], problem.state.backlog.get(whole.name, ())
    demand = {**problem.demand_work_per_h, whole.name: tuple(d // 2 for d in asked), "half": tuple(d - d // 2 for d in asked)}
    backlog = dict(problem.state.backlog)
    if lots:
        backlog[whole.name] = tuple(Lot(work=lot.work // 2, due=lot.due) for lot in lots)
        backlog["half"] = tuple(Lot(work=lot.work - lot.work // 2, due=lot.due) for lot in lots)
    state = problem.state.model_copy(update={"backlog": backlog})
    return bench.same(problem, checked(problem, fleet=fleet, demand_work_per_h=demand, state=state))


def everything_twice(bench, problem, rng):
    """Two like fleets in regions of their own share no limit and no work, so that each does what the one did."""
    return bench.same(problem, joined(problem, renamed(problem, lambda name: f"twin-{name}")), times=2.0)


def regions_apart(bench, problem, rng):
    """Where each workload may be served in one region only, nothing joins the regions: their profits add up."""
    fleet = problem.fleet
    home = {w.name: rng.choice(sorted({s.region for s in fleet.sites if fleet.admits(w, s)})) for w in fleet.workloads}
    apart = with_workloads(problem, lambda w: {"routing_usd_per_mwork": {home[w.name]: w.routing_usd_per_mwork[home[w.name]]}})
    by_region = {
        region: [s.name for s in apart.fleet.sites if s.region == region] for region in {s.region for s in apart.fleet.sites}
    }
    if len(by_region) < 2:
        return False
    whole = bench.best(apart)
    parts = [bench.best(only_sites(apart, sites)) for sites in by_region.values()]
    total = sum(part.usd for part in parts)
    assert abs(whole.usd - total) <= whole.slack + sum(part.slack for part in parts), f"{whole.usd}, parts {total}"
    return True


def sites_alone(bench, problem, rng):
    """Only work joins sites: without any, a site earns in the fleet what it earns alone, to the site."""
    bare = without_work(problem)
    if len(bare.fleet.sites) < 2:
        return False
    whole = bench.best(bare)
    for name, usd in zip(whole.compiled.axes["SITES"], whole.money("SITES"), strict=True):
        alone = bench.best(only_sites(bare, [name]))
        assert abs(alone.usd - usd) <= alone.slack + whole.slack, f"{name}: {usd} in the fleet, {alone.usd} alone"
    return True


def a_day_later(bench, problem, rng):
    """Nothing but the calendar knows what day it is: the share of the month that is left, and hours that name days.

    It holds for sites without charges by month, without service levels, and with hours of every day; no clock changes on
    that day.
    """

    def every_day(value):
        if isinstance(value, dict):
            every = {"week_days": tuple(range(7))}
            every |= {"months": tuple(range(1, 13))} if "from_h" in value else {}
            return {k: every[k] if k in every and k in value else every_day(v) for k, v in value.items()}
        return tuple(map(every_day, value)) if isinstance(value, tuple | list) else value

    monthless = {"demand_charge": None, "take_or_pay": None, "energy_tiers": ()}
    problem = checked(without_levels(problem), outlook={})
    plain = type(problem).model_validate(every_day(with_sites(problem, lambda site: monthless).model_dump()))
    return bench.same(plain, moved(plain, timedelta(days=1)))


def another_coin(bench, problem, rng):
    """All money times k is the same choice in another coin; power, work and time are not money, nor is an exchange rate."""
    k = rng.choice((0.5, 0.93, 2.0))
    return bench.same(problem, with_money(problem, lambda usd: usd * k), times=k)


def decisions_fixed(bench, problem, rng):
    """A best plan is among the plans that take its whole decisions, and these are among all plans."""
    best = bench.best(problem)
    fixed = bench.with_whole_fixed(best)
    assert abs(best.usd - fixed.usd) <= best.slack + fixed.slack, f"{best.usd} -> {fixed.usd}"


def quarters(bench, problem, rng):
    """What a plan does in a step it can do in each of its four quarters, and there it may also change its mind.

    It holds where no rule counts steps and nothing is measured only at their ends: without ramps (a step is a move),
    orders (a step that one touches is under it, and may be dark, as a whole), loading (an hour's mean of a node that loads
    can serve a steady demand, its first quarter cannot), late penalties (counted at the end of a step) and changes of the
    difficulty (within an hour its mean meets that of a hash which warms up in one part of it).
    """
    loose = with_sites(
        problem,
        lambda site: {
            "ramp_w_per_min": None,
            "gpu_pools": tuple(p.model_copy(update={"load_s": 0, "wake_s": 0}) for p in site.gpu_pools),
        },
    )
    loose = without_end_values(loose)
    loose = checked(
        with_workloads(loose, lambda w: {"late_usd_per_mwork_h": 0.0} if w.kind == "batch" else {}),
        orders=(),
        difficulty_steps=(),
    )
    fine = loose.model_dump()
    fine["grid"] = TimeGrid(
        start=loose.grid.start, step_s=tuple(s // 4 for s in loose.grid.step_s for _ in range(4))
    ).model_dump()
    fine["hashprice_usd_per_ph_day"] = _four_times(fine["hashprice_usd_per_ph_day"])
    series = ("prices_usd_per_mwh", "usd_per_unit", "carbon_kg_per_mwh", "ambient_c", "limit_w", "demand_work_per_h")
    for family in series:
        fine[family] = {name: _four_times(values) for name, values in fine[family].items()}
    fine["feeder_limit_w"] = {
        site: {name: _four_times(values) for name, values in feeders.items()} for site, feeders in fine["feeder_limit_w"].items()
    }
    given = recover(loose).release
    release = Release(
        blocks={key: _four_times(most) for key, most in given.blocks.items()},
        nodes={key: _four_times(most) for key, most in given.nodes.items()},
        pins={name: 4 * ends for name, ends in given.pins.items()},
    )
    coarse, split = bench.best(loose), bench.best(type(loose).model_validate(fine), release)
    assert split.usd >= coarse.usd - coarse.slack - split.slack, f"{coarse.usd} -> {split.usd}"


def _four_times(values):
    return tuple(np.repeat(values, 4).tolist())


RELATIONS = (
    order_of_lists, names, a_site_with_nothing, a_workload_that_nobody_asks_for, a_workload_in_two_halves, everything_twice,
    regions_apart, sites_alone, a_day_later, another_coin, decisions_fixed, quarters,
)  # fmt: skip
