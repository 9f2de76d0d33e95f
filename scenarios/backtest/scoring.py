"""What a policy earned: its decisions on the history as it came, audited, and valued over the whole period by one formulation.

Every policy is judged on the same problem: the replayed steps with real series, machines' and backlogs' end values left out, so
that nothing is earned that was not realised. A month that the period covers in part is billed for that part of what was left
of it (README, *Months*). Profit is summed over the scored steps; what is billed by month counts wherever its step lies.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from models.plan import MoneyLine, Plan, SitePlan
from models.problem import Problem
from models.site import Site
from models.workload import BatchWorkload
from optimizer.audit import audit
from optimizer.formulation import build
from optimizer.recovery import recover
from optimizer.valuation import money_lines, place_sites, unproven_plan
from scenarios.backtest.history import History
from scenarios.backtest.records import ContractAdded, PolicyName, PolicyResult, WorkDone
from scenarios.rolling import window
from scenarios.timed import Floats

BY_PERIOD = frozenset(("demand_charge", "take_shortfall", "tier_cost", "service_shortfall"))
"""Terms that are billed by month or day: never left out with a step."""
WORST_SHARE = 0.05
W_PER_MW, HOURS_A_DAY = 1e6, 24
CONTRACTS: dict[str, Any] = {
    "block_power": None,
    "demand_charge": None,
    "take_or_pay": None,
    "energy_tiers": (),
    "coincident_peak": None,
    "carbon": None,
}
"""Kinds of contract of a site, and what its field holds without one."""


def realised_only(history: History) -> Problem:
    """Return the replayed steps of a history without end values."""
    problem = window(history.problem, 0, history.steps, history.problem.state)
    sites = tuple(_without_end_values(site) for site in problem.fleet.sites)
    workloads = tuple(
        w.model_copy(update={"end_value_share": 0.0}) if isinstance(w, BatchWorkload) else w for w in problem.fleet.workloads
    )
    fleet = problem.fleet.model_copy(update={"sites": sites, "workloads": workloads})
    return problem.model_copy(update={"fleet": fleet})


def _without_end_values(site: Site) -> Site:
    groups = tuple(g.model_copy(update={"end_value_share": 0.0}) for g in site.asic_groups)
    pools = tuple(p.model_copy(update={"end_value_share": 0.0}) for p in site.gpu_pools)
    return site.model_copy(update={"asic_groups": groups, "gpu_pools": pools})


class Score:
    """Judges policies over one history."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.problem = realised_only(history)
        self.judged: Plan | None = None
        """What was judged last, with its money."""

    @cached_property
    def _compiled(self) -> Any:
        return build(self.problem, release=recover(self.problem).release)

    def plan(self, sites: Mapping[str, SitePlan]) -> Plan:
        """Return what every site did as one plan, with its money."""
        problem = self.problem
        return unproven_plan(
            problem, self._compiled, sites, recover(problem).records,
            plan_id=f"judged-{problem.digest[-12:]}", basis="optimised", now=problem.grid.end,
        )  # fmt: skip

    def result(self, policy: PolicyName, words: str, sites: Mapping[str, SitePlan], **known: Any) -> PolicyResult:
        """Return what a policy came to; `known` holds what only its maker knows (plans, gaps, seconds)."""
        self.judged = plan = self.plan(sites)
        counted = [self._counted(line) for line in plan.money]
        by_term, by_owner = _sums(plan.money, counted, "term"), _sums(plan.money, counted, "owner")
        steps, hours = self.problem.grid.steps, np.array(self.problem.grid.hours)
        usd = _total([np.array(line.usd) for line in plan.money], steps)
        score = _total(counted, steps)
        scored = np.array(self.history.scored)
        draw, inference = (self._mw(sites, name) for name in ("draw_w", "inference_w"))
        worst = np.sort(score[scored])[: max(1, round(WORST_SHARE * scored.sum()))] if scored.any() else np.zeros(1)
        return PolicyResult(
            policy=policy,
            words=words,
            profit_usd=float(score.sum()),
            all_hours_usd=float(usd.sum()),
            by_term_usd=by_term,
            by_owner_usd=by_owner,
            usd=tuple(usd.tolist()),
            curve_usd=tuple(np.cumsum(score).tolist()),
            draw_mw=tuple(draw.tolist()),
            inference_mw=tuple(inference.tolist()),
            energy_mwh=float((draw * hours).sum()),
            hash_ph_days=self._hash_ph_days(sites),
            work=self._work(plan),
            block_starts=self._block_starts(sites),
            node_starts=self._node_starts(sites),
            worst_hours_usd=float(worst.mean()),
            hours_scored=float(hours[scored].sum()),
            hours_left_out=float(hours[~scored].sum()),
            broken=audit(self.problem, plan).broken,
            **known,
        )

    def contracts(self, sites: Mapping[str, SitePlan]) -> tuple[ContractAdded, ...]:
        """Return what each kind of contract added: the same decisions billed with it less billed without it."""
        with_all = sum(sum(line.usd) for line in self.plan(sites).money)
        found = []
        for kind, absent in CONTRACTS.items():
            holders = [site for site in self.problem.fleet.sites if getattr(site, kind)]
            if not holders:
                continue
            free = tuple(s.model_copy(update={kind: absent}) for s in self.problem.fleet.sites)
            bare = self.problem.model_copy(update={"fleet": self.problem.fleet.model_copy(update={"sites": free}), "outlook": {}})
            compiled = build(bare, release=recover(bare).release)
            money = money_lines(compiled, place_sites(bare, compiled, sites))
            usd = with_all - sum(sum(line.usd) for line in money)
            found.append(ContractAdded(contract=kind, sites=len(holders), usd=usd, how="settled", steps=self.problem.grid.steps))
        return tuple(found)

    def _counted(self, line: MoneyLine) -> Floats:
        usd = np.array(line.usd)
        return usd if line.term in BY_PERIOD else np.where(np.array(self.history.scored), usd, 0.0)

    def _mw(self, sites: Mapping[str, SitePlan], name: str) -> Floats:
        return _total([np.array(getattr(made, name)) for made in sites.values()], self.problem.grid.steps) / W_PER_MW

    def _hash_ph_days(self, sites: Mapping[str, SitePlan]) -> float:
        days, total = np.array(self.problem.grid.hours) / HOURS_A_DAY, 0.0
        for site in self.problem.fleet.sites:
            ambient = self.problem.ambient_c[site.ambient]
            for group in site.asic_groups:
                made = sites[site.name].groups[group.name].mode_blocks
                for mode in group.modes:
                    ph = np.array([group.block_hash_ph_per_s(mode, c) for c in ambient])
                    total += float((np.array(made.get(mode.name, (0,) * len(ambient))) * ph * days).sum())
        return total

    def _work(self, plan: Plan) -> dict[str, WorkDone]:
        hours, found = np.array(self.problem.grid.hours), {}
        for workload in self.problem.fleet.workloads:
            asked = float((np.array(self.problem.demand_work_per_h[workload.name]) * hours).sum())
            asked += sum(lot.work for lot in self.problem.state.backlog.get(workload.name, ()))
            rates = [
                p.work_per_h[workload.name]
                for s in plan.sites.values()
                for p in s.pools.values()
                if workload.name in p.work_per_h
            ]
            found[workload.name] = WorkDone(
                demanded_work=asked, served_work=sum(float((np.array(r) * hours).sum()) for r in rates)
            )
        return found

    def _block_starts(self, sites: Mapping[str, SitePlan]) -> int:
        before = {(s, g): state.running for s, known in self.problem.state.sites.items() for g, state in known.groups.items()}
        on = {(s, g): _total([np.array(c) for c in made.mode_blocks.values()], self.problem.grid.steps)
              for s, plan in sites.items() for g, made in plan.groups.items()}  # fmt: skip
        return sum(_starts(before[key], counts) for key, counts in on.items())

    def _node_starts(self, sites: Mapping[str, SitePlan]) -> int:
        """Nodes that load anew: rises of the nodes on and warm together."""
        total = 0
        for name, plan in sites.items():
            for pool, made in plan.pools.items():
                known = self.problem.state.sites[name].pools[pool]
                on = np.array(made.nodes_on) + (0 if made.nodes_warm is None else np.array(made.nodes_warm))
                total += _starts(known.nodes_on + known.nodes_warm, on)
        return total


def _starts(before: int, on: Floats) -> int:
    return int(np.maximum(0, np.diff(on, prepend=before)).sum())


def _sums(money: Sequence[MoneyLine], counted: Sequence[Floats], by: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for line, usd in zip(money, counted, strict=True):
        found[getattr(line, by)] = found.get(getattr(line, by), 0.0) + float(usd.sum())
    return {name: usd for name, usd in found.items() if usd}


def _total(rows: Sequence[Floats], steps: int) -> Floats:
    return np.asarray(np.sum(rows, axis=0) if rows else np.zeros(steps))
