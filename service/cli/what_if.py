"""A what-if as it is asked: the base, its changed copy, and what is expected of the difference."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from models.problem import Problem
from scenarios.apply import apply_patches
from scenarios.compare import Comparison
from scenarios.library import load_scenario, scenario_names
from scenarios.patch import in_words, parse_patches
from service.cli.exits import usage
from service.cli.inputs import read_problem, refusing


@dataclass(frozen=True)
class WhatIf:
    """Two problems to plan and compare, and what is changed; `unmet` says which expectations a comparison disappoints."""

    base: Problem
    changed: Problem
    patches: tuple[str, ...]
    words: tuple[str, ...]
    unmet: Callable[[Comparison], list[str]]

    @property
    def changed_words(self) -> list[str]:
        """Each change as it was written, and what it does."""
        return [f"{text} ({in_words(patch)})" for text, patch in zip(self.patches, parse_patches(self.patches), strict=True)]


def what_if(base: str, changes: Sequence[str]) -> WhatIf:
    """Return the what-if of a library name (more changes may be added), or of a problem and its changes.

    Raises:
        CommandError: no change is given (exit 2), or a change cannot be read or made (exit 3).
    """
    with refusing("the what-if"):
        if base in scenario_names():
            scenario = load_scenario(base)
            problem, changed = scenario.base_problem(), scenario.problem()
            expects = not changes
            return WhatIf(
                problem,
                apply_patches(changed, parse_patches(changes)) if changes else changed,
                (*scenario.patches, *changes),
                (f"{scenario.title}. {scenario.why}",),
                lambda comparison: scenario.unmet(changed, comparison) if expects else [],
            )
        if not changes:
            raise usage(
                "a what-if needs a change: --set hashprice=-20%; `wattsplit scenario list PROBLEM` tells what can be changed"
            )
        problem = read_problem(base)
        return WhatIf(problem, apply_patches(problem, parse_patches(changes)), tuple(changes), (), lambda _: [])
