"""A solver child that does its worst: every fault becomes a named outcome, in time, and nothing of it is left."""

import gc
import io
import os
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
import scipy.sparse
from faults.hostile_call import BODY

from optimizer import fork_server, highs_wire, worker
from optimizer.child import ROOT
from optimizer.compiled import Compiled, Family
from optimizer.doing import Doing
from optimizer.hearing import fault_of
from optimizer.outcome import Outcome, Progress
from optimizer.starting import Call, Program

MIB = 1 << 20


def packing(columns: int, rows: int, *, integer: bool = True, whole_units: float = 25.0) -> Compiled:
    """A packing problem with positive gains: each column 0..3, each row at most `whole_units` per column."""
    random = np.random.default_rng(7)
    matrix = scipy.sparse.csr_matrix(random.integers(1, 100, (rows, columns)).astype(float))
    labels = tuple(str(number) for number in range(max(columns, rows)))
    return Compiled(
        matrix=matrix,
        cost=random.integers(50, 100, columns).astype(float),
        offset=5.0,
        col_lower=np.zeros(columns),
        col_upper=np.full(columns, 3.0),
        row_lower=np.full(rows, -np.inf),
        row_upper=np.full(rows, whole_units * columns),
        integer=np.full(columns, integer),
        columns={"take": np.arange(columns)},
        rows={"fits": np.arange(rows)},
        column_families={"take": Family(("ITEMS",), (labels[:columns],))},
        row_families={"fits": Family(("BINS",), (labels[:rows],))},
        money={},
    )


SMALL = packing(6, 2)
PREAMBLE = f"""
import os, signal, subprocess, sys, time
sys.path.insert(0, {str(ROOT)!r})
import numpy as np
from optimizer import highs_wire as wire
out = sys.stdout.buffer
ONE = [1, 0, 0, 0, 0, 0]
def incumbent(x, **numbers): wire.write(out, {{"kind": "incumbent", **numbers}}, {{"x": np.array(x, dtype=float)}})
def final(x, **numbers): wire.write(out, {{"kind": "final", "status": "Optimal", **numbers}}, {{"x": np.array(x, dtype=float)}})
"""


Run = Callable[..., Outcome]


