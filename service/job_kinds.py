"""What jobs do: plan and publish because somebody asked, or answer a what-if beside everything."""

import concurrent.futures
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from models.plan import Plan
from models.problem import Problem
from models.reading import BadInputError
from scenarios.apply import apply_patches
from scenarios.compare import compare, notes_of_change
from scenarios.patch import Patch, parse_patches
from service.engine import Ask, Engine, EngineFailedError
from service.jobs import MOST_BUDGET_S, Handle, InfeasibleError, Kind
from service.ladder import audited
from service.planning import Choices, in_words
from service.ports import Clock, Fault, RefusedError
from service.scheduler import Desk, Errand
from service.store import Store
from service.store.common import UnreadableError, new_id
from service.store.records import Job, Publication

LOOK_EVERY_S = 0.2
NEWEST = 20
"""Plans that are looked through for one of a base."""


def plan_kind(desk: Desk, choices: Choices) -> Kind:
    """Return the kind of job that plans the fleet now and publishes what comes out."""

    def work(handle: Handle) -> Mapping[str, Any]:
        ask = asked(handle.job.payload, choices)
        errand = Errand(occasion(handle.job), rule_first=False, ask=ask, stop=handle.stopped, watch=handle.tell)
        desk.owe(errand)
        while not handle.stopped():
            try:
                published = errand.done.result(LOOK_EVERY_S)
                break
            except concurrent.futures.TimeoutError:
                continue
        else:
            raise EngineFailedError("nobody waits for it any more")
        if handle.progress.get("ending") == "infeasible":
            raise InfeasibleError(str(handle.progress.get("why", "")), tuple(handle.progress.get("diagnosis", ())))
        if published is None:
            raise EngineFailedError("another plan was published for the same occasion")
        return told(published)

    def found(job: Job) -> Mapping[str, Any] | None:
        """Return what was published for a job whose service ended before it could say so."""
        publications, unit = desk.planner.store.publications, choices.unit
        if (published := publications.of_occasion(unit, occasion(job))) is None:
            return None
        newest = publications.newest(unit) or published
        after = f"; version {newest.version} is in force by now" if newest.version > published.version else ""
        return told(published) | {"note": f"the service ended after it had published this plan{after}"}

    def occasion(job: Job) -> str:
        return f"request-{job.job_id}"

    def told(published: Publication) -> dict[str, Any]:
        return {
            "plan_id": published.plan_id,
            "version": published.version,
            "basis": published.basis,
            "slot": f"{published.slot:%Y-%m-%dT%H:%MZ}",
        }

    return Kind(check=lambda payload: _has_fleet(desk), work=work, found=found)


def _has_fleet(desk: Desk) -> None:
    with suppress(UnreadableError):  # another release stored it; the job says so
        if desk.planner.store.fleets.newest() is None:
            raise RefusedError((Fault(pointer="", code="no_fleet_yet", detail="no fleet is stored yet that could be planned"),))


def scenario_kind(store: Store, engine: Engine, choices: Choices, now: Clock) -> Kind:
    """Return the kind of job that plans a patched problem and compares it with the base, planned at the same gap."""
    return Kind(
        check=lambda payload: _check(store, payload),
        work=lambda handle: ScenarioWork(store, engine, choices, now, handle).answer(),
    )


def asked(payload: Mapping[str, Any], choices: Choices, *, low_priority: bool = False) -> Ask:
    """Return how hard to try, from a payload; a gap of 0 is one that is asked for."""
    gap = payload.get("asked_gap")
    return Ask(
        asked_gap=choices.asked_gap if gap is None else float(gap),
        budget_s=min(float(payload.get("budget_s") or choices.budget_s), MOST_BUDGET_S),
        memory_mib=choices.memory_mib,
        low_priority=low_priority,
        strict=bool(payload.get("strict", False)),
    )


def latest_problem(store: Store) -> Problem | None:
    """Return the problem of the newest plan of the fleet."""
    head = store.plans.newest(purpose="fleet")
    return store.plans.problem(head.problem_digest) if head else None


