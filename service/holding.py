"""What sites without usable input are held on while the others are optimised: each on its own last good plan, else the rule.

What a site was told on real prices is better than a rule on none, whatever the sites beside it have to go by.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from models.plan import Basis, Plan
from models.problem import Problem
from service.engine import Engine, EngineFailedError
from service.ladder import audited
from service.published import Published


@dataclass(frozen=True)
class Held:
    """An audited plan of the whole fleet whose decisions held sites keep to, and the rung that each of them stands on by it."""

    plan: Plan
    rungs: Mapping[str, Basis]


def hold(
    published: Published, engine: Engine, problem: Problem, lacking: Collection[str], rule: Plan | None, now: datetime
) -> Held | None:
    """Return what sites are held on, or None where not even the rule holds them.

    Sites that are optimised do what they were told last, as far as it goes, so that held ones find their share of the work.

    lacking: names of the sites without usable input. rule: rule plan of the problem, audited. now: present instant.
    """
    by_rule = None if rule is None else Held(rule, dict.fromkeys(lacking, rule.basis))
    if not (own := published.last_good(now, lacking)):
        return by_rule
    try:
        carried = engine.carry_each(problem, _newest(published, now, lacking) | own, now)
        if carried is None or not (keeping := carried[1].intersection(lacking)):
            return by_rule
        plan = audited(engine, problem, carried[0])
    except Exception:  # whatever went wrong with it, the rule plan holds them, and the others are optimised
        return by_rule
    return Held(plan, {site: plan.basis if site in keeping else "rule" for site in lacking})


def _newest(published: Published, now: datetime, lacking: Collection[str]) -> dict[str, Plan]:
    try:
        newest = published.last_optimised(now)
    except EngineFailedError:
        return {}
    return {site: newest for site in newest.sites if site not in lacking}
