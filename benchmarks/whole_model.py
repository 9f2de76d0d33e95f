"""The whole fleet as one model in HiGHS: build time, and gap against seconds. The baseline for any engine to come.

    python3 dev.py bench whole_model

Plans the reference fleet over 48 hours at a fixed instant, three times as the product does it, then once by HiGHS alone on
the whole model, cold and without a start; writes `benchmarks/whole_model.json` and the picture `benchmarks/whole_model.svg`.
Timings are of this machine and this moment.
"""

import json
import math
import os
import platform
import statistics
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from optimizer.formulation import build
from optimizer.outcome import Progress
from optimizer.solve import optimise
from optimizer.worker import GIB, solve
from scenarios.feed import reference_problem

HERE = Path(__file__).parent
AT = datetime(2026, 11, 22, 9, tzinfo=UTC)
HOURS = 48
WHOLE_GAP = 1e-5  # tighter than it gets: the curve shall show where it stalls
PRODUCT_GAP = 1e-3
BUDGET_S = 180.0
MEMORY_BYTES = int(2.5 * GIB)
MARKS = (5e-2, 1e-2, 5e-3, 1e-3, 5e-4, 3e-4, 1e-4)
WHOLE = f"""
import os, sys
sys.path.insert(0, {str(HERE.parent)!r})
from optimizer import highs_wire as wire
from optimizer.child import die_with_parent, keep_stdout_for_frames
from optimizer.highs_frames import Stream, final
from optimizer.highs_models import loaded
die_with_parent(os.getppid())
frames = keep_stdout_for_frames()
header, arrays = wire.read(sys.stdin.buffer)
highs = loaded(header, arrays)
Stream(highs, frames).knows_bound = True
highs.run()
wire.write(frames, *final(highs, True))
os._exit(0)
"""


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

    product = []
    for _ in range(3):
        result = optimise(problem, gap=PRODUCT_GAP, budget_s=BUDGET_S, now=AT, memory_bytes=MEMORY_BYTES)
        if result.plan is None or result.solver is None or result.plan.proof.gap_percent is None:
            raise SystemExit(f"{result.ending}: {result.why}")
        proof, solver = result.plan.proof, result.solver
        product.append({"wall_s": proof.wall_s, "cpu_s": solver.cpu_s, "gap_percent": proof.gap_percent})
        print(f"the product, asked for {PRODUCT_GAP:.1%}: {proof.gap_percent:.4f} % in {proof.wall_s:.1f} s wall,", end=" ")
        print(f"{solver.cpu_s:.1f} s CPU of the solver, {solver.peak_memory_bytes / GIB:.2f} GiB")

    whole = solve(
        compiled, gap=WHOLE_GAP, deadline_s=BUDGET_S, memory_bytes=MEMORY_BYTES, program=(sys.executable, "-I", "-c", WHOLE)
    )
    if whole.objective_usd is None or whole.bound_usd is None:
        raise SystemExit(f"whole model: {whole.status}, {whole.why}")
    curve = [(p.seconds, p.gap) for p in whole.curve if p.gap is not None]
    print("whole-model HiGHS, cold:")
    for mark in MARKS:
        reached = next((seconds for seconds, gap in curve if gap <= mark), None)
        print(f"  gap {mark:7.2%}: {'not reached' if reached is None else f'{reached:6.1f} s'}")
    print(f"  {whole.wall_s:.1f} s wall, {whole.cpu_s:.1f} s CPU, {whole.peak_memory_bytes / GIB:.2f} GiB")
    record = {
        "what": f"reference fleet, {len(problem.fleet.sites)} sites x {HOURS} h from {AT.isoformat()}",
        "machine": f"{platform.machine()}, {platform.system()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "highspy": version("highspy"),
        "rows": rows,
        "columns": columns,
        "entries": int(compiled.matrix.nnz),
        "integers": int(compiled.integer.sum()),
        "build_cpu_s": round(statistics.median(build_s), 4),
        "product": product,
        "whole_model": {
            "wall_s": round(whole.wall_s, 1),
            "cpu_s": round(whole.cpu_s, 1),
            "peak_memory_gib": round(whole.peak_memory_bytes / GIB, 2),
            "objective_usd": whole.objective_usd,
            "bound_usd": whole.bound_usd,
            "curve_s_gap": [[round(s, 1), gap] for s, gap in thinned(whole.curve)],
        },
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
