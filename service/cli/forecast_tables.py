"""Scores of forecasts as tables, for a terminal and for a document."""

from calendar import monthrange
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from statistics import median
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from scenarios.forecast.origins import Outcome

FIGURES = ("mae", "pinball", "winkler")
HEADINGS = ("market", "from", "days", "unit", "MAE", "pinball", "Winkler", "10–90 %", "mean off by", "MAE", "pinball", "Winkler")


@dataclass(frozen=True)
class Done:
    """How much is done."""

    share: float
    words: str


def telling(watch: Callable[[Done], None]) -> Callable[[float, str], None]:
    """Return what hears a share and words, and shows them."""
    return lambda share, words: watch(Done(share, words))


def day_after(first: date, months: int) -> date:
    """Return the same day of the month some months later; a day that the month lacks is its last.

    first: a day. months: how many.
    """
    year, month = divmod(first.year * 12 + first.month - 1 + months, 12)
    return date(year, month + 1, min(first.day, monthrange(year, month + 1)[1]))


def rows(outcomes: Sequence["Outcome"]) -> list[tuple[str, ...]]:
    """Return a row for each market: scores of ours, and how much lower they are than the better naive's and the plain model's."""
    from scenarios.forecast.origins import NAIVES, OURS, PLAIN

    found = []
    for one in outcomes:
        mine = one.of(OURS)
        gains = [f"{one.gain_share(f, NAIVES):.0%} / {one.gain_share(f, (PLAIN,)):.0%}" for f in FIGURES]
        scored_days = one.trial.days - len(one.left_out)
        told = (f"{mine.mae:.2f}", f"{mine.pinball:.2f}", f"{mine.winkler:.1f}", f"{mine.covered_share:.1%}", f"{mine.bias:+.2f}")
        found.append((one.trial.market, str(one.trial.first), str(scored_days), one.unit, *told, *gains))
    if len(outcomes) > 1:
        by = [
            (median(o.gain_share(f, NAIVES) for o in outcomes), median(o.gain_share(f, (PLAIN,)) for o in outcomes))
            for f in FIGURES
        ]
        middle = [f"{naive:.0%} / {plain:.0%}" for naive, plain in by]
        found.append(("median", "", "", "", "", "", "", f"{median(o.of(OURS).covered_share for o in outcomes):.1%}", "", *middle))
    return found


def show_outcomes(outcomes: Sequence["Outcome"], console: Console) -> None:
    """Print the table, every model of a single market, and what was left out."""
    table = Table(title="scores, and how much lower than the better naive / the plain statistical model", title_justify="left")
    for place, heading in enumerate(HEADINGS):
        table.add_column(f"{heading} lower by" if place > 8 else heading, justify="left" if place in (0, 3) else "right")
    for row in rows(outcomes):
        table.add_row(*row)
    console.print(table)
    for one in outcomes:
        if len(outcomes) == 1:
            for each in one.scores:
                console.print(
                    f"{each.model}: MAE {each.mae:.2f}, pinball {each.pinball:.2f}, Winkler {each.winkler:.1f} {each.unit}, "
                    f"10–90 % holds {each.covered_share:.1%}, mean off by {each.bias:+.2f}, {each.steps} steps"
                )
        if one.left_out:
            first, why = next(iter(one.left_out.items()))
            console.print(
                f"{one.trial.market}: {len(one.left_out)} origins left out, the first at {first}: {why}", style="yellow"
            )


def markdown(outcomes: Sequence["Outcome"]) -> str:
    """Return the table for a document."""
    lines = ["| " + " | ".join(HEADINGS) + " |", "|" + "---|" * len(HEADINGS)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows(outcomes))]) + "\n"
