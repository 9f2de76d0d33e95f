"""The job that plans the latest problem over scenarios with probabilities; nothing of it is published by itself."""

from collections.abc import Iterator, Mapping
from typing import Any

from models.futures import Futures, Risk
from models.futures_plan import FuturesPlan
from models.plan import Plan
from models.problem import Problem
from models.reading import BadInputError, parse
from optimizer.futures import optimise_futures
from optimizer.futures_answer import FuturesResult
from scenarios.futures_file import WrittenFutures, futures_of
from service.engine import Engine, EngineFailedError
from service.job_kinds import asked, latest_problem
from service.jobs import Handle, InfeasibleError, Kind
from service.ladder import audited
from service.planning import Choices
from service.ports import Clock, Fault, RefusedError
from service.store import Store
from service.store.common import new_id

MIB = 1 << 20


def futures_kind(store: Store, engine: Engine, choices: Choices, now: Clock) -> Kind:
    """Return the kind of job that decides for now over the scenarios of its payload, and keeps all their plans."""

    def work(handle: Handle) -> Mapping[str, Any]:
        payload = handle.job.payload
        base = _base(store)
        futures, ask = futures_in(payload, base), asked(payload, choices, low_priority=True)
        risk = Risk(weight_share=payload.get("cvar_weight_share", 0.0), level_share=payload.get("cvar_level_share", 0.95))
        result = optimise_futures(
            base, futures, risk, gap=ask.asked_gap, budget_s=ask.budget_s, now=now(),
            knowledge=bool(payload.get("knowledge")), memory_bytes=ask.memory_mib * MIB, low_priority=ask.low_priority,
            progress=lambda known: handle.tell({"phase": "futures", **known}), cancelled=handle.stopped,
        )  # fmt: skip
        found = _found(result)

        def kept(problem: Problem, plan: Plan) -> str:
            plan = audited(engine, problem, plan.model_copy(update={"plan_id": new_id()}))
            store.plans.add(problem, plan, purpose="scenario")
            return plan.plan_id

        ids = [kept(problem, s.plan) for problem, s in zip(futures.problems(base), found.scenarios, strict=True)]
        return told(found, kept(base, found.plan), ids)

    return Kind(check=lambda payload: _check(store, payload), work=work)


def futures_in(payload: Mapping[str, Any], base: Problem) -> Futures:
    """Return the futures of a payload, every series in full.

    Raises:
        BadInputError: they are no futures, or do not fit the base problem; every fault with its place.
    """
    return futures_of(parse(WrittenFutures, payload["futures"]), base)


def told(found: FuturesPlan, plan_id: str, scenario_ids: list[str]) -> dict[str, Any]:
    """Return an answer with the ids of its plans in place of the plans."""
    content = found.model_dump(mode="json", exclude={"plan": True, "scenarios": {"__all__": {"plan"}}})
    scenarios = [s | {"plan_id": name} for s, name in zip(content["scenarios"], scenario_ids, strict=True)]
    return content | {"plan_id": plan_id, "scenarios": scenarios}


def _found(result: FuturesResult) -> FuturesPlan:
    if result.ending == "infeasible":
        raise InfeasibleError(result.why, tuple(_conflicts(result)))
    if result.found is None:
        raise EngineFailedError(f"{result.ending}: {'; '.join(result.broken) or result.why}")
    return result.found


def _conflicts(result: FuturesResult) -> Iterator[Mapping[str, Any]]:
    """What must give way: in one scenario, or else what is decided for all of them."""
    if (found := result.diagnosis) is None:
        yield {"kind": "offered", "words": result.why}
        return
    for kind, conflicts in (("offered", found.offered), ("blocking", found.blocking)):
        yield from ({"kind": kind, **conflict.model_dump(mode="json")} for conflict in conflicts)


def _base(store: Store) -> Problem:
    if (base := latest_problem(store)) is None:
        raise EngineFailedError("nothing is planned yet that could have scenarios")
    return base


def _check(store: Store, payload: Mapping[str, Any]) -> None:
    if (base := latest_problem(store)) is None:
        fault = Fault(pointer="", code="no_problem_yet", detail="nothing is planned yet that could have scenarios")
        raise RefusedError((fault,))
    try:
        futures_in(payload, base)
    except BadInputError as error:
        faults = (Fault(pointer=f"/futures{r.pointer}", code=r.code, detail=r.detail) for r in error.refusals)
        raise RefusedError(tuple(faults)) from None
