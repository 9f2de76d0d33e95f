"""The hours of a back-test as rows: for each policy, step and owner (a site or a workload) what was decided and earned.

Columns: policy, start, duration_s, is_scored, owner, kind (`site` or `workload`); of sites also price_usd_per_mwh, draw_w,
hashing_w, inference_w, limit_w, blocks_on, nodes_on; then one in USD for each money term, and `usd`, their sum. All `usd` of
a policy add up to its profit of all hours.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from models.base import iso
from models.plan import Plan, SitePlan, Term
from models.problem import Problem
from scenarios.backtest.records import PolicyName

CSV_NAME, PARQUET_NAME = "rows.csv", "rows.parquet"
ABOUT = ("policy", "start", "duration_s", "is_scored", "owner", "kind")
OF_SITES = ("price_usd_per_mwh", "draw_w", "hashing_w", "inference_w", "limit_w", "blocks_on", "nodes_on")
NO_PARQUET = "no rows.parquet beside rows.csv: Parquet needs pyarrow: install wattsplit[parquet]"

Columns = dict[str, list[Any]]


def columns_of(came: Problem, plans: Mapping[PolicyName, Plan], scored: Sequence[bool]) -> Columns:
    """Return the rows of all policies as columns; absent cells are None.

    Args:
        came: the period as it came; its steps are those of the plans.
        plans: by policy, what was carried out, joined.
        scored: by step, whether it counts.
    """
    terms = _terms(plans.values())
    columns: Columns = {name: [] for name in (*ABOUT, *OF_SITES, *(f"{term}_usd" for term in terms), "usd")}
    prices = {site.name: came.energy_price_usd_per_mwh(site) for site in came.fleet.sites}
    starts, lengths = came.grid.starts, came.grid.step_s
    for policy, plan in plans.items():
        money = _money(plan)
        for owner, kind in _owners(came, plan):
            of_site = _of_site(plan.sites[owner], prices[owner]) if kind == "site" else None
            for t, start in enumerate(starts):
                row: list[Any] = [policy, start, lengths[t], scored[t], owner, kind]
                row += [None] * len(OF_SITES) if of_site is None else [series[t] for series in of_site]
                amounts = [series[t] if (series := money.get((term, owner))) else 0.0 for term in terms]
                for column, value in zip(columns.values(), (*row, *amounts, sum(amounts)), strict=True):
                    column.append(value)
    return columns


def write_rows(folder: Path, columns: Columns) -> str:
    """Write the rows as CSV, and as Parquet where pyarrow is installed; return in words what is not there, or nothing."""
    with (folder / CSV_NAME).open("w", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(columns)
        for row in zip(*columns.values(), strict=True):
            out.writerow([_cell(value) for value in row])
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        return NO_PARQUET
    kinds = {"start": pa.timestamp("us", tz="UTC"), "duration_s": pa.int32(), "is_scored": pa.bool_()}
    kinds |= {name: pa.int64() for name in OF_SITES if not name.endswith("mwh")}
    words = pa.dictionary(pa.int32(), pa.string())
    kinds |= dict.fromkeys(("policy", "owner", "kind"), words)
    table = pa.table({name: pa.array(values, kinds.get(name, pa.float64())) for name, values in columns.items()})
    pq.write_table(table, folder / PARQUET_NAME, compression="zstd")
    return ""


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float):
        return round(value, 6)
    return value if isinstance(value, str | int) else iso(value)


def _terms(plans: Iterable[Plan]) -> list[Term]:
    found = {line.term for plan in plans for line in plan.money}
    return [term for term in get_args(Term) if term in found]


def _money(plan: Plan) -> dict[tuple[str, str], list[float]]:
    """Return the money by term and owner, by step. [USD]"""
    total: dict[tuple[str, str], list[float]] = {}
    for line in plan.money:
        known = total.setdefault((line.term, line.owner), [0.0] * plan.grid.steps)
        for t, amount in enumerate(line.usd):
            known[t] += amount
    return total


def _owners(came: Problem, plan: Plan) -> Iterator[tuple[str, str]]:
    yield from ((site.name, "site") for site in came.fleet.sites if site.name in plan.sites)
    yield from ((workload.name, "workload") for workload in came.fleet.workloads)


def _of_site(made: SitePlan, prices: Sequence[float]) -> tuple[Sequence[float], ...]:
    steps = range(len(prices))
    blocks = [sum(counts[t] for group in made.groups.values() for counts in group.mode_blocks.values()) for t in steps]
    nodes = [sum(pool.nodes_on[t] for pool in made.pools.values()) for t in steps]
    return prices, made.draw_w, made.hashing_w, made.inference_w, made.limit_w, blocks, nodes
