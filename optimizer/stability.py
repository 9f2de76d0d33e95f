"""Plans that change no more than it pays: the second pass, and the choice between a new plan and the standing one.

second pass  among the plans that give up at most a stated sum of money, the one next to the standing plan: fewest blocks
             and nodes changed, then fewest starts and stops, then lowest peaks. Each site for itself, with what it supplies
             to the hubs held, and with its share of the sum (by the size of its connection).
choice       the standing plan goes on (none of its counts changed, continued as well as can be beyond its end, its work
             routed and valued on today's inputs) unless it no longer holds, or the new plan gains more than a threshold.

Either way the plan keeps the bound of the solve, so that its gap says what was given up; and it says what changed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import sparse

from models.plan import Plan, Stability
from models.problem import Problem
from models.site import Site
from optimizer.changes import cells, changed_cells, distance
from optimizer.compiled import Compiled, Family, Floats, Ints
from optimizer.formulation import build
from optimizer.making import Making, Result
from optimizer.outcome import Outcome
from optimizer.valuation import broken, place
from optimizer.worker import Stopwatch
from optimizer.worker import solve as solve_compiled

COUNTS = ("in_mode", "nodes_on", "nodes_warm")
SWITCHES = ("start", "stop", "node_start", "node_stop")
SWITCH_WEIGHT, PEAK_WEIGHT = 1e-2, 1e-3
"""A switch weighs less than a changed block or node; the peak of a site, in shares of its connection, less than a switch."""
TIE_GAP = 0.02
"""Relative gap at which the second pass stops: it breaks ties, and proves nothing."""
LEAST_S = 0.3
NODES = {"mip_max_nodes": 20}
"""Of a site's second pass: without it, ten re-plans of August 2023 changed 433 decisions instead of 434, at a sixth more work."""
SHARES = 3.0
"""Of an even share of the time that is left, the most that a site may take."""
KEPT_SHARE, KEPT_GAP = 0.4, 1e-4
"""Of the time, and relative gap, to find out what the standing plan is worth today."""
W_PER_KW = 1000


@dataclass(frozen=True)
class Steadiness:
    """What a fleet lets its plans give up to stay as they are, and the gain that a change must bring. [USD each]"""

    give_up_usd: float = 0.0
    gain_usd: float = 0.0


UNMOVED = Steadiness()
"""Ties are broken and nothing is given up."""


def settled(
    making: Making,
    outcome: Outcome,
    first: Result,
    standing: Plan,
    wish: Steadiness,
    *,
    deadline_s: float,
    how: Mapping[str, Any],
) -> Result:
    """Return the plan to publish: the standing one where it still holds and suffices, else the new one next to it.

    making, outcome, first: how the new plan came about, and the plan. deadline_s, how: wall time for all this, and the other
    arguments of the solver child.
    """
    if first.plan is None:
        return first
    watch, objective = Stopwatch(), first.plan.proof.objective_usd
    kept = _kept(making, outcome, first.plan, standing, KEPT_SHARE * deadline_s, how)
    gain = None if kept is None else objective - kept.proof.objective_usd
    is_kept = gain is not None and gain <= wish.gain_usd
    chosen = kept if kept is not None and is_kept else None
    if chosen is None:
        chosen = (
            _second_pass(making, outcome, first.plan, standing, wish.give_up_usd, deadline_s - watch.seconds, how) or first.plan
        )
    changed_before, decisions = changed_cells(standing, first.plan)
    record = Stability(
        standing=standing.plan_id,
        decisions=decisions,
        changed_before=changed_before,
        changed=changed_cells(standing, chosen)[0],
        given_up_usd=objective - chosen.proof.objective_usd,
        give_up_usd=wish.give_up_usd,
        gain_usd=gain,
        least_gain_usd=wish.gain_usd,
        kept=is_kept,
    )
    return replace(first, plan=chosen.model_copy(update={"stability": record}))


# --- the second pass --------------------------------------------------------------------------------------------------


