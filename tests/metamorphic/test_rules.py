"""What a rule less, more machines or more work do to profit, where they can only do one thing.

What gives way to the measured state is the same on both sides of a relation: with a higher limit less would have to, and
a machine that must run on could cost what a released one did not.
"""

import numpy as np
from relations import (  # noqa: F401  # the tests themselves are collected here, over RELATIONS
    checked,
    test_relation_holds,
    test_relation_holds_a_thousand_times,
    with_contract,
    with_groups,
    with_pools,
    with_sites,
    with_workloads,
    without_end_values,
    without_levels,
    without_work,
)
from worlds import REGIONS

from models.asic import Mode
from optimizer.sets import world


def same_lit(problem, other):
    """Whether the same sites are dark in the same steps, and the same feeders dead."""
    one, two = world(problem), world(other)
    same_live = all(np.array_equal(a[m], b[m]) for a, b in zip(one.live, two.live, strict=True) for m in a)
    return np.array_equal(one.energised, two.energised) and same_live


def higher_limits(bench, problem, rng):
    """Each plan under the lower limit is one under the higher, where the same steps are dark: light costs base load and sleep.

    Raised, not lifted: without its order a step would have a ramp. Without an outlook, which asks for all that a connection
    can carry.
    """
    problem = checked(problem, outlook={})
    k = rng.choice((1.05, 1.5))
    higher = with_sites(problem, lambda site: {"connection_limit_w": int(site.connection_limit_w * k)})
    limits = {name: tuple(int(w * k) for w in series) for name, series in problem.limit_w.items()}
    orders = tuple(order.model_copy(update={"limit_w": int(order.limit_w * k)}) for order in problem.orders)
    higher = checked(higher, limit_w=limits, orders=orders)
    return same_lit(problem, higher) and bench.never_lower(problem, higher)


def higher_feeder_limits(bench, problem, rng):
    """Likewise below the meter, where the same feeders are dead: a live one lets its machines sleep at a price."""
    k = rng.choice((1.05, 1.5, 4.0))
    higher = with_contract(problem, "feeders", lambda feeder: {"limit_w": int(feeder.limit_w * k) + 1})
    series = {
        site: {name: tuple(int(w * k) for w in values) for name, values in feeders.items()}
        for site, feeders in problem.feeder_limit_w.items()
    }
    higher = checked(higher, feeder_limit_w=series)
    return same_lit(problem, higher) and bench.never_lower(problem, higher)


def looser_ramps(bench, problem, rng):
    """A draw that may change faster may also change as before."""
    k = rng.choice((None, 2, 5))
    looser = with_sites(problem, lambda site: {"ramp_w_per_min": k and site.ramp_w_per_min and site.ramp_w_per_min * k})
    return bench.never_lower(problem, looser)


