"""The engine against what HiGHS, SCIP and modelling libraries make of the same fleets, in one run on one machine.

    python3 dev.py bench                       the small core: what a change to the engine must not make worse
    python3 dev.py bench --only 45x24          one fleet; several: --only 45x24,200x24
    python3 dev.py bench --all                 every fleet of the table, the largest and the hard kinds included
    python3 dev.py bench --peers               HiGHS' MIP and SCIP on the whole model for 45 s each, linopy and PyPSA as well
    python3 dev.py bench --json                print the record instead of the table
    python3 dev.py bench --only given          the instance of `given_fleet`, from WATTSPLIT_DATA or --instance FILE
    python3 dev.py bench --all --peers --repeat 3 --write             everything, for the README: 20 minutes on a quiet machine
    python3 dev.py bench --all --peers --repeat 3 --write --resume    the same, without what an interrupted run has measured

A fleet is `sites x hours`, with a kind (`45x24-tight`), a gap (`45x24@1e-3`) or steps of five minutes (`45x288-5min`) if need
be, or `reference x hours`. Every measurement is a process of its own; ratios are within a round; each figure is the median of
`--repeat` rounds. linopy, PyPSA and HiGHS' HiPO are no part of the product, and want an environment of their own:

    python3 -m venv .venv-peers && .venv-peers/bin/python -m pip install -e '.[peers]'

WATTSPLIT_PEERS names another Python that has them. Without one, these lines say so and the others go on.
"""

import argparse
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
LINE = re.compile(r"(given|reference x \d+|\d+x\d+(-(flat|identical|tight|5min))?)(@\d+(\.\d+)?(e-\d+)?)?")
ROOT = HERE.parent
sys.path.insert(0, str(ROOT))

from rich.console import Console  # noqa: E402  # after the path
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn  # noqa: E402  # after the path

from benchmarks.lines import ALL, CORE, INSTALLED, gap_of, rounds_of, row_of  # noqa: E402  # after the path
from benchmarks.table import columns, page, picture, told, verdicts, with_figures  # noqa: E402  # after the path

MOST_S = 900.0
"""Of one measurement; what takes longer is reported as that."""
NO_PEERS = "needs the extra `peers`: python3 -m venv .venv-peers && .venv-peers/bin/python -m pip install -e '.[peers]'"


def main() -> None:
    """Measure, print, and write where asked."""
    asked = _asked()
    lines = asked.only.split(",") if asked.only else ALL if asked.all else CORE
    kept = _kept(asked) if asked.resume else {}
    record: dict[str, Any] = {"machine": machine(), "sources": _sources(), "at": "", "rows": []}
    rounds = {line: rounds_of(line, asked.repeat, peers=asked.peers) for line in lines if line not in kept}
    steps = sum(len(found) for of_line in rounds.values() for found in of_line)
    shown = (TextColumn("{task.description:<32}"), BarColumn(), TextColumn("{task.completed}/{task.total}"), TimeElapsedColumn())
    bar = Progress(*shown, console=Console(stderr=asked.json), transient=True)
    with bar:
        task = bar.add_task("", total=steps)
        for line in lines:
            row = kept[line] if line in kept else measured_line(line, rounds[line], asked, bar, task)
            record["rows"].append(row)
            record["at"] = datetime.now(UTC).isoformat(timespec="seconds")
            if not asked.json:
                bar.console.print(told(row), highlight=False, soft_wrap=True)
            if asked.write:
                _write(record)
    if asked.json:
        print(json.dumps(record, indent=1))
        return
    stands = [line for line in verdicts({row["line"]: row for row in record["rows"]}) if line[-1] != "not measured"]
    print("\n" + columns(("what must be shown", "at least", "goal", "measured", "stands"), stands) if stands else "")


def _asked() -> argparse.Namespace:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--only", help="fleets, separated by commas")
    words.add_argument("--all", action="store_true")
    words.add_argument("--peers", action="store_true")
    words.add_argument("--json", action="store_true")
    words.add_argument(
        "--write", action="store_true", help="write benchmarks/engine.json, .md and .svg, and, when whole, README.md"
    )
    words.add_argument("--resume", action="store_true", help="keep the lines that engine.json has of the same sources")
    words.add_argument("--repeat", type=int, default=1, help="rounds of every line")
    words.add_argument("--gap", type=float)
    words.add_argument("--seed", type=int, default=1)
    words.add_argument("--instance", type=Path, help="file of the fleet `given`")
    asked = words.parse_args()
    if unknown := [line for line in (asked.only or "").split(",") if asked.only and not LINE.fullmatch(line)]:
        words.error(
            "--only: expected fleets such as 45x24, 45x24-tight, 45x24@1e-3, 'reference x 48' or given, got "
            + ", ".join(map(repr, unknown))
        )
    return asked


