"""The service as a person runs it, and every command that speaks to it: one run of `wattsplit serve`, on a port of its own."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import psutil
import pytest

from models.base import iso
from service.store.series_records import UNITS

BUDGET_S = "3"


@dataclass
class Served:
    """A running service; what it says goes into files beside its data folder."""

    process: subprocess.Popen[bytes]
    folder: Path

    @property
    def out(self) -> str:
        return (self.folder.parent / "serve.out").read_text()

    @property
    def err(self) -> str:
        return (self.folder.parent / "serve.err").read_text()

    @property
    def url(self) -> str:
        return re.search(r"serves (http://\S+)", self.out)[1]

    def key(self, role: str) -> str:
        return (self.folder / f"{role}.key").read_text().strip()


def start(folder: Path) -> Served:
    """Start the service and wait until it has told of its first publication."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WATTSPLIT_")}
    environment |= {
        "WATTSPLIT_BUDGET_S": BUDGET_S,
        "WATTSPLIT_ASKED_GAP": "0.05",
        "OMP_NUM_THREADS": "1",
        "WATTSPLIT_LOG_LEVEL": "debug",
    }
    command = [sys.executable, "-m", "service.cli", "serve", "--port", "0", "--data-dir", str(folder)]
    with (folder.parent / "serve.out").open("w") as out, (folder.parent / "serve.err").open("w") as err:
        served = Served(subprocess.Popen(command, env=environment, stdout=out, stderr=err), folder)
    deadline = time.monotonic() + 60
    while not re.search(r"^(version \d|\S+ of quillstone)", served.out, re.MULTILINE):
        assert served.process.poll() is None, served.err
        assert time.monotonic() < deadline, served.err
        time.sleep(0.1)
    assert httpx.get(f"{served.url}/v1/health/ready").status_code == 200
    return served


def stop(served: Served, how: signal.Signals = signal.SIGINT) -> int:
    """Ask for the end as Ctrl-C does and return the exit code; nothing of it may be left."""
    family = psutil.Process(served.process.pid).children(recursive=True)
    served.process.send_signal(how)
    code = served.process.wait(20)
    assert [child for child in family if child.is_running() and child.status() != psutil.STATUS_ZOMBIE] == []
    assert "Traceback" not in served.err, served.err
    return code


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Iterator[Served]:
    served = start(tmp_path_factory.mktemp("service") / "data")
    yield served
    if served.process.poll() is None:
        assert stop(served) == 0


@pytest.fixture
def ask(wattsplit, served):
    """Run a command against the service with its owner's key of a role."""

    def run(*words: str, role: str = "operator", **how):
        return wattsplit(*words, url=served.url, key=served.key(role), **how)

    return run


def test_the_log_tells_how_the_first_plan_goes_and_how_it_ended(served):
    """In the little time that these tests give it, it may end without one."""
    deadline = time.monotonic() + 60
    while not (ends := [json.loads(line) for line in served.err.splitlines() if '"ending": ' in line]):
        assert time.monotonic() < deadline, served.err
        time.sleep(0.2)
    assert (ends[0]["level"], ends[0]["event"]) in (("info", "planned"), ("info", "not planned"))
    lines = [json.loads(line) for line in served.err.splitlines() if '"event": "planning"' in line]
    said = [line["doing"] for line in lines if line["plan"] == ends[0]["plan"]]
    assert [doing for doing in said if doing != "solver"][:2] == ["model", "relaxation"]  # a solver starts in no time


def test_the_first_start_tells_where_it_is_and_how_to_get_in(served):
    told = served.out
    assert served.key("operator") in told
    link = re.search(r"http://\S+/sign-in\?token=\S+", told)[0]
    first, second = httpx.get(link), httpx.get(link)
    assert first.status_code == 303
    assert "HttpOnly" in first.headers["set-cookie"]
    assert second.status_code == 404
    assert served.key("admin") not in told


def test_keys_and_store_are_for_their_owner_alone(served):
    assert [path.name for path in served.folder.iterdir() if path.stat().st_mode & 0o077] == []


def test_sites_are_listed_and_shown_with_what_they_are_told(ask):
    sites = ask("site", "list", "--json").json
    assert len(sites) == 45
    assert sites[0]["name"] in ask("site", "list").out
    view = ask("site", "show", sites[0]["name"], "--json").json
    assert view["setpoints"]["labels"] == ["replayed"]
    table = ask("site", "show", sites[0]["name"], "--steps", "2").out
    assert "replayed" in table
    assert "MW connection" in table


