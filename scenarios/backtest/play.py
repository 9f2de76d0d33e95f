"""One policy over one history: who decides, what came of it, and what it cost to compute."""

import importlib.metadata
import json
import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.base import Record
from models.futures import Risk
from models.plan import SitePlan
from optimizer.fallback import rule_plan
from optimizer.solve import optimise
from scenarios.backtest.history import History
from scenarios.backtest.knowledge import Knowledge, Naive, Perfect, see_through
from scenarios.backtest.modelled import Model
from scenarios.backtest.realise import realise
from scenarios.backtest.records import RULES, BacktestSpec, ContractAdded, KnowledgeKind, PolicyName, PolicyResult
from scenarios.backtest.rules import WORDS, RuleBook
from scenarios.backtest.scoring import Score
from scenarios.backtest.stand_ins import StandIns
from scenarios.backtest.stands_on import OtherRunError, StandsOn, claimed, stands_on
from scenarios.backtest.stochastic import ALONE, Stochastic
from scenarios.rolling import Course, Replan, Rolled, roll

KNOWLEDGE: dict[KnowledgeKind, Callable[[], Knowledge]] = {"perfect": Perfect, "naive": Naive, "model": Model}
PERFECT_GAP_SHARE = 1.25
"""Of the plans' gap, what the yardstick may leave: its sites are single models of a whole month, and its bound is certified."""
JUDGED = "judged.json"
"""In a policy's folder: what it did in every step, as one plan with its money."""
PACKAGES = ("wattsplit", "highspy", "numpy", "scikit-learn")


class CancelledError(Exception):
    """Whoever asked for the back-test wants it no more; what is done so far is kept in its folder."""


class Played(Record):
    """What a policy came to, and for `plan` what its contracts added."""

    stands_on: StandsOn
    result: PolicyResult
    contracts: tuple[ContractAdded, ...] = ()


@dataclass(frozen=True)
class Table:
    """Where a policy is played: its folder, who is told how many steps are done, and who is asked whether to go on."""

    folder: Path | None = None
    tell: Callable[[int], None] = lambda _: None
    cancelled: Callable[[], bool] = lambda: False


def play(spec: BacktestSpec, policy: PolicyName, history: History, table: Table) -> Played:
    """Return what a policy comes to over a history; what its folder holds of it already is not done again.

    Raises:
        CancelledError: asked to stop.
        BusyError: another process plays in the folder.
        OtherRunError: the folder holds a run that was asked otherwise, or stands on other data or code.
    """
    now = stands_on(spec, history)
    if table.folder is None:
        return _played(spec, policy, history, table, now)
    with claimed(table.folder, now):
        done = table.folder / "result.json"
        if done.exists() and done.with_name(JUDGED).exists():
            return _kept(done, now)
        return _played(spec, policy, history, table, now)


def _played(spec: BacktestSpec, policy: PolicyName, history: History, table: Table, now: StandsOn) -> Played:
    score, purse = Score(history), _Purse(table.folder)
    if policy in ("plan", "plan_stochastic", "plan_perfect") or (
        policy == "perfect_foresight" and spec.perfect_window_steps is not None
    ):
        found = _rolled(spec, policy, history, score, table, purse, now)
    elif policy == "perfect_foresight":
        found = _at_once(spec, score, table, purse, now)
    else:
        rule = next(name for name in RULES if name == policy)
        sites = RuleBook(history).plan(rule)
        found = Played(stands_on=now, result=score.result(policy, WORDS[rule], sites, **purse.spent))
    if table.folder is not None:
        done = table.folder / "result.json"
        if score.judged is not None:
            done.with_name(JUDGED).write_text(score.judged.model_dump_json())
        fresh = done.with_suffix(".new")
        fresh.write_text(found.model_dump_json())
        fresh.replace(done)
    return found


def _kept(file: Path, now: StandsOn) -> Played:
    try:
        known = Played.model_validate_json(file.read_text())
    except ValueError:
        raise ValueError(f"{file}: expected the result of a policy as this release writes it; take another folder") from None
    if known.stands_on != now:
        raise OtherRunError(f"{file}: is of another run than its folder says; take another folder")
    return known


def versions() -> dict[str, str]:
    """Return the versions of what computes a back-test."""
    return {name: importlib.metadata.version(name) for name in PACKAGES}


