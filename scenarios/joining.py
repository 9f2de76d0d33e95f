"""What was carried out step by step, joined to one plan over the whole time."""

from collections.abc import Mapping, Sequence
from typing import Any

from models.plan import Plan, SitePlan
from models.problem import Problem
from optimizer.decisions import Ledger, SiteDecisions
from optimizer.formulation import build_world
from optimizer.recovery import recover
from optimizer.valuation import unproven_plan

Done = Mapping[str, Any]
"""What a site did in one step: blocks by group and mode, nodes on and warm, work by pool and workload."""


def first_step(plan: Plan) -> dict[str, Done]:
    """Return what each site does in the first step of a plan."""
    return {name: _first_step(made) for name, made in plan.sites.items()}


def join(history: Problem, done: Sequence[Mapping[str, Done]]) -> Plan:
    """Return what was done in each step of a history, by site, as one plan, valued on that history."""
    decided = [_decisions(history, site.name, [step[site.name] for step in done]) for site in history.fleet.sites]
    recovered = recover(history)
    here = recovered.world
    sites = {site.name: Ledger(here, n, made).plan() for n, (site, made) in enumerate(zip(here.sites, decided, strict=True))}
    return unproven_plan(
        history, build_world(here), sites, recovered.records,
        plan_id=f"joined-{history.digest[-12:]}", basis="optimised", now=history.grid.end,
        reasons=(f"the first steps of {len(done)} plans",),
    )  # fmt: skip


def _first_step(made: SitePlan) -> Done:
    return {
        "groups": {g: {mode: counts[0] for mode, counts in group.mode_blocks.items()} for g, group in made.groups.items()},
        "nodes": {name: pool.nodes_on[0] for name, pool in made.pools.items()},
        "warm": {name: pool.nodes_warm[0] for name, pool in made.pools.items() if pool.nodes_warm is not None},
        "work": {name: {w: rates[0] for w, rates in pool.work_per_h.items()} for name, pool in made.pools.items()},
    }


def _decisions(history: Problem, name: str, done: Sequence[Done]) -> SiteDecisions:
    site = history.fleet.site_by_name[name]
    workloads = [w.name for w in history.fleet.workloads]
    return SiteDecisions(
        mode_blocks={
            g.name: {m.name: [d["groups"][g.name].get(m.name, 0) for d in done] for m in g.modes} for g in site.asic_groups
        },
        nodes_on={p.name: [d["nodes"][p.name] for d in done] for p in site.gpu_pools},
        nodes_warm={p.name: [d["warm"][p.name] for d in done] for p in site.gpu_pools if p.name in done[0]["warm"]},
        work_per_h={
            p.name: {w: series for w in workloads if any(series := [d["work"][p.name].get(w, 0) for d in done])}
            for p in site.gpu_pools
        },
    )
