"""The solver behind a wall: a compiled model in, an outcome that nothing can spoil out.

HiGHS runs in a child process that this one can kill at any moment. What the child says is evidence, not truth: columns
count only after every bound, row and integer was checked here, and the objective is computed here. HiGHS' own time
limit is a wish (35 s for a limit of 10 were measured); the deadline is this process's own.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from optimizer import highs_wire as wire
from optimizer.beginning import Beginning
from optimizer.compiled import Compiled, Floats
from optimizer.doing import Doing, doing_of
from optimizer.highs_process import Caps, Ended, contain

GIB = 1 << 30
ROOT = Path(__file__).resolve().parents[1]
ROW_TOLERANCE = 1e-5
"""Units of a row (kW, PH/s, nodes); the plan's limits are made exact afterwards, when it is quantised."""
INTEGER_TOLERANCE = 1e-5
WISH_SHARE = 0.97
"""HiGHS is asked to stop by itself a little before its deadline: it then reports its last bound."""
MAX_INCUMBENTS = 500
LOW_PRIORITY = 10


class Stopwatch:
    """Wall time since it was made; the one clock of the optimiser, and it never enters a plan's decisions."""

    def __init__(self) -> None:
        self._begun_s = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since it was made."""
        return time.monotonic() - self._begun_s


Status = Literal["optimal", "feasible", "no_primal", "infeasible", "open", "failed"]
Way = Literal["best", "sites", "one model"]
OptionValue = bool | int | float | str

OPTIONS: Mapping[str, OptionValue] = {
    "presolve": "on",  # off returned wrong optima on 14 of 6,000 small problems of our kind
    # Amounts between the tolerance and ten times it can cost presolve the optimum (one token of backlog, 1e-6 in the model,
    # at a tolerance of 1e-7: 23 USD lost, and a bound that said so). No milliwatt, token or minute of either is that small.
    "primal_feasibility_tolerance": 1e-9,
    "mip_feasibility_tolerance": 1e-9,
    "dual_feasibility_tolerance": 1e-7,
    "mip_heuristic_run_feasibility_jump": False,  # took 40 % of a site's whole numbers and never found better ones
    "threads": 1,
}


@dataclass(frozen=True)
class Progress:
    """What is known after some seconds: objective of the best plan, certified bound, relative gap, what is being done."""

    seconds: float
    objective_usd: float | None
    bound_usd: float | None
    doing: Doing | None = None

    @property
    def gap(self) -> float | None:
        """(bound - objective) / |objective|, where both are known."""
        if self.objective_usd is None or self.bound_usd is None or self.objective_usd == 0:
            return None
        return max(0.0, self.bound_usd - self.objective_usd) / abs(self.objective_usd)


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a solver child came to.

    optimal: columns within the asked gap; feasible: columns, but the gap is wider or unknown; no_primal: time ran out
    before any; infeasible: the solver says that there are none, which its caller must confirm; open: the sites came to
    nothing, and one model must answer; failed: see `why`.
    `curve` holds each change of objective or bound as it was known to this process; `how` says in words what was done.
    """

    status: Status
    why: str
    x: Floats | None
    objective_usd: float | None
    bound_usd: float | None
    wall_s: float
    cpu_s: float
    peak_memory_bytes: int
    curve: tuple[Progress, ...]
    how: str = ""
    prices: Floats | None = None
    """For each row in which sites meet what a unit of it is worth, NaN for the others; where the child knows. [USD]"""


def default_program() -> tuple[str, ...]:
    """Return the command of the real solver child: isolated from the environment and the current folder."""
    start = f"import os,sys; sys.path.insert(0, {str(ROOT)!r}); from optimizer.highs_child import main; main(os.getppid())"
    return (sys.executable, "-I", "-c", start)


def solve(
    compiled: Compiled,
    *,
    gap: float = 1e-3,
    deadline_s: float,
    memory_bytes: int = 2 * GIB,
    seed: int = 0,
    options: Mapping[str, OptionValue] | None = None,
    start: Floats | None = None,
    progress: Callable[[Progress], None] | None = None,
    cancelled: Callable[[], bool] = lambda: False,
    low_priority: bool = False,
    workers: int = 1,
    engine: str | None = None,
    warm: Beginning | None = None,
    way: Way = "best",
    program: tuple[str, ...] | None = None,
) -> Outcome:
    """Solve a compiled model in a child process; return within half a second of the deadline, whatever the child does.

    Arguments:
        compiled: the model.
        gap: relative gap at which to stop.
        deadline_s: wall time from now, the start of the child included. [s]
        memory_bytes: cap on the address space of the child and on what its whole family holds.
        seed: of HiGHS' random choices; equal seeds give equal answers, unless time runs out.
        options: HiGHS options that replace those of `OPTIONS`.
        start: columns of a plan to begin with, NaN where a column is left open. [columns]
        progress: called from this thread about every tick, with what is known by then.
        cancelled: asked every tick; the child is gone at most half a second after it says yes.
        low_priority: give way to other processes.
        workers: processes that share out the sites of a large fleet; the plan does not depend on it.
        engine: URL of a Dask cluster whose workers do that instead.
        warm: what is known from the plan before.
        way: site by site alone, as one model alone, or whichever is better for so many sites and then the other.
        program: the command to run instead of the real child (tests run hostile ones).
    """
    wanted = {
        **OPTIONS, "mip_rel_gap": gap, "random_seed": seed, "time_limit": max(0.1, WISH_SHARE * deadline_s), **(options or {}),
    }  # fmt: skip
    listener = _Listener(compiled, progress)
    with tempfile.TemporaryFile() as model:
        wire.write_model(model, compiled, wanted, start, workers, warm, way, engine)
        model.seek(0)
        caps = Caps(deadline_s, memory_bytes, LOW_PRIORITY if low_priority else 0)
        ended = contain(program or default_program(), model, caps, hear=listener.hear, tick=listener.tick, cancelled=cancelled)
    return listener.outcome(ended, gap)


def broken(compiled: Compiled, x: Floats) -> str:
    """Return in words the worst thing that is wrong with columns, or nothing."""
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
class _Listener:
    """What this process has heard from a child, and found to be true."""

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
        try:
            for header, arrays in self.reader.feed(chunk):
                self._take(header, arrays)
        except (wire.GarbledError, wire.OversizedError) as error:
            self.fault, self.is_garbled = str(error), True
            return False
        return True

    def tick(self, seconds: float) -> None:
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
        if fault := broken(self.compiled, x):
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
