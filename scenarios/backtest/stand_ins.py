"""Hours in which a plain rule stood in for a trained model: noted as each window is seen, kept beside its run, then counted."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from scenarios.backtest.knowledge import StoodIn
from scenarios.backtest.records import StandIn, StandInFamily, StandInReason

FILE = "stand_ins.jsonl"
FAMILIES: Mapping[str, StandInFamily] = {
    "price": "price", "demand": "demand", "ambient": "temperature", "hashprice": "hashprice", "paths": "paths",
}  # fmt: skip
"""By what a series' name begins with."""


class StandIns:
    """By first step of its window, which series a plain rule told, and why.

    A line is written before the step that it is of is done, so a run that is gone on with lacks none; a step that is done anew
    says the same again.
    """

    def __init__(self, folder: Path | None) -> None:
        self._file = None if folder is None else folder / FILE
        self._by_step: dict[int, StoodIn] = {}
        if self._file is not None and self._file.exists():
            for line in self._file.read_text().splitlines():
                try:
                    step, told = json.loads(line)
                except ValueError:
                    break  # a process that was killed left part of its last line: that step is not done
                self._by_step[step] = {name: (reason, words) for name, (reason, words) in told.items()}
            self._file.write_text("".join(_line(step, told) for step, told in self._by_step.items()))

    def note(self, first: int, told: StoodIn) -> None:
        """Note which series of the window from the step `first` on a plain rule told."""
        if not told and first not in self._by_step:
            return
        self._by_step[first] = told
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with self._file.open("a") as file:
                file.write(_line(first, told))

    def of(self, step: int) -> dict[str, tuple[StandInReason, str]]:
        """Return what was noted of a step."""
        return dict(self._by_step.get(step, {}))

    def counted(self, hours: Sequence[float]) -> tuple[StandIn, ...]:
        """Return the hours by family and reason, an hour once however many series of the family it is of. hours: by step."""
        found: dict[tuple[StandInFamily, StandInReason], tuple[set[int], set[str], str]] = {}
        for step, told in sorted(self._by_step.items()):
            for name, (reason, words) in told.items():
                key = FAMILIES[name.split(".")[0]], reason
                steps, names, _ = found.setdefault(key, (set(), set(), words))
                steps.add(step)
                names.add(name.split(".", 1)[-1])
        return tuple(
            StandIn(family=family, reason=reason, hours=sum(hours[t] for t in steps), series=tuple(sorted(names)), words=words)
            for (family, reason), (steps, names, words) in sorted(found.items())
        )


def _line(step: int, told: StoodIn) -> str:
    return json.dumps([step, told]) + "\n"
