"""Back-tests over HTTP: taken as a job, refused in words, shown as report, page and rows once they are done."""

import csv
import io
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from replayed import few_hours
from reported import report
from served import Served

from scenarios.backtest.histories import spec_of
from scenarios.backtest.records import BacktestReport
from service.app import create_app
from service.backtesting.child import figures
from service.backtesting.kept import folder_of, keep_report
from service.backtesting.rows import write_rows
from service.config import Settings
from service.wiring import assemble

ROOT = "/v1/backtests"


def ask(served: Served, content, role="planner", **headers: str):
    return served.client.post(ROOT, json=content, headers=served.as_(role) | headers)


@pytest.fixture
def done(served: Served) -> str:
    """The id of a back-test that has ended."""
    job = ask(served, {"period": "storm"}).json["job_id"]
    made = report(seed=1, days=2)
    folder = folder_of(served.settings.data_dir, job)
    folder.mkdir(parents=True)
    write_rows(folder, {"policy": ["plan", "plan"], "usd": [1.5, -2.0]})
    keep_report(folder, made, release="1")
    served.store.jobs.claim("worker", at=served.now(), lease_s=60)
    assert served.store.jobs.finish(job, "worker", "done", at=served.now(), result=figures(made))
    return job


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(served: Served, tmp_path: Path):
    """The service keeps its back-tests below the folder that the test has."""
    object.__setattr__(served.settings, "data_dir", str(tmp_path / "data"))


def test_a_named_period_is_taken_as_a_job(served: Served):
    answer = ask(served, {"period": "storm", "days": 1, "policies": ["plan", "break_even"], "knowledge": "perfect"})
    assert answer.status_code == 202, answer.text
    assert answer.headers["Retry-After"]
    job = served.client.get(answer.headers["Location"]).json
    assert (job["kind"], job["state"]) == ("backtest", "queued")
    spec = job["payload"]["spec"]
    assert (spec["steps"], spec["policies"], spec["knowledge"]) == (24, ["plan", "break_even"], "perfect")
    shown = served.client.get(f"{ROOT}/{job['job_id']}").json
    assert (shown["state"], shown["report"], shown["spec"]["name"]) == ("queued", None, "storm")


def test_a_specification_of_one_s_own_is_taken(served: Served):
    spec = few_hours()
    answer = ask(served, {"spec": spec.model_dump(mode="json")})
    assert answer.status_code == 202, answer.text
    assert served.client.get(ROOT).json["items"][0]["spec"] == spec.model_dump(mode="json")


def test_the_same_key_is_the_same_back_test(served: Served):
    words = {"Idempotency-Key": "once"}
    first, again = (ask(served, {"period": "storm"}, **words) for _ in range(2))
    assert first.json["job_id"] == again.json["job_id"]
    assert ask(served, {"period": "storm", "days": 1}, **words).status_code == 422
    assert len(served.client.get(ROOT).json["items"]) == 1


@pytest.mark.parametrize(
    ("content", "pointer"),
    [
        ({}, ""),
        ({"period": "storm", "spec": few_hours().model_dump(mode="json")}, ""),
        ({"period": "summer"}, "/period"),
        ({"period": "storm", "days": 3}, "/days"),
        ({"period": "storm", "days": 0}, "/days"),
        ({"period": "storm", "policies": ["luck"]}, "/policies/0"),
        ({"period": "storm", "policies": ["plan", "plan"]}, ""),
        ({"period": "storm", "knowledge": "gut"}, "/knowledge"),
        ({"spec": few_hours().model_dump(mode="json") | {"gap": 0}}, "/spec/gap"),
    ],
)
def test_what_cannot_be_replayed_is_refused_with_its_place(served: Served, content, pointer):
    refused = ask(served, content)
    assert refused.status_code == 422
    assert pointer in [error["pointer"] for error in refused.json["errors"]]


GERMANY = {"index": "DE_LU", "market": "eu_de_lu", "zone": "Europe/Berlin", "currency": "EUR"}
WEST = spec_of("storm").markets[0].model_dump(mode="json")


@pytest.mark.parametrize(
    ("changes", "pointer", "words"),
    [
        ({"fleet": "my-fleet"}, "/spec/fleet", "expected reference-texas, on which histories are replayed, got my-fleet"),
        ({"history": "blizzard"}, "/spec/history", "expected one of ercot-2023, "),
        ({"markets": [WEST, GERMANY]}, "/spec/markets/1", "expected ercot_west as ERCOT_HB_WEST, as the named period storm has"),
        ({"markets": [WEST, WEST]}, "/spec/markets", "got ercot_west, ercot_west"),
        ({"sites": 10}, "/spec/sites", "of which every one buys at ERCOT_HB_WEST, got 10"),
        ({"sites": 900}, "/spec/sites", "the Texan ones of the reference fleet, got 900"),
        ({"step_s": 900}, "/spec/step_s", "expected 3600 s"),
        ({"history": "germany-2022", "markets": []}, "/spec", "needs the folder of larger data"),
    ],
)
def test_what_does_not_exist_is_refused_before_it_is_queued(tmp_path: Path, changes, pointer, words):
    service = assemble(Settings(data_dir=str(tmp_path / "own"), port=0), load_reference=False)
    key = service.services.keyring.issue("planner", label="a test", by="test", sites=())[1]
    content = {"spec": few_hours().model_dump(mode="json") | changes}
    answer = create_app(service.services).test_client().post(ROOT, json=content, headers={"Authorization": f"Bearer {key}"})
    told = {error["pointer"]: error["detail"] for error in answer.json["errors"]}
    assert answer.status_code == 422
    assert list(told) == [pointer]
    assert words in told[pointer]
    assert service.store.jobs.page(limit=10, kind="backtest").items == ()
    service.store.close()


