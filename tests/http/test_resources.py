"""What each resource does when asked rightly."""

import csv
import io
import json
from datetime import timedelta
from random import Random

import pytest
from aged import Past
from served import START, Served

from models.base import iso
from models.fleet import Fleet
from models.order import MOST_ORDERS, LimitOrder
from models.plan import Plan
from models.problem import Problem

POINT = {"at": iso(START), "draw_w": 2_000_000, "mode_blocks": {"row": {"eco": 2}}, "nodes_on": {"nodes": 3}}


def report(served: Served, *points):
    return served.client.post("/v1/sites/pecos/telemetry", json={"points": list(points)}, headers=served.as_("controller"))


def test_telemetry_is_kept_once_whatever_its_order(served: Served):
    late = {**POINT, "at": iso(START - timedelta(hours=30)), "draw_w": 1_000_000}
    assert report(served, POINT, late).json == {"stored": 2, "known": 0, "flagged": []}
    assert report(served, late, POINT, POINT).json == {"stored": 0, "known": 3, "flagged": []}
    items = served.client.get(
        "/v1/sites/pecos/telemetry", query_string={"start": iso(START - timedelta(days=3))}, headers=served.as_("controller")
    ).json["items"]
    assert [item["point"]["draw_w"] for item in items] == [1_000_000, 2_000_000]


def test_contradicting_telemetry_is_a_conflict_and_nothing_of_it_is_kept(served: Served):
    report(served, POINT)
    new = {**POINT, "at": iso(START + timedelta(minutes=1))}
    answer = report(served, new, {**POINT, "draw_w": 5})
    assert (answer.status_code, answer.json["code"]) == (409, "conflict")
    assert [error["pointer"] for error in answer.json["errors"]] == ["/points/1"]
    assert served.store.telemetry.count("pecos") == 1


@pytest.mark.parametrize(
    "beyond", [{"draw_w": 50_000_000}, {"mode_blocks": {"row": {"eco": 3, "normal": 2}}}, {"nodes_on": {"nodes": 7}}]
)
def test_telemetry_beyond_the_nameplate_is_kept_flagged_and_not_used(served: Served, beyond):
    report(served, POINT)
    answer = report(served, {**POINT, "at": iso(START + timedelta(minutes=1)), **beyond})
    assert answer.json["flagged"] == [{"at": iso(START + timedelta(minutes=1)), "flags": ["above_nameplate"]}]
    assert served.store.telemetry.count("pecos") == 2
    assert served.store.telemetry.newest("pecos").point.at == START
    assert served.store.telemetry.newest_of_all(START - timedelta(hours=1))["pecos"].point.at == START


def acknowledge(served: Served, state: str, version: int = 1):
    body = {"version": version, "state": state, "at": iso(START)}
    return served.client.post("/v1/sites/pecos/acknowledgements", json=body, headers=served.as_("controller"))


def test_an_instruction_is_acknowledged_step_by_step(served: Served):
    assert [acknowledge(served, state).status_code for state in ("received", "accepted", "accepted", "applied")] == [201] * 4
    answer = acknowledge(served, "received")
    assert (answer.status_code, answer.json["code"]) == (409, "conflict")
    assert "applied" in answer.json["detail"]
    items = served.client.get("/v1/sites/pecos/acknowledgements", headers=served.as_("controller")).json["items"]
    assert [item["state"] for item in items] == ["applied", "accepted", "received"]


def test_an_old_version_is_acknowledged_as_such(served: Served):
    served.publish("event-1")
    assert acknowledge(served, "applied", version=1).json["current"] is False
    assert acknowledge(served, "applied", version=2).json["current"] is True


def test_what_was_made_on_the_spot_is_acknowledged_apart_from_the_version_in_whose_stead(served: Served):
    assert acknowledge(served, "applied").status_code == 201
    body = {"version": 1, "revision": 61, "state": "accepted", "at": iso(START)}
    words = served.as_("controller")
    for state in ("accepted", "applied"):
        kept = served.client.post("/v1/sites/pecos/acknowledgements", json=body | {"state": state}, headers=words)
        assert (kept.status_code, kept.json["revision"]) == (201, 61)
    items = served.client.get("/v1/sites/pecos/acknowledgements", headers=words).json["items"]
    assert [(item["revision"], item["state"]) for item in items] == [(61, "applied"), (61, "accepted"), (0, "applied")]


