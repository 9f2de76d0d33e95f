"""Contracts in the exact method: all of them are prices of the draw, or prices of what it is above a line.

A *hinge* costs so much for each unit by which the highest of some weighted draws is above a bound: a billed peak above what
is sunk, energy above a tier's room, a budget above the energy taken, a block above the draw.
"""

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import prod

from models.problem import Problem
from models.site import Site
from optimizer.audit.calendar import length_s, local_months, month_before, seconds_in

CONTRACTS = ("demand_charge", "take_or_pay", "energy_tiers", "coincident_peak", "carbon", "block_power")
MILLIWATT_PER_KW = 10**6
MILLIWATT_S_PER_MWH = 36 * 10**11


def written(number: float) -> Fraction:
    """Return a number as it is written in decimals."""
    return Fraction(repr(number)) if isinstance(number, float) else Fraction(number)


def hashprice(problem: Problem, t: int) -> Fraction:
    """What a PH/s and day earns on average over a step."""
    begins_s, ends_s = problem.grid.offset_s[t : t + 2]
    steps = [(int((s.at - problem.grid.start).total_seconds()), 1 + written(s.change_share)) for s in problem.difficulty_steps]
    cuts = sorted({begins_s, ends_s, *(s for s, _ in steps if begins_s < s < ends_s)})
    worth = sum((b - a) / prod((x for s, x in steps if s <= a), start=Fraction(1)) for a, b in pairwise(cuts))
    return written(problem.hashprice_usd_per_ph_day[t]) * worth / (ends_s - begins_s)


@dataclass
class Hinge:
    """USD for each milliwatt (or milliwatt-second) by which the highest of `lines`, weights by step and a bound, is above 0."""

    usd: Fraction
    lines: list[tuple[dict[int, Fraction], Fraction]]


def adders_usd_per_mwh(problem: Problem, site: Site) -> list[Fraction]:
    """Return what a MWh costs on top in each step, for emissions and expected system peaks."""
    grid = problem.grid
    usd = [Fraction(0) for _ in grid.step_s]
    if (carbon := site.carbon) is not None:
        for t in range(grid.steps):
            kg = problem.carbon_kg_per_mwh[carbon.intensity][t] if carbon.intensity else carbon.intensity_kg_per_mwh
            usd[t] += written(carbon.usd_per_t) * written(kg) / 1000
    if (peaks := site.coincident_peak) is not None:
        for likely in peaks.likely:
            for t, start in enumerate(grid.starts):  # USD per kW and peak, peaks per hour: USD per kWh
                share = Fraction(seconds_in(site.zone, likely.hours, start, grid.step_s[t]), grid.step_s[t])
                usd[t] += written(peaks.usd_per_kw_peak) * written(likely.probability_share) * share * 1000
    return usd


def crossed(problem: Problem, site: Site) -> bool:
    """Whether resale pays more than buying costs in some step: this method cannot follow that."""
    if (block := site.block_power) is None:
        return False
    resale = [p - block.resale_fee_usd_per_mwh for p in problem.prices_usd_per_mwh[block.resale_index]]
    return any(r > p for r, p in zip(resale, problem.energy_price_usd_per_mwh(site), strict=True))


def block_usd(problem: Problem, site: Site, price: list[Fraction]) -> Fraction:
    """Return what a block brings whatever is drawn: its worth as bought energy, less its price."""
    if (block := site.block_power) is None:
        return Fraction(0)
    mwh = [Fraction(block.block_w * s, 3600 * 10**6) for s in problem.grid.step_s]
    return sum(((p - written(block.price_usd_per_mwh)) * e for p, e in zip(price, mwh, strict=True)), Fraction(0))


def hinges(problem: Problem, site: Site, price: list[Fraction]) -> list[Hinge]:
    """Return the hinges of a site's contracts; price: of its energy contract, by step."""
    found = [*_peaks(problem, site), *_takes(problem, site), *_tiers(problem, site)]
    if (block := site.block_power) is not None:
        index = problem.prices_usd_per_mwh[block.resale_index]
        for t, seconds in enumerate(problem.grid.step_s):
            less = price[t] - written(index[t]) + written(block.resale_fee_usd_per_mwh)
            line = ({t: Fraction(-1)}, Fraction(-block.block_w * 1000))
            found.append(Hinge(max(Fraction(0), less) * seconds / MILLIWATT_S_PER_MWH, [line]))
    return [hinge for hinge in found if hinge.usd]