def test_an_unknown_site_is_bad_input(ask):
    assert ask("site", "show", "atlantis").code == 3


def test_a_plan_of_the_service_passes_the_audit_with_its_problem(ask, wattsplit):
    assert ask("plan", "export", "latest", "--format", "json", "--out", "plan.json").code == 0
    plan_id = json.loads(ask("plan", "show", "plan.json", "--json").out)["plan_id"]
    assert ask("plan", "export", plan_id, "--format", "problem", "--out", "problem.json").code == 0
    assert wattsplit("plan", "audit", "problem.json", "plan.json").code == 0
    assert plan_id in ask("plan", "show", plan_id).out


def test_plans_are_listed_newest_first_and_an_unknown_one_points_there(ask):
    heads = ask("plan", "list", "--json").json
    newest = ask("plan", "export", "latest", "--format", "json").json["plan_id"]
    assert newest in [head["plan_id"] for head in heads]
    made = [head["created_at"] for head in heads]
    assert made == sorted(made, reverse=True)
    assert [head["plan_id"] for head in ask("plan", "list", "--last", "1", "--json").json] == [heads[0]["plan_id"]]
    table = " ".join(ask("plan", "list").out.split())
    assert "profit, USD" in table
    assert "gap, %" in table
    assert ask("plan", "list", "--what-ifs").out.strip() == "there is none"
    unknown = ask("plan", "show", "nosuch")
    assert unknown.code == 3
    assert "wattsplit plan list" in unknown.err


def test_a_key_is_created_used_listed_and_revoked(ask, wattsplit, served):
    token = ask("key", "create", "controller", "--site", "pecos", "--label", "gateway", role="admin").out.strip()
    reads = {"Authorization": f"Bearer {token}"}
    assert httpx.get(f"{served.url}/v1/sites/pecos/setpoints", headers=reads).status_code == 200
    listed = ask("key", "list", "--json", role="admin").json
    (key_id,) = (key["key_id"] for key in listed if key["label"] == "gateway")
    assert "gateway" in ask("key", "list", role="admin").out
    assert ask("key", "revoke", key_id, role="admin").code == 0
    assert httpx.get(f"{served.url}/v1/sites/pecos/setpoints", headers=reads).status_code == 401


def test_a_key_of_the_wrong_role_is_told_so(ask):
    ended = ask("key", "list", role="operator")
    assert ended.code == 1
    assert "WATTSPLIT_KEY" in ended.err


def test_an_order_binds_within_seconds_and_can_be_taken_back(ask, served):
    ended = ask("event", "order", "pecos", "--limit-mw", "3", "--reason", "a storm", "--json")
    assert ended.code == 0, ended.err
    event = ended.json
    assert event["order"]["limit_w"] == 3_000_000
    deadline = time.monotonic() + 60
    while limit_next_hour(served) != 3_000_000:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    listed = " ".join(ask("event", "list", "--site", "pecos").out.split())
    assert "a storm" in listed
    assert "pecos at most 3 MW from" in listed
    assert ask("event", "withdraw", event["event_id"]).code == 0
    assert ask("event", "list", "--json").json[0]["withdrawn_at"] is not None


def test_outages_and_pins_are_planned_with_at_once_and_can_be_taken_back(ask, served):
    until = (datetime.now(UTC) + timedelta(hours=30)).isoformat()
    ended = ask("outage", "enter", "pecos", "s21", "--count", "1000", "--reason", "a leak", "--json")
    assert ended.code == 3
    assert "pecos/s21 has 12, got 1000" in ended.err
    pin = ask("pin", "enter", "pecos", "s19xp", "--count", "2", "--until", until, "--owner", "night shift", "--json")
    assert pin.code == 0, pin.err
    waiting_until(lambda: [p["count"] for p in planned_with(served)["pins"]] == [2])
    assert "night shift" in ask("pin", "list", "--site", "pecos").out
    outage = ask("outage", "enter", "pecos", "s21", "--count", "11", "--until", until, "--reason", "a leak", "--json")
    assert outage.code == 0, outage.err
    waiting_until(lambda: [o["reason"] for o in planned_with(served)["outages"]] == ["a leak"])
    blocks = httpx.get(f"{served.url}/v1/plans/latest/sites/pecos").json()["decisions"]["groups"]["s21"]["mode_blocks"]
    assert max(sum(counts) for counts in list(zip(*blocks.values(), strict=True))[:24]) <= 1
    assert "a leak" in ask("outage", "list").out
    assert ask("outage", "end", outage.json["entry_id"]).code == 0
    assert ask("pin", "withdraw", pin.json["entry_id"]).code == 0
    assert ask("pin", "list", "--json").json == ask("outage", "list", "--json").json == []
    assert ask("outage", "list", "--all", "--json").json[0]["withdrawn_at"] is not None
    waiting_until(lambda: planned_with(served)["pins"] == planned_with(served)["outages"] == [])


