"""What a rule sees as `m` when it is evaluated once for a whole family: arrays behind every name."""

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

import numpy as np

from optimizer.algebra import Index, Level, Linear, Number, deeper
from optimizer.compiled import Floats
from optimizer.data import Bound, BoundGroups, Members
from optimizer.declare import STEPS, Model, Named


class ArrayParameter:
    """A parameter, looked up with indices that stand for many members."""

    def __init__(self, sets: tuple[Members, ...], values: Floats) -> None:
        self.sets, self.values = sets, values.ravel()

    def __getitem__(self, index: Any) -> Number:
        level, codes = _aligned(index)
        return Number(self.values[_position(self.sets, codes)], level)


class ArrayVariable:
    """A variable, looked up likewise; its columns follow each other from `first`."""

    def __init__(self, sets: tuple[Members, ...], first: int) -> None:
        self.sets, self.first = sets, first

    def __getitem__(self, index: Any) -> Linear:
        level, codes = _aligned(index)
        columns = _position(self.sets, codes) + self.first
        return Linear(((level, columns, np.ones(np.shape(columns))),))


class ArrayGroups:
    """A ragged set: iterating over a group of every place yields one index that stands for all their members."""

    def __init__(self, groups: BoundGroups) -> None:
        self.groups = groups

    def __getitem__(self, index: Any) -> Iterator[Any]:
        level, codes = _aligned(index)
        if level is None:
            raise ValueError("a ragged set is summed over for the members of a family, not for one label")
        place = np.broadcast_to(_position(self.groups.by, codes), (level.size,))
        counts = self.groups.counts[place]
        up = np.repeat(np.arange(level.size), counts)
        start = np.repeat(self.groups.first[place] - (np.cumsum(counts) - counts), counts)
        below = Level(up.size, level, up)
        members = self.groups.members[start + np.arange(up.size)]
        found = tuple(Index(column, below) for column in members.T)
        yield found if len(found) > 1 else found[0]


class ArrayReading(Named):
    """What a rule sees as `m`: sets, parameters and variables by name."""

    def __init__(self, bound: Bound, model: Model) -> None:
        over = {name: bound.over(declared.over) for name, declared in model.parameters.items()}
        super().__init__(
            {name: ArrayGroups(members) for name, members in bound.groups.items()}
            | {name: ArrayParameter(sets, bound.parameters[name]) for name, sets in over.items()}
        )

    def previous(self, variable: ArrayVariable, before: ArrayParameter, *index: Any) -> Linear:
        """Return a variable one step earlier, and the known value `before` (without the step) ahead of the first step."""
        if variable.sets[-1].name != STEPS:
            raise ValueError(f"previous: expected a variable over {STEPS}, last of its sets")
        here = variable[index]
        ((level, columns, coefficients),) = here.terms
        known = before[index[:-1]]
        if level is None or known.level is None:
            raise ValueError("previous: expected the indices of a family")
        _, codes = _aligned(index)
        first = np.broadcast_to(codes[-1] == 0, columns.shape)
        values = level.lift(known.values, known.level)
        earlier = (level, np.where(first, columns, columns - 1), np.where(first, 0.0, coefficients))
        return Linear((earlier,), (Number(np.where(first, values, 0.0), level),))


def _aligned(index: Any) -> tuple[Level | None, list[Any]]:
    """Lift the parts of an index to their deepest level."""
    parts = index if isinstance(index, tuple) else (index,)
    level: Level | None = None
    for part in parts:
        if isinstance(part, Index):
            level = deeper(level, part.level)
    if level is None:
        return None, [part.codes if isinstance(part, Index) else part for part in parts]
    return level, [level.lift(part.codes, part.level) if isinstance(part, Index) else part for part in parts]


def _position(sets: Sequence[Members], codes: Sequence[Any]) -> Any:
    """Return the flat position in a product of sets."""
    place: Any = 0
    taken = 0
    for members in sets:
        width = members.codes.shape[1]
        place = place * len(members) + members.position(codes[taken : taken + width])
        taken += width
    if taken != len(codes):
        raise IndexError(f"{len(codes)} indices for {[s.name for s in sets]}")
    return place


def family_index(sets: Sequence[Members]) -> tuple[Level, list[Index]]:
    """Return the level of all members of a product of sets, and their indices."""
    shape = [len(s) for s in sets]
    level = Level(prod(shape))
    places = np.unravel_index(np.arange(level.size), shape) if shape and level.size else [np.zeros(0, np.int64)] * len(sets)
    return level, [Index(column[place], level) for s, place in zip(sets, places, strict=True) for column in s.codes.T]
