"""Awards of reserves in the exact method: what is not kept is a column, what miners draw above sleep a right-hand side.

Offers are whole kW with a least size, which this method does not follow: it closes every gate.
"""

from fractions import Fraction
from math import ceil

from exact_contracts import hashprice, written

from models.problem import Problem
from models.site import Site

CLOSED_S = 31 * 86_400
MILLIWATT_PER_KW = 10**6
MILLIWATT_PER_MW = 10**9


def closed(site: dict) -> dict:
    """Return a site's raw record without anything on offer."""
    return {**site, "reserves": tuple({**reserve, "gate_s": CLOSED_S} for reserve in site["reserves"])}


def above_sleep_mw(group, mode, ambient_c: float, heat) -> int:
    """What a block draws in a mode above sleep, at the meter."""
    more, _ = heat(group, ambient_c)
    watts = ceil(mode.miner_power_w * more) - group.sleep_power_w
    return watts * group.miners_per_block * group.cooling.pue_milli(ambient_c)


def reserve_rows(problem: Problem, site: Site, price, ambient, heat, rest) -> dict[int, int]:
    """Add what awards bring and what of them is not kept; return by step the row that running miners relax."""
    grid = problem.grid
    cells: dict[int, list] = {}
    for award in (a for a in problem.awards if a.site == site.name):
        reserve = next(r for r in site.reserves if r.name == award.reserve)
        begins, ends = reserve.block_at(site.zone, award.start)
        length_s = int((ends - begins).total_seconds())
        for t, start in enumerate(grid.starts):
            first, last = (int((at - start).total_seconds()) for at in (begins, ends))
            inside_s = min(grid.step_s[t], last) - max(0, first)
            if inside_s <= 0:
                continue
            calls = [
                o
                for o in problem.orders
                if (o.site, o.reserve) == (site.name, reserve.name) and _touches(o, start, grid.step_s[t])
            ]
            worth = written(reserve.capacity_usd_per_mw_h) * inside_s / 3600 / MILLIWATT_PER_MW
            energy = written(reserve.energy_usd_per_mwh) / MILLIWATT_PER_MW
            if calls:
                paid_s = max(_inside_s(o, max(begins, start), min(last, grid.step_s[t]), start) for o in calls)
                rest.usd += (worth + energy * paid_s / 3600) * award.kw * MILLIWATT_PER_KW
                continue
            expected = written(reserve.calls_per_block) * Fraction(inside_s, length_s)
            call_h = expected * reserve.mean_call_s / 3600
            lost, again, wear = _dearest(problem, site, t, ambient[t], heat)
            worth += (energy + price[t] / MILLIWATT_PER_MW - lost) * call_h - (again + wear) * expected
            missing = rest.column(-worth - written(reserve.claw_back_usd_per_mw_h) * inside_s / 3600 / MILLIWATT_PER_MW)
            rest.usd += worth * award.kw * MILLIWATT_PER_KW
            rest.row({missing: Fraction(1)}, award.kw * MILLIWATT_PER_KW)
            cells.setdefault(t, []).append((missing, award.kw * MILLIWATT_PER_KW, reserve.notice_s))
    rows = {}
    for t, sold in cells.items():
        rows[t] = rest.row({c: Fraction(-1) for c, _, _ in sold}, -sum(mw for _, mw, _ in sold))
        for notice_s in {n for _, _, n in sold} if site.ramp_w_per_min is not None else ():
            near = [(c, mw) for c, mw, n in sold if n <= notice_s]
            within_mw = site.ramp_w_per_min * notice_s // 60 * 1000
            rest.row({c: Fraction(-1) for c, _ in near}, within_mw - sum(mw for _, mw in near))
    return rows


def _touches(order, start, length_s: int) -> bool:
    ends = order.end is None or (order.end - start).total_seconds() > 0
    return ends and (order.start - start).total_seconds() < length_s


def _inside_s(order, begins, last_s: int, start) -> int:
    """Seconds of a call between the first instant of a block in a step and a second of the step."""
    ends_s = last_s if order.end is None else min(last_s, int((order.end - start).total_seconds()))
    return max(0, ends_s - int((max(order.start, begins) - start).total_seconds()))


def _dearest(problem: Problem, site: Site, t: int, ambient_c: float, heat) -> tuple[Fraction, Fraction, Fraction]:
    """The most that a milliwatt less loses: hash per hour, hash of a warm-up, wear of a start."""
    lost, again, wear = [Fraction(0)], [Fraction(0)], [Fraction(0)]
    for group in site.asic_groups:
        paid = (1 - written(group.pool_fee)) * (1 - written(group.firmware_fee)) * (1 - written(group.stale_share))
        paid *= written(group.uptime) * heat(group, ambient_c)[1]
        for n, mode in enumerate(group.modes):
            mw = above_sleep_mw(group, mode, ambient_c, heat)
            ph = group.miners_per_block * written(mode.miner_hash_th_per_s) / 1000
            usd_per_h = hashprice(problem, t) / 24 * ph * paid / mw
            if mode.max_ambient_c is None or ambient_c <= mode.max_ambient_c:
                lost.append(usd_per_h)
            if n == 0:
                again.append(usd_per_h * group.warm_up_s / 3600)
                wear.append(written(group.start_wear_usd) / mw)
    return max(lost), max(again), max(wear)
