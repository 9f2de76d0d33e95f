"""A plan that was asked for and published counts as done, though its service was killed before it could say so."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from faults.test_kill_nine import Victim
from faults.test_machine_faults import WITHIN_S, start_and_plan

from service.slots import PLAN_FROM_MINUTE
from service.store import open_store

KILLED_AT_THE_END_OF_A_JOB = """
import os, signal
from service.jobs import JobRunner
JobRunner._end = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
"""
KILLED = -9


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Victim]:
    made = Victim(tmp_path, before=KILLED_AT_THE_END_OF_A_JOB)
    made.prepare()
    yield made
    if made.process is not None and made.process.poll() is None:
        made.kill()


def ask(victim: Victim) -> str:
    """Ask for a plan, and return its job once the service has died of it."""
    body = {"budget_s": 2, "asked_gap": 0.02}
    answer = httpx.post(f"{victim.url}/v1/plans", json=body, headers=victim.auth("operator"), timeout=30)
    assert answer.status_code == 202, answer.text
    assert victim.process.wait(WITHIN_S) == KILLED
    return str(answer.json()["job_id"])


def ended(victim: Victim, job: str) -> Any:
    deadline = time.monotonic() + WITHIN_S
    while (known := httpx.get(f"{victim.url}/v1/jobs/{job}", headers=victim.auth("operator"), timeout=30).json())["state"] in (
        "queued",
        "running",
    ):
        assert time.monotonic() < deadline, known
        time.sleep(0.2)
    return known


def versions(victim: Victim, job: str) -> list[int]:
    """Return the versions that were published for a job."""
    store = open_store(f"sqlite:///{victim.database}")
    try:
        return [p.version for p in store.publications.page().items if p.occasion == f"request-{job}"]
    finally:
        store.close()


@pytest.mark.parametrize("deaths", [1, 2])
def test_it_is_done_and_neither_planned_nor_published_again(victim, deaths):
    while datetime.now(UTC).minute == PLAN_FROM_MINUTE - 1:
        time.sleep(1)  # asked for just after, it would be the next hour's plan, and nothing says for whom that was
    start_and_plan(victim)
    job = ask(victim)
    (version,) = versions(victim, job)
    for _ in range(1, deaths):
        victim.launch()
        assert victim.process.wait(WITHIN_S) == KILLED
    victim.before = ""
    victim.start()
    told = ended(victim, job)
    assert told["state"] == "done", told
    assert told["result"]["version"] == version
    assert told["result"]["note"].startswith("the service ended after it had published this plan")
    assert versions(victim, job) == [version]
