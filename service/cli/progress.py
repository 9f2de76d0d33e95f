"""What a person sees while a plan is made: what is being done, the best plan so far, what no plan can exceed, and the gap."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from service.cli.say import Say
from service.cli.tables import usd

LINE_EVERY_S = 5.0
"""How often a log, which is no terminal, hears of progress."""


class Watch(Protocol):
    """Takes what is known so far, in the words of `optimizer.telling`; each of them may be absent, or None while unknown."""

    def __call__(self, known: Mapping[str, Any]) -> None:
        """Show it."""
        ...


class Counted(Protocol):
    """How much of some work is done, as a share of one, and what of it, in words."""

    @property
    def share(self) -> float:
        """The share that is done."""
        ...

    @property
    def words(self) -> str:
        """What is being done."""
        ...


@contextmanager
def watching(say: Say, title: str, budget_s: float) -> Iterator[Watch]:
    """Show progress against a time budget while the block runs; nothing for the quiet and for machines."""
    if say.quiet or say.as_json:
        yield lambda known: None
    elif say.err.is_terminal:
        with bar(say.err) as progress:
            task = progress.add_task(title, total=budget_s, known="building the model …")

            def show(known: Mapping[str, Any]) -> None:
                progress.update(task, completed=min(budget_s, known.get("seconds") or 0.0), known=words(known))

            yield show
    else:
        yield Lines(say, title)


class Lines:
    """Progress for a log: a line for each new kind of work, and every few seconds if something changed."""

    def __init__(self, say: Say, title: str) -> None:
        self.say, self.title, self.last, self.said_at = say, title, "", -LINE_EVERY_S
        self.told: set[str] = set()

    def __call__(self, known: Mapping[str, Any]) -> None:
        """Print a line, if it is time for one."""
        line, doing = words(known), str(known.get("doing"))
        if line != self.last and (doing not in self.told or time.monotonic() - self.said_at >= LINE_EVERY_S):
            self.last, self.said_at = line, time.monotonic()
            self.told.add(doing)
            self.say.note(f"{self.title}: {line}, {known.get('seconds') or 0.0:.0f} s")


def bar(console: Console) -> Progress:
    """Return the bar: its length is the time budget, its words are what is known."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[known]}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )


def words(known: Mapping[str, Any]) -> str:
    """Return what is known in words: what is being done, incumbent, bound and gap."""
    best, bound = known.get("objective_usd"), known.get("bound_usd")
    parts = [work(known)]
    parts += [f"{name} {usd(value)} USD" for name, value in (("best", best), ("bound", bound)) if value is not None]
    if best and bound is not None:
        parts.append(f"gap {100 * max(0.0, bound - best) / abs(best):.3f} %")
    return ", ".join(parts)


def work(known: Mapping[str, Any]) -> str:
    """Return in words what is being done: in which round, and at how many of its sites that is done."""
    what = str(known.get("doing") or "searching")
    if not known.get("sites"):
        return what
    return f"{what}, round {known.get('round')}, {known.get('sites_done')} of {known.get('sites')} sites"


@contextmanager
def counting(say: Say, title: str) -> Iterator[Callable[[Counted], None]]:
    """Show how much of some work is done while the block runs; nothing for the quiet and for machines."""
    if say.quiet or say.as_json:
        yield lambda known: None
    elif say.err.is_terminal:
        with Progress(
            SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=32), TaskProgressColumn(),
            TextColumn("{task.fields[known]}"), TimeElapsedColumn(), TimeRemainingColumn(), console=say.err, transient=True,
        ) as progress:  # fmt: skip
            task = progress.add_task(title, total=1.0, known="reading …")
            yield lambda known: progress.update(task, completed=known.share, known=known.words)
    else:
        said_at = -LINE_EVERY_S

        def show(known: Counted) -> None:
            nonlocal said_at
            if time.monotonic() - said_at >= LINE_EVERY_S:
                said_at = time.monotonic()
                say.note(f"{title}: {known.share:.0%}, {known.words}")

        yield show
