"""The server that forks solver children, at its worst: killed, stopped, late, forked itself, asked by many at once."""

import errno
import gc
import os
import resource
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from random import Random

import psutil
import pytest
from faults.hostile_call import BODY
from faults.test_solver_child import SMALL, packing

from optimizer import fork_server, worker
from optimizer.child import ROOT, TOKEN
from optimizer.hearing import fault_of
from optimizer.outcome import Outcome
from optimizer.starting import Call

pytestmark = pytest.mark.skipif(not fork_server.IS_POSSIBLE, reason="children are started as commands on this system")
HOSTILE = Call("tests.faults.hostile_call")
OPTIMUM = worker.solve(SMALL, gap=0.0, deadline_s=30.0)


def servers(of: psutil.Process | None = None) -> list[psutil.Process]:
    """Return the servers below a process, this one by default."""
    below = (of or psutil.Process()).children()
    return [child for child in below if "fork_server_child" in " ".join(child.cmdline())]


@pytest.fixture(autouse=True)
def server() -> Iterator[psutil.Process]:
    """The one server of this process, ready; afterwards there is one again and no other."""
    fork_server.begin()
    fork_server.used()
    (running,) = servers()
    yield running
    assert as_ever(worker.solve(SMALL, gap=0.0, deadline_s=30.0))
    assert len(servers()) == 1


def as_ever(outcome: Outcome) -> bool:
    return outcome.status == "optimal" and outcome.x is not None and outcome.x.tobytes() == OPTIMUM.x.tobytes()


def hard(deadline_s: float = 30.0) -> Outcome:
    """Solve what takes longer than any test."""
    return worker.solve(packing(300, 40), gap=1e-9, deadline_s=deadline_s)


