"""Several back-tests as one set: policies of all periods side by side, and the table that is published of them."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from scenarios.backtest.histories import load
from scenarios.backtest.play import Played
from scenarios.backtest.records import BacktestReport, BacktestSpec, PolicyName
from scenarios.backtest.run import RULE_WEIGHT, STOP, TICK_S, WEIGHTS, alone, report, steps_of
from scenarios.backtest.stands_on import code_digest

Task = tuple[str, PolicyName]
"""A back-test by its name, and one of its policies."""


def run_set(
    specs: Sequence[BacktestSpec],
    *,
    folder: Path,
    data: Path | None = None,
    workers: int = 2,
    tell: Callable[[str], None] = lambda _: None,
) -> list[BacktestReport]:
    """Return the reports of several back-tests, whose policies are played side by side; what the folder holds is not done again.

    folder: gets one folder for each back-test, by its name. tell: told in words how far it is, about once a minute.

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
    tasks.sort(key=lambda task: -WEIGHTS.get(task[1], RULE_WEIGHT) * task[0].steps)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        code = code_digest()
        futures = {(s.name, policy): pool.submit(alone, s, policy, data, folder / s.name, code) for s, policy in tasks}
        try:
            _wait(futures, folder, tell)
        except BaseException:
            for spec in specs:
                (folder / spec.name / STOP).touch()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return [report(spec, load(spec, data), [futures[spec.name, policy].result() for policy in spec.policies]) for spec in specs]


def table(reports: Sequence[BacktestReport]) -> str:
    """Return the published table: a row for each period."""
    lines = [
        "| period | share of perfect foresight | gain over the best rule | missed: horizon, forecast, execution, gap | "
        "worst 5 % of hours | hours left out | core-s per hour |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in reports:
        plan, regret = one.result("plan"), one.regret
        share = "–" if one.share_of_perfect is None else f"{one.share_of_perfect:.1%}"
        gain = "–" if one.gain_usd is None else f"{one.gain_usd:,.0f} USD over {one.best_rule}"
        gain += "" if one.gain_share is None else f" ({one.gain_share:+.1%})"
        missed = "–"
        if regret is not None:
            parts = (regret.horizon_usd, regret.forecast_error_usd, regret.execution_usd, regret.solver_gap_usd)
            missed = ", ".join(f"{usd:,.0f}" for usd in parts)
        worst, left_out = ("–", "–") if plan is None else (f"{plan.worst_hours_usd:,.0f}", f"{plan.hours_left_out:g}")
        lines.append(
            f"| {one.spec.name}, {one.spec.steps // 24} days | {share} | {gain} | {missed} | {worst} | {left_out} | "
            f"{one.cpu_s_per_hour:.2f} |"
        )
    return "\n".join(lines)


def _wait(futures: dict[Task, Future[Played]], folder: Path, tell: Callable[[str], None]) -> None:
    """Wait for all, and raise what any of them raises."""
    told_s = 0.0
    while not all(future.done() for future in futures.values()):
        for future in futures.values():
            if future.done():
                future.result()
        if time.monotonic() - told_s > 60:
            told_s = time.monotonic()
            done = [name for name, future in futures.items() if future.done()]
            going = {name: steps_of(folder / name[0] / name[1]) for name in futures if name not in done}
            words = [f"{name}/{policy} {steps} steps" for (name, policy), steps in going.items() if steps]
            tell(f"{len(done)} of {len(futures)} done; {', '.join(words)}")
        time.sleep(TICK_S)
