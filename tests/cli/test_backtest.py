"""Back-tests on the command line: run, gone on with, shown; refused in words where data or sense is missing."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from replayed import RULES, few_hours
from reported import report

from models.reading import parse
from scenarios.backtest.records import BacktestReport

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def spec(tmp_path: Path) -> str:
    """The file of a specification that ends within seconds."""
    (tmp_path / "few.json").write_text(few_hours(policies=RULES).model_dump_json())
    return "few.json"


def test_a_run_ends_with_a_table_a_page_and_rows(wattsplit, spec, tmp_path):
    ended = wattsplit("backtest", "run", spec, "--out", "few")
    assert ended.code == 0, ended.err
    for words in (
        "Profit by policy",
        "Break-even rule",
        "Always mining",
        "best rule",
        "left out",
        "core-seconds per replayed hour",
    ):
        assert words in ended.out, words
    assert "100%" in ended.err or "50%" in ended.err
    found = BacktestReport.model_validate_json((tmp_path / "few" / "report.json").read_text())
    assert {path.name for path in (tmp_path / "few").iterdir()} >= {"report.html", "rows.csv", "rows.parquet"}
    shown = wattsplit("backtest", "show", "few")
    assert shown.out == ended.out
    again = wattsplit("backtest", "run", spec, "--out", "few", "--json")
    assert again.err == ""
    assert parse(BacktestReport, again.json).digest == found.digest


def test_without_a_folder_nothing_is_left_behind(wattsplit, spec, tmp_path):
    ended = wattsplit("backtest", "run", spec, "--policies", "break_even", "--quiet")
    assert (ended.code, ended.err) == (0, "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["few.json"]


def test_a_run_that_is_broken_off_goes_on_to_the_same_end(wattsplit, tmp_path):
    (tmp_path / "few.json").write_text(few_hours(steps=4, policies=("plan", "break_even")).model_dump_json())
    command = [sys.executable, "-m", "service.cli", "backtest", "run", "few.json", "--out", "broken", "--quiet"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WATTSPLIT_")}
    steps = tmp_path / "broken" / "work" / "plan" / "steps.jsonl"
    running = subprocess.Popen(command, cwd=tmp_path, env=environment)
    until = time.monotonic() + 90
    while time.monotonic() < until and not (steps.exists() and len(steps.read_text().splitlines()) >= 3):
        time.sleep(0.05)
    running.send_signal(signal.SIGKILL)
    running.wait(30)
    assert not (tmp_path / "broken" / "report.json").exists()
    assert wattsplit("backtest", "show", "broken").code == 3
    done = len(steps.read_text().splitlines()) - 1
    assert 2 <= done < 4
    for folder in ("broken", "whole"):
        assert wattsplit("backtest", "run", "few.json", "--out", folder, "--quiet").code == 0
    reports = [parse(BacktestReport, json.loads((tmp_path / f / "report.json").read_text())) for f in ("broken", "whole")]
    assert reports[0].digest == reports[1].digest


def test_the_named_periods_say_what_of_their_data_is_absent(wattsplit, tmp_path):
    rows = wattsplit("backtest", "list", "--json").json
    assert {row["name"] for row in rows} == {"ercot-2023", "ercot-2021", "caiso-2022", "germany-2022", "storm"}
    absent = {row["name"]: row["absent"] for row in rows}
    assert absent.pop("storm") == ""
    assert all("WATTSPLIT_DATA" in words for words in absent.values())
    (tmp_path / "data").mkdir()
    said = " ".join(wattsplit("backtest", "list", "--data", "data").out.split())
    assert "prices/ercot_rt_15min_hubs_2020_2024.parquet" in said
    assert "storm: 2 days, 3 sites, ercot_west" in said
    assert "its data is here" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("ercot-2023",), "WATTSPLIT_DATA"),
        (("ercot-2023", "--data", "nowhere"), "no folder"),
        (("summer",), "expected one of ercot-2023"),
        (("storm", "--days", "3"), "expected 1 to 2 days of storm, got 3"),
        (("storm", "--policies", "plan,luck"), "luck"),
        (("storm", "--policies", "plan,plan"), "expected each once"),
        (("storm", "--knowledge", "gut"), "naive"),
        (("nowhere.json",), "specification of a back-test"),
    ],
)
def test_what_cannot_be_run_is_refused_in_words(wattsplit, words, said):
    ended = wattsplit("backtest", "run", *words)
    assert ended.code == 3
    assert said in " ".join(ended.err.split())


def test_a_folder_of_another_run_is_refused(wattsplit, spec, tmp_path):
    assert wattsplit("backtest", "run", spec, "--out", "few", "--quiet").code == 0
    (tmp_path / "other.json").write_text(few_hours(steps=3, policies=RULES).model_dump_json())
    ended = wattsplit("backtest", "run", "other.json", "--out", "few")
    assert ended.code == 3
    assert "take another folder" in ended.err


def test_a_report_is_shown_with_its_regret_and_as_a_page(wattsplit, tmp_path):
    (tmp_path / "report.json").write_text(report(seed=8).model_dump_json())
    ended = wattsplit("backtest", "show", "report.json", "--page", "summer.html")
    assert ended.code == 5, "two of its plans were not optimised in time"
    for words in (
        "A hot summer in Texas",
        "What was missed",
        "forecast error",
        "Added by contract",
        "672 plans were not optimised",
    ):
        assert words in ended.out, words
    assert (tmp_path / "summer.html").read_text().startswith("<!doctype html>")


def test_broken_rules_end_as_what_the_audit_refuses(wattsplit, tmp_path):
    made = report(seed=9, days=2)
    broke = made.policies[0].model_copy(update={"broken": ("pecos hour 3: draws too much",)})
    (tmp_path / "report.json").write_text(made.model_copy(update={"policies": (broke, *made.policies[1:])}).model_dump_json())
    ended = wattsplit("backtest", "show", "report.json")
    assert ended.code == 6
    assert "pecos hour 3: draws too much" in ended.out


def test_help_shows_examples(wattsplit):
    for command in ("run", "list", "show"):
        ended = wattsplit("backtest", command, "--help")
        assert ended.code == 0
        assert "wattsplit backtest" in ended.out
