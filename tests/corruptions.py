"""Ways to spoil a good plan. Each gives a plan that breaks one rule, with all that follows from it told consistently.

A corruption of decisions is worked through to draws, stocks, money and proof, so that only the rule itself can give it
away; a corruption of what is told leaves the decisions alone. Each returns the spoilt plan, or None where it finds
nothing to spoil, and stands in a list with the words that the audit must find.
"""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from random import Random
from typing import Any

from models.plan import Plan, Proof, ReservePlan
from models.problem import Problem
from optimizer.availability import group_available, pinned
from optimizer.compiled import Compiled
from optimizer.decisions import Ledger, SiteDecisions, workload_plans
from optimizer.formulation import build
from optimizer.recovery import recover
from optimizer.sets import world
from optimizer.valuation import money_lines, place_sites

Spoil = Callable[["Case"], Plan | None]
CORRUPTIONS: list[tuple[str, str, Spoil]] = []
"""Name, a pattern that the words must hold, and the corruption."""


def corruption(words: str) -> Callable[[Spoil], Spoil]:
    """List a corruption with the words that must give it away."""

    def keep(spoil: Spoil) -> Spoil:
        CORRUPTIONS.append((spoil.__name__, words, spoil))
        return spoil

    return keep


@dataclass
class Case:
    """A problem, a good plan of it, and chance."""

    problem: Problem
    plan: Plan
    rng: Random

    def __post_init__(self) -> None:
        self.release = recover(self.problem).release
        self.compiled: Compiled = build(self.problem, release=self.release)
        self.decisions = {name: _decided(self.plan, name) for name in self.plan.sites}

    def places(self, machines: str) -> Iterator[tuple[Any, Any, int]]:
        """Sites with their groups or pools, and every step, in random order."""
        steps = range(self.problem.grid.steps)
        found = [(s, m, t) for s in self.problem.fleet.sites for m in getattr(s, machines) for t in steps]
        self.rng.shuffle(found)
        return iter(found)

    def dark(self, site: str, t: int) -> bool:
        """Whether a site is dark in a step."""
        here = world(self.problem)
        return not here.energised[[s.name for s in here.sites].index(site), t]

    def on(self, site: str, group: str, t: int) -> int:
        """Blocks that run."""
        return sum(series[t] for series in self.decisions[site].mode_blocks[group].values())

    def worked_through(self, decisions: dict[str, SiteDecisions]) -> Plan:
        """Return a plan of other decisions, with draws, stocks, money and proof that follow from them."""
        here = world(self.problem, release=self.release)
        made = [decisions[site.name] for site in here.sites]
        sites = {site.name: Ledger(here, n, made[n]).plan() for n, site in enumerate(here.sites)}
        money = money_lines(self.compiled, place_sites(self.problem, self.compiled, sites))
        return self.plan.model_copy(
            update={
                "sites": sites,
                "workloads": workload_plans(self.problem, made),
                "money": money,
                "proof": self.plan.proof.model_copy(update={"objective_usd": sum(sum(line.usd) for line in money)}),
            }
        )

    def told(self, path: tuple[Any, ...], change: Callable[[Any], Any]) -> Plan:
        """Return the plan with one value replaced, wherever it stands."""
        raw = deepcopy(self.plan.model_dump())
        at: Any = raw
        for key in path[:-1]:
            if isinstance(at[key], tuple):
                at[key] = list(at[key])
            at = at[key]
        at[path[-1]] = change(at[path[-1]])
        return Plan.model_validate(_tuples(raw))


def _tuples(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _tuples(v) for k, v in value.items()}
    return tuple(_tuples(v) for v in value) if isinstance(value, list | tuple) else value


def _decided(plan: Plan, site: str) -> SiteDecisions:
    made = plan.sites[site]
    return SiteDecisions(
        mode_blocks={g: {m: list(c) for m, c in p.mode_blocks.items()} for g, p in made.groups.items()},
        nodes_on={p: list(pool.nodes_on) for p, pool in made.pools.items()},
        work_per_h={p: {w: list(series) for w, series in pool.work_per_h.items()} for p, pool in made.pools.items()},
        nodes_warm={p: list(pool.nodes_warm) for p, pool in made.pools.items() if pool.nodes_warm is not None},
    )


# --- machines ---------------------------------------------------------------------------------------------------------


@corruption(r"blocks on, there are")
def more_blocks_than_there_are(case):
    for site, group, t in case.places("asic_groups"):
        if not case.dark(site.name, t):
            changed = deepcopy(case.decisions)
            extra = group.blocks + 1 - case.on(site.name, group.name, t)
            changed[site.name].mode_blocks[group.name][group.modes[0].name][t] += extra
            return case.worked_through(changed)
    return None


