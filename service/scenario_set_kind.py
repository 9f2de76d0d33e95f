"""The job that answers many what-ifs at once, each against one plan of the base; one without a plan does not stop the rest."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from models.plan import Plan
from models.problem import Problem
from models.reading import BadInputError, Refusal, parse
from scenarios.apply import apply_patches
from scenarios.compare import notes_of, notes_of_change
from scenarios.patch import Patch
from scenarios.scenario_sets import SetComparison, SetRow, WhatIf, WhatIfs, placed, planned_row
from service.engine import Ask, Engine, EngineFailedError
from service.job_kinds import ScenarioWork, asked, latest_problem, stand_ins_of
from service.jobs import InfeasibleError, Kind
from service.planning import Choices
from service.ports import Clock, Fault, RefusedError
from service.store import Store

LASTS_S = 6 * 3600.0


def scenario_set_kind(store: Store, engine: Engine, choices: Choices, now: Clock) -> Kind:
    """Return the kind of job that plans the what-ifs of its payload and compares each with the base."""
    return Kind(
        check=lambda payload: _check(store, payload),
        work=lambda handle: _Set(store, engine, choices, now, handle).answer_all(),
        lasts_s=LASTS_S,
    )


def what_ifs_of(payload: Mapping[str, Any]) -> WhatIfs:
    """Return the what-ifs of a payload.

    Raises:
        BadInputError: they are none, with every fault.
    """
    return parse(WhatIfs, {"scenarios": payload["scenarios"], "attribute": payload.get("attribute", False)})


def _check(store: Store, payload: Mapping[str, Any]) -> None:
    if (base := latest_problem(store)) is None:
        raise RefusedError((Fault(pointer="", code="no_problem_yet", detail="nothing is planned yet that could be changed"),))
    refusals: list[Refusal] = []
    try:
        for n, patches in enumerate(what_ifs_of(payload).patches()):
            try:
                apply_patches(base, patches)
            except BadInputError as error:
                refusals += placed(error, n)
    except BadInputError as error:
        refusals += error.refusals
    if refusals:
        raise RefusedError(tuple(Fault(pointer=r.pointer, code=r.code, detail=r.detail) for r in refusals))


class _Set(ScenarioWork):
    """A set of what-ifs being answered."""

    def answer_all(self) -> Mapping[str, Any]:
        """Return the comparison of all of them."""
        payload = self.handle.job.payload
        ask, wanted = asked(payload, self.choices, low_priority=True), what_ifs_of(payload)
        problem = latest_problem(self.store)
        if problem is None:
            raise EngineFailedError("nothing is planned yet that could be changed")
        self.stand_ins = stand_ins_of(self.store, problem)
        base = self.known_base(problem, ask) or self.plan(problem, replace(ask, strict=False), "base")
        rows, same = [], list[str]()
        for n, (one, patches) in enumerate(zip(wanted.scenarios, wanted.patches(), strict=True)):
            self.phase = {"done": n, "of": len(wanted.scenarios), "share": n / len(wanted.scenarios)}
            rows.append(self._row(problem, base, one, patches, ask, wanted.attribute))
            if rows[-1].ending == "planned":
                same += [f"{one.name}: {note}" for note in notes_of_change(problem, apply_patches(problem, patches))]
        found = SetComparison(
            base_plan_id=base.plan_id, base_digest=problem.digest, base_profit_usd=base.profit_usd, rows=tuple(rows),
            notes=(*notes_of(base), *same),
        )  # fmt: skip
        return found.model_dump(mode="json")

    def _row(
        self, problem: Problem, base: Plan, one: WhatIf, patches: tuple[Patch, ...], ask: Ask, attribute: bool
    ) -> SetRow:  # fmt: skip
        parts = [patches[: n + 1] for n in range(len(patches))] if attribute else [patches]
        plans = []
        for part in parts:
            if self.handle.stopped():
                raise EngineFailedError("nobody waits for it any more")
            try:
                plans.append(self.plan(apply_patches(problem, part), ask, one.name))
            except InfeasibleError as error:
                return SetRow(name=one.name, changes=one.set, ending="infeasible", why=str(error)[:2000])
            except (EngineFailedError, BadInputError) as error:
                return SetRow(name=one.name, changes=one.set, ending="failed", why=str(error)[:2000])
        return planned_row(one, base, plans)
