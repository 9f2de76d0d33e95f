"""What one more MW of each reserve is worth to a site: by the dual of what is sold, and by selling it and deciding anew."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from models.explanation import ReserveValue
from optimizer.compiled import Compiled, Floats
from optimizer.reserves import ReserveBlock, reserve_blocks
from optimizer.sets import World
from optimizer.variants import Answer, Variant, reduced_cost

KW_PER_MW = 1000
S_PER_H = 3600
TRACE_KW = 1e-3


@dataclass(frozen=True, eq=False)
class SoldBlock:
    """A block of a reserve that a step lies in, with its column and what the plan sells of it. [kW]

    one_more: the site with a MW more of it sold. a_trace: all counts fixed but the mode split, and a trace more of it sold, so
    that the dual is that of the next MW and not of the last one.
    """

    block: ReserveBlock
    column: int
    kw: float
    one_more: Variant
    a_trace: Variant

    def value(self, alone: Compiled, answer: Answer, traced: Answer, best_usd: float | None, best_gap_usd: float) -> ReserveValue:
        """Return its worth; answer, traced: those of `one_more` and `a_trace`."""
        marginal_usd = None
        if traced.row_dual is not None:
            marginal_usd = float(reduced_cost(self.a_trace.of(alone), traced.row_dual)[self.column]) * KW_PER_MW
        hours = float(self.block.seconds.sum()) / S_PER_H
        is_known = answer.objective_usd is not None and best_usd is not None and np.isfinite(answer.gap_usd)
        gain = (answer.objective_usd or 0.0) - (best_usd or 0.0)
        return ReserveValue(
            reserve=self.block.reserve.name,
            start=self.block.begins,
            end=self.block.ends,
            kw=round(self.kw),
            is_award=self.block.award_kw is not None,
            marginal_usd_per_mw_h=None if marginal_usd is None else marginal_usd / hours,
            next_mw_usd_per_mw_h=gain / hours if is_known else None,
            plus_minus_usd_per_mw_h=(answer.gap_usd + best_gap_usd) / hours if is_known else 0.0,
            fits=answer.status != "impossible",
        )


def sold_blocks(here: World, alone: Compiled, x: Floats, step: int, modes_free: Variant) -> list[SoldBlock]:
    """Return the blocks of a site's reserves that a step lies in; modes_free: all counts fixed but the mode split."""
    if not here.sites[0].reserves:
        return []
    labels, found = alone.column_families["reserve"].labels[0], []
    cells = alone.column_families["unkept"].labels[0]
    for block in reserve_blocks(here, 0):
        if not block.seconds[step]:
            continue
        column = int(alone.columns["reserve"][labels.index(block.label)])
        more = x[column] + KW_PER_MW
        own = zip(alone.columns["unkept"].tolist(), cells, strict=True)
        unkept = [n for n, cell in own if cell.startswith(f"{block.label} ")]
        upper = more if block.award_kw is not None else float(alone.col_upper[column])
        one_more = Variant(
            columns=np.array([column, *unkept], dtype=np.int64),
            lower=np.array([more, *(0.0 for _ in unkept)]),
            upper=np.array([upper, *(more for _ in unkept)]),
        )
        trace = np.where(modes_free.columns == column, TRACE_KW, 0.0)
        a_trace = replace(modes_free, lower=modes_free.lower + trace, upper=modes_free.upper + trace)
        found.append(SoldBlock(block, column, float(x[column]), one_more, a_trace))
    return found


def reserve_values(
    blocks: Sequence[SoldBlock], alone: Compiled, answers: Sequence[Answer], best_usd: float | None, best_gap_usd: float
) -> tuple[ReserveValue, ...]:
    """Return what each block is worth; answers: those of all `one_more`, then of all `a_trace`."""
    pairs = zip(blocks, answers[: len(blocks)], answers[len(blocks) :], strict=True)
    return tuple(block.value(alone, answer, traced, best_usd, best_gap_usd) for block, answer, traced in pairs)
