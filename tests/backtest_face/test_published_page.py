"""The published tables are written from reports alone: each section by its command, beside what others wrote before."""

import json
import shutil
from pathlib import Path

import pytest
from reported import report

from benchmarks import backtests
from benchmarks.backtests import WALL, add_wall_s, wall_s
from benchmarks.backtests_page import BEGIN, END, UNTIMED, page, published, summary, with_figures
from scenarios.backtest.histories import spec_of
from scenarios.backtest.records import POLICIES
from service.backtesting.kept import keep_report
from service.backtesting.words import SETTLED, paths_verdict, usd

ROOT = Path(__file__).resolve().parents[2]


def section(*reports, title="The mean-value set", **more):
    given = {"title": title, "command": "python3 dev.py bench backtests", "release": "9.9.9", "jobs": 2, "wall_s": 2_520.0}
    return given | {"reports": [summary(one) for one in reports]} | more


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A repository of nothing but what is written into."""
    for name in ("benchmarks", "docs"):
        (tmp_path / name).mkdir()
    shutil.copy(ROOT / "README.md", tmp_path / "README.md")
    return tmp_path


def as_asked(name: str, **more):
    """A report of the first day of a period, as the command asks for it."""
    return report(seed=1, days=1, **more).model_copy(update={"spec": spec_of(name, 1, knowledge="model", policies=POLICIES)})


def test_a_row_holds_the_figures_of_its_report():
    made = report(seed=1)
    row = published([summary(made)]).splitlines()[2]
    assert f"{usd(made.gain_usd)} over inference first (+" in row
    assert usd(made.regret.forecast_error_usd) in row
    assert f"{made.cpu_s_per_hour:.2f}" in row
    behind = made.model_copy(update={"gain_usd": -61_064.0, "gain_share": -0.012})
    assert "$61,064 below inference first (−1.2 %)" in published([summary(behind)])
    assert "over" not in published([summary(behind)]).splitlines()[2]


def test_the_page_tells_time_plans_contracts_and_paths():
    both = report(seed=1, days=7, policies=("plan", "plan_stochastic", "perfect_foresight", "break_even"))
    told = page({"one": section(report(seed=1)), "two": section(both, title="Paths")})
    assert "42 min of wall time by 2 processes; " in told
    assert "0 rules broken" in told
    assert SETTLED in told
    assert "demand charge" in told
    assert f"**summer**: {paths_verdict(both)}" in told
    assert "*Reserves are not sold*" in told
    assert told.index("## The mean-value set") < told.index("## Paths")


def test_writing_a_section_leaves_the_others_and_the_rest_of_the_readme(tree: Path):
    before = (tree / "README.md").read_text()
    backtests.write(tree, "model-all", section(report(seed=1)))
    backtests.write(tree, "model-7-stochastic", section(report(seed=2, days=7), title="Paths"))
    backtests.write(tree, "model-all", section(report(seed=3)))
    kept = json.loads((tree / "benchmarks" / "backtests.json").read_text())
    assert list(kept) == ["model-7-stochastic", "model-all"]
    readme = (tree / "README.md").read_text()
    assert readme.split(BEGIN)[0] == before.split(BEGIN)[0]
    assert readme.split(END)[1] == before.split(END)[1]
    for one in kept.values():
        assert published(one["reports"]) in readme
        assert published(one["reports"]) in (tree / "docs" / "backtests.md").read_text()
    assert with_figures(readme, kept) == readme, "written again it is the same"
    with pytest.raises(ValueError, match=r"README\.md: expected <!-- written by the back-tests -->"):
        with_figures("no marks", kept)


def test_runs_that_have_ended_are_read_and_nothing_is_replayed(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(backtests, "run_set", None)
    asked = ["--periods", "storm", "--days", "1", "--read", "--out", str(tmp_path)]
    assert backtests.main(asked) == 2
    assert "expected the report of a run that has ended" in capsys.readouterr().err
    folder = tmp_path / "model-1" / "storm"
    folder.mkdir(parents=True)
    keep_report(folder, as_asked("storm"), release="9.9.9")
    assert backtests.main(asked) == 0
    told = capsys.readouterr().out
    assert "| storm, 1 day " in told
    assert f"- {UNTIMED}; " in told


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--stochastic"], "policies: expected plan, plan_stochastic, "),
        (["--days", "1"], ", got 1; policies: expected plan, "),
    ],
)
def test_a_report_that_the_command_did_not_ask_for_is_not_published(tree: Path, tmp_path, capsys, monkeypatch, words, told):
    monkeypatch.setattr(backtests, "ROOT", tree)
    before = (tree / "README.md").read_text()
    folder = tmp_path / "model-1" / "storm"
    folder.mkdir(parents=True)
    kept = as_asked("storm")
    if "--days" in words:
        kept = kept.model_copy(update={"spec": kept.spec.model_copy(update={"sites": 1, "policies": ("plan",)})})
    keep_report(folder, kept, release="9.9.9")
    assert backtests.main(["--periods", "storm", "--days", "1", "--read", "--write", "--out", str(tmp_path), *words]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"{folder}: the report there is of another command (")
    assert told in said
    assert said.rstrip().endswith("; run this one without --read")
    assert (tree / "README.md").read_text() == before


def test_each_command_counts_its_own_time(tmp_path):
    assert wall_s(tmp_path, "model-7") == 0.0
    add_wall_s(tmp_path, "model-7", 60.0)
    add_wall_s(tmp_path, "model-7-stochastic", 600.0)
    add_wall_s(tmp_path, "model-7", 5.0)
    assert (wall_s(tmp_path, "model-7"), wall_s(tmp_path, "model-7-stochastic")) == (65.0, 600.0)
    (tmp_path / WALL).write_text(json.dumps(1234.5))
    assert wall_s(tmp_path, "model-7") == 0.0, "time that no command is named for is nobody's"


def test_some_of_the_periods_do_not_take_the_place_of_all_of_them(tree: Path, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(backtests, "ROOT", tree)
    backtests.write(tree, "model-1", section(report(seed=1)))
    folder = tmp_path / "model-1" / "storm"
    folder.mkdir(parents=True)
    keep_report(folder, as_asked("storm"), release="9.9.9")
    assert backtests.main(["--periods", "storm", "--days", "1", "--read", "--write", "--out", str(tmp_path)]) == 0
    kept = json.loads((tree / "benchmarks" / "backtests.json").read_text())
    assert {key: one["command"].partition("--periods ")[2] for key, one in kept.items()} == {
        "model-1": "", "model-1-storm": "storm --days 1",
    }  # fmt: skip


def test_periods_of_different_code_are_not_put_into_one_table(tmp_path, capsys):
    for name, code in (("storm", "sha256:a"), ("ercot-2021", "sha256:b")):
        folder = tmp_path / "model-1" / name
        folder.mkdir(parents=True)
        keep_report(folder, as_asked(name, versions={"planning-code": code}), release="9.9.9")
    assert backtests.main(["--periods", "storm,ercot-2021", "--days", "1", "--read", "--out", str(tmp_path)]) == 2
    assert "expected periods of one planning code, got 2" in capsys.readouterr().err


def test_a_period_that_there_is_not_is_refused_in_words(capsys):
    assert backtests.main(["--periods", "summer"]) == 2
    assert "history: expected one of" in capsys.readouterr().err
