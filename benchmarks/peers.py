"""The same fleets elsewhere: HiGHS and SCIP on the whole model, linopy and PyPSA in place of the product.

Relaxations and the whole model are measured without building it; linopy is measured for building and handing over alone.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.measuring import GIB, Figures, Spent, arrays_of, compiled_of, gap_between, problem_of

BUDGET_S = 45.0
Measure = Callable[[str, int, float], Figures]


def relaxation(method: str) -> Measure:
    """The whole model's linear relaxation by a method of HiGHS."""

    def measure(name: str, seed: int, gap: float) -> Figures:
        from optimizer.highs_models import loaded

        arrays = arrays_of(compiled_of(name, seed))
        arrays["integer"] = arrays["integer"] * 0
        highs = loaded({"options": {"threads": 1, "solver": method}, "offset": 0.0}, arrays)
        spent = Spent()
        highs.run()
        return spent.figures() | {
            "status": highs.getModelStatus().name, "objective_usd": highs.getInfo().objective_function_value,
        }  # fmt: skip

    return measure


def whole_mip(name: str, seed: int, gap: float) -> Figures:
    """HiGHS alone on the whole model, cold."""
    from benchmarks.whole_model import WHOLE
    from optimizer.worker import solve

    program = (sys.executable, "-I", "-c", WHOLE)
    found = solve(compiled_of(name, seed), gap=gap, deadline_s=BUDGET_S, memory_bytes=4 * GIB, program=program)
    return {"cpu_s": found.cpu_s, "wall_s": found.wall_s, "gap": gap_between(found.objective_usd, found.bound_usd)}


def scip(name: str, seed: int, gap: float) -> Figures:
    """SCIP of OR-Tools on the whole model, read from a file, reading included."""
    from optimizer.child import command
    from optimizer.highs_models import loaded

    highs = loaded({"options": {"threads": 1}, "offset": 0.0}, arrays_of(compiled_of(name, seed)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "fleet.mps")
        highs.writeModel(str(path))
        with path.open("rb") as file:
            spent = Spent()
            said = subprocess.run(
                command("optimizer.scip_child", BUDGET_S, gap), stdin=file, capture_output=True, check=True
            ).stdout
    answer = json.loads(said)
    return spent.figures() | {"gap": gap_between(answer["objective_usd"], answer["bound_usd"]), "status": answer["status"]}


def linopy(name: str, seed: int, gap: float) -> Figures:
    """The same rules read by linopy, and its model in HiGHS."""
    from benchmarks.peer_linopy import built, handed_over
    from optimizer.formulation import data_of, formulate
    from optimizer.recovery import recover
    from optimizer.sets import world

    problem, model = problem_of(name, seed), formulate()
    release = recover(problem).release
    spent = Spent()
    handed_over(built(model, data_of(model, world(problem, release=release))))
    return spent.figures()


def pypsa(per_block: bool) -> Measure:
    """The poorer model of a fleet in PyPSA: from its network to its answer."""

    def measure(name: str, seed: int, gap: float) -> Figures:
        from benchmarks.peer_pypsa import network, solved

        net, spent = network(problem_of(name, seed), per_block=per_block), Spent()
        status, built_s = solved(net, gap, BUDGET_S)
        return spent.figures() | {"status": status, "build_cpu_s": built_s}

    return measure
