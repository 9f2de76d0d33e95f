r"""Demand response and reserves: miners are sold not to run when called, by block of hours; what was awarded is kept.

Variables
    reserve[b]        power sold in block b                              integer, least_sold .. most_sold   [kW]
    offered[b]        whether anything is offered in an open block b     0 or 1
    unkept[b,t]       part of an award that does not stand ready         0 .. reserve                       [kW]

Constraints
    backed            sum over b in ready_in[s,t] of reserve[b] - sum over b in awarded_in[s,t] of unkept[b,t]
                      <= every element's shed_kw at s in t
    within_notice     the same sums over b in ready_within[s,n,t] and awarded_within[s,n,t] <= notice_kw[s,n]
    least_offer       least_kw[b] * offered[b] <= reserve[b]
    most_offer        reserve[b] <= most_sold[b] * offered[b]

A block b is one of a site's reserve. It is open until its gate closes, where it lies in the horizon as a whole; an award
has its bounds at what was awarded. Each MW is sold once: all reserves of a site share what its miners draw above sleep, in
every step that their blocks touch, and what its ramp can shed within the notice n of each, notice_kw[s,n]. A call is an
order: in its steps the block has nothing left to stand ready for. Nothing is promised that the site cannot do, but an
award that it cannot keep any more, or had better not, is clawed back at its price.

Contributes
    reserve_capacity      reserve_capacity_usd_per_kw[b,t] * (reserve[b] - unkept[b,t]), over b in sold_in[s,t]
    reserve_energy        the same with reserve_energy_usd_per_kw[b,t]
    reserve_saved_energy  the same with reserve_saved_energy_usd_per_kw[b,t]
    reserve_lost_hash     the same with reserve_lost_hash_usd_per_kw[b,t]
    reserve_starts        the same with reserve_starts_usd_per_kw[b,t]
    reserve_claw_back     -claw_back_usd_per_kw[b,t] * unkept[b,t]

Capacity is paid by the hour; energy for the hours of call that are expected, or in force. Expected calls save the energy
price, lose the dearest hash of the site and that of a warm-up, and wear its miners by a start after each.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from optimizer.contribution import Contribution, Earning, shed_at
from optimizer.data import Data, Groups, pairs
from optimizer.declare import STEPS, Expr, Model, Reading, Rule
from optimizer.reserves import TERMS, ReserveBlock, claw_back_usd_per_kw, reserve_blocks, usd_per_kw
from optimizer.sets import World

S_PER_MIN = 60
W_PER_KW = 1000


def reserve_sales(model: Model, machines: Sequence[Contribution]) -> Contribution:
    """Let the sites that have reserves sell what their machines could shed."""
    _sets_and_parameters(model)
    model.variable("reserve", "RESERVE_BLOCKS", integer=True, bounds=_sold, stage="contract")
    model.variable("offered", "OFFERS", integer=True, bounds=_yes_or_no, stage="contract")
    model.variable("unkept", "AWARD_STEPS", bounds=_awarded)

    @model.constraint("READY_STEPS")
    def backed(m: Reading, s: Expr, t: Expr) -> Expr:
        ready = sum(m.reserve[b] for b in m.ready_in[s, t]) - sum(m.unkept[b, t] for b in m.awarded_in[s, t])
        return ready - shed_at(machines, m, s, t) <= 0

    @model.constraint("NOTICE_STEPS")
    def within_notice(m: Reading, s: Expr, n: Expr, t: Expr) -> Expr:
        ready = sum(m.reserve[b] for b in m.ready_within[s, n, t])
        return ready - sum(m.unkept[b, t] for b in m.awarded_within[s, n, t]) <= m.notice_kw[s, n]

    @model.constraint("OFFERS")
    def least_offer(m: Reading, b: Expr) -> Expr:
        return m.least_kw[b] * m.offered[b] - m.reserve[b] <= 0

    @model.constraint("OFFERS")
    def most_offer(m: Reading, b: Expr) -> Expr:
        return m.reserve[b] - m.most_sold[b] * m.offered[b] <= 0

    def claw_back(m: Reading, s: Expr, t: Expr) -> Expr:
        return sum(-m.claw_back_usd_per_kw[b, t] * m.unkept[b, t] for b in m.awarded_in[s, t])

    over = ("SOLD_STEPS",)
    money = tuple(Earning(term, over, _kept(term)) for term in TERMS)
    return Contribution(money=(*money, Earning("reserve_claw_back", ("READY_STEPS",), claw_back)))


def _sets_and_parameters(model: Model) -> None:
    model.axis("RESERVE_BLOCKS")
    model.axis("NOTICES")
    model.sparse("OFFERS", "RESERVE_BLOCKS")
    model.sparse("RESERVE_STEPS", "RESERVE_BLOCKS", STEPS)
    model.sparse("AWARD_STEPS", "RESERVE_BLOCKS", STEPS)
    model.sparse("SOLD_STEPS", "SITES", STEPS)
    model.sparse("READY_STEPS", "SITES", STEPS)
    model.sparse("SITE_NOTICES", "SITES", "NOTICES")
    model.sparse("NOTICE_STEPS", "SITES", "NOTICES", STEPS)
    model.ragged("sold_in", by=["SOLD_STEPS"], of=["RESERVE_BLOCKS"])
    model.ragged("unkept_in", by=["SOLD_STEPS"], of=["RESERVE_BLOCKS"])
    for name in ("ready_in", "awarded_in"):
        model.ragged(name, by=["READY_STEPS"], of=["RESERVE_BLOCKS"])
    for name in ("ready_within", "awarded_within"):
        model.ragged(name, by=["NOTICE_STEPS"], of=["RESERVE_BLOCKS"])
    for name in ("least_sold", "most_sold"):
        model.parameter(name, "RESERVE_BLOCKS")
    model.parameter("least_kw", "OFFERS")
    model.parameter("notice_kw", "SITE_NOTICES")
    for name in TERMS:
        model.parameter(f"{name}_usd_per_kw", "RESERVE_STEPS")
    model.parameter("claw_back_usd_per_kw", "AWARD_STEPS")
    model.sources.append(reserve_data)


def _kept(term: str) -> Rule:
    def kept(m: Reading, s: Expr, t: Expr) -> Expr:
        usd = getattr(m, f"{term}_usd_per_kw")
        sold = sum(usd[b, t] * m.reserve[b] for b in m.sold_in[s, t])
        return sold - sum(usd[b, t] * m.unkept[b, t] for b in m.unkept_in[s, t])

    return kept


def _sold(m: Reading, b: Expr) -> tuple[Expr, Expr]:
    return m.least_sold[b], m.most_sold[b]


def _yes_or_no(m: Reading, b: Expr) -> tuple[Expr, Expr]:
    return 0, 1


def _awarded(m: Reading, b: Expr, t: Expr) -> tuple[Expr, Expr]:
    return 0, m.most_sold[b]


def reserve_data(world: World) -> Data:
    """Return sets and parameters of the reserves of a world."""
    blocks = [block for number in range(len(world.sites)) for block in reserve_blocks(world, number)]
    steps = [(b, t) for b, block in enumerate(blocks) for t in np.flatnonzero(block.seconds).tolist()]
    ready = [(b, t) for b, t in steps if not blocks[b].called[t]]
    awarded = [(b, t) for b, t in ready if blocks[b].award_kw is not None]
    rates = [usd_per_kw(world, block) for block in blocks]
    offers = [b for b, block in enumerate(blocks) if block.award_kw is None]
    claw_back = [claw_back_usd_per_kw(block) for block in blocks]
    sold_steps = pairs((blocks[b].site, t) for b, t in steps)
    ready_steps = pairs((blocks[b].site, t) for b, t in ready)
    return {
        "RESERVE_BLOCKS": [block.label for block in blocks],
        "OFFERS": pairs(((b,) for b in offers), 1),
        "RESERVE_STEPS": pairs(steps),
        "AWARD_STEPS": pairs(awarded),
        "SOLD_STEPS": sold_steps,
        "READY_STEPS": ready_steps,
        "sold_in": _by_site(blocks, sold_steps.tolist(), steps),
        "unkept_in": _by_site(blocks, sold_steps.tolist(), awarded),
        "ready_in": _by_site(blocks, ready_steps.tolist(), ready),
        "awarded_in": _by_site(blocks, ready_steps.tolist(), awarded),
        "least_sold": [block.award_kw or 0 for block in blocks],
        "most_sold": [block.most_kw for block in blocks],
        "least_kw": [blocks[b].reserve.least_kw for b in offers],
        **{f"{term}_usd_per_kw": [rates[b][term][t] for b, t in steps] for term in TERMS},
        "claw_back_usd_per_kw": [claw_back[b][t] for b, t in awarded],
        **_notices(world, blocks, ready, awarded),
    }


def _by_site(blocks: Sequence[ReserveBlock], cells: Sequence[Sequence[int]], members: Iterable[tuple[int, int]]) -> Groups:
    """Group blocks under the cells (site, step) of a sparse set."""
    place = {tuple(cell): n for n, cell in enumerate(cells)}
    return _grouped(len(cells), [(place[blocks[b].site, t], b) for b, t in members])


def _grouped(groups: int, members: Sequence[tuple[int, int]]) -> Groups:
    owner, member = np.array(sorted(members), dtype=np.int64).reshape(-1, 2).T
    return Groups.of(groups, owner, member)


def _notices(
    world: World, blocks: Sequence[ReserveBlock], ready: Sequence[tuple[int, int]], awarded: Sequence[tuple[int, int]]
) -> Data:
    """What a site with a ramp can shed within the notice of each of its reserves, and which blocks count for it."""
    lengths = sorted({block.reserve.notice_s for block in blocks})
    ramped = {n: site.ramp_w_per_min for n, site in enumerate(world.sites) if site.ramp_w_per_min is not None}
    levels = pairs((b.site, lengths.index(b.reserve.notice_s)) for b in blocks if b.site in ramped)
    within: dict[str, list[tuple[tuple[int, int, int], int]]] = {}
    for name, cells in (("ready_within", ready), ("awarded_within", awarded)):
        within[name] = [
            ((s, n, t), b)
            for b, t in cells
            for s, n in levels.tolist()
            if blocks[b].site == s and blocks[b].reserve.notice_s <= lengths[n]
        ]
    rows = pairs((cell for cell, _ in within["ready_within"]), 3)
    place = {tuple(row): k for k, row in enumerate(rows.tolist())}
    return {
        "NOTICES": [f"{seconds}s" for seconds in lengths],
        "SITE_NOTICES": levels,
        "NOTICE_STEPS": rows,
        "notice_kw": [ramped[s] * lengths[n] // S_PER_MIN / W_PER_KW for s, n in levels.tolist()],
        **{name: _grouped(len(rows), [(place[cell], b) for cell, b in members]) for name, members in within.items()},
    }
