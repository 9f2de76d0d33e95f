"""Array algebra: what a rule computes with when all members of a family are evaluated at once.

A *level* is a run of places: the rows of a family, or the flattened places of a sum over groups below it. An index, a number
or a linear term lives on a level; when two meet, the shallower one is lifted to the deeper level.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from optimizer.compiled import Floats, Ints


@dataclass(frozen=True, eq=False)
class Level:
    """`size` places; each place of a sum knows, by `up`, the place of its parent level to which it is added."""

    size: int
    parent: "Level | None" = None
    up: Ints | None = None

    def to(self, ancestor: "Level") -> Ints:
        """Return, for every place here, its place on an ancestor level.

        Raises:
            ValueError: the other level is not an ancestor, that is, an index was used outside its own sum.
        """
        if ancestor is self:
            return np.arange(self.size)
        if self.parent is None or self.up is None:
            raise ValueError("an index is used outside the sum that defines it")
        return self.up if ancestor is self.parent else self.parent.to(ancestor)[self.up]

    def lift(self, values: Any, of: "Level | None") -> Any:
        """Return values of an ancestor level at the places here; values without a level hold everywhere."""
        return values if of is None or of is self else values[self.to(of)]


def deeper(a: Level | None, b: Level | None) -> Level | None:
    """Return the deeper of two levels of one branch; None is above all."""
    if a is None or a is b:
        return b
    if b is None:
        return a
    level: Level | None = a
    while level is not None:
        if level is b:
            return a
        level = level.parent
    return b


@dataclass(frozen=True, eq=False)
class Index:
    """Codes of members of one axis, on a level; it can be looked up with, not calculated with."""

    codes: Any
    level: Level | None


class Number:
    """Values of parameters on a level: added and multiplied, never compared (a reciprocal is a parameter of its own)."""

    __array_ufunc__ = None
    __hash__ = None  # type: ignore[assignment]  # equality of expressions is a relation, not a truth

    def __init__(self, values: Any, level: Level | None) -> None:
        self.values, self.level = values, level

    def _with(self, other: Any, operate: Callable[[Any, Any], Any]) -> Any:
        if isinstance(other, Linear | Index):
            return NotImplemented
        if not isinstance(other, Number):
            return Number(operate(self.values, other), self.level)
        level = deeper(self.level, other.level)
        if level is None:
            return Number(operate(self.values, other.values), None)
        return Number(operate(level.lift(self.values, self.level), level.lift(other.values, other.level)), level)

    def __add__(self, other: Any) -> Any:
        return self._with(other, np.add)

    def __sub__(self, other: Any) -> Any:
        return self._with(other, np.subtract)

    def __rsub__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: np.subtract(b, a))

    def __mul__(self, other: Any) -> Any:
        return self._with(other, np.multiply)

    def __neg__(self) -> "Number":
        return Number(np.negative(self.values), self.level)

    __radd__ = __add__
    __rmul__ = __mul__

    def __bool__(self) -> bool:
        raise TypeError("a rule must not branch on a value: make what differs a set or a parameter")

    def __eq__(self, other: object) -> Any:
        return other == self if isinstance(other, Linear) else self.__bool__()

    def __le__(self, other: Any) -> Any:
        return other >= self if isinstance(other, Linear) else self.__bool__()

    def __ge__(self, other: Any) -> Any:
        return other <= self if isinstance(other, Linear) else self.__bool__()

    __lt__ = __gt__ = __le__


Term = tuple[Level | None, Any, Any]
"""Level, column numbers and coefficients at its places."""


class Linear:
    """A sum of coefficient x column, and of numbers, each on its own level; a place of the family gets all below it."""

    __array_ufunc__ = None
    __hash__ = None  # type: ignore[assignment]  # equality of expressions is a relation, not a truth

    def __init__(self, terms: tuple[Term, ...], numbers: tuple[Number, ...] = ()) -> None:
        self.terms, self.numbers = terms, numbers

    def __add__(self, other: Any) -> Any:
        if isinstance(other, Linear):
            return Linear(self.terms + other.terms, self.numbers + other.numbers)
        if isinstance(other, Number):
            return Linear(self.terms, (*self.numbers, other))
        return self if other == 0 else Linear(self.terms, (*self.numbers, Number(other, None)))

    def __mul__(self, factor: Any) -> Any:
        if isinstance(factor, Linear | Index):
            raise TypeError("a rule must be linear: two decisions, or a decision and an index, are multiplied")
        number = factor if isinstance(factor, Number) else Number(factor, None)
        terms: list[Term] = []
        for level, columns, coefficients in self.terms:
            below = deeper(level, number.level)
            if below is None:
                terms.append((below, columns, coefficients * number.values))
            else:
                scaled = below.lift(coefficients, level) * below.lift(number.values, number.level)
                terms.append((below, below.lift(columns, level), scaled))
        return Linear(tuple(terms), tuple(n * number for n in self.numbers))

    def __neg__(self) -> Any:
        return self * -1.0

    def __sub__(self, other: Any) -> Any:
        return self + -other

    def __rsub__(self, other: Any) -> Any:
        return (-self) + other

    __radd__ = __add__
    __rmul__ = __mul__

    def __eq__(self, other: object) -> Any:
        return Relation(self - other, 0.0, 0.0)

    def __le__(self, other: Any) -> "Relation":
        return Relation(self - other, -np.inf, 0.0)

    def __ge__(self, other: Any) -> "Relation":
        return Relation(self - other, 0.0, np.inf)

    def __bool__(self) -> bool:
        raise TypeError("a rule must not branch on a decision")


@dataclass(frozen=True, eq=False)
class Relation:
    """low <= linear <= high, for every row of a family."""

    linear: Linear
    low: Any
    high: Any

    def __bool__(self) -> bool:
        raise TypeError("a rule must not branch on a relation; a range is the tuple (low, expression, high)")


def at_rows(rows: Level, values: Any, level: Level | None) -> Floats:
    """Return values given on the row level, or everywhere, for each row."""
    if level is not None and level is not rows:
        raise ValueError("a bound must not come out of a sum")
    return np.broadcast_to(np.asarray(values, dtype=np.float64), (rows.size,))


def summed(rows: Level, numbers: tuple[Number, ...]) -> Floats:
    """Return the sum of numbers for each row, each number added from its own level."""
    total = np.zeros(rows.size)
    for number in numbers:
        if number.level is None or number.level is rows:
            total = total + number.values
        else:
            values = np.broadcast_to(number.values, (number.level.size,))
            total = total + np.bincount(number.level.to(rows), values, rows.size)
    return total
