"""A peer for building: linopy reads the same rules, as a user would write them there, and hands the model to HiGHS.

A third reading beside `optimizer.compile` and `optimizer.pyomo_reading`, for the benchmark alone. Every rule is evaluated
once per family, as linopy's own examples do it: variables are looked up with arrays of places, sums are group-bys. Sets,
indices and parameters are the product's, so that what differs is what carries the decisions. Needs the extra `peers`.
"""

import warnings
from collections.abc import Iterable
from typing import Any

import linopy
import numpy as np
import xarray

from optimizer.algebra import Level, Linear, Number, Relation, at_rows, deeper, summed
from optimizer.array_reading import ArrayParameter, ArrayReading, _aligned, _position, family_index
from optimizer.data import Bound, Data, Members, bind
from optimizer.declare import Model

PLACE = "place"
warnings.simplefilter("ignore")  # linopy warns of its next release at every operation


def built(model: Model, data: Data) -> Any:
    """Return the linopy model of a declared model with its data; it maximises the sum of the money."""
    bound = bind(model, data)
    reading, made = LinopyReading(bound, model), linopy.Model()
    for variable in model.variables.values():
        over = bound.over(variable.over)
        level, index = family_index(over)
        low, high = variable.bounds(reading, *index) if variable.bounds and level.size else (0.0, np.inf)
        values = None
        if level.size:
            values = made.add_variables(
                lower=_places(_plain(level, low)),
                upper=_places(_plain(level, high)),
                name=variable.name,
                integer=variable.integer,
            )
        reading.declare(variable.name, Decisions(over, values))
    for constraint in model.constraints.values():
        level, index = family_index(bound.over(constraint.over))
        if level.size:
            _add_rows(made, constraint.name, level, constraint.rule(reading, *index))
    made.add_objective(_profit(model, reading, bound), sense="max")
    return made


def _places(values: Any) -> Any:
    return xarray.DataArray(np.ascontiguousarray(values), dims=[PLACE])


def handed_over(made: Any) -> Any:
    """Return HiGHS with linopy's model in it."""
    return made.to_highspy()


def _at(decisions: Any, places: Any) -> Any:
    """Return variables or expressions at some places, counted anew."""
    return decisions.isel({PLACE: places}).assign_coords({PLACE: np.arange(len(places))})


def _plain(level: Level, value: Any) -> Any:
    return at_rows(level, value.values, value.level) if isinstance(value, Number) else at_rows(level, value, None)


def _add_rows(made: Any, name: str, level: Level, relation: Any) -> None:
    if isinstance(relation, tuple):
        relation = Relation(relation[1], relation[0], relation[2])
    known = summed(level, relation.linear.numbers)
    low, high = _plain(level, relation.low) - known, _plain(level, relation.high) - known
    left = relation.linear.on(level)
    if (low == high).all():
        made.add_constraints(left, "=", _places(low), name=name)
        return
    for sign, side, suffix in ((">=", low, " low"), ("<=", high, "")):
        if np.isfinite(side).all():
            made.add_constraints(left, sign, _places(side), name=name + suffix)


def _profit(model: Model, reading: "LinopyReading", bound: Bound) -> Any:
    """Return the sum of all money that some decision changes."""
    earned = []
    for family in model.money:
        level, index = family_index(bound.over(family.over))
        money = family.rule(reading, *index) if level.size else None
        if isinstance(money, Sum):
            earned += [expression.sum() for _, expression in money.terms]
    return linopy.merge(earned)


class Decisions:
    """A linopy variable, looked up with indices that stand for many members."""

    def __init__(self, sets: tuple[Members, ...], values: Any) -> None:
        self.sets, self.values = sets, values

    def __getitem__(self, index: Any) -> "Sum":
        level, codes = _aligned(index)
        if self.values is None or (level is not None and not level.size):
            return Sum([])
        return Sum([(level, self._at(np.atleast_1d(_position(self.sets, codes))))])

    def _at(self, places: Any) -> Any:
        return _at(self.values, places).to_linexpr()


class Sum(Linear):
    """linopy expressions, each on the level of its places, and numbers: what `Linear` is to the product."""

    __array_ufunc__ = None
    __hash__ = None  # type: ignore[assignment]  # equality of expressions is a relation, not a truth

    def __init__(self, terms: Iterable[tuple[Level | None, Any]], numbers: tuple[Number, ...] = ()) -> None:
        self.terms, self.numbers = list(terms), numbers

    def __add__(self, other: Any) -> "Sum":
        if isinstance(other, Sum):
            return Sum([*self.terms, *other.terms], self.numbers + other.numbers)
        number = other if isinstance(other, Number) else Number(other, None)
        return self if isinstance(other, int) and other == 0 else Sum(self.terms, (*self.numbers, number))

    def __mul__(self, factor: Any) -> "Sum":
        number = factor if isinstance(factor, Number) else Number(factor, None)
        return Sum([_times(term, number) for term in self.terms], tuple(n * number for n in self.numbers))

    def __neg__(self) -> "Sum":
        return self * -1.0

    def __sub__(self, other: Any) -> "Sum":
        return self + -other

    def __rsub__(self, other: Any) -> "Sum":
        return (-self) + other

    __radd__ = __add__
    __rmul__ = __mul__

    def __eq__(self, other: object) -> Any:
        return Relation(self - other, 0.0, 0.0)

    def __le__(self, other: Any) -> Relation:
        return Relation(self - other, -np.inf, 0.0)

    def __ge__(self, other: Any) -> Relation:
        return Relation(self - other, 0.0, np.inf)

    def on(self, rows: Level) -> Any:
        """Return one linopy expression over the rows of a family; what lies on deeper levels is summed by row."""
        parts: dict[int, Any] = {}
        for level, expression in self.terms:
            key = id(level)
            parts[key] = (level, expression if key not in parts else parts[key][1] + expression)
        return (
            linopy.merge([_summed_up(rows, *part) for part in parts.values()])
            if len(parts) > 1
            else _summed_up(rows, *next(iter(parts.values())))
        )


def _summed_up(rows: Level, level: Level | None, expression: Any) -> Any:
    if level is None or level is rows:
        return expression
    owner = xarray.DataArray(level.to(rows), dims=[PLACE], name="row")
    sums = expression.groupby(owner).sum().rename(row=PLACE)
    return sums.reindex({PLACE: np.arange(rows.size)}) if sums.sizes[PLACE] < rows.size else sums


def _times(term: tuple[Level | None, Any], number: Number) -> tuple[Level | None, Any]:
    level, expression = term
    below = deeper(level, number.level)
    if below is None:
        return below, expression * float(number.values)
    if level is not None and below is not level:
        expression = _at(expression, below.to(level))
    values = np.broadcast_to(below.lift(number.values, number.level), (below.size,))
    return below, expression * _places(values)


class LinopyReading(ArrayReading):
    """What a rule sees as `m`: the product's sets and parameters, linopy's decisions."""

    def previous(self, variable: Any, before: ArrayParameter, *index: Any) -> Any:
        """Return a variable one step earlier, and the known value `before` ahead of the first step."""
        here, known = variable[index], before[index[:-1]]
        level, codes = _aligned(index)
        assert level is not None
        first = np.broadcast_to(np.asarray(codes[-1]) == 0, (level.size,))
        numbers = (Number(np.where(first, level.lift(known.values, known.level), 0.0), level),)
        if not here.terms:
            return Sum([], numbers)
        places = np.broadcast_to(_position(variable.sets, codes), (level.size,))
        earlier = variable._at(np.where(first, places, places - 1)) * _places(np.where(first, 0.0, 1.0))
        return Sum([(level, earlier)], numbers)
