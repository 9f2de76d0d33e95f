"""A second mind: the same formulation, read row by row and handed by file to another solver in a process of its own.

The file comes from the Pyomo reading, not from the arrays that production solves, so that a fault in either the compiled
arrays or in HiGHS shows as two figures that do not fit together.
"""

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from models.plan import Plan
from models.problem import Problem
from optimizer.child import command
from optimizer.formulation import data_of, formulate
from optimizer.highs_process import Caps, Ended, contain
from optimizer.pyomo_reading import read
from optimizer.recovery import recover
from optimizer.sets import world
from optimizer.worker import GIB

MAX_ANSWER_BYTES = 64 * 1024
WISH_SHARE = 0.9
TOLERANCE = 1e-6
"""Relative; both solvers' feasibility tolerances are of this order on sums of this kind."""

Verdict = Literal["agrees", "disagrees", "silent"]


@dataclass(frozen=True)
class Opinion:
    """What the second solver says of a problem, and whether it fits a plan.

    agrees: neither objective passes the other's bound. disagrees: one does, `words` say which and by how much.
    silent: no answer in time, or the child failed; `words` say why.
    """

    verdict: Verdict
    words: str
    engine: str = ""
    objective_usd: float | None = None
    bound_usd: float | None = None
    wall_s: float = 0.0


def second_opinion(
    problem: Problem,
    plan: Plan,
    *,
    gap: float = 1e-3,
    deadline_s: float,
    memory_bytes: int = 4 * GIB,
    cancelled: Callable[[], bool] = lambda: False,
) -> Opinion:
    """Return what SCIP makes of the problem that a plan was made for, and whether the two fit together.

    Arguments:
        problem: the problem of the plan.
        plan: an optimised plan of it.
        gap: relative gap at which SCIP stops.
        deadline_s: wall time of the child. [s]
        memory_bytes: cap on the child.
        cancelled: asked every tick.

    Raises:
        ValueError: the plan was made for another problem.
    """
    if plan.problem_digest != problem.digest:
        raise ValueError(f"plan {plan.plan_id} was made for another problem than {problem.name}")
    heard = bytearray()

    def hear(chunk: bytes) -> bool:
        heard.extend(chunk)
        return len(heard) <= MAX_ANSWER_BYTES

    with tempfile.TemporaryFile() as file:
        write_mps(problem, file)
        file.seek(0)
        program = command("optimizer.scip_child", WISH_SHARE * deadline_s, gap)
        ended = contain(program, file, Caps(deadline_s, memory_bytes), hear=hear, cancelled=cancelled)
    return judged(plan, _answer(bytes(heard)), ended)


def write_mps(problem: Problem, stream: IO[bytes]) -> None:
    """Write the whole fleet's model as a free MPS file, from the reading that production does not use."""
    model = formulate()
    built = read(model, data_of(model, world(problem, release=recover(problem).release)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fleet.mps"
        built.model.write(str(path))
        stream.write(path.read_bytes())


def judged(plan: Plan, answer: dict[str, Any] | None, ended: Ended) -> Opinion:
    """Hold an answer against a plan: no objective may pass the other's bound."""
    if answer is None:
        return Opinion(
            "silent", f"the second solver gave no answer: {ended.why} {ended.said.strip()[-200:]}".strip(), wall_s=ended.wall_s
        )
    objective, bound = answer.get("objective_usd"), answer.get("bound_usd")
    found: dict[str, Any] = {"engine": str(answer.get("engine", ""))[:80], "wall_s": ended.wall_s}
    if not isinstance(objective, float) or not isinstance(bound, float):
        return Opinion("silent", f"the second solver found no plan in time: {str(answer.get('status'))[:40]}", **found)
    mine = plan.proof
    slack = TOLERANCE * max(1.0, abs(objective), abs(mine.objective_usd))
    faults = []
    if mine.objective_usd > bound + slack:
        faults.append(f"the plan earns {mine.objective_usd:,.2f} USD, more than the second solver's bound of {bound:,.2f} USD")
    if mine.bound_usd is not None and objective > mine.bound_usd + slack:
        faults.append(f"the second solver earns {objective:,.2f} USD, more than the plan's bound of {mine.bound_usd:,.2f} USD")
    words = "; ".join(faults) or (
        f"the second solver earns {objective:,.2f} USD with a bound of {bound:,.2f} USD; neither plan passes the other's bound"
    )
    return Opinion("disagrees" if faults else "agrees", words, objective_usd=objective, bound_usd=bound, **found)


def _answer(heard: bytes) -> dict[str, Any] | None:
    try:
        answer = json.loads(heard)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None
