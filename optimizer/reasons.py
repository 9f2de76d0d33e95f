"""The words of an explanation: what ran, which limits and rules bind, and at which prices each mode pays."""

from collections.abc import Iterator
from typing import Literal

import numpy as np

from models.asic import AsicGroup
from models.explanation import Alternative, ModeBreakEven
from models.market import break_even_usd_per_mwh
from models.plan import SitePlan
from models.problem import Problem
from models.site import Site
from optimizer.compiled import Compiled, Floats
from optimizer.sets import World

W_PER_MW = 1e6
HOURS_PER_DAY = 24
TH_PER_PH = 1000
TIGHT = 1e-6
RULES = {
    "feeder_limit": "the limit of feeder {thing} is used up",
    "ramp": "the ramp of {thing} holds",
    "min_up": "minimum run: no block of {thing} that runs may stop yet",
    "min_down": "minimum rest: no block of {thing} that is off may start yet",
    "node_min_up": "minimum run: no node of {thing} may stop yet",
    "node_capacity": "every serving node of {thing} is busy",
    "daily_starts": "{thing} has no starts left that day",
    "backed": "the reserves sold at {thing} need all of its miners that run",
    "within_notice": "the reserves sold at {thing} are all that its ramp can shed within their notice",
}
"""Families of rows that say something to an operator where they are tight."""
CHANGES = {"min_up": "start", "min_down": "stop", "node_min_up": "node_start"}
"""What a minimum run or rest counts, of this step, of those before, and of those before the horizon."""


def what_ran(site: Site, plan: SitePlan, step: int) -> str:
    """Return the set-point of a step in words."""
    parts = []
    for group in site.asic_groups:
        counts = {mode.name: plan.groups[group.name].mode_blocks[mode.name][step] for mode in group.modes}
        running = [f"{n} in {mode}" for mode, n in counts.items() if n] or ["none"]
        parts.append(f"{group.name} runs {', '.join(running)} of {group.blocks} blocks")
    for pool in site.gpu_pools:
        made = plan.pools[pool.name]
        warm = f" and {made.nodes_warm[step]} warm" if made.nodes_warm and made.nodes_warm[step] else ""
        parts.append(f"{pool.name} has {made.nodes_on[step]} of {pool.nodes} nodes on{warm}")
    draw, limit = plan.draw_w[step] / W_PER_MW, plan.limit_w[step] / W_PER_MW
    return f"{'; '.join(parts) or 'no machines'}; draws {draw:.3f} of {limit:.3f} MW"


def usd(amount: float) -> str:
    """Write a change of money with its sign; what rounds to nothing is 0."""
    return "0 USD" if abs(amount) < 0.005 else f"{amount:+,.2f} USD"


def reason(ran: str, next_best: Alternative | None, binding: tuple[str, ...], next_block_words: str) -> str:
    """Return the one line: what ran, the next best use and what it would change, what binds."""
    if next_best is None or next_best.change_usd is None:
        best = "no other use is lawful or known"
    else:
        best = f"next best: {next_best.words}, {usd(next_best.change_usd)}"
    return f"{ran}; {best}; {'; '.join(binding) or 'no rule binds'}; {next_block_words}"


def binding(here: World, alone: Compiled, x: Floats, plan: SitePlan, step: int) -> Iterator[str]:
    """Yield in words what holds a site in a step: its limit where less than the smallest move is left, and tight rules."""
    site = here.sites[0]
    if not here.energised[0, step]:
        yield f"dark: the limit of {plan.limit_w[step] / W_PER_MW:.3f} MW lies below base load and sleep"
        return
    free_w = plan.limit_w[step] - plan.draw_w[step]
    if free_w < smallest_unit_w(here, step):
        why = _set_by(here, step)
        yield f"the limit of {plan.limit_w[step] / W_PER_MW:.3f} MW ({why}) leaves {free_w / W_PER_MW:.3f} MW"
    moment = alone.axes["STEPS"][step]
    activity = alone.matrix @ x
    for family, words in RULES.items():
        for row in alone.rows[family].ravel().tolist() if family in alone.rows else ():
            name = alone.row_label(row)
            if not name.rstrip("]").endswith(moment) or not _is_tight(alone, activity, x, family, row):
                continue
            yield words.format(thing=name.partition("[")[2].replace(",", " ").split(" ")[0])
    for outage in here.problem.outages:
        if outage.site == site.name and here.touched(outage.start, outage.end)[step]:
            yield f"an outage keeps {outage.count} of {outage.machine} out of service" + (
                f": {outage.reason}" if outage.reason else ""
            )
    for pin in here.problem.pins:
        if pin.site == site.name and here.touched(here.problem.grid.start, pin.expires)[step]:
            yield f"{pin.owner}'s pin holds {pin.machine}"


