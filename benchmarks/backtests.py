"""The published back-tests: what planning earns on real history, against today's rules and perfect foresight.

    python3 dev.py bench backtests --write                         the mean-value set: four periods of 28 days, WATTSPLIT_DATA
    python3 dev.py bench backtests --days 7 --stochastic --write   its first 7 days, with plans over paths of forecasts as well
    python3 dev.py bench backtests --periods ercot-2023            one of them; several with commas between
    python3 dev.py bench backtests --knowledge naive --out FOLDER  by plain rules; in a folder of one's own
    python3 dev.py bench backtests --read --write                  write the tables of runs that have ended, without a replay

Policies of all periods are played side by side by `--jobs` processes. What is done stays in the folder: the same command goes
on where it was broken off, as long as data and planning code are the same. Prints the table, and leaves report, page and rows of
each period in its part of the folder. `--write` puts the tables into docs/backtests.md and README.md.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.backtests_page import page, published, section_words, summary, with_figures  # noqa: E402  # after the path
from scenarios.backtest.histories import HISTORIES, MEAN_VALUE_SET, spec_of  # noqa: E402  # after the path
from scenarios.backtest.published import is_done, run_set  # noqa: E402  # after the path
from scenarios.backtest.records import POLICIES, BacktestReport, BacktestSpec  # noqa: E402  # after the path
from scenarios.backtest.run import CancelledError  # noqa: E402  # after the path
from service.app import release  # noqa: E402  # after the path
from service.backtesting.conduct import take_away  # noqa: E402  # after the path
from service.backtesting.kept import kept_report  # noqa: E402  # after the path
from service.backtesting.words import title_of, usd  # noqa: E402  # after the path
from service.cli.progress import counting  # noqa: E402  # after the path
from service.cli.say import Say  # noqa: E402  # after the path

WALL = "wall_s.json"
"""In the folder of a set: the wall time that the runs of each command took, broken-off ones counted.

