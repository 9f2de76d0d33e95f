"""`scenario sweep`: many what-ifs over one base, in one table, in words and in every format; faults all at once."""

import csv
import io
import json
from pathlib import Path
from random import Random

import pytest
import yaml
from cli.test_plans import impossible
from workbooks import read_book
from worlds import world

EXACT = ("--gap", "0", "--budget", "PT30S")
FILE = """
attribute: true
scenarios:
  - {name: cheap, set: [hashprice=-20%]}
  - {name: both, set: [hashprice=+10%, "limit=-10%"]}
"""


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "problem.json").write_text(world(Random(4), sites=2, steps=4).model_dump_json())
    (tmp_path / "some.yaml").write_text(FILE)
    return tmp_path


def test_all_what_ifs_are_compared_with_one_base_and_written(wattsplit, here: Path):
    ended = wattsplit("scenario", "sweep", "problem.json", "some.yaml", *EXACT, "--out", "sweep.xlsx", "--json")
    assert ended.code == 0, ended.err
    cheap, both = ended.json["rows"]
    assert cheap["profit_usd"]["difference"] < 0.0 < both["profit_by_term_usd"]["hashing_revenue"]["before"]
    assert [row["profit_usd"]["before"] for row in (cheap, both)] == pytest.approx([ended.json["base_profit_usd"]] * 2)
    assert cheap["attribution"] == []
    assert [part["change"] for part in both["attribution"]] == ["hashprice=+10%", "limit=-10%"]
    assert sum(p["difference_usd"] for p in both["attribution"]) == pytest.approx(both["profit_usd"]["difference"])
    book = read_book((here / "sweep.xlsx").read_bytes())
    assert book.pages["Scenarios"].column("scenario") == ["base", "cheap", "both"]
    assert book.pages["Scenarios"].column("difference to base, USD")[1:] == pytest.approx(
        [row["profit_usd"]["difference"] for row in (cheap, both)]
    )
    assert book.pages["Plans"].column("plan of") == ["base", "cheap", "both"]
    assert dict(book.pages["Notes"].rows)["set"] == "some"


def test_the_table_is_for_people_and_csv_for_spreadsheets(wattsplit, here: Path):
    ended = wattsplit("scenario", "sweep", "problem.json", "some.yaml", *EXACT, "--out", "sweep.csv")
    assert ended.code == 0, ended.err
    for word in ("cheap", "both", "difference USD", "±", "limit=-10% adds"):
        assert word in ended.out
    rows = list(csv.DictReader(io.StringIO((here / "sweep.csv").read_text())))
    assert [row["scenario"] for row in rows] == ["base", "cheap", "both"]


@pytest.mark.parametrize(
    "words",
    [
        ("scenario", "sweep", "problem.json", "some.yaml", "--out", "nowhere/out.xlsx"),
        ("scenario", "run", "problem.json", "--set", "hashprice=-20%", "--out", "nowhere/out.xlsx"),
        ("plan", "run", "problem.json", "--out", "nowhere/out.json"),
        ("plan", "run", "problem.json", "--scenarios", "some.yaml", "--scenarios-out", "nowhere/out.json"),
    ],
)
def test_a_file_in_a_folder_that_is_not_there_is_refused_before_anything_is_planned(wattsplit, here: Path, words):
    ended = wattsplit(*words, *EXACT)
    assert ended.code == 1
    assert ended.err.strip() == f"wattsplit: cannot write {words[-1]}: there is no folder nowhere"
    assert ended.out == ""


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("scenario sweep problem.json some.yaml --out a.csv", 1, "cannot write a.csv: it is a folder"),
        ("plan run problem.json --out a.csv", 1, "cannot write a.csv: it is a folder"),
        ("scenario run problem.json --set hashprice=-20% --out some", 1, "cannot write into some: it is no folder"),
        ("scenario run problem.json --set hashprice=-20% --out c.csv", 2, "expected a folder or NAME.xlsx, got c.csv"),
        ("backtest run storm --out some", 1, "cannot write into some: it is no folder"),
        ("backtest run storm --out some.html", 2, "expected a folder, got some.html"),
    ],
)
def test_a_name_that_cannot_be_written_is_refused_before_anything_is_planned(wattsplit, here: Path, words, code, said):
    (here / "a.csv").mkdir()
    (here / "some").write_text("a file")
    ended = wattsplit(*words.split())
    assert (ended.code, ended.out) == (code, "")
    assert said in ended.err
    assert "bound" not in ended.err, "it was planned before it was refused"
    assert not (here / "c.csv").exists()