@corruption(r"nodes on( or warm)?, there are")
def more_nodes_than_there_are(case):
    for site, pool, t in case.places("gpu_pools"):
        if not case.dark(site.name, t):
            changed = deepcopy(case.decisions)
            changed[site.name].nodes_on[pool.name][t] = pool.nodes + 1
            return case.worked_through(changed)
    return None


@corruption(r"are in service")
def blocks_run_that_are_out_of_service(case):
    here = world(case.problem)
    for g, available in zip(here.groups, group_available(here).tolist(), strict=True):
        site, name = here.sites[g.site].name, g.group.name
        for t, count in enumerate(available):
            if count < g.group.blocks and not case.dark(site, t):
                changed = deepcopy(case.decisions)
                lowest = changed[site].mode_blocks[name][g.group.modes[0].name]
                lowest[t] += g.group.blocks - case.on(site, name, t)
                return case.worked_through(changed)
    return None


@corruption(r"ann's pin holds")
def a_pin_is_not_kept(case):
    here = world(case.problem, release=case.release)
    for p in here.pools:
        known = pinned(here, p.site, p.pool.name)
        if known is not None and known[1]:
            changed = deepcopy(case.decisions)
            nodes = changed[here.sites[p.site].name].nodes_on[p.pool.name]
            nodes[0] += 1 if nodes[0] < p.pool.nodes else -1
            return case.worked_through(changed)
    return None


@corruption(r"the site is dark")
def a_dark_site_hashes(case):
    for site, group, t in case.places("asic_groups"):
        if case.dark(site.name, t):
            changed = deepcopy(case.decisions)
            changed[site.name].mode_blocks[group.name][group.modes[0].name][t] = 1
            return case.worked_through(changed)
    return None


@corruption(r"the site is dark")
def a_dark_site_keeps_a_node(case):
    for site, pool, t in case.places("gpu_pools"):
        if case.dark(site.name, t):
            changed = deepcopy(case.decisions)
            changed[site.name].nodes_on[pool.name][t] = 1
            return case.worked_through(changed)
    return None


@corruption(r"draws .* MW, limit .* MW")
def all_blocks_in_the_highest_mode(case):
    here = world(case.problem)
    names = [s.name for s in here.sites]
    for site, _, t in case.places("asic_groups"):
        number = names.index(site.name)
        changed = deepcopy(case.decisions)
        for g in site.asic_groups:
            for mode in g.modes:
                changed[site.name].mode_blocks[g.name][mode.name][t] = g.blocks if mode is g.modes[-1] else 0
        if here.energised[number, t]:
            draw = Ledger(here, number, changed[site.name])
            if draw.draw(t) > draw.unit * 1000 * draw.limit_w[t]:
                return case.worked_through(changed)
    return None


@corruption(r"blocks may make \d+ each")
def more_starts_than_the_day_allows(case):
    for site, group, t in case.places("asic_groups"):
        before = case.problem.state.sites[site.name].groups[group.name]
        on = before.running if t == 0 else case.on(site.name, group.name, t - 1)
        most = group.max_starts_per_day
        if most is not None and group.blocks - on + before.starts_today > group.blocks * most and not case.dark(site.name, t):
            changed = deepcopy(case.decisions)
            lowest = changed[site.name].mode_blocks[group.name][group.modes[0].name]
            lowest[t] += group.blocks - case.on(site.name, group.name, t)
            return case.worked_through(changed)
    return None


@corruption(r"feeder \S+ carries .* MW, limit .* MW")
def more_than_a_feeder_carries(case):
    here = world(case.problem)
    for site, group, t in case.places("asic_groups"):
        number = [s.name for s in here.sites].index(site.name)
        changed = deepcopy(case.decisions)
        for mode in group.modes:
            changed[site.name].mode_blocks[group.name][mode.name][t] = group.blocks if mode is group.modes[-1] else 0
        draw = Ledger(here, number, changed[site.name])
        for branch in draw.branches:
            if draw.draws_under(branch.machines, (t,))[0] > draw.unit * int(branch.limit_mw[t]) and not case.dark(site.name, t):
                return case.worked_through(changed)
    return None


@corruption(r"blocks in \S+ at \S+ C, it runs up to \S+ C")
def a_mode_in_too_much_heat(case):
    here = world(case.problem)
    for site, group, t in case.places("asic_groups"):
        celsius = case.problem.ambient_c[site.ambient][t]
        if group.modes_allowed(celsius) < len(group.modes) and here.live[here.sites.index(site)][group.name][t]:
            changed = deepcopy(case.decisions)
            changed[site.name].mode_blocks[group.name][group.modes[-1].name][t] = 1
            if not case.dark(site.name, t) and case.on(site.name, group.name, t) < group.blocks:
                return case.worked_through(changed)
    return None


