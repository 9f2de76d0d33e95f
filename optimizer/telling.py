"""Says how far a plan is, in the words of `optimise`, to whoever watches; nobody may, and it costs nothing then."""

from collections.abc import Callable, Mapping
from typing import Any

from optimizer.outcome import Progress
from optimizer.worker import Stopwatch

Watcher = Callable[[Mapping[str, Any]], None]


class Telling:
    """Tells a watcher what is known so far, and what is being done.

    `seconds`; `objective_usd`, `bound_usd` and `gap_percent`, None while unknown; `doing`: a word of `optimizer.doing`, or what
    this process does itself; `round`, `sites_done` and `sites` of that, 0 where there are none.
    """

    def __init__(self, watcher: Watcher | None, watch: Stopwatch) -> None:
        self._watcher, self._watch = watcher, watch
        self._known = Progress(0.0, None, None)

    def __call__(self, known: Progress) -> None:
        """Tell what a solver child is at."""
        self._known = known
        doing = known.doing
        if doing is None:
            self._say("solver", 0, 0, 0)
        else:
            self._say(doing.what, doing.round, doing.sites_done, doing.sites)

    def at(self, what: str) -> None:
        """Tell what this process does itself."""
        self._say(what, 0, 0, 0)

    def _say(self, what: str, number: int, done: int, sites: int) -> None:
        if self._watcher is None:
            return
        gap = self._known.gap
        self._watcher(
            {
                "seconds": self._watch.seconds,
                "objective_usd": self._known.objective_usd,
                "bound_usd": self._known.bound_usd,
                "gap_percent": None if gap is None else 100 * gap,
                "doing": what,
                "round": number,
                "sites_done": done,
                "sites": sites,
            }
        )
