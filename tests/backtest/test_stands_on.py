"""A run that is gone on with is one run: other questions, other data and other planning code are refused in words."""

import fcntl
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from scenarios.backtest.histories import load, spec_of
from scenarios.backtest.play import Table, play
from scenarios.backtest.run import CancelledError, OtherRunError, run
from scenarios.backtest.stands_on import PLANNING, BusyError, code_digest, digest_of_code
from scenarios.timed import Timed

SPEC = spec_of("storm", steps=3, sites=1, window_steps=3, gap=1e-2, policies=("break_even", "plan"), knowledge="naive")


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("done")
    return folder, run(SPEC, folder=folder)


def moved(one: Timed) -> Timed:
    """The series with its first value a cent higher."""
    values = np.concatenate(([one.values[0] + 0.01], one.values[1:]))
    return Timed(one.name, one.unit, one.zone, one.step_s, one.starts_s, one.known_s, values)


@pytest.mark.parametrize("series", ["price.ERCOT_HB_WEST", "ahead.ERCOT_HB_WEST", "hashprice", "ambient.DALLAS"])
@pytest.mark.parametrize("policy", SPEC.policies)
def test_a_cent_in_a_series_of_the_past_is_another_run(done, series, policy):
    """What came is the same in both; only what was known before differs, days before the period."""
    folder, storm = done[0], load(SPEC)
    other = replace(storm, past=dict(storm.past) | {series: moved(storm.past[series])})
    assert other.problem.digest == storm.problem.digest
    with pytest.raises(OtherRunError, match=r"stands on other data \(sha256:.*now sha256:.*take another folder"):
        play(SPEC, policy, other, Table(folder / policy))
    assert play(SPEC, policy, storm, Table(folder / policy)).result == done[1].result(policy)


def test_a_run_of_other_code_is_refused_whether_it_is_done_or_was_broken_off(done, tmp_path):
    spec = SPEC.model_copy(update={"policies": ("plan",)})
    steps = []
    with pytest.raises(CancelledError):
        run(spec, folder=tmp_path, tell=lambda p: steps.append(p), cancelled=lambda: len(steps) >= 1)
    for folder in (tmp_path / "plan", done[0] / "plan"):
        file = folder / "stands_on.json"
        known = json.loads(file.read_text())
        file.write_text(json.dumps(known | {"code": "sha256:" + "0" * 64}))
        before = {path.name: path.read_bytes() for path in folder.iterdir()}
        with pytest.raises(OtherRunError, match=r"other planning code \(sha256:000000000000…, now sha256:"):
            run(spec, folder=folder.parent)
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before, "nothing of it is touched"
        file.write_text(json.dumps(known))


def test_all_that_differs_is_named(done):
    spec = SPEC.model_copy(update={"gap": 5e-3, "steps": 2})
    with pytest.raises(OtherRunError, match=r"another specification .* and other data"):
        run(spec, folder=done[0])


def test_a_folder_that_does_not_say_is_refused(done, tmp_path):
    (tmp_path / "plan").mkdir()
    (tmp_path / "plan" / "steps.jsonl").write_text("{}\n")
    with pytest.raises(OtherRunError, match="does not say on which data and code"):
        run(SPEC.model_copy(update={"policies": ("plan",)}), folder=tmp_path)


def test_every_module_that_plans_is_in_the_digest_and_nothing_else(tmp_path):
    for package in (*PLANNING, "service"):
        (tmp_path / package / "inner").mkdir(parents=True)
        (tmp_path / package / "inner" / "one.py").write_text("a = 1\n")
    plain = digest_of_code(tmp_path)
    (tmp_path / "service" / "inner" / "one.py").write_text("a = 2\n")
    (tmp_path / "models" / "inner" / "notes.txt").write_text("words")
    assert digest_of_code(tmp_path) == plain
    for package in PLANNING:
        (tmp_path / package / "inner" / "one.py").write_text("a = 2\n")
        assert digest_of_code(tmp_path) != plain
        (tmp_path / package / "inner" / "one.py").write_text("a = 1\n")
    (tmp_path / "optimizer" / "inner" / "one.py").rename(tmp_path / "optimizer" / "inner" / "two.py")
    assert digest_of_code(tmp_path) != plain


def test_a_report_says_on_which_code_and_data_it_stands(done):
    versions = done[1].versions
    assert versions["planning-code"] == code_digest()
    assert versions["data"].startswith("sha256:")
    assert done[1].digest == done[1].model_copy(update={"versions": {}}).digest, "equal runs are equal whatever they stand on"


def test_a_folder_in_which_somebody_plays_is_left_alone(done):
    folder = done[0] / "plan"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with (folder / "lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(BusyError, match="another process plays in it; wait for its end, or take another folder"):
            run(SPEC, folder=done[0])
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert run(SPEC, folder=done[0]) == done[1]


ASKER = """
import time
from scenarios.backtest.run import players
if __name__ == "__main__":
    with players(2) as pool:
        first = [pool.submit(time.sleep, 0.1) for _ in range(2)]
        [one.result() for one in first]
        rest = [pool.submit(time.sleep, 60) for _ in range(2)]
        print("play", flush=True)
        time.sleep(60)
"""


def test_nobody_plays_on_when_the_asker_is_killed(tmp_path):
    script = tmp_path / "asker.py"
    script.write_text(ASKER)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True, env=environment) as asker:
        assert asker.stdout is not None
        assert asker.stdout.readline() == "play\n"
        family = psutil.Process(asker.pid).children(recursive=True)
        assert len(family) >= 2
        asker.kill()
    _, alive = psutil.wait_procs(family, timeout=10)
    assert alive == []
