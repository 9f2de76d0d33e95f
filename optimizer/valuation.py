"""Values decisions by the named money of the one formulation, whoever made them: a solver, the rule plan, or an older plan.

`place` writes a plan's decisions into the columns of the compiled fleet; what follows from them (starts, draw, paid hash,
flows, backlog) comes out of the rows that define it, so that there is no second formula for anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar, cast

import numpy as np

from models.plan import Basis, MoneyLine, Plan, Proof, Recovery, SitePlan, Term
from models.problem import Problem
from optimizer.compiled import Compiled, Floats, Ints
from optimizer.decisions import decisions_of, workload_plans
from optimizer.elements.workload import WORK_PER_MWORK
from optimizer.hubs import hubs

K = TypeVar("K")
TOLERANCE = 1e-6
W_PER_KW = 1000
DEFINED_BY = (
    ("hash_made", "paid_hash"),
    ("draw_balance", "draw"),
    ("work_supplied", "supplied"),
    ("demand_met", "unserved"),
)
"""Rows that define a column, in which it stands with 1."""
COVERED_BY = (
    ("node_wakes", "node_wake"),
    ("peak_covers", "new_peak"),
    ("take_covers", "shortfall"),
    ("block_covers", "sold"),
    ("tier_covers", "beyond"),
    ("level_kept", "missing"),
)
"""Rows from above that a column, which costs money or serving time, takes the least value to keep; it stands in them with -1."""


class PlacementError(ValueError):
    """A plan does not fit the problem: it misses a machine, names one that is not there, or work that a pool cannot do."""


@dataclass(frozen=True)
class Residual:
    """A row or column that placed decisions break, by how much, in the unit of the row or column."""

    label: str
    by: float


def place(problem: Problem, compiled: Compiled, plan: Plan) -> Floats:
    """Return the column values of a plan in the compiled fleet of its problem.

    Raises:
        PlacementError: the plan misses a machine or mode, names one that is not there, or gives a pool work that it
            cannot do.
    """
    return place_sites(problem, compiled, plan.sites)


def place_sites(problem: Problem, compiled: Compiled, sites: Mapping[str, SitePlan]) -> Floats:
    """Return the column values of what all sites do; errors as for `place`."""
    x = np.zeros(compiled.matrix.shape[1])
    columns = compiled.columns
    _place_machines(compiled, sites, x)
    _place_containers(compiled, x)
    _place_work(problem, compiled, sites, x)
    for row, start, stop in (("starts_and_stops", "start", "stop"), ("node_balance", "node_start", "node_stop")):
        change = -_missing(compiled, row, x)
        x[columns[start]], x[columns[stop]] = np.maximum(change, 0), np.maximum(-change, 0)
    for row, defined in DEFINED_BY:
        x[columns[defined]] = _missing(compiled, row, x)
    for row, covering in COVERED_BY:
        _cover(compiled, row, covering, x)
    _place_reserves(compiled, sites, x)
    sold = compiled.columns["sold"].ravel()[_crossed(compiled)]
    x[columns["selling"].ravel()] = x[sold] > 0
    x[columns["backlog"]] = np.cumsum(_missing(compiled, "backlog_balance", x), axis=1)
    x[columns["late"]] = np.maximum(_excess(compiled, "due", x), 0)
    return x


def money_lines(compiled: Compiled, x: Floats) -> tuple[MoneyLine, ...]:
    """Return each term of each owner by step at column values `x`; their sum is the objective. [USD]."""
    lines = []
    for name, term in compiled.money.items():
        labels = compiled.axes[term.owners]
        steps = len(compiled.axes["STEPS"])
        by_cell = np.bincount(term.owner * steps + term.step, term.usd(x), len(labels) * steps).reshape(-1, steps)
        for owner in np.unique(term.owner).tolist():
            usd = tuple(value + 0.0 for value in by_cell[owner].tolist())  # no negative zero
            lines.append(MoneyLine(term=cast(Term, name), owner=labels[owner], usd=usd))
    return tuple(lines)


def unproven_plan(
    problem: Problem, compiled: Compiled, sites: Mapping[str, SitePlan], recoveries: tuple[Recovery, ...],
    *, plan_id: str, basis: Basis, now: datetime, reasons: tuple[str, ...] = (),
) -> Plan:  # fmt: skip
    """Return what all sites do as a plan with its money, of which no bound is known; errors as for `place`."""
    money = money_lines(compiled, place_sites(problem, compiled, sites))
    return Plan(
        plan_id=plan_id,
        problem_name=problem.name,
        problem_digest=problem.digest,
        grid=problem.grid,
        basis=basis,
        created_at=now,
        labels=problem.labels,
        reasons=reasons,
        recoveries=recoveries,
        sites=dict(sites),
        workloads=workload_plans(problem, [decisions_of(sites[site.name]) for site in problem.fleet.sites]),
        money=money,
        proof=Proof(objective_usd=sum(sum(line.usd) for line in money), status="feasible", wall_s=0.0),
    )


def broken(compiled: Compiled, x: Floats, tolerance: float = TOLERANCE) -> list[Residual]:
    """Return every row and bound that column values break by more than a share of their own size, largest first."""
    activity = compiled.matrix @ x
    checks = (
        (compiled.row_label, activity, compiled.row_lower, compiled.row_upper),
        (compiled.column_label, x, compiled.col_lower, compiled.col_upper),
    )
    found = []
    for label, values, lower, upper in checks:
        by = np.maximum(lower - values, values - upper)
        scale = 1 + np.abs(values)
        found += [Residual(label(n), float(by[n])) for n in np.flatnonzero(by > tolerance * scale).tolist()]
    fractional = np.flatnonzero(compiled.integer & (np.abs(x - np.rint(x)) > tolerance))
    found += [Residual(compiled.column_label(n), float(abs(x[n] - np.rint(x[n])))) for n in fractional.tolist()]
    return sorted(found, key=lambda r: -r.by)


def _place_machines(compiled: Compiled, sites: Mapping[str, SitePlan], x: Floats) -> None:
    in_mode, nodes_on, on = (_numbers(compiled, name) for name in ("in_mode", "nodes_on", "on"))
    blocks = {
        f"{site}/{group} {mode}": counts
        for site, plan in sites.items()
        for group, made in plan.groups.items()
        for mode, counts in made.mode_blocks.items()
    }
    pools = {f"{site}/{pool}": made for site, plan in sites.items() for pool, made in plan.pools.items()}
    nodes = {label: made.nodes_on for label, made in pools.items()}
    warm = {label: made.nodes_warm for label, made in pools.items() if made.nodes_warm is not None}
    for numbers, counted in ((in_mode, blocks), (nodes_on, nodes), (_numbers(compiled, "nodes_warm"), warm)):
        if missing := sorted(set(numbers) - set(counted)):
            raise PlacementError(f"the plan says nothing of {missing}")
        for label, counts in counted.items():
            x[_known(numbers, label)] = counts
    for label, counts in blocks.items():
        x[on[label.rsplit(" ", 1)[0]]] += counts


def _place_containers(compiled: Compiled, x: Floats) -> None:
    """Give containers the least number that leaves room for the nodes on."""
    rows, columns = compiled.rows["container_room"].ravel(), compiled.columns["containers_on"].ravel()
    nodes_per_container = -compiled.matrix[rows][:, columns].diagonal()
    x[columns] = np.ceil(_excess(compiled, "container_room", x).ravel() / nodes_per_container - TOLERANCE)


def _place_reserves(compiled: Compiled, sites: Mapping[str, SitePlan], x: Floats) -> None:
    """Write what is offered and awarded, and what of the awards is not kept; offers of other blocks do not count."""
    sold = dict(zip(compiled.column_families["reserve"].labels[0], compiled.columns["reserve"].tolist(), strict=True))
    unkept = dict(zip(compiled.column_families["unkept"].labels[0], compiled.columns["unkept"].tolist(), strict=True))
    steps = compiled.axes["STEPS"]
    for site, plan in sites.items():
        for made in plan.reserves:
            label = f"{site}/{made.reserve}@{made.start:%Y-%m-%dT%H:%MZ}"
            if label not in sold:
                continue
            x[sold[label]] = made.kw
            for t, watts in enumerate(made.unkept_w):
                if watts:
                    x[_known(unkept, f"{label} {steps[t]}")] = watts / W_PER_KW
    offered = dict(zip(compiled.column_families["offered"].labels[0], compiled.columns["offered"].tolist(), strict=True))
    for label, column in offered.items():
        x[column] = x[sold[label]] > 0


def _place_work(problem: Problem, compiled: Compiled, sites: Mapping[str, SitePlan], x: Floats) -> None:
    node_work, routed = _numbers(compiled, "node_work"), _numbers(compiled, "routed")
    hub_of = {pool: hub for hub in hubs(problem) for pool in hub.pools}
    position = {workload.name: n for n, workload in enumerate(problem.fleet.workloads)}
    for site, plan in sites.items():
        for pool, made in plan.pools.items():
            for workload, work_per_h in made.work_per_h.items():
                if not any(work_per_h):
                    continue
                hub, which = hub_of.get((site, pool)), position.get(workload, -1)
                if hub is None or which not in hub.work_per_node_h:
                    raise PlacementError(f"{site}/{pool} cannot do the work {workload} that the plan gives it")
                work = np.array(work_per_h, dtype=np.float64)
                x[_known(node_work, f"{site}/{pool}")] += work / hub.work_per_node_h[which]
                x[routed[f"{workload} {hub.label}"]] += work / WORK_PER_MWORK


def _numbers(compiled: Compiled, name: str) -> dict[str, Ints]:
    """Return the columns of a family over (set, steps) by the label in the set."""
    return dict(zip(compiled.column_families[name].labels[0], compiled.columns[name], strict=True))


def _known(numbers: Mapping[str, K], label: str) -> K:
    if label not in numbers:
        raise PlacementError(f"the plan names {label}, which the problem does not have")
    return numbers[label]


def _missing(compiled: Compiled, row: str, x: Floats) -> Floats:
    """Return what equality rows still lack: the value of a column that stands in them with 1 and is 0 so far."""
    return np.asarray(compiled.row_lower[compiled.rows[row]] - _activity(compiled, row, x))


def _cover(compiled: Compiled, row: str, covering: str, x: Floats) -> None:
    """Give each column of a family the least value, from 0 on, that keeps the rows in which it stands."""
    columns, rows = compiled.columns[covering].ravel(), compiled.rows[row].ravel()
    stands = compiled.matrix[rows][:, columns].tocoo()
    of_row, of_column = stands.coords
    np.maximum.at(x, columns[of_column], _excess(compiled, row, x).ravel()[of_row])


def _crossed(compiled: Compiled) -> Ints:
    """Return the places in the family `sold` of the members of the family `selling`."""
    place = {label: n for n, label in enumerate(compiled.column_families["sold"].labels[0])}
    return np.array([place[label] for label in compiled.column_families["selling"].labels[0]], dtype=np.int64)


def _excess(compiled: Compiled, row: str, x: Floats) -> Floats:
    """Return by how much rows are above their upper bounds."""
    return np.asarray(_activity(compiled, row, x) - compiled.row_upper[compiled.rows[row]])


def _activity(compiled: Compiled, row: str, x: Floats) -> Floats:
    numbers = compiled.rows[row]
    return np.asarray(compiled.matrix[numbers.ravel()] @ x).reshape(numbers.shape)
