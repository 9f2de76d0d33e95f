"""What the metamorphic tests share: worlds by number, their best plans, and other worlds made out of them.

A relation is a function of (bench, problem, rng) whose docstring is the reason why it holds. It asserts, or returns False
where the world has nothing for it to change; `hold` looks for as many worlds as it is told in which it has.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from random import Random
from typing import Any

import numpy as np
import pytest
from solver_child import SolverChild
from worlds import moved, world

from models.problem import Problem
from optimizer.compiled import Compiled, Floats
from optimizer.formulation import build
from optimizer.recovery import recover
from optimizer.sets import Release

RELATIVE, LEAST_USD = 1e-6, 1e-5
"""Profits agree within a millionth of the money that changes hands, or a thousandth of a cent."""
OFTEN, SELDOM, IN_LONG = 100, 4, 1_000
"""Worlds a relation: in every run (those named below, the others), and once per issue. A minute and a half for all in a run."""
HELD_OFTEN = frozenset(
    """
    convex_in_all_money never_higher_in_the_power_price order_of_lists quarters a_cut_limit_is_kept
    no_outages no_pins higher_limits higher_feeder_limits looser_ramps shorter_runs shorter_rests cheaper_carbon
    later_tiers dearer_work block_price_is_sunk names decisions_fixed
    """.split()
)
"""The five that say most about the model (in the first line), and of the others those that cost least time."""
MOST_TRIES = 60

MONEY_WITHOUT_USD = ("price_per_mwh",)
NOT_MONEY = ("usd_per_unit",)


@dataclass(frozen=True)
class Best:
    """The best plan of a world: profit and slack in USD, and the model that it solves."""

    usd: float
    slack: float
    compiled: Compiled
    x: Floats

    def column(self, name: str) -> Floats:
        """Return the values of one name, shaped by its sets."""
        return np.asarray(self.x[self.compiled.columns[name]])

    def money(self, owners: str) -> Floats:
        """Return all money by owner: by site or by workload."""
        usd = np.zeros(len(self.compiled.axes[owners]))
        for term in self.compiled.money.values():
            if term.owners == owners:
                np.add.at(usd, term.owner, term.usd(self.x))
        return usd


class Bench:
    """Solves worlds at gap 0, each numbered one only once."""

    def __init__(self, child: SolverChild) -> None:
        self._child = child
        self._known: dict[int, Best] = {}

    def best(self, problem: Problem, release: Release | None = None) -> Best:
        """Return the best plan of a world; what gives way is what its own state breaks, or what is said."""
        number = _NUMBERS.get(id(problem)) if release is None else None
        if number is not None and number in self._known:
            return self._known[number]
        found = self.solved(build(problem, release=release or recover(problem).release))
        if number is not None:
            self._known[number] = found
        return found

    def solved(self, compiled: Compiled) -> Best:
        """Return the best plan of a compiled model."""
        answer = self._child.solve(compiled)
        assert answer.x is not None, answer.status
        gross = sum(float(np.abs(term.usd(answer.x)).sum()) for term in compiled.money.values())
        return Best(compiled.objective(answer.x), max(LEAST_USD, RELATIVE * gross), compiled, answer.x)

    def never_lower(self, problem: Problem, richer: Problem, loss_usd: float = 0.0) -> bool:
        """Assert that a world with more room earns no less (than so much less), the same giving way in both."""
        if richer == problem:
            return False
        before, after = self.best(problem), self.best(richer, recover(problem).release)
        told = f"{before.usd} -> {after.usd}, may lose {loss_usd}"
        assert after.usd >= before.usd - loss_usd - before.slack - after.slack, told
        return True

    def same(self, problem: Problem, other: Problem, *, plus_usd: float = 0.0, times: float = 1.0) -> bool:
        """Assert that another world earns the same, times or plus something."""
        if other == problem:
            return False
        before, after = self.best(problem), self.best(other)
        told = f"{before.usd} x {times} + {plus_usd} -> {after.usd}"
        assert abs(after.usd - times * before.usd - plus_usd) <= times * before.slack + after.slack, told
        return True

    def with_whole_fixed(self, best: Best) -> Best:
        """Solve a model again with all whole decisions held at those of its best plan."""
        model, whole = best.compiled, np.round(best.x)
        low, high = (np.where(model.integer, whole, bound) for bound in (model.col_lower, model.col_upper))
        return self.solved(replace(model, col_lower=low, col_upper=high))


Relation = Callable[[Bench, Problem, Random], bool | None]
_NUMBERS: dict[int, int] = {}


@cache
def numbered(number: int) -> Problem:
    """Return the world of a number; every third begins two hours before a month ends."""
    rng = Random(f"metamorphic {number}")
    problem = world(rng, sites=rng.randint(1, 3), steps=rng.randint(1, 4))
    bare = problem.fleet.model_copy(update={"step_guard": None})  # its shares follow the fleet, which relations change
    problem = problem.model_copy(update={"fleet": bare})
    problem = moved(problem) if number % 3 == 2 else problem
    _NUMBERS[id(problem)] = number
    return problem


def in_test(relation: Relation) -> int:
    """Return on how many worlds every run holds a relation."""
    return OFTEN if relation.__name__ in HELD_OFTEN else SELDOM


def hold(relation: Relation, bench: Bench, instances: int) -> None:
    """Assert a relation on so many worlds in which it has something to change."""
    found = 0
    for number in range(MOST_TRIES * instances):
        try:
            found += relation(bench, numbered(number), Random(f"{relation.__name__} {number}")) is not False
        except AssertionError as error:
            raise AssertionError(f"{relation.__name__} fails in world {number}: {error}\n{relation.__doc__}") from error
        if found == instances:
            return
    raise AssertionError(f"{relation.__name__}: only {found} of {instances} worlds have something to change")


def test_relation_holds(relation: Relation, bench: Bench) -> None:
    """One relation of the RELATIONS of the module that imports this test (`metamorphic/conftest.py`)."""
    hold(relation, bench, in_test(relation))


@pytest.mark.long
@pytest.mark.timeout(3_600)
def test_relation_holds_a_thousand_times(relation: Relation, bench: Bench) -> None:
    """The same on many more worlds."""
    hold(relation, bench, IN_LONG)


# --- other worlds -----------------------------------------------------------------------------------------------------

Change = Callable[[Any], Mapping[str, Any]]


def checked(problem: Problem, **update: Any) -> Problem:
    """Return a copy with some fields replaced, validated as any input."""
    return Problem.model_validate(problem.model_copy(update=update).model_dump())


def with_sites(problem: Problem, change: Change) -> Problem:
    """Return the world with every site changed."""
    sites = tuple(site.model_copy(update=change(site)) for site in problem.fleet.sites)
    return checked(problem, fleet=problem.fleet.model_copy(update={"sites": sites}))


def with_groups(problem: Problem, change: Change) -> Problem:
    """Return the world with every ASIC group changed."""
    return with_sites(problem, lambda site: {"asic_groups": tuple(g.model_copy(update=change(g)) for g in site.asic_groups)})


def with_pools(problem: Problem, change: Change) -> Problem:
    """Return the world with every GPU pool changed."""
    return with_sites(problem, lambda site: {"gpu_pools": tuple(p.model_copy(update=change(p)) for p in site.gpu_pools)})


def with_workloads(problem: Problem, change: Change) -> Problem:
    """Return the world with every workload changed."""
    workloads = tuple(w.model_copy(update=change(w)) for w in problem.fleet.workloads)
    return checked(problem, fleet=problem.fleet.model_copy(update={"workloads": workloads}))


def scaled(**factors: float) -> Change:
    """Return the change that multiplies numbers of a record, those that it has."""

    def change(record: Any) -> dict[str, Any]:
        return {name: getattr(record, name) * k for name, k in factors.items() if getattr(record, name, None) is not None}

    return change


def with_contract(problem: Problem, name: str, change: Change) -> Problem:
    """Return the world with one kind of contract changed wherever a site has it."""

    def of_site(site: Any) -> dict[str, Any]:
        contract = getattr(site, name)
        if isinstance(contract, tuple):
            return {name: tuple(part.model_copy(update=change(part)) for part in contract)}
        return {name: contract and contract.model_copy(update=change(contract))}

    return with_sites(problem, of_site)


def with_money(problem: Problem, change: Callable[[float], float]) -> Problem:
    """Return the world with every number changed that is money, or money per something."""

    def each(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: each(member) for key, member in value.items()}
        if isinstance(value, tuple | list):
            return tuple(each(member) for member in value)
        return value if value is None or isinstance(value, bool) else change(float(value))

    def walk(key: str, value: Any) -> Any:
        if ("usd" in key or key in MONEY_WITHOUT_USD) and key not in NOT_MONEY:
            return each(value)
        if isinstance(value, dict):
            return {name: walk(name, member) for name, member in value.items()}
        return tuple(walk("", member) for member in value) if isinstance(value, tuple | list) else value

    return Problem.model_validate(walk("", problem.model_dump()))


def renamed(problem: Problem, new: Callable[[str], str]) -> Problem:
    """Return the world with new names of sites, regions, machines, feeders, workloads, language models, orders and indexes."""
    fleet, names = problem.fleet, {*problem.prices_usd_per_mwh, *problem.ambient_c}
    for site in fleet.sites:
        names |= {site.name, site.region, *(m.name for m in (*site.asic_groups, *site.gpu_pools, *site.feeders))}
        names |= {mode.name for group in site.asic_groups for mode in group.modes}
        names |= {name for pool in site.gpu_pools for name in (pool.gpu_type, *pool.throughput_tokens_per_s)}
    for workload in fleet.workloads:
        names |= {workload.name, *workload.routing_usd_per_mwork, getattr(workload, "model", workload.name)}
        names |= {getattr(workload, "gpu_type", workload.name)}
    names |= {entry.name for entry in (*problem.orders, *problem.outages, *problem.pins)}

    def walk(key: str, value: Any) -> Any:
        if isinstance(value, dict):
            return {(new(k) if k in names else k): walk(k, v) for k, v in value.items()}
        if isinstance(value, tuple | list):
            return tuple(walk(key, member) for member in value)
        return new(value) if isinstance(value, str) and value in names and key != "kind" else value

    return Problem.model_validate(walk("", problem.model_dump()))


def without_levels(problem: Problem) -> Problem:
    """Return the world in which no service level is promised."""
    promised = problem.model_copy(update={"state": problem.state.model_copy(update={"service": {}})})
    workloads = tuple(w.model_copy(update={"service_level": None}) if w.kind != "batch" else w for w in problem.fleet.workloads)
    return checked(promised, fleet=problem.fleet.model_copy(update={"workloads": workloads}))


def without_end_values(problem: Problem) -> Problem:
    """Return the world in which nothing is worth anything after its end: that worth follows the costs of starts and of power."""
    problem = with_workloads(problem, lambda w: {"end_value_share": 0.0} if w.kind == "batch" else {})
    return with_pools(with_groups(problem, lambda g: {"end_value_share": 0.0}), lambda p: {"end_value_share": 0.0})


def without_work(problem: Problem) -> Problem:
    """Return the world of which nobody asks any inference."""
    return checked(
        problem, fleet=problem.fleet.model_copy(update={"workloads": ()}), demand_work_per_h={},
        state=problem.state.model_copy(update={"backlog": {}, "service": {}}),
    )  # fmt: skip


def only_sites(problem: Problem, names: Iterable[str]) -> Problem:
    """Return the world with only these sites, and the workloads that are served in their regions alone."""
    kept = [site for site in problem.fleet.sites if site.name in set(names)]
    regions = {site.region for site in kept}
    workloads = [w for w in problem.fleet.workloads if set(w.routing_usd_per_mwork) <= regions]
    sites, work = {site.name for site in kept}, {w.name for w in workloads}
    indexes = {name for site in kept for name in site.price_names}
    raw = problem.model_dump()
    raw["fleet"]["sites"] = tuple(s for s in raw["fleet"]["sites"] if s["name"] in sites)
    raw["fleet"]["workloads"] = tuple(w for w in raw["fleet"]["workloads"] if w["name"] in work)
    raw["prices_usd_per_mwh"] = {n: v for n, v in raw["prices_usd_per_mwh"].items() if n in indexes}
    raw["demand_work_per_h"] = {n: v for n, v in raw["demand_work_per_h"].items() if n in work}
    for family in ("backlog", "service"):
        raw["state"][family] = {n: v for n, v in raw["state"][family].items() if n in work}
    for family in ("limit_w", "feeder_limit_w", "outlook"):
        raw[family] = {n: v for n, v in raw[family].items() if n in sites}
    raw["state"]["sites"] = {n: v for n, v in raw["state"]["sites"].items() if n in sites}
    for family in ("orders", "outages", "pins", "awards"):
        raw[family] = tuple(entry for entry in raw[family] if entry["site"] in sites)
    return Problem.model_validate(raw)


def joined(one: Problem, other: Problem) -> Problem:
    """Return the world of both fleets, which share the time grid and the hashprice, and no names but those of series."""
    a, b = one.model_dump(), other.model_dump()
    a["fleet"]["sites"] += b["fleet"]["sites"]
    a["fleet"]["workloads"] += b["fleet"]["workloads"]
    for users, table in b["fleet"]["latency_ms"].items():
        a["fleet"]["latency_ms"][users] = a["fleet"]["latency_ms"].get(users, {}) | table
    for family in (
        "prices_usd_per_mwh",
        "usd_per_unit",
        "carbon_kg_per_mwh",
        "ambient_c",
        "limit_w",
        "feeder_limit_w",
        "outlook",
    ):
        a[family] |= b[family]
    a["demand_work_per_h"] |= b["demand_work_per_h"]
    for family in ("orders", "outages", "pins", "awards"):
        a[family] += b[family]
    for family in ("sites", "backlog", "service"):
        a["state"][family] |= b["state"][family]
    return Problem.model_validate(a)