def _is_tight(alone: Compiled, activity: Floats, x: Floats, family: str, row: int) -> bool:
    """Whether a row holds something back; a minimum that only this step's own changes fill, or nobody busy, does not."""
    slack = min(alone.row_upper[row] - activity[row], activity[row] - alone.row_lower[row])
    if slack > TIGHT * (1 + abs(activity[row])):
        return False
    entries = slice(alone.matrix.indptr[row], alone.matrix.indptr[row + 1])
    columns, weights = alone.matrix.indices[entries], alone.matrix.data[entries]
    if family in ("backed", "within_notice"):
        return bool((x[columns[weights > 0]] > TIGHT).any())
    if family == "node_capacity":
        return bool((x[columns[weights < 0]] > TIGHT).any())
    if family not in CHANGES:
        return True
    numbers = alone.columns[CHANGES[family]]
    unit = int(np.flatnonzero((alone.rows[family] == row).any(axis=1))[0])
    own = numbers[unit, int(np.flatnonzero(alone.rows[family][unit] == row)[0])]
    earlier = np.setdiff1d(np.intersect1d(columns, numbers), [own])
    before = alone.col_upper[own] - alone.row_upper[row] if family == "min_down" else -alone.row_upper[row]
    return bool(before + x[earlier].sum() > TIGHT)


def _set_by(here: World, step: int) -> Literal["order", "limit series", "connection"]:
    if here.ordered[0, step]:
        return "order"
    site = here.sites[0]
    series = here.problem.limit_w.get(site.name)
    return "limit series" if series is not None and series[step] < site.connection_limit_w else "connection"


def smallest_unit_w(here: World, step: int) -> float:
    """Return the least power that any one move at the site needs, at the meter: the smallest block, mode step or node."""
    return min(_units_w(here, step, largest=False), default=0.0)


def largest_unit_w(here: World, step: int) -> int:
    """Return the power of the largest block in its highest mode, or of the largest full node, at the meter, rounded up."""
    return int(-(-max(_units_w(here, step, largest=True), default=0.0) // 1))


def _units_w(here: World, step: int, *, largest: bool) -> Iterator[float]:
    for g, pue in zip(here.groups, here.group_pue_milli[:, step].tolist(), strict=True):
        powers = [g.group.block_power_w(mode, _ambient_c(here, g.site, step)) for mode in g.group.modes]
        ups = [b - a for a, b in zip([g.group.block_sleep_w, *powers], powers, strict=False)]
        yield (powers[-1] if largest else min(ups)) * pue / 1000
    for p, pue in zip(here.pools, here.pool_pue_milli[:, step].tolist(), strict=True):
        yield (p.pool.power_w(1, p.pool.node_full_w) if largest else p.pool.node_fixed_w) * pue / 1000


def break_evens(here: World, step: int, energy_usd_per_mwh: float) -> Iterator[ModeBreakEven]:
    """Yield, for every mode of every group of a site, the prices at which it earns just what its energy costs."""
    hashprice = here.problem.paid_hashprice_usd_per_ph_day[step]
    for g, pue in zip(here.groups, here.group_pue_milli[:, step].tolist(), strict=True):
        ambient_c = _ambient_c(here, g.site, step)
        lower_w, lower_ph = float(g.group.block_sleep_w), 0.0
        for mode in g.group.modes:
            power_w, hash_ph = g.group.block_power_w(mode, ambient_c), g.group.block_hash_ph_per_s(mode, ambient_c)
            j_per_th = power_w / (hash_ph * TH_PER_PH) * pue / 1000
            up_j_per_th = (power_w - lower_w) / ((hash_ph - lower_ph) * TH_PER_PH) * pue / 1000
            yield ModeBreakEven(
                group=g.group.name,
                mode=mode.name,
                power_usd_per_mwh=break_even_usd_per_mwh(hashprice, j_per_th, g.group.paid_share),
                step_up_usd_per_mwh=break_even_usd_per_mwh(hashprice, up_j_per_th, g.group.paid_share),
                hashprice_usd_per_ph_day=hashprice_to_pay(g.group, energy_usd_per_mwh, j_per_th),
            )
            lower_w, lower_ph = float(power_w), hash_ph


def _ambient_c(here: World, site: int, step: int) -> float:
    return here.problem.ambient_c[here.sites[site].ambient][step]


def hashprice_to_pay(group: AsicGroup, energy_usd_per_mwh: float, efficiency_j_per_th: float) -> float:
    """Return the hashprice at which hash pays just its energy; 0 where nothing that is made is paid for. [USD/PH/day]."""
    if not group.paid_share:
        return 0.0
    return energy_usd_per_mwh * HOURS_PER_DAY * efficiency_j_per_th / (1000 * group.paid_share)


def energy_usd_per_mwh(problem: Problem, alone: Compiled, step: int) -> float:
    """Return what one more metered MWh costs a site in a step by its energy contract, as the model prices its draw."""
    term = alone.money["energy_cost"].matrix
    kw = alone.columns["draw"][0, step]
    return float(-term[:, [kw]].sum() * 1000 / problem.grid.hours[step])
