"""An independent book of one group or pool over many plans: what each command started and stopped, and whether it might.

Shares no code with the service. A command is judged on what was measured when its plan was made; facts that came later
enter the book afterwards.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta


@dataclass
class Book:
    """Running and resting machines as plain lists of instants, oldest first. `total` machines in all."""

    total: int
    min_up: timedelta
    min_down: timedelta
    running: list[datetime] = field(default_factory=list)
    resting: list[datetime] = field(default_factory=list)

    def copy(self) -> "Book":
        return Book(self.total, self.min_up, self.min_down, list(self.running), list(self.resting))

    def become(self, count: int, at: datetime) -> list[str]:
        """Change to a count; return what the change broke, in words."""
        broken = []
        while len(self.running) > count:
            since = self.running.pop(0)
            if at - since < self.min_up:
                broken.append(f"stopped at {at:%d %H:%M} after {at - since}, minimum run {self.min_up}")
            self.resting.append(at)
        while len(self.running) < count:
            if self.resting and len(self.running) + len(self.resting) >= self.total:
                since = self.resting.pop(0)
                if at - since < self.min_down:
                    broken.append(f"started at {at:%d %H:%M} after {at - since}, minimum rest {self.min_down}")
            elif self.resting and at - self.resting[0] >= self.min_down:
                self.resting.pop(0)
            self.running.append(at)
        return broken