def test_a_change_of_the_difficulty_is_planned_with_and_an_award_of_nothing_sold_is_refused(ask, served):
    at = (datetime.now(UTC) + timedelta(hours=20)).isoformat()
    entered = ask("difficulty", "enter", "--at", at, "--percent", "-4.2", "--source", "an estimate", "--json")
    assert entered.code == 0, entered.err
    waiting_until(lambda: [step["change_share"] for step in planned_with(served)["difficulty_steps"]] == [-0.042])
    assert "-4.2 %" in ask("difficulty", "list").out
    assert ask("difficulty", "enter", "--at", at, "--percent", "5").code != 0
    assert ask("difficulty", "withdraw", entered.json["entry_id"]).code == 0
    waiting_until(lambda: planned_with(served)["difficulty_steps"] == [])
    assert ask("difficulty", "list", "--json").json == []
    refused = ask("award", "tell", "pecos", "ecrs", "--from", at, "--kw", "4000")
    assert refused.code == 3
    assert "pecos has no reserve ecrs" in refused.err
    assert ask("award", "list", "--json").json == []


def planned_with(served: Served) -> dict:
    return httpx.get(f"{served.url}/v1/plans/latest/problem", timeout=30).json()


def waiting_until(check, timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def limit_next_hour(served: Served) -> int:
    return httpx.get(f"{served.url}/v1/sites/pecos/setpoints").json()["steps"][1]["limit_w"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["event", "order", "pecos", "--limit-mw", "3", "--reserve", "rrs"], 3),
        (["event", "order", "pecos"], 2),
        (["event", "order", "pecos", "--limit-mw", "3", "--until", "noon"], 2),
        (["event", "order", "pecos", "--limit-mw", "3", "--until", "2026-01-01T00:00:00"], 2),
        (["event", "order", "pecos", "--limit-mw", "3", "--until", "2020-01-01T00:00:00Z"], 3),
        (["event", "order", "atlantis", "--limit-mw", "3"], 3),
        (["event", "order", "pecos", "--limit-mw", "-1"], 2),
    ],
)
def test_a_faulty_order_is_refused(ask, words, code):
    assert ask(*words).code == code


def test_a_series_goes_in_and_comes_out_as_csv_and_json(ask, tmp_path):
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    rows = [(hour + timedelta(hours=n), 40.0 + n) for n in range(6)]
    (tmp_path / "prices.csv").write_text("start,value\n" + "".join(f"{at.isoformat()},{value}\n" for at, value in rows))
    declaration = {
        "name": "OWN_HUB", "kind": "price", "subject": "OWN_HUB", "unit": "USD/MWh", "zone": "America/Chicago",
        "resolution_s": 3600, "source": "a test", "curve_type": "A01",
    }  # fmt: skip
    (tmp_path / "hub.json").write_text(json.dumps(declaration))
    ended = ask("series", "import", "OWN_HUB", "prices.csv", "--declaration", "hub.json", "--json")
    assert ended.code == 0, ended.err
    assert ended.json["stored"] == 6
    shown = ask("series", "show", "OWN_HUB", "--json").json
    assert [point["value"] for point in shown["points"]] == [value for _, value in rows]
    assert "OWN_HUB" in ask("series", "show").out
    assert "45.0" in ask("series", "show", "OWN_HUB").out