def shorter_runs(bench, problem, rng):
    """Who may stop earlier may also run on."""
    shorter = with_groups(problem, lambda g: {"min_up_s": max(g.warm_up_s, g.min_up_s // 3)})
    return bench.never_lower(problem, with_pools(shorter, lambda p: {"min_up_s": max(p.load_s, p.min_up_s // 3)}))


def shorter_rests(bench, problem, rng):
    """Who may start earlier may also rest on."""
    k = rng.choice((0, 2))
    return bench.never_lower(problem, with_groups(problem, lambda g: {"min_down_s": k and g.min_down_s // k}))


def faster_starts(bench, problem, rng):
    """Blocks that warm up and nodes that load in less time lose less hash and less room for work."""
    k, problem = rng.choice((0, 2)), without_end_values(problem)
    faster = with_groups(problem, lambda g: {"warm_up_s": k and g.warm_up_s // k})
    return bench.never_lower(
        problem, with_pools(faster, lambda p: {"load_s": k and p.load_s // k, "wake_s": k and p.wake_s // k})
    )


def more_starts_a_day(bench, problem, rng):
    """Starts that a day allows need not be made."""
    k = rng.choice((None, 1))
    return bench.never_lower(
        problem, with_groups(problem, lambda g: {"max_starts_per_day": k and g.max_starts_per_day and g.max_starts_per_day + k})
    )


def no_pins(bench, problem, rng):
    """What a person pinned the plan may still choose."""
    return bench.never_lower(problem, checked(problem, pins=()))


def no_outages(bench, problem, rng):
    """Machines in service need not run, and those out of service slept at the same price."""
    return bench.never_lower(problem, checked(problem, outages=()))


def cooler_limits_of_modes(bench, problem, rng):
    """A mode that the heat bars is one that need not be chosen elsewhere."""
    free = with_groups(problem, lambda g: {"modes": tuple(m.model_copy(update={"max_ambient_c": None}) for m in g.modes)})
    return bench.never_lower(problem, free)


def one_more_mode(bench, problem, rng):
    """A mode above the others need not be chosen, and what a start loses is counted in the lowest."""

    def above(group):
        top = group.modes[-1]
        power_w, hash_th = top.miner_power_w + rng.choice((50, 700)), top.miner_hash_th_per_s + rng.choice((0.5, 80.0))
        extra = Mode(name="over", miner_power_w=power_w, miner_hash_th_per_s=hash_th, max_ambient_c=top.max_ambient_c)
        return {"modes": (*group.modes, extra)}

    return bench.never_lower(problem, with_groups(problem, above))


def one_more_node(bench, problem, rng):
    """A node that is off draws nothing."""
    return bench.never_lower(problem, with_pools(problem, lambda p: {"nodes": p.nodes + 1}))


def one_more_block(bench, problem, rng):
    """A block that sleeps without drawing costs nothing."""
    plain = with_groups(problem, lambda g: {"sleep_power_w": 0})
    return bench.never_lower(plain, with_groups(plain, lambda g: {"blocks": g.blocks + 1}))


def longer_deadlines(bench, problem, rng):
    """What is due later is late no sooner."""
    s = rng.choice((300, 7_200))
    return bench.never_lower(
        problem, with_workloads(problem, lambda w: {"deadline_s": w.deadline_s + s} if w.kind == "batch" else {})
    )


def more_regions(bench, problem, rng):
    """Work that may also be served elsewhere need not be, though it parts the pools into other hubs."""
    usd = rng.choice((0.0, 0.25))
    here = {region: usd for region in REGIONS if any(site.region == region for site in problem.fleet.sites)}
    return bench.never_lower(
        problem, with_workloads(problem, lambda w: {"routing_usd_per_mwork": {**here, **w.routing_usd_per_mwork}})
    )


def users_who_wait_and_travel(bench, problem, rng):
    """Without residency and latencies work may be served as before, though the pools stand in other hubs."""
    free = with_workloads(problem, lambda w: {"countries": None} | ({"latency": None} if w.kind == "interactive" else {}))
    return free != problem and bench.never_lower(problem, free)


def pools_that_serve_more(bench, problem, rng):
    """A language model that a pool can serve too need not be served there."""
    gives = {"llama-70b": 2_731, "mistral-7b": 20_000}
    return bench.never_lower(
        problem, with_pools(problem, lambda p: {"throughput_tokens_per_s": {**gives, **p.throughput_tokens_per_s}})
    )


def more_demand(bench, problem, rng):
    """What is asked more can stay unserved: it costs its penalty at most, and a reservation pays for it beside.

    Where a service level is promised, more than that: it is a share of what is asked.
    """
    problem = without_levels(problem)
    prompt = {w.name: w for w in problem.fleet.workloads if w.kind != "batch"}
    more = rng.choice((1, 999_983, 40_000_000))
    demand = {n: tuple(d + more if n in prompt else d for d in values) for n, values in problem.demand_work_per_h.items()}
    mwork = more / 1e6 * sum(problem.grid.hours)
    booked = sum(w.price_usd_per_mwork for w in prompt.values() if w.kind == "reserved")
    loss_usd = mwork * (sum(w.unserved_usd_per_mwork for w in prompt.values()) - booked)
    return bench.never_lower(problem, checked(problem, demand_work_per_h=demand), loss_usd)


def more_batch_work(bench, problem, rng):
    """More work that may wait for ever at no cost need not be done."""
    patient = with_workloads(problem, lambda w: {"late_usd_per_mwork_h": 0.0} if w.kind == "batch" else {})
    batch, more = {w.name for w in patient.fleet.workloads if w.kind == "batch"}, rng.choice((1, 40_000_000))
    demand = {n: tuple(d + more if n in batch else d for d in values) for n, values in patient.demand_work_per_h.items()}
    return bench.never_lower(patient, checked(patient, demand_work_per_h=demand))


def a_cut_limit_is_kept(bench, problem, rng):
    """A limit that is cut in one step is kept there, and since only work joins sites, no other site minds where there is none.

    What gives way to the cut is derived anew, so that the site's own profit is not compared: a released ramp may pay.
    """
    bare = without_work(problem)
    before = bench.best(bare)
    drawn_w, here = before.column("draw") * 1000, world(bare)
    n, t = rng.randrange(len(here.sites)), rng.randrange(bare.grid.steps)
    cut_w = int(drawn_w[n, t] * rng.choice((0.5, 0.9)))
    series = [int(w) for w in here.effective_limit_w[n]]
    series[t] = cut_w
    cut = checked(bare, limit_w={**bare.limit_w, here.sites[n].name: tuple(series)})
    if not cut_w or not same_lit(bare, cut):
        return False
    after = bench.best(cut)
    assert after.column("draw")[n, t] * 1000 <= cut_w + 1e-3, f"draws {after.column('draw')[n, t]} kW under {cut_w} W"
    others = np.arange(len(here.sites)) != n
    same = np.abs(before.money("SITES") - after.money("SITES")) <= before.slack + after.slack
    assert same[others].all(), f"{before.money('SITES')} -> {after.money('SITES')}"
    return True


RELATIONS = (
    higher_limits, higher_feeder_limits, looser_ramps, shorter_runs, shorter_rests, faster_starts, more_starts_a_day, no_pins,
    no_outages, cooler_limits_of_modes, one_more_mode, one_more_node, one_more_block, longer_deadlines, more_regions,
    users_who_wait_and_travel,
    pools_that_serve_more, more_demand, more_batch_work, a_cut_limit_is_kept,
)  # fmt: skip