def children(of: psutil.Process) -> list[psutil.Process]:
    deadline = time.monotonic() + 20
    while not (found := of.children()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return found


def test_one_server_serves_every_child_and_keeps_none(server: psutil.Process):
    for _ in range(5):
        assert as_ever(worker.solve(SMALL, gap=0.0, deadline_s=30.0))
    assert servers() == [server]
    assert server.children() == []
    assert server.num_threads() == 1


def test_a_killed_server_ends_its_children_and_costs_one_answer(server: psutil.Process):
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(hard)
        (child,) = children(server)
        begun = time.monotonic()
        server.kill()
        outcome = asked.result(10)
    assert time.monotonic() - begun < 2
    assert outcome.why.startswith("crashed: ended by signal 9")
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
    assert as_ever(worker.solve(SMALL, gap=0.0, deadline_s=30.0))
    assert server not in servers()


def test_a_server_that_stands_still_keeps_nobody_beyond_the_deadline(server: psutil.Process, monkeypatch: pytest.MonkeyPatch):
    """Its silence is borne for a while; then it is given up for another."""
    monkeypatch.setattr(fork_server, "GIVEN_UP_AFTER_S", 2.0)
    server.suspend()
    for deadline_s in (0.3, 0.8):
        begun = time.monotonic()
        outcome = worker.solve(SMALL, deadline_s=deadline_s)
        assert time.monotonic() - begun < deadline_s + 0.5
        assert (outcome.status, outcome.x) == ("no_primal", None)
        assert outcome.why.startswith("deadline")
    assert as_ever(worker.solve(SMALL, gap=0.0, deadline_s=30.0))
    assert server not in servers()


def test_a_server_that_stands_still_is_given_up_before_the_deadline_and_keeps_nobody_who_asks_after(
    server: psutil.Process, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(fork_server, "GIVEN_UP_AFTER_S", 0.5)
    server.suspend()
    begun = time.monotonic()
    assert worker.solve(SMALL, deadline_s=30.0).why.endswith("the server of children does not answer")
    assert time.monotonic() - begun < 2
    begun = time.monotonic()
    worker.solve(SMALL, deadline_s=0.3)
    assert time.monotonic() - begun < 0.8
    assert not server.is_running()


def test_a_child_that_nobody_had_the_time_to_bury_is_buried_with_the_next_request(server: psutil.Process):
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(hard, 1.5)
        children(server)
        server.suspend()
        assert worker.solve(SMALL, deadline_s=0.1).why.startswith("deadline")  # an answer is owed: nothing more can be asked
        asked.result(10)
    server.resume()
    assert as_ever(worker.solve(SMALL, gap=0.0, deadline_s=30.0))
    assert servers() == [server]
    assert server.children() == []


def test_an_environment_that_no_request_holds_is_refused_in_words_and_costs_nobody_elses_child(
    server: psutil.Process, monkeypatch: pytest.MonkeyPatch
):
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(hard, 2.0)
        children(server)
        for name in ("DASK_A", "DASK_B", "DASK_C"):  # longer than the server reads, and then than its socket takes
            monkeypatch.setenv(name, "x" * 100_000)
            why = worker.solve(SMALL, deadline_s=5.0).why
            assert why.startswith("spawn: the child could not be started, its environment is too long: ")
            assert why.endswith(" bytes with the DASK_ variables, at most 65536")
        for name in ("DASK_A", "DASK_B", "DASK_C"):
            monkeypatch.delenv(name)
        assert as_ever(worker.solve(SMALL, gap=0.0, deadline_s=5.0))
        assert asked.result(10).status == "feasible"
        assert not asked.result().why.startswith("crashed")
    assert servers() == [server]


def test_an_asker_without_files_to_spare_loses_none(server: psutil.Process):
    own = psutil.Process()
    before, limits = own.num_fds(), resource.getrlimit(resource.RLIMIT_NOFILE)
    whys, taken = set(), []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (before + 20, limits[1]))
        with suppress(OSError):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        for _ in range(12):
            os.close(taken.pop())
            with suppress(OSError):  # no file for the model itself
                whys.add(worker.solve(SMALL, gap=0.0, deadline_s=30.0).why)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        for number in taken:
            os.close(number)
    gc.collect()
    assert own.num_fds() == before
    assert whys == {"solver: Optimal", "spawn: the child could not be started, [Errno 24] Too many open files"}


def test_who_waits_for_a_server_that_others_lose_gets_a_child_of_another(server: psutil.Process):
    """It stands still with many waiting for their turn, and is killed: only the one whom it was to answer has no child."""
    server.suspend()
    with ThreadPoolExecutor(6) as pool:
        asked = [pool.submit(worker.solve, SMALL, gap=0.0, deadline_s=60.0) for _ in range(6)]
        time.sleep(0.5)
        server.kill()
        outcomes = [one.result(60) for one in asked]
    lost = [outcome.why for outcome in outcomes if not as_ever(outcome)]
    assert len(lost) <= 1
    assert all(why.endswith("the server of children has ended") for why in lost)


def test_a_child_that_came_too_late_is_ended_and_its_answer_is_not_the_next_ones(server: psutil.Process):
    server.suspend()
    assert worker.solve(SMALL, deadline_s=0.1).why.startswith("deadline")
    server.resume()
    assert as_ever(worker.solve(SMALL, gap=0.0, deadline_s=30.0))
    assert servers() == [server]
    assert server.children() == []


def test_many_threads_get_their_own_answers(server: psutil.Process):
    models = [packing(columns, 2) for columns in range(3, 11)]
    alone = [worker.solve(model, gap=0.0, deadline_s=30.0).objective_usd for model in models]
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(worker.solve, model, gap=0.0, deadline_s=60.0) for model in models * 5]
        assert [one.result().objective_usd for one in asked] == alone * 5
    assert servers() == [server]
    assert server.children() == []


def test_what_is_forked_from_an_asker_has_a_server_of_its_own(server: psutil.Process):
    """Two that shared one socket would take each other's answers."""
    read, write = os.pipe()
    if (pid := os.fork()) == 0:
        mine = [as_ever(worker.solve(SMALL, gap=0.0, deadline_s=30.0)) for _ in range(5)]
        own = [one.pid for one in servers()]
        os.write(write, f"{mine} {len(own)} {server.pid in own}".encode())
        fork_server._end()
        os._exit(0)
    assert all(as_ever(worker.solve(SMALL, gap=0.0, deadline_s=30.0)) for _ in range(5))
    assert os.waitpid(pid, 0)[1] == 0
    os.close(write)
    with open(read) as said:
        assert said.read() == f"{[True] * 5} 1 False"
    assert servers() == [server]