def test_a_rejection_is_final(served: Served):
    assert acknowledge(served, "rejected").status_code == 201
    assert acknowledge(served, "applied").status_code == 409


def test_the_fleet_is_echoed_whole_and_versioned(served: Served):
    shown = served.client.get("/v1/fleet").json
    assert Fleet.model_validate_json(json.dumps(shown["fleet"])) == served.fleet
    assert shown["version"] == 1
    assert shown["fleet"]["sites"][0]["safe"] == {"mining_share": 0.0, "gpu_share": 1.0, "after_s": 7200}
    sent = served.fleet.model_dump(mode="json")
    del sent["sites"][1]["safe"], sent["title"]
    sent["sites"][1]["base_load_w"] = 20_000
    put = served.client.put("/v1/fleet", json=sent, headers=served.as_("operator"))
    assert (put.status_code, put.json["version"]) == (200, 2)
    assert served.client.put("/v1/fleet", json=sent, headers=served.as_("operator")).json["version"] == 2
    assert [version.version for version in served.planning.fleets] == [2]
    heads = served.client.get("/v1/fleet/versions").json["items"]
    assert [(head["version"], head["sites"]) for head in heads] == [(2, 2), (1, 2)]
    assert served.client.get("/v1/fleet/versions/1").json["fleet"]["sites"][1]["base_load_w"] == 10_000
    assert served.client.get("/v1/fleet/versions/3").status_code == 404


def test_a_site_shows_what_it_was_told_and_what_it_told(served: Served):
    report(served, POINT)
    acknowledge(served, "applied")
    shown = served.client.get("/v1/sites/pecos").json
    assert shown["told"]["version"] == 1
    assert shown["acknowledged"]["state"] == "applied"
    assert shown["measured"]["point"]["draw_w"] == 2_000_000
    heads = served.client.get("/v1/sites").json["items"]
    assert [(head["name"], head["draw_w"]) for head in heads] == [("pecos", 2_000_000), ("kiruna", None)]


def test_a_plan_is_read_whole_by_site_by_money_and_with_its_input(served: Served):
    plan = Plan.model_validate_json(served.client.get("/v1/plans/latest").get_data())
    assert plan == served.plan
    assert Problem.model_validate_json(served.client.get("/v1/plans/latest/problem").get_data()).digest == plan.problem_digest
    one = served.client.get(f"/v1/plans/{plan.plan_id}/sites/kiruna").json
    assert one["decisions"]["draw_w"] == list(plan.sites["kiruna"].draw_w)
    assert served.client.get(f"/v1/plans/{plan.plan_id}/sites/atlantis").status_code == 404
    money = served.client.get("/v1/plans/latest/money").json
    assert money["profit_usd"] == pytest.approx(plan.profit_usd)
    assert sum(term["total_usd"] for term in money["terms"]) == pytest.approx(plan.profit_usd)
    assert {term["term"]: pytest.approx(term["total_usd"]) for term in money["terms"]} == plan.money_by_term_usd
    tag = served.client.get("/v1/plans/latest").headers["ETag"]
    assert served.client.get("/v1/plans/latest", headers={"If-None-Match": tag}).status_code == 304


def test_a_plan_is_a_table_by_site_and_step_and_of_one_site_by_machine(served: Served):
    plan = served.plan
    answer = served.client.get("/v1/plans/latest/table.csv")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{plan.plan_id}.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(rows) == 2 * plan.grid.steps
    for site in ("pecos", "kiruna"):
        mine = [row for row in rows if row["site"] == site]
        assert [row["start"] for row in mine] == [iso(start) for start in plan.grid.starts]
        for column in ("draw_w", "hashing_w", "inference_w", "limit_w"):
            assert tuple(int(row[column]) for row in mine) == getattr(plan.sites[site], column)
        money = sum(sum(line.usd) for line in plan.money if line.owner == site)
        assert sum(float(row["site_usd"]) for row in mine) == pytest.approx(money, abs=0.01)
        assert {row["energy_price_usd_per_mwh"] for row in mine} == {"40.0" if site == "pecos" else "50.0"}
    one = list(csv.DictReader(io.StringIO(served.client.get("/v1/plans/latest/table.csv?site=pecos").text)))
    assert tuple(int(row["nodes.nodes_on"]) for row in one) == plan.sites["pecos"].pools["nodes"].nodes_on
    for mode, counts in plan.sites["pecos"].groups["row"].mode_blocks.items():
        assert tuple(int(row[f"row.{mode}_blocks"]) for row in one) == counts
    assert served.client.get("/v1/plans/latest/table.csv?site=atlantis").status_code == 404


