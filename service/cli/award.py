"""`wattsplit award`: what reserve programmes awarded; what differs from what is planned with re-plans at once."""

from typing import Annotated, Any

import typer

from service.cli.say import AsJson, Quiet, Say

app = typer.Typer(help="Tell what reserve programmes awarded.", no_args_is_help=True)

COLUMNS = ("entry_id", "what", "kw", "start", "end", "created_by", "source")
HISTORY = (*COLUMNS[:-1], "created_at", "withdrawn_at", "source")


@app.command()
def tell(
    site: Annotated[str, typer.Argument(metavar="SITE", help="Name of the site.")],
    reserve: Annotated[str, typer.Argument(metavar="RESERVE", help="A reserve programme of the site.")],
    start: Annotated[str, typer.Option("--from", help="Start of the block: an instant with offset.")],
    kw: Annotated[int, typer.Option(min=0, help="What was awarded in the block, in kW; 0 if nothing was.")],
    source: Annotated[str, typer.Option(help="Who said so, for people.")] = "",
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Tell what was awarded in a block; it counts instead of what was offered, and a later word instead of an earlier one.

    Example: `wattsplit award tell monahans ecrs --from 2026-11-23T04:00:00-06:00 --kw 4000`
    """
    from models.base import iso
    from service.cli.durations import instant
    from service.cli.running import running

    content = {"site": site, "reserve": reserve, "start": iso(instant(start)), "kw": kw, "source": source}
    entry = running().post("/v1/awards", content)
    Say(as_json, quiet).result(entry, lambda console: console.print(f"award {entry['entry_id']}: {in_words(entry)}"))


@app.command("list")
def list_(
    site: Annotated[str | None, typer.Option(help="Of this site only.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Also those of blocks that have ended, and replaced ones.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """List what was told of awards.

    Example: `wattsplit award list --site pecos`
    """
    from service.cli.running import running
    from service.cli.tables import rows_table

    entries = list(running().list("/v1/awards", site=site, standing=None if everything else "true"))
    rows = [entry | entry["award"] | {"what": what(entry["award"])} for entry in entries]
    columns = HISTORY if everything else COLUMNS
    Say(as_json, quiet).result(entries, lambda console: console.print(rows_table(rows, columns, "nothing is told of awards")))


def in_words(entry: dict[str, Any]) -> str:
    """Return a told award in words."""
    said = entry["award"]
    return f"{said['kw']} kW of {what(said)} from {said['start']} to {said['end']}"


def what(said: dict[str, Any]) -> str:
    """Return which reserve of which site was awarded."""
    return f"{said['site']}/{said['reserve']}"
