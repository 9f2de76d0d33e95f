"""Back-tests as jobs: they end with a report, go on after a restart, and leave no process when they are cancelled or go wrong."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Collection, Iterator
from pathlib import Path

import psutil
import pytest
from faults.test_planning_faults import CALM, waiting_for
from replayed import few_hours
from seams.fleets import NOON, small_fleet
from seams.simulation import MIN, Simulation, simulation

from optimizer import fork_server
from scenarios.backtest.histories import spec_of
from scenarios.backtest.records import PolicyName
from service.backtest_kind import backtest_kind
from service.backtesting.kept import folder_of, kept_report
from service.jobs import JobRunner
from service.ports import RefusedError

RULES: tuple[PolicyName, ...] = ("break_even", "always_mining")


def children(others: Collection[psutil.Process]) -> list[psutil.Process]:
    """Every process that comes of this one, but for others that were there before, and what comes of them."""
    own = [child for child in psutil.Process().children() if child not in others]
    family = [one for child in own for one in (child, *descendants(child))]
    return [one for one in family if is_alive(one)]


def descendants(process: psutil.Process) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.children(recursive=True)
    return []


def is_alive(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.status() != psutil.STATUS_ZOMBIE
    return False


@pytest.fixture
def others() -> list[psutil.Process]:
    """What runs below this process anyway: the server of solver children, a browser or a database that other tests keep open."""
    fork_server.begin()
    return psutil.Process().children()


@pytest.fixture
def made(tmp_path: Path, others: list[psutil.Process]) -> Iterator[Simulation]:
    """A service whose jobs are not started."""
    service = simulation(tmp_path, small_fleet(2), NOON + 5 * MIN, ambient=CALM)
    yield service
    service.close()
    assert children(others) == []


def asked(made: Simulation, policies=RULES, steps: int = 4, name: str = "one"):
    payload = {"spec": few_hours(steps, policies).model_dump(mode="json")}
    return made.service.runner.submit("backtest", payload, asked_by="planner", job_id=name)


def job(made: Simulation, name: str = "one"):
    return made.store.jobs.get(name)


def settings(made: Simulation):
    return made.service.services.settings


def test_a_job_ends_with_report_page_and_rows(made):
    made.service.runner.start()
    asked(made)
    waiting_for(lambda: job(made).finished, 90)
    assert job(made).state == "done", job(made).problem
    folder = folder_of(settings(made).data_dir, "one")
    assert sorted(path.name for path in folder.iterdir()) == ["report.html", "report.json", "rows.csv", "rows.parquet"]
    found = kept_report(folder)
    assert job(made).result["profit_usd"] == {r.policy: r.profit_usd for r in found.policies}
    assert job(made).result["digest"] == found.digest


def test_a_cancelled_one_is_gone_within_two_seconds_with_its_solver(made, others):
    made.service.runner.start()
    asked(made, ("plan",), 40)
    waiting_for(lambda: len(children(others)) >= 2, 60)  # the back-test, and its solver
    began = time.monotonic()
    made.service.runner.cancel("one", asked_by="planner")
    waiting_for(lambda: job(made).state == "cancelled" and children(others) == [], 2.0)
    assert time.monotonic() - began <= 2.0
    assert not folder_of(settings(made).data_dir, "one").exists()


def test_one_that_was_running_when_the_service_ended_goes_on(made, others):
    made.service.runner.start()
    asked(made, ("plan", "break_even"), 4)
    steps = folder_of(settings(made).data_dir, "one") / "work" / "plan" / "steps.jsonl"
    waiting_for(lambda: steps.exists() and len(steps.read_text().splitlines()) >= 2, 90)
    made.service.runner.stop()
    assert job(made).state == "running"
    assert children(others) == []
    done = steps.read_text().splitlines()
    again = JobRunner(made.store, made.clock, "the next", made.service.runner._kinds)
    again.start()
    waiting_for(lambda: job(made).finished, 120)
    again.stop()
    assert job(made).state == "done", job(made).problem
    assert len(done) >= 2
    assert kept_report(folder_of(settings(made).data_dir, "one")).result("plan").plans == 4


def test_a_period_without_data_is_refused_before_it_is_queued(made):
    with pytest.raises(RefusedError) as refused:
        made.service.runner.submit(
            "backtest", {"spec": spec_of("ercot-2023").model_dump(mode="json")}, asked_by="p", job_id="far"
        )
    assert refused.value.faults[0].code == "no_data"
    assert "WATTSPLIT_DATA" in refused.value.faults[0].detail
    assert job(made, "far") is None


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("import time; time.sleep(1000)", "deadline"),
        ("print('hello')", "garbled"),
        ("import os; os.abort()", "its process ended"),
        ("raise SystemExit('no luck')", "no luck"),
        ("held = []\nwhile True: held.append(bytearray(16 << 20))", "MemoryError"),
        ("""print('{"refused": "the folder holds another run"}')""", "the folder holds another run"),
        ("pass", "its process ended"),
    ],
    ids=["sleeps", "talks", "aborts", "leaves", "eats memory", "refuses", "is silent"],
)
def test_whatever_its_process_does_the_job_fails_and_says_why(made, program, said):
    few = settings(made).model_copy(update={"backtest_budget_s": 8.0, "backtest_memory_mib": 512})
    made.service.runner._kinds = dict(made.service.runner._kinds) | {
        "backtest": backtest_kind(few, (sys.executable, "-I", "-c", program))
    }
    made.service.runner.start()
    asked(made)
    waiting_for(lambda: job(made).finished, 40)
    assert job(made).state == "failed"
    assert said in job(made).problem["detail"]
    assert not folder_of(few.data_dir, "one").exists()


def test_the_process_dies_with_its_parent(tmp_path):
    """A service that is killed leaves no back-test behind: the kernel ends it."""
    script = f"""
import json, subprocess, sys, tempfile, time
from service.backtesting.child import program
from replayed import few_hours
spec = few_hours(40, ("plan",)).model_dump(mode="json")
asked = {{"spec": spec, "folder": {str(tmp_path)!r}, "data": None, "jobs": 1, "release": "1"}}
child = subprocess.Popen(program(), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
child.stdin.write(json.dumps(asked).encode()); child.stdin.close()
print(child.pid, flush=True)
time.sleep(1000)
"""
    root = Path(__file__).resolve().parents[2]
    environment = dict(os.environ) | {"PYTHONPATH": f"{root}:{root / 'tests'}"}
    parent = subprocess.Popen([sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    waiting_for(lambda: len(child.children(recursive=True)) >= 1, 60)
    family = [child, *child.children(recursive=True)]
    parent.kill()
    parent.wait(10)
    parent.stdout.close()
    waiting_for(lambda: not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in family), 5)