@corruption(r"\(min_up_s\)")
def a_block_stops_right_after_its_start(case):
    for site, group, t in case.places("asic_groups"):
        grid = case.problem.grid
        if not 0 < t < grid.steps - 1 or group.min_up_s <= grid.step_s[t]:
            continue
        if case.on(site.name, group.name, t) > case.on(site.name, group.name, t - 1):
            changed = deepcopy(case.decisions)
            for series in changed[site.name].mode_blocks[group.name].values():
                series[t + 1] = 0
            return case.worked_through(changed)
    return None


@corruption(r"of the state must go on")
def a_block_of_the_state_stops_early(case):
    for site, group, t in case.places("asic_groups"):
        kept = case.release.blocks.get((site.name, group.name))
        state = case.problem.state.sites[site.name].groups[group.name]
        start = case.problem.grid.starts[t]
        young = sum(c.count for c in state.started if (start - c.since).total_seconds() < group.min_up_s)
        if (young if kept is None else min(young, kept[t])) > 0:
            changed = deepcopy(case.decisions)
            for series in changed[site.name].mode_blocks[group.name].values():
                series[t] = 0
            return case.worked_through(changed)
    return None


@corruption(r"of the state must go on")
def a_node_of_the_state_stops_early(case):
    for site, pool, t in case.places("gpu_pools"):
        kept = case.release.nodes.get((site.name, pool.name))
        state = case.problem.state.sites[site.name].pools[pool.name]
        start = case.problem.grid.starts[t]
        young = sum(c.count for c in state.started if (start - c.since).total_seconds() < pool.min_up_s)
        if (young if kept is None else min(young, kept[t])) > 0:
            changed = deepcopy(case.decisions)
            changed[site.name].nodes_on[pool.name][t] = 0
            for series in changed[site.name].work_per_h[pool.name].values():
                series[t] = 0
            return case.worked_through(changed)
    return None


@corruption(r"\(min_down_s\)")
def a_block_starts_before_it_has_rested(case):
    for site, group, t in case.places("asic_groups"):
        if 0 < t < case.problem.grid.steps - 1 and group.min_down_s > case.problem.grid.step_s[t]:
            before, on = case.on(site.name, group.name, t - 1), case.on(site.name, group.name, t)
            if 0 < on < before and before == group.blocks and not case.dark(site.name, t + 1):
                changed = deepcopy(case.decisions)
                for series in changed[site.name].mode_blocks[group.name].values():
                    series[t + 1] = series[t - 1]
                return case.worked_through(changed)
    return None


@corruption(r"\(min_down_s\)")
def a_block_that_just_stopped_starts(case):
    for site, group, _ in case.places("asic_groups"):
        state = case.problem.state.sites[site.name].groups[group.name]
        start = case.problem.grid.start
        resting = sum(c.count for c in state.stopped if (start - c.since).total_seconds() < group.min_down_s)
        if resting and not case.dark(site.name, 0):
            changed = deepcopy(case.decisions)
            missing = group.blocks - case.on(site.name, group.name, 0)
            changed[site.name].mode_blocks[group.name][group.modes[0].name][0] += missing
            return case.worked_through(changed)
    return None


@corruption(r"\(min_up_s\)")
def a_node_stops_right_after_its_start(case):
    for site, pool, t in case.places("gpu_pools"):
        on = case.decisions[site.name].nodes_on[pool.name]
        grid = case.problem.grid
        if 0 < t < grid.steps - 1 and pool.min_up_s > grid.step_s[t] and on[t] > on[t - 1]:
            changed = deepcopy(case.decisions)
            changed[site.name].nodes_on[pool.name][t + 1] = 0
            return case.worked_through(changed)
    return None


@corruption(r"nodes get warm that were off")
def nodes_get_warm_that_were_off(case):
    for site, pool, _ in case.places("gpu_pools"):
        state = case.problem.state.sites[site.name].pools[pool.name]
        if pool.warm_w is not None and not case.dark(site.name, 0) and state.nodes_on + state.nodes_warm < pool.nodes:
            changed = deepcopy(case.decisions)
            changed[site.name].nodes_on[pool.name][0] = 0
            changed[site.name].nodes_warm[pool.name][0] = pool.nodes
            for series in changed[site.name].work_per_h[pool.name].values():
                series[0] = 0
            return case.worked_through(changed)
    return None


@corruption(r"nodes on or warm, ")
def more_nodes_on_and_warm_than_there_are(case):
    for site, pool, t in case.places("gpu_pools"):
        if pool.warm_w is not None and not case.dark(site.name, t):
            changed = deepcopy(case.decisions)
            changed[site.name].nodes_warm[pool.name][t] = pool.nodes + 1 - changed[site.name].nodes_on[pool.name][t]
            return case.worked_through(changed)
    return None


