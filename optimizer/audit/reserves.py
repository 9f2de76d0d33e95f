"""Reserves: that no offer is late, too small or sold twice, that awards stand ready or say by how much not, and their money.

Blocks are found by walking along the clock of the site's zone, quarter of an hour by quarter of an hour.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from models.plan import ReservePlan, SitePlan
from models.problem import Problem
from models.reserve import Reserve
from optimizer.audit.ground import Findings, SiteFacts, barred, heat_milli, mega, stamp
from optimizer.audit.hashprice import paid_usd_per_ph_day

MILLIWATT_PER_W = 1000
W_PER_KW = 1000
QUARTER = timedelta(minutes=15)
DAY = timedelta(hours=26)
S_PER_H = 3600
S_PER_DAY = 86_400
MILLIWATT_PER_KW = 1e6


@dataclass(frozen=True)
class Block:
    """A block of a reserve: when it is, how much of each step lies in it, in which steps a call of it is in force."""

    reserve: Reserve
    begins: datetime
    ends: datetime
    seconds: list[int]
    called: list[bool]
    called_s: list[int]

    @property
    def length_s(self) -> int:
        """Length of the whole block."""
        return int((self.ends - self.begins).total_seconds())


def check_reserves(problem: Problem, facts: SiteFacts, made: SitePlan, found: Findings) -> None:
    """Every record of a reserve is lawful, every award has one, and what is sold stands ready in each step."""
    name = facts.site.name
    blocks = _blocks(problem, facts)
    awards = {(a.reserve, a.start): a.kw for a in problem.awards if a.site == name and (a.reserve, a.start) in blocks}
    told: dict[tuple[str, datetime], ReservePlan] = {}
    for record in made.reserves:
        key = record.reserve, record.start
        where = f"{name}: reserve {record.reserve} from {stamp(record.start)}"
        if key in told:
            found.say_all(name, f"reserve {record.reserve} from {stamp(record.start)} stands twice in the plan")
        elif key not in blocks:
            found.say_all(name, f"reserve {record.reserve} has no block from {stamp(record.start)}")
        else:
            faults = list(_faults(problem, blocks[key], record, awards.get(key)))
            found.broken.extend(f"{where}: {words}" for words in faults)
            if not record.unkept_w or len(record.unkept_w) == problem.grid.steps:
                told[key] = record
    for reserve, start in sorted(awards.keys() - {(r.reserve, r.start) for r in made.reserves}):
        found.say_all(name, f"the award of reserve {reserve} from {stamp(start)} is not in the plan")
    _check_ready(facts, made, blocks, told, found)


def _faults(problem: Problem, block: Block, record: ReservePlan, awarded_kw: int | None) -> Iterator[str]:
    """What is wrong with one record by itself."""
    reserve, grid = block.reserve, problem.grid
    if record.end != block.ends:
        yield f"the block ends at {stamp(block.ends)}, the plan says {stamp(record.end)}"
    if record.is_award != (awarded_kw is not None):
        yield f"it is {'an award' if awarded_kw is not None else 'not awarded'}, the plan says otherwise"
    elif awarded_kw is not None:
        if record.kw != awarded_kw:
            yield f"{awarded_kw} kW are awarded, the plan says {record.kw} kW"
    else:
        if block.begins - timedelta(seconds=reserve.gate_s) <= grid.start:
            yield f"offers {record.kw} kW after its gate closed"
        if block.begins < grid.start or block.ends > grid.end:
            yield f"offers {record.kw} kW for a block that does not lie in the horizon as a whole"
        if not reserve.least_kw <= record.kw <= reserve.most_kw:
            yield f"offers {record.kw} kW, expected {reserve.least_kw} to {reserve.most_kw} kW"
    if record.unkept_w and (awarded_kw is None or len(record.unkept_w) != grid.steps):
        yield f"expected what is not kept for awards alone, one value per step, got {len(record.unkept_w)}"
        return
    for t, watts in enumerate(record.unkept_w):
        if watts > record.kw * W_PER_KW:
            yield f"step {t}: {watts} W are not kept of {record.kw} kW"
        if watts and (not block.seconds[t] or block.called[t]):
            yield f"step {t}: {watts} W are not kept where nothing has to be"


def _check_ready(
    facts: SiteFacts, made: SitePlan, blocks: dict[tuple[str, datetime], Block], told: dict[tuple[str, datetime], ReservePlan],
    found: Findings,
) -> None:  # fmt: skip
    """What is sold, each MW once, is drawn above sleep by running miners, and the ramp can shed it within the notice."""
    ramp = facts.site.ramp_w_per_min
    for t in range(len(facts.limit_w)):
        sold = [
            (blocks[key].reserve, record.kw * W_PER_KW - (record.unkept_w[t] if record.unkept_w else 0))
            for key, record in told.items()
            if blocks[key].seconds[t] and not blocks[key].called[t]
        ]
        if not sold:
            continue
        ready_mw = _sheddable_mw(facts, made, t)
        sum_mw = MILLIWATT_PER_W * sum(watts for _, watts in sold)
        if sum_mw > ready_mw:
            found.say(facts.site.name, t, f"sells {mega(sum_mw)} of reserves, its miners draw {mega(ready_mw)} above sleep")
        for notice_s in {reserve.notice_s for reserve, _ in sold} if ramp is not None else ():
            within_w = sum(watts for reserve, watts in sold if reserve.notice_s <= notice_s)
            if within_w > (ramp or 0) * notice_s // 60:
                most = mega((ramp or 0) * notice_s // 60 * MILLIWATT_PER_W)
                words = f"sells {mega(within_w * MILLIWATT_PER_W)} of reserves within {notice_s} s, its ramp sheds {most} in them"
                found.say(facts.site.name, t, words)


def _sheddable_mw(facts: SiteFacts, made: SitePlan, t: int) -> int:
    return sum(
        made.groups[g.name].mode_blocks[mode.name][t] * facts.modes_mw[g.name][n][t]
        for g in facts.site.asic_groups
        for n, mode in enumerate(g.modes)
    )


def _blocks(problem: Problem, facts: SiteFacts) -> dict[tuple[str, datetime], Block]:
    grid, found = problem.grid, {}
    for reserve in facts.site.reserves:
        calls = [o for o in problem.orders if o.site == facts.site.name and o.reserve == reserve.name]
        marks = _marks(facts.site.zone, reserve.block_hours, grid.start - DAY, grid.end + DAY)
        for begins, ends in pairwise(marks):
            seconds, called, called_s = [], [], []
            for start, length_s in zip(grid.starts, grid.step_s, strict=True):
                until = start + timedelta(seconds=length_s)
                inside = _common_s(start, until, begins, ends)
                here = [o for o in calls if o.start < until and (o.end is None or o.end > start)]
                seconds.append(inside)
                called.append(bool(inside and here))
                of_calls = [_common_s(max(start, begins), min(until, ends), o.start, o.end or ends) for o in here]
                called_s.append(max(of_calls, default=0))
            if any(seconds):
                found[reserve.name, begins] = Block(reserve, begins, ends, seconds, called, called_s)
    return found


def _marks(zone: str, block_hours: int, first: datetime, last: datetime) -> Iterator[datetime]:
    """Walk along the clock; a block begins where the number of the block within its day changes."""
    place, before = ZoneInfo(zone), None
    at = first.replace(minute=0, second=0, microsecond=0)
    while at <= last:
        local = at.astimezone(place)
        number = (local.date(), local.hour // block_hours)
        if before is not None and number != before:
            yield at
        before = number
        at += QUARTER


def _common_s(a_begins: datetime, a_ends: datetime, b_begins: datetime, b_ends: datetime) -> int:
    return max(0, int((min(a_ends, b_ends) - max(a_begins, b_begins)).total_seconds()))


def reserve_money(problem: Problem, facts: SiteFacts, made: SitePlan) -> dict[str, list[float]]:
    """Return the money of a site's reserves by term and step: paid capacity and calls, what calls lose, claw-back."""
    steps = problem.grid.steps
    terms = ("capacity", "energy", "saved_energy", "lost_hash", "starts", "claw_back")
    money = {f"reserve_{term}": [0.0] * steps for term in terms}
    blocks = _blocks(problem, facts)
    for record in made.reserves:
        block = blocks.get((record.reserve, record.start))
        if block is None:
            continue
        reserve = block.reserve
        for t, inside_s in enumerate(block.seconds):
            if not inside_s:
                continue
            unkept_kw = (record.unkept_w[t] if record.unkept_w else 0) / W_PER_KW
            kept_kw = record.kw - unkept_kw
            mw_h = kept_kw / 1000 * inside_s / S_PER_H
            money["reserve_capacity"][t] += reserve.capacity_usd_per_mw_h * mw_h
            money["reserve_claw_back"][t] -= reserve.claw_back_usd_per_mw_h * unkept_kw / 1000 * inside_s / S_PER_H
            if block.called[t]:
                money["reserve_energy"][t] += reserve.energy_usd_per_mwh * kept_kw / 1000 * block.called_s[t] / S_PER_H
                continue
            calls = reserve.calls_per_block * inside_s / block.length_s
            called_mwh = kept_kw / 1000 * calls * reserve.mean_call_s / S_PER_H
            lost, warm_up, wear = _dearest(problem, facts, t)
            money["reserve_energy"][t] += reserve.energy_usd_per_mwh * called_mwh
            money["reserve_saved_energy"][t] += facts.price_usd_per_mwh[t] * called_mwh
            money["reserve_lost_hash"][t] -= lost * called_mwh * 1000 + warm_up * calls * kept_kw
            money["reserve_starts"][t] -= wear * calls * kept_kw
    return money


def _dearest(problem: Problem, facts: SiteFacts, t: int) -> tuple[float, float, float]:
    """The most that a kW less loses: hash of an hour, hash of a warm-up, wear of a start; each USD per kW."""
    lost, warm_up, wear = [0.0], [0.0], [0.0]
    hashprice = paid_usd_per_ph_day(problem)[t]
    for group in facts.site.asic_groups:
        paid = (1 - group.pool_fee) * (1 - group.firmware_fee) * (1 - group.stale_share) * group.uptime
        for n, mode in enumerate(group.modes):
            kw = facts.modes_mw[group.name][n][t] / MILLIWATT_PER_KW
            ph = group.miners_per_block * mode.miner_hash_th_per_s / 1e3 * heat_milli(group, facts.ambient_c[t])[0] / 1000
            usd_per_s = hashprice / S_PER_DAY * ph * paid / kw
            if not barred(mode, facts.ambient_c[t]):
                lost.append(usd_per_s * S_PER_H)
            if n == 0:
                warm_up.append(usd_per_s * group.warm_up_s)
                wear.append(group.start_wear_usd / kw)
    return max(lost), max(warm_up), max(wear)
