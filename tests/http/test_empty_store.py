"""A service to which nothing was told yet: whoever asks too early learns what comes first."""

from typing import Any

import pytest

from service.app import create_app
from service.config import Settings
from service.wiring import assemble


@pytest.fixture(scope="module")
def ask(tmp_path_factory):
    service = assemble(Settings(data_dir=str(tmp_path_factory.mktemp("empty")), port=0), load_reference=False)
    client = create_app(service.services).test_client()
    key = service.services.keyring.issue("operator", label="a test", by="test", sites=())[1]
    yield lambda method, path, **content: client.open(path, method=method, headers={"Authorization": f"Bearer {key}"}, **content)
    assert service.store.jobs.page(limit=10).items == ()
    service.store.close()


FIRST_A_FLEET: dict[str, tuple[str, str, Any]] = {
    "an order": ("POST", "/v1/events", {"site": "pecos", "limit_w": 1}),
    "an outage": ("POST", "/v1/outages", {"site": "pecos", "machine": "s21", "count": 1, "reason": "fans"}),
    "the sites": ("GET", "/v1/sites", None),
}


@pytest.mark.parametrize("label", FIRST_A_FLEET)
def test_without_a_fleet_it_is_said_that_there_is_none(ask, label):
    method, path, content = FIRST_A_FLEET[label]
    answer = ask(method, path, **({"json": content} if content else {}))
    assert (answer.status_code, answer.json["code"]) == (404, "not_found")
    assert answer.json["detail"] == "No fleet is stored yet; put one to /v1/fleet, or `wattsplit fleet import` one."


@pytest.mark.parametrize(
    ("path", "content", "words"),
    [
        ("/v1/plans", {}, "no fleet is stored yet that could be planned"),
        ("/v1/scenarios", {"name": "dear", "set": ["hashprice=+10%"]}, "nothing is planned yet that could be changed"),
    ],
)
def test_what_cannot_be_planned_yet_is_refused_before_it_is_queued(ask, path, content, words):
    answer = ask("POST", path, json=content)
    assert (answer.status_code, answer.json["detail"]) == (422, words)


def test_what_can_be_changed_is_not_known_before_anything_is_planned(ask):
    answer = ask("GET", "/v1/scenario-quantities")
    assert (answer.status_code, answer.json["detail"]) == (404, "Nothing is planned yet that could be changed.")
    assert ask("GET", "/v1/scenario-changes?set=hashprice%3D%2B10%25").json["items"][0]["words"] == "hashprice 10 % higher"
