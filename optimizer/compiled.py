"""The compiled model: one linear programme with integers as plain arrays, and the names of all that stands in it.

    maximise   cost @ x + offset                                            [USD]
    subject to row_lower <= matrix @ x <= row_upper
               col_lower <= x <= col_upper,  x[j] integer where integer[j]

`cost` and `offset` are the sum of the named money terms and nothing else.
"""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Money:
    """One named money term, by cell; a cell belongs to one owner (site or workload) and one step.

    matrix: cells x columns, scipy CSR. [USD per unit of the column]
    constant: what the cell is worth whatever the plan decides. [USD]
    owners: the name of the set that owns the cells, "SITES" or "WORKLOADS".
    owner, step: for each cell its position in that set and in the steps.
    """

    matrix: Any
    constant: Floats
    owners: str
    owner: Ints
    step: Ints

    def usd(self, x: Floats) -> Floats:
        """Return the money of every cell at the column values `x`, in USD."""
        return np.asarray(self.matrix @ x + self.constant, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Family:
    """Columns or rows of one name: which sets index them, and the labels of their members in order."""

    sets: tuple[str, ...]
    labels: tuple[tuple[str, ...], ...]

    def label(self, name: str, position: int) -> str:
        """Return `name[label,label,...]` of the member at a flat position."""
        parts: list[str] = []
        for labels in reversed(self.labels):
            position, here = divmod(position, len(labels))
            parts.insert(0, labels[here])
        return f"{name}[{','.join(parts)}]" if parts else name


@dataclass(frozen=True, eq=False)
class Compiled:
    """A model as arrays; picklable, made of numpy, scipy and strings only.

    matrix: rows x columns, scipy CSR, without explicit zeros, indices sorted within a row.
    cost: USD per unit of each column, to be *maximised*; offset: USD that no column decides.
    col_lower, col_upper, row_lower, row_upper: bounds, infinite where there is none.
    integer: True where a column must be a whole number.
    columns, rows: for each name the numbers of its columns (rows), shaped by the sets that index it.
    column_families, row_families: for each name its sets and labels, in the order of `columns` and `rows`.
    money: each named term by cell; the sum of all of them is the objective.
    axes: labels of the sets that have labels of their own, such as "SITES" and "STEPS", by the name of the set.
    units: power in kW, hash in PH/s, GPU work in nodes, routed work in million units per hour.
    """

    matrix: Any
    cost: Floats
    offset: float
    col_lower: Floats
    col_upper: Floats
    row_lower: Floats
    row_upper: Floats
    integer: Flags
    columns: Mapping[str, Ints]
    rows: Mapping[str, Ints]
    column_families: Mapping[str, Family]
    row_families: Mapping[str, Family]
    money: Mapping[str, Money]
    axes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def objective(self, x: Floats) -> float:
        """Return the profit at the column values `x`, in USD."""
        return float(self.cost @ x) + self.offset

    def column_label(self, column: int) -> str:
        """Return the name of a column, as `in_mode[pecos/a eco,2026-01-05T13:00Z]`."""
        return _label(column, self.columns, self.column_families)

    def row_label(self, row: int) -> str:
        """Return the name of a row, as `draw_balance[pecos,2026-01-05T13:00Z]`."""
        return _label(row, self.rows, self.row_families)

    @cached_property
    def site_of_column(self) -> Ints:
        """For each column the number of its site in the axis SITES, or -1 where no site owns it.

        A family belongs to sites by its first set whose labels all begin with the name of one, as `pecos/row-1 eco` does.
        """
        sites = {name: number for number, name in enumerate(self.axes.get("SITES", ()))}
        owner = np.full(self.cost.size, -1, dtype=np.int64)
        for name, family in self.column_families.items():
            for axis, labels in enumerate(family.labels):
                found = [sites.get(label.replace("/", " ").partition(" ")[0], -1) for label in labels]
                if found and min(found) >= 0:
                    shape = [-1 if other == axis else 1 for other in range(len(family.labels))]
                    numbers = self.columns[name]
                    owner[numbers.ravel()] = np.broadcast_to(np.reshape(found, shape), numbers.shape).ravel()
                    break
        return owner


def _label(number: int, numbers: Mapping[str, Ints], families: Mapping[str, Family]) -> str:
    """Families stand one after the other, each in the order of its sets."""
    names = list(numbers)
    ends = list(accumulate(numbers[name].size for name in names))
    if not 0 <= number < (ends[-1] if ends else 0):
        raise IndexError(f"number {number} is outside 0..{(ends[-1] if ends else 0) - 1}")
    which = bisect_right(ends, number)
    return families[names[which]].label(names[which], number - (ends[which] - numbers[names[which]].size))