def test_two_plans_are_compared(served: Served):
    assert served.client.get("/v1/plans/latest/diff").status_code == 404
    other = served.plan.model_copy(update={"plan_id": "another", "created_at": served.now()})
    served.store.plans.add(served.problem, other)
    diff = served.client.get("/v1/plans/another/diff").json
    assert (diff["before"], diff["after"]) == (served.plan.plan_id, "another")
    assert diff["profit_usd"]["difference"] == 0
    assert diff["decisions_changed"] == 0
    same = served.client.get(f"/v1/plans/{served.plan.plan_id}/diff", query_string={"against": "another"})
    assert same.json["after"] == served.plan.plan_id


def test_a_published_plan_is_compared_with_the_one_published_before_it(served: Served):
    served.now.ahead(hours=1)
    for name in ("draft-of-rule", "second"):  # every run stores its rule plan first, and publishes it only where it must
        made = served.plan.model_copy(update={"plan_id": name, "created_at": served.now()})
        served.store.plans.add(served.problem, made)
    served.now.ahead(minutes=3)
    served.publish("event-storm", made)
    assert served.client.get("/v1/plans/second/diff").json["before"] == served.plan.plan_id
    assert served.client.get("/v1/plans/latest/diff").json["before"] == served.plan.plan_id
    assert served.client.get("/v1/plans/draft-of-rule/diff").json["before"] == served.plan.plan_id
    assert served.client.get(f"/v1/plans/{served.plan.plan_id}/diff").status_code == 404


def test_a_plan_is_asked_for_as_a_job(served: Served):
    answer = served.client.post("/v1/plans", json={"budget_s": 60}, headers=served.as_("planner"))
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/v1/jobs/{answer.json['job_id']}"
    assert answer.headers["Retry-After"] == "2"
    job = served.client.get(answer.headers["Location"]).json
    assert (job["kind"], job["state"], job["payload"]) == ("plan", "queued", {"budget_s": 60})
    cancelled = served.client.post(f"{answer.headers['Location']}/cancel", json={}, headers=served.as_("planner"))
    assert cancelled.json["state"] == "cancelled"
    assert served.client.get("/v1/jobs", query_string={"state": "cancelled", "kind": "plan"}).json["items"] == [cancelled.json]
    assert served.client.get("/v1/jobs", query_string={"kind": "scenario"}).json["items"] == []


def test_who_waits_for_a_job_that_contradicts_itself_is_refused_with_the_diagnosis(served: Served):
    """Who only looks reads it in the job; who waits gets 422 with one error for each rule."""
    queued = served.client.post("/v1/plans", json={}, headers=served.as_("planner")).json["job_id"]
    assert served.client.get(f"/v1/jobs/{queued}", query_string={"wait": 1}).json["state"] == "queued"
    served.store.jobs.claim("worker", at=served.now(), lease_s=60)
    told = [
        {"kind": "offered", "site": "pecos", "words": "pecos/row step 0: is pinned to 6 blocks, 4 would be possible"},
        {"kind": "blocking", "site": "pecos", "words": "pecos/row step 0: 4 blocks are in service, needed 6"},
    ]
    problem = {"code": "infeasible", "detail": "the input contradicts itself"}
    assert served.store.jobs.finish(queued, "worker", "infeasible", at=served.now(), result={"diagnosis": told}, problem=problem)
    assert served.client.get(f"/v1/jobs/{queued}").json["result"]["diagnosis"] == told
    waited = served.client.get(f"/v1/jobs/{queued}", query_string={"wait": 30})
    assert (waited.status_code, waited.json["code"]) == (422, "infeasible")
    assert waited.json["detail"] == "the input contradicts itself"
    assert [(e["code"], e["detail"]) for e in waited.json["errors"]] == [
        ("must_give_way", told[0]["words"]),
        ("stands_in_the_way", told[1]["words"]),
    ]
    assert waited.json["errors"][1]["pointer"] == "/result/diagnosis/1"


