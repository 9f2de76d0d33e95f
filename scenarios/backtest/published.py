"""Several back-tests as one set: policies of all periods side by side, on processes of their own."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from scenarios.backtest.histories import load
from scenarios.backtest.play import Played
from scenarios.backtest.records import BacktestReport, BacktestSpec, PolicyName
from scenarios.backtest.run import RULE_WEIGHT, STOP, TICK_S, WEIGHTS, alone, players, report, steps_of
from scenarios.backtest.stands_on import digest_of_code

Task = tuple[str, PolicyName]
"""A back-test by its name, and one of its policies."""


@dataclass(frozen=True)
class SetProgress:
    """How far a set is: the share of its work that is done, and in words what is."""

    share: float
    words: str


def run_set(
    specs: Sequence[BacktestSpec],
    *,
    folder: Path,
    data: Path | None = None,
    workers: int = 2,
    tell: Callable[[SetProgress], None] = lambda _: None,
) -> list[BacktestReport]:
    """Return the reports of several back-tests, whose policies are played side by side; what the folder holds is not done again.

    folder: gets one folder for each back-test, by its name. tell: told how far it is, twice a second.

    Raises:
        OtherRunError: a folder holds a run that was asked otherwise, or stands on other data or code.
        ValueError: two of the same name, or a history that cannot be read.
    """
    if len({spec.name for spec in specs}) != len(specs):
        raise ValueError(f"expected back-tests of different names, got {[spec.name for spec in specs]}")
    for spec in specs:
        (folder / spec.name).mkdir(parents=True, exist_ok=True)
        (folder / spec.name / STOP).unlink(missing_ok=True)
    tasks = [(spec, policy) for spec in specs for policy in spec.policies]
    tasks.sort(key=lambda task: -_weight(*task))
    with players(workers) as pool:
        code = digest_of_code()
        futures = {(s.name, policy): pool.submit(alone, s, policy, data, folder / s.name, code) for s, policy in tasks}
        try:
            _wait(specs, futures, folder, tell)
        except BaseException:
            for spec in specs:
                (folder / spec.name / STOP).touch()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return [report(spec, load(spec, data), [futures[spec.name, policy].result() for policy in spec.policies]) for spec in specs]


def is_done(specs: Sequence[BacktestSpec], folder: Path) -> bool:
    """Return whether the folder of a set holds the result of every policy."""
    return all((folder / spec.name / policy / "result.json").exists() for spec in specs for policy in spec.policies)


def _weight(spec: BacktestSpec, policy: PolicyName) -> float:
    return WEIGHTS.get(policy, RULE_WEIGHT) * spec.steps


def _wait(
    specs: Sequence[BacktestSpec], futures: dict[Task, Future[Played]], folder: Path, tell: Callable[[SetProgress], None]
) -> None:
    """Wait for all, and raise what any of them raises."""
    weights = {(spec.name, policy): _weight(spec, policy) for spec in specs for policy in spec.policies}
    lengths = {spec.name: spec.steps for spec in specs}
    while not all(future.done() for future in futures.values()):
        done = 0.0
        words = []
        for (name, policy), future in futures.items():
            if future.done():
                future.result()
                done += weights[name, policy]
            elif steps := steps_of(folder / name / policy):
                done += weights[name, policy] * steps / lengths[name]
                words.append(f"{name}/{policy} {steps} of {lengths[name]}")
        count = sum(future.done() for future in futures.values())
        tell(SetProgress(done / sum(weights.values()), f"{count} of {len(futures)} policies; {', '.join(words)}"))
        time.sleep(TICK_S)
    for future in futures.values():
        future.result()
    tell(SetProgress(1.0, f"{len(futures)} of {len(futures)} policies"))
