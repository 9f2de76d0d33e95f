"""What contracts cost beyond the price of energy, read off the exact draws of a plan."""

from collections.abc import Mapping, Sequence

from models.block_power import BlockPower
from models.carbon import Carbon
from models.coincident_peak import CoincidentPeak
from models.demand_charge import DemandCharge
from models.problem import Problem
from models.site import Site
from models.take_or_pay import TakeOrPay
from optimizer.audit.calendar import LocalMonth, When, length_s, local_months, month_before, seconds_in
from optimizer.audit.ground import Watt

MILLIWATT_PER_KW = 1e6
MILLIWATT_PER_W = 1000
S_PER_H = 3600
W_PER_KW = 1e3
MILLIWATT_S_PER_MWH = 3.6e12


def highest_kw(month: LocalMonth, draws: Sequence[Watt]) -> float:
    """Return the highest draw of a step that lies in a month at all, draws in milliwatts."""
    return max(float(mw) for mw, s in zip(draws, month.step_s, strict=True) if s) / MILLIWATT_PER_KW


def contract_money(problem: Problem, site: Site, draws: Sequence[Watt]) -> dict[str, list[float]]:
    """Return the money of each contract that a site has beside the price of energy, by term and step; draws in milliwatts."""
    money: dict[str, list[float]] = {}
    if site.demand_charge is not None:
        money["demand_charge"] = demand_charge_usd(problem, site, site.demand_charge, draws)
    if site.energy_tiers:
        money["tier_cost"] = tier_usd(problem, site, draws)
    if site.block_power is not None:
        money |= block_usd(problem, site.block_power, draws)
    if site.coincident_peak is not None:
        money["coincident_peak"] = coincident_peak_usd(problem, site, site.coincident_peak, draws)
    if site.carbon is not None:
        money["carbon_cost"] = carbon_usd(problem, site.carbon, draws)
    if site.take_or_pay is not None:
        money["take_shortfall"] = take_shortfall_usd(problem, site, site.take_or_pay, draws)
    return money


def bought(site: Site, draws: Sequence[Watt]) -> list[Watt]:
    """Return what is bought by the energy contract: the draw, beyond a block where there is one; in milliwatts."""
    if site.block_power is None:
        return list(draws)
    block_mw = site.block_power.block_w * MILLIWATT_PER_W
    return [max(0, mw - block_mw) for mw in draws]


def block_usd(problem: Problem, block: BlockPower, draws: Sequence[Watt]) -> dict[str, list[float]]:
    """Return what a block costs, and what is earned with the part of it that is not drawn; draws in milliwatts."""
    mwh_per_mw = [s / MILLIWATT_S_PER_MWH for s in problem.grid.step_s]
    block_mw, index = block.block_w * MILLIWATT_PER_W, problem.prices_usd_per_mwh[block.resale_index]
    sold = [float(max(0, block_mw - mw)) for mw in draws]
    return {
        "block_cost": [-block_mw * block.price_usd_per_mwh * each for each in mwh_per_mw],
        "resale_revenue": [
            mw * each * (price - block.resale_fee_usd_per_mwh) for mw, each, price in zip(sold, mwh_per_mw, index, strict=True)
        ],
    }


def demand_charge_usd(problem: Problem, site: Site, charge: DemandCharge, draws: Sequence[Watt]) -> list[float]:
    """Return the demand charge of each step, `draws` in milliwatts.

    The billed peak of a month beyond what was owed before the plan, at the month's price; each step bears its share of
    the time that is left of the month. What an outlook expects of a month is owed as well, and the steps bear all the rest.
    """
    cost = [0.0 for _ in draws]
    months = local_months(problem, site)
    planned_kw = {month.when: highest_kw(month, draws) for month in months}
    counted_kw = {
        (int(name[:4]), int(name[5:])): totals.peak_w / W_PER_KW for name, totals in problem.state.sites[site.name].months.items()
    }
    expected_w = problem.outlook[site.name].peaks_w if site.name in problem.outlook else {}
    for name, watts in expected_w.items():
        when = int(name[:4]), int(name[5:])
        counted_kw[when] = max(counted_kw.get(when, 0.0), watts / W_PER_KW)
    for month in months:
        owed_kw = max(counted_kw.get(month.when, 0.0), _ratchet_kw(charge, month.when, counted_kw))
        billed_kw = max(owed_kw, planned_kw[month.when], _ratchet_kw(charge, month.when, planned_kw))
        usd = charge.usd_per_kw_month[month.when[1] - 1] * (billed_kw - owed_kw)
        for t, seconds in enumerate(month.step_s):
            cost[t] -= usd * seconds / (sum(month.step_s) if month.name in expected_w else month.left_s)
    return cost


