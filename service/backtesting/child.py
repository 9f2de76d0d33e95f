"""The process of one back-test: a request on standard input, a line of JSON for each thing that happens on standard output.

Request: {spec, folder, data, jobs, release}. Lines: {"progress": {…}} as it goes, then {"done": figures} or {"refused": why}.
Its parent owns its time and its memory, and kills it with all that it started (`optimizer.highs_process`).
"""

import json
import sys
from pathlib import Path
from typing import Any

from optimizer.child import command, die_with_parent, keep_stdout_for_frames
from scenarios.backtest.records import BacktestReport, BacktestSpec, Progress


def program() -> tuple[str, ...]:
    """Return the command that starts it."""
    return command("service.backtesting.child")


def main(parent: int) -> None:
    """Run the back-test that standard input asks for."""
    die_with_parent(parent)
    out = keep_stdout_for_frames()

    def say(**line: Any) -> None:
        out.write(json.dumps(line).encode() + b"\n")
        out.flush()

    from service.backtesting.conduct import conduct

    asked = json.load(sys.stdin)
    data = Path(asked["data"]) if asked["data"] else None
    spec = BacktestSpec.model_validate_json(json.dumps(asked["spec"]))

    def tell(known: Progress) -> None:
        say(progress={"policy": known.policy, "share": round(known.share, 4), "words": known.words})

    try:
        report, notes = conduct(
            spec, Path(asked["folder"]), data, jobs=asked["jobs"], progress=tell, release=asked["release"], anew=True
        )
    except ValueError as error:
        say(refused=str(error)[:2000])
        return
    say(done=figures(report) | {"notes": notes})


def figures(report: BacktestReport) -> dict[str, Any]:
    """Return the key figures of a report, as its job tells them."""
    names = ("share_of_perfect", "gain_usd", "gain_share", "best_rule", "cpu_s", "cpu_s_per_hour")
    told: dict[str, Any] = {name: getattr(report, name) for name in names}
    told["profit_usd"] = {result.policy: result.profit_usd for result in report.policies}
    told["hours_scored"], told["hours_left_out"] = report.policies[0].hours_scored, report.policies[0].hours_left_out
    told["broken"] = [words for result in report.policies for words in result.broken][:20]
    return told | {"digest": report.digest}
