"""How profit follows prices: for a given plan it is a straight line in them, and the best of straight lines is convex."""

import numpy as np
from relations import (  # noqa: F401  # the tests themselves are collected here, over RELATIONS
    checked,
    scaled,
    test_relation_holds,
    test_relation_holds_a_thousand_times,
    with_contract,
    with_groups,
    with_money,
    with_pools,
    with_sites,
    with_workloads,
    without_end_values,
)


def convex_in_all_money(bench, problem, rng):
    """A plan's profit is linear in all prices, charges and penalties at once, and what plans there are does not hang on them."""
    draws, problem = [[], []], checked(problem, outlook={})  # what an outlook finds a take worth is no more than its price
    problem = no_calls(problem)  # expected ones are priced as if the dearest hash stopped: the most of several lines bends

    def times(usd, which):
        draws[which].append(rng.choice((0.0, 0.5, 0.9, 1.0, 1.3)))
        return usd * draws[which][-1]

    ends = [with_money(problem, lambda usd, which=which: times(usd, which)) for which in (0, 1)]
    means = iter([(a + b) / 2 for a, b in zip(*draws, strict=True)])
    middle = bench.best(with_money(problem, lambda usd: usd * next(means)))
    left, right = map(bench.best, ends)
    told = f"{left.usd} .. {middle.usd} .. {right.usd}"
    assert middle.usd <= (left.usd + right.usd) / 2 + middle.slack + left.slack + right.slack, told


def convex_in_the_power_price(bench, problem, rng):
    """The same along the price of power alone, also where it is negative, and where blocks are sold for less or more."""
    step = rng.choice((2.0, 30.0, 200.0))
    left, middle, right = (bench.best(dearer(problem, n * step)) for n in (-1, 0, 1))
    told = f"{left.usd} .. {middle.usd} .. {right.usd}"
    assert middle.usd <= (left.usd + right.usd) / 2 + middle.slack + left.slack + right.slack, told


def dearer(problem, usd_per_mwh):
    """Return the world with so much more on what every site pays for a metered MWh; what blocks are sold at stays."""

    def more(site):
        name = "price_usd_per_mwh" if site.contract.kind == "fixed" else "adder_usd_per_mwh"
        return {"contract": site.contract.model_copy(update={name: getattr(site.contract, name) + usd_per_mwh})}

    return with_sites(problem, more)


def no_calls(problem):
    def quiet(site):
        return {"reserves": tuple(reserve.model_copy(update={"calls_per_block": 0.0}) for reserve in site.reserves)}

    return with_sites(problem, quiet)


def no_blocks(problem):
    return with_sites(problem, lambda site: {"block_power": None})


def never_higher_in_the_power_price(bench, problem, rng):
    """Nobody draws less than nothing: dearer power makes every plan dearer or leaves it, where nothing is resold."""
    plain = no_blocks(problem)
    return bench.never_lower(plain, dearer(plain, -rng.choice((1.0, 40.0, 500.0))))


def dear_power_is_not_drawn_more(bench, problem, rng):
    """Were the plan at the dearer price to draw more, then one of the two plans would be better at the other's price."""
    plain, usd = no_blocks(problem), rng.choice((1.0, 40.0, 500.0))
    before, after = bench.best(plain), bench.best(dearer(plain, usd))
    mwh = [float((best.column("draw") @ np.array(plain.grid.hours)).sum()) / 1000 for best in (before, after)]
    assert mwh[1] <= mwh[0] + (before.slack + after.slack) / usd, f"{mwh} MWh"


def hash_sells(bench, problem, rng):
    """Hash is never negative: a higher hashprice never lowers profit, and never the hash that is paid for."""
    usd, problem = rng.choice((0.5, 20.0, 300.0)), without_end_values(problem)
    richer = checked(problem, hashprice_usd_per_ph_day=tuple(h + usd for h in problem.hashprice_usd_per_ph_day))
    bench.never_lower(problem, richer)
    before, after = bench.best(problem), bench.best(richer)
    ph_day = [float((best.column("paid_hash") @ np.array(problem.grid.hours)).sum()) / 24 for best in (before, after)]
    assert ph_day[1] >= ph_day[0] - (before.slack + after.slack) / usd, f"{ph_day} PH days"


def lower_fees(bench, problem, rng):
    """A share that is kept from what the hash earns only takes."""
    return bench.never_lower(problem, with_groups(problem, scaled(pool_fee=0.2, stale_share=0.0)))


def dearer_work(bench, problem, rng):
    """What is served is never negative, and a reservation is paid for in any case."""
    return bench.never_lower(problem, with_workloads(problem, scaled(price_usd_per_mwork=rng.choice((1.1, 3.0)))))