Commands that differ in policies or periods share a folder, and none plays again what another has played.
"""


def main(words: Sequence[str] | None = None) -> int:
    """Run the set that is asked for, and print its table."""
    asked = _asked(words)
    data = Path(named) if (named := os.environ.get("WATTSPLIT_DATA")) else None
    policies = (*POLICIES[:1], *(("plan_stochastic",) if asked.stochastic else ()), *POLICIES[1:])
    out = asked.out / f"{asked.knowledge}-{asked.days or 'all'}"
    try:
        specs = [spec_of(name, asked.days, knowledge=asked.knowledge, policies=policies) for name in asked.periods.split(",")]
        reports = read(specs, out) if asked.read else _run(specs, out, data, asked.jobs, _key(asked))
    except (KeyboardInterrupt, CancelledError):
        print(f"broken off: the same command goes on with what is done in {out}", file=sys.stderr)
        return 130
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    section = _section(asked, reports, wall_s(out, _key(asked)))
    print(published(section["reports"]))
    print("\n".join(section_words(section)))
    for one in reports:
        for r in one.policies:
            print(f"{one.spec.name:14} {title_of(r.policy):22} {usd(r.profit_usd):>16}  worst 5 % {usd(r.worst_hours_usd):>12}/h"
                  f"  {r.cpu_s:8,.0f} core-s  {len(r.broken)} rules broken")  # fmt: skip
    for summed in section["reports"]:
        if summed["paths"]:
            print(f"{summed['name']}: {summed['paths']}")
    if asked.write:
        write(ROOT, _key(asked), section)
    return 0


def _asked(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="dev.py bench backtests", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--days", type=int, help="replay only the first days of each period")
    parser.add_argument("--periods", default=",".join(MEAN_VALUE_SET), help=f"of {', '.join(HISTORIES)}")
    parser.add_argument("--knowledge", default="model", choices=("model", "naive", "perfect"))
    parser.add_argument("--stochastic", action="store_true", help="plan over paths of forecasts as well")
    parser.add_argument("--jobs", type=int, default=2, help="processes that play policies side by side (2)")
    parser.add_argument("--out", type=Path, default=ROOT / ".wattsplit" / "backtests", help="folder of the runs")
    parser.add_argument("--read", action="store_true", help="replay nothing: take the reports of runs that have ended")
    parser.add_argument("--write", action="store_true", help="write docs/backtests.md, and the tables of README.md")
    return parser.parse_args(words)


def _run(specs: list[BacktestSpec], out: Path, data: Path | None, jobs: int, key: str) -> list[BacktestReport]:
    began, counts = time.monotonic(), not is_done(specs, out)
    try:
        with counting(Say(), f"{len(specs)} period{'' if len(specs) == 1 else 's'}") as watch:
            reports = run_set(specs, folder=out, data=data, workers=jobs, tell=watch)
    finally:
        if counts and out.exists():
            add_wall_s(out, key, time.monotonic() - began)
    for one in reports:
        take_away(one, out / one.spec.name, out / one.spec.name, data, release=release())
    return reports


def read(specs: Sequence[BacktestSpec], out: Path) -> list[BacktestReport]:
    """Return the reports of a set that has ended.

    Raises:
        ValueError: one is not there, was asked otherwise, or stands on other code than the others.
    """
    found = []
    for spec in specs:
        report = kept_report(out / spec.name)
        if report is None:
            raise ValueError(f"{out / spec.name}: expected the report of a run that has ended; run it without --read first")
        if other := [
            name for name in BacktestSpec.model_fields if name != "title" and _short(report.spec, name) != _short(spec, name)
        ]:
            told = "; ".join(f"{name}: expected {_short(spec, name)}, got {_short(report.spec, name)}" for name in other)
            raise ValueError(f"{out / spec.name}: the report there is of another command ({told}); run this one without --read")
        found.append(report)
    if len(codes := {one.versions.get("planning-code") for one in found}) > 1:
        raise ValueError(f"{out}: expected periods of one planning code, got {len(codes)}; run them anew")
    return found


def _short(spec: BacktestSpec, name: str) -> str:
    value = getattr(spec, name)
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def wall_s(out: Path, key: str) -> float:
    """Return the wall time that the runs of a command took in a folder [s]; 0 where nothing tells it."""
    return _walls_s(out).get(key, 0.0)


def add_wall_s(out: Path, key: str, more_s: float) -> None:
    """Count wall time of a command [s]."""
    told = _walls_s(out)
    (out / WALL).write_text(json.dumps(told | {key: told.get(key, 0.0) + more_s}))


def _walls_s(out: Path) -> dict[str, float]:
    try:
        told = json.loads((out / WALL).read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}  # of commands together, as once written: it is no command's own


def _key(asked: argparse.Namespace) -> str:
    some = "" if asked.periods == ",".join(MEAN_VALUE_SET) else f"-{asked.periods}"
    return f"{asked.knowledge}-{asked.days or 'all'}{'-stochastic' if asked.stochastic else ''}{some}"


def _section(asked: argparse.Namespace, reports: Sequence[BacktestReport], wall_s: float) -> dict[str, Any]:
    command = "python3 dev.py bench backtests"
    command += "" if asked.periods == ",".join(MEAN_VALUE_SET) else f" --periods {asked.periods}"
    command += f" --days {asked.days}" if asked.days else ""
    command += "" if asked.knowledge == "model" else f" --knowledge {asked.knowledge}"
    command += " --stochastic" if asked.stochastic else ""
    title = "Plans over paths against plans of the means" if asked.stochastic else "The mean-value set"
    days = f"the first {asked.days} days of each period" if asked.days else "whole periods"
    return {
        "title": f"{title}, {days}", "command": command, "release": release(), "jobs": asked.jobs, "wall_s": wall_s,
        "reports": [summary(one) for one in reports],
    }  # fmt: skip


def write(root: Path, key: str, section: dict[str, Any]) -> None:
    """Write a section into what is published, in place of what its command came to before; other sections stay."""
    kept = root / "benchmarks" / "backtests.json"
    record = json.loads(kept.read_text()) if kept.exists() else {}
    record = dict(sorted((record | {key: section}).items()))
    readme = root / "README.md"
    told = with_figures(readme.read_text(), record)
    kept.write_text(json.dumps(record, indent=1) + "\n")
    (root / "docs" / "backtests.md").write_text(page(record))
    readme.write_text(told)


if __name__ == "__main__":
    sys.exit(main())
