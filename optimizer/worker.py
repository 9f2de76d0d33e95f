"""The solver behind a wall: a compiled model in, an outcome that nothing can spoil out.

HiGHS runs in a child process that this one can kill at any moment (`optimizer.highs_process`), and what the child says is
checked before it counts (`optimizer.hearing`). HiGHS' own time limit is a wish (35 s for a limit of 10 were measured); the
deadline is this process's own.
"""

import tempfile
import time
from collections.abc import Callable, Mapping
from typing import Literal

from optimizer import highs_wire as wire
from optimizer.beginning import Beginning
from optimizer.compiled import Compiled, Floats
from optimizer.hearing import Listener
from optimizer.highs_process import Caps, contain
from optimizer.outcome import Outcome, Progress
from optimizer.starting import Call, Program

GIB = 1 << 30
WISH_SHARE = 0.97
"""HiGHS is asked to stop by itself a little before its deadline: it then reports its last bound."""
CHILD = Call("optimizer.highs_child")
"""The real child."""
LOW_PRIORITY = 10


class Stopwatch:
    """Wall time since it was made; the one clock of the optimiser, and it never enters a plan's decisions."""

    def __init__(self) -> None:
        self._begun_s = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since it was made."""
        return time.monotonic() - self._begun_s


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
    program: Program | None = None,
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
    listener = Listener(compiled, progress)
    with tempfile.TemporaryFile() as model:
        wire.write_model(model, compiled, wanted, start, workers, warm, way, engine)
        model.seek(0)
        caps = Caps(deadline_s, memory_bytes, LOW_PRIORITY if low_priority else 0)
        ended = contain(program or CHILD, model, caps, hear=listener.hear, tick=listener.tick, cancelled=cancelled)
    return listener.outcome(ended, gap)
