"""Scenarios with probabilities over HTTP: taken as a job, refused with every fault at once, asked only by planners."""

TWO = {
    "name": "two",
    "recourse_after_s": 7200,
    "scenarios": [
        {"name": "plain", "probability_ppm": 600_000},
        {"name": "dear", "probability_ppm": 400_000, "set": ["energy_price=+60"]},
    ],
}


def ask(served, content, role="planner"):
    return served.client.post("/v1/futures", json=content, headers=served.as_(role))


def test_futures_are_taken_as_a_job(served):
    answer = ask(served, {"futures": TWO, "cvar_weight_share": 0.3})
    assert answer.status_code == 202
    job = served.client.get(answer.headers["Location"]).json
    assert (job["kind"], job["state"]) == ("futures", "queued")
    assert job["payload"]["futures"]["scenarios"][1]["set"] == ["energy_price=+60"]
    assert served.client.get("/v1/jobs", query_string={"kind": "futures"}).json["items"] == [job]


def test_every_fault_is_told_at_once(served):
    wrong = TWO | {"set_points_s": 60, "scenarios": [TWO["scenarios"][0] | {"probability_ppm": 0}, TWO["scenarios"][1]]}
    refused = ask(served, {"futures": wrong, "cvar_weight_share": 1.5})
    assert refused.status_code == 422
    assert {error["pointer"] for error in refused.json["errors"]} == {
        "/futures/set_points_s", "/futures/scenarios/0/probability_ppm", "/cvar_weight_share",
    }  # fmt: skip


def test_probabilities_that_do_not_add_up_are_refused(served):
    refused = ask(served, {"futures": TWO | {"scenarios": TWO["scenarios"][:1]}})
    assert refused.status_code == 422
    assert "add up to 1000000, got 600000" in refused.json["errors"][0]["detail"]


def test_controllers_and_feeds_may_not_ask(served):
    for role in ("controller", "feed"):
        assert ask(served, {"futures": TWO}, role).status_code == 403
