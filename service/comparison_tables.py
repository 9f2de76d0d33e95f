"""Comparisons of what-ifs as tables: one against its base, or a set of them; as a workbook, and one of them as CSV."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Literal, NamedTuple, Self

from models.plan import Plan
from models.reading import BadInputError
from scenarios.compare import Comparison, Difference, EnergyDifference
from scenarios.patch import in_words, parse_patches
from scenarios.scenario_sets import SetComparison
from service.store.records import PlanHead
from service.workbook import Cell, Column, Sheet, workbook

USES = ("hashing_mwh", "serving_mwh", "base_mwh")
PLUS_MINUS = (
    "Each plan is proven to be within its gap of the best possible plan. A difference of two profits is certain to the sum of "
    "both gaps, which is its ±: where the difference is smaller than that, the two may as well be equal."
)
OWNERS = "Money of sites and of workloads adds up to the profit; profits and terms are sums over all steps that both plans have."
ENERGY = "Energy is metered, cooling included; base load is what sleeping miners and the sites themselves draw."
ATTRIBUTION = "What a change adds is counted on top of those before it, in the order in which they are written."


class PlanFacts(NamedTuple):
    """What a workbook tells of a plan that it compares."""

    role: str
    plan_id: str
    created_at: datetime | None = None
    basis: str | None = None
    status: str | None = None
    profit_usd: float | None = None
    bound_usd: float | None = None
    gap_usd: float | None = None
    gap_percent: float | None = None

    @classmethod
    def of_head(cls, role: str, plan_id: str, head: PlanHead | None) -> Self:
        """Return the facts of a stored plan; of one that is no longer kept, its id alone."""
        if head is None:
            return cls(role, plan_id)
        return cls(
            role, plan_id, head.created_at, head.basis, head.status, head.profit_usd, head.bound_usd, head.gap_usd,
            head.gap_percent,
        )  # fmt: skip

    @classmethod
    def of_plan(cls, role: str, plan: Plan) -> Self:
        """Return the facts of a plan."""
        proof = plan.proof
        return cls(
            role, plan.plan_id, plan.created_at, plan.basis, proof.status, plan.profit_usd, proof.bound_usd, proof.gap_usd,
            proof.gap_percent,
        )  # fmt: skip


def comparison_xlsx(
    found: Comparison, *, name: str, changes: Sequence[str], plans: Sequence[PlanFacts], engine: Mapping[str, str], at: datetime
) -> bytes:
    """Return one what-if against its base as a workbook: profit by term, energy, sites, workloads, plans and notes.

    Args:
        found: the comparison.
        name: of the what-if, as whoever asked it wrote it.
        changes: as they were written.
        plans: the base's and the what-if's.
        engine: what made the plans, as they tell it.
        at: when they were compared.
    """
    sites: list[list[Cell]] = [
        [site, *_sides(got.profit_usd), *_energy_cells(got.energy), got.decisions_changed] for site, got in found.sites.items()
    ]
    columns = [*_three("profit", "usd"), *(c for use in USES for c in _three(_word(use), "mwh"))]
    notes: list[tuple[str, Cell]] = [
        *_of(name, changes), ("base", found.before), ("what-if", found.after), ("labels", "; ".join(found.labels)),
        ("difference of profit, USD", found.profit_usd.difference), ("±, USD", found.plus_minus_usd),
        *(("note", note) for note in found.notes), ("what ± is here", found.plus_minus_note), ("what ± means", PLUS_MINUS),
        ("compared from, UTC", found.start), ("compared until, UTC", found.end), ("steps compared", found.steps),
        ("decisions changed", f"{found.decisions_changed} of {found.decisions} pairs of machines and step"),
        ("money", OWNERS), ("energy", ENERGY), *_made(engine, at),
    ]  # fmt: skip
    sheets = [
        Sheet("Profit", [Column("term"), *_three("profit", "usd")], [
            ["all terms", *_sides(found.profit_usd)],
            *_by_name(found.profit_by_term_usd),
        ]),
        Sheet("Energy", [Column("use"), *_three("energy", "mwh")], _energy_rows(found.energy)),
        Sheet("Sites", [Column("site"), *columns, Column("decisions changed", "count")], sites),
        Sheet("Workloads", [Column("workload"), *_three("profit", "usd")], _by_name(found.workload_profit_usd)),
        _plans_sheet(plans), _notes_sheet(notes),
    ]  # fmt: skip
    return workbook(sheets, title=f"wattsplit: {name}", created_at=at)


def set_xlsx(found: SetComparison, *, name: str, plans: Sequence[PlanFacts], engine: Mapping[str, str], at: datetime) -> bytes:
    """Return a set of what-ifs as a workbook: one row for each, their terms, energy and attribution, plans and notes."""
    rows: list[list[Cell]] = [["base", "planned", found.base_profit_usd, *[None] * 5]]
    for row in found.rows:
        profit = [None, None] if row.profit_usd is None else [row.profit_usd.after, row.profit_usd.difference]
        told = (row.plus_minus_usd, row.decisions_changed, "; ".join(row.changes), row.why or None)
        rows.append([row.name, row.ending, *profit, *told])
    scenario = Column("scenario")
    sheets = [
        Sheet("Scenarios", [
            scenario, Column("ending"), Column("profit, USD", "usd"), Column("difference to base, USD", "usd"),
            Column("±, USD", "usd"), Column("decisions changed", "count"), Column("changes"), Column("why there is no plan"),
        ], rows),
        Sheet("Terms", [scenario, Column("term"), *_three("profit", "usd")], [
            [row.name, *line] for row in found.rows for line in _by_name(row.profit_by_term_usd)
        ]),
        Sheet("Energy", [scenario, Column("use"), *_three("energy", "mwh")], [
            [row.name, *line] for row in found.rows if row.energy is not None for line in _energy_rows(row.energy)
        ]),
    ]  # fmt: skip
    attributed: list[list[Cell]] = [
        [row.name, n, part.change, part.difference_usd, part.plus_minus_usd]
        for row in found.rows
        for n, part in enumerate(row.attribution, start=1)
    ]  # fmt: skip
    if attributed:
        titles = [scenario, Column("order", "count"), Column("change"), Column("adds, USD", "usd"), Column("±, USD", "usd")]
        sheets.append(Sheet("Attribution", titles, attributed))
    notes: list[tuple[str, Cell]] = [("set", name), ("base", found.base_plan_id), ("digest of the base", found.base_digest)]
    notes += [("note", note) for note in found.notes]
    notes += [(f"changes of {row.name}", line) for row in found.rows for line in _changes(row.changes)]
    notes += [("what ± means", PLUS_MINUS), ("money", OWNERS), ("energy", ENERGY)]
    notes += [("attribution", ATTRIBUTION)] if attributed else []
    sheets += [_plans_sheet(plans), _notes_sheet([*notes, *_made(engine, at)])]
    return workbook(sheets, title=f"wattsplit: {name}", created_at=at)


def comparison_csv(found: Comparison) -> bytes:
    """Return one what-if against its base as CSV: a row for each figure, with what it is of, its name and its unit.

    Names begin with a letter or a digit, so that no cell reads as a formula to a spreadsheet.
    """
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    out.writerow(["part", "name", "unit", "base", "what_if", "difference"])
    rows: list[tuple[str, str, str, Difference]] = [("profit", "all", "USD", found.profit_usd)]
    rows += [("term", term, "USD", usd) for term, usd in found.profit_by_term_usd.items()]
    rows += [("energy", use.removesuffix("_mwh"), "MWh", getattr(found.energy, use)) for use in USES]
    for site, got in found.sites.items():
        rows.append(("site", site, "USD", got.profit_usd))
        rows += [(f"site_{use.removesuffix('_mwh')}", site, "MWh", getattr(got.energy, use)) for use in USES]
    rows += [("workload", workload, "USD", usd) for workload, usd in found.workload_profit_usd.items()]
    for part, name, unit, figure in rows:
        out.writerow([part, name, unit, *(round(value, 4) for value in _sides(figure))])
    return text.getvalue().encode()


def _three(what: str, unit: Literal["usd", "mwh"]) -> list[Column]:
    written = "USD" if unit == "usd" else "MWh"
    return [Column(f"{side} {what}, {written}", unit) for side in ("base", "what-if", "difference of")]


def _word(use: str) -> str:
    """The base plan and base load are not to be mixed up in one heading."""
    return use.removesuffix("_mwh").replace("base", "base load")


def _sides(figure: Difference) -> tuple[float, float, float]:
    return figure.before, figure.after, figure.difference


def _by_name(figures: Mapping[str, Difference]) -> list[list[Cell]]:
    return [[name, *_sides(figure)] for name, figure in figures.items()]


def _energy_cells(energy: EnergyDifference) -> list[float]:
    return [figure for use in USES for figure in _sides(getattr(energy, use))]


def _energy_rows(energy: EnergyDifference) -> list[list[Cell]]:
    return [[use.removesuffix("_mwh"), *_sides(getattr(energy, use))] for use in USES]


def _plans_sheet(plans: Iterable[PlanFacts]) -> Sheet:
    columns = [
        Column("plan of"), Column("plan"), Column("made, UTC", "utc"), Column("basis"), Column("status"),
        Column("profit, USD", "usd"), Column("bound, USD", "usd"), Column("gap, USD", "usd"), Column("gap, %", "percent"),
    ]  # fmt: skip
    return Sheet("Plans", columns, [list(plan) for plan in plans])


def _notes_sheet(notes: Iterable[tuple[str, Cell]]) -> Sheet:
    return Sheet("Notes", [Column("note"), Column("what")], [list(note) for note in notes if note[1] not in (None, "")])


def _of(name: str, changes: Sequence[str]) -> list[tuple[str, Cell]]:
    return [("name", name), *(("change", line) for line in _changes(changes))]


def _changes(changes: Sequence[str]) -> list[str]:
    """Return each change as it was written, and in words where this release can read it."""
    told = []
    for change in changes:
        try:
            told += [f"{change} ({in_words(patch)})" for patch in parse_patches([change])]
        except BadInputError:
            told.append(change)
    return told


def _made(engine: Mapping[str, str], at: datetime) -> list[tuple[str, Cell]]:
    parts = sorted(engine.items()) or [("none", "made by rule, without a solver")]
    return [("compared at, UTC", at), *((f"engine: {part}", version) for part, version in parts)]