def measured_line(line: str, rounds: list[list[str]], asked: argparse.Namespace, bar: Progress, task: TaskID) -> dict[str, Any]:
    """Measure a line in rounds."""
    found: list[dict[str, Any]] = []
    for n, measures in enumerate(rounds, start=1):
        found.append({})
        for what in measures:
            bar.update(task, description=f"{line} · {what} · round {n}")
            found[-1][what] = measured(what, line, asked)
            bar.advance(task)
    return row_of(line, asked.gap or gap_of(line), found)


def measured(what: str, line: str, asked: argparse.Namespace) -> dict[str, Any]:
    """Measure one thing in a process of its own."""
    python = sys.executable
    if what in INSTALLED:
        if (found := peers_python()) is None:
            return {"failed": NO_PEERS, "cpu_s": None}
        python = found
    words = [python, "-m", "benchmarks.measures", what, line.partition("@")[0], "--seed", str(asked.seed)]
    words += ["--gap", str(asked.gap or gap_of(line)), *(["--instance", str(asked.instance)] if asked.instance else [])]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment, cwd=ROOT, timeout=MOST_S)
    except subprocess.TimeoutExpired:
        return {"failed": f"more than {MOST_S:.0f} s", "cpu_s": None}
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line[:1].strip()]  # what is indented belongs to what stands above it
        return {"failed": (said or ["no words"])[-1][:200], "cpu_s": None}
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


@cache
def peers_python() -> str | None:
    """Return the Python that has the peers, or nothing."""
    has = "import importlib.util as u, sys; sys.exit(not all(map(u.find_spec, ('linopy', 'pypsa'))))"
    for named in (os.environ.get("WATTSPLIT_PEERS", ""), str(ROOT / ".venv-peers/bin/python"), sys.executable):
        if (python := shutil.which(named)) and subprocess.run([python, "-c", has], check=False).returncode == 0:
            return python
    return None


def machine() -> str:
    """Return what the figures were measured on, and its load at the start."""
    libraries = ", ".join(f"{name} {version(name)}" for name in ("highspy", "numpy", "ortools"))
    load = os.getloadavg()[0]
    return f"{platform.machine()}, {os.cpu_count()} cores, load {load:.1f}, Python {platform.python_version()}, {libraries}"


def _sources() -> str:
    """Return a digest of the code that is measured."""
    digest = hashlib.sha256()
    for folder in ("models", "optimizer", "scenarios"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _kept(asked: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Return the rows that were measured by the same code, with as many rounds and all that is asked."""
    path = HERE / "engine.json"
    record = json.loads(path.read_text()) if path.exists() else {}
    if record.get("sources") != _sources():
        return {}
    kept = {}
    for row in record["rows"]:
        wanted = rounds_of(row["line"], asked.repeat, peers=asked.peers)
        if row["rounds"] == len(wanted) and set(wanted[0]) <= set(row):
            kept[row["line"]] = row
    return kept


def _write(record: dict[str, Any]) -> None:
    """Write what was measured, beside what engine.json has of the same code and other lines."""
    path = HERE / "engine.json"
    before = json.loads(path.read_text()) if path.exists() else {}
    rows = {row["line"]: row for row in before.get("rows", ()) if before.get("sources") == record["sources"]}
    rows |= {row["line"]: row for row in record["rows"]}
    record = {**record, "rows": sorted(rows.values(), key=lambda row: ALL.index(row["line"]) if row["line"] in ALL else len(ALL))}
    (HERE / "engine.json").write_text(json.dumps(record, indent=1) + "\n")
    (HERE / "engine.md").write_text(page(record))
    (HERE / "engine.svg").write_text(picture(record["rows"]))
    if {row["line"] for row in record["rows"]} >= set(ALL):
        readme = ROOT / "README.md"
        readme.write_text(with_figures(readme.read_text(), record))


if __name__ == "__main__":
    main()