@corruption(r"on serve")
def a_node_serves_while_it_is_warm(case):
    for site, pool, _, t in _served(case):
        if pool.warm_w is not None and case.decisions[site.name].nodes_on[pool.name][t]:
            changed = deepcopy(case.decisions)
            on = changed[site.name].nodes_on[pool.name]
            changed[site.name].nodes_warm[pool.name][t], on[t] = on[t], 0
            return case.worked_through(changed)
    return None


@corruption(r"says inference_w \d+, it is \d+")
def warm_nodes_that_draw_nothing(case):
    for site, pool, t in case.places("gpu_pools"):
        on = case.decisions[site.name].nodes_on[pool.name][t]
        if pool.warm_w and not case.dark(site.name, t) and on < pool.nodes:
            changed = deepcopy(case.decisions)
            changed[site.name].nodes_warm[pool.name][t] = pool.nodes - on
            plan = case.plan.model_dump()
            plan["sites"][site.name]["pools"][pool.name]["nodes_warm"] = changed[site.name].nodes_warm[pool.name]
            return Plan.model_validate(_tuples(plan))
    return None


@corruption(r"nodes_warm is missing")
def warm_nodes_left_out(case):
    for site, pool, _ in case.places("gpu_pools"):
        if pool.warm_w is not None:
            return case.told(("sites", site.name, "pools", pool.name, "nodes_warm"), lambda _: None)
    return None


@corruption(r"nodes_warm is there, though none can be warm")
def warm_nodes_of_a_pool_without_any(case):
    for site, pool, _ in case.places("gpu_pools"):
        if pool.warm_w is None:
            none = (0,) * case.problem.grid.steps
            return case.told(("sites", site.name, "pools", pool.name, "nodes_warm"), lambda _, n=none: n)
    return None


@corruption(r"the ramp lets it change by")
def the_draw_falls_faster_than_the_ramp(case):
    here = world(case.problem, release=case.release)
    for number, site in enumerate(here.sites):
        for t in range(1, case.problem.grid.steps):
            made = case.plan.sites[site.name]
            least_w = here.floor_mw[number, t] // 1000 + 1
            allowed_w = (case.problem.fleet.ramp_w_per_min(site) or 0) * min(case.problem.grid.step_s[t - 1 : t + 1]) / 60
            if here.ramp_binds[number, t] and made.draw_w[t - 1] - least_w > allowed_w + 2:
                changed = deepcopy(case.decisions)
                for g in site.asic_groups:
                    for series in changed[site.name].mode_blocks[g.name].values():
                        series[t] = 0
                for p in site.gpu_pools:
                    changed[site.name].nodes_on[p.name][t] = 0
                    for series in changed[site.name].work_per_h[p.name].values():
                        series[t] = 0
                return case.worked_through(changed)
    return None


# --- work -------------------------------------------------------------------------------------------------------------


def _served(case):
    for site, pool, t in case.places("gpu_pools"):
        for workload, series in case.decisions[site.name].work_per_h[pool.name].items():
            if series[t]:
                yield site, pool, workload, t


@corruption(r"on serve")
def work_without_a_node(case):
    for site, pool, _, t in _served(case):
        changed = deepcopy(case.decisions)
        changed[site.name].nodes_on[pool.name][t] = 0
        return case.worked_through(changed)
    return None


@corruption(r"on serve")
def a_node_serves_while_it_loads(case):
    for site, pool, workload, t in _served(case):
        on = case.decisions[site.name].nodes_on[pool.name]
        if t and pool.load_s and on[t] > on[t - 1]:
            rate = case.problem.fleet.workload_by_name[workload].work_per_node_h(pool)
            changed = deepcopy(case.decisions)
            for series in changed[site.name].work_per_h[pool.name].values():
                series[t] = 0
            changed[site.name].work_per_h[pool.name][workload][t] = rate * on[t]
            plan = case.plan.model_dump()
            plan["sites"][site.name]["pools"][pool.name]["work_per_h"] = changed[site.name].work_per_h[pool.name]
            return Plan.model_validate(_tuples(plan))
    return None


def _work_where(case, wrong):
    """One unit of a workload at a pool where it is wrong."""
    for site, pool, t in case.places("gpu_pools"):
        for workload in case.problem.fleet.workloads:
            if wrong(site, pool, workload):
                path = ("sites", site.name, "pools", pool.name, "work_per_h")
                series = tuple(int(h == t) for h in range(case.problem.grid.steps))
                return case.told(path, lambda work, w=workload.name, s=series: {**work, w: s})
    return None


@corruption(r"which region \S+ may not serve")
def work_where_the_region_does_not_admit_it(case):
    return _work_where(case, lambda site, _, workload: site.region not in workload.routing_usd_per_mwork)


@corruption(r"which may not leave \S+, the site is in \S+")
def work_in_a_country_that_it_may_not_leave_for(case):
    return _work_where(case, lambda site, _, workload: workload.countries and site.country not in workload.countries)


