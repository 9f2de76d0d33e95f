"""The program of the second opinion's child: reads one MPS file from stdin, solves it by OR-Tools' SCIP, answers in JSON.

A process of its own is a must: OR-Tools and highspy cannot be imported together (google/or-tools#5246).
"""

import json
import os
import sys

from optimizer.child import die_with_parent, keep_stdout_for_frames


def main(parent: int, deadline_s: float, gap: float) -> None:
    """Solve what stands on stdin and write one line: status, objective, bound, seconds, engine."""
    die_with_parent(parent)
    answer = keep_stdout_for_frames()
    import ortools
    from ortools.linear_solver.python import model_builder

    model = model_builder.Model()
    if not model.import_from_mps_string(sys.stdin.buffer.read().decode()):
        raise ValueError("SCIP's reader refuses the file")
    solver = model_builder.Solver("scip")
    solver.set_time_limit_in_seconds(deadline_s)
    solver.set_solver_specific_parameters(f"limits/gap = {gap!r}\nnumerics/feastol = 1e-7\n")
    status = solver.solve(model)
    has_plan = status in (model_builder.SolveStatus.OPTIMAL, model_builder.SolveStatus.FEASIBLE)
    said = {
        "status": status.name.lower(),
        "objective_usd": solver.objective_value if has_plan else None,
        "bound_usd": solver.best_objective_bound if has_plan else None,
        "engine": f"SCIP in OR-Tools {ortools.__version__}",
    }
    answer.write(json.dumps(said, allow_nan=False).encode() + b"\n")
    answer.flush()
    os._exit(0)  # all is said; nothing here needs an orderly end
