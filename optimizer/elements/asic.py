r"""ASIC groups: how many blocks hash in which power mode, and what a start costs.

A group g has `blocks` identical blocks; one that does not hash sleeps, and draws nothing where the site is dark.

Variables
    in_mode[g,k,t]    blocks of g that hash in mode k        integer, least_in_mode .. most_in_mode   [blocks]
    on[g,t]           blocks that hash                       integer, least_on .. most_on             [blocks]
    start[g,t]        blocks that start                      0 .. blocks                          [blocks]
    stop[g,t]         blocks that stop                       0 .. blocks                          [blocks]
    paid_hash[s,t]    hash rate that is paid for             >= 0                                 [PH/s]

Constraints
    modes_add_up      sum over k of in_mode[g,k,t] == on[g,t]
    starts_and_stops  on[g,t] - on[g,t-1] == start[g,t] - stop[g,t]
    min_up            starts in recent_starts[g,t] + carried_up[g,t] <= on[g,t]
    min_down          stops in recent_stops[g,t] + carried_down[g,t] <= blocks[g] - on[g,t]
    daily_starts      starts in steps_of_day[g,d] <= starts_left[g,d]
    hash_made         paid_hash[s,t] == sum over g at s of (paid_ph[g,k,t] * in_mode[g,k,t]
                      - warm_up_ph[g,t] * (lost_share[g,t,h] * start[g,h] over warming[g,t] + carried_lost[g,t]))

most_on[g,t] are the blocks in service, none where the site is dark, and most_in_mode[g,k,t] is the same; a pin holds the
blocks in one mode, or of the group, between its count and its count.

`start` and `stop` are whole where `on` is. recent_starts[g,t] are the steps that began less than `min_up_s` before t (and t);
carried_up[g,t] counts blocks started before the horizon that must still run (first in, first out; less where a recovery
released them); likewise for stops. starts_left[g,d] is blocks times starts per block on local day d, less what started on
it before the plan; steps_of_day[g,d] are the steps that begin on it. lost_share[g,t,h] is the share of step t that a start
in step h spends warming up, in which the block earns nothing of its lowest mode's hash, warm_up_ph[g,t]. Heat takes from
hash and adds to power, and bars modes above their temperature.

Contributes
    power_kw          group_pue[g,t] * (asleep_kw[g,t] * blocks[g] + (mode_kw[g,k,t] - asleep_kw[g,t]) * in_mode[g,k,t])
    power_kw_under    the same over the groups below feeder f
    shed_kw           group_pue[g,t] * (mode_kw[g,k,t] - asleep_kw[g,t]) * in_mode[g,k,t]
    hashing_revenue   hash_usd_per_ph[t] * paid_hash[s,t]
    asic_start_wear   -start_wear_usd[g] * start[g,t]

Minimum run and rest as counts of identical units: Rajan and Takriti (2005), "Minimum up/down polytopes of the unit
commitment problem with start-up costs", aggregated over identical blocks.
"""

from collections.abc import Sequence
from operator import itemgetter

import numpy as np

from optimizer.availability import days, group_available, hash_ph_per_s, modes_allowed, pinned, power_w, starts_left
from optimizer.compiled import Floats
from optimizer.contribution import Contribution, Earning
from optimizer.data import Data, Groups, pairs
from optimizer.declare import STEPS, Expr, Model, Reading
from optimizer.sets import World
from optimizer.windows import carried, cohort_arrays, losses, recent_changes, still_held

W_PER_KW = 1000
HOURS_PER_DAY = 24


