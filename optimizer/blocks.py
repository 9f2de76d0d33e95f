"""A fleet's model as blocks: one for each site, one for what no site owns, and the rows in which blocks meet.

    maximise   sum over blocks b of cost[b] @ x[b]
    subject to low <= sum over b of meets[b] @ x[b] <= high           the rows that touch more than one block
               the rows, bounds and whole numbers of each block alone

Which rows meet is found from who owns their columns; nothing here knows what they mean. A hub's balance, a guard on the
fleet's step or a limit on its risk are all the same. Any ownership gives a right answer: a column given to a wrong block
only makes more rows meet. Pure numpy, so that a solver child starts at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from optimizer.compiled import Flags, Floats, Ints

MANY_SITES = 8
"""From so many on, whole numbers are settled site by site; fewer are quicker as one model."""
NOBODY = -1
"""The owner of columns that belong to no site."""


@dataclass(eq=False)
class Sparse:
    """Rows of a matrix one after the other: row r has entries start[r] .. start[r+1]."""

    start: Ints
    index: Ints
    value: Floats
    width: int

    def __post_init__(self) -> None:
        self.row = np.repeat(np.arange(self.start.size - 1), np.diff(self.start))

    def times(self, x: Floats) -> Floats:
        """Return matrix @ x."""
        return np.bincount(self.row, self.value * x[self.index], self.start.size - 1).astype(np.float64)

    def transposed_times(self, y: Floats) -> Floats:
        """Return y @ matrix."""
        return np.bincount(self.index, self.value * y[self.row], self.width).astype(np.float64)


@dataclass(eq=False)
class Program:
    """A linear programme with whole numbers: maximise cost @ x, row_lower <= matrix @ x <= row_upper, bounds on x."""

    matrix: Sparse
    cost: Floats
    col_lower: Floats
    col_upper: Floats
    row_lower: Floats
    row_upper: Floats
    integer: Flags


@dataclass(eq=False)
class Block:
    """The columns and rows of one owner.

    columns, rows: their numbers in the whole model. program: the block alone. meets: its part of the meeting rows.
    counts: the positions, in the block, of its whole numbers.
    """

    owner: int
    columns: Ints
    rows: Ints
    program: Program
    meets: Sparse

    def __post_init__(self) -> None:
        self.counts = np.flatnonzero(self.program.integer).astype(np.int32)
        self.priced = np.unique(self.meets.index).astype(np.int32)

    def cost_at(self, prices: Floats) -> Floats:
        """Return what each column is worth where the meeting rows have these prices."""
        return self.program.cost - self.meets.transposed_times(prices)


@dataclass(eq=False)
class Blocks:
    """All blocks of a model; `shared` is the one that nobody owns. meeting: numbers of the rows in which they meet."""

    whole: Program
    shared: Block
    sites: Sequence[Block]
    meeting: Ints

    @property
    def low(self) -> Floats:
        """Lower side of the meeting rows."""
        return self.whole.row_lower[self.meeting]

    @property
    def high(self) -> Floats:
        """Upper side of the meeting rows."""
        return self.whole.row_upper[self.meeting]

    def bounded(self, prices: Floats) -> Floats:
        """Return prices whose worst case is finite: no positive one on a row without upper side, and the reverse."""
        prices = np.where((prices > 0) & np.isinf(self.high), 0.0, prices)
        return np.where((prices < 0) & np.isinf(self.low), 0.0, prices)

    def sides_usd(self, prices: Floats) -> float:
        """Return what the right-hand sides of the meeting rows are worth at (bounded) prices: their part of the bound."""
        side = np.where(prices > 0, self.high, self.low)
        return float(prices @ np.where(prices == 0, 0.0, side))


def program_of(arrays: Mapping[str, Any]) -> Program:
    """Return the whole model of the arrays that a solver child is sent."""
    matrix = Sparse(arrays["start"], arrays["index"], arrays["value"], arrays["cost"].size)
    names = ("cost", "col_lower", "col_upper", "row_lower", "row_upper")
    return Program(matrix=matrix, integer=arrays["integer"].astype(np.bool_), **{name: arrays[name] for name in names})


def split(whole: Program, owner: Ints) -> Blocks:
    """Return a model in blocks; owner: for each column the number of its site, or `NOBODY`."""
    matrix = whole.matrix
    owners = owner[matrix.index]
    rows = matrix.start.size - 1
    least, most = np.full(rows, np.iinfo(np.int32).max), np.full(rows, NOBODY - 1)
    np.minimum.at(least, matrix.row, owners)
    np.maximum.at(most, matrix.row, owners)
    empty = most < NOBODY
    row_owner = np.where(empty, NOBODY, np.where(least == most, most, NOBODY - 1))
    meeting = np.flatnonzero(row_owner == NOBODY - 1)
    numbers = range(NOBODY, int(owner.max(initial=NOBODY)) + 1)
    columns, own_rows = _by_owner(owner, numbers), _by_owner(row_owner, numbers)
    parts = _Entries(whole, owner, row_owner, meeting, numbers)
    blocks = [_block(whole, n, columns[n], own_rows[n], parts) for n in numbers]
    return Blocks(whole, blocks[0], blocks[1:], meeting)


def _by_owner(owner: Ints, numbers: range) -> dict[int, Ints]:
    order = np.argsort(owner, kind="stable")
    ends = np.searchsorted(owner[order], np.arange(numbers.start, numbers.stop + 1))
    return {n: order[ends[k] : ends[k + 1]] for k, n in enumerate(numbers)}


class _Entries:
    """The entries of the whole matrix, sorted by the owner of their column: those of its own rows, and of meeting rows."""

    def __init__(self, whole: Program, owner: Ints, row_owner: Ints, meeting: Ints, numbers: range) -> None:
        matrix = whole.matrix
        self.of_column, self.is_meeting = owner[matrix.index], row_owner[matrix.row] == NOBODY - 1
        self.position = np.empty(owner.size, dtype=np.int64)
        for columns in _by_owner(owner, numbers).values():
            self.position[columns] = np.arange(columns.size)
        self.row_position = np.empty(row_owner.size, dtype=np.int64)
        for rows in _by_owner(row_owner, numbers).values():
            self.row_position[rows] = np.arange(rows.size)
        self.row_position[meeting] = np.arange(meeting.size)
        self.meeting_rows = meeting.size
        own, met = np.flatnonzero(~self.is_meeting), np.flatnonzero(self.is_meeting)
        self.own = {n: own[k] for n, k in _by_owner(self.of_column[own], numbers).items()}
        self.met = {n: met[k] for n, k in _by_owner(self.of_column[met], numbers).items()}
        self.matrix = matrix

    def sparse(self, entries: Ints, rows: int, width: int) -> Sparse:
        """Return some entries as a matrix of their own; they come row by row."""
        here = self.row_position[self.matrix.row[entries]]
        start = np.concatenate([[0], np.cumsum(np.bincount(here, minlength=rows))])
        return Sparse(start, self.position[self.matrix.index[entries]], self.matrix.value[entries], width)


def _block(whole: Program, owner: int, columns: Ints, rows: Ints, parts: _Entries) -> Block:
    program = Program(
        parts.sparse(parts.own[owner], rows.size, columns.size),
        whole.cost[columns], whole.col_lower[columns], whole.col_upper[columns],
        whole.row_lower[rows], whole.row_upper[rows], whole.integer[columns],
    )  # fmt: skip
    return Block(owner, columns, rows, program, parts.sparse(parts.met[owner], parts.meeting_rows, columns.size))
