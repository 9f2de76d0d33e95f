"""A back-test from its specification to what people take away: report, page and rows, in a folder."""

from collections.abc import Callable
from pathlib import Path

from models.plan import Plan
from scenarios.backtest.histories import load
from scenarios.backtest.play import JUDGED
from scenarios.backtest.records import BacktestReport, BacktestSpec, Progress
from scenarios.backtest.run import run
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
    progress: Callable[[Progress], None] = lambda _: None,
) -> tuple[BacktestReport, list[str]]:
    """Run a back-test, or go on with the one that the folder holds, and keep report, page and rows in it.

    Returns:
        the report, and in words what is not there beside it.

    Raises:
        ValueError: its history cannot be read, or the folder holds another back-test.
    """
    work = folder / WORK
    work.mkdir(parents=True, exist_ok=True)
    report = run(spec, data=data, folder=work, workers=jobs, tell=progress)
    missing = take_away(report, folder, work, data, release=release)
    return report, [missing] if missing else []


def take_away(report: BacktestReport, folder: Path, work: Path, data: Path | None, *, release: str) -> str:
    """Write report, page and rows of a back-test whose policies were played in `work`; return what is not there, in words."""
    plans = {result.policy: Plan.model_validate_json((work / result.policy / JUDGED).read_bytes()) for result in report.policies}
    missing = write_rows(folder, columns_of(realised_only(load(report.spec, data)), plans, report.scored))
    keep_report(folder, report, release=release)
    return missing
