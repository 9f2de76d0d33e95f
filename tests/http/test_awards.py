"""Awards of reserves: who may tell them, what is refused and in which words, and that a changed one is told to planning once."""

from datetime import timedelta

import pytest
from served import START, Served

from models.base import iso

HOUR = timedelta(hours=1)
BLOCK = {"site": "pecos", "reserve": "ecrs", "start": iso(START), "kw": 900, "source": "the market"}
"""The block from 2 to 4 in the morning in Chicago, which has begun five minutes ago."""
ECRS = {
    "name": "ecrs", "block_hours": 2, "gate_s": 7_200, "notice_s": 600, "duration_s": 3_600, "least_kw": 100, "most_kw": 2_500,
    "capacity_usd_per_mw_h": 9.0, "claw_back_usd_per_mw_h": 20.0,
}  # fmt: skip


@pytest.fixture
def selling(served: Served) -> Served:
    fleet = served.fleet.model_dump(mode="json")
    fleet["sites"][0]["reserves"] = [ECRS]
    assert served.client.put("/v1/fleet", json=fleet, headers=served.as_("operator")).status_code == 200
    return served


def tell(served: Served, body, role: str = "operator", **headers: str):
    return served.client.post("/v1/awards", json=body, headers={**served.as_(role), **headers})


def standing(served: Served) -> list[int]:
    return [entry["award"]["kw"] for entry in served.client.get("/v1/awards?standing=true").json["items"]]


def test_an_award_is_kept_listed_and_told_and_a_later_word_replaces_it(selling: Served):
    made = tell(selling, BLOCK, "feed")
    assert (made.status_code, made.json["entered_as"]) == (201, "feed")
    entry = made.json
    assert entry["award"] == {
        "name": f"award-{entry['entry_id']}", "site": "pecos", "reserve": "ecrs", "start": iso(START),
        "end": iso(START + 2 * HOUR), "kw": 900, "source": "the market",
    }  # fmt: skip
    assert selling.client.get(made.headers["Location"]).json == entry
    again = tell(selling, BLOCK, "feed")
    assert again.json == entry, "the same told twice is told once"
    assert standing(selling) == [900]
    assert tell(selling, BLOCK | {"kw": 0}).status_code == 201
    assert standing(selling) == [0]
    assert selling.client.get(made.headers["Location"]).json["withdrawn_at"] == iso(selling.now())
    assert tell(selling, BLOCK | {"start": iso(START + 2 * HOUR)}).status_code == 201, "another block"
    assert standing(selling) == [900, 0]
    assert [entry.award.kw for entry in selling.planning.entries] == [900, 0, 900]
    assert selling.client.get("/v1/awards?site=kiruna").json["items"] == []
    selling.now.ahead(hours=5)
    assert standing(selling) == []
    actions = [line.action for line in selling.store.audit_log.page(limit=20).items]
    assert actions[:4] == ["award.add", "award.add", "award.withdraw", "award.add"]


def test_a_repeated_request_is_one_entry(selling: Served):
    first, again = (tell(selling, BLOCK, **{"Idempotency-Key": "k"}) for _ in range(2))
    assert first.json == again.json
    assert again.headers["Idempotency-Replayed"] == "true"
    assert tell(selling, BLOCK | {"kw": 1}, **{"Idempotency-Key": "k"}).status_code == 422
    assert len(selling.planning.entries) == 1


def test_sites_and_planners_tell_no_awards(selling: Served):
    for role in ("controller", "planner"):
        assert tell(selling, BLOCK, role).status_code == 403
    assert selling.client.get("/v1/awards", headers=selling.as_("feed")).status_code == 200
    assert selling.client.get("/v1/awards", headers=selling.as_("controller")).status_code == 403


WRONG = {
    "no such site": ({"site": "atlantis"}, "/site", "unknown_site", "the fleet has no site atlantis"),
    "no such programme": ({"reserve": "rrs"}, "/reserve", "unknown_reserve", "pecos has no reserve rrs; it has ecrs"),
    "a site without any": ({"site": "kiruna"}, "/reserve", "unknown_reserve", "kiruna has no reserve ecrs; it has none"),
    "no start of a block": (
        {"start": iso(START + HOUR)},
        "/start",
        "no_block",
        "pecos/ecrs from 2026-11-22T09:00:00Z: expected the start of a block, such as 2026-11-22T08:00:00Z",
    ),
    "before its gate": (
        {"start": iso(START + 4 * HOUR)},
        "/start",
        "gate_open",
        "pecos/ecrs from 2026-11-22T12:00:00Z: expected after its gate closes at 2026-11-22T10:00:00Z, it is",
    ),
    "over": ({"start": iso(START - 2 * HOUR)}, "/start", "outside_window", "it ended at 2026-11-22T08:00:00Z"),
    "far away": ({"start": "9999-12-31T22:00:00Z"}, "/start", "outside_window", "expected within 35 days of now"),
    "more than it sells": ({"kw": 2_501}, "/kw", "too_many", "pecos/ecrs from 2026-11-22T08:00:00Z: expected at most 2500 kW"),
    "less than nothing": ({"kw": -1}, "/kw", "greater_than_equal", "0"),
}


@pytest.mark.parametrize("fault", WRONG)
def test_an_award_that_cannot_be_is_refused_in_words(selling: Served, fault):
    change, pointer, code, words = WRONG[fault]
    answer = tell(selling, BLOCK | change)
    assert (answer.status_code, answer.json["code"]) == (422, "invalid_input")
    (error,) = answer.json["errors"]
    assert (error["pointer"], error["code"]) == (pointer, code)
    assert words in error["detail"]
    assert selling.client.get("/v1/awards").json["items"] == []
    assert selling.planning.entries == []


def test_a_call_of_which_nothing_was_sold_is_kept_with_a_caution(selling: Served):
    order = {"site": "pecos", "kind": "demand_response", "limit_w": 500_000, "reserve": "ecrs", "end": iso(START + HOUR)}

    def call(**changes: str | int) -> list[str]:
        answer = selling.client.post("/v1/events", json=order | changes, headers=selling.as_("operator"))
        assert answer.status_code == 201
        return answer.json["cautions"]

    unsold = [
        "call_unsold: pecos is known to have sold nothing of ecrs in the block from 2026-11-22T08:00:00Z to "
        "2026-11-22T10:00:00Z; the call caps it at 0.5 MW all the same, and nothing is paid for it"
    ]
    assert call() == unsold
    nothing, *others = call(limit_w=9_000_000_000)
    assert (nothing.partition(":")[0], len(others)) == ("the order limits nothing", 1), "one caution hides no other"
    tell(selling, BLOCK | {"kw": 0})
    assert call() == unsold
    tell(selling, BLOCK)
    assert call() == []
    assert len(call(start=iso(START + 2 * HOUR), end=iso(START + 3 * HOUR))) == 1, "what was sold is of another block"
    assert call(end=iso(START + 3 * HOUR), start=iso(START - 2 * HOUR)) == [], "it meets the block that was sold"
    answer = selling.client.post("/v1/events", json={"site": "pecos", "limit_w": 0}, headers=selling.as_("operator"))
    assert answer.json["cautions"] == [], "no call"
