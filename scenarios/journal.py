"""What a run over history did so far, step by step, in a file: whoever was broken off goes on after the last whole step."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from optimizer.warm import Warm


@dataclass
class Journal:
    """What was done so far, step by step, in a file if there is a folder for it."""

    folder: Path | None
    heading: dict[str, Any]
    lines: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._file.exists():
            written = _whole(self._file.read_text().splitlines())
            if written and written[0] != self.heading:
                raise ValueError(f"{self._file}: expected a run of {self.heading}, got one of {written[0]}; take another folder")
            self.lines = written[1:]
        self._file.write_text("".join(json.dumps(line) + "\n" for line in (self.heading, *self.lines)))

    @property
    def _file(self) -> Path:
        return (self.folder or Path()) / "steps.jsonl"

    def add(self, line: dict[str, Any], left: Warm) -> None:
        """Write a step down that is done, and what its plan left behind for the next."""
        self.lines.append(line)
        if self.folder is not None:
            fresh = self.folder / "left.new"
            fresh.write_text(left.model_dump_json())
            fresh.replace(self.folder / "left.json")
            with self._file.open("a") as file:
                file.write(json.dumps(line) + "\n")

    def left(self) -> Warm | None:
        """What the last plan left behind, where it is that of the last step; a run broken off at any point goes on without it."""
        path = (self.folder or Path()) / "left.json"
        if self.folder is None or not self.lines or not path.exists():
            return None
        try:
            left = Warm.model_validate_json(path.read_text())
        except ValueError:
            return None
        return left if left.plan.plan_id == self.lines[-1]["plan_id"] else None


def _whole(lines: Sequence[str]) -> list[dict[str, Any]]:
    """Return the lines that were written whole: a process that is killed leaves part of its last one, cut anywhere."""
    found = []
    for line in lines:
        try:
            found.append(json.loads(line))
        except ValueError:
            break
    return found
