r"""Energy tiers: energy of a month beyond a threshold costs more.

Variables
    beyond[s,m,k]     energy of month m beyond the room under tier k     0 ..   [MWh]

Constraints
    tier_covers       sum over t of month_mwh_per_kw[s,m,t] * draw[s,t] - tier_room_mwh[s,m,k] <= beyond[s,m,k]

Contributes
    tier_cost         -sum over m and k of tier_usd_per_mwh[s,m,k,t] * beyond[s,m,k]

The room is what the month may still take under the tier's threshold, by what the meter has counted so far, times
(horizon left / month left): a month longer than the horizon must not use up in the part that is seen what the rest of it
will need. The money of a month is spread evenly over its steps in the horizon; month_mwh_per_kw is the time of a step
that lies in the month.
"""

import numpy as np

from models.billing import month_span
from optimizer.contribution import Contribution, Earning
from optimizer.data import Data, Groups, by_pair, pairs
from optimizer.declare import STEPS, Expr, Model, Reading, Rule
from optimizer.sets import World

KW_S_PER_MWH = 3_600_000


def energy_tiers(model: Model, draw_kw: Rule) -> Contribution:
    """Charge the energy of the sites that have tiers."""
    model.axis("TIERS")
    model.sparse("TIERED", "SITES", "MONTHS", "TIERS")
    model.sparse("TIER_MONTHS", "SITES", "MONTHS", STEPS)
    model.sparse("TIER_CELLS", "SITES", "MONTHS", "TIERS", STEPS)
    model.sparse("TIER_STEPS", "SITES", STEPS)
    model.ragged("STEPS_IN", by=["TIERED"], of=[STEPS])
    model.ragged("TIERS_OF", by=["TIER_STEPS"], of=["MONTHS", "TIERS"])
    model.parameter("tier_room_mwh", "TIERED")
    model.parameter("month_mwh_per_kw", "TIER_MONTHS")
    model.parameter("tier_usd_per_mwh", "TIER_CELLS")
    model.sources.append(tier_data)
    model.variable("beyond", "TIERED")

    @model.constraint("TIERED")
    def tier_covers(m: Reading, s: Expr, month: Expr, k: Expr) -> Expr:
        taken = sum(m.month_mwh_per_kw[s, month, t] * draw_kw(m, s, t) for t in m.STEPS_IN[s, month, k])
        return taken - m.beyond[s, month, k] <= m.tier_room_mwh[s, month, k]

    def tier_cost(m: Reading, s: Expr, t: Expr) -> Expr:
        return -sum(m.tier_usd_per_mwh[s, month, k, t] * m.beyond[s, month, k] for month, k in m.TIERS_OF[s, t])

    return Contribution(money=(Earning("tier_cost", ("TIER_STEPS",), tier_cost),))


def tier_data(world: World) -> Data:
    """Return sets and parameters of the energy tiers of a world."""
    room: dict[tuple[int, int, int], float] = {}
    seconds: dict[tuple[int, int, int], int] = {}
    usd: dict[tuple[int, int, int, int], float] = {}
    for n, site in enumerate(world.sites):
        meter = world.problem.state.sites[site.name].months
        for month in np.flatnonzero(world.month_s[n].any(axis=1)).tolist() if site.energy_tiers else []:
            inside = {t: int(world.month_s[n, month, t]) for t in np.flatnonzero(world.month_s[n, month]).tolist()}
            start, end = month_span(site.zone, world.months[month])
            left_s = (end - max(start, world.problem.grid.start)).total_seconds()
            seen_s = sum(inside.values())
            seconds |= {(n, month, t): s for t, s in inside.items()}
            for k, tier in enumerate(site.energy_tiers):
                room[n, month, k] = tier.room_mwh(world.months[month], meter) * seen_s / left_s
                usd |= {(n, month, k, t): tier.adder_usd_per_mwh * s / seen_s for t, s in inside.items()}
    tiered = pairs(room, 3)
    place = {tuple(key): at for at, key in enumerate(tiered.tolist())}
    cells = pairs(usd, 4)
    owner = np.array([place[n, month, k] for n, month, k, _ in cells.tolist()], dtype=np.int64)
    steps, _ = by_pair((n, t, k) for n, _, k, t in usd)
    at_step = {tuple(key): at for at, key in enumerate(steps.tolist())}
    owner_step = np.array([at_step[n, t] for n, _, _, t in cells.tolist()], dtype=np.int64)
    return {
        "TIERS": [f"tier-{k}" for k in range(max((len(s.energy_tiers) for s in world.sites), default=0))],
        "TIERED": tiered,
        "TIER_MONTHS": pairs(seconds, 3),
        "TIER_CELLS": cells,
        "TIER_STEPS": steps,
        "STEPS_IN": Groups.of(len(tiered), owner, cells[:, 3]),
        "TIERS_OF": Groups.of(len(steps), owner_step, cells[:, 1:3]),
        "tier_room_mwh": [room[key] for key in sorted(room)],
        "month_mwh_per_kw": [seconds[key] / KW_S_PER_MWH for key in sorted(seconds)],
        "tier_usd_per_mwh": [usd[key] for key in sorted(usd)],
    }