def _second_pass(
    making: Making, outcome: Outcome, plan: Plan, standing: Plan, give_up_usd: float, deadline_s: float, how: Mapping[str, Any]
) -> Plan | None:
    """Return the plan next to the standing one, or None where there is no time, nothing to stay with, or nothing nearer."""
    watch, problem, fleet = Stopwatch(), making.problem, making.compiled
    x = place(problem, fleet, plan)
    usd_per_w = give_up_usd / sum(site.connection_limit_w for site in problem.fleet.sites)
    changed = [site for site in problem.fleet.sites if any(was != now for was, now in cells(standing, plan, site.name))]
    for n, site in enumerate(changed):
        left_s = deadline_s - watch.seconds
        if left_s < LEAST_S:
            break
        alone = build(problem, "sites", sites=[site.name], release=making.recovered.release)
        numbers = _numbers_in(fleet, alone)
        model = _next_to(site, alone, x[numbers], _wanted(problem, alone, standing), usd_per_w)
        begin = np.concatenate((x[numbers], np.full(model.cost.size - numbers.size, np.nan)))
        share_s = min(left_s, max(LEAST_S, SHARES * left_s / (len(changed) - n)))
        found = solve_compiled(model, gap=TIE_GAP, deadline_s=share_s, start=begin, options=NODES, **how)
        if found.x is not None:
            moved = x.copy()
            moved[numbers] = found.x[: numbers.size]
            moved[fleet.integer] = np.round(moved[fleet.integer])
            x = x if broken(fleet, moved) else moved  # a rule of the whole fleet may bind, which no site sees
    result = making.result(replace(outcome, objective_usd=fleet.objective(x)), x, plan.plan_id)
    return result.plan if result.plan is not None and distance(standing, result.plan) < distance(standing, plan) else None


def _numbers_in(fleet: Compiled, alone: Compiled) -> Ints:
    """Return for each column of a site's model its number in the fleet's: the columns have the same labels."""
    numbers = np.zeros(alone.cost.size, dtype=np.int64)
    for name, columns in alone.columns.items():
        there = fleet.column_families[name]
        position = np.zeros((), dtype=np.int64)
        for labels, own in zip(there.labels, alone.column_families[name].labels, strict=True):
            known = {label: n for n, label in enumerate(labels)}
            position = np.add.outer(position * len(labels), np.array([known[label] for label in own], dtype=np.int64))
        numbers[columns.ravel()] = fleet.columns[name].ravel()[position.ravel()]
    return numbers


def _wanted(problem: Problem, sites: Compiled, standing: Plan) -> dict[int, float]:
    """Return the counts of the standing plan by column, for the steps that it has and columns that are not held anyway."""
    then = {(start, length): t for t, (start, length) in enumerate(zip(standing.grid.starts, standing.grid.step_s, strict=True))}
    known = [then.get(key) for key in zip(problem.grid.starts, problem.grid.step_s, strict=True)]
    told: dict[tuple[str, str], tuple[int, ...]] = {}
    for site, made in standing.sites.items():
        for group, plan in made.groups.items():
            told |= {("in_mode", f"{site}/{group} {mode}"): counts for mode, counts in plan.mode_blocks.items()}
        for pool, nodes in made.pools.items():
            told["nodes_on", f"{site}/{pool}"] = nodes.nodes_on
            told["nodes_warm", f"{site}/{pool}"] = nodes.nodes_warm or (0,) * standing.grid.steps
    found: dict[int, float] = {}
    for name in COUNTS:
        for label, numbers in zip(sites.column_families[name].labels[0], sites.columns[name], strict=True):
            if (counts := told.get((name, label))) is not None:
                found |= {int(c): float(counts[i]) for c, i in zip(numbers, known, strict=True) if i is not None}
    return found