def asic_mining(model: Model) -> Contribution:
    """Add every ASIC group of every site."""
    _sets_and_parameters(model)
    model.variable("in_mode", "GROUP_MODES", STEPS, integer=True, bounds=_in_mode, stage="set_point")
    model.variable("on", "GROUPS", STEPS, integer=True, bounds=_on, stage="commitment")
    model.variable("start", "GROUPS", STEPS, bounds=_blocks)
    model.variable("stop", "GROUPS", STEPS, bounds=_blocks)
    model.variable("paid_hash", "SITES", STEPS)

    @model.constraint("GROUPS", STEPS)
    def modes_add_up(m: Reading, g: Expr, t: Expr) -> Expr:
        return sum(m.in_mode[g, k, t] for k in m.modes_of[g]) == m.on[g, t]

    @model.constraint("GROUPS", STEPS)
    def starts_and_stops(m: Reading, g: Expr, t: Expr) -> Expr:
        return m.on[g, t] - m.previous(m.on, m.on_before, g, t) == m.start[g, t] - m.stop[g, t]

    @model.constraint("GROUPS", STEPS)
    def min_up(m: Reading, g: Expr, t: Expr) -> Expr:
        return sum(m.start[g, h] for h in m.recent_starts[g, t]) + m.carried_up[g, t] <= m.on[g, t]

    @model.constraint("GROUPS", STEPS)
    def min_down(m: Reading, g: Expr, t: Expr) -> Expr:
        return sum(m.stop[g, h] for h in m.recent_stops[g, t]) + m.carried_down[g, t] <= m.blocks[g] - m.on[g, t]

    @model.constraint("STARTS_COUNTED")
    def daily_starts(m: Reading, g: Expr, d: Expr) -> Expr:
        return sum(m.start[g, h] for h in m.steps_of_day[g, d]) <= m.starts_left[g, d]

    @model.constraint("SITES", STEPS)
    def hash_made(m: Reading, s: Expr, t: Expr) -> Expr:
        return m.paid_hash[s, t] == sum(_paid_ph(m, g, t) for g in m.groups_at[s])

    return Contribution(
        power_kw=_power_kw,
        power_kw_under=_power_kw_under,
        shed_kw=_shed_kw,
        money=(
            Earning("hashing_revenue", ("SITES", STEPS), _hashing_revenue),
            Earning("asic_start_wear", ("SITES", STEPS), _start_wear),
        ),
    )


def _sets_and_parameters(model: Model) -> None:
    model.axis("GROUPS")
    model.axis("MODES")
    model.sparse("GROUP_MODES", "GROUPS", "MODES")
    model.axis("DAYS")
    model.sparse("STARTS_COUNTED", "GROUPS", "DAYS")
    model.ragged("steps_of_day", by=["STARTS_COUNTED"], of=[STEPS])
    model.parameter("starts_left", "STARTS_COUNTED")
    model.sparse("WARMING", "GROUPS", STEPS, STEPS)
    model.ragged("groups_at", by=["SITES"], of=["GROUPS"])
    model.ragged("groups_under", by=["FEEDERS"], of=["GROUPS"])
    model.ragged("modes_of", by=["GROUPS"], of=["MODES"])
    for name in ("recent_starts", "recent_stops", "warming"):
        model.ragged(name, by=["GROUPS", STEPS], of=[STEPS])
    for name in ("blocks", "on_before", "start_wear_usd"):
        model.parameter(name, "GROUPS")
    for name in ("group_pue", "warm_up_ph", "least_on", "most_on", "asleep_kw", "carried_up", "carried_down", "carried_lost"):
        model.parameter(name, "GROUPS", STEPS)
    for name in ("mode_kw", "paid_ph", "least_in_mode", "most_in_mode"):
        model.parameter(name, "GROUP_MODES", STEPS)
    model.parameter("lost_share", "WARMING")
    model.parameter("hash_usd_per_ph", STEPS)
    model.sources.append(asic_data)


def blocks_on(m: Reading, g: Expr, t: Expr) -> Expr:
    """Blocks of a group that hash. [blocks]."""
    return m.on[g, t]


def block_starts(m: Reading, g: Expr, t: Expr) -> Expr:
    """Blocks of a group that start. [blocks]."""
    return m.start[g, t]


def _in_mode(m: Reading, g: Expr, k: Expr, t: Expr) -> tuple[Expr, Expr]:
    return m.least_in_mode[g, k, t], m.most_in_mode[g, k, t]