def test_the_named_periods_say_what_is_absent(served: Served):
    items = {item["name"]: item for item in served.client.get("/v1/backtest-periods").json["items"]}
    assert items["storm"]["absent"] == ""
    assert "WATTSPLIT_DATA" in items["ercot-2023"]["absent"]
    assert items["ercot-2023"]["days"] == 28


def test_a_back_test_that_is_done_shows_report_page_and_rows(served: Served, done: str):
    shown = served.client.get(f"{ROOT}/{done}").json
    made = report(seed=1, days=2)
    assert shown["state"] == "done"
    assert shown["figures"]["profit_usd"]["plan"] == pytest.approx(made.result("plan").profit_usd)
    assert BacktestReport.model_validate_json(served.client.get(f"{ROOT}/{done}").text.split('"report":', 1)[1][:-1]) == made
    page = served.client.get(f"{ROOT}/{done}/report")
    assert page.mimetype == "text/html"
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert "A hot summer in Texas" in page.text


def test_rows_come_as_csv_or_as_parquet(served: Served, done: str):
    plain = served.client.get(f"{ROOT}/{done}/rows")
    assert plain.mimetype == "text/csv"
    assert list(csv.DictReader(io.StringIO(plain.text))) == [{"policy": "plan", "usd": "1.5"}, {"policy": "plan", "usd": "-2.0"}]
    assert done in plain.headers["Content-Disposition"]
    packed = served.client.get(f"{ROOT}/{done}/rows", headers={"Accept": "application/vnd.apache.parquet"})
    assert packed.mimetype == "application/vnd.apache.parquet"
    assert pq.read_table(io.BytesIO(packed.data)).column("usd").to_pylist() == [1.5, -2.0]


def test_where_parquet_is_absent_the_answer_says_what_to_install(served: Served, done: str):
    (folder_of(served.settings.data_dir, done) / "rows.parquet").unlink()
    refused = served.client.get(f"{ROOT}/{done}/rows", headers={"Accept": "application/vnd.apache.parquet"})
    assert refused.status_code == 406
    assert "wattsplit[parquet]" in refused.json["detail"]


def test_what_is_not_done_or_no_back_test_has_no_report(served: Served):
    job = ask(served, {"period": "storm"}).json["job_id"]
    other = served.client.post("/v1/plans", json={}, headers=served.as_("operator")).json["job_id"]
    for path in (
        f"{ROOT}/{job}/report",
        f"{ROOT}/{job}/rows",
        f"{ROOT}/{other}",
        f"{ROOT}/{other}/rows",
        f"{ROOT}/nothing/report",
    ):
        assert served.client.get(path).status_code == 404, path


def test_a_back_test_that_waits_is_cancelled(served: Served):
    job = ask(served, {"period": "storm"}).json["job_id"]
    assert served.client.post(f"/v1/jobs/{job}/cancel", json={}, headers=served.as_("planner")).json["state"] == "cancelled"
    assert served.client.get(f"{ROOT}/{job}").json["state"] == "cancelled"


def test_controllers_and_feeds_may_neither_ask_nor_look(served: Served, done: str):
    for role in ("controller", "feed"):
        assert ask(served, {"period": "storm"}, role).status_code == 403
        for path in (ROOT, f"{ROOT}/{done}", f"{ROOT}/{done}/report", f"{ROOT}/{done}/rows"):
            assert served.client.get(path, headers=served.as_(role)).status_code == 403


def test_a_back_test_of_another_release_hides_no_other(served: Served, done: str):
    odd, asked = "0" * 31 + "1", served.store.jobs.get(done).payload["spec"]
    served.store.jobs.add(odd, "backtest", {"spec": asked | {"name": "elder", "moon": "full"}}, by="test", at=served.now())
    listed = {one["backtest_id"]: one for one in served.client.get(ROOT).json["items"]}
    assert set(listed) == {odd, done}
    assert listed[odd]["spec"] is None
    assert listed[done]["spec"]["name"] == "storm"
    assert served.client.get(f"{ROOT}/{odd}").json["spec"] is None
