"""The front door of back-tests: a specification in, a report out; policies side by side, broken-off runs gone on with.

With a folder, every step that is done is written down there, and a run that was broken off goes on where it stopped. With
more than one worker each policy is played by a process of its own; what it does is read off its folder.
"""

import os
import signal
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path

from optimizer.child import die_with_parent
from scenarios.backtest.histories import load
from scenarios.backtest.history import History
from scenarios.backtest.play import CancelledError, Played, Table, play, versions
from scenarios.backtest.records import RULES, BacktestReport, BacktestSpec, PolicyName, PolicyResult, Progress, Rule
from scenarios.backtest.regret import regret_of
from scenarios.backtest.stands_on import OtherRunError, code_digest, digest_of_code
from scenarios.rolling import window

__all__ = ["CancelledError", "OtherRunError", "run"]

TICK_S = 0.5
WEIGHTS: dict[PolicyName, float] = {"plan": 1.0, "plan_stochastic": 6.0, "plan_perfect": 1.0, "perfect_foresight": 0.05}
"""Of the work of a policy, by that of one which is re-planned; a rule is a hundredth."""
RULE_WEIGHT = 0.01
STOP = "stop"

Tell = Callable[[Progress], None]


def run(
    spec: BacktestSpec,
    *,
    data: Path | None = None,
    folder: Path | None = None,
    workers: int = 1,
    tell: Tell = lambda _: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> BacktestReport:
    """Play every policy of a specification over its history, and compare them.

    Arguments:
        spec: what is asked (`scenarios.backtest.histories.spec_of` makes those of the named histories).
        data: the folder of larger data.
        folder: where to write what is done, and to go on from; a run without one starts over.
        workers: processes that play policies side by side.
        tell: told how far it is.
        cancelled: asked between steps.

    Raises:
        CancelledError: `cancelled` said so; the folder holds what was done.
        OtherRunError: the folder holds a run that was asked otherwise, or stands on other data or code.
        ValueError: the history cannot be read.
    """
    history = load(spec, data)
    if workers <= 1:
        played = _one_by_one(spec, history, folder, tell, cancelled)
    elif folder is None:
        with tempfile.TemporaryDirectory() as passing:
            played = _side_by_side(spec, data, Path(passing), workers, tell, cancelled)
    else:
        played = _side_by_side(spec, data, folder, workers, tell, cancelled)
    return report(spec, history, played)


def report(spec: BacktestSpec, history: History, played: Sequence[Played]) -> BacktestReport:
    """Return the comparison of what policies came to."""
    results = tuple(one.result for one in played)
    by_name: dict[PolicyName, PolicyResult] = {result.policy: result for result in results}
    plan, perfect, windows = (by_name.get(name) for name in ("plan", "perfect_foresight", "plan_perfect"))
    ruled: list[tuple[float, Rule]] = [(by_name[rule].profit_usd, rule) for rule in RULES if rule in by_name]
    best_usd, best = max(ruled, key=lambda one: one[0]) if ruled else (None, None)
    gain = None if plan is None or best_usd is None else plan.profit_usd - best_usd
    seen = [result.profit_usd for result in (perfect, windows) if result is not None]
    came = window(history.problem, 0, spec.steps, history.problem.state)
    cpu_s = sum(result.cpu_s for result in results)
    return BacktestReport(
        spec=spec,
        grid=came.grid,
        scored=history.scored,
        prices_usd_per_mwh=dict(came.prices_usd_per_mwh),
        policies=results,
        best_rule=best,
        share_of_perfect=_share(plan.profit_usd, max(seen)) if plan and perfect else None,
        gain_usd=gain,
        gain_share=None if gain is None or best_usd is None else _share(gain, abs(best_usd)),
        regret=regret_of(plan, windows, perfect) if plan and windows and perfect else None,
        contracts=tuple(added for one in played for added in one.contracts),
        flags=history.flags,
        notes=history.notes,
        sources=dict(history.sources),
        cpu_s=cpu_s,
        cpu_s_per_hour=cpu_s / history.hours,
        versions=versions() | {"planning-code": played[0].stands_on.code, "data": played[0].stands_on.data},
    )


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole > 0 else None


def _one_by_one(
    spec: BacktestSpec, history: History, folder: Path | None, tell: Tell, cancelled: Callable[[], bool]
) -> list[Played]:
    found: list[Played] = []
    for policy in spec.policies:
        if cancelled():
            raise CancelledError
        before = spec.policies[: len(found)]

        def told(steps: int, policy: PolicyName = policy, before: Sequence[PolicyName] = before) -> None:
            tell(_progress(spec, policy, steps, dict.fromkeys(before, spec.steps) | {policy: steps}))

        table = Table(None if folder is None else folder / policy, told, cancelled)
        found.append(play(spec, policy, history, table))
        told(spec.steps)
    return found


def _side_by_side(
    spec: BacktestSpec, data: Path | None, folder: Path, workers: int, tell: Tell, cancelled: Callable[[], bool]
) -> list[Played]:
    folder.mkdir(parents=True, exist_ok=True)
    stop = folder / STOP
    stop.unlink(missing_ok=True)
    with players(workers) as pool:
        longest_first = sorted(spec.policies, key=lambda name: -WEIGHTS.get(name, RULE_WEIGHT))
        code = digest_of_code()
        futures = {name: pool.submit(alone, spec, name, data, folder, code) for name in longest_first}
        try:
            _watch(spec, folder, futures, tell, cancelled)
            return [futures[name].result() for name in spec.policies]
        except BaseException:
            stop.touch()
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _watch(
    spec: BacktestSpec, folder: Path, futures: dict[PolicyName, Future[Played]], tell: Tell, cancelled: Callable[[], bool]
) -> None:
    """Tell what folders show until all are done, one has failed, or nobody wants them any more."""
    told: dict[PolicyName, int] = {}
    while not all(future.done() for future in futures.values()):
        if cancelled():
            raise CancelledError
        for future in futures.values():
            if future.done():
                future.result()
        steps = {name: spec.steps if future.done() else steps_of(folder / name) for name, future in futures.items()}
        for name, count in steps.items():
            if told.get(name) != count:
                tell(_progress(spec, name, count, steps))
        told = steps
        time.sleep(TICK_S)


def players(workers: int) -> ProcessPoolExecutor:
    """Return processes that play policies. An interrupt of the terminal is the asker's alone: they end after a whole step.

    They are gone with the asker, however it ends: a run that is asked for again must find nobody in its folders.
    """
    return ProcessPoolExecutor(workers, get_context("spawn"), _begin, (os.getpid(),))


def _begin(asker: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent(asker)


def alone(spec: BacktestSpec, policy: PolicyName, data: Path | None, folder: Path, code: str) -> Played:
    """Play one policy in its part of a folder, in a process of its own, until it is done or the folder says stop.

    code: the digest of the code as it was when this process was asked for; all of them must play by the same.

    Raises:
        OtherRunError: this process has other code, or the folder holds another run.
    """
    if code_digest() != code:
        raise OtherRunError("the planning code was changed while a back-test began: begin it again")
    return play(spec, policy, _loaded(spec, data), Table(folder / policy, cancelled=(folder / STOP).exists))


@lru_cache(maxsize=4)
def _loaded(spec: BacktestSpec, data: Path | None) -> History:
    """The histories of a process that plays several policies of each."""
    return load(spec, data)


def steps_of(folder: Path) -> int:
    """Return how many steps the folder of a policy says are done."""
    file = folder / "steps.jsonl"
    if not file.exists():
        return 0
    with file.open("rb") as lines:
        return max(0, sum(1 for _ in lines) - 1)


def _progress(spec: BacktestSpec, policy: PolicyName, steps: int, done: dict[PolicyName, int]) -> Progress:
    weights = {name: WEIGHTS.get(name, RULE_WEIGHT) for name in spec.policies}
    share = sum(weight * done.get(name, 0) for name, weight in weights.items()) / spec.steps / sum(weights.values())
    words = f"{policy}: {steps} of {spec.steps} steps"
    return Progress(policy=policy, done_steps=steps, steps=spec.steps, share=min(1.0, share), words=words)
