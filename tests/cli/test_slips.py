"""What tired people type: wrong names, units, files and times. Each is answered with what was expected and what there is."""

import json

import pytest
from served import Served


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
