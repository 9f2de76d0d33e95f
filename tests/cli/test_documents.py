"""Help, schemas, fleets and what-ifs: what the command line tells without a service."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from typer.testing import CliRunner

from service.cli.app import app

COMMANDS = [
    (),
    ("plan",), ("plan", "run"), ("plan", "show"), ("plan", "diff"), ("plan", "audit"), ("plan", "export"),
    ("scenario",), ("scenario", "run"), ("scenario", "sweep"), ("scenario", "list"),
    ("site",), ("site", "list"), ("site", "show"),
    ("series",), ("series", "import"), ("series", "show"), ("series", "export"),
    ("forecast",), ("forecast", "list"), ("forecast", "show"), ("forecast", "paths"), ("forecast", "score"),
    ("feed",), ("feed", "list"), ("feed", "check"), ("feed", "poll"),
    ("fleet",), ("fleet", "template"), ("fleet", "validate"), ("fleet", "import"), ("fleet", "export"),
    ("event",), ("event", "order"), ("event", "list"), ("event", "withdraw"),
    ("outage",), ("outage", "enter"), ("outage", "list"), ("outage", "end"),
    ("pin",), ("pin", "enter"), ("pin", "list"), ("pin", "withdraw"),
    ("award",), ("award", "tell"), ("award", "list"),
    ("difficulty",), ("difficulty", "enter"), ("difficulty", "list"), ("difficulty", "withdraw"),
    ("alarm",), ("alarm", "list"), ("log",), ("log", "list"), ("log", "verify"),
    ("key",), ("key", "create"), ("key", "list"), ("key", "revoke"),
    ("store",), ("store", "prune"),
    ("schema",), ("serve",), ("doctor",),
]  # fmt: skip
GROUPS = {words for words in COMMANDS if len(words) < 2 and words not in [("schema",), ("serve",), ("doctor",)]}


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_explains_itself_with_an_example(words):
    told = CliRunner().invoke(app, [*words, "--help"])  # in process: thirty interpreters would prove nothing more
    assert told.exit_code == 0
    assert words in GROUPS or "Example" in told.output
    assert words in GROUPS or words[-1] in ("serve", "template", "export", "schema") or "--json" in told.output


def test_the_first_page_tells_the_exit_codes(wattsplit):
    told = " ".join(wattsplit("--help").out.split())
    for meaning in ("0 done", "2 usage", "3 bad input", "4 hard rules", "5 no optimised plan", "6 plan refused"):
        assert meaning in told


@pytest.mark.parametrize(
    "words", [["plan", "fly"], ["--no-such"], ["plan", "run"], ["schema", "cat"], ["plan", "run", "x.json", "--gap", "lots"]]
)
def test_a_wrong_call_is_a_usage_error(wattsplit, words):
    assert wattsplit(*words).code == 2


def test_a_budget_that_is_no_time_span_is_a_usage_error(wattsplit):
    ended = wattsplit("plan", "run", "reference", "--budget", "soon")
    assert ended.code == 2
    assert "PT120S" in ended.err


@pytest.mark.parametrize("kind", ["problem", "fleet", "plan", "setpoint", "what-ifs", "feeds"])
def test_schemas_are_json_schemas(wattsplit, kind):
    schema = wattsplit("schema", kind).json
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["title"] == f"wattsplit {kind}"


def test_the_template_of_a_fleet_is_a_fleet(wattsplit, tmp_path: Path):
    template = wattsplit("fleet", "template").out
    assert template.count("#") > 20
    (tmp_path / "mine.yaml").write_text(template)
    ended = wattsplit("fleet", "validate", "mine.yaml", "--json")
    assert ended.code == 0
    assert ended.json["sites"] == len(yaml.safe_load(template)["sites"])


def test_a_faulty_fleet_is_refused_with_every_fault(wattsplit, tmp_path: Path):
    content = yaml.safe_load(wattsplit("fleet", "export", "--reference").out)
    content["sites"][3]["zone"] = "America/Nowhere"
    content["sites"][5]["connection_limit_w"] = -1
    (tmp_path / "bad.json").write_text(json.dumps(content))
    ended = wattsplit("fleet", "validate", "bad.json", "--json")
    assert ended.code == 3
    told = json.loads(ended.err)
    assert {fault["pointer"] for fault in told["errors"]} >= {"/sites/3/zone", "/sites/5/connection_limit_w"}
    words = wattsplit("fleet", "validate", "bad.json").err
    assert "/sites/3/zone" in words
    assert "America/Nowhere" in words


@pytest.mark.parametrize("form", ["yaml", "json"])
def test_the_reference_fleet_survives_export_and_validation(wattsplit, tmp_path: Path, form):
    assert wattsplit("fleet", "export", "--reference", "--format", form, "--out", f"fleet.{form}").code == 0
    assert wattsplit("fleet", "validate", f"fleet.{form}", "--json").json["sites"] == 45
    assert [path.name for path in tmp_path.iterdir()] == [f"fleet.{form}"]


def test_the_library_of_what_ifs_is_listed(wattsplit):
    names = {row["name"] for row in wattsplit("scenario", "list", "--json").json}
    assert {"hashprice_minus_20", "price_spike"} <= names
    assert "hashprice_minus_20" in wattsplit("scenario", "list").out


def test_everything_that_can_be_changed_of_a_problem_is_listed(wattsplit):
    rows = wattsplit("scenario", "list", "reference", "--json").json
    assert any(row["quantity"] == "hashprice" and row["unit"] == "USD/PH/day" for row in rows)
    shown = wattsplit("scenario", "list", "reference").out
    for row in rows:
        assert row["example"] in shown  # as it must be typed, square brackets and all


def test_the_library_says_why_each_what_if_is_there(wattsplit):
    shown = " ".join(wattsplit("scenario", "list").out.split())
    for row in wattsplit("scenario", "list", "--json").json:
        assert all(patch in shown for patch in row["patches"])
        assert " ".join(row["why"].split()) in shown


def test_a_what_if_without_a_change_is_a_usage_error(wattsplit):
    assert wattsplit("scenario", "run", "reference").code == 2


def test_a_change_that_cannot_be_read_is_bad_input(wattsplit):
    ended = wattsplit("scenario", "run", "reference", "--set", "hashprize=-20%")
    assert ended.code == 3
    assert "hashprize" in ended.err


@pytest.mark.parametrize(
    "words", [["site", "list"], ["key", "list"], ["plan", "show"], ["series", "show", "x"], ["alarm", "list"], ["log", "list"]]
)
def test_without_a_service_the_command_says_how_to_start_one(wattsplit, words):
    ended = wattsplit(*words)
    assert ended.code == 1
    assert "wattsplit serve" in ended.err