@corruption(r"whose users in \S+ may wait \d+ ms, \S+ is \d+ ms away")
def work_too_far_from_its_users(case):
    def too_far(site, _, workload):
        limit = getattr(workload, "latency", None)
        return limit is not None and case.problem.fleet.latency_ms[limit.users][site.region] > limit.most_ms

    return _work_where(case, too_far)


@corruption(r"cannot serve here")
def work_on_nodes_that_cannot_do_it(case):
    return _work_where(
        case,
        lambda site, pool, workload: case.problem.fleet.admits(workload, site) and not workload.work_per_node_h(pool),
    )


def _work_up(case, kinds):
    for site, pool, workload, t in _served(case):
        if case.problem.fleet.workload_by_name[workload].kind in kinds:
            path = ("sites", site.name, "pools", pool.name, "work_per_h", workload, t)
            return case.told(path, lambda work: work + 10_000_000)
    return None


@corruption(r"unserved, asked")
def more_served_than_asked(case):
    return _work_up(case, ("interactive", "reserved"))


@corruption(r"more than has arrived|of work waits")
def batch_served_before_it_arrives(case):
    return _work_up(case, ("batch",))


def _workloads(case, kinds):
    found = [(w.name, t) for w in case.problem.fleet.workloads if w.kind in kinds for t in range(case.problem.grid.steps)]
    case.rng.shuffle(found)
    return found


@corruption(r"unserved, asked")
def one_unit_unserved_too_many(case):
    for name, t in _workloads(case, ("interactive", "reserved")):
        return case.told(("workloads", name, "unserved_work_per_h", t), lambda work: work + 1)
    return None


@corruption(r"unserved, asked")
def one_unserved_unit_forgotten(case):
    for name, t in _workloads(case, ("interactive", "reserved")):
        if case.plan.workloads[name].unserved_work_per_h[t]:
            return case.told(("workloads", name, "unserved_work_per_h", t), lambda work: work - 1)
    return None


@corruption(r"of work waits at its end")
def a_backlog_one_unit_too_large(case):
    for name, t in _workloads(case, ("batch",)):
        return case.told(("workloads", name, "backlog_work", t), lambda work: work + 1)
    return None


@corruption(r"of work is late at its end")
def a_late_unit_forgotten(case):
    for name, t in _workloads(case, ("batch",)):
        if case.plan.workloads[name].late_work[t]:
            return case.told(("workloads", name, "late_work", t), lambda work: work - 1)
    return None


@corruption(r"batch work waits instead")
def batch_work_left_unserved(case):
    for name, t in _workloads(case, ("batch",)):
        return case.told(("workloads", name, "unserved_work_per_h", t), lambda work: work + 1)
    return None


# --- what is told -----------------------------------------------------------------------------------------------------


def _watts(name, by):
    def spoil(case):
        site, t = case.rng.choice(case.problem.fleet.sites).name, case.rng.randrange(case.problem.grid.steps)
        if getattr(case.plan.sites[site], name)[t] + by < 0:
            return None
        return case.told(("sites", site, name, t), lambda watts: watts + by)

    spoil.__name__ = f"{name}_told_{'above' if by > 0 else 'below'}_what_it_is"
    return spoil


for _name in ("draw_w", "hashing_w", "inference_w", "limit_w"):
    for _by in (1, -1):
        corruption(rf"says {_name} \d+, it is \d+")(_watts(_name, _by))


@corruption(r"says inference_w \d+, it is \d+")
def containers_that_draw_nothing(case):
    for site, pool, t in case.places("gpu_pools"):
        nodes = case.decisions[site.name].nodes_on[pool.name][t]
        idle_w = pool.power_w(nodes, pool.node_fixed_w) - nodes * pool.node_fixed_w
        if idle_w and case.plan.sites[site.name].inference_w[t] >= idle_w:
            return case.told(("sites", site.name, "inference_w", t), lambda watts, w=idle_w: watts - w)
    return None


def _lines(case):
    found = [(n, t) for n, line in enumerate(case.plan.money) for t in range(len(line.usd))]
    case.rng.shuffle(found)
    return found


def _with_money(case, n, usd):
    """Another line of money, and an objective that agrees with it."""
    money = list(case.plan.money)
    money[n] = money[n].model_copy(update={"usd": tuple(usd)})
    objective = sum(sum(line.usd) for line in money)
    proof = case.plan.proof.model_copy(update={"objective_usd": objective})
    return case.plan.model_copy(update={"money": tuple(money), "proof": proof})


@corruption(r" is -?[\d.]+ USD, the plan says")
def some_dollars_too_many(case):
    for n, t in _lines(case):
        usd = list(case.plan.money[n].usd)
        usd[t] += 0.02 + 1e-5 * sum(map(abs, usd))
        return _with_money(case, n, usd)
    return None


