"""Exact linear programming for tiny programmes: the simplex method in whole numbers, without any rounding.

    maximise gain . x  subject to  rows . x <= right,  x >= 0

The tableau holds whole numbers over one common denominator (Bareiss' fraction-free elimination), so every step is exact.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm

import numpy as np

CALM_STEPS = 60
"""After so many pivots the smallest index decides (Bland), which cannot cycle."""


@dataclass(frozen=True)
class Answer:
    """The best value, or None where nothing is feasible; and a price for each row.

    Prices are >= 0. With a value, `prices . right` equals it, and bounds it for every other right-hand side; without
    one, `prices . right` is below zero, and whatever has a right-hand side for which it is, is infeasible as well.
    """

    value: Fraction | None
    prices: list[Fraction]


class _Tableau:
    """Rows `x_basic + sum of entries x_other = right`, all over `unit`; columns: variables, slacks, helper, right."""

    def __init__(self, rows: Sequence[dict[int, int]], right: Sequence[int], variables: int) -> None:
        self.rows, self.variables = len(rows), variables
        self.helper = variables + self.rows
        self.table = np.zeros((self.rows, self.helper + 2), dtype=object)
        for n, (row, b) in enumerate(zip(rows, right, strict=True)):
            for column, value in row.items():
                self.table[n, column] = value
            self.table[n, variables + n] = 1
            self.table[n, -1] = b
        self.basis = [variables + n for n in range(self.rows)]
        self.unit = 1

    def pivot(self, row: int, column: int) -> None:
        entry = self.table[row, column]
        kept = self.table[row].copy()
        self.table = (self.table * entry - np.outer(self.table[:, column], kept)) // self.unit
        self.table[row] = kept
        self.unit = entry
        if entry < 0:
            self.table, self.unit = -self.table, -self.unit
        self.basis[row] = column

    def reduced(self, gain: Sequence[int]) -> np.ndarray:
        """Return `unit` times (gain lost by entering each column); the last is the value."""
        lost = -self.unit * np.array([*gain, 0], dtype=object)
        for row, basic in enumerate(self.basis):
            if gain[basic]:
                lost = lost + gain[basic] * self.table[row]
        return lost

    def maximise(self, gain: Sequence[int], closed: int | None = None) -> np.ndarray:
        """Pivot to the best vertex, never entering the closed column; return the reduced gains."""
        lost = self.reduced(gain)
        step = 0
        while True:
            entering = [c for c in range(len(gain)) if lost[c] < 0 and c != closed]
            if not entering:
                return lost
            column = min(entering, key=lambda c: lost[c]) if step < CALM_STEPS else entering[0]
            entries, rights = self.table[:, column], self.table[:, -1]
            ratios = [(Fraction(rights[r], entries[r]), self.basis[r], r) for r in range(self.rows) if entries[r] > 0]
            if not ratios:
                raise ArithmeticError("unbounded: every column ought to stand in a row that bounds it")
            row = min(ratios)[2]
            entry, before = self.table[row, column], self.unit
            lost = (lost * entry - lost[column] * self.table[row]) // before
            self.pivot(row, column)
            step += 1


def maximise(gain: Sequence[Fraction], rows: Sequence[dict[int, Fraction]], right: Sequence[Fraction]) -> Answer:
    """Solve one programme exactly."""
    scales, whole, whole_right = [], [], []
    for row, b in zip(rows, right, strict=True):
        scale = lcm(b.denominator, *(a.denominator for a in row.values()))
        scales.append(scale)
        whole.append({c: int(a * scale) for c, a in row.items()})
        whole_right.append(int(b * scale))
    tableau = _Tableau(whole, whole_right, len(gain))
    if whole_right and min(whole_right) < 0:
        prices = _make_feasible(tableau)
        if prices is not None:
            return Answer(None, [p * s for p, s in zip(prices, scales, strict=True)])
    gain_scale = lcm(1, *(g.denominator for g in gain))
    wanted = [int(g * gain_scale) for g in gain] + [0] * (tableau.rows + 1)
    lost = tableau.maximise(wanted, closed=tableau.helper)
    prices = [Fraction(lost[len(gain) + n], tableau.unit * gain_scale) * scales[n] for n in range(tableau.rows)]
    return Answer(Fraction(lost[-1], tableau.unit * gain_scale), prices)


def _make_feasible(tableau: _Tableau) -> list[Fraction] | None:
    """Drive the one helper column out; return prices that prove it impossible, or None where it worked."""
    tableau.table[:, tableau.helper] = -1
    worst = min(range(tableau.rows), key=lambda r: tableau.table[r, -1])
    tableau.pivot(worst, tableau.helper)
    gain = [0] * (tableau.helper + 1)
    gain[tableau.helper] = -1
    lost = tableau.maximise(gain)
    if lost[-1] < 0:
        return [Fraction(lost[tableau.variables + n], tableau.unit) for n in range(tableau.rows)]
    if tableau.helper in tableau.basis:
        row = tableau.basis.index(tableau.helper)
        column = next(c for c in range(tableau.helper) if tableau.table[row, c])
        tableau.pivot(row, column)
    return None
