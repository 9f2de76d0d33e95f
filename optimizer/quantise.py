"""From the solver's columns to whole numbers that hold exactly.

Counts are rounded. Work that the model routes to a hub is rounded to whole units and dealt to the hub's pools as the
model loads them, never beyond what their serving nodes can do. What then breaks a rule by a rounding error, less work
undoes: demand is not exceeded, no batch work is done before it came, draws keep the limit and the ramp to the milliwatt.
What is not done any more is unserved, or waits.

The columns come with the solver's tolerance (1e-9 of a kW or of a node), so that a repair costs some units of work out
of millions. Where work alone cannot repair a rule, the columns were wrong, and `QuantiseError` says where.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from math import lcm

import numpy as np

from models.workload import BatchWorkload
from optimizer.compiled import Compiled, Floats
from optimizer.decisions import MILLIWATT_PER_W, Ledger, SiteDecisions, lost_node_s, served_per_h, waiting_at_start
from optimizer.reserves import reserve_blocks
from optimizer.sets import Pool, World

UNITS_PER_MWORK = 1_000_000
MAX_PASSES = 12
RAMP_TOLERANCE_MILLIWATT = 999
"""Set-points are whole watts: a change that is less than a watt beyond the ramp cannot be seen in them."""


class QuantiseError(ValueError):
    """Whole numbers near the columns break a rule that less work cannot mend."""


def quantised(world: World, compiled: Compiled, x: Floats) -> list[Ledger]:
    """Return the ledgers of whole decisions near the columns, site by site in the order of the world.

    Raises:
        QuantiseError: a limit or a ramp cannot be kept by doing less work.
    """
    sites = _counts(world, compiled, x)
    ledgers = [Ledger(world, number, made) for number, made in enumerate(sites)]
    _deal(world, compiled, x, sites)
    _serve_no_more_than_asked(world, sites)
    _serve_nothing_before_it_came(world, sites)
    for ledger in ledgers:
        _keep_limits_and_ramps(world, ledger)
    for number, ledger in enumerate(ledgers):
        if fault := first_fault(world, ledger, number):
            raise QuantiseError(fault)
    return ledgers


def table(compiled: Compiled, x: Floats, name: str) -> dict[str, Floats]:
    """Return a family of columns by the label of all its sets but the last, which is time; absent families are empty."""
    if name not in compiled.columns:
        return {}
    values = x[compiled.columns[name]]
    family = compiled.column_families[name]
    labels = [""]
    for part in family.labels[:-1]:
        labels = [f"{a} {b}".strip() for a in labels for b in part]
    return dict(zip(labels, values.reshape(len(labels), -1), strict=True)) if labels else {}


def _counts(world: World, compiled: Compiled, x: Floats) -> list[SiteDecisions]:
    in_mode, nodes = table(compiled, x, "in_mode"), table(compiled, x, "nodes_on")
    warm = table(compiled, x, "nodes_warm")
    sites = [SiteDecisions(offers_kw=_offers(world, number, compiled, x)) for number in range(len(world.sites))]
    steps = len(world.step_s)
    for g in world.groups:
        sites[g.site].mode_blocks[g.group.name] = {m.name: _whole(in_mode[f"{g.label} {m.name}"]) for m in g.group.modes}
    for p in world.pools:
        made = sites[p.site]
        made.nodes_on[p.pool.name] = _whole(nodes[p.label]) if p.label in nodes else [0] * steps
        if p.label in warm:
            made.nodes_warm[p.pool.name] = _whole(warm[p.label])
        served = world.hubs[p.hub].work_per_node_h if p.hub is not None else {}
        made.work_per_h[p.pool.name] = {world.workloads[w].name: [0] * steps for w in served}
    return sites


def _offers(world: World, number: int, compiled: Compiled, x: Floats) -> dict[tuple[str, datetime], int]:
    """Whole kW of each open block; what its miners do not back to the milliwatt is taken back where the plan is made."""
    if not world.sites[number].reserves:
        return {}
    sold = dict(zip(compiled.column_families["reserve"].labels[0], x[compiled.columns["reserve"]].tolist(), strict=True))
    blocks = [block for block in reserve_blocks(world, number) if block.award_kw is None]
    return {(block.reserve.name, block.begins): round(sold[block.label]) for block in blocks}


def _whole(values: Floats) -> list[int]:
    whole: list[int] = np.round(values).astype(np.int64).tolist()
    return whole


def _deal(world: World, compiled: Compiled, x: Floats, sites: Sequence[SiteDecisions]) -> None:
    """Give the routed work of each hub and step to its pools: first as the model loads them, then what is left over."""
    routed, load = table(compiled, x, "routed"), table(compiled, x, "node_work")
    steps = world.problem.grid.step_s
    for number, hub in enumerate(world.hubs):
        pools = [p for p in world.pools if p.hub == number]
        rates = {world.workloads[w].name: rate for w, rate in hub.work_per_node_h.items()}
        asked = {w: [max(0, round(v * UNITS_PER_MWORK)) for v in routed[f"{w} {hub.label}"].tolist()] for w in rates}
        on = [sites[p.site].nodes_on[p.pool.name] for p in pools]
        lost = [_lost(world, p, sites[p.site]) for p in pools]
        loads = [load[p.label].tolist() for p in pools]
        works = [sites[p.site].work_per_h[p.pool.name] for p in pools]
        for t, length_s in enumerate(steps):
            left = {w: series[t] for w, series in asked.items()}
            if not any(left.values()):
                continue
            parts = lcm(length_s, *rates.values())
            serving = [nodes[t] * parts - gone[t] * (parts // length_s) for nodes, gone in zip(on, lost, strict=True)]
            for nodes, series, done in zip(serving, loads, works, strict=True):
                numerator, denominator = series[t].as_integer_ratio()
                _fill(done, t, min(nodes, numerator * parts // denominator), parts, rates, left)
            for nodes, done in zip(serving, works, strict=True):
                if not any(left.values()):
                    break
                busy = sum(done[w][t] * (parts // rate) for w, rate in rates.items())
                _fill(done, t, nodes - busy, parts, rates, left)


def _lost(world: World, p: Pool, made: SiteDecisions) -> list[int]:
    on, warm = made.nodes_on[p.pool.name], made.nodes_warm.get(p.pool.name)
    return lost_node_s(world.problem, p.pool, p.state.started, on, warm, p.state.nodes_warm)


def _fill(works: dict[str, list[int]], step: int, nodes: int, parts: int, rates: dict[str, int], left: dict[str, int]) -> None:
    """Give a pool as much of the work that is left as full nodes can do.

    nodes: counted in such `parts` of a node that all that is done of a workload is a whole number of them; below 0 is none.
    """
    for workload, rate in rates.items():
        if nodes <= 0:
            return
        units = min(left[workload], nodes * rate // parts)
        works[workload][step] += units
        left[workload] -= units
        nodes -= units * (parts // rate)


def _serve_no_more_than_asked(world: World, sites: Sequence[SiteDecisions]) -> None:
    for workload in world.workloads:
        if workload.kind == "batch":
            continue
        demand = world.problem.demand_work_per_h[workload.name]
        for t, done in enumerate(served_per_h(world.problem, workload.name, sites)):
            _do_less(sites, workload.name, t, done - demand[t])


def _serve_nothing_before_it_came(world: World, sites: Sequence[SiteDecisions]) -> None:
    for workload in world.workloads:
        if not isinstance(workload, BatchWorkload):
            continue
        arrivals = world.problem.demand_work_per_h[workload.name]
        waiting = waiting_at_start(world.problem, workload)
        for t, done in enumerate(served_per_h(world.problem, workload.name, sites)):
            length_s = world.problem.grid.step_s[t]
            waiting += (arrivals[t] - done) * length_s
            if waiting < 0:
                too_much = -(waiting // length_s)
                _do_less(sites, workload.name, t, too_much)
                waiting += too_much * length_s


def _do_less(sites: Sequence[SiteDecisions], workload: str, step: int, units: int) -> None:
    """Take so many units of a workload away in a step, from the last pools first."""
    for made in reversed(sites):
        for works in reversed(made.work_per_h.values()):
            if units > 0 and workload in works:
                part = min(units, works[workload][step])
                works[workload][step] -= part
                units -= part


def _keep_limits_and_ramps(world: World, ledger: Ledger) -> None:
    """Do less work where a draw is above its limit, or where it rises into or falls out of a step too fast."""
    steps, watt = ledger.steps, MILLIWATT_PER_W * ledger.unit
    for branch in ledger.branches:
        for t, drawn in enumerate(ledger.draws_under(branch.machines, steps)):
            _lower(ledger, t, drawn - int(branch.limit_mw[t]) * ledger.unit, branch.machines)
    draws = ledger.draws(steps)
    for t, drawn in enumerate(draws):
        if _lower(ledger, t, drawn - watt * ledger.limit_w[t]):
            draws[t] = ledger.draw(t)
    allowed = ramps(world, ledger)
    draws.append(watt * world.problem.state.sites[ledger.site.name].draw_w)

    def lower(step: int, other: int, ramp: int | None) -> bool:
        """Lower a step that lies too far above another; step -1 is the state before the plan."""
        if ramp is None or step < 0 or draws[step] - draws[other] <= ramp:
            return False
        if not _lower(ledger, step, draws[step] - draws[other] - ramp):
            return False
        draws[step] = ledger.draw(step)
        return True

    for _ in range(MAX_PASSES):
        rises = [lower(t, t - 1, allowed[t]) for t in steps]
        falls = [lower(t - 1, t, allowed[t]) for t in reversed(steps)]
        if not any(rises) and not any(falls):
            return


def _lower(ledger: Ledger, step: int, excess: int, machines: Collection[str] | None = None) -> bool:
    """Do less work at a site, or by some of its machines, until its draw has fallen by `excess` mW / unit; say whether it did."""
    if excess <= 0:
        return False
    changed = False
    for pool in ledger.site.gpu_pools:
        if machines is not None and pool.name not in machines:
            continue
        for workload, series in ledger.decisions.work_per_h[pool.name].items():
            weight = ledger.weight(pool, workload, step)
            if excess > 0 and weight and series[step]:
                units = min(series[step], -(-excess // weight))
                series[step] -= units
                excess -= units * weight
                changed = True
    return changed


def ramps(world: World, ledger: Ledger) -> list[int | None]:
    """Return by how much the draw may change into each step, in mW / unit; None where no ramp binds."""
    number = ledger.number
    rate = world.problem.fleet.ramp_w_per_min(ledger.site)
    if rate is None:
        return [None] * len(ledger.step_s)
    shorter_s = [min(ledger.step_s[max(t - 1, 0)], s) for t, s in enumerate(ledger.step_s)]
    binds = world.ramp_binds[number].tolist()
    return [MILLIWATT_PER_W * rate * s * (ledger.unit // 60) if b else None for s, b in zip(shorter_s, binds, strict=True)]


def first_fault(world: World, ledger: Ledger, number: int) -> str:
    """Return in words the first limit, of site or feeder, or ramp of a site that its decisions break, or nothing."""
    name, watt = ledger.site.name, MILLIWATT_PER_W * ledger.unit
    allowed = ramps(world, ledger)
    before = watt * world.problem.state.sites[name].draw_w
    carried = [(branch, ledger.draws_under(branch.machines, ledger.steps)) for branch in ledger.branches]
    for t, (draw, ramp) in enumerate(zip(ledger.draws(ledger.steps), allowed, strict=True)):
        if draw > watt * ledger.limit_w[t]:
            return f"{name} step {t}: draws {draw / watt} W, limit {ledger.limit_w[t]} W"
        for branch, drawn in carried:
            if (under := drawn[t]) > int(branch.limit_mw[t]) * ledger.unit:
                return f"{name} step {t}: {branch.name} carries {under / watt} W, limit {branch.limit_mw[t] / MILLIWATT_PER_W} W"
        if ramp is not None and abs(draw - before) > ramp + RAMP_TOLERANCE_MILLIWATT * ledger.unit:
            return f"{name} step {t}: the draw changes by {(draw - before) / watt} W, the ramp allows {ramp / watt} W"
        before = draw
    return ""
