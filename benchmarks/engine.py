"""The engine against what HiGHS, SCIP and a modelling library make of the same fleets, in one run on one machine.

    python3 dev.py bench                       the small core: what a change to the engine must not make worse
    python3 dev.py bench --only 45x24          one fleet; several: --only 45x24,200x24
    python3 dev.py bench --all                 every fleet of the table, the largest and the hard kinds included
    python3 dev.py bench --peers               HiGHS' own MIP and SCIP on the whole model as well (a minute each)
    python3 dev.py bench --json                print the record instead of the table
    python3 dev.py bench --only given          the instance of `given_fleet`, from WATTSPLIT_DATA or --instance FILE

A fleet is `sites x hours`, with a kind (`45x24-tight`) or steps of five minutes (`45x288-5min`) if need be, or `reference x
hours`. Every measurement is a process of its own: CPU is that of all its processes, memory the sum of their peaks. `plan` is
from the problem in memory to the audited plan, rule plan and audit included; `engine` is the solver child alone, from arrays
to columns, its start included. Ratios are within a run; each figure is the median of `--repeat` runs. The table is written to
`benchmarks/engine.json` and `engine.svg` by `--write`.
"""

import argparse
import json
import math
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

CORE = ("45x24", "45x24@1e-3", "200x24", "45x168")
ALL = (
    "5x24", "45x24", "45x24@1e-3", "45x24-flat", "45x24-identical", "45x24-tight", "45x48", "45x168", "45x288-5min",
    "200x24", "1000x24", "reference x 24", "reference x 48", "reference x 168",
)  # fmt: skip
GAPS: Mapping[str, float] = {"45x24": 5e-4, "given": 5e-4}
"""What is asked of a plan where it is not `USUAL_GAP`."""
USUAL_GAP = 1e-3
LEAST_SITES = 45
"""Of the growth exponent; fewer are planned another way."""
PLAN_BUDGET_S = 1500.0
PEER_BUDGET_S = 60.0
LARGEST_LP = 150_000
"""Integers beyond which the whole model's relaxation is left out: it takes many minutes."""
INSTANCE = "fleet45x24s1.json.gz"
GIB = 1 << 30
Figures = dict[str, Any]


def main() -> None:
    """Measure, print, and write where asked."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--only", help="fleets, separated by commas")
    words.add_argument("--all", action="store_true")
    words.add_argument("--peers", action="store_true")
    words.add_argument("--json", action="store_true")
    words.add_argument("--write", action="store_true", help="write benchmarks/engine.json and engine.svg")
    words.add_argument("--repeat", type=int, default=1)
    words.add_argument("--gap", type=float)
    words.add_argument("--seed", type=int, default=1)
    words.add_argument("--instance", type=Path, help="file of the fleet `given`")
    words.add_argument("--workers", type=int, default=1, help="processes that share out the sites")
    words.add_argument("--measure", help=argparse.SUPPRESS)
    asked = words.parse_args()
    if asked.measure:
        Measured.workers = asked.workers
        Measured.instance = asked.instance or Path(os.environ.get("WATTSPLIT_DATA", "."), INSTANCE)
        print(json.dumps(MEASURES[asked.measure](asked.only, asked.seed, asked.gap or gap_of(asked.only))))
        return
    names = asked.only.split(",") if asked.only else ALL if asked.all else CORE
    rows = []
    for name in names:
        rows.append(row_of(name, asked))
        if not asked.json:
            print(told(rows[-1]), flush=True)
    record = {
        "machine": machine(),
        "growth_exponent": growth(rows),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "rows": rows,
    }
    if asked.json:
        print(json.dumps(record, indent=1))
    elif (exponent := record["growth_exponent"]) is not None:
        print(f"CPU of a plan grows with sites to the power of {exponent:.2f}")
    if asked.write:
        (HERE / "engine.json").write_text(json.dumps(record, indent=1) + "\n")
        (HERE / "engine.svg").write_text(picture(rows))


def gap_of(name: str) -> float:
    """Return what is asked: by the name (`45x24@1e-3`), else by the table."""
    size, _, gap = name.partition("@")
    return float(gap) if gap else GAPS.get(size, USUAL_GAP)


def growth(rows: Sequence[Figures]) -> float | None:
    """Return the exponent with which a plan's CPU grows from the fewest to the most sites of a day, all at the usual gap."""
    known = {row["fleet"].partition("@")[0]: row["plan"].get("cpu_s") for row in rows if row["gap_asked"] == USUAL_GAP}
    sized = sorted(
        (int(name.split("x")[0]), cpu) for name, cpu in known.items() if name.endswith("x24") and name[0].isdigit() and cpu
    )
    sized = [(sites, cpu) for sites, cpu in sized if sites >= LEAST_SITES]
    if len(sized) < 2:
        return None
    (few, little), (many, much) = sized[0], sized[-1]
    return math.log(much / little) / math.log(many / few)


