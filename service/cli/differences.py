"""The difference between two plans as tables: by term, by use of energy, by site."""

from rich.console import Console
from rich.table import Table

from scenarios.compare import Comparison, Difference
from service.cli.tables import table_of, usd


def show_comparison(found: Comparison, console: Console) -> None:
    """Print what changed: first the profit with its ±, then where it comes from."""
    profit = found.profit_usd
    sure = (
        f"± {usd(found.plus_minus_usd)} USD ({found.plus_minus_note})"
        if found.plus_minus_usd is not None
        else f"(± unknown: {found.plus_minus_note})"
    )
    labels = "".join(f" · [b]{label}[/b]" for label in found.labels)
    console.print(
        f"[b]{found.before}[/b] → [b]{found.after}[/b] · {found.steps} steps from {found.start:%Y-%m-%d %H:%M} UTC{labels}"
    )
    console.print(f"profit {usd(profit.before)} → {usd(profit.after)} USD: [b]{signed(profit.difference)} USD[/b] {sure}")
    for note in found.notes:
        console.print(note, markup=False)
    console.print(f"{found.decisions_changed} of {found.decisions} decisions changed")
    if found.stability is not None:
        console.print(f"[dim]{found.stability.words}[/dim]")
    console.print(by_name("Profit by term, USD", found.profit_by_term_usd, total=profit))
    energy = found.energy
    console.print(by_name("Energy, MWh", {"hashing": energy.hashing_mwh, "serving": energy.serving_mwh, "base": energy.base_mwh}))
    console.print(site_table(found))
    if found.workload_profit_usd:
        console.print(by_name("Workloads, USD", found.workload_profit_usd))


def by_name(title: str, rows: dict[str, Difference], total: Difference | None = None) -> Table:
    """Return one row a name: before, after, difference."""
    table = table_of(title, ["name"], ["before", "after", "difference"])
    for name, row in rows.items():
        table.add_row(name, usd(row.before), usd(row.after), signed(row.difference))
    if total is not None:
        table.add_section()
        table.add_row("profit", usd(total.before), usd(total.after), signed(total.difference))
    return table


def site_table(found: Comparison) -> Table:
    """Return one row a site whose decisions or money changed."""
    table = table_of("Sites, differences", ["site"], ["profit USD", "hashing MWh", "serving MWh", "decisions changed"])
    same = 0
    for name, site in found.sites.items():
        if not site.decisions_changed and abs(site.profit_usd.difference) < 0.005:
            same += 1
            continue
        energy = site.energy
        table.add_row(
            name,
            signed(site.profit_usd.difference),
            signed(energy.hashing_mwh.difference),
            signed(energy.serving_mwh.difference),
            str(site.decisions_changed),
        )
    if same:
        table.caption = "1 site is unchanged" if same == 1 else f"{same} sites are unchanged"
    return table


def signed(amount: float) -> str:
    """Write a difference with its sign."""
    return f"+{usd(amount)}" if amount >= 0.005 else usd(amount)
