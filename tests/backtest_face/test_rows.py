"""The hours of a back-test as rows: they add up to what the report says, and CSV and Parquet hold the same."""

import csv
import json
import sys
from collections import defaultdict
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from replayed import few_hours

from scenarios.backtest.run import OtherRunError
from service.backtesting.conduct import conduct
from service.backtesting.kept import PAGE, REPORT, kept_report
from service.backtesting.rows import ABOUT, NO_PARQUET, OF_SITES, write_rows


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("few")
    shares: list[float] = []
    report, missing = conduct(few_hours(), folder, None, release="9.9.9", progress=lambda known: shares.append(known.share))
    assert missing == []
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    return folder, report


@pytest.fixture(scope="module")
def rows(kept):
    with (kept[0] / "rows.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_rows_add_up_to_every_policy_s_profit(kept, rows):
    total, by_term = defaultdict(float), defaultdict(float)
    for row in rows:
        total[row["policy"]] += float(row["usd"])
        for name, value in row.items():
            if name.endswith("_usd"):
                by_term[row["policy"], name.removesuffix("_usd")] += float(value)
    for result in kept[1].policies:
        assert total[result.policy] == pytest.approx(result.all_hours_usd, abs=1e-2)
        for term, usd in result.by_term_usd.items():
            assert by_term[result.policy, term] == pytest.approx(usd, abs=1e-2), term


def test_there_is_a_row_for_each_policy_step_and_owner(kept, rows):
    report = kept[1]
    sites = [row for row in rows if row["kind"] == "site"]
    owners = {(row["owner"], row["kind"]) for row in rows}
    assert len(rows) == len(report.policies) * report.grid.steps * len(owners)
    assert len(sites) == len(report.policies) * report.grid.steps
    for n, result in enumerate(report.policies):
        mine = sites[n * report.grid.steps : (n + 1) * report.grid.steps]
        assert [float(row["draw_w"]) / 1e6 for row in mine] == pytest.approx(list(result.draw_mw))
        assert [float(row["price_usd_per_mwh"]) for row in mine] == pytest.approx(
            report.prices_usd_per_mwh["ERCOT_HB_WEST"], rel=0.1
        )
    assert all(row[name] == "" for row in rows if row["kind"] == "workload" for name in OF_SITES)


def test_parquet_holds_what_csv_holds_with_its_types(kept, rows):
    table = pq.read_table(kept[0] / "rows.parquet")
    assert table.column_names == list(rows[0])
    assert str(table.schema.field("start").type) == "timestamp[us, tz=UTC]"
    assert table.column("usd").to_pylist() == pytest.approx([float(row["usd"]) for row in rows], abs=1e-5)
    assert [str(v) for v in table.column("policy").to_pylist()] == [row["policy"] for row in rows]
    assert table.column_names[: len(ABOUT)] == list(ABOUT)


def test_without_pyarrow_there_is_csv_and_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    said = write_rows(tmp_path, {"policy": ["plan"], "usd": [1.5]})
    assert said == NO_PARQUET
    assert "install wattsplit[parquet]" in said
    assert (tmp_path / "rows.csv").read_text() == "policy,usd\nplan,1.5\n"
    assert not (tmp_path / "rows.parquet").exists()


def test_the_kept_report_is_the_report_and_a_second_run_only_reads_it(kept, monkeypatch: pytest.MonkeyPatch):
    folder, report = kept
    assert kept_report(folder) == report
    assert f"digest of all but times: {report.digest}" in (folder / PAGE).read_text()
    (folder / REPORT).unlink()
    assert kept_report(folder) is None
    monkeypatch.setattr("scenarios.rolling.optimise", None)
    again, _ = conduct(few_hours(), folder, None, release="9.9.9")
    assert again.digest == report.digest


def test_another_run_does_not_go_on_in_the_same_folder(kept):
    with pytest.raises(ValueError, match="take another folder"):
        conduct(few_hours(steps=3), kept[0], None, release="9.9.9")


def test_a_job_of_other_planning_code_begins_again_and_says_so(kept):
    """A service that starts again with a new release goes on with no half of the old one."""
    folder, report = kept
    for policy in ("plan", "break_even"):
        file = folder / "work" / policy / "stands_on.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {"code": "sha256:" + "0" * 64}))
    with pytest.raises(OtherRunError, match="other planning code"):
        conduct(few_hours(), folder, None, release="9.9.9")
    again, notes = conduct(few_hours(), folder, None, release="9.9.9", anew=True)
    assert again.digest == report.digest
    (said,) = notes
    assert said.startswith("begun again: plan: its run stands on other planning code (sha256:000000000000…, now sha256:")
    assert conduct(few_hours(), folder, None, release="9.9.9", anew=True)[1] == []
