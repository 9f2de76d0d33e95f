"""Alarms and the audit log from the command line: the newest first, by code and action, and whether the chain holds."""

import sqlite3
from collections.abc import Iterator
from datetime import timedelta

import pytest
from served import Served

MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Iterator[tuple[Served, str]]:
    made = Served(tmp_path_factory.mktemp("log"))
    for n in range(30):
        at = made.now() + n * MINUTE
        code = "fallback" if n % 3 else "input_missing"
        words = f"[rule] version {n} of pecos: solver_timeout" if n % 3 else f"no price {n}"
        made.store.audit_log.append("planner", "alarm", code, at=at, detail={"words": words, "plan": f"p{n}"})
        made.store.audit_log.append("planner", "slot.missed", f"fleet slot {n}", at=at)
    with made.listening() as address:
        yield made, address
    made.close()


@pytest.fixture
def ask(wattsplit, served):
    made, address = served
    return lambda *words, role="operator": wattsplit(*words, url=address, key=made.tokens[role])


def test_the_newest_alarms_are_listed_with_their_words(ask):
    ended = ask("alarm", "list")
    assert ended.code == 0
    assert "[rule] version 29 of pecos: solver_timeout" in ended.out
    assert "slot" not in ended.out
    listed = ask("alarm", "list", "--json").json
    assert [line["detail"]["plan"] for line in listed] == [f"p{n}" for n in range(29, 9, -1)]
    assert {line["action"] for line in listed} == {"alarm"}


def test_alarms_of_one_code_are_found_behind_the_others(ask):
    listed = ask("alarm", "list", "--code", "input_missing", "--last", "9", "--json").json
    assert [line["detail"]["words"] for line in listed] == [f"no price {n}" for n in range(27, 2, -3)]
    assert "no alarms of code quake" in ask("alarm", "list", "--code", "quake").out
    assert ask("alarm", "list", "--code", "quake", "--json").json == []


def test_the_log_is_listed_whole_or_by_action(ask):
    both = ask("log", "list", "--last", "4", "--json").json
    assert [line["action"] for line in both] == ["slot.missed", "alarm"] * 2
    assert [line["number"] for line in both] == [both[0]["number"] - n for n in range(4)]
    told = ask("log", "list", "--action", "fleet.add")
    assert "fleet 1" in told.out
    assert "slot.missed" not in told.out
    assert "no lines of action nothing" in ask("log", "list", "--action", "nothing").out


def test_the_log_is_for_those_who_may_read_it(ask):
    for words in (("alarm", "list"), ("log", "list"), ("log", "verify")):
        ended = ask(*words, role="planner")
        assert (ended.code, "give a key with the right role in WATTSPLIT_KEY" in ended.err) == (1, True), ended.err
    assert ask("alarm", "list", "--last", "0").code == 2
    assert ask("log", "list", "--action", "two words").code == 3


def test_a_line_that_was_edited_is_found(wattsplit, tmp_path):
    made = Served(tmp_path)
    with made.listening() as address:
        verify = ("log", "verify")
        told = wattsplit(*verify, url=address, key=made.tokens["operator"])
        number, chain = made.store.audit_log.head()
        assert (told.code, told.out) == (0, f"the chain holds: {number} lines, the last with digest {chain}\n")
        with sqlite3.connect(tmp_path / "store.db") as connection:
            connection.execute("DROP TRIGGER audit_log_no_update")
            connection.execute("UPDATE audit_log SET who = 'nobody' WHERE number = 2")
        broken = wattsplit(*verify, "--json", url=address, key=made.tokens["operator"])
        assert (broken.code, broken.json["broken_at"]) == (1, 2)
        assert "broken at line 2" in broken.err
    made.close()
