"""Many what-ifs over HTTP: taken as one job, every fault told at once, compared as JSON and as a table."""

import csv
import io

import pytest
from served import Served

from scenarios.scenario_sets import SetComparison, WhatIf, planned_row

ROOT = "/v1/scenario-sets"
TWO = [{"name": "cheap", "set": ["hashprice=-20%"]}, {"name": "dear", "set": ["energy_price=+20", "hashprice=+5%"]}]


def ask(served: Served, content, role="planner", **headers: str):
    return served.client.post(ROOT, json=content, headers=served.as_(role) | headers)


@pytest.fixture
def done(served: Served) -> str:
    """The id of a set that is answered: one what-if has a plan, one is infeasible."""
    set_id = ask(served, {"name": "two", "scenarios": TWO}).json["job_id"]
    rows = [planned_row(WhatIf(name="cheap", set=("hashprice=-20%",)), served.plan, [served.plan])]
    rows.append(rows[0].model_copy(update={
        "name": "dear", "ending": "infeasible", "why": "=no plan", "profit_usd": None, "energy": None, "profit_by_term_usd": {},
        "plan_id": None, "decisions_changed": None,
    }))  # fmt: skip
    found = SetComparison(
        base_plan_id=served.plan.plan_id, base_digest="x", base_profit_usd=served.plan.profit_usd, rows=tuple(rows)
    )
    served.store.jobs.claim("worker", at=served.now(), lease_s=60)
    assert served.store.jobs.finish(set_id, "worker", "done", at=served.now(), result=found.model_dump(mode="json"))
    return set_id


def test_a_set_is_taken_as_one_job(served: Served):
    answer = ask(served, {"name": "two", "scenarios": TWO, "attribute": True})
    assert answer.status_code == 202, answer.text
    job = served.client.get(answer.headers["Location"]).json
    assert (job["kind"], job["state"]) == ("scenario_set", "queued")
    shown = served.client.get(f"{ROOT}/{job['job_id']}").json
    assert shown["request"] == {"scenarios": TWO, "attribute": True}
    assert shown["comparison"] is None
    assert served.client.get(f"{ROOT}/{job['job_id']}/table.csv").status_code == 404
    assert [one["set_id"] for one in served.client.get(ROOT).json["items"]] == [job["job_id"]]
    assert served.client.get("/v1/scenarios").json["items"] == []


def test_every_change_that_cannot_be_read_is_told_at_once(served: Served):
    wrong = [{"name": "a", "set": ["hashprice=-20%", "hashprise=1"]}, {"name": "b", "set": ["nonsense"]}]
    refused = ask(served, {"name": "two", "scenarios": wrong})
    assert refused.status_code == 422
    assert {error["pointer"] for error in refused.json["errors"]} == {"/scenarios/0/set/1", "/scenarios/1/set/0"}


@pytest.mark.parametrize(
    "content",
    [{"scenarios": []}, {"scenarios": [TWO[0], TWO[0]]}, {"scenarios": [{"name": "a", "set": []}]}, {"scenarios": TWO, "gap": 1}],
)
def test_what_is_no_set_is_refused(served: Served, content):
    assert ask(served, {"name": "x"} | content).status_code == 422


def test_the_same_key_is_the_same_set(served: Served):
    first, again = (ask(served, {"name": "two", "scenarios": TWO}, **{"Idempotency-Key": "k"}) for _ in range(2))
    assert first.json["job_id"] == again.json["job_id"]


def test_an_answered_set_is_a_table(served: Served, done: str):
    shown = served.client.get(f"{ROOT}/{done}").json
    assert [row["ending"] for row in shown["comparison"]["rows"]] == ["planned", "infeasible"]
    table = served.client.get(f"{ROOT}/{done}/table.csv")
    assert table.mimetype == "text/csv"
    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert [row["scenario"] for row in rows] == ["base", "cheap", "dear"]
    assert float(rows[1]["profit_usd"]) == pytest.approx(float(rows[0]["profit_usd"]))
    assert float(rows[1]["difference_usd"]) == 0.0
    assert rows[1]["changes"] == "hashprice=-20%"
    assert not any(cell.startswith(("=", "+", "-", "@")) and not cell[1:2].isdigit() for row in rows for cell in row.values())


def test_controllers_and_feeds_may_not_ask(served: Served):
    for role in ("controller", "feed"):
        assert ask(served, {"name": "two", "scenarios": TWO}, role).status_code == 403


def test_a_set_of_another_release_hides_no_other(served: Served, done: str):
    odd = "0" * 31 + "1"
    wanted = {"name": "old", "scenarios": [TWO[0] | {"weight": 1}]}
    served.store.jobs.add(odd, "scenario_set", wanted, by="test", at=served.now())
    listed = {one["set_id"]: one for one in served.client.get(ROOT).json["items"]}
    assert set(listed) == {odd, done}
    assert listed[odd]["request"] is None
    assert listed[done]["request"] is not None
    for path in (f"{ROOT}/{odd}", f"{ROOT}/{odd}/table.csv"):
        answer = served.client.get(path)
        assert (answer.status_code, answer.json["code"]) == (409, "other_release")