def _on(m: Reading, g: Expr, t: Expr) -> tuple[Expr, Expr]:
    return m.least_on[g, t], m.most_on[g, t]


def _blocks(m: Reading, g: Expr, t: Expr) -> tuple[Expr, Expr]:
    return 0, m.blocks[g]


def _paid_ph(m: Reading, g: Expr, t: Expr) -> Expr:
    made = sum(m.paid_ph[g, k, t] * m.in_mode[g, k, t] for k in m.modes_of[g])
    lost = sum(m.lost_share[g, t, h] * m.start[g, h] for h in m.warming[g, t]) + m.carried_lost[g, t]
    return made - m.warm_up_ph[g, t] * lost


def _power_kw(m: Reading, s: Expr, t: Expr) -> Expr:
    return sum(m.group_pue[g, t] * _at_machines_kw(m, g, t) for g in m.groups_at[s])


def _power_kw_under(m: Reading, f: Expr, t: Expr) -> Expr:
    return sum(m.group_pue[g, t] * _at_machines_kw(m, g, t) for g in m.groups_under[f])


def _shed_kw(m: Reading, s: Expr, t: Expr) -> Expr:
    return sum(m.group_pue[g, t] * _above_sleep_kw(m, g, t) for g in m.groups_at[s])


def _at_machines_kw(m: Reading, g: Expr, t: Expr) -> Expr:
    return _above_sleep_kw(m, g, t) + m.asleep_kw[g, t] * m.blocks[g]


def _above_sleep_kw(m: Reading, g: Expr, t: Expr) -> Expr:
    return sum((m.mode_kw[g, k, t] - m.asleep_kw[g, t]) * m.in_mode[g, k, t] for k in m.modes_of[g])


def _hashing_revenue(m: Reading, s: Expr, t: Expr) -> Expr:
    return m.hash_usd_per_ph[t] * m.paid_hash[s, t]


def _start_wear(m: Reading, s: Expr, t: Expr) -> Expr:
    return sum(-m.start_wear_usd[g] * m.start[g, t] for g in m.groups_at[s])


def asic_data(world: World) -> Data:
    """Return sets and parameters of the ASIC groups of a world."""
    groups = [g.group for g in world.groups]
    modes = sorted({mode.name for group in groups for mode in group.modes})
    mode_code = {name: n for n, name in enumerate(modes)}
    operating = sorted(
        ((n, mode_code[mode.name], mode) for n, group in enumerate(groups) for mode in group.modes), key=itemgetter(0, 1)
    )
    running = [(world.groups[n], groups[n].modes.index(mode)) for n, _, mode in operating]
    group_modes = pairs((n, k) for n, k, _ in operating)
    lit = world.energised[[g.site for g in world.groups]]
    for n, g in enumerate(world.groups):
        lit[n] &= world.live[g.site][g.group.name]
    under = pairs(
        (n, f)
        for f, b in enumerate(world.branches)
        for n in world.groups_at.get(b.site, ())
        if world.groups[n].group.name in b.machines
    )
    blocks = np.array([group.blocks for group in groups], dtype=np.int64)
    asleep_kw = np.array([group.block_sleep_w / W_PER_KW for group in groups])
    return {
        "GROUPS": [g.label for g in world.groups],
        "MODES": modes,
        "GROUP_MODES": group_modes,
        "groups_at": Groups.of(len(world.sites), np.array([g.site for g in world.groups], np.int64), np.arange(len(groups))),
        "groups_under": Groups.of(len(world.branches), under[:, 1], under[:, 0]),
        "modes_of": Groups.of(len(groups), group_modes[:, 0], group_modes[:, 1]),
        "blocks": blocks,
        "on_before": [g.state.running for g in world.groups],
        "warm_up_ph": _table(world, [hash_ph_per_s(world, g, 0) * g.group.paid_share for g in world.groups]),
        "start_wear_usd": [group.start_wear_usd for group in groups],
        "group_pue": world.group_pue_milli / 1000,
        "asleep_kw": np.where(lit, asleep_kw[:, None], 0.0),
        "mode_kw": _table(world, [power_w(world, g, k) / W_PER_KW for g, k in running]),
        "paid_ph": _table(world, [hash_ph_per_s(world, g, k) * g.group.paid_share for g, k in running]),
        "hash_usd_per_ph": np.array(world.problem.paid_hashprice_usd_per_ph_day) / HOURS_PER_DAY * world.hours,
        **_days(world),
        **_counts(world, [(n, mode.name) for n, _, mode in operating]),
        **_history(world),
    }


