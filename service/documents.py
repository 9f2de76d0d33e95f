"""Writes the set-point documents of a publication out of an audited plan, and checks them.

A document holds from the moment of its issue: what stands until the plan's first step is led in, word for word, from the
document that it replaces, so that a controller needs the newest document and nothing else.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from models.asic import AsicGroup
from models.digest import digest
from models.gpu import GpuPool
from models.plan import AuditReport, Basis, Plan, SitePlan
from models.setpoint import FailSafe, SetPoint, SetPointStep
from models.site import Site
from service.state_carry import HOTTEST_C

LEAD = timedelta(minutes=10)
"""How long before the hour its publication is due; past that a document is meant for the hour to come."""
MAX_REASONS = 20


def documents(
    plan: Plan,
    sites: Mapping[str, Site],
    *,
    version: int,
    epoch: int,
    issued: datetime,
    input_digest: str,
    audit: AuditReport,
    standing: Mapping[str, SetPoint],
    reasons: Mapping[str, tuple[str, ...]],
    bases: Mapping[str, Basis] | None = None,
    revision: int = 0,
) -> dict[str, SetPoint]:
    """Return the document of every site of a plan.

    Args:
        plan: audited plan of the whole fleet.
        sites: its sites by name.
        version: number of the publication.
        epoch: fencing number of who publishes.
        issued: present instant.
        input_digest: digest of the problem that was audited.
        audit: what the audit found.
        standing: the newest documents before this one, by site; what they say until the plan begins is kept.
        reasons: what to say to one site beyond what the plan says to all.
        bases: sites that stand on another rung than the plan does, because they are held.
        revision: number of the documents under their version; 0 for what is published.
    """
    return {
        name: site_document(
            plan, sites[name], version=version, epoch=epoch, issued=issued, input_digest=input_digest, audit=audit,
            standing=standing.get(name), reasons=reasons.get(name, ()), basis=(bases or {}).get(name), revision=revision,
        )
        for name in plan.sites
    }  # fmt: skip


def site_document(
    plan: Plan,
    site: Site,
    *,
    version: int,
    epoch: int,
    issued: datetime,
    input_digest: str,
    audit: AuditReport,
    standing: SetPoint | None = None,
    reasons: tuple[str, ...] = (),
    basis: Basis | None = None,
    revision: int = 0,
) -> SetPoint:
    """Return the document of one site; arguments as for `documents`, `basis` where it differs from the plan's."""
    issued = issued.replace(microsecond=0)
    begins = plan.grid.start
    lead_in = led_in(standing, issued, begins)
    recoveries = tuple(f"recovery: {r.words}" for r in plan.recoveries if r.site == site.name)
    valid_from = lead_in[0].start if lead_in else begins
    stale_after = next_due(max(issued, begins))
    ends = min(plan.grid.end, max(stale_after, issued + timedelta(seconds=site.safe.after_s)))
    own = plan.sites[site.name]
    steps = [
        _step(own, t, start, length)
        for t, (start, length) in enumerate(zip(plan.grid.starts, plan.grid.step_s, strict=True))
        if issued < start + timedelta(seconds=length) and start < ends
    ]
    content: dict[str, Any] = {
        "plan_id": plan.plan_id, "site": site.name, "version": version, "revision": revision, "epoch": epoch, "issued": issued,
        "valid_from": valid_from, "valid_until": ends, "stale_after": min(stale_after, ends), "basis": basis or plan.basis,
        "authority": site.authority, "labels": plan.labels, "reasons": cut((*recoveries, *reasons, *plan.reasons)),
        "steps": (*lead_in, *steps), "ramp_w_per_min": site.ramp_w_per_min,
        "failsafe": failsafe(site, min(step.limit_w for step in (*lead_in, *steps)), ends - issued),
        "input_digest": input_digest, "audit_passed": audit.passed, "audit_version": audit.audit_version, "digest": "",
    }  # fmt: skip
    return sealed(SetPoint(**content))


def cut(reasons: tuple[str, ...]) -> tuple[str, ...]:
    """Return as many reasons as a document carries; where there are more, the last one says how many."""
    if len(reasons) <= MAX_REASONS:
        return reasons
    return (*reasons[: MAX_REASONS - 1], f"and {len(reasons) - MAX_REASONS + 1} more reasons, which the plan names")


