"""What is heard from a solver child is evidence, not truth: columns count only after every bound, row and integer was checked.

The objective is computed here. A bound below a plan that was checked is refused, and with it that the plan is optimal.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from optimizer import highs_wire as wire
from optimizer.compiled import Compiled, Floats
from optimizer.doing import Doing, doing_of
from optimizer.highs_process import Ended
from optimizer.outcome import Outcome, Progress, Status

ROW_TOLERANCE = 1e-5
"""Units of a row (kW, PH/s, nodes); the plan's limits are made exact afterwards, when it is quantised."""
INTEGER_TOLERANCE = 1e-5
MAX_INCUMBENTS = 500


def fault_of(compiled: Compiled, x: Floats) -> str:
    """Return in words the worst thing that is wrong with columns that a solver gave, or nothing."""
    if x.shape != compiled.cost.shape:
        return f"expected {compiled.cost.size} columns, got {x.size}"
    if not np.isfinite(x).all():
        return f"column {compiled.column_label(int(np.flatnonzero(~np.isfinite(x))[0]))} is not a finite number"
    fraction = np.abs(x - np.round(x)) * compiled.integer
    outside = np.maximum(compiled.col_lower - x, x - compiled.col_upper)
    activity = compiled.matrix @ x
    slack = ROW_TOLERANCE + 1e-9 * (abs(compiled.matrix) @ np.abs(x))
    short = np.maximum(compiled.row_lower - activity, activity - compiled.row_upper) - slack
    if fraction.size and fraction.max() > INTEGER_TOLERANCE:
        worst = int(fraction.argmax())
        return f"{compiled.column_label(worst)} is {x[worst]!r}, expected a whole number"
    if outside.size and outside.max() > ROW_TOLERANCE:
        worst = int(outside.argmax())
        return f"{compiled.column_label(worst)} is {x[worst]!r}, outside {compiled.col_lower[worst]}..{compiled.col_upper[worst]}"
    if short.size and short.max() > 0:
        worst = int(short.argmax())
        low, high = compiled.row_lower[worst], compiled.row_upper[worst]
        return f"{compiled.row_label(worst)} is {activity[worst]!r}, outside {low}..{high}"
    return ""


@dataclass
class Listener:
    """What this process has heard from a child about a model, and found to be true; `progress` is told of it at every tick."""

    compiled: Compiled
    progress: Callable[[Progress], None] | None
    x: Floats | None = None
    objective_usd: float | None = None
    bound_usd: float | None = None
    final: dict[str, Any] | None = None
    prices: Floats | None = None
    doing: Doing | None = None
    fault: str = ""
    is_garbled: bool = False
    now_s: float = 0.0
    curve: list[Progress] = field(default_factory=list)

    def __post_init__(self) -> None:
        vector_bytes = 8 * self.compiled.cost.size
        self.reader = wire.Reader(
            vector_bytes + 8 * self.compiled.row_lower.size + 4096, MAX_INCUMBENTS * vector_bytes + (16 << 20)
        )

    def hear(self, chunk: bytes) -> bool:
        """Take what the child wrote; say whether it can still be understood."""
        try:
            for header, arrays in self.reader.feed(chunk):
                self._take(header, arrays)
        except (wire.GarbledError, wire.OversizedError) as error:
            self.fault, self.is_garbled = str(error), True
            return False
        return True

    def tick(self, seconds: float) -> None:
        """Tell what is known after so many seconds."""
        self.now_s = seconds
        if self.progress is not None:
            self.progress(Progress(seconds, self.objective_usd, self.bound_usd, self.doing))

    def _take(self, header: dict[str, Any], arrays: wire.Arrays) -> None:
        if header.get("kind") not in ("progress", "incumbent", "final") or self.final is not None:
            raise wire.GarbledError(f"an unexpected frame {str(header)[:200]}")
        bound = header.get("bound")
        if type(bound) is float and (self.bound_usd is None or bound < self.bound_usd):
            self.bound_usd = bound
        if "x" in arrays:
            self._plan(arrays["x"])
        self.doing = doing_of(header) or self.doing
        if header["kind"] == "final":
            self.final = header
            found = arrays.get("prices")
            self.prices = found if found is not None and found.shape == self.compiled.row_lower.shape else None
        now = Progress(self.now_s, self.objective_usd, self.bound_usd)
        last = self.curve[-1] if self.curve else None
        if last is None or (last.objective_usd, last.bound_usd) != (now.objective_usd, now.bound_usd):
            self.curve.append(now)

    def _plan(self, x: Floats) -> None:
        """Keep columns that are sound and better than the best so far."""
        if fault := fault_of(self.compiled, x):
            self.fault = f"wrong columns: {fault}"
            return
        objective = self.compiled.objective(x)
        if self.objective_usd is None or objective > self.objective_usd:
            self.x, self.objective_usd = x, objective

    def outcome(self, ended: Ended, gap: float) -> Outcome:
        """Put together what was heard and how it ended."""
        bound = self.bound_usd
        scale = max(1.0, abs(self.objective_usd or 0.0))
        if self.objective_usd is not None and bound is not None and bound < self.objective_usd - 1e-6 * scale:
            self.fault, bound = f"bound {bound} lies below a plan of {self.objective_usd}", None
        elif self.objective_usd is not None and bound is not None:
            bound = max(bound, self.objective_usd)
        status, why = self._verdict(ended, gap, bound)
        return Outcome(
            status, why, self.x, self.objective_usd, bound,
            ended.wall_s, ended.cpu_s, ended.peak_memory_bytes, tuple(self.curve), self._how(), self.prices,
        )  # fmt: skip

    def _how(self) -> str:
        how = (self.final or {}).get("how")
        return how[:600] if isinstance(how, str) else ""

    def _verdict(self, ended: Ended, gap: float, bound: float | None) -> tuple[Status, str]:
        why = self._why(ended)
        if self.is_garbled:
            return "failed", why
        if self.x is not None and self.objective_usd is not None:
            is_within = bound is not None and bound - self.objective_usd <= gap * abs(self.objective_usd) + 1e-6
            return ("optimal", why) if is_within and self.final is not None else ("feasible", why)
        said = (self.final or {}).get("status")
        if said in ("Infeasible", "UnboundedOrInfeasible") and not self.fault:
            return "infeasible", why
        if said == "Open":
            return "open", why
        if said in ("TimeLimit", "WorkLimit", "SolutionLimit", "Interrupt") or ended.why == "deadline":
            return "no_primal", why
        return "failed", why

    def _why(self, ended: Ended) -> str:
        last_line = (ended.said.strip().splitlines() or [""])[-1][:300]
        if self.is_garbled:
            return f"garbled: {self.fault}"
        if ended.why == "exit" and ended.code == 0 and self.final is None:
            whole = self.reader.is_between_frames
            return "silent: the child ended without an answer" if whole else "truncated: the answer ends in the middle"
        words = {
            "deadline": "deadline: killed when its time was over",
            "memory": f"memory: more than its cap, {last_line or 'killed'}",
            "cancelled": "cancelled: killed on request",
            "signal": f"crashed: ended by signal {-ended.code} {last_line}",
            "spawn": f"spawn: the child could not be started, {ended.said}",
        }
        if ended.why in words:
            return words[ended.why].strip()
        if ended.code:
            kind = "memory" if "MemoryError" in ended.said or "bad_alloc" in ended.said else "crashed"
            return f"{kind}: exit code {ended.code}, {last_line}"
        return self.fault or f"solver: {(self.final or {}).get('status')}"
