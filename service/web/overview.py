"""What the page draws of a plan, worked out of the stored problem and plan; nothing is decided or rounded anew.

Machines call their modes by names of their own (eco, low, normal, high, turbo); `levels` puts them in three classes:
below, at and above normal.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

from models.asic import AsicGroup
from models.base import iso
from models.market import break_even_usd_per_mwh
from models.plan import REVENUE_TERMS, MoneyLine, Plan, Term
from models.problem import Problem
from models.site import Site
from service.price_bands import Band
from service.web.document import (
    LEVELS,
    GroupRow,
    Level,
    ModeRow,
    Overview,
    PoolRow,
    PoolWork,
    Power,
    ReserveRow,
    SiteRow,
    TermTotal,
    WorkloadRow,
)
from service.web.prices import price_of

SMALLEST_USD = 0.005
"""Less than it in all steps together is shown as nothing."""


class UnknownSiteError(KeyError):
    """The plan has no such site."""


def overview(problem: Problem, plan: Plan, site: str | None = None, bands: Mapping[str, Band] | None = None) -> Overview:
    """Return what the page shows of a plan: of the fleet, or of the site named.

    bands: how sure the prices of its indexes are, where they are forecasts.

    Raises:
        UnknownSiteError: the plan has no site of that name.
    """
    if site is not None and site not in plan.sites:
        raise UnknownSiteError(site)
    chosen = [s for s in problem.fleet.sites if site in (None, s.name)]
    money = [line for line in plan.money if site in (None, line.owner)]
    one = chosen[0] if site is not None else None
    owned = _by_owner(money)
    rows = tuple(_site_row(problem, plan, s, owned.get(s.name, 0.0)) for s in chosen)
    fleet_title = problem.fleet.title or problem.fleet.name
    return Overview(
        plan_id=plan.plan_id, problem_digest=plan.problem_digest, created_at=plan.created_at, basis=plan.basis,
        labels=plan.labels, reasons=_reasons(plan, site), proof=plan.proof,
        recoveries=tuple(r for r in plan.recoveries if site in (None, r.site)),
        audit_passed=plan.audit is not None and plan.audit.passed,
        rules_checked=len(plan.audit.rules_checked) if plan.audit else 0,
        fleet_title=fleet_title, fleet_profit_usd=plan.profit_usd, site=site,
        title=(one.title or one.name) if one else fleet_title, zone=one.zone if one else None,
        starts=tuple(iso(start) for start in plan.grid.starts), step_s=plan.grid.step_s,
        power=_power(problem, plan, chosen), price=price_of(problem, plan, rows, bands or {}),
        hashprice_usd_per_ph_day=problem.paid_hashprice_usd_per_ph_day, hash_ph_per_s=_hash(problem, plan, chosen),
        usd=tuple(sum(line.usd[t] for line in money) for t in range(plan.grid.steps)),
        profit_usd=sum(sum(line.usd) for line in money), terms=_terms(money),
        served_usd=sum(row.served_usd for row in rows),
        sites=() if one else rows,
        groups=tuple(_group_row(problem, plan, one, g) for g in one.asic_groups) if one else (),
        pools=_pool_rows(problem, plan, one) if one else (),
        reserves=_reserve_rows(plan, one) if one else (),
        workloads=() if one else _workload_rows(problem, plan),
    )  # fmt: skip


def levels(group: AsicGroup) -> dict[str, Level]:
    """Return the level of each mode: by its place below or above the one called normal, or the middle one."""
    names = [mode.name for mode in group.modes]
    normal = names.index("normal") if "normal" in names else (len(names) - 1) // 2
    return {name: LEVELS[(n > normal) - (n < normal) + 1] for n, name in enumerate(names)}


def _power(problem: Problem, plan: Plan, sites: Sequence[Site]) -> Power:
    steps = plan.grid.steps
    plans = [plan.sites[s.name] for s in sites]
    parts = [_hashing(problem, plan, s) for s in sites]
    inference, draw, limit = (
        _total(series, steps)
        for series in ([p.inference_w for p in plans], [p.draw_w for p in plans], [p.limit_w for p in plans])
    )
    hashing = {level: tuple(_total([part[level] for part in parts], steps)) for level in LEVELS}
    standby = [draw[t] - inference[t] - sum(hashing[level][t] for level in LEVELS) for t in range(steps)]
    return Power(
        hashing_w=hashing, inference_w=tuple(inference), standby_w=tuple(max(0, w) for w in standby), draw_w=tuple(draw),
        limit_w=tuple(limit), headroom_w=tuple(max(0, limit[t] - draw[t]) for t in range(steps)),
    )  # fmt: skip


def _hashing(problem: Problem, plan: Plan, site: Site) -> dict[Level, list[int]]:
    """Split a site's metered hashing by level, so that the parts add up to the plan's whole watts."""
    steps = plan.grid.steps
    metered_mw = {level: [0] * steps for level in LEVELS}
    ambient = problem.ambient_c[site.ambient]
    for group in site.asic_groups:
        blocks = plan.sites[site.name].groups[group.name].mode_blocks
        pue = [group.cooling.pue_milli(c) for c in ambient]
        for mode in group.modes:
            level, power_w = levels(group)[mode.name], [group.block_power_w(mode, c) for c in ambient]
            for t, count in enumerate(blocks.get(mode.name, ())):
                metered_mw[level][t] += count * power_w[t] * pue[t]
    split: dict[Level, list[int]] = {level: [] for level in LEVELS}
    for t, whole_w in enumerate(plan.sites[site.name].hashing_w):
        running = [level for level in LEVELS if metered_mw[level][t]]
        below_w, sum_mw = 0, 0
        for level in LEVELS:
            sum_mw += metered_mw[level][t]
            up_to_w = whole_w if running and level == running[-1] else min(whole_w, sum_mw // 1000)
            split[level].append(max(0, up_to_w - below_w))
            below_w = max(below_w, up_to_w)
    return split


def _hash(problem: Problem, plan: Plan, sites: Iterable[Site]) -> tuple[float, ...]:
    """Return the hash rate of the blocks that run, before warm-up and fees. [PH/s]"""
    total = [0.0] * plan.grid.steps
    for site in sites:
        for group in site.asic_groups:
            for mode in group.modes:
                per_block = [group.block_hash_ph_per_s(mode, c) for c in problem.ambient_c[site.ambient]]
                for t, count in enumerate(plan.sites[site.name].groups[group.name].mode_blocks.get(mode.name, ())):
                    total[t] += count * per_block[t]
    return tuple(total)


def _terms(money: Iterable[MoneyLine]) -> tuple[TermTotal, ...]:
    """Total the terms: revenue first, then costs, each from the largest to the smallest."""
    total: dict[Term, float] = {}
    moved: dict[Term, float] = {}
    for line in money:
        total[line.term] = total.get(line.term, 0.0) + sum(line.usd)
        moved[line.term] = moved.get(line.term, 0.0) + sum(map(abs, line.usd))
    order = sorted(total, key=lambda term: (term not in REVENUE_TERMS, -abs(total[term])))
    return tuple(TermTotal(term=term, usd=total[term], is_zero=moved[term] < SMALLEST_USD) for term in order)


def _reasons(plan: Plan, site: str | None) -> tuple[str, ...]:
    """Return what a plan tells its readers beside its recoveries; on the page of a site nothing that is of other sites only."""
    told = {recovery.reason for recovery in plan.recoveries}
    others = [name for name in plan.sites if name != site]
    return tuple(
        reason
        for reason in plan.reasons
        if reason not in told and (site is None or _names(reason, [site]) or not _names(reason, others))
    )


def _names(words: str, sites: Sequence[str]) -> bool:
    return not set(re.findall(r"[A-Za-z0-9_.-]*[A-Za-z0-9_-]", words)).isdisjoint(sites)


def _by_owner(money: Iterable[MoneyLine]) -> dict[str, float]:
    total: dict[str, float] = {}
    for line in money:
        total[line.owner] = total.get(line.owner, 0.0) + sum(line.usd)
    return total


def _site_row(problem: Problem, plan: Plan, site: Site, usd: float) -> SiteRow:
    got = plan.sites[site.name]
    return SiteRow(
        name=site.name, title=site.title or site.name, region=site.region, country=site.country, zone=site.zone,
        connection_limit_w=site.connection_limit_w,
        draw_w=got.draw_w, hashing_w=got.hashing_w, inference_w=got.inference_w, limit_w=got.limit_w,
        price_usd_per_mwh=problem.energy_price_usd_per_mwh(site),
        usd=usd, served_usd=_served_usd(problem, plan, site),
    )  # fmt: skip


def _pool_work(problem: Problem, plan: Plan, site: Site) -> dict[str, list[PoolWork]]:
    """Return what each pool of a site does, by workload."""
    done: dict[str, list[PoolWork]] = {}
    for pool, got in plan.sites[site.name].pools.items():
        for name, rates in got.work_per_h.items():
            workload = problem.fleet.workload_by_name[name]
            work = sum(rate * h for rate, h in zip(rates, plan.grid.hours, strict=True))
            usd = None if workload.kind == "reserved" else workload.price_usd_per_mwork * work / 1e6
            done.setdefault(pool, []).append(PoolWork(workload=name, kind=workload.kind, work_per_h=rates, work=work, usd=usd))
    return done


def _served_usd(problem: Problem, plan: Plan, site: Site) -> float:
    """Return what workloads earn with the work that this site does for them."""
    return sum(one.usd or 0.0 for work in _pool_work(problem, plan, site).values() for one in work)


def _group_row(problem: Problem, plan: Plan, site: Site, group: AsicGroup) -> GroupRow:
    steps = plan.grid.steps
    counts = plan.sites[site.name].groups[group.name].mode_blocks
    modes = [(mode.name, counts.get(mode.name, (0,) * steps)) for mode in group.modes]
    running = _total([blocks for _, blocks in modes], steps)
    level = levels(group)
    best_j_per_th = min(mode.efficiency_j_per_th for mode in group.modes)
    ambient = problem.ambient_c[site.ambient]
    return GroupRow(
        name=group.name, model=group.model, blocks=group.blocks,
        modes=tuple(ModeRow(name=name, level=level[name], blocks=blocks) for name, blocks in modes),
        asleep_blocks=tuple(group.blocks - count for count in running),
        break_even_usd_per_mwh=tuple(
            break_even_usd_per_mwh(hashprice, best_j_per_th, group.paid_share) * 1000 / group.cooling.pue_milli(celsius)
            for hashprice, celsius in zip(problem.paid_hashprice_usd_per_ph_day, ambient, strict=True)
        ),
    )  # fmt: skip


def _pool_rows(problem: Problem, plan: Plan, site: Site) -> tuple[PoolRow, ...]:
    plans, work = plan.sites[site.name].pools, _pool_work(problem, plan, site)
    return tuple(
        PoolRow(
            name=pool.name, gpu_type=pool.gpu_type, nodes=pool.nodes, nodes_on=plans[pool.name].nodes_on,
            nodes_warm=plans[pool.name].nodes_warm or (), work=tuple(work.get(pool.name, ())),
        )
        for pool in site.gpu_pools
    )  # fmt: skip


def _reserve_rows(plan: Plan, site: Site) -> tuple[ReserveRow, ...]:
    """Return what a site sells of each reserve of which it sells anything."""
    steps = zip(plan.grid.starts, plan.grid.step_s, strict=True)
    sold = [plan.sites[site.name].reserve_kw(start, start + timedelta(seconds=length_s)) for start, length_s in steps]
    rows = (ReserveRow(name=r.name, kw=tuple(kw.get(r.name, 0) for kw in sold)) for r in site.reserves)
    return tuple(row for row in rows if any(row.kw))


def _workload_rows(problem: Problem, plan: Plan) -> tuple[WorkloadRow, ...]:
    hours = plan.grid.hours
    rows = []
    for workload in problem.fleet.workloads:
        got = plan.workloads[workload.name]
        asked = problem.demand_work_per_h[workload.name]
        rows.append(
            WorkloadRow(
                name=workload.name, kind=workload.kind,
                asked_work=sum(rate * h for rate, h in zip(asked, hours, strict=True)),
                unserved_work=sum(rate * h for rate, h in zip(got.unserved_work_per_h, hours, strict=True)),
                late_work=max(got.late_work) if got.late_work else None,
            )
        )  # fmt: skip
    return tuple(rows)


def _total(series: Iterable[Sequence[int]], steps: int) -> list[int]:
    return [sum(values) for values in zip(*series, strict=True)] or [0] * steps
