"""The whole fleet as one model in HiGHS: build time, and gap against seconds. The baseline for any engine to come.

    python3 dev.py bench whole_model

Plans the reference fleet over 48 hours at a fixed instant, with nothing but the solver (no start plan), and writes
`benchmarks/whole_model.json` and the picture `benchmarks/whole_model.svg`. Timings are of this machine and this moment.
"""

import json
import math
import platform
import statistics
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from optimizer.formulation import build
from optimizer.solve import optimise
from optimizer.worker import GIB, Progress
from scenarios.feed import reference_problem

HERE = Path(__file__).parent
AT = datetime(2026, 11, 22, 9, tzinfo=UTC)
HOURS = 48
ASKED_GAP = 1e-5  # tighter than it gets: the curve shall show where it stalls
BUDGET_S = 180.0
MEMORY_BYTES = int(2.5 * GIB)
MARKS = (5e-2, 1e-2, 5e-3, 1e-3, 5e-4, 3e-4, 1e-4)


def main() -> None:
    """Run, tell, and write down."""
    problem = reference_problem(AT, hours=HOURS)
    build_s = []
    for _ in range(5):
        begun = time.process_time()
        compiled = build(problem)
        build_s.append(time.process_time() - begun)
    rows, columns = compiled.matrix.shape
    print(f"{len(problem.fleet.sites)} sites x {HOURS} h: {rows:,} rows, {columns:,} columns, {compiled.matrix.nnz:,} entries,")
    print(f"{int(compiled.integer.sum()):,} integers; built in {1e3 * statistics.median(build_s):.0f} ms CPU (median of 5)")

    result = optimise(problem, gap=ASKED_GAP, budget_s=BUDGET_S, now=AT, memory_bytes=MEMORY_BYTES)
    solver = result.solver
    if result.plan is None or solver is None:
        raise SystemExit(f"{result.ending}: {result.why}")
    curve = [(p.seconds, p.gap) for p in solver.curve if p.gap is not None]
    for mark in MARKS:
        reached = next((seconds for seconds, gap in curve if gap <= mark), None)
        print(f"gap {mark:7.2%}: {'not reached' if reached is None else f'{reached:6.1f} s'}")
    proof = result.plan.proof
    print(f"best plan: {proof.objective_usd:,.2f} USD, bound {proof.bound_usd:,.2f} USD, gap {proof.gap_percent:.4f} %")
    print(f"wall {solver.wall_s:.1f} s, CPU {solver.cpu_s:.1f} s, peak memory {solver.peak_memory_bytes / GIB:.2f} GiB")
    record = {
        "what": f"whole-model HiGHS, reference fleet, {len(problem.fleet.sites)} sites x {HOURS} h, no start plan",
        "machine": f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}",
        "highspy": version("highspy"),
        "rows": rows,
        "columns": columns,
        "entries": int(compiled.matrix.nnz),
        "integers": int(compiled.integer.sum()),
        "build_cpu_s": round(statistics.median(build_s), 4),
        "wall_s": round(solver.wall_s, 1),
        "cpu_s": round(solver.cpu_s, 1),
        "peak_memory_gib": round(solver.peak_memory_bytes / GIB, 2),
        "objective_usd": proof.objective_usd,
        "bound_usd": proof.bound_usd,
        "gap_percent": proof.gap_percent,
        "curve_s_gap": [[round(s, 1), gap] for s, gap in thinned(solver.curve)],
    }
    (HERE / "whole_model.json").write_text(json.dumps(record, indent=1) + "\n")
    (HERE / "whole_model.svg").write_text(picture(curve))


def thinned(curve: Sequence[Progress]) -> list[tuple[float, float]]:
    """Return the moments at which the gap fell by a fiftieth or more."""
    kept: list[tuple[float, float]] = []
    for point in curve:
        if point.gap is not None and (not kept or point.gap < 0.98 * kept[-1][1]):
            kept.append((point.seconds, point.gap))
    return kept


def picture(curve: Sequence[tuple[float, float]]) -> str:
    """Draw gap (logarithmic) against seconds as a step line."""
    width, height, left, bottom = 720, 320, 70, 40
    decades = (1.0, 0.1, 0.01, 0.001, 0.0001)

    def place(seconds: float, gap: float) -> tuple[float, float]:
        across = left + seconds / BUDGET_S * (width - left - 20)
        down = 20 + math.log10(1 / max(gap, 1e-4)) / 4 * (height - bottom - 20)
        return round(across, 1), round(down, 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="#fff"/>',
    ]
    for gap in decades:
        across, down = place(0, gap)
        parts.append(f'<path d="M{across} {down}H{width - 20}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 8}" y="{down + 4}" text-anchor="end" fill="#444">{100 * gap:g} %</text>')
    for seconds in range(0, int(BUDGET_S) + 1, 30):
        across, _ = place(seconds, 1)
        parts.append(f'<text x="{across}" y="{height - 18}" text-anchor="middle" fill="#444">{seconds}</text>')
    parts.append(f'<text x="{width - 20}" y="{height - 4}" text-anchor="end" fill="#444">seconds</text>')
    path, last = "", None
    for seconds, gap in [*curve, (BUDGET_S, curve[-1][1])] if curve else []:
        across, down = place(seconds, gap)
        path += f"M{across} {down}" if last is None else f"H{across}V{down}"
        last = down
    parts.append(f'<path d="{path}" fill="none" stroke="#0072B2" stroke-width="2"/>')
    parts.append('<text x="80" y="16" fill="#222">certified gap of the whole model in HiGHS, 45 sites x 48 h</text></svg>')
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    main()
