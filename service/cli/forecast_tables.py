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
HEADINGS = ("market", "from", "origins", "unit", "MAE", "pinball", "Winkler", "10–90 % holds", "mean off by")
LOWER = tuple(f"{figure} lower by" for figure in ("MAE", "pinball", "Winkler"))
BY_DAY = ("market", "day", "MAE", "10–90 % holds", "MAE lower by", "pinball lower by")


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
    from scenarios.forecast.origins import OURS

    found = []
    for one in outcomes:
        mine = one.of(OURS)
        told = (f"{mine.mae:.2f}", f"{mine.pinball:.2f}", f"{mine.winkler:.1f}", f"{mine.covered_share:.1%}", f"{mine.bias:+.2f}")
        origins = str(one.trial.days - len(one.left_out))
        found.append((one.trial.market, str(one.trial.first), origins, one.unit, *told, *(lower([one], f) for f in FIGURES)))
    if len(outcomes) > 1:
        held = f"{median(one.of(OURS).covered_share for one in outcomes):.1%}"
        found.append(("median", *[""] * 6, held, "", *(lower(outcomes, figure) for figure in FIGURES)))
    return found


def rows_by_day(outcomes: Sequence["Outcome"]) -> list[tuple[str, ...]]:
    """Return a row for each market and day ahead, 1 for the first."""
    from scenarios.forecast.origins import OURS

    found = []
    for one in outcomes:
        for day in sorted(one.by_day):
            mine, gains = one.of(OURS, day), [lower([one], figure, day) for figure in FIGURES[:2]]
            found.append((one.trial.market, str(day + 1), f"{mine.mae:.2f}", f"{mine.covered_share:.1%}", *gains))
    return found


def lower(outcomes: Sequence["Outcome"], figure: str, day: int | None = None) -> str:
    """Return by what share ours is lower than the better naive / the plain model, in the median over markets."""
    from scenarios.forecast.origins import NAIVES, PLAIN

    shares = (median(one.gain_share(figure, over, day) for one in outcomes) for over in (NAIVES, (PLAIN,)))
    return " / ".join(f"{share:.0%}" for share in shares)


def show_outcomes(outcomes: Sequence["Outcome"], console: Console) -> None:
    """Print the table, every model of a single market, and what was left out."""
    table = Table(title="scores, and how much lower than the better naive / the plain statistical model", title_justify="left")
    for heading in (*HEADINGS, *LOWER):
        table.add_column(heading, justify="left" if heading in ("market", "unit") else "right")
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
    """Return the tables for a document: all steps, and by days ahead where there are several."""
    tables = [((*HEADINGS, *LOWER), rows(outcomes))]
    if any(len(one.by_day) > 1 for one in outcomes):
        tables.append((BY_DAY, rows_by_day(outcomes)))
    return "\n".join(_markdown(headings, lines) for headings, lines in tables)


def _markdown(headings: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    return "".join(f"| {' | '.join(line)} |\n" for line in (headings, ["---"] * len(headings), *lines))
