"""Blocks of reserves at a site: what may be offered, what is awarded, what a kW of each brings, and what can be kept.

A kW that is sold is priced as if the dearest hash of the site stopped for it: what a call really costs is at most that, but
for the last block, since blocks come whole.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from models.plan import ReservePlan
from models.reserve import Reserve
from optimizer.availability import group_available, hash_ph_per_s, modes_allowed, power_w
from optimizer.compiled import Flags, Floats, Ints
from optimizer.sets import World

S_PER_H = 3600
W_PER_KW = 1000
KW_PER_MW = 1000
MILLIWATT_PER_W = 1000
MILLIWATT_PER_KW = 1e6
HOURS_PER_DAY = 24
TERMS = ("reserve_capacity", "reserve_energy", "reserve_saved_energy", "reserve_lost_hash", "reserve_starts")
"""What a kW that is kept brings, by step."""


@dataclass(frozen=True, eq=False)
class ReserveBlock:
    """A block of a reserve at a site (by position) that is open for offers, or awarded.

    award_kw: None where it is open. most_kw: the most that an offer can be. seconds: of the block in each step.
    called: steps in which a call of it is in force; called_s: seconds of these calls in each step.
    """

    site: int
    label: str
    reserve: Reserve
    begins: datetime
    ends: datetime
    award_kw: int | None
    most_kw: int
    seconds: Ints
    called: Flags
    called_s: Ints

    @property
    def counts(self) -> Flags:
        """Steps in which the sold power must stand ready."""
        return (self.seconds > 0) & ~self.called


def reserve_blocks(world: World, number: int) -> list[ReserveBlock]:
    """Return the blocks of a site's reserves that are open, or awarded, in the horizon; in order."""
    site, grid = world.sites[number], world.problem.grid
    awards = {(a.reserve, a.start): a.kw for a in world.problem.awards if a.site == site.name}
    found = []
    for reserve in site.reserves:
        calls = [o for o in world.problem.orders if o.site == site.name and o.reserve == reserve.name]
        for block in reserve.blocks(site.zone, grid):
            begins, ends = block
            award_kw = awards.get((reserve.name, begins))
            if award_kw is None and not reserve.is_open(block, grid):
                continue
            seconds = _overlap_s(world, begins, ends)
            called_s, called = np.zeros_like(seconds), np.zeros(len(seconds), dtype=np.bool_)
            for call in calls:
                until = ends if call.end is None else min(ends, call.end)
                called_s = np.maximum(called_s, _overlap_s(world, max(begins, call.start), until))
                called |= world.touched(call.start, call.end) & (seconds > 0)
            most_kw = min(reserve.most_kw, _most_kw(world, number, seconds > 0)) if award_kw is None else award_kw
            label = f"{site.name}/{reserve.name}@{begins:%Y-%m-%dT%H:%MZ}"
            found.append(ReserveBlock(number, label, reserve, begins, ends, award_kw, most_kw, seconds, called, called_s))
    return found