@corruption(r"(asic_start_wear|gpu_start_cost) is -[\d.]+ USD, the plan says 0")
def starts_that_cost_nothing(case):
    for n, t in _lines(case):
        line = case.plan.money[n]
        if line.term in ("asic_start_wear", "gpu_start_cost") and line.usd[t] < -0.02:
            return _with_money(case, n, [0.0 if h == t else usd for h, usd in enumerate(line.usd)])
    return None


@corruption(r"forced_stop_wear is -[\d.]+ USD, the plan says 0")
def a_forced_stop_that_wears_nothing(case):
    for n, line in enumerate(case.plan.money):
        if line.term == "forced_stop_wear" and min(line.usd) < -0.02:
            return _with_money(case, n, [0.0] * len(line.usd))
    return None


@corruption(r"service_shortfall is -[\d.]+ USD, the plan says 0")
def a_service_level_missed_for_nothing(case):
    for n, line in enumerate(case.plan.money):
        if line.term == "service_shortfall" and min(line.usd) < -0.02:
            return _with_money(case, n, [0.0] * len(line.usd))
    return None


@corruption(r" is -?[\d.]+ USD, the plan says 0")
def a_term_left_out(case):
    for n, t in _lines(case):
        if abs(case.plan.money[n].usd[t]) > 0.02:
            money = case.plan.money[:n] + case.plan.money[n + 1 :]
            objective = sum(sum(line.usd) for line in money)
            proof = case.plan.proof.model_copy(update={"objective_usd": objective})
            return case.plan.model_copy(update={"money": money, "proof": proof})
    return None


@corruption(r"stands twice in the money")
def a_term_told_twice(case):
    return case.plan.model_copy(update={"money": (*case.plan.money, case.plan.money[0])})


@corruption(r"cannot have it")
def a_term_of_somebody_else(case):
    n = case.rng.randrange(len(case.plan.money))
    owner = "atlantis" if case.rng.random() < 0.5 else case.problem.name
    money = list(case.plan.money)
    money[n] = money[n].model_copy(update={"owner": owner})
    return case.plan.model_copy(update={"money": tuple(money)})


@corruption(r"expected \d+ values, one per step, got")
def money_for_one_step_too_many(case):
    n = case.rng.randrange(len(case.plan.money))
    return case.told(("money", n, "usd"), lambda usd: (*usd, 0.0))


@corruption(r"objective is")
def an_objective_that_is_not_the_sum(case):
    return case.told(("proof", "objective_usd"), lambda usd: usd + 0.02 + 1e-6 * abs(usd))


def _proven(case, **claims):
    objective = case.plan.proof.objective_usd
    proof = Proof(objective_usd=objective, status="feasible", asked_gap=0.01, wall_s=1.0).model_copy(update=claims)
    return case.plan.model_copy(update={"basis": "optimised", "proof": proof})


@corruption(r"is better than its bound")
def a_bound_below_the_objective(case):
    bound = case.plan.proof.objective_usd - 1 - abs(case.plan.proof.objective_usd)
    return _proven(case, bound_usd=bound, gap_usd=0.0, gap_percent=0.0)


@corruption(r"the gap is [\d.]+ %, the plan says")
def a_gap_told_too_small(case):
    bound = case.plan.proof.objective_usd + 5.0 + abs(case.plan.proof.objective_usd)
    gap_usd = bound - case.plan.proof.objective_usd
    return _proven(case, bound_usd=bound, gap_usd=gap_usd, gap_percent=0.1)


@corruption(r"status is optimal at a gap of")
def optimal_with_a_wide_gap(case):
    objective = case.plan.proof.objective_usd
    if abs(objective) < 1:
        return None
    bound = objective + abs(objective)
    return _proven(case, bound_usd=bound, gap_usd=abs(objective), gap_percent=100.0, status="optimal")


@corruption(r"without a bound")
def optimal_without_a_bound(case):
    return _proven(case, status="optimal")


@corruption(r"is not proven optimal")
def a_rule_plan_that_claims_to_be_optimal(case):
    return case.told(("proof", "status"), lambda _: "optimal")


@corruption(r"has no bound and no gap")
def a_rule_plan_with_a_bound(case):
    return case.told(("proof", "bound_usd"), lambda _: case.plan.proof.objective_usd)


# --- completeness and identity ----------------------------------------------------------------------------------------


@corruption(r"made for input sha256")
def a_plan_for_another_input(case):
    return case.told(("problem_digest",), lambda _: "sha256:" + "0" * 64)


@corruption(r"made for problem")
def a_plan_for_another_problem(case):
    return case.told(("problem_name",), lambda _: "another")


@corruption(r"runs over")
def a_plan_of_another_hour(case):
    from datetime import timedelta

    grid = case.plan.grid.model_copy(update={"start": case.plan.grid.start + timedelta(hours=1)})
    return case.plan.model_copy(update={"grid": grid})


