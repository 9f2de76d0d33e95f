"""Explains plans that are kept: one at a time, in bounded time, and no site and step of a plan twice.

The solvers run in contained children that give way to planning; this process only waits for them.
"""

from collections import OrderedDict
from threading import Lock
from typing import TypeVar

from models.explanation import Explanation
from optimizer.explain import Ground, explain, ground
from service.store import Store

K = TypeVar("K")
V = TypeVar("V")
MIB = 1 << 20
WAIT_S = 4.0
PRICES_S = 14.0
"""For the prices of a plan's hubs, once per plan; the reference fleet of 45 sites needs about 4."""
SITE_S = 10.0
PLANS_KEPT = 2
EXPLANATIONS_KEPT = 500


class BusyError(Exception):
    """Another explanation is being worked out."""


class Explainer:
    """Explanations of the plans of a store."""

    def __init__(self, store: Store, memory_mib: int) -> None:
        self._store, self._memory_bytes = store, memory_mib * MIB
        self._one = Lock()
        self._plans: OrderedDict[str, Ground] = OrderedDict()
        self._told: OrderedDict[tuple[str, str, int], Explanation] = OrderedDict()

    def explain(self, plan_id: str, site: str, step: int) -> Explanation | None:
        """Return the explanation of a site and step of a plan, or None where there is no such plan.

        Raises:
            BusyError: others are being worked out; ask again.
            UnexplainedError: the plan has no such site or step.
            UnpricedError: the prices could not be found in the time.
        """
        key = (plan_id, site, step)
        if (known := self._told.get(key)) is not None:
            return known
        if not self._one.acquire(timeout=WAIT_S):
            raise BusyError(f"another explanation is being worked out; ask again in {WAIT_S:.0f} s")
        try:
            if (known := self._told.get(key)) is not None:
                return known
            if (on := self._ground(plan_id)) is None:
                return None
            found = explain(on, site, step, deadline_s=SITE_S, memory_bytes=self._memory_bytes)
            if found.is_whole:
                _keep(self._told, key, found, EXPLANATIONS_KEPT)
            return found
        finally:
            self._one.release()

    def _ground(self, plan_id: str) -> Ground | None:
        if plan_id not in self._plans:
            plan = self._store.plans.get(plan_id)
            problem = self._store.plans.problem(plan.problem_digest) if plan else None
            if plan is None or problem is None:
                return None
            made = ground(problem, plan, deadline_s=PRICES_S, memory_bytes=self._memory_bytes)
            _keep(self._plans, plan_id, made, PLANS_KEPT)
        return self._plans[plan_id]


def _keep(kept: OrderedDict[K, V], key: K, value: V, most: int) -> None:
    kept[key] = value
    while len(kept) > most:
        kept.popitem(last=False)