def stand_ins_of(store: Store, base: Problem) -> tuple[str, ...]:
    """Return what the newest plan of a base says of the stand-ins that are in it."""
    heads = [head for head in store.plans.page(limit=NEWEST).items if head.problem_digest == base.digest]
    with suppress(UnreadableError):
        plans = (store.plans.get(head.plan_id) for head in heads)
        return next((plan.stand_ins for plan in plans if plan is not None), ())
    return ()


def patches_of(payload: Mapping[str, Any]) -> tuple[Patch, ...]:
    """Return the patches of a payload's `set`.

    Raises:
        BadInputError: one refusal for each that is no patch; its pointer is its place.
    """
    return parse_patches([str(text) for text in payload.get("set", ())])


def _check(store: Store, payload: Mapping[str, Any]) -> None:
    base = latest_problem(store)
    if base is None:
        raise RefusedError((Fault(pointer="", code="no_problem_yet", detail="nothing is planned yet that could be changed"),))
    try:
        apply_patches(base, patches_of(payload))
    except BadInputError as error:
        raise RefusedError(
            tuple(Fault(pointer=f"/set{r.pointer}", code=r.code, detail=r.detail) for r in error.refusals)
        ) from None


class ScenarioWork:
    """One what-if being answered."""

    def __init__(self, store: Store, engine: Engine, choices: Choices, now: Clock, handle: Handle) -> None:
        self.store, self.engine, self.choices, self.now, self.handle = store, engine, choices, now, handle
        self.phase: Mapping[str, Any] = {}
        """What is told beside the progress of each plan."""
        self.stand_ins: tuple[str, ...] = ()
        """What the base's plan says of input that is missing: what-ifs reckon with the same."""

    def answer(self) -> Mapping[str, Any]:
        """Return the comparison of the what-if with its base, and the plans that it is of."""
        payload = self.handle.job.payload
        ask = asked(payload, self.choices, low_priority=True)
        base = latest_problem(self.store)
        if base is None:
            raise EngineFailedError("nothing is planned yet that could be changed")
        self.stand_ins = stand_ins_of(self.store, base)
        patched = apply_patches(base, patches_of(payload))
        before = self.known_base(base, ask) or self.plan(base, replace(ask, strict=False), "base")
        after = self.plan(patched, ask, "what-if")
        comparison = compare(before, after, notes_of_change(base, patched)).model_dump(mode="json")
        result = {"base_plan_id": before.plan_id, "plan_id": after.plan_id, "base_digest": base.digest, "comparison": comparison}
        if self.handle.stopped():
            raise EngineFailedError("nobody waits for it any more")
        if (scenario := payload.get("scenario_id")) and self._is_kept(scenario):
            self.store.scenarios.answer(scenario, result, base_digest=base.digest)
        return result

    def _is_kept(self, scenario: str) -> bool:
        """Whether the what-if is in the store; its row follows its job's, and a small fleet is planned in no time."""
        for _ in range(20):
            if self.store.scenarios.get(scenario) is not None:
                return True
            time.sleep(0.1)
        return False

    def known_base(self, base: Problem, ask: Ask) -> Plan | None:
        """Return a plan of the base that an earlier what-if made at the same gap."""
        for head in self.store.plans.page(limit=NEWEST, purpose="scenario").items:
            if head.problem_digest != base.digest:
                continue
            with suppress(UnreadableError):  # then it is planned anew
                plan = self.store.plans.get(head.plan_id)
                if plan is not None and plan.proof.asked_gap == ask.asked_gap:
                    return plan
        return None

    def plan(self, problem: Problem, ask: Ask, phase: str) -> Plan:
        """Plan, audit and keep one of the two problems."""
        answer = self.engine.optimise(
            problem, ask, plan_id=new_id(), created_at=self.now(), progress=self._telling(phase), cancelled=self.handle.stopped
        )
        if answer.ending == "infeasible":
            raise InfeasibleError(in_words(answer), answer.diagnosis)
        if answer.plan is None:
            raise EngineFailedError(f"{phase}: {in_words(answer)}")
        plan = answer.plan.model_copy(update={"reasons": (*answer.plan.reasons, *self.stand_ins)})
        plan = audited(self.engine, problem, plan)
        self.store.plans.add(problem, plan, purpose="scenario")
        return plan

    def _telling(self, phase: str) -> Callable[[Mapping[str, Any]], None]:
        return lambda progress: self.handle.tell({"phase": phase, **self.phase, **progress})