@pytest.mark.parametrize(
    "first",
    ["fork_server.used()", "pass", "fork_server.used(); fork_server.running()._send({'do': 'tell'}); time.sleep(0.2)"],
    ids=["idle", "beginning", "answering"],
)
def test_a_server_ends_with_its_asker_however_that_ends(first: str):
    """And without a word, whatever it was at."""
    code = f"""
        import sys, time; sys.path.insert(0, {str(ROOT)!r})
        from optimizer import fork_server
        fork_server.begin(); {first}; print(flush=True); sys.stdin.read()
    """
    for ends_by in (signal.SIGKILL, signal.SIGTERM, None):
        with subprocess.Popen(
            [sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ) as asker:  # fmt: skip
            assert asker.stdout is not None
            assert asker.stderr is not None
            asker.stdout.readline()
            (its,) = servers(psutil.Process(asker.pid))
            if ends_by is None:
                assert asker.communicate()[1] == ""
                assert asker.returncode == 0
            else:
                asker.send_signal(ends_by)
                assert asker.stderr.read() == ""
        assert psutil.wait_procs([its], timeout=5)[1] == []


def test_a_child_knows_nothing_of_its_server_and_little_of_its_asker(
    server: psutil.Process, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """Its mark is where the kernel shows it, its files are its own three, its group is its own, and it has asked to die."""
    monkeypatch.setenv("SECRET_OF_THE_SERVICE", "x")
    told = tmp_path / "told"
    body = f"""
        import os, pathlib, time
        mark = [one for one in pathlib.Path("/proc/self/environ").read_bytes().split(b"\\0") if one.startswith(b"WATTSPLIT")]
        files = sorted(os.listdir("/proc/self/fd"), key=int)[:-1]
        pathlib.Path({str(told)!r}).write_text(repr((mark, dict(os.environ), files, os.getsid(0) == os.getpid(), os.getcwd())))
        time.sleep(100)
    """
    monkeypatch.setenv(BODY, textwrap.dedent(body))
    worker.solve(SMALL, deadline_s=1.5, program=HOSTILE)
    mark, environ, files, leads, folder = eval(told.read_text())
    assert mark == [f"{TOKEN}={environ[TOKEN]}".encode()]
    assert "SECRET_OF_THE_SERVICE" not in environ
    assert not any(name.startswith("WATTSPLIT") for name in environ if name != TOKEN)
    assert (files, leads, folder) == (["0", "1", "2"], True, "/")
    assert server.children() == []


def test_its_memory_and_its_time_are_the_childs_own(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(BODY, "import time\nheld = bytearray(300 << 20)\nwhile time.process_time() < 0.5: pass")
    small = worker.solve(SMALL, gap=0.0, deadline_s=30.0)
    large = worker.solve(SMALL, deadline_s=30.0, program=HOSTILE)
    assert small.peak_memory_bytes < 150 << 20 < 300 << 20 < large.peak_memory_bytes
    assert small.cpu_s < 0.3
    assert 0.4 < large.cpu_s < 2.0


def test_a_server_that_cannot_begin_is_an_outcome(monkeypatch: pytest.MonkeyPatch, server: psutil.Process):
    server.kill()
    server.wait(5)
    with monkeypatch.context() as other:
        other.setattr(sys, "executable", "/bin/false")
        assert (
            worker.solve(SMALL, deadline_s=5.0).why == "spawn: the child could not be started, the server of children has ended"
        )
        other.setattr(sys, "executable", "/no/such/python")
        outcome = worker.solve(SMALL, deadline_s=5.0)
    assert (outcome.status, outcome.why.split(":")[0]) == ("failed", "spawn")
    assert "/no/such/python" in outcome.why


def test_without_a_server_a_child_is_a_command(monkeypatch: pytest.MonkeyPatch, server: psutil.Process):
    monkeypatch.setattr(fork_server, "IS_POSSIBLE", False)
    server.suspend()
    try:
        assert as_ever(worker.solve(SMALL, gap=0.0, deadline_s=30.0))
    finally:
        server.resume()


def refusing(call: int, errno: int) -> str:
    """Return code that has the kernel refuse a system call to the process that runs it, and to what it starts."""
    steps = [(0x20, 0, 0, 0), (0x15, 0, 1, call), (0x06, 0, 0, 0x00050000 | errno), (0x06, 0, 0, 0x7FFF0000)]
    return textwrap.dedent(f"""
        import ctypes, struct
        filter = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in {steps!r}))
        class Program(ctypes.Structure):
            _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
        program, library = Program({len(steps)}, ctypes.addressof(filter)), ctypes.CDLL(None)
        assert library.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
        assert library.prctl(22, 2, ctypes.byref(program), 0, 0) == 0  # PR_SET_SECCOMP
    """)


SOLVES = f"""
import sys; sys.path[:0] = [{str(ROOT / "tests")!r}, {str(ROOT)!r}]
from faults.test_solver_child import SMALL
from optimizer import fork_server, worker
whys = [worker.solve(SMALL, gap=0.0, deadline_s=30.0).why for _ in range(2)]
print(fork_server.IS_POSSIBLE, *whys, sep=", ")
"""


@pytest.mark.parametrize(
    ("before", "is_possible"),
    [
        (refusing(434, errno.EPERM), False),  # pidfd_open, as old container engines do
        (refusing(424, errno.ENOSYS), False),  # pidfd_send_signal
        ("import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN)", True),
        ("import resource; resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))", True),
    ],
    ids=["no numbers of processes as files", "no signals to them", "nobody waits for children", "less memory than the cap"],
)
def test_children_are_had_from_systems_that_allow_little(before: str, is_possible: bool):
    asker = subprocess.run([sys.executable, "-c", before + SOLVES], capture_output=True, text=True, timeout=60, check=False)
    assert (asker.stderr, asker.stdout) == ("", f"{is_possible}, solver: Optimal, solver: Optimal\n")


def test_an_interrupted_request_is_not_answered_to_the_next(server: psutil.Process, monkeypatch: pytest.MonkeyPatch):
    """As when Ctrl-C comes between a request and its answer."""
    heard = fork_server.Server._heard

    def interrupted(of: fork_server.Server, until_s: float) -> dict:
        monkeypatch.setattr(fork_server.Server, "_heard", heard)
        raise KeyboardInterrupt

    monkeypatch.setattr(fork_server.Server, "_heard", interrupted)
    with pytest.raises(KeyboardInterrupt):
        worker.solve(SMALL, deadline_s=5.0)
    assert as_ever(worker.solve(SMALL, gap=0.0, deadline_s=30.0))
    assert threading.active_count() >= 1
    assert server.children() == []


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")  # pipes left half-made
def test_a_handler_of_signals_that_raises_at_any_moment_locks_nobody_out(server: psutil.Process):
    """As Ctrl-C does in a notebook, which lives on."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    random, deadline, others, interrupted = Random(2), time.monotonic() + 6, [], 0
    before = signal.signal(signal.SIGALRM, interrupt)

    def other() -> None:
        while time.monotonic() < deadline:
            others.append(as_ever(worker.solve(SMALL, gap=0.0, deadline_s=5.0)))

    try:
        with ThreadPoolExecutor() as pool:
            pool.submit(other)
            while time.monotonic() < deadline:
                with suppress(KeyboardInterrupt):
                    try:
                        signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-4, 0.012))
                        worker.solve(SMALL, gap=0.0, deadline_s=5.0)
                    except KeyboardInterrupt:
                        interrupted += 1
                    signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert interrupted > 50
    assert len(others) > 20
    assert all(others)
    assert servers() == [server]


def test_whatever_befalls_children_and_servers_at_once_nothing_is_left_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Askers with time and without, who change their minds, and somebody who shoots and stops what he finds."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    own, deadline = psutil.Process(), time.monotonic() + 8
    before, model = own.num_fds(), packing(300, 40)

    def ask(number: int) -> list[Outcome]:
        random, outcomes = Random(number), []
        while time.monotonic() < deadline:
            until_s = time.monotonic() + random.choice([0.001, 0.01, 0.2, 1.0])
            if random.random() < 0.5:
                outcomes.append(worker.solve(SMALL, gap=0.0, deadline_s=20.0))
            elif random.random() < 0.5:
                outcomes.append(worker.solve(model, gap=1e-9, deadline_s=until_s - time.monotonic()))
            else:
                cancelled = lambda until_s=until_s: time.monotonic() > until_s  # noqa: E731
                outcomes.append(worker.solve(model, gap=1e-9, deadline_s=20.0, cancelled=cancelled))
        return outcomes

    random, shots = Random(7), (signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM, signal.SIGHUP)
    with ThreadPoolExecutor(6) as pool:
        asked = [pool.submit(ask, number) for number in range(6)]
        while time.monotonic() < deadline:
            time.sleep(random.uniform(0.01, 0.3))
            with suppress(psutil.Error):
                those = [child for one in servers() for child in one.children(recursive=True)]
                for victim in random.sample(those if random.random() < 0.7 else servers(), 1) if those else ():
                    shot = random.choice(shots)
                    victim.send_signal(shot)
                    if shot == signal.SIGSTOP:
                        time.sleep(random.choice([0.1, 0.6]))
                        victim.resume()
        outcomes = [outcome for one in asked for outcome in one.result()]
    assert sum(as_ever(outcome) for outcome in outcomes) > 20
    assert all(outcome.x is None or not fault_of(SMALL if outcome.x.size == 6 else model, outcome.x) for outcome in outcomes)
    assert as_ever(worker.solve(SMALL, gap=0.0, deadline_s=30.0))
    (running,) = servers()
    assert running.children() == []
    assert [child for child in own.children() if child.status() == psutil.STATUS_ZOMBIE] == []
    assert list(tmp_path.iterdir()) == []
    del outcomes, asked
    gc.collect()
    assert own.num_fds() == before
