"""What every measurement of the engine's benchmark begins with: a fleet by its name, its arrays, and seconds that are spent."""

import resource
import time
from datetime import UTC, datetime
from typing import Any

GIB = 1 << 30
Figures = dict[str, Any]


def problem_of(name: str, seed: int) -> Any:
    """Return the problem of a fleet by its name: `45x24`, `45x24-tight`, `45x288-5min`, `reference x 48`."""
    from benchmarks.fleets import KINDS, fleet

    size, _, kind = name.partition("-")
    sites, steps = (part.strip() for part in size.split("x"))
    if sites == "reference":
        from scenarios.feed import reference_problem

        return reference_problem(datetime(2026, 11, 22, 9, tzinfo=UTC), hours=int(steps))
    length_s = 300 if kind == "5min" else 3600
    return fleet(int(sites), int(steps), step_s=length_s, seed=seed, kind=next((k for k in KINDS if k == kind), "ordinary"))


def compiled_of(name: str, seed: int) -> Any:
    """Return a fleet's model as arrays."""
    from optimizer.formulation import build
    from optimizer.recovery import recover

    if name == "given":
        from benchmarks.given_fleet import compiled, instance

        return compiled(instance())
    problem = problem_of(name, seed)
    return build(problem, release=recover(problem).release)


def arrays_of(compiled: Any) -> dict[str, Any]:
    """Return the arrays that a solver child is handed."""
    matrix = compiled.matrix
    arrays = {"start": matrix.indptr, "index": matrix.indices, "value": matrix.data, "cost": compiled.cost}
    names = ("integer", "col_lower", "col_upper", "row_lower", "row_upper")
    return arrays | {name: getattr(compiled, name) for name in names}


class Spent:
    """CPU and wall seconds since it was made, of this process and of all children that have ended.

    The server that forks solvers runs by then, as it does in a service; `commanded` alone has to start everything.
    """

    def __init__(self) -> None:
        from optimizer import fork_server

        fork_server.begin()
        self._begun_cpu_s = self._used()  # which waits for the server
        self._begun_s = time.monotonic()

    @staticmethod
    def _used() -> float:
        from optimizer import fork_server

        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(u.ru_utime + u.ru_stime for u in used) + fork_server.used()[0]

    def figures(self) -> Figures:
        """Return both by name."""
        return {"cpu_s": self._used() - self._begun_cpu_s, "wall_s": time.monotonic() - self._begun_s}


def gap_between(objective: float | None, bound: float | None) -> float | None:
    """Return (bound - objective) / |objective|, where both are known."""
    return None if objective is None or bound is None else (bound - objective) / max(1.0, abs(objective))
