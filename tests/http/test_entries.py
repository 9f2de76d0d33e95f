"""Outages and pins: who may enter which, what is refused and in which words, and that each is told to planning once."""

from datetime import timedelta

import pytest
from served import START, Served

from models.availability import MOST_PINS, Pin
from models.base import iso
from service.api.availability import MOST_OF_A_SITE
from service.store.entry_records import PinEntry

OUTAGE = {"site": "pecos", "machine": "row", "count": 2, "reason": "fans"}
OWN = {"machine": "nodes", "count": 1}
PIN = {
    "site": "pecos", "machine": "row", "mode": "eco", "count": 3, "owner": "night shift",
    "expires": iso(START + timedelta(hours=6)),
}  # fmt: skip


def enter(served: Served, what: str, body, role: str = "operator", **headers: str):
    return served.client.post(f"/v1/{what}", json=body, headers={**served.as_(role), **headers})


def test_an_outage_is_kept_listed_told_and_ended(served: Served):
    made = enter(served, "outages", OUTAGE)
    assert made.status_code == 201
    entry = made.json
    assert made.headers["Location"] == f"/v1/outages/{entry['entry_id']}"
    assert entry["outage"] == {
        "name": f"outage-{entry['entry_id']}", "site": "pecos", "machine": "row", "count": 2, "start": iso(served.now()),
        "end": None, "reason": "fans",
    }  # fmt: skip
    assert served.client.get(made.headers["Location"]).json == entry
    assert served.client.get("/v1/outages?site=pecos&standing=true").json["items"] == [entry]
    assert served.client.get("/v1/outages?site=kiruna").json["items"] == []
    for _ in range(2):
        ended = served.client.delete(made.headers["Location"], headers=served.as_("operator"))
        assert ended.json["withdrawn_at"] == iso(served.now())
    assert served.client.get("/v1/outages?standing=true").json["items"] == []
    assert [e["entry_id"] for e in served.client.get("/v1/outages").json["items"]] == [entry["entry_id"]]
    assert [(e.entry_id, e.withdrawn_at is not None) for e in served.planning.entries] == [
        (entry["entry_id"], False), (entry["entry_id"], True),
    ]  # fmt: skip
    actions = [line.action for line in served.store.audit_log.page(limit=20).items]
    assert actions[:2] == ["outage.withdraw", "outage.add"]


def test_a_repeated_entry_is_one_entry(served: Served):
    for what, body in (("outages", OUTAGE), ("pins", PIN)):
        first, again = (enter(served, what, body, **{"Idempotency-Key": what}) for _ in range(2))
        assert first.json == again.json
        assert again.headers["Idempotency-Replayed"] == "true"
        assert len(served.client.get(f"/v1/{what}").json["items"]) == 1
    assert len(served.planning.entries) == 2


def test_a_site_reports_and_ends_outages_of_its_own_machines_only(served: Served):
    me = served.as_("controller")
    made = served.client.post("/v1/sites/pecos/outages", json=OWN, headers=me)
    assert (made.status_code, made.json["entered_as"], made.json["outage"]["site"]) == (201, "controller", "pecos")
    assert served.client.post("/v1/sites/kiruna/outages", json=OWN, headers=me).status_code == 404
    assert served.client.post("/v1/outages", json=OUTAGE, headers=me).status_code == 403
    assert enter(served, "pins", PIN, "controller").status_code == 403
    assert served.client.get("/v1/sites/pecos/outages?standing=true", headers=me).json["items"] == [made.json]
    assert served.client.delete(made.headers["Location"], headers=me).json["withdrawn_at"]


def test_a_site_cannot_put_back_what_an_operator_locked_out_nor_another_sites(served: Served):
    me = served.as_("controller")
    lock = enter(served, "outages", OUTAGE).json["entry_id"]
    refused = served.client.delete(f"/v1/sites/pecos/outages/{lock}", headers=me)
    assert (refused.status_code, refused.json["code"]) == (403, "role_not_allowed")
    assert "pecos was entered by an operator" in refused.json["detail"]
    other = enter(served, "outages", {**OUTAGE, "site": "kiruna"}).json["entry_id"]
    assert served.client.delete(f"/v1/sites/pecos/outages/{other}", headers=me).status_code == 404
    assert len(served.store.outages.standing(served.now())) == 2


WRONG_OUTAGES = {
    "no such site": ({"site": "atlantis"}, "/site", "unknown_site", "the fleet has no site atlantis"),
    "no such machine": ({"machine": "rows"}, "/machine", "unknown_machine", "pecos has no ASIC group or GPU pool rows; it has"),
    "more than there are": ({"count": 5}, "/count", "too_many", "pecos/row has 4, got 5"),
    "over already": ({"end": iso(START)}, "/end", "outside_window", "pecos: expected after the start and after now"),
    "none": ({"count": 0}, "/count", "greater_than", "0"),
}
WRONG_PINS = {
    "no such mode": ({"mode": "turbo"}, "/mode", "unknown_mode", "expected a mode of pecos/row (eco, normal), got turbo"),
    "a mode of nodes": ({"machine": "nodes", "mode": "eco"}, "/mode", "unknown_mode", "pecos/nodes (none)"),
    "more than there are": ({"count": 5}, "/count", "too_many", "pecos/row has 4, got 5"),
    "expired": ({"expires": iso(START)}, "/expires", "outside_window", "pecos/row: expected after now"),
    "nobody's": ({"owner": ""}, "/owner", "string_too_short", "1"),
}