def test_a_faulty_series_is_refused_by_row(ask, tmp_path):
    (tmp_path / "bad.csv").write_text("start,value\n2026-11-22T08:00:00Z,12\n2026-11-22T09:00:00Z,NaN\n")
    ended = ask("series", "import", "OWN_HUB", "bad.csv")
    assert ended.code == 3
    assert "/points/1/value: line 3: expected a number such as 31.5, got 'NaN'" in ended.err
    (tmp_path / "bad.csv").write_text("start,value\n2026-11-22T08:00:00Z,12\n2026-11-22 09:00,13\n")
    ended = ask("series", "import", "OWN_HUB", "bad.csv")
    assert ended.code == 3
    assert "/points/1/start: line 3: expected an instant with an offset" in ended.err


def test_the_help_of_import_names_every_kind_and_its_unit(wattsplit):
    words = " ".join(wattsplit("series", "import", "--help").out.split())
    for kind, units in UNITS.items():
        assert f"{kind}: " in words, kind
        for unit in units:
            assert unit in words, unit


def test_where_a_series_has_nothing_it_is_said_what_it_has(ask, tmp_path):
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    points = [{"start": iso(hour + timedelta(hours=n)), "value": 20.0 + n} for n in range(3)]
    declaration = {
        "name": "FAR_HUB", "kind": "price", "subject": "FAR_HUB", "unit": "USD/MWh", "zone": "UTC", "resolution_s": 3600,
        "source": "a test", "curve_type": "A01",
    }  # fmt: skip
    (tmp_path / "far.json").write_text(json.dumps({"declaration": declaration, "known_at": iso(hour), "points": points}))
    assert ask("series", "import", "FAR_HUB", "far.json").code == 0
    has = f"it has values from {iso(hour)} until {iso(hour + timedelta(hours=3))}"
    january = ("--from", "2020-01-01T00:00Z", "--until", "2020-02-01T00:00Z")
    for suffix in ("csv", "json", "parquet"):
        ended = ask("series", "export", "FAR_HUB", "--out", f"none.{suffix}", *january)
        assert ended.code == 3
        assert f"no values from 2020-01-01T00:00:00Z until 2020-02-01T00:00:00Z; {has}" in ended.err
        assert not (tmp_path / f"none.{suffix}").exists()
    ended = ask("series", "export", "FAR_HUB", "--out", "none.csv", "--known-by", "2020-01-01T00:00Z")
    assert f"as known at 2020-01-01T00:00:00Z; {has}" in ended.err
    shown = ask("series", "show", "FAR_HUB", *january)
    assert shown.code == 0
    assert has in shown.err


def test_the_fleet_survives_export_and_import(ask):
    assert ask("fleet", "export", "--out", "fleet.yaml").code == 0
    answer = ask("fleet", "import", "fleet.yaml", "--json").json
    assert answer["version"] == 1  # the same fleet makes no new version


def test_the_doctor_finds_the_service(ask, served):
    found = {check["name"]: check["good"] for check in ask("doctor", "--json").json["checks"]}
    assert found["service"] == httpx.get(f"{served.url}/v1/health/fresh").is_success
    assert found["solver"]


def test_a_second_service_on_the_same_port_says_what_to_do(served, wattsplit):
    port = served.url.rsplit(":", 1)[1]
    ended = wattsplit("serve", "--port", port, "--data-dir", "other", warnings="default")  # waitress leaves the socket to the end
    assert ended.code == 1
    assert "--port" in ended.err


def test_a_public_address_is_refused(wattsplit):
    ended = wattsplit("serve", "--host", "0.0.0.0", "--port", "0")
    assert ended.code == 1
    assert "TLS proxy" in ended.err


def test_a_key_file_that_others_may_read_is_refused(wattsplit, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "operator.key").write_text("ws_0.0")
    (tmp_path / "data" / "operator.key").chmod(0o644)
    ended = wattsplit("serve", "--port", "0", "--data-dir", "data")
    assert ended.code == 1
    assert "chmod 600" in ended.err


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=lambda s: s.name)
def test_the_end_leaves_nothing_behind_and_the_next_start_goes_on(served, how):
    """Last in this file: it ends the service that the others use."""
    standing = httpx.get(f"{served.url}/v1/sites/pecos/setpoints").json()["version"]
    key = served.key("operator")
    assert stop(served, how) == 0
    again = start(served.folder)
    served.process = again.process
    assert served.key("operator") == key
    assert key not in again.out
    assert httpx.get(f"{served.url}/v1/sites/pecos/setpoints").json()["version"] >= standing