@corruption(r"labelled")
def a_label_that_its_input_does_not_have(case):
    labels = () if case.problem.labels else ("forecast",)
    return case.plan.model_copy(update={"labels": labels})


@corruption(r"runs over")
def a_plan_with_other_step_lengths(case):
    step_s = (case.plan.grid.step_s[0] + 60, *case.plan.grid.step_s[1:])
    return case.plan.model_copy(update={"grid": case.plan.grid.model_copy(update={"step_s": step_s})})


@corruption(r"expected \d+ values, one per step, got \d+; step \d+ ")
def a_step_dropped(case):
    if case.problem.grid.steps < 2:
        return None
    for site, group, _ in case.places("asic_groups"):
        path = ("sites", site.name, "groups", group.name, "mode_blocks", group.modes[0].name)
        return case.told(path, lambda series: series[:-1])
    return None


@corruption(r"expected \d+ values, one per step, got")
def a_step_of_draws_too_many(case):
    site = case.rng.choice(case.problem.fleet.sites).name
    return case.told(("sites", site, "draw_w"), lambda series: (*series, 0))


@corruption(r"sites: missing")
def a_site_missing(case):
    site = case.rng.choice(case.problem.fleet.sites).name
    return case.plan.model_copy(update={"sites": {n: p for n, p in case.plan.sites.items() if n != site}})


@corruption(r"missing|unknown|the plan says|draws|on, there are")
def two_sites_swapped(case):
    names = list(case.plan.sites)
    if len(names) < 2 or case.plan.sites[names[0]] == case.plan.sites[names[1]]:
        return None
    sites = {**case.plan.sites, names[0]: case.plan.sites[names[1]], names[1]: case.plan.sites[names[0]]}
    return case.plan.model_copy(update={"sites": sites})


@corruption(r"groups: missing")
def a_group_missing(case):
    for site, group, _ in case.places("asic_groups"):
        return case.told(("sites", site.name, "groups"), lambda groups, g=group.name: {n: p for n, p in groups.items() if n != g})
    return None


@corruption(r"modes: missing")
def a_mode_missing(case):
    for site, group, _ in case.places("asic_groups"):
        path = ("sites", site.name, "groups", group.name, "mode_blocks")
        return case.told(path, lambda modes: dict(list(modes.items())[1:]))
    return None


@corruption(r"pools: unknown")
def a_pool_that_is_not_there(case):
    site = case.rng.choice(case.problem.fleet.sites).name
    empty = {"nodes_on": (0,) * case.problem.grid.steps, "work_per_h": {}}
    return case.told(("sites", site, "pools"), lambda pools: {**pools, "phantom": empty})


@corruption(r"workloads: missing")
def a_workload_missing(case):
    for name, _ in _workloads(case, ("interactive", "batch", "reserved")):
        return case.plan.model_copy(update={"workloads": {n: w for n, w in case.plan.workloads.items() if n != name}})
    return None


@corruption(r"the fleet has no such workload")
def work_for_nobody(case):
    for site, pool, _ in case.places("gpu_pools"):
        path = ("sites", site.name, "pools", pool.name, "work_per_h")
        return case.told(path, lambda work: {**work, "nobody": (1,) * case.problem.grid.steps})
    return None


@corruption(r"backlog_work is missing")
def a_backlog_left_out(case):
    for name, _ in _workloads(case, ("batch",)):
        return case.told(("workloads", name, "backlog_work"), lambda _: None)
    return None


# --- recovery ---------------------------------------------------------------------------------------------------------


@corruption(r"the state forces a recovery of")
def a_recovery_kept_quiet(case):
    if not case.plan.recoveries:
        return None
    n = case.rng.randrange(len(case.plan.recoveries))
    return case.plan.model_copy(update={"recoveries": case.plan.recoveries[:n] + case.plan.recoveries[n + 1 :]})


@corruption(r"which the state does not force")
def a_recovery_made_up(case):
    from models.plan import Recovery

    site, t = case.rng.choice(case.problem.fleet.sites).name, case.rng.randrange(case.problem.grid.steps)
    extra = Recovery(site=site, step=t, rule="ramp", shortfall=7.5, unit="W", words="we were in a hurry")
    return case.plan.model_copy(update={"recoveries": (*case.plan.recoveries, extra)})


@corruption(r"which is no site")
def a_recovery_of_no_site(case):
    from models.plan import Recovery

    extra = Recovery(site="atlantis", step=0, rule="min_up", shortfall=1, unit="blocks", words="sunk")
    return case.plan.model_copy(update={"recoveries": (*case.plan.recoveries, extra)})


# --- reserves ---------------------------------------------------------------------------------------------------------


