"""The folder of a back-test: report.json, report.html, the rows, and what was done so far while it runs."""

import os
from pathlib import Path

from scenarios.backtest.records import BacktestReport
from service.backtesting.page import report_page
from service.backtesting.rows import CSV_NAME, PARQUET_NAME

REPORT, PAGE, WORK = "report.json", "report.html", "work"
ROWS = {"text/csv": CSV_NAME, "application/vnd.apache.parquet": PARQUET_NAME}
"""Files of the rows by media type."""


def folder_of(data_dir: str, job_id: str) -> Path:
    """Return where the service keeps a back-test."""
    return Path(data_dir).resolve() / "backtests" / job_id


def keep_report(folder: Path, report: BacktestReport, *, release: str) -> None:
    """Write a report and its page, each whole or not at all; the report comes last, for it says that all is there."""
    for name, content in ((PAGE, report_page(report, release=release)), (REPORT, report.model_dump_json(indent=1))):
        partial = folder / f".{name}.partial"
        with partial.open("w") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(folder / name)


def kept_report(folder: Path) -> BacktestReport | None:
    """Return the report of a folder; None while there is none.

    Raises:
        pydantic.ValidationError: another release wrote it.
    """
    try:
        return BacktestReport.model_validate_json((folder / REPORT).read_bytes())
    except FileNotFoundError:
        return None
