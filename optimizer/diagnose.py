"""Diagnosis of rules that contradict each other: which, where, by how much, and the least that would make a plan possible.

The rules that a person may give way on get slack at a price, and the cheapest total is looked for (the elastic model).
Its slack is just what is missing: with it there is a plan, and with any of it taken back the total would be cheaper.
Physics and grid limits get no slack. Only where nothing helps without them are the limits found that stand in the way;
they are shown as blocking, never offered.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from scipy import sparse

from models.base import Count, Name, NonNegative, Record, Text
from models.problem import Problem
from optimizer.compiled import Compiled, Family, Floats
from optimizer.formulation import build
from optimizer.sets import Release
from optimizer.worker import Stopwatch, solve

NOTHING = 1e-5
"""Slack below this is the solver's tolerance."""
GAP = 1e-9
DARK_KW = 0.0

Verdict = Literal["conflict", "feasible", "unknown"]


@dataclass(frozen=True)
class Rule:
    """A family of rows that may get slack: its name and unit, and what a unit of slack counts against a kW."""

    name: str
    unit: str
    weight: float


NEGOTIABLE: Mapping[str, Rule] = {
    "ramp": Rule("ramp", "kW", 1.0),
    "min_up": Rule("min_up", "blocks", 1000.0),
    "min_down": Rule("min_down", "blocks", 1000.0),
    "node_min_up": Rule("min_up", "nodes", 1000.0),
}
LIMIT = Rule("limit", "kW", 1.0)
GRID: Mapping[str, Rule] = {"limit": LIMIT, "feeder_limit": Rule("feeder_limit", "kW", 1.0)}
"""Rows that are never offered; a feeder's counts what its machines draw beyond sleep."""


class Conflict(Record):
    """One rule that cannot be kept in a step: what it is, what it would have to be, and the difference, in `unit`.

    thing: the site, or the group or pool as `site/name`.
    """

    site: Name
    thing: Text
    step: Count
    rule: Name
    present: float
    needed: float
    short_by: NonNegative
    unit: Name
    words: Text