def _counted(problem: Problem, site: Site):
    return {(int(m[:4]), int(m[5:])): totals for m, totals in problem.state.sites[site.name].months.items()}


def _peaks(problem: Problem, site: Site):
    if (charge := site.demand_charge) is None:
        return
    counted, months = _counted(problem, site), local_months(problem, site)
    peaks_w = {when: totals.peak_w for when, totals in counted.items()}
    expected = problem.outlook[site.name].peaks_w if site.name in problem.outlook else {}
    for name, watts in expected.items():
        when = int(name[:4]), int(name[5:])
        peaks_w[when] = max(watts, peaks_w.get(when, 0))
    for month in months:
        before = [month_before(month.when, n) for n in range(1, charge.look_back_months + 1)]
        before = [when for when in before if when[1] in charge.counted_months]
        ratchet = written(charge.ratchet_share)
        owed = max([ratchet * peaks_w[when] * 1000 for when in before if when in peaks_w], default=Fraction(0))
        owed = max(owed, Fraction(1000 * peaks_w.get(month.when, 0)))
        lines = [({t: Fraction(1)}, owed) for t, s in enumerate(month.step_s) if s]
        for other in months:
            if other.when in before:
                lines += [({t: ratchet}, owed) for t, s in enumerate(other.step_s) if s]
        usd = written(charge.usd_per_kw_month[month.when[1] - 1])
        if month.name not in expected:
            usd *= Fraction(sum(month.step_s), month.left_s)
        yield Hinge(usd / MILLIWATT_PER_KW, lines)


def _takes(problem: Problem, site: Site):
    if (take := site.take_or_pay) is None:
        return
    counted, by_period = _counted(problem, site), {}
    for month in local_months(problem, site):
        first = month_before(month.when, (month.when[1] - take.first_month) % take.period_months)
        by_period.setdefault(first, []).append(month)
    for first, months in by_period.items():
        inside = [month_before(first, -n) for n in range(take.period_months)]
        seconds = [sum(column) for column in zip(*(m.step_s for m in months), strict=True)]
        later_s = sum(length_s(site, when) for when in inside if when > months[0].when)
        left_s = months[0].left_s + later_s
        missing = written(take.least_mwh) - Fraction(sum(counted[w].energy_wh for w in inside if w in counted), 10**6)
        budget = max(Fraction(0), missing) * sum(seconds) / left_s * MILLIWATT_S_PER_MWH
        price = take.shortfall_usd_per_mwh
        worth = problem.outlook[site.name].take_usd_per_mwh if site.name in problem.outlook else {}
        if (name := f"{first[0]:04d}-{first[1]:02d}") in worth:
            price, carried = worth[name], site.connection_limit_w * 1000 * sum(seconds)
            budget = min(max(Fraction(0), missing) * MILLIWATT_S_PER_MWH, Fraction(carried))
        line = ({t: Fraction(-s) for t, s in enumerate(seconds) if s}, -budget)
        yield Hinge(written(price) / MILLIWATT_S_PER_MWH, [line])


def _tiers(problem: Problem, site: Site):
    counted = _counted(problem, site)
    for month in local_months(problem, site) if site.energy_tiers else ():
        taken = Fraction(counted[month.when].energy_wh if month.when in counted else 0, 10**6)
        for tier in site.energy_tiers:
            room = max(Fraction(0), written(tier.above_mwh) - taken) * sum(month.step_s) / month.left_s * MILLIWATT_S_PER_MWH
            line = ({t: Fraction(s) for t, s in enumerate(month.step_s) if s}, room)
            yield Hinge(written(tier.adder_usd_per_mwh) / MILLIWATT_S_PER_MWH, [line])
