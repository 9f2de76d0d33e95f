"""Outages and pins are kept as entered, once, on both databases; a store of the first schema is brought up to date with them."""

from datetime import timedelta

import pytest
from alembic import command
from alembic.config import Config
from served import START
from sqlalchemy import text

from models.availability import Outage, Pin
from models.market import DifficultyStep
from service.store import Store, open_store
from service.store.common import ConflictError
from service.store.database import Database
from service.store.entry_records import DifficultyEntry, OutageEntry, PinEntry

HOUR = timedelta(hours=1)
WHO = {"created_at": START, "created_by": "test", "entered_as": "operator"}


def outage(name: str, hours: float | None, *, site: str = "pecos", start=START) -> OutageEntry:
    said = Outage(name=name, site=site, machine="row", count=2, start=start, end=None if hours is None else START + hours * HOUR)
    return OutageEntry(entry_id=name, outage=said, **WHO)


def pin(name: str, hours: float) -> PinEntry:
    said = Pin(name=name, owner="night shift", site="pecos", machine="row", mode="eco", count=1, expires=START + hours * HOUR)
    return PinEntry(entry_id=name, pin=said, **WHO)


def names(entries) -> list[str]:
    return [entry.entry_id for entry in entries]


def test_what_stands_in_a_stretch_of_time(store: Store):
    for entry in (outage("a", None), outage("b", 2), outage("c", 9, start=START + 5 * HOUR), outage("d", 2, site="kiruna")):
        assert store.outages.add(entry) == entry
    store.pins.add(pin("p", 3))
    assert names(store.outages.standing(START, START + HOUR)) == ["a", "b", "d"]
    assert names(store.outages.standing(START + 2 * HOUR, START + 6 * HOUR)) == ["a", "c"]
    assert names(store.pins.standing(START + 2 * HOUR)) == ["p"]
    assert names(store.pins.standing(START + 3 * HOUR)) == []
    store.outages.withdraw("a", by="test", at=START)
    assert store.outages.withdraw("a", by="other", at=START + HOUR).withdrawn_by == "test", "withdrawn twice is withdrawn once"
    assert names(store.outages.standing(START, START + HOUR)) == ["b", "d"]
    assert names(store.outages.page(site="pecos").items) == ["c", "b", "a"]
    assert names(store.outages.page(standing_at=START + 2 * HOUR).items) == ["c"]
    first = store.outages.page(limit=2)
    assert names(store.outages.page(after=first.next_after).items) == ["b", "a"]
    assert store.outages.get("p") is None, "a pin is no outage"
    assert store.outages.get("b") == outage("b", 2)
    with pytest.raises(KeyError):
        store.pins.withdraw("a", by="test", at=START)


def test_an_id_stands_for_one_content(store: Store):
    store.outages.add(outage("a", 2))
    assert store.outages.add(outage("a", 2)) == outage("a", 2)
    with pytest.raises(ConflictError):
        store.outages.add(outage("a", 3))
    with pytest.raises(ConflictError):
        store.pins.add(pin("a", 3))
    assert [line.action for line in store.audit_log.page().items] == ["outage.add"]


def test_a_store_of_the_first_schema_is_brought_up_to_date(url: str):
    database = Database(url)
    config = Config()
    config.set_main_option("script_location", "service.store:migrations")
    with database.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        values = "'fleet', 'somebody', 7, '2026-11-22 08:00:00+00:00'"
        connection.execute(text(f"INSERT INTO lease (name, holder, epoch, expires_at) VALUES ({values})"))
    database.close()
    store = open_store(url)
    assert store.leases.get("fleet").epoch == 7
    store.outages.add(outage("a", 2))
    change = DifficultyStep(at=START + HOUR, change_share=0.04)
    store.difficulty.add(DifficultyEntry(entry_id="d", difficulty=change, **WHO))
    assert names(store.difficulty.standing(START, START + 2 * HOUR)) == ["d"]
    assert names(store.difficulty.standing(START, START + HOUR)) == names(store.difficulty.standing(START + HOUR)) == []
    assert names(store.outages.standing(START)) == ["a"]
    store.close()
