"""Carries sold reserves from plan to plan: what the plan in force offered when a gate closed is taken as awarded in full.

An award stays until its block has ended; a programme that the fleet no longer has is dropped. What a programme is told to
have awarded outranks all of that, also where it is less than what was offered, or nothing.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from models.base import iso
from models.fleet import Fleet
from models.order import LimitOrder
from models.reserve import Award, Reserve, ToldAward
from service.in_force import InForce, in_force

SECOND = timedelta(seconds=1)
W_PER_MW = 1_000_000
CALL_UNSOLD = "call_unsold"
"""What a note begins with that says of a call that nothing was sold."""


def carried_awards(fleet: Fleet, plans: Sequence[InForce], *, now: datetime, at: datetime) -> tuple[Award, ...]:
    """Return what is awarded of the blocks that a plan beginning at `at` still meets.

    `plans` are the published plans from the one in force at `now` on.
    """
    reserves = _reserves(fleet)
    base = in_force(plans, now)
    found: dict[tuple[str, str, datetime], Award] = {}
    for standing in sorted(plans, key=lambda p: p.version):
        for site, made in standing.plan.sites.items():
            for sold in made.reserves:
                if (reserve := reserves.get((site, sold.reserve))) is None or sold.end <= at:
                    continue
                closes = sold.start - timedelta(seconds=reserve.gate_s)
                is_final = closes <= at and in_force(plans, closes - SECOND) is standing
                if is_final or (sold.is_award and standing is base):
                    award = Award(site=site, reserve=sold.reserve, start=sold.start, kw=sold.kw)
                    found.setdefault((site, sold.reserve, sold.start), award)
    zones = {site.name: site.zone for site in fleet.sites}
    return tuple(a for a in found.values() if reserves[a.site, a.reserve].block_at(zones[a.site], a.start)[0] == a.start)


def with_told(awards: Sequence[Award], told: Sequence[ToldAward]) -> tuple[Award, ...]:
    """Return what is awarded, where some of it was told: that counts instead of what was taken as awarded of its block."""
    found = {(award.site, award.reserve, award.start): award for award in awards}
    for said in told:
        key = said.site, said.reserve, said.start
        found.pop(key, None)
        if said.kw:
            found[key] = Award(site=said.site, reserve=said.reserve, start=said.start, kw=said.kw)
    return tuple(found.values())


def known_calls(fleet: Fleet, orders: Sequence[LimitOrder]) -> tuple[LimitOrder, ...]:
    """Return orders as they are, but none as the call of a reserve that the fleet no longer has: it caps the site still."""
    reserves = _reserves(fleet)
    return tuple(
        order if order.reserve is None or (order.site, order.reserve) in reserves else order.model_copy(update={"reserve": None})
        for order in orders
    )


def unsold_calls(fleet: Fleet, orders: Sequence[LimitOrder], awards: Sequence[Award], *, since: datetime) -> tuple[str, ...]:
    """Say of which calls nothing is known to be sold: their caps bind all the same, and nobody pays for what they cost.

    Of blocks that had ended by `since` no awards are known any more: calls that began in one are passed over.
    """
    reserves, zones = _reserves(fleet), {site.name: site.zone for site in fleet.sites}
    found = []
    for order in orders:
        if order.reserve is None or (reserve := reserves.get((order.site, order.reserve))) is None:
            continue
        zone = zones[order.site]
        begins, ends = reserve.block_at(zone, order.start)
        if ends <= since or any(_is_of(order, award, reserve.block_at(zone, award.start)[1]) for award in awards):
            continue
        block = f"in the block from {iso(begins)} to {iso(ends)}"
        words = f"{order.site} is known to have sold nothing of {order.reserve} {block}; the call caps it at"
        found.append(f"{CALL_UNSOLD}: {words} {order.limit_w / W_PER_MW:g} MW all the same, and nothing is paid for it")
    return tuple(found)


def _is_of(call: LimitOrder, award: Award, ends: datetime) -> bool:
    is_one = (award.site, award.reserve) == (call.site, call.reserve)
    return is_one and ends > call.start and (call.end is None or award.start < call.end)


def _reserves(fleet: Fleet) -> dict[tuple[str, str], Reserve]:
    return {(site.name, reserve.name): reserve for site in fleet.sites for reserve in site.reserves}
