"""Sites shared out over a real Dask cluster of this machine: the same plan, nothing left behind, and a plan whatever breaks."""

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.fleets import START, fleet
from models.plan import Plan
from optimizer.engine_url import engine_url
from optimizer.solve import optimise
from service.config import Settings, UnsafeSettingsError

ROOT = Path(__file__).resolve().parents[2]
GAP = 1e-3
PROBLEM = fleet(32, 12, seed=4)
STARTS_WITHIN_S = 60.0
LEFT_BEHIND = """
import sys
from distributed import Client
client = Client(sys.argv[1], timeout=10)
tasks = client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks))
kept = client.run(lambda dask_worker: len(dask_worker.state.actors) + len(dask_worker.active_threads))
print(tasks + sum(kept.values()))
"""


class Cluster:
    """A scheduler and workers, each a process of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._file = folder, folder / "scheduler.json"
        self.scheduler = self._started("scheduler", "--host", "127.0.0.1", "--port", "0")
        self.url = self._told()["address"]
        self.workers: list[subprocess.Popen[bytes]] = []

    def join(self, *codes: Path) -> None:
        """Start a worker for each folder of code, and wait until they are known."""
        more = [self._started("worker", "--nthreads", "1", "--no-nanny", code=code) for code in codes]
        self.workers += more
        for worker in more:
            assert any(b"Registered to" in line for line in worker.stderr)

    def end(self) -> None:
        """Kill all of it."""
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()
            process.stderr.close()

    def _started(self, what: str, *words: str, code: Path = ROOT) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "dask", what, "--scheduler-file", str(self._file), "--no-dashboard", *words]
        return subprocess.Popen(command, cwd=self._folder, env={"PYTHONPATH": str(code)}, stderr=subprocess.PIPE)

    def _told(self) -> dict[str, str]:
        until_s = time.monotonic() + STARTS_WITHIN_S
        while time.monotonic() < until_s:
            if self._file.exists() and (text := self._file.read_text()):
                return json.loads(text)
            time.sleep(0.05)
        raise AssertionError("the scheduler did not start")


@contextmanager
def cluster(folder: Path, workers: int) -> Iterator[Cluster]:
    """Start a cluster, and kill it afterwards."""
    started = Cluster(folder)
    try:
        started.join(*[ROOT] * workers)
        yield started
    finally:
        started.end()


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("two"), 2) as started:
        yield started


@pytest.fixture(scope="module")
def local() -> Plan:
    return planned(None)


def planned(url: str | None, *, budget_s: float = 60, hear=lambda told: None) -> Plan:
    result = optimise(PROBLEM, gap=GAP, budget_s=budget_s, now=START, engine=url, progress=hear)
    assert result.plan is not None, result.why
    assert result.plan.proof.status == "optimal"
    return result.plan


def what_counts(plan: Plan) -> tuple[str, float, float]:
    return plan.decisions_digest, plan.proof.objective_usd, plan.proof.bound_usd


def left_behind(url: str) -> int:
    return int(subprocess.check_output([sys.executable, "-c", LEFT_BEHIND, url], stderr=subprocess.DEVNULL))


def test_the_plan_is_that_of_this_machine_alone_and_nothing_is_left_on_the_workers(two: Cluster, local: Plan):
    shared = planned(two.url)
    assert what_counts(shared) == what_counts(local)
    assert shared.engine["way"] == f"{local.engine['way']}; sites shared with 2 workers of {two.url}"
    assert shared.reasons == local.reasons
    assert left_behind(two.url) == 0


def test_a_plan_that_is_killed_leaves_nothing_on_the_workers(two: Cluster):
    begun: list[str] = []

    def hear(told) -> None:
        begun.append(told["doing"])

    result = optimise(
        fleet(60, 24), gap=1e-6, budget_s=60, now=START, engine=two.url, progress=hear, cancelled=lambda: "prices" in begun
    )
    assert result.ending == "cancelled"
    until_s = time.monotonic() + 10
    while (left := left_behind(two.url)) and time.monotonic() < until_s:
        pass
    assert left == 0


def test_a_worker_and_then_a_scheduler_killed_in_the_middle_cost_no_plan_and_that_is_said(tmp_path: Path, local: Plan):
    with cluster(tmp_path, 2) as shared:
        for victim, lost in ((shared.workers[0], "1 of 3"), (shared.scheduler, "1 of 2")):
            killed: list[str] = []

            def hear(told, victim=victim, killed=killed) -> None:
                if told["doing"] == "prices" and not killed:
                    victim.kill()
                    killed.append(told["doing"])

            plan = planned(shared.url, hear=hear)
            assert killed
            assert plan.engine["way"].endswith(f"; {lost} workers lost, their sites done again")
            assert abs(plan.proof.objective_usd - local.proof.objective_usd) <= GAP * abs(local.proof.objective_usd)
            assert plan.audit is not None
            assert plan.audit.passed


def why_not(plan: Plan, url: str) -> str:
    (words,) = plan.reasons
    assert plan.engine["way"].endswith(f"; {words}")
    assert words.startswith(f"sites not shared with {url}: ")
    return words.partition(f"{url}: ")[2]


def test_where_no_cluster_is_the_plan_is_made_here_and_says_so_within_seconds(local: Plan):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        url, begun_s = f"tcp://127.0.0.1:{port}", time.monotonic()
        plan = planned(url, budget_s=10)  # a tenth of it for each step towards a cluster
        assert time.monotonic() - begun_s < 10
        assert "what listens there is no cluster that lets us in" in why_not(plan, url)
        assert what_counts(plan) == what_counts(local)
    assert "nothing answers there" in why_not(planned(url), url)


def test_workers_that_are_none_or_run_other_code_are_not_used_and_that_is_said(tmp_path: Path, local: Plan):
    other = tmp_path / "other"
    for package in ("optimizer", "models"):
        shutil.copytree(ROOT / package, other / package, ignore=shutil.ignore_patterns("__pycache__"))
    with (other / "optimizer" / "integers.py").open("a") as file:
        file.write("# newer\n")
    none = tmp_path / "none" / "optimizer"
    none.mkdir(parents=True)
    (none / "__init__.py").write_text("raise ModuleNotFoundError('none here')\n")
    with cluster(tmp_path, 0) as shared:
        assert why_not(planned(shared.url), shared.url) == "it has no workers"
        shared.join(other, none.parent)
        plan = planned(shared.url)
        assert "its wattsplit is source " in (words := why_not(plan, shared.url))
        assert "it lacks wattsplit" in words
        assert what_counts(plan) == what_counts(local)
        assert [worker.poll() for worker in shared.workers] == [None, None]


@pytest.mark.parametrize(
    "url", ["tcp://10.0.0.5", "http://10.0.0.5:8786", "10.0.0.5:8786", "tcp://10.0.0.5:99999", "tcp://:8786", "tcp://a:1/b", ""]
)
def test_what_is_no_address_of_a_cluster_is_refused_by_the_name_of_its_field(url: str):
    with pytest.raises(ValueError, match=r"expected tcp://host:port or tls://host:port, got "):
        engine_url(url)
    with pytest.raises(UnsafeSettingsError, match=r"WATTSPLIT_ENGINE: .*expected tcp://host:port"):
        Settings.from_environment({"WATTSPLIT_ENGINE": url})


def test_the_command_refuses_it_too_and_the_settings_keep_what_is_one():
    command = [sys.executable, "-m", "service.cli", "plan", "run", "reference", "--engine", "http://10.0.0.5:8786"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert told.returncode == 2
    assert "--engine: expected tcp://host:port or tls://host:port, got 'http://10.0.0.5:8786'" in told.stderr
    for url in ("tcp://10.0.0.5:8786", "tls://dask.internal:8786", "tcp://[::1]:8786"):
        assert Settings.from_environment({"WATTSPLIT_ENGINE": url}).engine == url
