"""What was kept is confirmed, though the store is locked right after: nobody is told that it did not happen."""

import sqlite3
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from seams.fleets import NOON

from models.base import iso
from models.reserve import Reserve
from service.app import create_app

HOUR = timedelta(hours=1)


@pytest.fixture
def other(planned) -> Iterator[sqlite3.Connection]:
    """A connection of somebody else's to the store."""
    made = sqlite3.connect(planned.service.services.settings.store_url.removeprefix("sqlite:///"), isolation_level=None)
    yield made
    if made.in_transaction:
        made.execute("ROLLBACK")
    made.close()


@pytest.fixture
def post(planned) -> Callable[..., Any]:
    """Posts as an operator."""
    services = planned.service.services
    _, token = services.keyring.issue("operator", label="operator", by="test")
    client = create_app(services).test_client()
    return lambda path, body: client.post(path, json=body, headers={"Authorization": f"Bearer {token}"})


def test_a_call_of_a_reserve(planned, other, post, monkeypatch):
    """What whoever enters it must know of the reserve is looked up before the call is kept."""
    reserve = Reserve(
        name="ecrs", block_hours=2, notice_s=600, duration_s=3600, capacity_usd_per_mw_h=10.0, claw_back_usd_per_mw_h=30.0
    )
    fleet = planned.store.fleets.newest().fleet
    first, *others = fleet.sites
    sells = fleet.model_copy(update={"sites": (first.model_copy(update={"reserves": (reserve,)}), *others)})
    planned.store.fleets.add(sells, by="test", at=planned.clock())
    events, add = planned.store.events, planned.store.events.add

    def add_and_lock(*args: Any, **more: Any) -> Any:
        kept = add(*args, **more)
        other.execute("BEGIN EXCLUSIVE")
        return kept

    monkeypatch.setattr(events, "add", add_and_lock)
    body = {"site": first.name, "limit_w": 500_000, "reserve": "ecrs", "reason": "utility call"}
    answer = post("/v1/events", body)
    assert answer.status_code == 201, answer.json
    assert "ecrs" in answer.json["cautions"][0]
    other.execute("ROLLBACK")
    (kept,) = events.page().items
    assert kept.event_id == answer.json["event_id"]


def test_a_limit_of_a_series_which_the_planner_finds_by_itself(planned, other, post, monkeypatch):
    desk = planned.service.desk
    compare = desk.limits_changed

    def lock_and_compare() -> None:
        other.execute("BEGIN EXCLUSIVE")
        compare()

    monkeypatch.setattr(desk, "limits_changed", lock_and_compare)
    declared = {
        "name": "limit-pecos", "kind": "limit", "subject": "pecos", "unit": "W", "zone": "UTC", "resolution_s": 3600,
        "source": "a test", "curve_type": "A01",
    }  # fmt: skip
    points = [{"start": iso(NOON + HOUR * n), "value": 500_000.0} for n in range(12)]
    answer = post("/v1/series/limit-pecos", {"declaration": declared, "points": points, "known_at": iso(NOON)})
    assert answer.status_code == 200, answer.get_data(as_text=True)
    other.execute("ROLLBACK")
    assert answer.json["stored"] == 12
    assert not planned.service.planner.is_current(planned.clock())
    assert desk.turn()
    assert planned.service.planner.is_current(planned.clock())
    assert max(step.limit_w for step in planned.store.publications.setpoint("pecos").steps[1:]) <= 500_000