def picture(rows: Sequence[Figures]) -> str:
    """Draw CPU seconds against sites, both logarithmic: plans of a day, and the relaxation of the same fleets by simplex."""
    width, height, left, bottom = 640, 360, 60, 45
    days = [row for row in rows if row["fleet"].partition("@")[0].endswith("x24") and row["fleet"][0].isdigit()]

    def place(sites: float, cpu: float) -> tuple[float, float]:
        across = left + (math.log10(sites) - 0.5) / 2.7 * (width - left - 20)
        return round(across, 1), round(20 + (2.3 - math.log10(cpu)) / 4 * (height - bottom - 20), 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="#fff"/>',
    ]
    for cpu in (0.1, 1.0, 10.0, 100.0):
        _, down = place(10, cpu)
        parts.append(f'<path d="M{left} {down}H{width - 20}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 8}" y="{down + 4}" text-anchor="end">{cpu:g} s</text>')
    for sites in (5, 45, 200, 1000):
        across, _ = place(sites, 1)
        parts.append(f'<text x="{across}" y="{height - 22}" text-anchor="middle">{sites}</text>')
    parts.append(f'<text x="{width - 20}" y="{height - 6}" text-anchor="end">sites, 24 hours</text>')
    for n, (what, key, colour) in enumerate(
        (("plan, audited", "plan", "#0072B2"), ("relaxation by simplex", "simplex", "#D55E00"))
    ):
        points = [place(int(r["fleet"].split("x")[0]), r[key]["cpu_s"]) for r in days if r[key].get("cpu_s")]
        parts += [f'<circle cx="{x}" cy="{y}" r="4" fill="{colour}"/>' for x, y in points]
        parts.append(f'<text x="{left + 12}" y="{34 + 16 * n}" fill="{colour}">{what}, CPU</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def machine() -> str:
    libraries = ", ".join(f"{name} {version(name)}" for name in ("highspy", "numpy", "ortools"))
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {libraries}"


def row_of(name: str, asked: argparse.Namespace) -> Figures:
    """Return all figures of one fleet: medians over the repeats, and ratios within each of them."""
    runs = []
    for _ in range(asked.repeat):
        run = {"plan": measured("plan", name, asked), "simplex": measured("simplex", name, asked)}
        if asked.peers:
            run |= {what: measured(what, name, asked) for what in ("ipx", "mip", "scip")}
        runs.append(run)
    row: Figures = {"fleet": name, "gap_asked": asked.gap or gap_of(name)}
    for what in runs[0]:
        row[what] = {key: middle([run[what][key] for run in runs]) for key in runs[0][what]}
    for part in ("cpu_s", "engine_cpu_s"):
        ratios = [run["plan"][part] / run["simplex"]["cpu_s"] for run in runs if run["simplex"].get("cpu_s")]
        row[f"{part.removesuffix('_cpu_s').removesuffix('cpu_s') or 'plan'}_by_simplex"] = middle(ratios)
    return row


def middle(values: Sequence[Any]) -> Any:
    known = [value for value in values if isinstance(value, int | float)]
    return statistics.median(known) if known else values[0] if values else None


def measured(what: str, name: str, asked: argparse.Namespace) -> Figures:
    """Measure one thing in a process of its own."""
    words = [sys.executable, __file__, "--measure", what, "--only", name, "--seed", str(asked.seed)]
    words += ["--instance", str(asked.instance)] if asked.instance else []
    words += ["--workers", str(asked.workers), *(["--gap", str(asked.gap)] if asked.gap else [])]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"})
    if done.returncode:
        return {"failed": (done.stderr.strip().splitlines() or ["no words"])[-1][:200], "cpu_s": None, "engine_cpu_s": None}
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def told(row: Figures) -> str:
    """Return a row in words."""
    plan, lp = row["plan"], row["simplex"]
    if "failed" in plan:
        return f"{row['fleet']:>16}: {plan['failed']}"
    parts = [
        f"{row['fleet']:>16}: gap {plan['gap']:.2e} (asked {row['gap_asked']:.0e}); plan {plan['cpu_s']:.2f} s CPU,",
        f"{plan['wall_s']:.2f} s wall, {plan['memory_gib']:.2f} GiB; engine {plan['engine_cpu_s']:.2f} s;",
    ]
    if lp.get("cpu_s"):
        parts.append(f"LP by simplex {lp['cpu_s']:.2f} s; plan / LP {row['plan_by_simplex']:.2f}, engine / LP")
        parts.append(f"{row['engine_by_simplex']:.2f}")
    for what in ("ipx", "mip", "scip"):
        if what in row:
            figures = row[what]
            parts.append(f"; {what} " + (figures.get("failed") or f"{figures['cpu_s']:.1f} s gap {figures.get('gap', 0.0):.1e}"))
    return " ".join(parts)


# --- what is measured -------------------------------------------------------------------------------------------------


def problem_of(name: str, seed: int) -> Any:
    """Return the problem of a fleet by its name."""
    from benchmarks.fleets import KINDS, fleet

    size, _, kind = name.partition("@")[0].partition("-")
    sites, steps = (part.strip() for part in size.split("x"))
    if sites == "reference":
        from scenarios.feed import reference_problem

        return reference_problem(datetime(2026, 11, 22, 9, tzinfo=UTC), hours=int(steps))
    length_s = 300 if kind == "5min" else 3600
    return fleet(int(sites), int(steps), step_s=length_s, seed=seed, kind=next((k for k in KINDS if k == kind), "ordinary"))


class Measured:
    """What holds for all that this process measures."""

    workers = 1
    instance = Path(INSTANCE)


def plan(name: str, seed: int, gap: float) -> Figures:
    """From the problem to its audited plan."""
    from optimizer.solve import optimise

    if name == "given":
        return planned_alone(compiled_of(name, seed), gap)
    problem = problem_of(name, seed)
    begun_s, begun_cpu_s = time.monotonic(), cpu_s()
    result = optimise(
        problem, gap=gap, budget_s=PLAN_BUDGET_S, now=problem.grid.start, workers=Measured.workers, memory_bytes=3 * GIB
    )
    wall_s, used_s = time.monotonic() - begun_s, cpu_s() - begun_cpu_s
    if result.plan is None or result.solver is None:
        raise SystemExit(f"{result.ending}: {result.why}")
    proof = result.plan.proof
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "gap": (proof.gap_percent or 0.0) / 100, "cpu_s": used_s, "wall_s": wall_s, "engine_cpu_s": result.solver.cpu_s,
        "engine_wall_s": result.solver.wall_s, "memory_gib": (own + result.solver.peak_memory_bytes) / GIB,
        "objective_usd": proof.objective_usd, "bound_usd": proof.bound_usd,
        "way": result.plan.engine.get("way", ""), "digest": result.plan.decisions_digest,
    }  # fmt: skip