def reservations_are_fixed_income(bench, problem, rng):
    """A reservation pays whether it is used or not: a higher price adds exactly that, and changes no decision."""
    usd = rng.choice((0.5, 7.0))
    more = with_workloads(problem, lambda w: {"price_usd_per_mwork": w.price_usd_per_mwork + usd} if w.kind == "reserved" else {})
    reserved = [problem.demand_work_per_h[w.name] for w in problem.fleet.workloads if w.kind == "reserved"]
    booked = sum(float(np.array(demand) @ np.array(problem.grid.hours)) for demand in reserved) / 1e6
    return bench.same(problem, more, plus_usd=usd * booked)


def block_price_is_sunk(bench, problem, rng):
    """A block is paid for whether it is drawn or not: a higher price takes exactly that, and changes no decision."""
    usd, blocks = rng.choice((0.5, 7.0)), [s.block_power for s in problem.fleet.sites if s.block_power]
    dear = with_contract(problem, "block_power", lambda b: {"price_usd_per_mwh": b.price_usd_per_mwh + usd})
    mwh = sum(block.block_w for block in blocks) / 1e6 * sum(problem.grid.hours)
    return bench.same(problem, dear, plus_usd=-usd * mwh)


def cheaper_resale(bench, problem, rng):
    """A fee on what is sold takes from each plan that sells, and from no other."""
    return bench.never_lower(problem, with_contract(problem, "block_power", scaled(resale_fee_usd_per_mwh=0.0)))


def cheaper_starts(bench, problem, rng):
    """A start is never negative: less wear and start cost never lowers profit, where none is saved beyond the horizon."""
    k = rng.choice((0.0, 0.5))
    problem = without_end_values(problem)
    cheap = with_pools(with_groups(problem, scaled(start_wear_usd=k)), scaled(start_cost_usd=k))
    return bench.never_lower(problem, cheap)


def dear_starts_are_fewer(bench, problem, rng):
    """Were the plan to start more where each start costs more, then one of the two plans would be better at the other's cost."""
    problem = without_end_values(problem)
    usd = rng.choice((1.0, 30.0, 1_000.0))
    dear = with_groups(problem, lambda g: {"start_wear_usd": g.start_wear_usd + usd})
    dear = with_pools(dear, lambda p: {"start_cost_usd": p.start_cost_usd + usd})
    if dear == problem:
        return False
    before, after = bench.best(problem), bench.best(dear)
    starts = [float(best.column("start").sum() + best.column("node_start").sum()) for best in (before, after)]
    assert starts[1] <= starts[0] + (before.slack + after.slack) / usd + 1e-6, f"{starts} starts"
    return True


def milder_penalties(bench, problem, rng):
    """Unserved and late work and routing are never negative: what they cost less never lowers profit."""
    k = rng.choice((0.0, 0.5))
    mild = with_workloads(problem, scaled(unserved_usd_per_mwork=k, late_usd_per_mwork_h=k))
    routed = {
        w.name: {"routing_usd_per_mwork": {region: usd * k for region, usd in w.routing_usd_per_mwork.items()}}
        for w in problem.fleet.workloads
    }
    return bench.never_lower(problem, with_workloads(mild, lambda w: routed[w.name]))


def lower_demand_charge(bench, problem, rng):
    """A billed peak beyond what is sunk is never negative."""
    lower = with_contract(
        problem, "demand_charge", lambda c: {"usd_per_kw_month": tuple(usd * 0.5 for usd in c.usd_per_kw_month)}
    )
    return bench.never_lower(problem, lower)


def milder_shortfall(bench, problem, rng):
    """What is missing of a least take is never negative."""
    plain = checked(problem, outlook={})
    return bench.never_lower(plain, with_contract(plain, "take_or_pay", scaled(shortfall_usd_per_mwh=0.5)))


def lower_least_take(bench, problem, rng):
    """A smaller least take leaves less to miss, whatever is drawn."""
    return bench.never_lower(problem, with_contract(problem, "take_or_pay", scaled(least_mwh=0.6)))


def lower_peak_price(bench, problem, rng):
    """Draw in a system peak is never negative."""
    return bench.never_lower(problem, with_contract(problem, "coincident_peak", scaled(usd_per_kw_peak=0.5)))


def later_tiers(bench, problem, rng):
    """A tier that begins later, or adds less, charges less of the same energy."""
    k = rng.choice((1.0, 1.5))
    return bench.never_lower(problem, with_contract(problem, "energy_tiers", scaled(above_mwh=k, adder_usd_per_mwh=1.5 - k)))


def cheaper_carbon(bench, problem, rng):
    """Carbon per MWh is never negative, nor is the draw."""
    return bench.never_lower(problem, with_contract(problem, "carbon", scaled(usd_per_t=0.5)))


RELATIONS = (
    convex_in_all_money, convex_in_the_power_price, never_higher_in_the_power_price, dear_power_is_not_drawn_more, hash_sells,
    lower_fees, dearer_work, reservations_are_fixed_income, block_price_is_sunk, cheaper_resale, cheaper_starts,
    dear_starts_are_fewer, milder_penalties, lower_demand_charge, milder_shortfall, lower_least_take, lower_peak_price,
    later_tiers, cheaper_carbon,
)  # fmt: skip
