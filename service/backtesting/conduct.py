"""A back-test from its specification to what people take away: report, page and rows, in a folder."""

import shutil
from collections.abc import Callable
from pathlib import Path

from models.plan import Plan
from scenarios.backtest.histories import load
from scenarios.backtest.play import JUDGED
from scenarios.backtest.records import BacktestReport, BacktestSpec, Progress
from scenarios.backtest.run import OtherRunError, run
from scenarios.backtest.scoring import realised_only
from service.backtesting.kept import WORK, keep_report
from service.backtesting.rows import columns_of, write_rows


def conduct(
    spec: BacktestSpec,
    folder: Path,
    data: Path | None,
    *,
    release: str,
    jobs: int = 1,
    anew: bool = False,
    progress: Callable[[Progress], None] = lambda _: None,
) -> tuple[BacktestReport, list[str]]:
    """Run a back-test, or go on with the one that the folder holds, and keep report, page and rows in it.

    anew: whether to begin again, and say so, where what is done stands on other data or other planning code; a job's folder
    is its own, so nobody else's work is lost.

    Returns:
        the report, and in words what is not there beside it, or was begun again.

    Raises:
        OtherRunError: the folder holds a run that was asked otherwise, or stands on other data or code.
        ValueError: its history cannot be read.
    """
    work, notes = folder / WORK, []
    work.mkdir(parents=True, exist_ok=True)
    try:
        report = run(spec, data=data, folder=work, workers=jobs, tell=progress)
    except OtherRunError as error:
        if not anew:
            raise
        shutil.rmtree(work)
        work.mkdir()
        notes.append(f"begun again: {str(error).removeprefix(f'{work}/')}")
        report = run(spec, data=data, folder=work, workers=jobs, tell=progress)
    if missing := take_away(report, folder, work, data, release=release):
        notes.append(missing)
    return report, notes


def take_away(report: BacktestReport, folder: Path, work: Path, data: Path | None, *, release: str) -> str:
    """Write report, page and rows of a back-test whose policies were played in `work`; return what is not there, in words."""
    plans = {result.policy: Plan.model_validate_json((work / result.policy / JUDGED).read_bytes()) for result in report.policies}
    missing = write_rows(folder, columns_of(realised_only(load(report.spec, data)), plans, report.scored))
    keep_report(folder, report, release=release)
    return missing