def _overlap_s(world: World, begins: datetime, ends: datetime) -> Ints:
    zero = world.problem.grid.start
    first_s, last_s = ((instant - zero) // timedelta(seconds=1) for instant in (begins, ends))
    inside = np.minimum(world.start_s + world.step_s, last_s) - np.maximum(world.start_s, first_s)
    return np.asarray(np.maximum(0, inside), dtype=np.int64)


def _most_kw(world: World, number: int, steps: Flags) -> int:
    """What all blocks in service could shed in each of some steps, in their highest mode."""
    total = np.zeros(len(world.step_s), dtype=np.int64)
    rows = zip(world.groups, world.group_pue_milli, group_available(world), modes_allowed(world), strict=True)
    for g, pue, available, allowed in rows:
        if g.site == number:
            top = np.zeros_like(total)
            for k in range(len(g.group.modes)):
                top = np.where(k < allowed, np.maximum(top, power_w(world, g, k) - g.group.block_sleep_w), top)
            total += available * top * pue
    return int(total[steps].min()) // int(MILLIWATT_PER_KW)


def usd_per_kw(world: World, block: ReserveBlock) -> dict[str, Floats]:
    """Return what a kW that is kept brings in each step, by money term; costs negative. [USD per kW]."""
    reserve, length_s = block.reserve, (block.ends - block.begins) // timedelta(seconds=1)
    free = ~block.called
    share = block.seconds / length_s * free
    calls, call_h = reserve.calls_per_block * share, reserve.calls_per_block * reserve.mean_call_s * share / S_PER_H
    dearest, warm_up, wear = _dearest(world, block.site)
    price = np.array(world.problem.energy_price_usd_per_mwh(world.sites[block.site]))
    paid_h = call_h + block.called_s * block.called / S_PER_H
    return {
        "reserve_capacity": reserve.capacity_usd_per_mw_h * block.seconds / S_PER_H / KW_PER_MW,
        "reserve_energy": reserve.energy_usd_per_mwh * paid_h / KW_PER_MW,
        "reserve_saved_energy": price * call_h / KW_PER_MW,
        "reserve_lost_hash": -(dearest * call_h + warm_up * calls),
        "reserve_starts": -wear * calls,
    }


def claw_back_usd_per_kw(block: ReserveBlock) -> Floats:
    """Return what a kW of an award that is not kept costs in each step, its lost payments left out. [USD per kW]."""
    return np.asarray(block.reserve.claw_back_usd_per_mw_h * block.seconds / S_PER_H / KW_PER_MW)


def _dearest(world: World, number: int) -> tuple[Floats, Floats, Floats]:
    """Return by step the most that a site's miners lose by a kW less: hash per hour, hash of a warm-up, wear of a start."""
    usd_per_ph_h = np.array(world.problem.paid_hashprice_usd_per_ph_day) / HOURS_PER_DAY
    steps = len(world.step_s)
    dearest, warm_up, wear = np.zeros(steps), np.zeros(steps), np.zeros(steps)
    for g, pue, allowed in zip(world.groups, world.group_pue_milli, modes_allowed(world), strict=True):
        if g.site != number:
            continue
        group = g.group
        for k in range(len(group.modes)):
            kw = (power_w(world, g, k) - group.block_sleep_w) * pue / MILLIWATT_PER_KW
            made = usd_per_ph_h * hash_ph_per_s(world, g, k) * group.paid_share / kw
            dearest = np.where(k < allowed, np.maximum(dearest, made), dearest)
            if k == 0:
                warm_up = np.maximum(warm_up, made * group.warm_up_s / S_PER_H)
                wear = np.maximum(wear, group.start_wear_usd / kw)
    return dearest, warm_up, wear


def kept_w(
    world: World, blocks: Sequence[ReserveBlock], offers_kw: Mapping[str, int], shed_mw: Sequence[int]
) -> dict[str, list[int]]:
    """Return by label what stands ready of each award in each step: as much as what is offered leaves, dearest first. [W].

    blocks: of one site. offers_kw: by label. shed_mw: what its miners could shed, in milliwatts by step.
    """
    awards = [b for b in blocks if b.award_kw is not None]
    worth = {b.label: sum(usd_per_kw(world, b).values()) + claw_back_usd_per_kw(b) for b in awards}
    kept = {b.label: [W_PER_KW * (b.award_kw or 0)] * len(shed_mw) for b in awards}
    for t, shed in enumerate(shed_mw):
        rooms = _rooms(world, blocks, shed // MILLIWATT_PER_W)
        for block in blocks:
            if block.award_kw is None and block.counts[t]:
                _take(rooms, block, W_PER_KW * offers_kw.get(block.label, 0))
        here = [b for b in awards if b.counts[t]]
        for block in sorted(here, key=lambda b: -worth[b.label][t]):
            room = min(left for notice_s, left in rooms.items() if notice_s >= block.reserve.notice_s)
            ready = max(0, min(kept[block.label][t], room)) if worth[block.label][t] >= 0 else 0
            kept[block.label][t] = ready
            _take(rooms, block, ready)
    return kept


def most_offers(
    world: World, blocks: Sequence[ReserveBlock], wanted_kw: Mapping[str, int], shed_mw: Sequence[int]
) -> dict[str, int]:
    """Return offers no larger than wanted that the miners back in every step, whole kW and no less than the least size."""
    offers: dict[str, int] = {}
    for block in blocks:
        if block.award_kw is not None:
            continue
        left_w = W_PER_KW * wanted_kw.get(block.label, 0)
        for t in np.flatnonzero(block.counts).tolist():
            rooms = _rooms(world, blocks, shed_mw[t] // MILLIWATT_PER_W)
            for other in blocks:
                if other.label in offers and other.counts[t]:
                    _take(rooms, other, W_PER_KW * offers[other.label])
            left_w = min(left_w, *(left for notice_s, left in rooms.items() if notice_s >= block.reserve.notice_s))
        offers[block.label] = left_w // W_PER_KW if left_w // W_PER_KW >= block.reserve.least_kw else 0
    return offers


NO_NOTICE = 10**9
"""Stands for all the time there is: what miners can shed at all."""


def _rooms(world: World, blocks: Sequence[ReserveBlock], shed_w: int) -> dict[int, int]:
    """What can be shed within each notice, and at all."""
    ramp = world.sites[blocks[0].site].ramp_w_per_min
    within = {b.reserve.notice_s: ramp * b.reserve.notice_s // 60 for b in blocks} if ramp is not None else {}
    return {**within, NO_NOTICE: shed_w}


def _take(rooms: dict[int, int], block: ReserveBlock, watts: int) -> None:
    for notice_s in rooms:
        if notice_s >= block.reserve.notice_s:
            rooms[notice_s] -= watts


def planned(
    world: World, number: int, offers_kw: Mapping[tuple[str, datetime], int], shed_mw: Sequence[int]
) -> tuple[ReservePlan, ...]:
    """Return the record of a site's reserves when so much is offered and its miners could shed so much.

    offers_kw: by reserve and start of the block. shed_mw: by step, in milliwatts.
    """
    if not (blocks := reserve_blocks(world, number)):
        return ()
    wanted = {b.label: offers_kw.get((b.reserve.name, b.begins), 0) for b in blocks}
    offers = most_offers(world, blocks, wanted, shed_mw)
    kept = kept_w(world, blocks, offers, shed_mw)
    found = []
    for block in blocks:
        if block.award_kw is None:
            if kw := offers[block.label]:
                found.append(ReservePlan(reserve=block.reserve.name, start=block.begins, end=block.ends, kw=kw))
            continue
        missing = tuple(W_PER_KW * block.award_kw - ready for ready in kept[block.label])
        found.append(
            ReservePlan(
                reserve=block.reserve.name, start=block.begins, end=block.ends, kw=block.award_kw, is_award=True,
                unkept_w=missing if any(missing) else (),
            )
        )  # fmt: skip
    return tuple(found)
