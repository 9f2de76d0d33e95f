"""Diagnosis of rules that contradict each other: which, where, by how much, and the least that would make a plan possible.

The rules that a person may give way on get slack at a price, and the cheapest total is looked for (`optimizer.elastic`):
first what a person pinned, alone; then what spares machines too. The slack is just what is missing: with it there is a
plan, and with any of it taken back the total would be cheaper. What stands against them is found the other way round:
what is offered is kept, and all the rest may give way. Grid and physics are never offered; where nothing helps without
them, they are all there is to show.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Literal

from models.base import Count, Name, NonNegative, PositiveCount, Record, Text, iso
from models.problem import Problem
from optimizer.compiled import Floats
from optimizer.elastic import FIXED, RULES, WEAR, WISHES, Place, Stiff, amounts, stiff
from optimizer.outcome import Outcome
from optimizer.recovery import ramp_mw
from optimizer.sets import Release, world
from optimizer.worker import Stopwatch
from optimizer.worker import solve as solve_compiled

NOTHING = 1e-5
"""Slack below this is the solver's tolerance."""
GAP = 1e-9
WITHOUT_PRESOLVE = {"presolve": "off"}
"""Presolve has called models infeasible that were not; it is believed where the search alone says so too."""
KW_PER_MILLIWATT = 1e-6

Verdict = Literal["conflict", "feasible", "unknown"]
Solve = Callable[..., Outcome]


class Conflict(Record):
    """One rule that cannot be kept: what it is, what it would have to be, and the difference, in `unit`.

    thing: the site, or the group, pool or feeder as `site/name`. step: the first; steps: how many in a row, the same in all.
    """

    site: Name
    thing: Text
    step: Count
    steps: PositiveCount = 1
    rule: Name
    present: float
    needed: float
    short_by: NonNegative
    unit: Name
    words: Text


