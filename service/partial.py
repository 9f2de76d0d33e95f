"""Plans a fleet of which some sites have no usable input: they are held on their rule plan, the others are optimised."""

from collections.abc import Mapping

from models.plan import Plan
from models.problem import Problem


def without(problem: Problem, excluded: Mapping[str, str], rule: Plan | None) -> Problem:
    """Return the problem of the other sites."""
    raise NotImplementedError


def merged(problem: Problem, plan: Plan, excluded: Mapping[str, str], rule: Plan | None) -> Plan:
    """Return the plan of all sites."""
    raise NotImplementedError