def test_a_what_if_that_changes_nothing_says_so(wattsplit, here: Path):
    note = "the what-if changes nothing: every figure of the problem is what it was"
    for change, notes in (("hashprice=+0%", [note]), ("hashprice=+1%", [])):
        ended = wattsplit("scenario", "run", "problem.json", "--set", change, *EXACT, "--json")
        assert (ended.code, ended.json["notes"]) == (0, notes), ended.err
    (here / "two.json").write_text(
        '{"scenarios": [{"name": "same", "set": ["hashprice=+0%"]}, {"name": "x", "set": ["limit=-1%"]}]}'
    )
    ended = wattsplit("scenario", "sweep", "problem.json", "two.json", *EXACT)
    assert [line for line in ended.out.splitlines() if "nothing" in line] == [f"same: {note}"]


def test_what_a_change_adds_is_told_with_its_sign_and_its_certainty(wattsplit, here: Path):
    ended = wattsplit("scenario", "sweep", "problem.json", "some.yaml", *EXACT)
    added = [line for line in ended.out.splitlines() if " adds " in line]
    assert [line.partition(" adds ")[0] for line in added] == ["both: hashprice=+10%", "both: limit=-10%"]
    assert "adds +" in added[0]
    assert all(" USD ± " in line and line.endswith(" USD") for line in added)
    assert "both, change 2 of 2: " in ended.err


def test_no_what_if_is_called_as_the_base_is(wattsplit, here: Path):
    (here / "base.json").write_text('{"scenarios": [{"name": "base", "set": ["hashprice=+1%"]}]}')
    ended = wattsplit("scenario", "sweep", "problem.json", "base.json", *EXACT)
    assert (ended.code, "base is the name of the base's own row" in ended.err) == (3, True), ended.err


def test_columns_of_the_base_plan_and_of_base_load_are_told_apart(wattsplit, here: Path):
    ended = wattsplit("scenario", "run", "problem.json", "--set", "limit=-10%", *EXACT, "--out", "one.xlsx", "--json")
    sites = read_book((here / "one.xlsx").read_bytes()).pages["Sites"]
    before = [site["energy"]["base_mwh"]["before"] for site in ended.json["sites"].values()]
    assert sites.column("base base load, MWh") == pytest.approx(before)


def test_a_what_if_without_a_plan_stands_beside_the_others_and_tells_why(wattsplit, here: Path):
    asked = {"scenarios": [{"name": "cool", "set": ["ambient@1h..3h:=20"]}, {"name": "dear", "set": ["hashprice=+2%"]}]}
    (here / "two.json").write_text(json.dumps(asked))
    hot = impossible().model_copy(update={"ambient_c": {"A": (40.0, 40.0, 40.0)}})
    (here / "problem.json").write_text(hot.model_dump_json())
    ended = wattsplit("scenario", "sweep", "problem.json", "two.json", *EXACT, "--out", "two.xlsx")
    assert ended.code == 4, ended.err
    assert "cool: infeasible: no plan can keep all hard rules" in " ".join(ended.out.split())
    _, cool, dear = read_book((here / "two.xlsx").read_bytes()).pages["Scenarios"].records
    assert (cool["ending"], cool["profit, USD"], dear["ending"]) == ("infeasible", None, "planned")
    assert "ramp" in cool["why there is no plan"]


def test_without_a_plan_of_the_base_there_is_nothing_to_compare_with(wattsplit, here: Path):
    (here / "problem.json").write_text(impossible().model_dump_json())
    ended = wattsplit("scenario", "sweep", "problem.json", "some.yaml", *EXACT, "--out", "no.xlsx")
    assert ended.code == 4
    assert not (here / "no.xlsx").exists()


def test_every_fault_of_a_file_is_told_at_once(wattsplit, here: Path):
    wrong = {"scenarios": [{"name": "a", "set": ["hashprice=-20%", "hashprize=1"]}, {"name": "b", "set": ["nonsense"]}]}
    (here / "wrong.yaml").write_text(yaml.safe_dump(wrong))
    ended = wattsplit("scenario", "sweep", "problem.json", "wrong.yaml", "--json")
    assert ended.code == 3
    assert {fault["pointer"] for fault in json.loads(ended.err)["errors"]} == {"/scenarios/0/set/1", "/scenarios/1/set/0"}
    nowhere = {"scenarios": [{"name": "a", "set": ["limit[atlantis]=1MW"]}, {"name": "b", "set": ["hashprice=+1%"]}]}
    (here / "nowhere.yaml").write_text(yaml.safe_dump(nowhere))
    ended = wattsplit("scenario", "sweep", "problem.json", "nowhere.yaml", "--json")
    assert [fault["pointer"] for fault in json.loads(ended.err)["errors"]] == ["/scenarios/0/set/0"]
    assert wattsplit("scenario", "sweep", "problem.json", "no_such.yaml").code == 3
    assert wattsplit("scenario", "sweep", "problem.json", "some.yaml", "--out", "sweep.pdf").code == 2