def _rolled(
    spec: BacktestSpec, policy: PolicyName, history: History, score: Score, table: Table, purse: "_Purse", now: StandsOn
) -> Played:
    """Re-plan step by step."""
    is_yardstick = policy == "perfect_foresight"
    width = (spec.perfect_window_steps if is_yardstick else None) or spec.window_steps
    course = Course(
        steps=spec.steps, window=width, gap=spec.gap, budget_s=spec.budget_s, terminal=spec.terminal,
        look_ahead_every=spec.look_ahead_every,
        steadiness=None,  # a second pass that stays next to the plan before would double the time and earns nothing
    )  # fmt: skip
    kinds: dict[PolicyName, KnowledgeKind] = {"plan": spec.knowledge, "plan_stochastic": "model"}
    kind = kinds.get(policy, "perfect")
    knowledge = KNOWLEDGE[kind]()
    count, noted = [_steps_done(table.folder)], StandIns(table.folder)

    def tell(_: Replan) -> None:
        count[0] += 1
        purse.put_by()
        table.tell(count[0])
        if table.cancelled():
            raise CancelledError

    if kind == "perfect":
        rolled = roll(history.problem, course, folder=table.folder, tell=tell, known=kind)
    else:
        see, happen = see_through(history, knowledge, noted.note), realise(history.problem)
        decide = _stochastic(spec, history, knowledge) if policy == "plan_stochastic" else None
        rolled = roll(
            history.problem,
            course,
            folder=table.folder,
            tell=tell,
            see=see,
            happen=happen,
            decide=decide,
            known=f"{policy} {kind}",
        )
    sites = rolled.joined.sites
    over = f" and {spec.paths} paths" if policy == "plan_stochastic" else ""
    words = f"re-planned every hour over {width} h{over}: {knowledge.words}"
    contracts = score.contracts(sites) if policy == "plan" else ()
    for t, replan in enumerate(rolled.replans):
        if replan.why.startswith(ALONE):
            noted.note(t, noted.of(t) | {"paths": ("unanswered", replan.why)})
    facts = _facts(rolled, width, history.scored) | {"stand_ins": noted.counted(history.problem.grid.hours)}
    result = score.result(policy, words, sites, **facts, **purse.spent)
    return Played(stands_on=now, result=result, contracts=contracts)


def _stochastic(spec: BacktestSpec, history: History, knowledge: Knowledge) -> Stochastic:
    """Plan over paths of the models that the windows see by."""
    model = knowledge if isinstance(knowledge, Model) else Model()
    risk = Risk(weight_share=spec.cvar_weight_share)
    return Stochastic(history, model, spec.paths, risk, spec.gap, spec.budget_s, spec.seed)


def _at_once(spec: BacktestSpec, score: Score, table: Table, purse: "_Purse", now: StandsOn) -> Played:
    """One plan of the whole period that sees all of it."""
    problem = score.problem
    answer = optimise(
        problem, gap=PERFECT_GAP_SHARE * spec.gap, budget_s=spec.perfect_budget_s, now=problem.grid.start, seed=spec.seed,
        cancelled=table.cancelled,
    )  # fmt: skip
    if answer.ending == "cancelled":
        raise CancelledError
    plan = answer.plan or rule_plan(problem, problem.grid.start)
    sites: dict[str, SitePlan] = plan.sites
    words = "one plan of the whole period that sees what came"
    result = score.result(
        "perfect_foresight", words, sites, plans=1, plans_not_optimised=int(plan.basis != "optimised"),
        bound_usd=plan.proof.bound_usd, gap_usd=plan.proof.gap_usd or 0.0, **purse.spent,
    )  # fmt: skip
    table.tell(spec.steps)
    return Played(stands_on=now, result=result)


def _facts(rolled: Rolled, width: int, scored: Sequence[bool]) -> dict[str, Any]:
    """What the plans of a run say of themselves; money of the steps that count."""
    counted = [replan for replan, counts in zip(rolled.replans, scored, strict=True) if counts]
    return {
        "plans": len(rolled.replans),
        "plans_not_optimised": len(rolled.without_optimised),
        "gap_usd": sum((replan.gap_usd or 0.0) / width for replan in counted),
        "execution_usd": sum(replan.execution_usd for replan in counted),
    }


def _steps_done(folder: Path | None) -> int:
    file = None if folder is None else folder / "steps.jsonl"
    return 0 if file is None or not file.exists() else max(0, file.read_text().count("\n") - 1)


class _Purse:
    """Seconds spent on a policy, by this process and its children, now and before it was broken off."""

    def __init__(self, folder: Path | None) -> None:
        self._file = None if folder is None else folder / "spent.json"
        self._before = _spent_before(self._file)
        self._cpu_s, self._wall_s = _cpu_s(), time.monotonic()

    @property
    def spent(self) -> dict[str, float]:
        """Core and wall seconds so far."""
        return {
            "cpu_s": self._before.get("cpu_s", 0.0) + _cpu_s() - self._cpu_s,
            "wall_s": self._before.get("wall_s", 0.0) + time.monotonic() - self._wall_s,
        }

    def put_by(self) -> None:
        """Write down what was spent, so that it is not lost."""
        if self._file is not None:
            fresh = self._file.with_suffix(".new")
            fresh.write_text(json.dumps(self.spent))
            fresh.replace(self._file)


def _spent_before(file: Path | None) -> dict[str, float]:
    """What is written down of earlier tries; a file that a kill cut short says nothing, and stops no run from going on."""
    try:
        return {} if file is None else dict(json.loads(file.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return {}


def _cpu_s() -> float:
    mine, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return mine.ru_utime + mine.ru_stime + children.ru_utime + children.ru_stime