class Diagnosis(Record):
    """Why there is no plan.

    offered: the least that must give way; with all of it, and nothing else, there is a plan.
    blocking: grid limits that stand in the way where nothing else helps; they are not a planner's to change.
    """

    offered: tuple[Conflict, ...] = ()
    blocking: tuple[Conflict, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything was found."""
        return bool(self.offered or self.blocking)

    @property
    def words(self) -> str:
        """The whole diagnosis in one line."""
        return "; ".join(c.words for c in (*self.offered, *self.blocking))


@dataclass(frozen=True)
class Slack:
    """Where slack was given: the family and the place in it of each elastic row, and its sign (+1 lets a row go lower)."""

    family: str
    place: int
    row: int
    sign: int


@dataclass(frozen=True, eq=False)
class Finding:
    """What became of a claim that there is no plan.

    conflict: confirmed, see the diagnosis. feasible: wrong, `x` is a solution. unknown: neither could be shown in the time.
    """

    verdict: Verdict
    diagnosis: Diagnosis = field(default_factory=Diagnosis)
    x: Floats | None = None


def diagnose(compiled: Compiled, *, deadline_s: float, memory_bytes: int, **how: Any) -> Finding:
    """Confirm that a model has no solution, and say why; `how` goes to `worker.solve`."""
    columns = len(compiled.cost)
    for limits_too in (False, True):
        soft, slacks = elastic(compiled, limits_too=limits_too)
        found = solve(soft, gap=GAP, deadline_s=deadline_s / 2, memory_bytes=memory_bytes, **how)
        if found.x is not None:
            offered, blocking = _conflicts(compiled, slacks, found.x[columns:])
            if offered or blocking:
                return Finding("conflict", Diagnosis(offered=offered, blocking=blocking))
            return Finding("feasible", x=found.x[:columns])
        if found.status != "infeasible":
            break
    return Finding("unknown")


@dataclass(frozen=True, eq=False)
class SiteCheck:
    """What a look at single sites came to: what contradicts itself there, and for the others columns that keep all rules."""

    diagnosis: Diagnosis
    sound: tuple[tuple[Compiled, Floats], ...]


def check_sites(problem: Problem, release: Release, sites: Sequence[str], *, deadline_s: float, **how: Any) -> SiteCheck:
    """Look at some sites, each alone, for contradictions; those that time does not suffice for are left out.

    Work can always wait or stay unserved, so that sites never make each other impossible.
    """
    watch = Stopwatch()
    offered: list[Conflict] = []
    blocking: list[Conflict] = []
    sound: list[tuple[Compiled, Floats]] = []
    for name in sites:
        if (left_s := deadline_s - watch.seconds) <= 0:
            break
        alone = build(problem, "sites", sites=[name], release=release)
        finding = diagnose(alone, deadline_s=left_s, **how)
        offered += finding.diagnosis.offered
        blocking += finding.diagnosis.blocking
        if finding.x is not None:
            sound.append((alone, finding.x))
    return SiteCheck(Diagnosis(offered=tuple(offered), blocking=tuple(blocking)), tuple(sound))


def elastic(compiled: Compiled, *, limits_too: bool) -> tuple[Compiled, list[Slack]]:
    """Return the model with slack on every negotiable row, and on grid limits if asked; its objective is the least slack."""
    hard = _limits_as_rows(compiled) if limits_too else compiled
    rules = {**NEGOTIABLE, **GRID} if limits_too else NEGOTIABLE
    slacks: list[Slack] = []
    weights: list[float] = []
    for family, rule in rules.items():
        for place, row in enumerate(hard.rows.get(family, np.zeros(0, dtype=np.int64)).ravel().tolist()):
            signs = [s for s, bound in ((1, hard.row_lower[row]), (-1, hard.row_upper[row])) if np.isfinite(bound)]
            slacks += [Slack(family, place, row, sign) for sign in signs]
            weights += [rule.weight] * len(signs)
    count = len(slacks)
    cells = ([s.sign for s in slacks], ([s.row for s in slacks], range(count)))
    matrix = sparse.hstack([hard.matrix, sparse.csr_matrix(cells, shape=(hard.matrix.shape[0], count))], format="csr")
    matrix.sort_indices()
    columns = len(compiled.cost)
    soft = replace(
        hard,
        matrix=matrix,
        cost=np.concatenate((np.zeros(columns), -np.array(weights, dtype=np.float64))),
        offset=0.0,
        col_lower=np.concatenate((hard.col_lower, np.zeros(count))),
        col_upper=np.concatenate((hard.col_upper, np.full(count, np.inf))),
        integer=np.concatenate((hard.integer, np.zeros(count, dtype=np.bool_))),
        columns={**hard.columns, "slack": np.arange(columns, columns + count)},
        column_families={**hard.column_families, "slack": Family(("SLACKS",), (tuple(map(str, range(count))),))},
        money={},
    )
    return soft, slacks


def _limits_as_rows(compiled: Compiled) -> Compiled:
    """Turn the upper bounds of the draws into rows `limit`, except where a site is dark."""
    draws = compiled.columns["draw"]
    flat = draws.ravel()
    rows = np.arange(compiled.matrix.shape[0], compiled.matrix.shape[0] + flat.size)
    more = sparse.csr_matrix((np.ones(flat.size), (np.arange(flat.size), flat)), shape=(flat.size, len(compiled.cost)))
    col_upper = compiled.col_upper.copy()
    col_upper[flat[col_upper[flat] > DARK_KW]] = np.inf
    return replace(
        compiled,
        matrix=sparse.vstack([compiled.matrix, more], format="csr"),
        col_upper=col_upper,
        row_lower=np.concatenate((compiled.row_lower, np.full(flat.size, -np.inf))),
        row_upper=np.concatenate((compiled.row_upper, compiled.col_upper[flat])),
        rows={**compiled.rows, "limit": rows.reshape(draws.shape)},
        row_families={**compiled.row_families, "limit": compiled.column_families["draw"]},
    )


def _conflicts(compiled: Compiled, slacks: list[Slack], given: Floats) -> tuple[tuple[Conflict, ...], tuple[Conflict, ...]]:
    """Return what had to give way: rules on offer, and limits that block."""
    offered: list[Conflict] = []
    blocking: list[Conflict] = []
    for slack, short_by in zip(slacks, given.tolist(), strict=True):
        if short_by <= NOTHING:
            continue
        if slack.family == "limit":
            draws = compiled.column_families["draw"]
            present = float(compiled.col_upper[compiled.columns["draw"].ravel()[slack.place]])
            blocking.append(_conflict(compiled, draws, LIMIT, slack.place, present, present + short_by))
        else:
            bound = float((compiled.row_lower if slack.sign > 0 else compiled.row_upper)[slack.row])
            rule = NEGOTIABLE.get(slack.family) or GRID[slack.family]
            needed = bound - slack.sign * short_by
            found = _conflict(compiled, compiled.row_families[slack.family], rule, slack.place, bound, needed)
            (offered if slack.family in NEGOTIABLE else blocking).append(found)
    return tuple(offered), tuple(blocking)


def _conflict(compiled: Compiled, family: Family, rule: Rule, place: int, present: float, needed: float) -> Conflict:
    parts = family.label("", place)[1:-1].replace(" ", ",").split(",")
    thing, moment = parts[0], parts[-1]
    step = compiled.column_families["draw"].labels[-1].index(moment)
    short_by = abs(needed - present)
    if rule.name == "ramp":  # the row of the first step holds the draw before it
        row = int(compiled.rows["ramp"].ravel()[place])
        present = float(compiled.row_upper[row] - compiled.row_lower[row]) / 2
        needed = present + short_by
    words = (
        f"{thing} step {step} ({moment}): {rule.name} is {present:.6g} {rule.unit}, needed {needed:.6g}, short by {short_by:.6g}"
    )
    return Conflict(
        site=thing.split("/")[0], thing=thing, step=step, rule=rule.name, present=present, needed=needed,
        short_by=short_by, unit=rule.unit, words=words,
    )  # fmt: skip