def sealed(document: SetPoint) -> SetPoint:
    """Return a document that carries its own digest."""
    return document.model_copy(update={"digest": digest_of(document)})


def digest_of(document: SetPoint) -> str:
    """Return the digest that a document must carry: of everything but the digest itself."""
    return digest(document.model_dump(mode="json", exclude={"digest"}))


def next_due(instant: datetime) -> datetime:
    """Return when the document after one that holds at an instant must have come: the end of the hour that it serves."""
    served = (instant + LEAD).replace(minute=0, second=0, microsecond=0)
    return served + timedelta(hours=1)


def led_in(standing: SetPoint | None, issued: datetime, until: datetime) -> tuple[SetPointStep, ...]:
    """Return the steps of a standing document between now and `until`, cut at `until`; none if it does not hold till then."""
    if standing is None or issued >= until or not standing.valid_from <= issued < until <= standing.valid_until:
        return ()
    kept = []
    for step in standing.steps:
        end = step.start + timedelta(seconds=step.duration_s)
        if end > issued and step.start < until:
            length_s = int((min(end, until) - step.start).total_seconds())
            kept.append(step.model_copy(update={"duration_s": length_s}))
    return tuple(kept)


def failsafe(site: Site, limit_w: int, after: timedelta) -> FailSafe:
    """Return what a controller does by itself: the site's safe profile, less what no limit carries in the worst heat.

    Limits are the site's and those of its feeders. Nodes are fitted first, then blocks; a limit of 0 leaves nothing on.
    """
    rooms_mw = {"": 1000 * (limit_w - site.base_load_w)}
    paths = {name: [""] for name in [*(g.name for g in site.asic_groups), *(p.name for p in site.gpu_pools)]}
    for feeder in site.feeders:
        rooms_mw[feeder.name] = 1000 * feeder.limit_w
        for name in feeder.below(site.feeders):
            paths[name].append(feeder.name)

    def room_mw(machine: AsicGroup | GpuPool) -> int:
        return max(0, min(rooms_mw[path] for path in paths[machine.name]))

    def take(machine: AsicGroup | GpuPool, mw: int) -> None:
        for path in paths[machine.name]:
            rooms_mw[path] -= mw

    for group in site.asic_groups:
        take(group, _mw(group, group.blocks * group.block_sleep_w))
    nodes, modes = {}, {}
    for pool in site.gpu_pools:
        wanted = site.safe.nodes(pool)
        nodes[pool.name] = min(wanted, pool.fitting(room_mw(pool) // pool.pue_milli(HOTTEST_C), pool.node_full_w))
        take(pool, _mw(pool, pool.power_w(nodes[pool.name], pool.node_full_w)))
    for group in site.asic_groups:
        above_w = group.block_power_w(group.modes[0], HOTTEST_C) - group.block_sleep_w
        blocks = min(site.safe.blocks(group), room_mw(group) // _mw(group, above_w))
        take(group, blocks * _mw(group, above_w))
        modes[group.name] = {group.modes[0].name: blocks} if blocks else {}
    return FailSafe(after_s=int(after.total_seconds()), mode_blocks=modes, nodes_on=nodes)


def _mw(machine: AsicGroup | GpuPool, watts: int) -> int:
    """Milliwatts at the meter in the worst heat."""
    return watts * (machine.pue_milli(HOTTEST_C) if isinstance(machine, GpuPool) else machine.cooling.pue_milli(HOTTEST_C))


def _step(own: SitePlan, t: int, start: datetime, length_s: int) -> SetPointStep:
    return SetPointStep(
        start=start,
        duration_s=length_s,
        draw_w=own.draw_w[t],
        hashing_w=own.hashing_w[t],
        inference_w=own.inference_w[t],
        limit_w=own.limit_w[t],
        mode_blocks={g: {m: n for m, counts in group.mode_blocks.items() if (n := counts[t])} for g, group in own.groups.items()},
        nodes_on={p: pool.nodes_on[t] for p, pool in own.pools.items()},
        nodes_warm={p: pool.nodes_warm[t] for p, pool in own.pools.items() if pool.nodes_warm is not None},
        work_per_h={p: {w: r for w, rates in pool.work_per_h.items() if (r := rates[t])} for p, pool in own.pools.items()},
        reserve_kw=own.reserve_kw(start, start + timedelta(seconds=length_s)),
    )
