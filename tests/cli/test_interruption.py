"""Ctrl-C while a plan is made: the command ends at once, and no solver is left running."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import psutil

from optimizer import fork_server
from scenarios.feed import reference_problem

NOON = datetime(2026, 6, 3, 12, tzinfo=UTC)
SOLVER = 1 if fork_server.IS_POSSIBLE else 0
"""Generations between a command and its solver: the server that forks it."""
WORKER = SOLVER + 1


def at_work(process: subprocess.Popen[str], below: int) -> list[psutil.Process]:
    """The children of a command with so many generations between, as soon as there are some."""
    deadline = time.monotonic() + 60
    while True:
        found = psutil.Process(process.pid).children()
        for _ in range(below):
            found = [grandchild for child in found for grandchild in child.children()]
        if found:
            return found
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.01)


def test_an_interrupted_plan_leaves_no_solver_and_no_file(tmp_path: Path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WATTSPLIT_")}
    command = [
        sys.executable,
        "-m",
        "service.cli",
        "plan",
        "run",
        "reference",
        "--gap",
        "0",
        "--budget",
        "PT2M",
        "--out",
        "plan.json",
    ]
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    solvers = [*at_work(process, below=0), *at_work(process, below=SOLVER)]
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=20)
    assert process.returncode == 130
    assert time.monotonic() - began < 10
    assert "Traceback" not in told
    assert [child for child in solvers if child.is_running() and child.status() != psutil.STATUS_ZOMBIE] == []
    assert list(tmp_path.iterdir()) == []


def test_a_plan_survives_the_death_of_one_that_works_on_its_sites(tmp_path: Path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WATTSPLIT_")}
    (tmp_path / "problem.json").write_text(reference_problem(NOON).model_dump_json())
    words = ("plan", "run", "problem.json", "--gap", "1e-3", "--budget", "PT60S", "--workers", "2", "--out", "plan.json")
    command = [sys.executable, "-m", "service.cli", *words]
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    at_work(process, below=WORKER)[0].kill()
    _, told = process.communicate(timeout=60)
    assert process.returncode == 0, told
    plan = json.loads((tmp_path / "plan.json").read_text())
    assert "1 of 2 workers lost, their sites done again" in plan["engine"]["way"]
    assert plan["proof"]["status"] == "optimal"
    assert plan["audit"]["passed"]