def _next_to(site: Site, alone: Compiled, here: Floats, wanted: Mapping[int, float], usd_per_w: float) -> Compiled:
    """Return the model of one site with the distance to the standing plan in place of money, which becomes a row.

    New columns: `moved`, by how much a count differs from what is wanted, and `peak`, the highest draw.
    """
    count = alone.cost.size
    columns = np.array(sorted(wanted), dtype=np.int64)
    target = np.array([wanted[c] for c in columns.tolist()])
    draw = alone.columns["draw"].ravel()
    moved, peak = count + np.arange(columns.size), count + columns.size
    size = peak + 1
    above = _rows(size, (columns, 1.0), (moved, -1.0))
    below = _rows(size, (columns, -1.0), (moved, -1.0))
    under = _rows(size, (draw, 1.0), (np.full(draw.size, peak), -1.0))
    money = _money(alone)
    worth_usd = float(money @ here)
    floor_usd = worth_usd - usd_per_w * site.connection_limit_w - 1e-6 * (1 + abs(worth_usd))
    wide = [sparse.hstack([m, sparse.csr_matrix((m.shape[0], size - count))]) for m in (alone.matrix, sparse.csr_matrix(money))]
    matrix = sparse.vstack([*wide, above, below, under], format="csr")
    matrix.sort_indices()
    low, high = alone.col_lower.copy(), alone.col_upper.copy()
    held = alone.columns["supplied"].ravel()
    low[held] = high[held] = here[held]
    cost = np.zeros(size)
    for name in SWITCHES:
        cost[alone.columns[name].ravel()] = -SWITCH_WEIGHT
    cost[moved], cost[peak] = -1.0, -PEAK_WEIGHT * W_PER_KW / site.connection_limit_w
    return replace(
        alone, matrix=matrix, cost=cost, offset=0.0,
        col_lower=np.concatenate((low, np.zeros(size - count))),
        col_upper=np.concatenate((high, np.full(size - count, np.inf))),
        row_lower=np.concatenate((alone.row_lower, [floor_usd], np.full(2 * columns.size + draw.size, -np.inf))),
        row_upper=np.concatenate((alone.row_upper, [np.inf], target, -target, np.zeros(draw.size))),
        integer=np.concatenate((alone.integer, np.zeros(size - count, dtype=np.bool_))),
        columns={**alone.columns, "moved": moved, "peak": np.array([peak])},
        column_families={
            **alone.column_families,
            "moved": Family(("COUNTS",), (tuple(map(str, columns.tolist())),)),
            "peak": Family(("SITES",), ((site.name,),)),
        },
        money={},
    )  # fmt: skip


def _rows(size: int, *entries: tuple[Ints, float]) -> Any:
    """Return rows of which each has one entry of every kind: a column and its coefficient."""
    count = len(entries[0][0])
    where = np.tile(np.arange(count), len(entries)), np.concatenate([columns for columns, _ in entries])
    return sparse.csr_matrix((np.repeat([value for _, value in entries], count), where), shape=(count, size))


def _money(alone: Compiled) -> Floats:
    """Return what a unit of each column of a site's model brings it, constants left out. [USD]."""
    brings = np.zeros(alone.cost.size)
    for term in alone.money.values():
        if term.owners == "SITES":
            brings += np.asarray(term.matrix.sum(axis=0)).ravel()
    return brings


# --- the standing plan ------------------------------------------------------------------------------------------------


def _kept(making: Making, outcome: Outcome, new: Plan, standing: Plan, deadline_s: float, how: Mapping[str, Any]) -> Plan | None:
    """Return the standing plan as the best answer to today's problem that changes none of its counts; None without one."""
    fleet = making.compiled
    wanted = _wanted(making.problem, fleet, standing)
    columns = np.array(sorted(wanted), dtype=np.int64)
    target = np.array([wanted[c] for c in columns.tolist()])
    if not columns.size or ((target < fleet.col_lower[columns]) | (target > fleet.col_upper[columns])).any():
        return None
    low, high = fleet.col_lower.copy(), fleet.col_upper.copy()
    low[columns] = high[columns] = target
    found = solve_compiled(replace(fleet, col_lower=low, col_upper=high), gap=KEPT_GAP, deadline_s=deadline_s, **how)
    if found.x is None:
        return None
    result = making.result(replace(outcome, objective_usd=fleet.objective(found.x)), found.x, new.plan_id)
    if result.plan is None:
        return None
    words = f"kept: plan {standing.plan_id} of {standing.created_at:%Y-%m-%dT%H:%MZ} goes on"
    return result.plan.model_copy(update={"reasons": (words, *result.plan.reasons)})
