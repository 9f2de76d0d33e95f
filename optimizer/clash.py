"""Says in words which decisions scenarios would have to take differently, where they cannot share them all.

Each scenario gets its own copy of every shared count, and the copies are drawn together as far as the rules let them: the
least sum of differences is looked for. What then still differs is what stands in the way.
"""

from collections.abc import Callable, Sequence

import numpy as np
from scipy import sparse

from models.futures import Risk
from optimizer.compiled import Compiled, Floats, Ints
from optimizer.declare import Stage
from optimizer.joint import Block, Sharing, join, nameless

COUNTS: tuple[Stage, ...] = ("commitment", "set_point", "contract")
NOTHING = 1e-4
MOST_TOLD = 3


def differences(blocks: Sequence[Block], sharing: Sharing, solve: Callable[[Compiled], Floats | None]) -> list[str]:
    """Return the largest differences that scenarios cannot do without; none where that was not found out.

    solve: returns the best columns of a model, or None.
    """
    apart = join(blocks, None, Risk())
    own = [np.concatenate([sharing(block.compiled, stage) for stage in COUNTS]) for block in blocks]
    first = np.concatenate([apart.columns[0][own[0]] for _ in blocks[1:]])
    others = np.concatenate([apart.columns[n][own[n]] for n in range(1, len(blocks))])
    if (x := solve(_drawn_together(apart.compiled, first, others))) is None:
        return []
    told = []
    for place in np.argsort(-np.abs(x[first] - x[others]), kind="stable")[:MOST_TOLD].tolist():
        here, there = x[first[place]], x[others[place]]
        if abs(here - there) > NOTHING:
            n, at = divmod(place, own[0].size)
            label = blocks[0].compiled.column_label(int(own[0][at]))
            told.append(f"{label} would be {here:g} for {blocks[0].name} and {there:g} for {blocks[n + 1].name}")
    return told


def _drawn_together(compiled: Compiled, first: Ints, others: Ints) -> Compiled:
    """Return the model that loses one for each unit by which a pair of columns differs, and earns nothing."""
    pairs, size = first.size, compiled.cost.size
    ones = np.ones(pairs)
    rows = np.tile(np.arange(pairs), 4)
    columns = np.concatenate([first, others, size + np.arange(pairs), size + pairs + np.arange(pairs)])
    entries = np.concatenate([ones, -ones, -ones, ones])
    wide = sparse.csr_matrix(
        (compiled.matrix.data, compiled.matrix.indices, compiled.matrix.indptr), (compiled.matrix.shape[0], size + 2 * pairs)
    )
    equal = sparse.csr_matrix((entries, (rows, columns)), shape=(pairs, size + 2 * pairs))
    return nameless(
        sparse.vstack([wide, equal], format="csr"),
        np.concatenate([np.zeros(size), -np.ones(2 * pairs)]),
        0.0,
        (np.append(compiled.col_lower, np.zeros(2 * pairs)), np.append(compiled.col_upper, np.full(2 * pairs, np.inf))),
        (np.append(compiled.row_lower, np.zeros(pairs)), np.append(compiled.row_upper, np.zeros(pairs))),
        np.append(compiled.integer, np.zeros(2 * pairs, dtype=np.bool_)),
    )