def planned_alone(compiled: Any, gap: float) -> Figures:
    """From arrays to columns that keep every row, in the solver child; nothing else is known of such a fleet."""
    from optimizer.worker import solve

    found = solve(compiled, gap=gap, deadline_s=PLAN_BUDGET_S, workers=Measured.workers)
    return {
        "gap": gap_between(found.objective_usd, found.bound_usd), "cpu_s": found.cpu_s, "wall_s": found.wall_s,
        "engine_cpu_s": found.cpu_s, "memory_gib": found.peak_memory_bytes / GIB, "objective_usd": found.objective_usd,
        "bound_usd": found.bound_usd, "way": found.how,
    }  # fmt: skip


def relaxation(method: str) -> Callable[[str, int, float], Figures]:
    """The whole model's linear relaxation by a method of HiGHS; only its run is measured, not building and handing over."""

    def measure(name: str, seed: int, gap: float) -> Figures:
        from optimizer.highs_child import loaded

        arrays = arrays_of(name, seed)
        if arrays["integer"].sum() > LARGEST_LP:
            return {"cpu_s": None, "left_out": "too large"}
        arrays["integer"] = arrays["integer"] * 0
        highs = loaded({"options": {"threads": 1, "solver": method}, "offset": 0.0}, arrays)
        begun_s, begun_cpu_s = time.monotonic(), cpu_s()
        highs.run()
        return {"cpu_s": cpu_s() - begun_cpu_s, "wall_s": time.monotonic() - begun_s, "status": highs.getModelStatus().name,
                "objective_usd": highs.getInfo().objective_function_value}  # fmt: skip

    return measure


