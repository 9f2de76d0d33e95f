"""Plans without a solver: the rule plan, the safe profile, and what is left of an older plan.

    rule_plan    greedy merit order: inference first, then blocks while their hash is worth more than their energy
    safe_plan    each site's safe profile, ramped
    carry_over   the remaining steps of an older plan, today's work routed anew, the rule beyond its end
    carry_each   the same with an older plan of each site's own
    told_plan    counts of machines that somebody else wants

All of them wish; `rule_site` grants what the rules of machines, meter and state let it. They keep no node warm: what was
warm before is on again, as if it had started, or off. What is left of an older plan keeps those that it told to be warm, if
the audit finds room for them; its work is still counted as if all of them had to start. Money comes from the named terms
of the one formulation (`valuation`). Nothing here is published without the audit.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from models.plan import Plan
from models.problem import Problem
from optimizer.audit import audit
from optimizer.compiled import Compiled
from optimizer.decisions import SiteDecisions
from optimizer.rule_fleet import RuleFleet, Wishes, plan_of
from optimizer.rule_merit import Merit, wishes_for
from optimizer.rule_routing import Key
from optimizer.told import Told, told


def rule_plan(problem: Problem, now: datetime, compiled: Compiled | None = None) -> Plan:
    """Return the plan of the merit order.

    now: when the plan is made. compiled: the fleet's compiled model with the recovery's release, if it is at hand.
    """
    fleet = RuleFleet(problem)
    nodes = fleet.routing.wanted_nodes()
    sites = fleet.decide({site.name: Merit(problem, site).wishes for site in fleet.world.sites}, nodes)
    return plan_of(fleet, sites, "rule", now, "merit order without a solver", compiled)


def safe_plan(problem: Problem, now: datetime, compiled: Compiled | None = None) -> Plan:
    """Return the plan of the safe profiles: shares of the blocks in their lowest mode, and of the nodes.

    now: when the plan is made. compiled: as for `rule_plan`.
    """
    fleet = RuleFleet(problem)
    steps = problem.grid.steps
    nodes, wishes = {}, {}
    for site in fleet.world.sites:
        blocks = {g.name: [[site.safe.blocks(g)]] * steps for g in site.asic_groups}
        wishes[site.name] = wishes_for(blocks)
        for pool in site.gpu_pools:
            nodes[site.name, pool.name] = [site.safe.nodes(pool)] * steps
    return plan_of(fleet, fleet.decide(wishes, nodes), "safe", now, "safe profile of each site", compiled)


def carry_over(problem: Problem, old: Plan, now: datetime, compiled: Compiled | None = None) -> Plan | None:
    """Return what is left of an older plan on today's grid, or None where it does not fit today's state and limits.

    Machines do what the old plan told them as far as it reaches, then what the merit order tells them; work is routed
    anew to the nodes that the old plan keeps on.

    now: when the plan is made. compiled: as for `rule_plan`.
    """
    if old.sites.keys() != {site.name for site in problem.fleet.sites}:
        return None
    carried = carry_each(problem, dict.fromkeys(old.sites, old), now, compiled)
    return carried[0] if carried and carried[1] == old.sites.keys() else None


def carry_each(
    problem: Problem, olds: Mapping[str, Plan], now: datetime, compiled: Compiled | None = None
) -> tuple[Plan, frozenset[str]] | None:
    """Return what is left of older plans on today's grid, each site going on with its own, and the sites that can.

    A site without an older plan, or whose plan does not fit its state and limits, does what the merit order tells it.
    None where no site can go on.

    olds: older plan by site. now, compiled: as for `carry_over`.
    """
    fleet = RuleFleet(problem)
    wanted = fleet.routing.wanted_nodes()
    rule: dict[str, Wishes] = {site.name: Merit(problem, site).wishes for site in fleet.world.sites}
    tells = {site.name: tell for site in fleet.world.sites if (tell := told(problem, olds.get(site.name), site))}
    while tells:
        nodes = dict(wanted)
        for name, tell in tells.items():
            nodes |= {(name, pool): [*path, *wanted[name, pool][len(path) :]] for pool, path in tell.nodes.items()}
        sites = fleet.decide(rule | {name: _old_then_rule(tell, rule[name]) for name, tell in tells.items()}, nodes)
        made = {site.name: decisions for site, decisions in zip(fleet.world.sites, sites, strict=True)}
        kept = {name: tell for name, tell in tells.items() if tell.kept_by(made[name])}
        if len(kept) == len(tells):
            reason = f"remaining steps of plan {', '.join(dict.fromkeys(olds[name].plan_id for name in kept))}"
            warm = {name: tell.with_warmth(made[name]) for name, tell in kept.items()}
            return _as_warm_as_fits(fleet, made, warm, now, reason, compiled), frozenset(kept)
        tells = kept
    return None


def _as_warm_as_fits(
    fleet: RuleFleet,
    made: Mapping[str, SiteDecisions],
    warm: Mapping[str, SiteDecisions],
    now: datetime,
    reason: str,
    compiled: Compiled | None,
) -> Plan:
    """Return the plan of `made`, with sites as in `warm` in their places where the audit finds room for their nodes."""
    if (warmer := {**made, **warm}) != made:
        plan = plan_of(fleet, list(warmer.values()), "last_good", now, reason, compiled)
        if audit(fleet.problem, plan).passed:
            return plan
        reason += ", without its warm nodes: today leaves no room for them"
    return plan_of(fleet, list(made.values()), "last_good", now, reason, compiled)


def told_plan(
    problem: Problem,
    blocks: Mapping[str, Mapping[str, Sequence[Sequence[int]]]],
    nodes: Mapping[Key, Sequence[int]],
    now: datetime,
    reason: str,
) -> Plan:
    """Return the plan of blocks (site, group, step, mode) and nodes on (step), as far as they can be had; work by merit."""
    fleet = RuleFleet(problem)
    sites = fleet.decide({name: wishes_for(rows) for name, rows in blocks.items()}, {k: list(on) for k, on in nodes.items()})
    return plan_of(fleet, sites, "rule", now, reason, None)


def _old_then_rule(told: Told, rule: Wishes) -> Wishes:
    old = wishes_for(told.blocks)
    reach = max((len(rows) for rows in told.blocks.values()), default=0)
    return lambda t, before, running: old(t, before, running) if t < reach else rule(t, before, running)
