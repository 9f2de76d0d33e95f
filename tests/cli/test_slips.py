"""What tired people type: wrong names, units, files and times. Each is answered with what was expected and what there is."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer
from reported import report
from served import Served

from service.cli.amounts import share
from service.cli.durations import seconds
from service.cli.running import running

ROOT = Path(__file__).resolve().parents[2]
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    made = Served(tmp_path_factory.mktemp("slips"))
    with made.listening() as address:
        yield made, address
    made.close()


@pytest.fixture
def ask(wattsplit, served):
    made, address = served
    return lambda *words: wattsplit(*words, url=address, key=made.tokens["operator"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["event", "order", "Pecso", "--limit-mw", "1"], "the fleet has no site Pecso; did you mean pecos?"),
        (["outage", "enter", "kirunna", "s21", "--count", "1"], "the fleet has no site kirunna; did you mean kiruna?"),
        (["event", "order", "zzz", "--limit-mw", "1"], "the fleet has no site zzz; /v1/sites lists those it has"),
        (["series", "show", "HB_WETS"], "By `wattsplit series show` you see what there is."),
        (["series", "export", "HB_WETS", "--out", "x.csv"], "By `wattsplit series show` you see what there is."),
        (["forecast", "show", "HB_WETS"], "By `wattsplit forecast list` you see what there is."),
        (["site", "show", "pecoss"], "By `wattsplit site list` you see what there is."),
        (["event", "withdraw", "12"], "By `wattsplit event list` you see what there is."),
    ],
)
def test_a_wrong_name_is_answered_with_what_there_is(ask, words, said):
    ended = ask(*words)
    assert ended.code == 3
    assert said in ended.err


def test_each_fault_is_told_once(ask):
    ended = ask("event", "order", "Pecso", "--limit-mw", "1")
    assert ended.err.count("the fleet has no site") == 1
    assert ended.err.startswith("wattsplit: POST /v1/events: The input is not acceptable\n  /site: ")


@pytest.mark.parametrize("limit_mw", ["3000", "9000"])
def test_kilowatts_for_megawatts_are_pointed_out(ask, served, limit_mw):
    carries = served[0].store.fleets.newest().fleet.site_by_name["pecos"].connection_limit_w / 1e6
    ended = ask("event", "order", "pecos", "--limit-mw", limit_mw, "--json")
    assert ended.code == 0
    words = f"the order limits nothing: {limit_mw} MW are asked, the connection of pecos carries {carries:g} MW"
    assert ended.json["cautions"] == [words]
    assert words in " ".join(ended.err.split())
    assert ask("event", "order", "pecos", "--limit-mw", f"{carries / 2}", "--json").json["cautions"] == []


def test_an_instant_may_be_so_long_from_now(ask):
    began = datetime.now(UTC)
    ended = ask("event", "order", "pecos", "--limit-mw", "1", "--until", "+12h", "--json")
    assert ended.code == 0, ended.err
    assert timedelta(0) <= datetime.fromisoformat(ended.json["order"]["end"]) - began - timedelta(hours=12) + SECOND < MINUTE
    assert "expected a time span such as" in " ".join(
        ask("event", "order", "pecos", "--limit-mw", "1", "--until", "+soon").err.split()
    )


@pytest.mark.parametrize(
    ("until", "example"),
    [("2026-11-23", "2026-11-23T00:00Z"), ("2026-11-23T06:30:00", "2026-11-23T06:30Z or 2026-11-23T06:30-06:00")],
)
def test_a_time_without_an_offset_is_answered_with_one_that_is_read(ask, until, example):
    ended = ask("event", "order", "pecos", "--limit-mw", "1", "--until", until)
    assert ended.code == 2
    assert example in " ".join(ended.err.replace("│", " ").split())


@pytest.mark.parametrize("name", ["prices.xlsx", "prices", "prices.parquet.gz"])
def test_a_file_of_another_kind_is_refused_by_its_name(ask, tmp_path, name):
    (tmp_path / name).write_bytes(b"PK\x03\x04")
    ended = ask("series", "import", "HB", name)
    assert ended.code == 2
    assert "expected a name that ends with .json, .yaml, .yml, .csv, .parquet; a spreadsheet is saved as CSV" in ended.err


def test_a_file_that_is_not_there(ask):
    ended = ask("series", "import", "HB", "prices.csv")
    assert ended.code == 3
    assert "prices.csv: expected a series in a JSON, YAML, CSV or Parquet file; No such file or directory" in ended.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["series", "show"], "no series is told of yet; `wattsplit series import --help` says how"),
        (["feed", "list"], "the service asks no feeds: WATTSPLIT_FEEDS_FILE names none"),
        (["outage", "list"], "no outages stand"),
        (["pin", "list"], "no pins stand"),
        (["award", "list"], "nothing is told of awards"),
        (["difficulty", "list"], "no changes are entered"),
    ],
)
def test_an_empty_list_says_so_and_is_empty_for_machines(ask, words, said):
    ended = ask(*words)
    assert (ended.code, ended.out.strip().startswith(said)) == (0, True), ended
    assert json.loads(ask(*words, "--json").out) == []


def documents(tmp_path):
    """A file of each kind that people mistake for another."""
    day = report(seed=1, days=1)
    shutil.copy(ROOT / "scenarios" / "template_fleet.yaml", tmp_path / "fleet.yaml")
    shutil.copy(ROOT / "scenarios" / "template_futures.yaml", tmp_path / "futures.yaml")
    (tmp_path / "report.json").write_text(day.model_dump_json())
    (tmp_path / "period.json").write_text(day.spec.model_dump_json())
    (tmp_path / "comparison.json").write_text('{"before": "a", "after": "b", "profit_by_term_usd": {}}')
    (tmp_path / "sweep.json").write_text('{"base_plan_id": "a", "rows": []}')
    (tmp_path / "what_ifs.json").write_text('{"scenarios": [{"name": "cheap", "set": ["hashprice=-20%"]}]}')


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("plan run report.json", "it is a report of a back-test, which `wattsplit backtest show` takes"),
        ("plan show report.json", "it is a report of a back-test, which `wattsplit backtest show` takes"),
        ("scenario sweep reference report.json", "it is a report of a back-test, which `wattsplit backtest show` takes"),
        ("plan run period.json", "it is a period to back-test, which `wattsplit backtest run` takes"),
        ("plan run fleet.yaml", "it is a fleet, which `wattsplit fleet validate` takes"),
        ("backtest show fleet.yaml", "it is a fleet, which `wattsplit fleet validate` takes"),
        ("fleet validate report.json", "it is a report of a back-test, which `wattsplit backtest show` takes"),
        ("scenario sweep reference futures.yaml", "it is a file of scenarios, which `wattsplit plan run --scenarios` takes"),
        ("plan run reference --scenarios what_ifs.json", "it is a list of what-ifs, which `wattsplit scenario sweep` takes"),
        ("plan show comparison.json", "it is a comparison of two plans"),
        ("plan diff sweep.json sweep.json", "it is a comparison of what-ifs"),
    ],
)
def test_a_document_of_another_kind_is_named_with_the_command_that_takes_it(wattsplit, tmp_path, words, said):
    documents(tmp_path)
    ended = wattsplit(*words.split())
    assert ended.code == 3
    assert ended.err.rstrip().splitlines()[-1].strip() == said
    assert "is refused: 1 fault(s)" in ended.err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"name": "x", "sites": [],\n}', "not JSON at line 2, column 1: a comma stands before '}'; take it out"),
        ('{"name": "x", "sites": [1, ]}', "not JSON at line 1, column 28: a comma stands before ']'; take it out"),
    ],
)
def test_a_comma_too_many_is_named(wattsplit, tmp_path, text, said):
    (tmp_path / "fleet.json").write_text(text)
    ended = wattsplit("fleet", "validate", "fleet.json")
    assert (ended.code, said in ended.err) == (3, True), ended.err


def test_a_field_with_another_unit_in_its_name_is_told_beside_the_one_that_is_missing(wattsplit, tmp_path):
    text = (ROOT / "scenarios" / "template_fleet.yaml").read_text()
    assert text.count("connection_limit_w:") >= 1
    (tmp_path / "fleet.yaml").write_text(text.replace("connection_limit_w:", "connection_limit_mw:", 1))
    ended = wattsplit("fleet", "validate", "fleet.yaml")
    assert ended.code == 3
    assert "did you mean connection_limit_w, which is missing?" in ended.err


@pytest.mark.parametrize(
    ("typed", "expected"),
    [("2 minutes", 120.0), ("2min", 120.0), ("90 s", 90.0), ("1.5 hours", 5_400.0), ("PT1H30M", 5_400.0), ("120", 120.0)],
)
def test_a_time_span_is_read_as_people_type_it(typed, expected):
    assert seconds(typed) == expected


@pytest.mark.parametrize("typed", ["2 weeks", "2ms", "minutes", "-3", "", "two minutes"])
def test_what_is_no_time_span_is_refused_with_one_that_is(typed):
    with pytest.raises(typer.BadParameter, match=f"expected a time span such as PT120S, 120s or 2min, got {typed!r}"):
        seconds(typed)


@pytest.mark.parametrize(("typed", "limit_w"), [("3MW", 3_000_000), ("3000 kW", 3_000_000), ("2.5", 2_500_000), ("0", 0)])
def test_a_limit_is_read_with_its_unit(ask, typed, limit_w):
    ended = ask("event", "order", "pecos", "--limit-mw", typed, "--json")
    assert (ended.code, ended.json["order"]["limit_w"]) == (0, limit_w)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["event", "order", "pecos", "--limit-mw", "lots"], "expected megawatts such as 3 or 3.5, or a power with its unit"),
        (["event", "order", "pecos", "--limit-mw=-1"], "expected megawatts such as 3 or 3.5, or a power with its unit"),
        (["plan", "run", "reference", "--gap", "0,5%"], "expected a share from 0 to 1 such as 0.005, or 0.5%, got '0,5%'"),
        (["plan", "run", "reference", "--gap", "5"], "expected a share from 0 to 1 such as 0.005, or 0.5%, got '5'"),
    ],
)
def test_an_amount_that_cannot_be_is_refused_with_one_that_is(wattsplit, words, said):
    ended = wattsplit(*words)
    assert ended.code == 2
    assert said in " ".join(ended.err.replace("│", " ").split())


def test_a_share_is_read_in_per_cent_too():
    assert (share("0.5%"), share("0.005"), share(5e-3), share("1e-3"), share("100 %")) == (0.005, 0.005, 0.005, 0.001, 1.0)


def test_commands_speak_to_the_service_of_this_machine_at_the_port_that_it_is_told_to_take(monkeypatch, tmp_path):
    monkeypatch.setenv("WATTSPLIT_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("WATTSPLIT_URL", raising=False)
    monkeypatch.delenv("WATTSPLIT_PORT", raising=False)
    assert running().address == "http://127.0.0.1:8080"
    monkeypatch.setenv("WATTSPLIT_PORT", "18977")
    assert running().address == "http://127.0.0.1:18977"
    monkeypatch.setenv("WATTSPLIT_URL", "http://127.0.0.1:9/")
    assert running().address == "http://127.0.0.1:9"


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("country: US", "country: USA", "expected a country's two capital letters such as US, got 'USA'"),
        (
            "name: north-yard",
            "name: North Yard",
            "expected a name of at most 63 letters, digits, dots, - and _, without spaces, got",
        ),
    ],
)
def test_a_text_that_fits_no_pattern_is_answered_in_words(wattsplit, tmp_path, before, after, said):
    text = (ROOT / "scenarios" / "template_fleet.yaml").read_text()
    assert before in text
    (tmp_path / "fleet.yaml").write_text(text.replace(before, after, 1))
    ended = wattsplit("fleet", "validate", "fleet.yaml")
    assert (ended.code, said in ended.err) == (3, True), ended.err


def test_rows_that_are_all_refused_are_told_once(ask, tmp_path):
    (tmp_path / "prices.csv").write_text("start,value\n22.11.2026 22:00,31.5\n")
    declared = {"kind": "price", "subject": "HB", "unit": "USD/MWh", "zone": "UTC", "resolution_s": 3600, "curve_type": "A01"}
    (tmp_path / "hb.json").write_text(json.dumps({"name": "HB", "source": "a tired person", **declared}))
    ended = ask("series", "import", "HB", "prices.csv", "--declaration", "hb.json")
    assert ended.code == 3
    assert "line 2: expected an ISO 8601 instant with offset such as 2026-11-22T08:00:00Z, got '22.11.2026 22:00'" in ended.err
    assert "/points:" not in ended.err