@pytest.fixture(params=["command", "fork"])
def run(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A solver child with a body of its own, started as a command or forked from the server of children."""

    def run(body: str, *, deadline_s: float = 2.0, memory_bytes: int = 512 * MIB, **more) -> Outcome:
        body = PREAMBLE + textwrap.dedent(body)
        program: Program = (sys.executable, "-c", body)
        if request.param == "fork":
            monkeypatch.setenv(BODY, body)
            program = Call("tests.faults.hostile_call")
        return worker.solve(SMALL, deadline_s=deadline_s, memory_bytes=memory_bytes, program=program, **more)

    return run


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No process, no open file and no temporary file more than before, but for the server of children, which stays."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    fork_server.begin()
    fork_server.used()  # it is ready
    own = psutil.Process()
    before, others = own.num_fds(), set(living_children(own))  # a browser or a database that other tests keep open
    yield
    gc.collect()
    deadline = time.monotonic() + 2
    while (alive := set(living_children(own)) - others) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert alive == set()
    assert list(tmp_path.iterdir()) == []
    assert own.num_fds() == before


def living_children(own: psutil.Process) -> list[psutil.Process]:
    return [child for child in own.children(recursive=True) if is_alive(child)]


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


HOSTILE = {
    "sleeps for ever": ("time.sleep(1000)", "no_primal", "deadline"),
    "stops itself": ("os.kill(os.getpid(), signal.SIGSTOP); time.sleep(1000)", "no_primal", "deadline"),
    "ignores every polite signal": (
        "[signal.signal(s, signal.SIG_IGN) for s in (1, 2, 3, 15)]\nwhile True: pass", "no_primal", "deadline",
    ),
    "closes its outputs and sleeps": ("os.close(1); os.close(2); time.sleep(1000)", "no_primal", "deadline"),
    "eats memory at once": ("held = bytearray(4 << 30)", "failed", "memory"),
    "eats memory slowly": ("held = []\nwhile True: held.append(bytearray(8 << 20))", "failed", "memory"),
    "ends by a fault of memory": ("import ctypes; ctypes.string_at(0)", "failed", "crashed"),
    "aborts": ("os.abort()", "failed", "crashed"),
    "raises": ("raise RuntimeError('no licence')", "failed", "crashed"),
    "says nothing": ("sys.exit(0)", "failed", "silent"),
    "talks nonsense": ("out.write(b'Hello, world! ' * 9); out.flush(); time.sleep(1000)", "failed", "garbled"),
    "stops in the middle of a frame": (
        "incumbent(ONE); data = b'WSF1' + (20).to_bytes(4, 'little') + (48).to_bytes(8, 'little'); out.write(data)",
        "feasible", "truncated",
    ),
    "stops in the middle of the only frame": (
        "out.write(b'WSF1' + (20).to_bytes(4, 'little') + (48).to_bytes(8, 'little') + b'{')", "failed", "truncated",
    ),
    "announces 2 GB": (
        "out.write(b'WSF1' + (20).to_bytes(4, 'little') + (2 << 30).to_bytes(8, 'little')); out.flush(); time.sleep(1000)",
        "failed", "garbled",
    ),
    "writes noise for ever": ("while True: out.write(os.urandom(1 << 20))", "failed", "garbled"),
    "repeats itself for ever": ("while True: incumbent([0] * 6)", "feasible", "deadline"),
    "answers NaN": ("final([float('nan')] * 6, objective=9.0, bound=9.0)", "failed", "wrong"),
    "answers infinity": ("final([float('inf')] * 6, objective=9.0, bound=9.0)", "failed", "wrong"),
    "answers too few columns": ("final([1] * 5, objective=9.0, bound=9.0)", "failed", "wrong"),
    "answers halves": ("final([0.5] * 6, objective=9.0, bound=9.0)", "failed", "wrong"),
    "answers negative counts": ("final([-1] * 6, objective=9.0, bound=9.0)", "failed", "wrong"),
    "answers more than fits": ("final([3] * 6, objective=9.0, bound=9.0)", "failed", "wrong"),
    "hides NaN in a header": (
        "text = b'{\"kind\": \"final\", \"bound\": NaN, \"arrays\": []}'\n"
        "out.write(b'WSF1' + len(text).to_bytes(4, 'little') + bytes(8) + text)", "failed", "garbled",
    ),
    "nests a header": (
        "text = b'[' * 60000\nout.write(b'WSF1' + len(text).to_bytes(4, 'little') + bytes(8) + text)", "failed", "garbled",
    ),
    "sends a type of its own": (
        "wire.write(out, {'kind': 'final'}, {'x': np.array(['a', 'b'])})", "failed", "garbled",
    ),
    "answers twice": ("final(ONE); final(ONE)", "failed", "garbled"),
    "claims a bound below its plan": ("final(ONE, objective=9.0, bound=-1e6)", "feasible", "bound"),
}  # fmt: skip


@pytest.mark.parametrize("fault", HOSTILE)
def test_a_hostile_child_becomes_a_named_outcome(fault: str, run: Run):
    body, status, why = HOSTILE[fault]
    deadline_s = 15.0 if why != "deadline" else 5.0 if status == "feasible" else 2.0  # time to get that far on a busy machine
    begun = time.monotonic()
    outcome = run(body, deadline_s=deadline_s)
    assert time.monotonic() - begun <= deadline_s + 0.5
    assert (outcome.status, outcome.why.split()[0].rstrip(":")) == (status, why)
    assert outcome.wall_s <= deadline_s + 0.5
    if outcome.x is None:
        assert outcome.objective_usd is None
    else:
        assert fault_of(SMALL, outcome.x) == ""
        assert outcome.bound_usd is None


@pytest.mark.parametrize("leaves_the_group", [False, True], ids=["in its group", "in sessions of their own"])
@pytest.mark.parametrize("parent_ends", [False, True], ids=["waits", "ends first"])
def test_children_of_the_child_die_with_it(leaves_the_group: bool, parent_ends: bool, run: Run):
    sleeps = f"import time; time.sleep(777)  # for test process {os.getpid()}"
    start = f"subprocess.Popen([sys.executable, '-c', {sleeps!r}], start_new_session={leaves_the_group})"
    body = f"for _ in range(5): {start}\ntime.sleep(0.5)\n" + ("sys.exit(0)" if parent_ends else "time.sleep(1000)")
    outcome = run(body, deadline_s=15.0 if parent_ends else 4.0)
    assert outcome.status == ("failed" if parent_ends else "no_primal")
    assert [p.pid for p in psutil.process_iter(["cmdline"]) if sleeps in (p.info["cmdline"] or [])] == []


def test_memory_is_counted_over_the_whole_family(run: Run):
    """Each of four holds 120 MiB, which is allowed; together they hold more than the cap."""
    body = """
        for _ in range(4):
            if os.fork() == 0:
                held = np.ones(15 << 20)
                time.sleep(1000)
        time.sleep(1000)
    """
    outcome = run(body, deadline_s=20.0, memory_bytes=400 * MIB)
    assert (outcome.status, outcome.why.split(":")[0]) == ("failed", "memory")
    assert outcome.wall_s < 15


def test_the_memory_of_a_parent_is_not_its_childs(run: Run):
    """This process holds as much as a child may, for a while; what ends a child is named as it would be beside it alone."""
    held = np.ones(70 << 20)
    assert held.nbytes > 0.8 * 512 * MIB
    outcome = run("import ctypes; ctypes.string_at(0)")
    assert (outcome.status, outcome.why.split(":")[0]) == ("failed", "crashed")
    assert outcome.peak_memory_bytes < 256 * MIB


def test_a_kill_at_the_deadline_keeps_the_best_sound_plan_and_its_bound(run: Run):
    body = """
        incumbent([0, 0, 0, 0, 0, 0], bound=9999.0)
        incumbent(ONE, bound=2000.0)
        incumbent([9, 9, 9, 9, 9, 9], bound=2000.0)
        time.sleep(1000)
    """
    outcome = run(body, deadline_s=5.0)
    assert outcome.status == "feasible"
    assert outcome.why.startswith("deadline")
    assert outcome.x is not None
    assert outcome.x.tolist() == [1, 0, 0, 0, 0, 0]
    assert outcome.objective_usd == SMALL.cost[0] + SMALL.offset
    assert outcome.bound_usd == 2000.0


def test_a_crash_after_a_sound_plan_keeps_the_plan(run: Run):
    outcome = run("incumbent(ONE, bound=2000.0)\nos.kill(os.getpid(), signal.SIGSEGV)")
    assert (outcome.status, outcome.why.split(":")[0]) == ("feasible", "crashed")
    assert outcome.objective_usd == SMALL.cost[0] + SMALL.offset


def test_a_cancelled_child_is_gone_at_once(run: Run):
    begun = time.monotonic()
    outcome = run("time.sleep(1000)", deadline_s=60.0, cancelled=lambda: time.monotonic() - begun > 0.3)
    assert time.monotonic() - begun < 1.5
    assert outcome.why.startswith("cancelled")


def test_a_program_that_is_not_there_is_an_outcome():
    outcome = worker.solve(SMALL, deadline_s=1.0, program=("/no/such/program",))
    assert (outcome.status, outcome.why.split(":")[0]) == ("failed", "spawn")


def test_a_child_sees_a_small_clean_environment(monkeypatch: pytest.MonkeyPatch, run: Run):
    monkeypatch.setenv("SECRET_OF_THE_SERVICE", "x")
    outcome = run("raise RuntimeError(' '.join(sorted(os.environ)))")
    assert "SECRET" not in outcome.why
    assert "OMP_NUM_THREADS" in outcome.why


WORK = {"what": "prices", "round": 3, "sites_done": 7, "sites": 45}
IMPOSSIBLE_WORK = [
    "prices", 7, None, [], {}, {"what": "prices"}, WORK | {"more": 1},
    *(WORK | spoilt for spoilt in ({"what": "a joke"}, {"what": ["prices"]}, {"round": -1}, {"round": 1.5}, {"round": True})),
    *(WORK | spoilt for spoilt in ({"sites_done": 46}, {"sites": 10**12})),
]  # fmt: skip


def test_what_a_hung_child_was_at_is_told_until_its_deadline(run: Run):
    told: list[Progress] = []
    outcome = run(
        f"wire.write(out, {{'kind': 'progress', 'doing': {WORK!r}}}); time.sleep(1000)", progress=told.append, deadline_s=1.5
    )
    assert outcome.status == "no_primal"
    assert told[-1].doing == Doing("prices", 3, 7, 45)
    assert told[-1].seconds > 1.0


def test_what_no_child_can_be_at_is_not_told_and_costs_no_plan(run: Run):
    told: list[Progress] = []
    outcome = run(
        f"""
        wire.write(out, {{"kind": "progress", "doing": {WORK!r}}})
        for doing in {IMPOSSIBLE_WORK!r}:
            wire.write(out, {{"kind": "progress", "doing": doing}})
        incumbent(ONE)
        os.abort()
        """,
        progress=told.append,
    )
    assert (outcome.status, outcome.why.split(":")[0]) == ("feasible", "crashed")
    assert {known.doing for known in told} <= {None, Doing("prices", 3, 7, 45)}


def test_a_failing_listener_leaves_no_child(run: Run):
    def fails(_: Progress) -> None:
        raise RuntimeError("the listener failed")

    with pytest.raises(RuntimeError, match="the listener failed"):
        run("time.sleep(1000)", progress=fails)


def test_the_real_solver_under_a_deadline_answers_with_a_true_gap():
    """A packing problem that HiGHS cannot finish in the time: the plan is sound, the bound above it."""
    hard = packing(300, 40)
    begun = time.monotonic()
    outcome = worker.solve(hard, gap=1e-9, deadline_s=3.0)
    assert time.monotonic() - begun <= 3.5
    assert outcome.status == "feasible"
    assert outcome.x is not None
    assert fault_of(hard, outcome.x) == ""
    assert outcome.objective_usd == hard.objective(outcome.x)
    assert outcome.bound_usd is not None
    assert outcome.bound_usd >= outcome.objective_usd
    seconds = [p.seconds for p in outcome.curve]
    assert seconds == sorted(seconds)
    assert len(outcome.curve) >= 3


def test_the_real_solver_says_infeasible_and_never_a_plan_of_zeros():
    outcome = worker.solve(packing(6, 2, whole_units=-1.0), deadline_s=20.0)
    assert (outcome.status, outcome.x, outcome.objective_usd) == ("infeasible", None, None)


def test_the_real_solver_out_of_time_before_any_plan_says_so():
    outcome = worker.solve(packing(300, 40), deadline_s=0.001)
    assert (outcome.status, outcome.x) == ("no_primal", None)


def test_the_real_solver_begins_with_the_plan_that_it_is_given():
    hard = packing(300, 40)
    first = worker.solve(hard, gap=1e-9, deadline_s=4.0)
    assert first.x is not None
    assert first.objective_usd is not None
    again = worker.solve(hard, gap=1e-9, deadline_s=2.0, start=np.round(first.x))
    assert again.objective_usd is not None
    assert again.objective_usd >= first.objective_usd - 1e-6


def test_equal_seeds_give_equal_columns():
    answers = [worker.solve(packing(40, 5), gap=1e-3, deadline_s=60.0, seed=3) for _ in range(3)]
    assert {a.x.tobytes() for a in answers if a.x is not None} == {answers[0].x.tobytes()}


def test_all_frames_together_are_capped():
    whole = io.BytesIO()
    highs_wire.write(whole, {"kind": "incumbent"}, {"x": np.zeros(6)})
    reader = highs_wire.Reader(max_body_bytes=48, max_total_bytes=3 * len(whole.getvalue()))
    for _ in range(3):
        assert len(list(reader.feed(whole.getvalue()))) == 1
    with pytest.raises(highs_wire.OversizedError):
        list(reader.feed(whole.getvalue()))


def test_a_solver_does_not_outlive_a_parent_that_is_killed():
    """The parent is shot with its child at work; the kernel ends the child, and its input had no name to be left behind."""
    parent_code = f"""
import sys; sys.path[:0] = [{str(ROOT / "tests")!r}, {str(ROOT)!r}]
from faults.test_solver_child import packing
from optimizer import worker
worker.solve(packing(300, 40), gap=1e-9, deadline_s=60.0)
"""
    parent = subprocess.Popen([sys.executable, "-c", parent_code])
    own, deadline = psutil.Process(parent.pid), time.monotonic() + 30
    expected = 1 + fork_server.IS_POSSIBLE
    while len(children := living_children(own)) < expected and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1.0)  # HiGHS is at work
    assert [is_alive(child) for child in children] == [True] * expected
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 2
    while any(map(is_alive, children)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(is_alive, children))


def test_a_solver_that_begins_after_its_parent_has_ended_ends_too():
    """The parent is gone before its child has asked for it; whoever took its place must not be taken for it."""
    parent_code = f"""
import os, subprocess, sys; sys.path.insert(0, {str(ROOT)!r})
from optimizer import child
print(subprocess.Popen(child.command("optimizer.highs_child")).pid, flush=True)
os._exit(0)
"""
    parent = subprocess.Popen([sys.executable, "-c", parent_code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    number, deadline = int(parent.stdout.readline()), time.monotonic() + 20
    with parent:  # its input stays open so long: a child that goes on would wait for its model
        while (lives := any(p.pid == number and is_alive(p) for p in psutil.process_iter())) and time.monotonic() < deadline:
            time.sleep(0.05)
    assert not lives