@pytest.mark.parametrize("fault", WRONG_OUTAGES)
def test_an_outage_that_cannot_be_is_refused_in_words(served: Served, fault):
    refused(served, "outages", OUTAGE, *WRONG_OUTAGES[fault])


@pytest.mark.parametrize("fault", WRONG_PINS)
def test_a_pin_that_cannot_be_is_refused_in_words(served: Served, fault):
    refused(served, "pins", PIN, *WRONG_PINS[fault])


def refused(served: Served, what: str, body, change, pointer: str, code: str, words: str) -> None:
    answer = enter(served, what, body | change)
    assert (answer.status_code, answer.json["code"]) == (422, "invalid_input")
    (error,) = answer.json["errors"]
    assert (error["pointer"], error["code"]) == (pointer, code)
    assert words in error["detail"]
    assert served.client.get(f"/v1/{what}").json["items"] == []
    assert served.planning.entries == []


def test_a_machine_has_one_pin_at_a_time(served: Served):
    first = enter(served, "pins", PIN).json
    second = enter(served, "pins", PIN | {"count": 1})
    assert (second.status_code, second.json["code"]) == (409, "conflict")
    assert f"pecos/row is pinned by night shift until {PIN['expires']} (pin {first['entry_id']})" in second.json["detail"]
    assert enter(served, "pins", {**PIN, "machine": "nodes", "mode": None}).status_code == 201, "another machine"
    served.client.delete(f"/v1/pins/{first['entry_id']}", headers=served.as_("operator"))
    assert enter(served, "pins", PIN | {"count": 1}).status_code == 201
    served.now.ahead(hours=7)
    assert enter(served, "pins", PIN | {"expires": iso(served.now() + timedelta(hours=1))}).status_code == 201, "it expired"


def test_no_more_stands_than_a_plan_can_know(served: Served):
    me = served.as_("controller")
    for _ in range(MOST_OF_A_SITE):
        assert served.client.post("/v1/sites/pecos/outages", json=OWN, headers=me).status_code == 201
    full = served.client.post("/v1/sites/pecos/outages", json=OWN, headers=me)
    assert full.json["errors"][0]["code"] == "too_many_outages"
    with served.store.transaction():
        for n in range(MOST_PINS):
            pin = Pin(name=f"p{n}", owner="x", site="pecos", machine="nodes", count=1, expires=START + timedelta(days=1))
            served.store.pins.add(PinEntry(entry_id=f"p{n}", created_at=START, created_by="test", entered_as="operator", pin=pin))
    assert enter(served, "pins", PIN).json["errors"][0]["code"] == "too_many_pins"


def test_a_limit_of_a_feeder_names_one_that_the_site_has(served: Served):
    fed = served.fleet.model_dump(mode="json")
    fed["sites"][0]["feeders"] = [{"name": "t1", "limit_w": 2_000_000, "members": ["row"]}]
    assert served.client.put("/v1/fleet", json=fed, headers=served.as_("operator")).status_code == 200
    declared = {
        "name": "t1-rating", "kind": "limit", "subject": "pecos", "feeder": "t1", "unit": "W", "zone": "UTC",
        "resolution_s": 3600, "source": "relay", "curve_type": "A01",
    }  # fmt: skip
    body = {"declaration": declared, "known_at": iso(START), "points": [{"start": iso(START), "value": 1_500_000}]}
    for change, pointer, code in (
        ({"feeder": "t9"}, "/declaration/feeder", "unknown_feeder"),
        ({"kind": "demand", "subject": "chat", "unit": "tokens/h"}, "/declaration", "invalid_value"),
    ):
        answer = served.client.post(
            "/v1/series/t1-rating", json=body | {"declaration": declared | change}, headers=served.as_("feed")
        )
        assert answer.status_code == 422, answer.text
        assert (answer.json["errors"][0]["pointer"], answer.json["errors"][0]["code"]) == (pointer, code)
    assert "pecos has no feeder t9; it has t1" in served.client.post(
        "/v1/series/t1-rating", json=body | {"declaration": declared | {"feeder": "t9"}}, headers=served.as_("feed")
    ).json["detail"]  # fmt: skip
    assert served.planning.limits_told == 0
    assert served.client.post("/v1/series/t1-rating", json=body, headers=served.as_("feed")).status_code == 200
    assert served.planning.limits_told == 1
    served.client.post("/v1/series/t1-rating", json=body, headers=served.as_("feed"))
    assert served.planning.limits_told == 1, "nothing new was told"
