"""Solves one compiled model many times with some bounds changed, in one contained child; what it says is checked here.

Columns count only after every bound, row and integer was checked, objectives are computed here, and the duals of a relaxed
variant count only where they prove the objective: for any duals y the sum of the best that each column and row can give is
a bound, and at the right ones it is the optimum.
"""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from optimizer import highs_wire as wire
from optimizer.compiled import Compiled, Floats, Ints
from optimizer.hearing import MAX_INCUMBENTS, fault_of
from optimizer.highs_process import Caps, contain
from optimizer.starting import Call, Program
from optimizer.worker import GIB, LOW_PRIORITY, OPTIONS

ABSOLUTE_GAP_USD = 0.01
DUAL_TOLERANCE = 1e-6
"""Reduced costs below this against an open bound are the solver's tolerance. [USD per unit]"""
PROVEN_SHARE = 1e-6
CHILD = Call("optimizer.variant_child")
"""The real child."""


@dataclass(frozen=True, eq=False)
class Variant:
    """A model with other bounds on some columns; `is_relaxed`: no column need be whole."""

    columns: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    lower: Floats = field(default_factory=lambda: np.zeros(0))
    upper: Floats = field(default_factory=lambda: np.zeros(0))
    is_relaxed: bool = False

    def of(self, compiled: Compiled) -> Compiled:
        """Return the model that this variant is."""
        low, high = compiled.col_lower.copy(), compiled.col_upper.copy()
        low[self.columns], high[self.columns] = self.lower, self.upper
        integer = np.zeros_like(compiled.integer) if self.is_relaxed else compiled.integer
        return replace(compiled, col_lower=low, col_upper=high, integer=integer)


@dataclass(frozen=True, eq=False)
class Answer:
    """What became of a variant: solved (columns, objective, a bound), impossible, or unknown (time was over)."""

    status: Literal["solved", "impossible", "unknown"] = "unknown"
    x: Floats | None = None
    objective_usd: float | None = None
    bound_usd: float | None = None
    row_dual: Floats | None = None

    @property
    def gap_usd(self) -> float:
        """By how much the best could be better than what was found; infinite where no bound is known."""
        if self.objective_usd is None or self.bound_usd is None:
            return float("inf")
        return max(0.0, self.bound_usd - self.objective_usd)


def solve_variants(
    compiled: Compiled,
    variants: Sequence[Variant],
    *,
    deadline_s: float,
    memory_bytes: int = 2 * GIB,
    cancelled: Callable[[], bool] = lambda: False,
    low_priority: bool = True,
    program: Program | None = None,
) -> list[Answer]:
    """Return an answer for every variant, in order; those that time did not suffice for are unknown.

    Arguments:
        compiled: the model.
        variants: which bounds to change; a variant with a lower above its upper bound is impossible.
        deadline_s: wall time from now for all of them together. [s]
        memory_bytes: cap on the child and its family.
        cancelled: asked every tick.
        low_priority: give way to other processes.
        program: the command to run instead of the real child (tests run hostile ones).
    """
    answers = [Answer()] * len(variants)
    lawful = [n for n, variant in enumerate(variants) if not (variant.lower > variant.upper).any()]
    for n in set(range(len(variants))) - set(lawful):
        answers[n] = Answer("impossible")
    if not lawful or deadline_s <= 0:
        return answers
    listener = _Listener(compiled, [variants[n] for n in lawful])
    with tempfile.TemporaryFile() as model:
        _write(model, compiled, listener.variants, deadline_s)
        model.seek(0)
        caps = Caps(deadline_s, memory_bytes, LOW_PRIORITY if low_priority else 0)
        contain(program or CHILD, model, caps, hear=listener.hear, cancelled=cancelled)
    for n, answer in zip(lawful, listener.answers, strict=True):
        answers[n] = answer
    return answers


def _write(stream: Any, compiled: Compiled, variants: Sequence[Variant], deadline_s: float) -> None:
    arrays = wire.model_arrays(compiled) | {
        "variant_ends": np.cumsum([v.columns.size for v in variants]).astype("<i8"),
        "variant_relaxed": np.array([v.is_relaxed for v in variants], dtype=np.bool_),
        "variant_columns": np.concatenate([v.columns for v in variants]).astype("<i8"),
        "variant_lower": np.concatenate([v.lower for v in variants]).astype("<f8"),
        "variant_upper": np.concatenate([v.upper for v in variants]).astype("<f8"),
    }  # fmt: skip
    options = {**OPTIONS, "mip_rel_gap": 0.0, "mip_abs_gap": ABSOLUTE_GAP_USD, "random_seed": 0, "time_limit": deadline_s}
    wire.write(stream, {"options": options, "offset": compiled.offset, "deadline_s": deadline_s}, arrays)


class _Listener:
    """What was heard of each variant, and found to be true."""

    def __init__(self, compiled: Compiled, variants: list[Variant]) -> None:
        self.variants = variants
        self.answers = [Answer()] * len(variants)
        self._compiled = compiled
        most_bytes = 8 * sum(compiled.matrix.shape) + 4096
        self._reader = wire.Reader(most_bytes, MAX_INCUMBENTS * most_bytes)

    def hear(self, chunk: bytes) -> bool:
        try:
            for header, arrays in self._reader.feed(chunk):
                number = header.get("number")
                if type(number) is not int or not 0 <= number < len(self.answers):
                    return False
                self.answers[number] = self._checked(self.variants[number], header, arrays)
        except (wire.GarbledError, wire.OversizedError):
            return False
        return True

    def _checked(self, variant: Variant, header: dict[str, Any], arrays: wire.Arrays) -> Answer:
        if "x" not in arrays:
            return Answer("impossible" if header.get("status") == "Infeasible" else "unknown")
        here, x = variant.of(self._compiled), arrays["x"]
        if fault_of(here, x):
            return Answer()
        objective, bound = here.objective(x), header.get("bound")
        if type(bound) is not float or bound < objective - PROVEN_SHARE * max(1.0, abs(objective)):
            bound = None
        duals = arrays.get("row_dual")
        if duals is not None and abs(proven(here, duals) - objective) > PROVEN_SHARE * max(1.0, abs(objective)):
            duals = None
        return Answer("solved", x, objective, None if bound is None else max(bound, objective), duals)


def proven(compiled: Compiled, row_dual: Floats) -> float:
    """Return the bound on the relaxed optimum that duals of the rows prove, whatever they are; infinite where none. [USD]."""
    if row_dual.shape != compiled.row_lower.shape or not np.isfinite(row_dual).all():
        return float("inf")
    reduced = reduced_cost(compiled, row_dual)
    rows = _best(row_dual, compiled.row_lower, compiled.row_upper)
    return float(compiled.offset + rows + _best(reduced, compiled.col_lower, compiled.col_upper))


def reduced_cost(compiled: Compiled, row_dual: Floats) -> Floats:
    """Return what another unit of each column would earn at these duals. [USD per unit]."""
    return np.asarray(compiled.cost - compiled.matrix.T @ row_dual, dtype=np.float64)


def _best(value: Floats, lower: Floats, upper: Floats) -> float:
    bound = np.where(value > 0, upper, lower)
    counts = (np.abs(value) > DUAL_TOLERANCE) | np.isfinite(bound)
    return float(np.sum(value[counts] * bound[counts]))