def take_shortfall_usd(problem: Problem, site: Site, contract: TakeOrPay, draws: Sequence[Watt]) -> list[float]:
    """Return what each step bears of the missing takes, `draws` in milliwatts.

    Of what a period still misses at the start, the horizon must take its share of the time that is left of the period. Where
    an outlook says what a MWh of the period is worth, all that the connection could carry is asked, at that price.
    """
    cost = [0.0 for _ in draws]
    counted = problem.state.sites[site.name].months
    months = local_months(problem, site)
    firsts = {m.when: month_before(m.when, (m.when[1] - contract.first_month) % contract.period_months) for m in months}
    for first in sorted(set(firsts.values())):
        inside = [month_before(first, -n) for n in range(contract.period_months)]
        seen = [month for month in months if month.when in inside]
        after_s = sum(length_s(site, when) for when in inside if when > seen[-1].when)
        seen_s = sum(sum(month.step_s) for month in seen)
        left_s = seen_s + (seen[-1].left_s - sum(seen[-1].step_s)) + after_s
        done_wh = sum(counted[name].energy_wh for y, m in inside if (name := f"{y:04d}-{m:02d}") in counted)
        asked_mwh = max(0.0, contract.least_mwh - done_wh / 1e6) * seen_s / left_s
        taken_mwh = sum(float(mw) * s for month in seen for mw, s in zip(draws, month.step_s, strict=True)) / MILLIWATT_S_PER_MWH
        price = contract.shortfall_usd_per_mwh
        worth = problem.outlook[site.name].take_usd_per_mwh if site.name in problem.outlook else {}
        if (name := f"{first[0]:04d}-{first[1]:02d}") in worth:
            missing_mwh = max(0.0, contract.least_mwh - done_wh / 1e6)
            asked_mwh, price = min(missing_mwh, site.connection_limit_w / 1e6 * seen_s / S_PER_H), worth[name]
        usd = price * max(0.0, asked_mwh - taken_mwh)
        for month in seen:
            for t, s in enumerate(month.step_s):
                cost[t] -= usd * s / seen_s
    return cost


def coincident_peak_usd(problem: Problem, site: Site, charge: CoincidentPeak, draws: Sequence[Watt]) -> list[float]:
    """Return what the system peaks that are expected in each step cost, `draws` in milliwatts."""
    cost = []
    for t, (start, step_s) in enumerate(zip(problem.grid.starts, problem.grid.step_s, strict=True)):
        peaks = sum(each.probability_share * seconds_in(site.zone, each.hours, start, step_s) / S_PER_H for each in charge.likely)
        cost.append(-charge.usd_per_kw_peak * peaks * float(draws[t]) / MILLIWATT_PER_KW)
    return cost


def carbon_usd(problem: Problem, carbon: Carbon, draws: Sequence[Watt]) -> list[float]:
    """Return what the emissions of each step cost, `draws` in milliwatts."""
    steps = range(problem.grid.steps)
    series = problem.carbon_kg_per_mwh[carbon.intensity] if carbon.intensity else [carbon.intensity_kg_per_mwh for _ in steps]
    tonnes = [float(draws[t]) * problem.grid.step_s[t] / MILLIWATT_S_PER_MWH * series[t] / 1000 for t in steps]
    return [-carbon.usd_per_t * t for t in tonnes]


def tier_usd(problem: Problem, site: Site, draws: Sequence[Watt]) -> list[float]:
    """Return what each step bears of the energy beyond the thresholds of the tiers, `draws` in milliwatts.

    The horizon may take its share of the room that the month has left under a threshold.
    """
    cost = [0.0 for _ in draws]
    counted = problem.state.sites[site.name].months
    for month in local_months(problem, site):
        before_mwh = counted[month.name].energy_wh / 1e6 if month.name in counted else 0.0
        seen_s = sum(month.step_s)
        taken_mwh = sum(float(mw) * s for mw, s in zip(draws, month.step_s, strict=True)) / MILLIWATT_S_PER_MWH
        usd = sum(
            tier.adder_usd_per_mwh * max(0.0, taken_mwh - max(0.0, tier.above_mwh - before_mwh) * seen_s / month.left_s)
            for tier in site.energy_tiers
        )
        for t, s in enumerate(month.step_s):
            cost[t] -= usd * s / seen_s
    return cost


def _ratchet_kw(charge: DemandCharge, when: When, peaks_kw: Mapping[When, float]) -> float:
    """What the peaks of the months before leave as the least billed peak of a month."""
    before = (month_before(when, n) for n in range(1, charge.look_back_months + 1))
    remembered = [peaks_kw[w] for w in before if w in peaks_kw and w[1] in charge.counted_months]
    return charge.ratchet_share * max(remembered, default=0.0)
