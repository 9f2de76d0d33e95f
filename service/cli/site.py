"""`wattsplit site`: the sites of the running service, what each is told and what it measures."""

from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from service.cli.say import AsJson, Quiet, Say

app = typer.Typer(help="Look at sites: what they are, are told and measure.", no_args_is_help=True)


@app.command("list")
def list_(as_json: AsJson = False, quiet: Quiet = False) -> None:
    """List the sites of the fleet.

    Example: `wattsplit site list`
    """
    from service.cli.running import running
    from service.cli.tables import table_of, widest

    sites = list(running().list("/v1/sites"))

    def table(places: list[str]) -> Table:
        found = table_of("Sites", ["site", *places, "authority", "told", "basis", "stale"], ["connection MW", "measured MW"])
        for site in sites:
            told = site["told"] or {}
            measured = "–" if site["draw_w"] is None else megawatts(site["draw_w"])
            stale = ("yes" if told["stale"] else "no") if told else "–"
            version = f"version {told['version']}" if told else "nothing"
            words = [site["name"], *(site[place] for place in places), site["authority"], version, told.get("basis", "–"), stale]
            found.add_row(*words, megawatts(site["connection_limit_w"]), measured)
        return found

    def show(console: Console) -> None:
        console.print(widest(console, table(["region", "zone"]), table([])))

    Say(as_json, quiet).result(sites, show)


@app.command()
def show(
    site: Annotated[str, typer.Argument(metavar="SITE", help="Name of the site.")],
    steps: Annotated[int, typer.Option(min=1, help="Steps of the set-point to show.")] = 12,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Show one site: what it is told for the next steps, what it acknowledged and measured.

    Example: `wattsplit site show pecos`
    """
    from service.cli.running import running

    client = running()
    view = client.get(f"/v1/sites/{site}")
    view["setpoints"] = client.get(f"/v1/sites/{site}/setpoints") if view["told"] else None
    Say(as_json, quiet).result(view, lambda console: show_site(view, steps, console))


def show_site(view: dict[str, Any], steps: int, console: Console) -> None:
    """Print one site for people."""
    from service.cli.tables import table_of

    site, told = view["site"], view["setpoints"]
    console.print(
        f"[b]{site['name']}[/b] {site['title']} · {site['region']}, {site['country']} · {site['zone']} · {site['authority']}"
    )
    machines = [f"{g['blocks']} × {g['miners_per_block']} {g['model']}" for g in site["asic_groups"]]
    machines += [f"{p['nodes']} nodes {p['gpu_type']}" for p in site["gpu_pools"]]
    console.print(f"{megawatts(site['connection_limit_w'])} MW connection · {', '.join(machines) or 'no machines'}")
    if view["measured"]:
        point = view["measured"]["point"]
        console.print(f"measured {megawatts(point['draw_w'])} MW at {point['at']}")
    if view["acknowledged"]:
        console.print(
            f"version {view['acknowledged']['version']} is {view['acknowledged']['state']} since {view['acknowledged']['at']}"
        )
    if told is None:
        console.print("[yellow]told nothing yet[/yellow]")
        return
    labels = "".join(f" · {label}" for label in told["labels"])
    console.print(f"told version {told['version']}: {told['basis']}{labels}, valid until {told['valid_until']}")
    shown = told["steps"][:steps]
    sells = ["reserve sold"] if any(step.get("reserve_kw") for step in shown) else []
    table = table_of("", ["from", "blocks", "nodes", *sells], ["limit MW", "draw", "hashing", "serving"])
    for step in shown:
        blocks = "  ".join(f"{group} {in_words(modes)}" for group, modes in step["mode_blocks"].items())
        watts = (megawatts(step[name]) for name in ("limit_w", "draw_w", "hashing_w", "inference_w"))
        warm = {f"{pool} warm": count for pool, count in step["nodes_warm"].items() if count}
        sold = [", ".join(f"{kw} kW {name}" for name, kw in step.get("reserve_kw", {}).items()) or "none"]
        table.add_row(step["start"], blocks, in_words(step["nodes_on"] | warm), *sold[: len(sells)], *watts)
    console.print(table)


def in_words(counts: dict[str, int]) -> str:
    """Return the counts that are not zero, by name."""
    return ", ".join(f"{number} {name}" for name, number in counts.items() if number) or "none"


def megawatts(watts: int) -> str:
    """Write watts as megawatts."""
    return f"{watts / 1e6:,.2f}"
