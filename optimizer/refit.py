"""Better whole numbers for one site, a few steps at a time: fix and optimise (Helber and Sahling, 2010).

All counts are held but those of a window of neighbouring steps, and a tree looks for the best of these. What fills a limit best,
so many blocks in one mode and so many in another, is a knapsack of one step: several counts change at once, which moves of
single blocks do not find, and a tree over all steps hardly ever comes to it. What the relaxation of a window could win says
beforehand whether it is worth a tree; of most windows it is nothing. Those that could win most come first.
"""

from typing import Any

import numpy as np

from optimizer.blocks import Program
from optimizer.compiled import Floats, Ints
from optimizer.exchange import following, stepwise
from optimizer.highs_models import SITE_LP, begin_with, columns_of, found_plan, highs_of, is_optimal

PROMISED = 0.5
"""Of what a window must be able to win: so much is promised of nine tenths of what all can win (August of 2023; tight fleets)."""
LEAST_GAIN_USD = 0.5
"""By which a tree need not be better than what it found."""


def refitted(program: Program, x: Floats, options: dict[str, Any], window: int, least_usd: float, nodes: int) -> Floats | None:
    """Return columns that are worth no less than known ones; nothing where no window could win enough.

    Arguments:
        program: the site with all that its counts are worth.
        x: its columns, counts and all.
        options: of HiGHS, for relaxations; trees get `nodes`.
        window: steps that are looked at together.
        least_usd: what a window must be able to win.
        nodes: of a tree.
    """
    table = stepwise(program)
    held = np.flatnonzero(program.integer & ~following(program, table))
    windows = [table[:, t : t + window].ravel() for t in range(table.shape[1] - window + 1)]
    could_win_usd = _potentials(program, x, options, held, windows, least_usd)
    worth_a_tree = [n for n in np.argsort(-could_win_usd, kind="stable") if could_win_usd[n] >= least_usd]
    if not worth_a_tree:
        return None
    limits = {"mip_rel_gap": 0.0, "mip_abs_gap": LEAST_GAIN_USD, "mip_max_nodes": nodes}
    tree = highs_of(program, options | limits, whole=True)
    _hold(tree, held, x)
    for n in worth_a_tree:
        columns = windows[n]
        tree.changeColsBounds(columns.size, columns, program.col_lower[columns], program.col_upper[columns])
        begin_with(tree, x)
        tree.run()
        if found_plan(tree) and program.cost @ (found := columns_of(tree)) > program.cost @ x:
            x = found
        _hold(tree, columns, x)
    return x


def _potentials(
    program: Program, x: Floats, options: dict[str, Any], held: Ints, windows: list[Ints], least_usd: float
) -> Floats:
    """Return what the relaxation of each window wins, all other counts held; nothing where that is not worth working out. [USD]

    It is where the reduced costs of the counts at hand promise enough of going to those of the relaxation of the whole site.
    """
    could_win_usd, lp = np.zeros(len(windows)), highs_of(program, options | SITE_LP)
    lp.run()
    if not is_optimal(lp):
        return could_win_usd
    relaxed, now_usd = columns_of(lp), float(program.cost @ x)
    _hold(lp, held, x)
    lp.run()
    if not is_optimal(lp):
        return could_win_usd
    promised_usd = np.maximum(0.0, np.array(lp.getSolution().col_dual) * (relaxed - x))
    for n, columns in enumerate(windows):
        if promised_usd[columns].sum() < PROMISED * least_usd:
            continue
        lp.changeColsBounds(columns.size, columns, program.col_lower[columns], program.col_upper[columns])
        lp.run()
        if is_optimal(lp):
            could_win_usd[n] = float(lp.getInfo().objective_function_value) - now_usd
        _hold(lp, columns, x)
    return could_win_usd


def _hold(highs: Any, columns: Ints, x: Floats) -> None:
    at = np.round(x[columns])
    highs.changeColsBounds(columns.size, columns, at, at)