def whole_mip(name: str, seed: int, gap: float) -> Figures:
    """HiGHS alone on the whole model, cold."""
    from benchmarks.whole_model import WHOLE
    from optimizer.worker import solve

    outcome = solve(
        compiled_of(name, seed),
        gap=gap,
        deadline_s=PEER_BUDGET_S,
        memory_bytes=4 * GIB,
        program=(sys.executable, "-I", "-c", WHOLE),
    )
    return {"cpu_s": outcome.cpu_s, "wall_s": outcome.wall_s, "gap": gap_between(outcome.objective_usd, outcome.bound_usd)}


def scip(name: str, seed: int, gap: float) -> Figures:
    """SCIP of OR-Tools on the whole model, read from a file."""
    from optimizer.second_opinion import second_opinion
    from optimizer.solve import optimise

    problem = problem_of(name, seed)
    result = optimise(problem, gap=1e-2, budget_s=PLAN_BUDGET_S, now=problem.grid.start)
    assert result.plan is not None
    begun_cpu_s = cpu_s()
    said = second_opinion(problem, result.plan, gap=gap, deadline_s=PEER_BUDGET_S)
    return {"cpu_s": cpu_s() - begun_cpu_s, "wall_s": said.wall_s, "gap": gap_between(said.objective_usd, said.bound_usd)}


def gap_between(objective: float | None, bound: float | None) -> float | None:
    return None if objective is None or bound is None else (bound - objective) / max(1.0, abs(objective))


def compiled_of(name: str, seed: int) -> Any:
    from optimizer.formulation import build
    from optimizer.recovery import recover

    if name == "given":
        from benchmarks.given_fleet import compiled

        return compiled(Measured.instance)
    problem = problem_of(name, seed)
    return build(problem, release=recover(problem).release)


def arrays_of(name: str, seed: int) -> dict[str, Any]:
    compiled = compiled_of(name, seed)
    matrix = compiled.matrix
    arrays = {"start": matrix.indptr, "index": matrix.indices, "value": matrix.data, "cost": compiled.cost}
    names = ("integer", "col_lower", "col_upper", "row_lower", "row_upper")
    return arrays | {name: getattr(compiled, name) for name in names}


def cpu_s() -> float:
    """CPU seconds of this process and of all children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


MEASURES: Mapping[str, Callable[[str, int, float], Figures]] = {
    "plan": plan, "simplex": relaxation("simplex"), "ipx": relaxation("ipx"), "mip": whole_mip, "scip": scip,
}  # fmt: skip


if __name__ == "__main__":
    main()
