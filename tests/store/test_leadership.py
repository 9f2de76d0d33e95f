"""Two processes on one database: one leads, a dead one is followed, and one that was deposed unawares publishes nothing."""

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from served import planned

from service.leader import LEASE_S
from service.store import Store

TESTS = Path(__file__).parents[1]
CHILD = """
import json, sys
from datetime import timedelta
from served import START, planned
from service.documents import documents
from service.leader import Leadership
from service.store import open_store
from service.store.publications import AlreadyPublishedError, StaleEpochError

at = [START]
store = open_store(sys.argv[1])
leadership = Leadership(store, "fleet", lambda: at[0], None)
problem, plan = planned()

def publish(slot):
    def made(version):
        return documents(
            plan, problem.fleet.site_by_name, version=version, epoch=leadership.epoch, issued=START,
            input_digest=problem.digest, audit=plan.audit, standing={}, reasons={},
        )
    try:
        return store.publications.publish(
            unit="fleet", slot=START + timedelta(hours=slot), occasion="hourly", epoch=leadership.epoch, plan_id=plan.plan_id,
            basis=plan.basis, at=START, documents=made,
        ).version
    except (StaleEpochError, AlreadyPublishedError) as error:
        return type(error).__name__

print(json.dumps("ready"), flush=True)
for line in sys.stdin:
    what, number, *slots = json.loads(line)
    at[0] = START + timedelta(seconds=number)
    if what == "lead":
        answer = leadership.lead() and leadership.epoch
    elif what == "resign":
        answer = leadership.resign()
    else:
        answer = publish(slots[0])
    print(json.dumps(answer), flush=True)
"""


class Process:
    """A process of its own with a claim to lead; what time it is, it is told."""

    def __init__(self, url: str) -> None:
        places = os.pathsep.join([str(TESTS), str(TESTS.parent), os.environ.get("PYTHONPATH", "")])
        self.child = subprocess.Popen(
            [sys.executable, "-c", CHILD, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=os.environ | {"PYTHONPATH": places},
        )  # fmt: skip

    def tell(self, what: str, at_s: float, *slots: int) -> None:
        self.child.stdin.write(json.dumps([what, at_s, *slots]) + "\n")
        self.child.stdin.flush()

    def answer(self) -> Any:
        return json.loads(self.child.stdout.readline())

    def ask(self, what: str, at_s: float, *slots: int) -> Any:
        self.tell(what, at_s, *slots)
        return self.answer()

    def end(self) -> None:
        self.child.kill()
        self.child.wait(10)
        self.child.stdin.close()
        self.child.stdout.close()


@contextmanager
def processes(url: str, store: Store, count: int = 2) -> Iterator[list[Process]]:
    """Start processes on a store that has the plan which they publish."""
    store.plans.add(*planned())
    started = [Process(url) for _ in range(count)]
    try:
        assert [process.answer() for process in started] == ["ready"] * count
        yield started
    finally:
        for process in started:
            process.end()


def test_one_leads_and_the_other_follows_when_the_lease_of_a_dead_one_has_run_out(url: str, store: Store):
    with processes(url, store) as (first, second):
        assert first.ask("lead", 0) == 1
        assert second.ask("lead", LEASE_S - 1) is False
        assert first.ask("lead", LEASE_S - 1) == 1, "who leads prolongs its lease under the same epoch"
        os.kill(first.child.pid, signal.SIGKILL)
        first.child.wait(10)
        assert second.ask("lead", LEASE_S) is False, "a dead one's lease has to run out"
        assert second.ask("lead", 2 * LEASE_S) == 2
        assert second.ask("publish", 2 * LEASE_S, 0) == 1


def test_who_resigns_is_followed_at_once(url: str, store: Store):
    with processes(url, store) as (first, second):
        assert first.ask("lead", 0) == 1
        first.ask("resign", 1)
        assert second.ask("lead", 1) == 2
        assert first.ask("lead", 2) is False


def test_one_that_was_stopped_beyond_its_lease_publishes_nothing_when_it_goes_on(url: str, store: Store):
    with processes(url, store) as (first, second):
        assert first.ask("lead", 0) == 1
        os.kill(first.child.pid, signal.SIGSTOP)
        first.tell("publish", 1, 0)  # it was about to
        assert second.ask("lead", LEASE_S + 1) == 2
        assert second.ask("publish", LEASE_S + 1, 0) == 1
        os.kill(first.child.pid, signal.SIGCONT)
        assert first.answer() == "StaleEpochError"
        assert first.ask("publish", 2, 1) == "StaleEpochError", "nor another slot"
        assert [(p.epoch, p.version) for p in store.publications.page().items] == [(2, 1)]


@pytest.mark.parametrize("ahead_s", [7200, -7200])
def test_clocks_that_differ_by_hours_lead_to_one_publication_a_slot(url: str, store: Store, ahead_s: int):
    """A fast clock takes the lead too early and a slow one never: the epoch decides what counts, not the clock."""
    with processes(url, store) as (right, wrong):
        assert right.ask("lead", 0) == 1
        taken = wrong.ask("lead", 1 + ahead_s)
        assert taken == (2 if ahead_s > 0 else False)
        found = [right.ask("publish", 2, 0), wrong.ask("publish", 2 + ahead_s, 0)]
        assert found == (["StaleEpochError", 1] if ahead_s > 0 else [1, "StaleEpochError"])


def test_in_a_race_every_slot_is_published_once_by_the_newest_epoch(url: str, store: Store):
    chance, rounds = random.Random(7), 25
    with processes(url, store, 3) as all_of_them:
        for slot in range(rounds):
            at_s = slot * (LEASE_S + 1)  # the lease has run out: whoever comes first takes it
            chance.shuffle(all_of_them)
            for process in all_of_them:
                process.tell("lead", at_s)
            epochs = [process.answer() for process in all_of_them]
            assert [epoch for epoch in epochs if epoch] == [store.leases.get("fleet").epoch]
            for process in all_of_them:  # also those that led before and do not know that they were followed
                process.tell("publish", at_s, slot)
            answers = [process.answer() for process in all_of_them]
            assert [a for a in answers if isinstance(a, int)] == [slot + 1]
            assert {a for a in answers if not isinstance(a, int)} == {"StaleEpochError"}
    publications = store.publications.page(limit=rounds + 1).items
    assert [p.version for p in reversed(publications)] == list(range(1, rounds + 1))
    assert len({p.slot for p in publications}) == rounds
    assert [p.epoch for p in publications] == sorted((p.epoch for p in publications), reverse=True)
