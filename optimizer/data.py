"""The data of a declared model, checked once: members of sets as whole numbers, parameters as arrays.

A member of an axis is known by its position in it, its *code*; labels are for people. Both readings start from here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import prod
from typing import Any

import numpy as np

from optimizer.compiled import Floats, Ints
from optimizer.declare import Axis, Model, Ragged, Sparse

Data = Mapping[str, Any]
"""By declared name: labels of an axis, codes (members x axes) of a sparse set, `Groups`, or the values of a parameter."""


class DataError(ValueError):
    """The data do not fit what was declared; a fault of ours, since problems are validated before."""


@dataclass(frozen=True, eq=False)
class Groups:
    """Data of a ragged set: how many members each group has, and the members one group after the other."""

    counts: Ints
    members: Ints

    @staticmethod
    def of(groups: int, owner: Ints, members: Ints) -> "Groups":
        """Group members under their owners (positions 0 .. groups-1), in the order given."""
        order = np.argsort(owner, kind="stable")
        return Groups(np.bincount(owner, minlength=groups).astype(np.int64), np.asarray(members)[order])


@dataclass(frozen=True, eq=False)
class Members:
    """An axis or a sparse set with its members: codes (members x axes), and the labels of each axis."""

    name: str
    codes: Ints
    axis_labels: tuple[tuple[str, ...], ...]

    def __len__(self) -> int:
        return len(self.codes)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """One label for each member; labels of several axes joined by a space."""
        columns = [[names[c] for c in column] for names, column in zip(self.axis_labels, self.codes.T.tolist(), strict=True)]
        return tuple(" ".join(parts) for parts in zip(*columns, strict=True))

    @cached_property
    def is_axis(self) -> bool:
        """True where the code of a member is its position."""
        return self.codes.shape[1] == 1 and bool((self.codes[:, 0] == np.arange(len(self.codes))).all())

    @cached_property
    def _keys(self) -> Ints:
        return np.asarray(self._key(list(self.codes.T)), dtype=np.int64)

    def _key(self, codes: Sequence[Any]) -> Any:
        key: Any = 0
        for names, column in zip(self.axis_labels, codes, strict=True):
            key = key * len(names) + column
        return key

    def position(self, codes: Sequence[Any]) -> Any:
        """Return the positions of members given by the codes of each axis.

        Raises:
            KeyError: a tuple is not a member.
        """
        if self.is_axis:
            return codes[0]
        wanted = np.asarray(self._key(codes))
        found = np.searchsorted(self._keys, wanted)
        keys = np.append(self._keys, -1)  # beyond the last member stands a key that nobody has
        if (missing := keys[found] != wanted).any():
            first = [int(np.broadcast_to(c, wanted.shape)[missing][0]) for c in codes]
            raise KeyError(f"{self.name} has no member with codes {first}")
        return found


@dataclass(frozen=True, eq=False)
class BoundGroups:
    """A ragged set with its members: `members[first[i] : first[i] + counts[i]]` belong to group i of the sets `by`."""

    by: tuple[Members, ...]
    of: tuple[Members, ...]
    counts: Ints
    first: Ints
    members: Ints


@dataclass(frozen=True, eq=False)
class Bound:
    """A model with its data: sets, groups and parameters by name; a parameter's array is shaped by its sets."""

    sets: Mapping[str, Members]
    groups: Mapping[str, BoundGroups]
    parameters: Mapping[str, Floats]

    def over(self, names: Sequence[str]) -> tuple[Members, ...]:
        """Return the sets of the given names."""
        return tuple(self.sets[name] for name in names)


def bind(model: Model, data: Data) -> Bound:
    """Join declarations and data.

    Raises:
        DataError: something is missing, has the wrong shape, is not finite, or names a member that does not exist.
    """
    missing = sorted((set(model.sets) | set(model.parameters)) - set(data))
    if missing:
        raise DataError(f"no data for {missing}")
    sets: dict[str, Members] = {}
    groups: dict[str, BoundGroups] = {}
    for name, declared in model.sets.items():
        if isinstance(declared, Axis):
            labels = tuple(data[name])
            sets[name] = Members(name, np.arange(len(labels), dtype=np.int64)[:, None], (labels,))
        elif isinstance(declared, Sparse):
            sets[name] = _sparse(declared, data[name], sets)
        else:
            groups[name] = _ragged(declared, data[name], sets)
    parameters = {p.name: _values(p.name, data[p.name], [len(sets[s]) for s in p.over]) for p in model.parameters.values()}
    return Bound(sets, groups, parameters)


def _sparse(declared: Sparse, codes: Any, sets: Mapping[str, Members]) -> Members:
    axes = [sets[name] for name in declared.within]
    members = Members(declared.name, _codes(declared.name, codes, axes), tuple(a.axis_labels[0] for a in axes))
    if len(members) > 1 and not (np.diff(members._keys) > 0).all():
        raise DataError(f"{declared.name}: expected members in order and each once")
    return members


def _ragged(declared: Ragged, groups: Groups, sets: Mapping[str, Members]) -> BoundGroups:
    by = tuple(sets[name] for name in declared.by)
    of = tuple(sets[name] for name in declared.of)
    counts = np.asarray(groups.counts, dtype=np.int64).ravel()
    members = _codes(declared.name, groups.members, of)
    if counts.size != prod(map(len, by)) or counts.sum() != len(members):
        raise DataError(f"{declared.name}: {counts.size} groups of {counts.sum()} members, got {len(members)} members")
    return BoundGroups(by, of, counts, np.cumsum(counts) - counts, members)


def _codes(name: str, codes: Any, axes: Sequence[Members]) -> Ints:
    table = np.asarray(codes, dtype=np.int64).reshape(-1, len(axes))
    for column, axis in zip(table.T, axes, strict=True):
        if column.size and (column.min() < 0 or column.max() >= len(axis)):
            raise DataError(f"{name}: codes {column.min()}..{column.max()} outside {axis.name} with {len(axis)} members")
    return table


def _values(name: str, values: Any, shape: Sequence[int]) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if array.shape != tuple(shape):
        raise DataError(f"{name}: expected shape {tuple(shape)}, got {array.shape}")
    if not np.isfinite(array).all():
        raise DataError(f"{name}: values must be finite")
    return array


def pairs(of: Iterable[tuple[int, ...]] | Ints, width: int = 2) -> Ints:
    """Return tuples of codes as a table, in order and each once: the data of a sparse set."""
    if isinstance(of, np.ndarray):
        return np.unique(of, axis=0)
    return np.array(sorted(set(of)), dtype=np.int64).reshape(-1, width)


def by_pair(triples: Iterable[tuple[int, int, int]] | Ints) -> tuple[Ints, Groups]:
    """Return the pairs that triples of codes begin with, as a table, and for each pair what stands third, grouped."""
    table = pairs(triples, 3)
    firsts, owner = np.unique(table[:, :2], axis=0, return_inverse=True)
    return firsts, Groups.of(len(firsts), owner.ravel(), table[:, 2])


def index_of(sets: Sequence[Members]) -> list[tuple[int, ...]]:
    """Return the codes of all members of a product of sets, in the order of columns and rows."""
    return [tuple(c for part in member for c in part) for member in product(*(s.codes.tolist() for s in sets))]
