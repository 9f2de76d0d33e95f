"""Explanations over HTTP: worked out once in bounded time, refused in words, open to whoever may read plans."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import service.explaining
from models.explanation import Explanation
from optimizer.explain import explain, ground
from optimizer.worker import GIB

ADDRESS = "/v1/plans/latest/explanations?site=pecos&step=3"


def ask(served, address: str = ADDRESS, role: str = "planner"):
    return served.client.get(address, headers=served.as_(role))


def test_it_is_the_optimiser_s_and_the_second_time_it_is_at_hand(served):
    first = ask(served)
    assert first.status_code == 200
    told = Explanation.model_validate_json(first.get_data())
    on = ground(served.problem, served.plan, deadline_s=30.0, memory_bytes=GIB)
    assert told == explain(on, "pecos", 3, deadline_s=30.0)
    begun = time.monotonic()
    assert ask(served, ADDRESS.replace("latest", served.plan.plan_id)).json == first.json
    assert time.monotonic() - begun < 0.5


@pytest.mark.parametrize(
    ("query", "field"), [("site=atlantis&step=3", "/site"), ("site=pecos&step=48", "/step"), ("site=pecos&step=-1", "/step")]
)
def test_a_site_or_step_that_is_not_in_the_plan_is_named(served, query: str, field: str):
    refused = ask(served, f"/v1/plans/latest/explanations?{query}")
    assert refused.status_code == 422
    assert [(error["in"], error["pointer"]) for error in refused.json["errors"]] == [("query", field)]


def test_who_may_not_read_plans_gets_none_and_an_unknown_plan_is_not_found(served):
    assert ask(served, role="feed").status_code == 403
    assert ask(served, ADDRESS.replace("latest", "plan-x")).status_code == 404


def test_one_at_a_time_and_the_others_are_told_to_come_back(served, monkeypatch):
    monkeypatch.setattr(service.explaining, "WAIT_S", 0.05)
    with ThreadPoolExecutor(4) as crowd:
        answers = list(crowd.map(lambda step: ask(served, f"/v1/plans/latest/explanations?site=pecos&step={step}"), range(4)))
    codes = sorted(answer.status_code for answer in answers)
    assert codes[0] == 200
    assert set(codes) == {200, 503}
    assert all(a.headers["Retry-After"] == "5" for a in answers if a.status_code == 503)


def test_without_time_for_prices_it_says_so_and_keeps_nothing(served, monkeypatch):
    monkeypatch.setattr(service.explaining, "PRICES_S", 0.01)
    late = ask(served)
    assert (late.status_code, late.json["code"]) == (503, "not_ready")
    monkeypatch.undo()
    assert ask(served).status_code == 200
