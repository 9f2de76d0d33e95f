"""What the engine's benchmark measures, each in a process of its own.

    python -m benchmarks.measures plan 45x24 --gap 5e-4

CPU is that of all its processes, memory the sum of their peaks. `plan` is from the problem in memory to the audited plan;
`engine` in it the solver child alone, from arrays to columns, its start included.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import again, peers
from benchmarks.measuring import GIB, Figures, Spent, arrays_of, compiled_of, gap_between, problem_of
from benchmarks.peers import Measure

PLAN_BUDGET_S = 600.0
BUDGETS_S = {"45x288-5min": 120.0, "45x24-tight": 60.0}
"""Of plans that may take longer than a benchmark should: what counts is how far they come."""
BEST_BUDGET_S = 60.0
BEST_GAP = 1e-5
"""Tighter than it gets in the time: what counts is how far it comes."""
ROOT = Path(__file__).resolve().parents[1]


def main(words: Sequence[str]) -> None:
    """Measure one thing and print it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=list(MEASURES))
    parser.add_argument("fleet")
    parser.add_argument("--gap", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--instance", type=Path)
    asked = parser.parse_args(words)
    if asked.instance:
        os.environ["WATTSPLIT_INSTANCE"] = str(asked.instance)
    print(json.dumps(MEASURES[asked.what](asked.fleet, asked.seed, asked.gap)))


def planned(*, workers: int = 1, budget_s: float | None = None, tighter: float | None = None) -> Measure:
    """From the problem to its audited plan."""

    def measure(name: str, seed: int, gap: float) -> Figures:
        from optimizer.solve import optimise

        if name == "given":
            return planned_alone(compiled_of(name, seed), gap)
        problem, spent = problem_of(name, seed), Spent()
        most_s = budget_s or BUDGETS_S.get(name, PLAN_BUDGET_S)
        result = optimise(
            problem, gap=tighter or gap, budget_s=most_s, now=problem.grid.start, workers=workers, memory_bytes=3 * GIB
        )
        return told(result) | spent.figures()

    return measure


def told(result: Any) -> Figures:
    """Return what a plan says of itself."""
    from optimizer import fork_server

    if result.plan is None or result.solver is None:
        raise SystemExit(f"{result.ending}: {result.why}")
    proof, own = result.plan.proof, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 + fork_server.used()[1]
    if proof.gap_percent is None:
        raise SystemExit(f"no bound: {result.why}")
    return {
        "gap": proof.gap_percent / 100, "engine_cpu_s": result.solver.cpu_s, "engine_wall_s": result.solver.wall_s,
        "memory_gib": (own + result.solver.peak_memory_bytes) / GIB, "objective_usd": proof.objective_usd,
        "bound_usd": proof.bound_usd, "way": result.plan.engine.get("way", ""), "digest": result.plan.decisions_digest,
    }  # fmt: skip


def planned_alone(compiled: Any, gap: float) -> Figures:
    """From arrays to columns that keep every row, in the solver child; nothing else is known of such a fleet."""
    from optimizer.worker import solve

    found = solve(compiled, gap=gap, deadline_s=PLAN_BUDGET_S)
    return {
        "gap": gap_between(found.objective_usd, found.bound_usd), "cpu_s": found.cpu_s, "wall_s": found.wall_s,
        "engine_cpu_s": found.cpu_s, "memory_gib": found.peak_memory_bytes / GIB, "objective_usd": found.objective_usd,
        "bound_usd": found.bound_usd, "way": found.how,
    }  # fmt: skip


def commanded(name: str, seed: int, gap: float) -> Figures:
    """From a problem's file to the plan's file by the command line, its start included."""
    with tempfile.TemporaryDirectory() as folder:
        problem, plan = Path(folder, "problem.json"), Path(folder, "plan.json")
        problem.write_text(problem_of(name, seed).model_dump_json())
        spent = Spent()
        words = ["plan", "run", str(problem), "--gap", str(gap), "--out", str(plan), "--quiet"]
        subprocess.run([sys.executable, "-m", "service.cli", *words], check=True, capture_output=True, cwd=ROOT)
        return spent.figures() | {"gap": json.loads(plan.read_text())["proof"]["gap_percent"] / 100}


def handed_over(name: str, seed: int, gap: float) -> Figures:
    """From the problem to the model in HiGHS."""
    from optimizer.formulation import build, formulate
    from optimizer.highs_models import loaded
    from optimizer.recovery import recover

    problem = problem_of(name, seed)
    release = recover(problem).release
    formulate()
    spent = Spent()
    loaded({"options": {"threads": 1}, "offset": 0.0}, arrays_of(build(problem, release=release)))
    return spent.figures()


MEASURES: Mapping[str, Measure] = {
    "plan": planned(), "two workers": planned(workers=2), "best": planned(budget_s=BEST_BUDGET_S, tighter=BEST_GAP),
    "command": commanded, "build": handed_over, "re-plan": again.moved, "price refresh": again.refreshed,
    "simplex": peers.relaxation("simplex"), "ipx": peers.relaxation("ipx"), "hipo": peers.relaxation("hipo"),
    "mip": peers.whole_mip, "scip": peers.scip, "linopy": peers.linopy,
    "pypsa blocks": peers.pypsa(per_block=True), "pypsa rows": peers.pypsa(per_block=False),
}  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1:])
