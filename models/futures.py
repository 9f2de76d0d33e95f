"""Futures: courses that prices, hashprice, demand and temperature may take, each with its probability, over one problem."""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from math import fsum
from typing import Annotated, Any, Literal, Self

from annotated_types import Ge, Gt, Le, Len
from pydantic import model_validator

from models.base import AmbientSeries, HashpriceSeries, Name, PriceSeries, Record, Seconds, Share, Text, WorkSeries, repeated
from models.digest import digest
from models.problem import Problem
from models.reading import BadInputError, Refusal

CERTAIN_PPM = 1_000_000
FIRST_HOUR_S = 3_600
MOST_FUTURES = 50
UNCERTAIN = ("prices_usd_per_mwh", "ambient_c", "demand_work_per_h")
"""Families of series of a problem that a future may replace, by name; the hashprice is one series alone."""


class Future(Record):
    """One course: its probability in parts per million, and the series that are other than in the base problem."""

    name: Name
    probability_ppm: Annotated[int, Gt(0), Le(CERTAIN_PPM)]
    hashprice_usd_per_ph_day: HashpriceSeries | None = None
    prices_usd_per_mwh: dict[Name, PriceSeries] = {}
    ambient_c: dict[Name, AmbientSeries] = {}
    demand_work_per_h: dict[Name, WorkSeries] = {}


class Futures(Record):
    """Scenarios with probabilities that add up to one, and until when decisions are taken once, whatever comes.

    Steps that begin before `recourse_after_s` share how many blocks and nodes are on; those that begin before `set_points_s`
    (the first hour at least) share all set-points. What comes later answers to the scenario that has come true.
    """

    schema_version: Literal[1] = 1
    name: Name
    recourse_after_s: Seconds
    set_points_s: Annotated[int, Ge(FIRST_HOUR_S), Le(31 * 86_400)] = FIRST_HOUR_S
    scenarios: Annotated[tuple[Future, ...], Len(1, MOST_FUTURES)]
    source: Text = ""

    @model_validator(mode="after")
    def are_all_that_can_come(self) -> Self:
        """Refuse repeated names and probabilities that do not add up to one."""
        if twice := repeated(future.name for future in self.scenarios):
            raise ValueError(f"scenarios: names must differ, got {twice} twice")
        total = sum(future.probability_ppm for future in self.scenarios)
        if total != CERTAIN_PPM:
            raise ValueError(f"scenarios: expected probability_ppm that add up to {CERTAIN_PPM}, got {total}")
        return self

    @property
    def digest(self) -> str:
        """Content digest of all scenarios."""
        return digest(self.model_dump(mode="json"))

    def problems(self, base: Problem) -> list[Problem]:
        """Return the problem of each scenario: the base itself where nothing is other than there.

        Raises:
            BadInputError: series that the base does not have, or of another length; every fault with its place.
        """
        faults = [
            Refusal(pointer=f"/scenarios/{n}{pointer}", code="scenario_series", detail=f"scenario {future.name}: {words}")
            for n, future in enumerate(self.scenarios)
            for pointer, words in _faults(future, base)
        ]
        if faults:
            raise BadInputError(faults)
        return [_applied(future, base) for future in self.scenarios]


class Risk(Record):
    """How much the worst futures count beyond their probability.

    The objective is (1 - weight) x expected profit + weight x CVaR; the CVaR is the mean profit of the worst
    1 - level of all futures: of the worst twentieth at a level of 0.95.
    """

    weight_share: Share = 0.0
    level_share: Annotated[float, Ge(0), Le(0.999)] = 0.95

    def objective_usd(self, profits: Sequence[tuple[int, float]]) -> float:
        """Return what is maximised, for profits with their probabilities in ppm. [USD]."""
        return (1 - self.weight_share) * mean(profits) + self.weight_share * self.cvar_usd(profits)

    def cvar_usd(self, profits: Sequence[tuple[int, float]]) -> float:
        """Return the mean of the worst share of profits; one that lies across the edge counts by its part within. [USD]."""
        tail = left = (1 - self.level_share) * CERTAIN_PPM
        parts = []
        for ppm, usd in sorted(profits, key=lambda profit: profit[1]):
            parts.append(min(ppm, left) * usd)
            left = max(0.0, left - ppm)
        return fsum(parts) / tail


def mean(values: Sequence[tuple[int, float]]) -> float:
    """Return the mean of values weighted by ppm; of equal values just that one."""
    first = values[0][1]
    if all(value == first for _, value in values):
        return first
    return fsum(ppm * value for ppm, value in values) / sum(ppm for ppm, _ in values)


def mean_problem(weighted: Sequence[tuple[int, Problem]]) -> Problem:
    """Return the problem whose uncertain series are the means of those of problems with weights in ppm; work is rounded."""
    one = weighted[0][1]
    changes: dict[str, Any] = {
        "hashprice_usd_per_ph_day": _mean_series([(ppm, problem.hashprice_usd_per_ph_day) for ppm, problem in weighted])
    }
    for family in UNCERTAIN:
        series = {name: [(ppm, getattr(problem, family)[name]) for ppm, problem in weighted] for name in getattr(one, family)}
        whole = family == "demand_work_per_h"
        changes[family] = {name: _mean_series(members, whole=whole) for name, members in series.items()}
    return _changed(one, changes)


def _mean_series(weighted: Sequence[tuple[int, Sequence[float]]], *, whole: bool = False) -> tuple[float, ...]:
    columns = zip(*(series for _, series in weighted), strict=True)
    known = [[(ppm, value) for (ppm, _), value in zip(weighted, column, strict=True)] for column in columns]
    return tuple(_whole_mean(column) if whole else mean(column) for column in known)


def _whole_mean(values: Sequence[tuple[int, float]]) -> int:
    return round(Fraction(sum(ppm * int(value) for ppm, value in values), sum(ppm for ppm, _ in values)))


def _faults(future: Future, base: Problem) -> Iterator[tuple[str, str]]:
    steps = base.grid.steps
    hashprice = future.hashprice_usd_per_ph_day
    if hashprice is not None and len(hashprice) != steps:
        where = "hashprice_usd_per_ph_day"
        yield f"/{where}", f"{where}: expected {steps} values, one per step, got {len(hashprice)}"
    for family in UNCERTAIN:
        known = getattr(base, family)
        for name, values in getattr(future, family).items():
            if name not in known:
                yield f"/{family}/{name}", f"{family}: expected one of {sorted(known)}, got {name!r}"
            elif len(values) != steps:
                yield f"/{family}/{name}", f"{family}.{name}: expected {steps} values, one per step, got {len(values)}"


def _applied(future: Future, base: Problem) -> Problem:
    changes: dict[str, Any] = {family: getattr(base, family) | getattr(future, family) for family in UNCERTAIN}
    if future.hashprice_usd_per_ph_day is not None:
        changes["hashprice_usd_per_ph_day"] = future.hashprice_usd_per_ph_day
    return _changed(base, changes)


def _changed(base: Problem, changes: Mapping[str, Any]) -> Problem:
    """Return a problem with other series, labelled `what-if`; the same problem where they are the same."""
    if all(getattr(base, name) == values for name, values in changes.items()):
        return base
    labels = base.labels if "what-if" in base.labels else (*base.labels, "what-if")
    fields = {name: getattr(base, name) for name in Problem.model_fields}
    return Problem.model_validate({**fields, **changes, "labels": labels})