def _table(world: World, rows: Sequence[Floats]) -> Floats:
    return np.reshape(np.array(rows), (len(rows), len(world.step_s)))


def _days(world: World) -> Data:
    """Local days on which the starts of a group are counted, and how many each still allows."""
    counted = [(n, g, left) for n, g in enumerate(world.groups) if (left := starts_left(world, g)) is not None]
    labels = sorted({day for _, _, left in counted for day in left})
    cells = [(n, labels.index(day), g, left[day]) for n, g, left in counted for day in sorted(left)]
    steps = [
        (row, t)
        for row, (_, d, g, _) in enumerate(cells)
        for t, day in enumerate(days(world, world.sites[g.site].zone))
        if day == labels[d]
    ]
    owner, member = pairs(steps).T
    return {
        "DAYS": [f"{day}" for day in labels],
        "STARTS_COUNTED": pairs((n, d) for n, d, _, _ in cells),
        "steps_of_day": Groups.of(len(cells), owner, member),
        "starts_left": [left for _, _, _, left in cells],
    }


def _counts(world: World, operating: Sequence[tuple[int, str]]) -> Data:
    """How many blocks may run, and must, in each mode and in all, by step."""
    most_on = group_available(world).copy()
    least_on = np.zeros_like(most_on)
    rank = [[mode.name for mode in world.groups[n].group.modes].index(name) for n, name in operating]
    of_group = [n for n, _ in operating]
    allowed = modes_allowed(world)[of_group] > np.array(rank, dtype=np.int64)[:, None]
    most_in_mode = np.where(allowed, most_on[of_group], 0)
    least_in_mode = np.zeros_like(most_in_mode)
    for n, g in enumerate(world.groups):
        if (held := pinned(world, g.site, g.group.name)) is not None:
            pin, ends = held
            least, most = (least_on, most_on) if pin.mode is None else (least_in_mode, most_in_mode)
            row = n if pin.mode is None else operating.index((n, pin.mode))
            least[row, :ends] = most[row, :ends] = pin.count
    return {"least_on": least_on, "most_on": most_on, "least_in_mode": least_in_mode, "most_in_mode": most_in_mode}


def _history(world: World) -> Data:
    """Windows of starts and stops within the horizon, and what the past still holds in each step."""
    start_s, step_s, steps = world.start_s, world.step_s, len(world.step_s)
    groups = [g.group for g in world.groups]
    warming, shares, warming_by_step = losses(start_s, step_s, [group.warm_up_s for group in groups])
    up, down, lost = [], [], []
    for g in world.groups:
        started = cohort_arrays(world.problem.grid, g.state.started)
        stopped = cohort_arrays(world.problem.grid, g.state.stopped)
        most = world.release.blocks.get((world.sites[g.site].name, g.group.name))
        held, losing, _ = carried(start_s, step_s, g.group.min_up_s, g.group.warm_up_s, *started, most)
        up.append(held)
        lost.append(losing)
        down.append(still_held(start_s, g.group.min_down_s, *stopped))
    return {
        "recent_starts": recent_changes(start_s, [group.min_up_s for group in groups]),
        "recent_stops": recent_changes(start_s, [group.min_down_s for group in groups]),
        "WARMING": warming,
        "warming": warming_by_step,
        "lost_share": shares,
        "carried_up": np.reshape(up, (len(groups), steps)),
        "carried_down": np.reshape(down, (len(groups), steps)),
        "carried_lost": np.reshape(lost, (len(groups), steps)),
    }