def test_a_what_if_is_asked_as_a_job_and_answered_in_its_scenario(served: Served):
    answer = served.client.post("/v1/scenarios", json={"name": "cheap", "set": ["hashprice=-20%"]}, headers=served.as_("planner"))
    assert answer.status_code == 202
    scenario_id = answer.json["payload"]["scenario_id"]
    shown = served.client.get(f"/v1/scenarios/{scenario_id}").json
    assert (shown["name"], shown["job_id"], shown["result"]) == ("cheap", answer.json["job_id"], None)
    served.store.scenarios.answer(scenario_id, {"profit_usd": -5.0}, base_digest=served.problem.digest)
    assert served.client.get(f"/v1/scenarios/{scenario_id}").json["result"] == {"profit_usd": -5.0}
    assert [s["scenario_id"] for s in served.client.get("/v1/scenarios").json["items"]] == [scenario_id]


def test_an_order_is_entered_heard_and_withdrawn(served: Served):
    body = {"site": "pecos", "limit_w": 500_000, "end": iso(START + timedelta(hours=3)), "reason": "called by phone"}
    answer = served.client.post("/v1/events", json=body, headers=served.as_("operator"))
    assert answer.status_code == 201
    order = answer.json["order"]
    assert (order["site"], order["limit_w"], order["start"]) == ("pecos", 500_000, iso(served.now()))
    assert [event.order.limit_w for event in served.planning.events] == [500_000]
    assert [o.name for o in served.store.events.binding(START, START + timedelta(hours=48))] == [order["name"]]
    where = answer.headers["Location"]
    assert served.client.get(where).json | {"cautions": []} == answer.json
    for _ in range(2):
        assert served.client.delete(where, headers=served.as_("operator")).json["withdrawn_at"] == iso(served.now())
    assert len(served.planning.events) == 2
    assert served.store.events.binding(START, START + timedelta(hours=48)) == []
    assert len(served.client.get("/v1/events", query_string={"site": "pecos"}).json["items"]) == 1
    assert served.client.get("/v1/events", query_string={"site": "kiruna"}).json["items"] == []


def test_a_call_names_a_reserve_that_its_site_sells(served: Served):
    body = {"site": "pecos", "limit_w": 500_000, "reserve": "ecrs"}
    answer = served.client.post("/v1/events", json=body, headers=served.as_("operator"))
    assert answer.status_code == 422
    (fault,) = answer.json["errors"]
    assert (fault["pointer"], fault["code"]) == ("/reserve", "unknown_reserve")
    assert served.planning.events == []


def test_health_tells_the_truth(served: Served, tmp_path):
    assert served.client.get("/v1/health/live").json == {"status": "live"}
    assert served.client.get("/v1/health/ready").json["basis"] == "rule"
    assert served.client.get("/v1/health/fresh").json["fresh"] is True
    served.planning.fresh = False
    answer = served.client.get("/v1/health/fresh")
    assert (answer.status_code, answer.json["code"]) == (503, "not_fresh")
    assert "solver_timeout" in answer.json["detail"]
    (tmp_path / "empty").mkdir()
    empty = Served(tmp_path / "empty", publish=False)
    assert empty.client.get("/v1/health/ready").status_code == 503
    assert empty.client.get("/v1/plans/latest").status_code == 404
    assert empty.client.get("/v1/sites/pecos/setpoints").status_code == 503
    empty.close()


def test_what_people_do_is_in_the_audit_log_and_its_chain_holds(served: Served):
    served.client.post("/v1/events", json={"site": "pecos", "limit_w": 0}, headers=served.as_("operator"))
    log = served.client.get("/v1/audit-log", headers=served.as_("admin")).json["items"]
    assert log[0]["action"] == "event.add"
    assert log[0]["who"].startswith("key ")
    assert len(log[0]["request_id"]) == 32
    assert {"fleet.add", "key.create", "publish", "event.add"} <= {line["action"] for line in log}
    verdict = served.client.get("/v1/audit-log/verification", headers=served.as_("operator")).json
    assert verdict == {"intact": True, "broken_at": None, "number": log[0]["number"], "chain": log[0]["chain"]}


