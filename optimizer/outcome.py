"""What a solver child came to, and what is known on the way there."""

from dataclasses import dataclass
from typing import Literal

from optimizer.compiled import Floats
from optimizer.doing import Doing

Status = Literal["optimal", "feasible", "no_primal", "infeasible", "open", "failed"]


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
