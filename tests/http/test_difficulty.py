"""Known changes of the difficulty: who may enter them, what is refused, and that none is entered that would count twice."""

from datetime import timedelta

import pytest
from served import START, Served

from models.base import iso

DAY = timedelta(days=1)
CHANGE = {"at": iso(START + DAY), "change_percent": 4.2, "source": "an estimate"}


def enter(served: Served, body, role: str = "operator", **headers: str):
    return served.client.post("/v1/difficulty-steps", json=body, headers={**served.as_(role), **headers})


def hashprice(served: Served, name: str = "hash", **declared):
    declaration = {
        "name": name, "kind": "hashprice", "subject": None, "unit": "USD/PH/day", "zone": "UTC", "resolution_s": 3600,
        "source": "a pool", "curve_type": "A01",
    }  # fmt: skip
    body = {
        "declaration": declaration | declared, "known_at": iso(START), "points": [{"start": iso(START), "value": 46.0}],
    }  # fmt: skip
    return served.client.post(f"/v1/series/{name}", json=body, headers=served.as_("feed"))


def test_a_change_is_kept_listed_told_and_withdrawn(served: Served):
    made = enter(served, CHANGE, "feed")
    assert (made.status_code, made.json["entered_as"]) == (201, "feed")
    assert made.json["difficulty"] == {"at": CHANGE["at"], "change_share": 0.042, "source": "an estimate"}
    assert served.client.get(made.headers["Location"]).json == made.json
    assert served.client.get("/v1/difficulty-steps?standing=true").json["items"] == [made.json]
    for _ in range(2):
        ended = served.client.delete(made.headers["Location"], headers=served.as_("operator"))
        assert ended.json["withdrawn_at"] == iso(served.now())
    assert served.client.get("/v1/difficulty-steps?standing=true").json["items"] == []
    assert [entry.withdrawn_at is not None for entry in served.planning.entries] == [False, True]
    assert enter(served, CHANGE).status_code == 201
    served.now.ahead(days=2)
    assert served.client.get("/v1/difficulty-steps?standing=true").json["items"] == [], "it has come"
    assert len(served.client.get("/v1/difficulty-steps").json["items"]) == 2


def test_a_repeated_request_is_one_entry_and_the_same_change_entered_twice_is_refused(served: Served):
    first, again = (enter(served, CHANGE, **{"Idempotency-Key": "k"}) for _ in range(2))
    assert first.json == again.json
    assert again.headers["Idempotency-Replayed"] == "true"
    near = enter(served, {"at": iso(START + 2 * DAY), "change_percent": 4.0})
    assert (near.status_code, near.json["code"]) == (409, "conflict")
    assert f"+4.2 % at {CHANGE['at']} stands already (entry {first.json['entry_id']})" in near.json["detail"]
    assert enter(served, {"at": iso(START + 15 * DAY), "change_percent": -3.0}).status_code == 201, "the adjustment after it"
    assert len(served.planning.entries) == 2


def test_sites_and_planners_enter_no_changes(served: Served):
    for role in ("controller", "planner"):
        assert enter(served, CHANGE, role).status_code == 403


def refused(served: Served) -> str:
    answer = enter(served, CHANGE)
    (error,) = answer.json["errors"]
    assert (answer.status_code, error["pointer"], error["code"]) == (422, "/change_percent", "counted_elsewhere")
    assert error["detail"].startswith(f"the change at {CHANGE['at']} would count twice or not at all: ")
    return error["detail"]


def test_none_is_entered_until_a_hashprice_says_that_it_is_at_the_difficulty_of_when_it_was_told(served: Served):
    assert hashprice(served).status_code == 200
    assert "series hash does not say whether its values count changes of the difficulty; declare its" in refused(served)
    assert hashprice(served, difficulty="constant").status_code == 200, "it may be said later"
    assert enter(served, CHANGE).status_code == 201
    assert hashprice(served).status_code == 200, "and left out once it was said"
    (head,) = (s for s in served.client.get("/v1/series").json["items"] if s["declaration"]["name"] == "hash")
    assert head["declaration"]["difficulty"] == "constant"
    other = hashprice(served, difficulty="expected")
    assert (other.status_code, other.json["code"]) == (409, "conflict")
    assert "['difficulty']" in other.json["detail"], "what it said it cannot take back"


def test_none_is_entered_beside_a_hashprice_that_counts_it_itself(served: Served):
    assert hashprice(served, difficulty="constant").status_code == 200
    assert hashprice(served, "forward", difficulty="expected").status_code == 200
    assert "series forward counts expected changes of the difficulty itself" in refused(served)


def test_only_a_hashprice_says_what_its_values_count_of_the_difficulty(served: Served):
    wrong = hashprice(served, kind="price", subject="hub", unit="USD/MWh", difficulty="constant")
    assert wrong.status_code == 422
    assert "only a hashprice has one, got constant" in wrong.json["detail"]


WRONG = {
    "past": ({"at": iso(START)}, "/at", "outside_window", "expected after now"),
    "far": ({"at": iso(START + 61 * DAY)}, "/at", "outside_window", "within 60 days"),
    "none": ({"change_percent": 0}, "/change_percent", "no_change", "expected other than 0"),
    "too low": ({"change_percent": -75}, "/change_percent", "greater_than", "-75"),
    "too high": ({"change_percent": 301}, "/change_percent", "less_than_equal", "300"),
}


@pytest.mark.parametrize("fault", WRONG)
def test_a_change_that_cannot_be_is_refused_in_words(served: Served, fault):
    change, pointer, code, words = WRONG[fault]
    answer = enter(served, CHANGE | change)
    (error,) = answer.json["errors"]
    assert (answer.status_code, error["pointer"], error["code"]) == (422, pointer, code)
    assert words in error["detail"]
    assert served.planning.entries == []
