"""One planning run: inputs → problem → rule plan, audited and stored first → optimised → ladder → one publication.

`Planner` does the work in the thread that calls it, as told by the clock that it was given; who calls it, and when, is
the scheduler's business. So two simulated days take as long as their solving takes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from models.plan import Plan
from models.problem import Problem
from models.state import State
from optimizer.held import joined, without
from optimizer.warm import Warm
from scenarios.feed import at_start
from service.alarms import Alarms
from service.engine import Answer, Ask, Engine, EngineFailedError
from service.forecasting import Forecasts
from service.holding import hold
from service.inputs import gather, is_replayed
from service.known_state import known_awards, known_state
from service.ladder import Chosen, Rung, audited, choose
from service.late_work import counted_in_words
from service.looking_ahead import LookingAhead, rest_of_month
from service.ports import Clock
from service.published import HOURLY
from service.publishing import Prepared, Publisher
from service.reserve_carry import unsold_calls
from service.slots import HOUR, budget_s, first_step, floor_hour, grid_from, target_slot
from service.store import Store
from service.store.common import new_id
from service.store.records import Publication

Stop = Callable[[], bool]
Watch = Callable[[Mapping[str, Any]], None]


class PreemptedError(Exception):
    """What was being planned is out of date: something else came that it does not know."""


@dataclass(frozen=True)
class Choices:
    """How plans are made: unit that is published as one, horizon, gap, budget, memory, workers and cluster, steadiness."""

    unit: str = "fleet"
    horizon_h: int = 48
    asked_gap: float = 0.005
    budget_s: float = 180.0
    memory_mib: int = 2048
    give_up_usd: float = 0.0
    least_gain_usd: float = 0.0
    look_ahead_every_h: int = 0
    workers: int = 1
    engine: str | None = None


class Planner(Publisher):
    """Plans and publishes the fleet."""

    def __init__(
        self, store: Store, engine: Engine, choices: Choices, now: Clock, epoch: Callable[[], int], alarms: Alarms
    ) -> None:
        super().__init__(store, choices.unit, alarms, now, epoch)
        self.engine, self.choices = engine, choices
        self._forecasts = Forecasts(store)
        self._left: Warm | None = None
        self._ahead = LookingAhead(engine.look_ahead, choices.look_ahead_every_h)

    # --- what the scheduler asks for ----------------------------------------------------------------------------------

    def publish_rule(self, occasion: str, *, begins: datetime | None = None) -> Publication | None:
        """Publish a plan that needs no solver, within seconds; it begins in the running second: an order waits for nothing."""
        now = self.now()
        begins = grid_from(begins or now, self.choices.horizon_h).start
        prepared = self.prepare(begins)
        chosen = self._labelled(prepared, choose(self.engine, prepared.problem, self.rungs_below(prepared)[1:]))
        return self.publish(prepared, chosen, slot=floor_hour(begins), occasion=occasion)

    def publish_optimised(
        self, otherwise: str, *, stop: Stop, watch: Watch = lambda _: None, ask: Ask | None = None, again: bool = False
    ) -> Publication | None:
        """Optimise and publish: as the hourly plan of the slot that is due, or under the occasion `otherwise`.

        What is tried `again` is published only if it is optimised: a lower rung is in force already.

        Raises:
            PreemptedError: `stop` said so; nothing was published.
        """
        now = self.now()
        slot = target_slot(now)
        wanted = ask or Ask(self.choices.asked_gap, self.choices.budget_s, self.choices.memory_mib)
        solver_s = budget_s(now, slot, wanted.budget_s)
        begins = first_step(now, slot, solver_s)
        occasion = HOURLY if not self.has_hourly(slot) else otherwise
        if occasion == HOURLY == otherwise and self.has_hourly(slot):
            return None
        prepared = self._holding(self.prepare(begins))
        gives, gains = self.choices.give_up_usd, self.choices.least_gain_usd
        workers, url = self.choices.workers, self.choices.engine
        steady = replace(wanted, give_up_usd=gives, least_gain_usd=gains)
        timed = replace(steady, budget_s=solver_s, strict=False, workers=workers, engine=url)
        chosen = self.optimise(prepared, timed, stop=stop, watch=watch)
        if stop():
            raise PreemptedError(occasion)
        if again and chosen.plan.basis != "optimised":
            self.alarms.raise_("retry_failed", chosen.falls[0], occasion=occasion)
            return None
        published = self.publish(prepared, chosen, slot=slot, occasion=occasion)
        self._look_ahead(stop)
        return published

    # --- the parts of a run -------------------------------------------------------------------------------------------

    def prepare(self, begins: datetime, horizon_h: int | None = None, *, keep: bool = True) -> Prepared:
        """Gather the problem that begins at an instant; make, audit and (if `keep`) store its rule plan.

        Raises:
            NothingToPlanError: no fleet is stored.
        """
        version, now = self.fleet(), self.now()
        grid = grid_from(begins, horizon_h or self.choices.horizon_h)
        gathered = gather(self.store, version.fleet, grid, now=now, replayed=is_replayed(version), forecasts=self._forecasts)
        awards = known_awards(self.store, version.fleet, now=now, at=grid.start)
        problem = gathered.problem(self.state(now, grid.start, at_start(gathered.ambient_c)), awards)
        unsold = unsold_calls(problem.fleet, problem.orders, problem.awards, since=grid.start)
        gathered = replace(gathered, notes=(*gathered.notes, *unsold, *counted_in_words(problem.state)))
        if outlook := self._ahead.outlook(version.fleet, grid.start):
            problem = problem.model_copy(update={"outlook": dict(outlook)})
        try:
            made = self.engine.rule_plan(problem, now)
            rule = audited(self.engine, problem, made.model_copy(update={"reasons": (*made.reasons, *gathered.notes)}))
        except Exception as error:  # the rungs below do not need it
            self.alarms.raise_("rule_plan_failed", f"no rule plan holds from {begins:%Y-%m-%d %H:%M} on: {error}"[:2000])
            return Prepared(problem, gathered, None)
        if keep:
            self.store.plans.add(problem, rule)
        return Prepared(problem, gathered, rule)

    def _holding(self, prepared: Prepared) -> Prepared:
        if not (lacking := prepared.gathered.excluded):
            return prepared
        return replace(prepared, held=hold(self, self.engine, prepared.problem, lacking, prepared.rule, self.now()))

    def _look_ahead(self, stop: Stop) -> None:
        """Look ahead over the rest of the month if it is time to; a look that fails is an alarm, and no plan waits for it."""
        version, now = self.fleet(), self.now()
        if not self._ahead.is_due(version.fleet, now):
            return
        try:
            grid = rest_of_month(version.fleet, floor_hour(now) + HOUR)
            gathered = gather(self.store, version.fleet, grid, now=now, replayed=is_replayed(version), forecasts=self._forecasts)
            problem = gathered.problem(self.state(now, grid.start, at_start(gathered.ambient_c)), ())
            self._ahead.look(problem, now, stop, gathered.excluded)
        except Exception as error:  # the share of time stands instead
            self.alarms.raise_("look_ahead_failed", f"bills are owed by their share of the time: {error}"[:2000])

    def state(self, now: datetime, at: datetime, ambient_c: Mapping[str, float] | None = None) -> State:
        """Return the state that a plan which begins at `at` finds, as it is known now."""
        return known_state(self.store, self.fleet().fleet, now=now, at=at, ambient_c=ambient_c)

    def optimise(self, prepared: Prepared, ask: Ask, *, stop: Stop, watch: Watch) -> Chosen:
        """Return the plan of the highest rung that holds, the optimised one first.

        Raises:
            PreemptedError: `stop` said so.
            NoRungError: nothing holds.
        """

        def optimised() -> Plan:
            return self._optimised(prepared, ask, stop, watch)

        rungs = [Rung("optimised", optimised), *self.rungs_below(prepared)]
        return self._labelled(prepared, choose(self.engine, prepared.problem, rungs))

    def _optimised(self, prepared: Prepared, ask: Ask, stop: Stop, watch: Watch) -> Plan:
        problem, lacking, held, rule = prepared.problem, prepared.gathered.excluded, prepared.held, prepared.rule
        if lacking and held is None:
            raise EngineFailedError(f"no plan holds {', '.join(sorted(lacking))}, which lack input")
        solved = without(problem, held.rungs, held.plan) if held else problem
        answer = self.engine.optimise(
            solved, ask, plan_id=new_id(), created_at=self.now(), progress=watch, cancelled=stop, start=None if held else rule,
            standing=None if held else self.standing_plan(problem), warm=self._warm(problem),
        )  # fmt: skip
        self._left = answer.warm or self._left
        if answer.plan is None:
            watch({"ending": answer.ending, "why": answer.why, "diagnosis": [dict(item) for item in answer.diagnosis]})
            raise EngineFailedError(in_words(answer))
        return joined(problem, answer.plan, held.rungs, held.plan) if held else answer.plan

    def _warm(self, problem: Problem) -> Warm | None:
        """Return what the last optimised plan left behind: the plan as it is stored, and its prices unless we began since."""
        try:
            plan = self.last_optimised(problem.grid.start)
        except EngineFailedError:
            return None
        is_known = self._left is not None and self._left.plan.plan_id == plan.plan_id
        return self._left.model_copy(update={"plan": plan}) if self._left and is_known else Warm(plan=plan)

    def rungs_below(self, prepared: Prepared) -> list[Rung]:
        """Return the rungs that need no solver, highest first."""
        problem, now = prepared.problem, self.now()

        def last_good() -> Plan:
            old = self.last_optimised(now)
            if (plan := self.engine.carry_over(problem, old, now)) is None:
                raise EngineFailedError(f"plan {old.plan_id} does not fit today's state and limits")
            return plan

        def rule() -> Plan:
            if prepared.rule is None:
                raise EngineFailedError("it did not pass its audit")
            return prepared.rule

        def safe() -> Plan:
            return self.engine.safe_plan(problem, now)

        return [Rung("last_good", last_good), Rung("rule", rule), Rung("safe", safe)]

    def _labelled(self, prepared: Prepared, chosen: Chosen) -> Chosen:
        notes = tuple(note for note in prepared.gathered.notes if note not in chosen.plan.reasons)
        return Chosen(chosen.plan.model_copy(update={"reasons": (*chosen.plan.reasons, *notes)}), chosen.falls)


def in_words(answer: Answer) -> str:
    """Return why there is no plan, with the first contradictions where the input has them."""
    found = "; ".join(str(item.get("words") or item) for item in answer.diagnosis[:3])
    return f"{answer.ending}: {answer.why}" + (f"; the input contradicts itself: {found}" if found else "")
