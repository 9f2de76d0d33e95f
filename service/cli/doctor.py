"""`wattsplit doctor`: whether this machine has what wattsplit needs, each point proved by doing it."""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from rich.console import Console

from service.cli.exits import CommandError, Exit
from service.cli.say import AsJson, Quiet, Say

NEEDED_DISK_BYTES = 500_000_000
NEEDED_MEMORY_BYTES = 2_500_000_000
"""What the optimiser may take for the reference fleet, which its parent enforces."""


def doctor(as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Check Python, packages, memory, disk, time zones, solvers, cluster and service; exit 1 if anything needed is missing.

    Example: `wattsplit doctor`
    """
    say = Say(as_json, quiet)
    checks = [examine(name, needed, check, say) for name, needed, check in CHECKS]

    def show(console: Console) -> None:
        for found in checks:
            mark = "[green]good[/green]" if found["good"] else "[red]bad [/red]" if found["needed"] else "[yellow]none[/yellow]"
            console.print(f"{mark}  {found['name']}: {found['detail']}", markup=True)

    say.result({"good": all(c["good"] or not c["needed"] for c in checks), "checks": checks}, show)
    if bad := [str(c["name"]) for c in checks if c["needed"] and not c["good"]]:
        raise CommandError(Exit.FAILED, f"not in order: {', '.join(bad)}")


def examine(name: str, needed: bool, check: Callable[[], str], say: Say) -> dict[str, object]:
    """Run one check: what it returns is how it stands, what it raises is what is wrong."""
    say.note(f"checking {name} …")
    try:
        return {"name": name, "needed": needed, "good": True, "detail": check()}
    except Exception as error:  # whatever is wrong with a machine is the answer here
        return {"name": name, "needed": needed, "good": False, "detail": f"{error}"}


def python() -> str:
    """Return the version of Python; it has run this far, so it is new enough."""
    return f"{sys.version.split()[0]} in {sys.prefix}"


def packages() -> str:
    """Return the versions that plans depend on."""
    if version("highspy").startswith("1.14."):
        raise RuntimeError(f"highspy {version('highspy')} returns wrong optima on our kind of model; expected 1.15.1 or newer")
    return ", ".join(f"{name} {version(name)}" for name in ("wattsplit", "highspy", "ortools", "pyomo", "pydantic", "numpy"))


def memory() -> str:
    """Return the memory that is free for a solver."""
    import psutil

    free = psutil.virtual_memory().available
    if free < NEEDED_MEMORY_BYTES:
        raise RuntimeError(f"expected {NEEDED_MEMORY_BYTES / 1e9:.1f} GB free for the reference fleet, got {free / 1e9:.1f} GB")
    return f"{free / 1e9:.1f} GB free, {os.cpu_count()} cores"


def disk() -> str:
    """Return the space left for temporary files, after writing one."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"wattsplit")
        free = shutil.disk_usage(Path(file.name).parent).free
    if free < NEEDED_DISK_BYTES:
        raise RuntimeError(f"expected {NEEDED_DISK_BYTES / 1e9:.1f} GB free for temporary files, got {free / 1e9:.2f} GB")
    return f"{free / 1e9:.1f} GB free for temporary files"


def zones() -> str:
    """Return that the zone database knows the clock changes that tariffs hang on."""
    from datetime import date

    from models.time_grid import local_day_steps

    if local_day_steps("America/Chicago", date(2026, 3, 8), 3600) != 23:
        raise RuntimeError("America/Chicago has no day of 23 hours on 2026-03-08; the zone database is wrong")
    return "clock changes are known"


def service() -> str:
    """Return how the running service is; why what it serves is not fresh, where it is not."""
    from service.cli.running import running

    client = running()
    client.get("/v1/health/ready")
    known = client.get("/v1/health/fresh")
    silent = f"; not answered by {', '.join(known['unanswered'])}" if known["unanswered"] else ""
    return f"{client.address}: ready, {known['basis']} plan of {known['published_at']}{silent}"


def feeds() -> str:
    """Return how the feeds of the running service are; it has none where none are configured."""
    from service.cli.running import running

    listed = running().get("/v1/feeds")["items"]
    bad = [f"{f['name']}: {f['last_error'] or 'nothing new for too long'}" for f in listed if f["stale"] or f["last_error"]]
    if bad:
        raise RuntimeError("; ".join(bad))
    newest = max((f["newest_known_at"] for f in listed if f["newest_known_at"]), default="none yet")
    return f"{len(listed)} feed(s), newest value told {newest}" if listed else "none are configured (WATTSPLIT_FEEDS_FILE)"


def engine() -> str:
    """Return how many workers of the cluster of `WATTSPLIT_ENGINE` can be used; why not, where none can."""
    from optimizer.cluster_workers import reached
    from service.config import Settings

    url = Settings.from_environment().engine
    return reached(url) if url else "no cluster is configured (WATTSPLIT_ENGINE), sites stay on this machine"


def solver() -> str:
    """Return that a child process solves a small problem to its proven optimum, and that the audit accepts the plan."""
    from models.problem import Problem
    from service.cli.inputs import read_problem
    from service.cli.offline import make_plan

    whole = read_problem("reference")
    site = whole.fleet.sites[0]
    one = {
        "fleet": whole.fleet.model_copy(update={"sites": (site,), "workloads": ()}),
        "state": whole.state.model_copy(update={"sites": {site.name: whole.state.sites[site.name]}, "backlog": {}}),
        "demand_work_per_h": {},
        "limit_w": {},
    }
    made = make_plan(Problem(**(dict(whole) | one)), gap=0.0, budget_s=30, say=Say(quiet=True), title="doctor")
    if made.exit is not Exit.DONE:
        raise RuntimeError(made.warning)
    return f"{made.plan.engine['solver']} in a child process: {made.plan.proof.status}, audited, {made.plan.proof.wall_s:.1f} s"


CHECKS: tuple[tuple[str, bool, Callable[[], str]], ...] = (
    ("python", True, python),
    ("packages", True, packages),
    ("memory", True, memory),
    ("disk", True, disk),
    ("time zones", True, zones),
    ("solver", True, solver),
    ("engine", False, engine),
    ("service", False, service),
    ("feeds", False, feeds),
)
