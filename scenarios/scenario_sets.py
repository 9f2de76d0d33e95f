"""Many what-ifs of one base at once: their changes, what came of each, and a table that compares them.

Every what-if is compared with the same plan of the base, planned at the same gap. *Attribution* adds a what-if's changes one
after the other, in the order in which they are written: what a change adds depends on those before it, and all of them add up
to the whole.
"""

import csv
import io
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from annotated_types import Len
from pydantic import Field, model_validator

from models.base import Count, Name, NonNegative, Record, Text, repeated
from models.plan import Plan
from models.reading import BadInputError, Refusal
from scenarios.compare import Comparison, Difference, EnergyDifference, compare
from scenarios.patch import Patch, parse_patches

MOST_WHAT_IFS, MOST_CHANGES = 50, 50


class WhatIf(Record):
    """A what-if of a set: a name, and changes written `QUANTITY[NAME]@FROM..TO=VALUE`, for example `hashprice=-20%`."""

    name: Name
    set: Annotated[tuple[Annotated[str, Len(1, 200)], ...], Len(1, MOST_CHANGES), Field(examples=[["hashprice=-20%"]])]


class WhatIfs(Record):
    """What-ifs over one base; their names differ. `attribute`: also add the changes of each one after the other."""

    scenarios: Annotated[tuple[WhatIf, ...], Len(1, MOST_WHAT_IFS)]
    attribute: bool = False

    @model_validator(mode="after")
    def names_differ(self) -> Self:
        """Refuse a name that stands twice, and that of the base, which has a row of its own."""
        if any(one.name == "base" for one in self.scenarios):
            raise ValueError("scenarios: base is the name of the base's own row; expected another")
        if twice := repeated(one.name for one in self.scenarios):
            raise ValueError(f"scenarios: expected names that differ, got {twice} twice")
        return self

    def patches(self) -> list[tuple[Patch, ...]]:
        """Return the changes of each what-if.

        Raises:
            BadInputError: every change that cannot be read, at /scenarios/N/set/M.
        """
        found, refusals = [], []
        for n, one in enumerate(self.scenarios):
            try:
                found.append(parse_patches(one.set))
            except BadInputError as error:
                refusals += placed(error, n)
        if refusals:
            raise BadInputError(refusals)
        return found


class Added(Record):
    """What one change added to those before it."""

    change: Text
    difference_usd: float
    plus_minus_usd: NonNegative | None


class SetRow(Record):
    """What came of a what-if: its plan against the base's, or why there is none."""

    name: Name
    changes: tuple[Text, ...]
    ending: Literal["planned", "infeasible", "failed"]
    why: Text = ""
    plan_id: Name | None = None
    profit_usd: Difference | None = None
    plus_minus_usd: NonNegative | None = None
    profit_by_term_usd: dict[Name, Difference] = {}
    energy: EnergyDifference | None = None
    decisions_changed: Count | None = None
    attribution: tuple[Added, ...] = ()


class SetComparison(Record):
    """All what-ifs of a set against their base."""

    base_plan_id: Name
    base_digest: Text
    base_profit_usd: float
    rows: tuple[SetRow, ...]
    notes: tuple[Text, ...] = ()
    """What a reader of all rows must know, such as the stand-ins that are in their figures."""


def planned_row(one: WhatIf, base: Plan, plans: Sequence[Plan]) -> SetRow:
    """Return what came of a what-if; `plans` are those of its changes added one after the other, or of all of them at once."""
    whole: Comparison = compare(base, plans[-1])
    added = []
    if len(plans) == len(one.set) > 1:
        for change, before, after in zip(one.set, (base, *plans[:-1]), plans, strict=True):
            step = compare(before, after)
            added.append(Added(change=change, difference_usd=step.profit_usd.difference, plus_minus_usd=step.plus_minus_usd))
    return SetRow(
        name=one.name, changes=one.set, ending="planned", plan_id=plans[-1].plan_id, profit_usd=whole.profit_usd,
        plus_minus_usd=whole.plus_minus_usd, profit_by_term_usd=whole.profit_by_term_usd, energy=whole.energy,
        decisions_changed=whole.decisions_changed, attribution=tuple(added),
    )  # fmt: skip


def placed(error: BadInputError, n: int) -> list[Refusal]:
    """Return the refusals of a what-if's changes with their place in the set."""
    return [refusal.model_copy(update={"pointer": f"/scenarios/{n}/set{refusal.pointer}"}) for refusal in error.refusals]


def table_csv(found: SetComparison) -> bytes:
    """Return a set as CSV: the base, then a row for each what-if, with a column for the difference of each money term.

    Names, changes and reasons begin with a letter or a digit, so that no cell reads as a formula to a spreadsheet.
    """
    terms = sorted({term for row in found.rows for term in row.profit_by_term_usd})
    uses = ("hashing_mwh", "serving_mwh", "base_mwh")
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    head = ["scenario", "ending", "profit_usd", "difference_usd", "plus_minus_usd", *(f"{use}_difference" for use in uses)]
    out.writerow([*head, "decisions_changed", *(f"{term}_difference_usd" for term in terms), "changes", "why"])
    out.writerow(["base", "planned", round(found.base_profit_usd, 4), *[""] * (len(uses) + len(terms) + 5)])
    for row in found.rows:
        profit, energy = row.profit_usd, row.energy
        money: list[Any] = ["", ""] if profit is None else [round(profit.after, 4), round(profit.difference, 4)]
        power = [""] * len(uses) if energy is None else [round(getattr(energy, use).difference, 4) for use in uses]
        by_term = [round(t.difference, 4) if (t := row.profit_by_term_usd.get(term)) else "" for term in terms]
        sure = "" if row.plus_minus_usd is None else round(row.plus_minus_usd, 4)
        changed = "" if row.decisions_changed is None else row.decisions_changed
        out.writerow(
            [
                row.name,
                row.ending,
                *money,
                sure,
                *power,
                changed,
                *by_term,
                "; ".join(row.changes),
                f"{row.ending}: {row.why}" if row.why else "",
            ]
        )
    return text.getvalue().encode()