class Diagnosis(Record):
    """Why there is no plan.

    offered: the least that must give way; with all of it, and nothing else, there is a plan.
    blocking: what stands against them, the least of it; grid and physics, which are not a planner's to change, among them.
    """

    offered: tuple[Conflict, ...] = ()
    blocking: tuple[Conflict, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything was found."""
        return bool(self.offered or self.blocking)

    @property
    def words(self) -> str:
        """The whole diagnosis in one line."""
        found = "; ".join(c.words for c in self.offered or self.blocking)
        against = "; ".join(c.words for c in self.blocking) if self.offered else ""
        return f"{found} (against: {against})" if against else found


@dataclass(frozen=True, eq=False)
class Finding:
    """What became of a claim that there is no plan.

    conflict: confirmed, see the diagnosis, and by how much each place gives way. feasible: wrong, `x` is a solution.
    unknown: neither could be shown in the time.
    """

    verdict: Verdict
    diagnosis: Diagnosis = field(default_factory=Diagnosis)
    gives: tuple[tuple[Place, float], ...] = ()
    x: Floats | None = None


def diagnose(model: Stiff, *, deadline_s: float, solve: Solve = solve_compiled, **how: Any) -> Finding:
    """Confirm that a stiff model has no solution, and say why.

    Arguments:
        model: of the sites in question, see `optimizer.elastic.stiff`.
        deadline_s: wall time. [s]
        solve: as `optimizer.worker.solve`.
        how: what else goes to it.
    """
    watch, columns = Stopwatch(), len(model.compiled.cost)

    def least(keys: Collection[str]) -> tuple[tuple[tuple[Place, float], ...], Floats] | None:
        """Return what must give way among some rules, and the columns that result; None where that does not help."""
        soft, places = model.elastic(keys)
        for options in ({}, WITHOUT_PRESOLVE):
            found = solve(soft, gap=GAP, deadline_s=max(0.05, (deadline_s - watch.seconds) / 2), options=options, **how)
            if found.x is not None:
                return tuple(amounts(places, found.x[columns:], NOTHING)), found.x[:columns]
            raise_if_unknown(found)
        return None

    try:
        pinned = any(place.key in WISHES for place in model.places)
        for keys in ([WISHES] if pinned else []) + [{**WISHES, **WEAR}, RULES]:
            if (known := least(keys)) is None:
                continue
            gives, x = known
            if not gives:
                return Finding("feasible", x=x)
            offered = [(place, by) for place, by in gives if place.key not in FIXED]
            blocking = _told(model, [(place, by) for place, by in gives if place.key in FIXED], x)
            if not blocking:
                blocking = _against(model, {place.key for place, _ in offered}, least)
            return Finding("conflict", Diagnosis(offered=_told(model, offered, x), blocking=blocking), gives)
    except UnknownError:
        pass
    return Finding("unknown")


class UnknownError(Exception):
    """The solver came to no end that could be believed."""


def raise_if_unknown(outcome: Outcome) -> None:
    """Raise unless the solver says that there is no solution.

    Raises:
        UnknownError: time ran out, or it failed.
    """
    if outcome.status != "infeasible":
        raise UnknownError(outcome.why)


def _against(model: Stiff, offered: Collection[str], least: Callable[[Collection[str]], Any]) -> tuple[Conflict, ...]:
    """Return what stands against the rules on offer: the least that would have to give way for them to be kept."""
    try:
        known = least([key for key in RULES if RULES[key].name not in {RULES[o].name for o in offered}])
    except UnknownError:
        return ()
    return _told(model, *known) if known else ()


@dataclass(frozen=True, eq=False)
class SiteCheck:
    """What a look at single sites came to: what contradicts itself there, and for the others columns that keep all rules."""

    diagnosis: Diagnosis
    sound: tuple[tuple[Stiff, Floats], ...]


def check_sites(problem: Problem, release: Release, sites: Sequence[str], *, deadline_s: float, **how: Any) -> SiteCheck:
    """Look at some sites, each alone, for contradictions; those that time does not suffice for are left out.

    Work can always wait or stay unserved, so that sites never make each other impossible.
    """
    watch = Stopwatch()
    offered: list[Conflict] = []
    blocking: list[Conflict] = []
    sound: list[tuple[Stiff, Floats]] = []
    for name in sites:
        if (left_s := deadline_s - watch.seconds) <= 0:
            break
        alone = stiff(problem, release, sites=[name])
        finding = diagnose(alone, deadline_s=left_s, **how)
        offered += finding.diagnosis.offered
        blocking += finding.diagnosis.blocking
        if finding.x is not None:
            sound.append((alone, finding.x))
    return SiteCheck(Diagnosis(offered=tuple(offered), blocking=tuple(blocking)), tuple(sound))


def _told(model: Stiff, gives: Sequence[tuple[Place, float]], x: Floats) -> tuple[Conflict, ...]:
    """Put what gave way into words, one for each run of steps in which it is the same."""
    found = [_conflict(model, place, by, x) for place, by in gives]

    def run(numbered: tuple[int, Conflict]) -> tuple[Any, ...]:
        n, c = numbered
        return c.thing, c.rule, c.unit, c.present, c.needed, c.step - n

    runs = [[c for _, c in part] for _, part in groupby(enumerate(found), run)]
    return tuple(_in_words(model, part[0].model_copy(update={"steps": len(part)})) for part in runs)


def _conflict(model: Stiff, place: Place, by: float, x: Floats) -> Conflict:
    rule, compiled = RULES[place.key], model.compiled
    present: float
    needed: float
    if place.key in ("min_up", "min_down", "node_min_up"):
        there, on = _there_and_on(model, place, x)
        needed = there - on if place.key == "min_down" else on
        present = needed + by
    elif place.key == "ramp":
        site = model.problem.fleet.site_by_name[place.site]
        here = world(model.problem, [place.site])
        allowed = ramp_mw(here, site)
        present = 0.0 if allowed is None else float(allowed[place.step]) * KW_PER_MILLIWATT
        needed = present + by
    elif place.key == "feeder_limit":  # its row leaves out what sleeps below it
        here = world(model.problem, [place.site])
        branch = next(b for b in here.branches if b.label == place.thing)
        present = float(branch.limit_mw[place.step]) * KW_PER_MILLIWATT
        needed = present + by
    else:
        bound = compiled.row_lower if place.sign > 0 else compiled.row_upper
        present = float(bound[place.row])
        needed = present - place.sign * by
    return Conflict(
        site=place.site, thing=place.thing, step=place.step, rule=rule.name, present=present, needed=needed,
        short_by=by, unit=rule.unit, words="-",
    )  # fmt: skip


def _there_and_on(model: Stiff, place: Place, x: Floats) -> tuple[int, int]:
    """Return how many blocks or nodes there are of a thing, and how many run in the step."""
    site = model.problem.fleet.site_by_name[place.site]
    name = place.thing.split("/", 1)[1]
    family = "nodes_on" if place.key == "node_min_up" else "on"
    there = {g.name: g.blocks for g in site.asic_groups} | {p.name: p.nodes for p in site.gpu_pools}
    columns = model.compiled.columns[family][model.compiled.column_families[family].labels[0].index(place.thing)]
    return there[name], round(float(x[columns[place.step]]))


SAYS = {
    "pin": "is pinned to {present:g} {unit}, {needed:g} would be possible",
    "ramp": "the ramp lets the draw change by {present:.6f} kW, needed {needed:.6f}",
    "min_up": "{present:g} {unit} must run on (min_up_s), {needed:g} can",
    "min_down": "{present:g} {unit} must rest on (min_down_s), {needed:g} can",
    "daily_starts": "{present:g} starts are left of the day, needed {needed:g}",
    "limit": "the limit is {present:.6f} kW, needed {needed:.6f}",
    "feeder_limit": "the feeder carries {present:.6f} kW, needed {needed:.6f}",
    "in_service": "{present:g} {unit} are in service, needed {needed:g}",
    "heat": "too hot for the mode: {present:g} blocks may run in it, needed {needed:g}",
    "dark": "dark, by the limit of the site or of a feeder: {present:g} {unit} may run, needed {needed:g}",
}


def _in_words(model: Stiff, c: Conflict) -> Conflict:
    grid = model.problem.grid
    until = f" to {c.step + c.steps - 1}" if c.steps > 1 else ""
    said = SAYS[c.rule].format(present=c.present, needed=c.needed, unit=c.unit)
    words = f"{c.thing} step {c.step}{until} ({iso(grid.starts[c.step])}): {said}, short by {c.short_by:.6g} {c.unit}"
    return c.model_copy(update={"words": words})
