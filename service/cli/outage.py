"""`wattsplit outage`: machines out of service; each re-plans at once."""

from typing import Annotated, Any

import typer

from service.cli.say import AsJson, Quiet, Say

app = typer.Typer(help="Take machines out of the plan while they are out of service.", no_args_is_help=True)

COLUMNS = ("entry_id", "what", "until", "reason")
HISTORY = ("entry_id", "what", "start", "until", "withdrawn_at", "reason")


@app.command()
def enter(
    site: Annotated[str, typer.Argument(metavar="SITE", help="Name of the site.")],
    machine: Annotated[str, typer.Argument(metavar="MACHINE", help="An ASIC group or a GPU pool of the site.")],
    count: Annotated[int, typer.Option(min=1, help="Blocks or nodes that are out of service.")],
    start: Annotated[str, typer.Option("--from", help="Instant with offset, `now`, or +12h from now.")] = "now",
    until: Annotated[str | None, typer.Option(help="Instant with offset, or +12h from now; open if absent.")] = None,
    reason: Annotated[str, typer.Option(help="For people.")] = "",
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Enter an outage; the service re-plans at once without these machines.

    Example: `wattsplit outage enter pecos s21 --count 2 --until +12h --reason "fans of row 4"`
    """
    from models.base import iso
    from service.cli.durations import instant
    from service.cli.running import running

    content: dict[str, Any] = {"site": site, "machine": machine, "count": count, "reason": reason}
    if start != "now":
        content["start"] = iso(instant(start))
    if until is not None:
        content["end"] = iso(instant(until))
    entry = running().post("/v1/outages", content)
    Say(as_json, quiet).result(entry, lambda console: console.print(f"outage {entry['entry_id']}: {in_words(entry)}"))


@app.command("list")
def list_(
    site: Annotated[str | None, typer.Option(help="Of this site only.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Also those that are over or were ended.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """List the outages that stand.

    Example: `wattsplit outage list --site pecos --all`
    """
    from service.cli.running import running
    from service.cli.tables import rows_table

    entries = list(running().list("/v1/outages", site=site, standing=None if everything else "true"))
    rows = [entry | entry["outage"] | {"what": what(entry["outage"]), "until": entry["outage"]["end"]} for entry in entries]
    columns = HISTORY if everything else COLUMNS
    Say(as_json, quiet).result(entries, lambda console: console.print(rows_table(rows, columns, "no outages stand")))


@app.command()
def end(
    entry: Annotated[str, typer.Argument(metavar="OUTAGE", help="Id of the outage, as `outage list` shows it.")],
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """End an outage, because the machines are back; the service re-plans at once.

    Example: `wattsplit outage end 3f0a…`
    """
    from service.cli.running import running

    ended = running().delete(f"/v1/outages/{entry}")
    Say(as_json, quiet).result(ended, lambda console: console.print(f"ended: {in_words(ended)}"))


def in_words(entry: dict[str, Any]) -> str:
    """Return an outage in words."""
    said = entry["outage"]
    until = f"until {said['end']}" if said["end"] else "until it is ended"
    return f"{what(said)} out of service from {said['start']} {until}"


def what(said: dict[str, Any]) -> str:
    """Return what an outage takes."""
    return f"{said['count']} of {said['site']}/{said['machine']}"
