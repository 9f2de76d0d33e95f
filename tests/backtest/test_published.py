"""A set of back-tests: policies of several periods side by side come to what each comes to alone."""

import json
import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from faults.test_planning_faults import waiting_for

from scenarios.backtest.histories import HISTORIES, spec_of
from scenarios.backtest.published import is_done, run_set
from scenarios.backtest.run import run

FEW = ("break_even", "perfect_foresight")


@pytest.fixture(scope="module")
def specs():
    later = {"start": HISTORIES["storm"].start + timedelta(hours=31)}
    common = {"steps": 4, "window_steps": 4, "sites": 1, "policies": FEW}
    first = spec_of("storm", **common)
    return [first, spec_of("storm", **common, **later).model_copy(update={"name": "storm-ends"})]


def test_a_set_comes_to_what_each_of_it_comes_to_alone(specs, tmp_path):
    told = []
    reports = run_set(specs, folder=tmp_path, workers=2, tell=told.append)
    assert [one.digest for one in reports] == [run(spec).digest for spec in specs]
    again = run_set(specs, folder=tmp_path, workers=2)
    assert [one.cpu_s for one in again] == [one.cpu_s for one in reports], "nothing was done twice"
    assert told[-1].share == 1.0
    assert [one.share for one in told] == sorted(one.share for one in told)
    assert is_done(specs, tmp_path)
    (tmp_path / "storm" / "break_even" / "result.json").unlink()
    assert not is_done(specs, tmp_path)


def test_two_back_tests_of_one_name_are_refused(specs, tmp_path):
    with pytest.raises(ValueError, match="different names"):
        run_set([specs[0], specs[0]], folder=tmp_path)


def test_an_interrupt_leaves_whole_steps_only_and_the_same_command_goes_on(specs, tmp_path):
    """Ctrl-C reaches the whole group: the asker ends, its processes after the step that they are at; nothing of it is cut."""
    spec = specs[0].model_copy(update={"policies": ("plan", "break_even"), "steps": 12})
    script = f"""
import sys
from pathlib import Path
from scenarios.backtest.published import run_set
from scenarios.backtest.records import BacktestSpec
if __name__ == "__main__":
    try:
        run_set([BacktestSpec.model_validate_json({spec.model_dump_json()!r})], folder=Path({str(tmp_path)!r}), workers=2)
    except KeyboardInterrupt:
        sys.exit(130)
"""
    (tmp_path / "go.py").write_text(script)
    root = Path(__file__).resolve().parents[2]
    environment = dict(os.environ) | {"PYTHONPATH": str(root)}
    steps = tmp_path / "storm" / "plan" / "steps.jsonl"
    asker = subprocess.Popen(
        [sys.executable, str(tmp_path / "go.py")], env=environment, start_new_session=True, stderr=subprocess.PIPE, text=True
    )
    waiting_for(lambda: steps.exists() and len(steps.read_text().splitlines()) >= 3, 120)
    os.killpg(asker.pid, signal.SIGINT)
    said = asker.communicate(timeout=60)[1]
    assert asker.returncode == 130
    assert "Traceback" not in said
    lines = steps.read_text().splitlines()
    assert 3 <= len(lines) < 1 + spec.steps, "it was broken off"
    assert all(json.loads(line) for line in lines)
    assert {json.loads(line)["replan"]["basis"] for line in lines[1:]} == {"optimised"}
    (again,) = run_set([spec], folder=tmp_path, workers=2)
    assert steps.read_text().splitlines()[: len(lines)] == lines, "what was done is not done again"
    assert again.digest == run(spec).digest