def test_lines_of_one_action_are_listed_page_by_page(served: Served):
    for n in range(5):
        served.store.audit_log.append("planner", "alarm", f"code_{n}", at=served.now(), detail={"words": f"words {n}"})
        served.store.audit_log.append("planner", "slot.missed", f"slot {n}", at=served.now())
    found, query = [], "action=alarm&limit=2"
    while query:
        page = served.client.get(f"/v1/audit-log?{query}", headers=served.as_("operator")).json
        found += page["items"]
        query = f"action=alarm&limit=2&cursor={page['next_cursor']}" if page["next_cursor"] else ""
    assert [line["subject"] for line in found] == [f"code_{n}" for n in (4, 3, 2, 1, 0)]
    assert served.client.get("/v1/audit-log?action=no_such", headers=served.as_("operator")).json["items"] == []


def test_what_was_not_done_yet_cannot_be_acknowledged(served: Served):
    body = {"version": 1, "state": "applied", "at": iso(served.now() + timedelta(minutes=5))}
    answer = served.client.post("/v1/sites/pecos/acknowledgements", json=body, headers=served.as_("controller"))
    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, "/at")
    assert served.store.acknowledgements.newest("pecos") is None


def test_the_latest_plan_is_the_published_one(served: Served):
    told = served.client.get("/v1/sites/pecos/setpoints", headers=served.as_("controller")).json["plan_id"]
    in_the_making = served.plan.model_copy(update={"plan_id": "in-the-making"})
    served.store.plans.add(served.problem, in_the_making)
    assert served.client.get("/v1/plans/latest").json["plan_id"] == told


def test_no_more_orders_are_taken_than_a_plan_can_know(served: Served):
    standing = {"site": "pecos", "start": served.now(), "limit_w": 1_000_000}
    with served.store.transaction():
        for n in range(MOST_ORDERS):
            served.store.events.add(f"e{n}", "curtailment", LimitOrder(name=f"e{n}", **standing), by="test", at=served.now())
    order = {"site": "pecos", "limit_w": 2_000_000}
    answer = served.client.post("/v1/events", json=order, headers=served.as_("operator"))
    assert (answer.status_code, answer.json["errors"][0]["code"]) == (422, "too_many_orders")
    served.client.delete("/v1/events/e7", headers=served.as_("operator"))
    assert served.client.post("/v1/events", json=order, headers=served.as_("operator")).status_code == 201


def test_what_may_have_been_deleted_as_old_is_not_found_in_words(served: Served):
    missing = {"plans/gone": "plan", "plans/gone/problem": "plan", "plans/gone/money": "plan", "jobs/gone": "job",
               "scenarios/gone": "what-if", "sites/pecos/setpoints/7": "version", "backtests/gone": "back-test"}  # fmt: skip
    for path, what in missing.items():
        answer = served.client.get(f"/v1/{path}", headers=served.as_("operator"))
        assert (answer.status_code, answer.json["code"]) == (404, "not_found")
        assert answer.json["detail"].startswith(f"There is no such {what} here; if it is older than what is kept"), path


def test_the_plan_before_is_not_another_one_where_it_was_deleted(served: Served, monkeypatch):
    monkeypatch.setattr("service.store.retention.NEWEST_PUBLICATIONS", 3)
    store, now = served.store, served.now()
    Past(store, Random(1)).fill(now - timedelta(days=45), now, every=timedelta(hours=6))
    bounds = store.retention.bounds(now - timedelta(days=30))
    assert {"publication", "plan"} <= {table for p in store.retention.portions(bounds, delete=True) for table in p}
    plans = {p.version: p.plan_id for p in store.publications.page(limit=500).items}
    after_a_gap = [version for version in plans if version - 1 not in plans and version > min(plans)]
    assert after_a_gap, "a document that a site owes an answer stands alone"
    for version in (max(plans), *after_a_gap):
        answer = served.client.get(f"/v1/plans/{plans[version]}/diff", headers=served.as_("operator"))
        if version in after_a_gap:
            assert (answer.status_code, answer.json["detail"][:35]) == (404, "There is no such earlier plan here;")
        else:
            assert (answer.status_code, answer.json["before"]) == (200, plans[version - 1])
