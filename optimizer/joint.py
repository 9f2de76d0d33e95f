r"""Joins the compiled models of several scenarios into one: a block for each, shared decisions as one column for all.

    maximise   (1 - w) sum over b of p[b] profit[b] + w cvar
    cvar       eta - sum over b of p[b] short[b] / (1 - level)      eta free, short[b] >= 0                     [USD]
    tail       eta - profit[b] <= short[b]                          for each block b with p[b] > 0; where w > 0

profit[b] is the money of block b, p[b] its probability. A column that is shared has the narrowest bounds of its blocks.
A block without a probability earns nothing here: it only makes sure that its problem can share what is decided.

Source: Rockafellar and Uryasev (2000), "Optimization of conditional value-at-risk", for the lower tail of a profit.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from models.futures import CERTAIN_PPM, Risk
from optimizer.compiled import Compiled, Family, Flags, Floats, Ints
from optimizer.declare import Stage
from optimizer.stages import SHARED

OPTIONS = {"dual_feasibility_tolerance": 1e-9}
"""Money times a probability is small: at 1e-7 one joint model of 140 lost 0.06 USD of 525, with a bound that agreed."""
TAIL_UNIT_USD = 1000.0
"""Money in the rows of the tail, so that a fleet's profit does not dwarf the solver's tolerance."""

Sharing = Callable[[Compiled, Stage], Ints]
"""The columns of a stage that a compiled model shares with others; as many, and the same, in each of them."""


@dataclass(frozen=True, eq=False)
class Block:
    """The model of one scenario, its probability, and the work that it asks for; equal words share their service."""

    name: str
    ppm: int
    compiled: Compiled
    asks: str


@dataclass(frozen=True, eq=False)
class Joint:
    """Several blocks as one model: for each block, the numbers of its columns in the joint model."""

    compiled: Compiled
    columns: tuple[Ints, ...]

    @property
    def clash(self) -> Ints:
        """The joint columns to which blocks leave no common value."""
        return np.flatnonzero(self.compiled.col_lower > self.compiled.col_upper)

    def part(self, x: Floats, block: int) -> Floats:
        """Return the columns of a block."""
        return np.asarray(x[self.columns[block]])

    def tied(self, block: int) -> Ints:
        """Return the columns of a block, by its own numbers, that another block has too."""
        others = [numbers for n, numbers in enumerate(self.columns) if n != block]
        return np.flatnonzero(np.isin(self.columns[block], np.concatenate(others))) if others else np.zeros(0, dtype=np.int64)

    def fixed(self, columns: Ints, values: Floats) -> "Joint":
        """Return the joint model with some of its columns held."""
        low, high = self.compiled.col_lower.copy(), self.compiled.col_upper.copy()
        low[columns] = np.maximum(low[columns], values)
        high[columns] = np.minimum(high[columns], values)
        return replace(self, compiled=replace(self.compiled, col_lower=low, col_upper=high))


def join(blocks: Sequence[Block], sharing: Sharing | None, risk: Risk) -> Joint:
    """Return one model of several blocks; `sharing` says what they share, None: nothing.

    Raises:
        ValueError: two blocks do not have the same shared columns.
    """
    columns = _numbered(blocks, sharing)
    size = 1 + max((int(numbers.max(initial=-1)) for numbers in columns), default=-1)
    low, high, cost = np.full(size, -np.inf), np.full(size, np.inf), np.zeros(size)
    integer = np.zeros(size, dtype=np.bool_)
    offset, matrices = 0.0, []
    for block, numbers in zip(blocks, columns, strict=True):
        here, share = block.compiled, (1 - risk.weight_share) * block.ppm / CERTAIN_PPM
        np.maximum.at(low, numbers, here.col_lower)
        np.minimum.at(high, numbers, here.col_upper)
        np.add.at(cost, numbers, share * here.cost)
        np.logical_or.at(integer, numbers, here.integer)
        offset += share * here.offset
        matrices.append(_moved(here.matrix, numbers, size))
    row_low = np.concatenate([block.compiled.row_lower for block in blocks])
    row_high = np.concatenate([block.compiled.row_upper for block in blocks])
    compiled = nameless(sparse.vstack(matrices, format="csr"), cost, offset, (low, high), (row_low, row_high), integer)
    return Joint(_with_tail(compiled, blocks, columns, risk) if risk.weight_share else compiled, columns)


def _numbered(blocks: Sequence[Block], sharing: Sharing | None) -> tuple[Ints, ...]:
    """Number the columns of the joint model: a shared one bears the number that it has in the first block that has it."""
    found: list[Ints] = []
    count = 0
    for n, block in enumerate(blocks):
        numbers = np.full(block.compiled.cost.size, -1, dtype=np.int64)
        for stage in SHARED if sharing is not None and n else ():
            leader = next((m for m in range(n) if stage != "service" or blocks[m].asks == block.asks), None)
            if leader is None or sharing is None:
                continue
            own, its = sharing(block.compiled, stage), sharing(blocks[leader].compiled, stage)
            if own.size != its.size:
                raise ValueError(f"{block.name} and {blocks[leader].name} do not have the same decisions of kind {stage}")
            numbers[own] = found[leader][its]
        fresh = np.flatnonzero(numbers < 0)
        numbers[fresh] = np.arange(count, count + fresh.size)
        count += fresh.size
        found.append(numbers)
    return tuple(found)


def _moved(matrix: sparse.csr_matrix, numbers: Ints, columns: int) -> sparse.csr_matrix:
    """Return rows over other columns."""
    entries = matrix.tocoo()
    rows, old = entries.coords
    return sparse.csr_matrix((entries.data, (rows, numbers[old])), shape=(matrix.shape[0], columns))


def _with_tail(compiled: Compiled, blocks: Sequence[Block], columns: Sequence[Ints], risk: Risk) -> Compiled:
    """Add eta, what each block falls short of it, and the rows between them."""
    size = compiled.cost.size
    likely = [n for n, block in enumerate(blocks) if block.ppm]
    share = np.array([blocks[n].ppm / CERTAIN_PPM for n in likely])
    weight = risk.weight_share * TAIL_UNIT_USD
    cost = np.concatenate([compiled.cost, [weight], -weight / (1 - risk.level_share) * share])
    rows = []
    for place, n in enumerate(likely):
        profit = np.zeros(cost.size)
        np.add.at(profit, columns[n], -blocks[n].compiled.cost / TAIL_UNIT_USD)
        profit[size], profit[size + 1 + place] = 1.0, -1.0
        rows.append(sparse.csr_matrix(profit))
    wide = sparse.csr_matrix(
        (compiled.matrix.data, compiled.matrix.indices, compiled.matrix.indptr), (compiled.matrix.shape[0], cost.size)
    )
    known = np.array([blocks[n].compiled.offset / TAIL_UNIT_USD for n in likely])
    return nameless(
        sparse.vstack([wide, *rows], format="csr"),
        cost,
        compiled.offset,
        (
            np.concatenate([compiled.col_lower, [-np.inf], np.zeros(len(likely))]),
            np.concatenate([compiled.col_upper, np.full(1 + len(likely), np.inf)]),
        ),
        (
            np.concatenate([compiled.row_lower, np.full(len(likely), -np.inf)]),
            np.concatenate([compiled.row_upper, known]),
        ),
        np.concatenate([compiled.integer, np.zeros(1 + len(likely), dtype=np.bool_)]),
    )


def nameless(
    matrix: sparse.csr_matrix,
    cost: Floats,
    offset: float,
    columns: tuple[Floats, Floats],
    rows: tuple[Floats, Floats],
    integer: Flags,
) -> Compiled:
    """Return arrays as a compiled model whose columns and rows bear no names but their numbers."""
    matrix.sort_indices()
    numbers = {name: np.arange(size, dtype=np.int64) for name, size in (("column", cost.size), ("row", matrix.shape[0]))}
    families = {name: Family((name,), (tuple(map(str, range(n.size))),)) for name, n in numbers.items()}
    return Compiled(
        matrix=matrix, cost=cost, offset=offset, integer=integer,
        col_lower=columns[0], col_upper=columns[1], row_lower=rows[0], row_upper=rows[1],
        columns={"column": numbers["column"]}, rows={"row": numbers["row"]},
        column_families={"column": families["column"]}, row_families={"row": families["row"]}, money={},
    )  # fmt: skip
