"""The library of what-ifs: each is a folder with a `scenario.yaml` that says why, what changes, and what must come of it."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, Self

from annotated_types import Ge, Gt, Le, Len
from pydantic import model_validator

from models.base import Instant, Name, Record, Text, iso
from models.problem import Problem
from models.reading import parse, parse_yaml, refuse
from models.time_grid import LocalDays, TimeGrid, hourly
from scenarios.apply import apply_patches
from scenarios.compare import Comparison, Difference
from scenarios.feed import reference_problem
from scenarios.patch import parse_patches

FOLDER = Path(__file__).parent

Measure = Literal["profit_usd", "hashing_mwh", "serving_mwh", "base_mwh", "steps"]


class Base(Record):
    """The problem that is patched: the reference fleet from an instant on, or over whole local days."""

    problem: Literal["reference"] = "reference"
    start: Instant | None = None
    hours: Annotated[int, Ge(1), Le(168)] = 48
    local_days: LocalDays | None = None

    @model_validator(mode="after")
    def says_when(self) -> Self:
        """Refuse a base that says neither or both of start and local days."""
        if (self.start is None) == (self.local_days is None):
            raise ValueError("expected either start or local_days")
        return self

    @property
    def grid(self) -> TimeGrid:
        """Hourly steps over the base's time."""
        if (days := self.local_days) is not None:
            hours = int((days.end - days.start).total_seconds()) // 3600
            return TimeGrid(start=days.start, step_s=(3600,) * hours, local_days=days)
        assert self.start is not None  # says_when
        return hourly(self.start, self.hours)


class Expectation(Record):
    """What must come of a scenario, against its base, and why.

    `same` means within `within_percent` of the base; `equal` compares with `value`. `owner` is a site, a workload (profit
    only), or a region; the whole fleet if absent.
    """

    measure: Measure
    owner: Name | None = None
    outcome: Literal["higher", "lower", "same", "equal"]
    value: float | None = None
    within_percent: Annotated[float, Gt(0)] = 1.0
    reason: Text


class Scenario(Record):
    """A what-if: why it is worth asking, its base, its patches, and what must come of it."""

    name: Name
    title: Text
    why: Text
    base: Base
    patches: tuple[Text, ...] = ()
    expected: Annotated[tuple[Expectation, ...], Len(1, 100)]

    @model_validator(mode="after")
    def patches_can_be_read(self) -> Self:
        """Refuse patches that cannot be parsed."""
        parse_patches(self.patches)
        return self

    def base_problem(self) -> Problem:
        """Return the problem before the patches."""
        grid = self.base.grid
        return reference_problem(grid.start, grid=grid)

    def problem(self) -> Problem:
        """Return the problem after the patches."""
        return apply_patches(self.base_problem(), parse_patches(self.patches))

    def unmet(self, problem: Problem, comparison: Comparison) -> list[str]:
        """Return in words the expectations that a comparison of base and scenario disappoints.

        A profit that went the other way by less than both plans' gaps together disappoints nothing.
        """
        return [words for expectation in self.expected for words in _unmet(expectation, problem, comparison)]


@cache
def scenario_names() -> tuple[str, ...]:
    """Return the names of all scenarios of the library, in order."""
    return tuple(sorted(path.parent.name for path in FOLDER.glob("*/scenario.yaml")))


@cache
def load_scenario(name: str) -> Scenario:
    """Return a scenario of the library.

    Raises:
        BadInputError: there is none of that name, or its file is faulty.
    """
    if name not in scenario_names():
        refuse("unknown_scenario", f"expected one of {', '.join(scenario_names())}, got {name!r}")
    scenario = parse(Scenario, parse_yaml((FOLDER / name / "scenario.yaml").read_bytes()))
    if scenario.name != name:
        refuse("wrong_name", f"expected the name of its folder, {name!r}, got {scenario.name!r}", "/name")
    return scenario


def _unmet(expectation: Expectation, problem: Problem, comparison: Comparison) -> Iterator[str]:
    subject = f"{expectation.owner or 'fleet'} {expectation.measure}"
    if expectation.measure == "steps":
        found = _difference(float(problem.grid.steps), float(problem.grid.steps))
        subject = f"steps from {iso(problem.grid.start)}"
    else:
        found = _measured(expectation, problem, comparison)
    if expectation.outcome == "equal":
        met, wanted = found.after == expectation.value, f"{expectation.value}"
    elif expectation.outcome == "same":
        met = abs(found.difference) <= abs(found.before) * expectation.within_percent / 100
        wanted = f"within {expectation.within_percent} % of {found.before:.2f}"
    else:
        gain = found.difference if expectation.outcome == "higher" else -found.difference
        met = gain > -_unsure_usd(expectation, comparison)
        wanted = f"{expectation.outcome} than {found.before:.2f}"
    if not met:
        yield f"{subject}: expected {wanted}, got {found.after:.2f}; {expectation.reason}"


def _unsure_usd(expectation: Expectation, comparison: Comparison) -> float:
    """What the plans' own gaps may explain of a difference in profit: within it nothing is disappointed."""
    return (comparison.plus_minus_usd or 0.0) if expectation.measure == "profit_usd" else 0.0


def _measured(expectation: Expectation, problem: Problem, comparison: Comparison) -> Difference:
    measure, owner = expectation.measure, expectation.owner
    if measure == "profit_usd":
        if owner is None:
            return comparison.profit_usd
        if owner in comparison.workload_profit_usd:
            return comparison.workload_profit_usd[owner]
        return _sum(comparison.sites[name].profit_usd for name in _sites(problem, owner))
    if owner is None:
        energy: Difference = getattr(comparison.energy, measure)
        return energy
    return _sum(getattr(comparison.sites[name].energy, measure) for name in _sites(problem, owner))


def _sites(problem: Problem, owner: str) -> list[str]:
    names = [site.name for site in problem.fleet.sites if owner in (site.name, site.region)]
    if not names:
        refuse("unknown_owner", f"expected a site, a region or a workload, got {owner!r}")
    return names


def _sum(parts: Iterator[Difference]) -> Difference:
    listed = list(parts)
    return _difference(sum(part.before for part in listed), sum(part.after for part in listed))


def _difference(before: float, after: float) -> Difference:
    return Difference(before=before, after=after, difference=after - before)