def _reselling(case, site, reserves):
    """The plan with other records of a site's reserves, and the money that follows from them."""
    sites = {**case.plan.sites, site: case.plan.sites[site].model_copy(update={"reserves": tuple(reserves)})}
    money = money_lines(case.compiled, place_sites(case.problem, case.compiled, sites))
    proof = case.plan.proof.model_copy(update={"objective_usd": sum(sum(line.usd) for line in money)})
    return case.plan.model_copy(update={"sites": sites, "money": money, "proof": proof})


def _programmes(case):
    found = [(site, reserve) for site in case.problem.fleet.sites for reserve in site.reserves]
    case.rng.shuffle(found)
    return found


def _awards(case):
    found = [(s, n, made) for s, plan in case.plan.sites.items() for n, made in enumerate(plan.reserves) if made.is_award]
    case.rng.shuffle(found)
    return found


def _offer(case, is_open):
    """A block of a reserve that is open or not, not awarded, and the record of an offer for it."""
    awarded = {(a.site, a.reserve, a.start) for a in case.problem.awards}
    for site, reserve in _programmes(case):
        for block in reserve.blocks(site.zone, case.problem.grid):
            free = (site.name, reserve.name, block[0]) not in awarded
            if free and reserve.is_open(block, case.problem.grid) == is_open:
                yield site, ReservePlan(reserve=reserve.name, start=block[0], end=block[1], kw=reserve.least_kw)


@corruption(r"after its gate closed|does not lie in the horizon as a whole")
def an_offer_for_a_block_that_is_not_open(case):
    for site, offer in _offer(case, is_open=False):
        return _reselling(case, site.name, (*case.plan.sites[site.name].reserves, offer))
    return None


@corruption(r"sells [\d.]+ MW of reserves")
def an_offer_that_no_miner_backs(case):
    for site, offer in _offer(case, is_open=True):
        too_much = offer.model_copy(update={"kw": min(1_000_000, site.nameplate_w // 500 + 1)})
        return _reselling(case, site.name, (*case.plan.sites[site.name].reserves, too_much))
    return None


@corruption(r"expected \d+ to \d+ kW")
def an_offer_below_the_least_size(case):
    for site, offer in _offer(case, is_open=True):
        return _reselling(case, site.name, (*case.plan.sites[site.name].reserves, offer.model_copy(update={"kw": offer.kw - 1})))
    return None


@corruption(r"stands twice in the plan")
def a_reserve_told_twice(case):
    for site, _, made in _awards(case):
        plan = case.plan.sites[site]
        return _reselling(case, site, (*plan.reserves, made))
    return None


@corruption(r"the award of reserve \S+ from \S+ is not in the plan")
def an_award_forgotten(case):
    for site, n, _ in _awards(case):
        reserves = case.plan.sites[site].reserves
        return _reselling(case, site, reserves[:n] + reserves[n + 1 :])
    return None


@corruption(r"kW are awarded, the plan says")
def an_award_told_smaller(case):
    for site, n, made in _awards(case):
        if made.kw > 1 and not made.unkept_w:
            reserves = list(case.plan.sites[site].reserves)
            reserves[n] = made.model_copy(update={"kw": made.kw - 1})
            return _reselling(case, site, reserves)
    return None


@corruption(r"sells [\d.]+ MW of reserves")
def an_award_that_is_said_to_be_kept(case):
    for site, n, made in _awards(case):
        for t, watts in enumerate(made.unkept_w):
            groups = case.problem.fleet.site_by_name[site].asic_groups
            if watts and not sum(case.on(site, group.name, t) for group in groups):  # nothing runs that could back it
                reserves = list(case.plan.sites[site].reserves)
                unkept_w = tuple(0 if h == t else w for h, w in enumerate(made.unkept_w))
                reserves[n] = made.model_copy(update={"unkept_w": unkept_w})
                return _reselling(case, site, reserves)
    return None


@corruption(r"has no block from")
def a_block_that_the_clock_does_not_have(case):
    for site, n, made in _awards(case):
        reserves = list(case.plan.sites[site].reserves)
        reserves[n] = made.model_copy(update={"start": made.start.replace(minute=17)})
        return _reselling(case, site, reserves)
    return None


@corruption(r"are not kept where nothing has to be|are not kept of")
def power_not_kept_that_was_never_sold(case):
    for site, n, made in _awards(case):
        reserves = list(case.plan.sites[site].reserves)
        too_much = (1_000 * made.kw + 1,) + (0,) * (case.problem.grid.steps - 1)
        spoilt = [r.model_copy(update={"unkept_w": too_much}) if k == n else r for k, r in enumerate(reserves)]
        sites = {**case.plan.sites, site: case.plan.sites[site].model_copy(update={"reserves": tuple(spoilt)})}
        return case.plan.model_copy(update={"sites": sites})
    return None
